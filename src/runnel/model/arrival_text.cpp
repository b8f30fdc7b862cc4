// SEGMENT ARRIVES, sixth to eighth step (RFC 9293 §3.10.7.4): the urgent pointer, the text, the FIN, and the
// reassembly of what came out of order.
#include <algorithm>

#include "runnel/model/arrival.hpp"

namespace runnel::model {

namespace {

/// Holds [from, from + text) octet by octet range: what is held already stays.
void hold(Block& b, Number from, std::string_view text) {
    Number at = from;
    while (!text.empty()) {
        // Skip what a piece at or before `at` covers, then take up to the next piece.
        auto after = b.held.upper_bound(at);
        if (after != b.held.begin()) {
            const auto before = std::prev(after);
            const Number covered = before->first + static_cast<Number>(before->second.size()) - at;
            if (covered > 0) {
                const auto skip =
                    std::min<std::size_t>(static_cast<std::size_t>(covered), text.size());
                text.remove_prefix(skip);
                at += static_cast<Number>(skip);
                continue;
            }
        }
        std::size_t take = text.size();
        if (after != b.held.end()) {
            take = std::min<std::size_t>(take, static_cast<std::size_t>(after->first - at));
        }
        b.held.emplace(at, std::string(text.substr(0, take)));
        text.remove_prefix(take);
        at += static_cast<Number>(take);
    }
}

/// Hands to the user what is now contiguous with RCV.NXT.
void deliver(Run& run) {
    Block& b = run.b;
    while (!b.held.empty() && b.held.begin()->first == b.rcv_nxt) {
        const std::string& piece = b.held.begin()->second;
        b.rcv_nxt += static_cast<Number>(piece.size());
        run.out.delivered += piece;
        b.unread += piece;
        b.held.erase(b.held.begin());
    }
}

}  // namespace

void take_urgent(Run& run, const Arrived& s) {
    Block& b = run.b;
    if (!s.header.flags.urg() || !takes_text(b.state)) {
        return;
    }
    // MUST-62: the pointer names the octet after the urgent data.
    const Number up = s.number + s.header.urgent_pointer;
    if (up > b.rcv_nxt && (!b.urgent || up > *b.urgent)) {
        b.urgent = up;
        run.out.urgent = true;  // MUST-32
    }
}

bool take_text(Run& run, const Arrived& s) {
    Block& b = run.b;
    if (s.text.empty() || !takes_text(b.state)) {
        return true;
    }
    if (b.user_gone && s.seq + static_cast<Number>(s.text.size()) > b.rcv_nxt) {
        // RFC 9293 §3.6.1, SHLD-3: data that nobody will read is answered by a RST, with the number that its
        // sender waits for (§3.5.2, group 3).
        run.reply(TcpFlags::kRst, s.ack, 0);
        run.end(Signal::none);
        return false;
    }
    // Cut to the window, and to what may come before a FIN.
    Number from = s.seq;
    std::string_view text = s.text;
    if (from < b.rcv_nxt) {
        const auto old =
            std::min<std::size_t>(static_cast<std::size_t>(b.rcv_nxt - from), text.size());
        text.remove_prefix(old);
        from += static_cast<Number>(old);
    }
    const Number last = b.fin_at ? std::min(b.edge, *b.fin_at) : b.edge;
    text = text.substr(0, static_cast<std::size_t>(std::clamp<Number>(
                              last - from, 0, static_cast<Number>(text.size()))));
    if (text.empty()) {
        run.owe_ack();  // nothing of it was taken: the peer must hear where we stand
        return true;
    }
    const bool gap_before = !b.held.empty();
    hold(b, from, text);
    if (from > b.rcv_nxt) {
        run.owe_ack();  // RFC 5681 §4.2: an immediate duplicate ACK
        return true;
    }
    const Number before = b.rcv_nxt;
    deliver(run);
    // RFC 5681 §4.2: at once when a gap was filled in part or wholly, and for every second full segment.
    const bool second =
        before > b.last_ack_sent && b.rcv_nxt - b.last_ack_sent >= 2 * b.segment_size;
    if (gap_before || second) {
        run.owe_ack();
    } else {
        run.owed = Owed::may_wait;
    }
    return true;
}

void take_fin(Run& run, const Arrived& s) {
    Block& b = run.b;
    if (!takes_text(b.state)) {
        return;
    }
    const Number at = s.seq + static_cast<Number>(s.text.size());
    if (s.fin && at >= b.rcv_nxt) {
        const Number held_end =
            b.held.empty()
                ? at
                : b.held.rbegin()->first + static_cast<Number>(b.held.rbegin()->second.size());
        // Text beyond it has come, or another FIN: one of the two is a lie. §3.10.7.4, eighth: a FIN at
        // RCV.NXT is taken, whatever has been claimed of numbers beyond it.
        const bool contradicted = at > b.rcv_nxt && (held_end > at || b.fin_at);
        bool fits = at < b.edge;
        if (at == b.edge) {
            // The FIN's own number is the first beyond the window.
            fits = run.choices.take("Linux: a FIN at the right edge needs no window");
        }
        if (fits && !contradicted) {
            b.fin_at = at;
        }
        // RFC 5681 §4.2: an ACK at once for what is out of order.
        if ((fits && at > b.rcv_nxt) || (!fits && s.window_closed)) {
            run.owe_ack();
        }
    }
    if (!b.fin_at || *b.fin_at != b.rcv_nxt) {
        return;
    }
    b.rcv_nxt += 1;
    b.edge = std::max(b.edge, b.rcv_nxt);
    b.fin_received = true;
    run.owe_ack();
    switch (b.state) {
        case State::established: b.state = State::close_wait; break;
        case State::fin_wait_1:
            // Had our FIN been acknowledged, the fifth step would have made it FIN-WAIT-2.
            b.state = State::closing;
            break;
        case State::fin_wait_2: b.state = State::time_wait; break;
        default: break;
    }
}

}  // namespace runnel::model
