#include "runnel/model/run.hpp"

#include <algorithm>

namespace runnel::model {

bool may_transmit(State state) {
    return state == State::established || state == State::fin_wait_1 ||
           state == State::close_wait || state == State::closing || state == State::last_ack;
}

bool is_synchronized(State state) {
    return state != State::closed && state != State::listen && state != State::syn_sent &&
           state != State::syn_received;
}

bool takes_text(State state) {
    return state == State::established || state == State::fin_wait_1 || state == State::fin_wait_2;
}

void Run::reply(std::uint16_t flags, Number seq, std::size_t length) {
    Reply r;
    r.flags = flags;
    r.seq = wire_number(seq);
    r.length = length;
    if ((flags & TcpFlags::kAck) != 0) {
        r.ack = wire_number(b.rcv_nxt);
        b.last_ack_sent = b.rcv_nxt;
    }
    if (b.timestamps && (flags & TcpFlags::kAck) != 0) {
        r.echo = b.ts_recent;  // RFC 7323 §3.2: TSecr is valid with ACK
    }
    out.replies.push_back(r);
}

void Run::reply_reset(const Segment& segment) {
    Reply r;
    const TcpHeader& h = segment.header;
    if (h.flags.ack()) {
        r.flags = TcpFlags::kRst;
        r.seq = h.ack.value;
    } else {
        r.flags = TcpFlags::kRst | TcpFlags::kAck;
        const std::size_t length =
            segment.text.size() + (h.flags.syn() ? 1U : 0U) + (h.flags.fin() ? 1U : 0U);
        r.ack = h.seq.value + static_cast<std::uint32_t>(length);
    }
    out.replies.push_back(r);
}

void Run::end(Signal signal) {
    b.state = State::closed;
    out.signal = signal;
    owed = Owed::nothing;
    b.unsent.clear();
    b.held.clear();
}

void Run::transmit() {
    if (!may_transmit(b.state) || b.una == b.iss) {
        return;
    }
    const auto left = [&] { return static_cast<std::int64_t>(b.unsent.size()); };
    const auto usable = [&] { return std::max<std::int64_t>(b.una + b.wnd - b.nxt, 0); };
    while (left() > 0) {
        // §3.8.6.2.1: a full segment; or all there is and nothing in flight or no Nagle (the model's users
        // have set that off); or half of the greatest window.
        const std::int64_t length = std::min({left(), usable(), b.mss});
        const bool full = length == b.mss;
        const bool all = left() <= usable();
        const bool half = length > 0 && length >= b.max_wnd / 2;
        if (!full && !all && !half) {
            break;
        }
        const bool fin = b.fin_wanted && length == left() && length < usable();
        std::uint16_t flags = TcpFlags::kAck;
        if (fin) {
            flags |= TcpFlags::kFin;
        }
        reply(flags, b.nxt, static_cast<std::size_t>(length));
        owed = Owed::nothing;  // it rides on the data (§3.10.7.4, seventh)
        b.unsent.erase(0, static_cast<std::size_t>(length));
        b.nxt += length + (fin ? 1 : 0);
        b.fin_sent = b.fin_sent || fin;
    }
    if (b.fin_wanted && !b.fin_sent && left() == 0 && usable() > 0) {
        reply(TcpFlags::kFin | TcpFlags::kAck, b.nxt, 0);
        owed = Owed::nothing;
        b.nxt += 1;
        b.fin_sent = true;
    }
}

unsigned Run::timers(bool delayed) const {
    if (b.state == State::closed || b.state == State::listen) {
        return 0;
    }
    if (b.state == State::time_wait) {
        return Timers::kTimeWait;  // §3.10.7.4, eighth: "turn off the other timers"
    }
    unsigned running = 0;
    if (b.una < b.nxt) {
        running |= Timers::kRetransmission;  // RFC 6298 §5
    } else if (may_transmit(b.state) && (!b.unsent.empty() || (b.fin_wanted && !b.fin_sent))) {
        running |= Timers::kPersist;  // §3.8.6.1, and the override of §3.8.6.2.1
    }
    if (delayed) {
        running |= Timers::kDelayedAck;
    }
    if (b.keepalive && is_synchronized(b.state)) {
        running |= Timers::kKeepalive;  // §3.8.4
    }
    if (b.user_gone && b.state == State::fin_wait_2) {
        running |= Timers::kFinWait2;  // Linux tcp_fin_timeout
    }
    return running;
}

Outcome Run::finish() {
    transmit();
    bool delayed = false;
    if (owed == Owed::may_wait) {
        delayed = choices.take("RFC 9293 §3.8.6.3, SHLD-18: the ACK may wait");
        owed = delayed ? Owed::nothing : Owed::now;
    }
    if (owed == Owed::now) {
        reply(TcpFlags::kAck, b.nxt, 0);
    }
    out.timers = timers(delayed);
    out.next = std::move(b);
    return std::move(out);
}

}  // namespace runnel::model
