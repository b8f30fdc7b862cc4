#include "bench.hpp"

#include <map>

namespace runnel::matrix {

using tcp::ConnectionStatus;

std::string_view name_of(Row row) {
    static constexpr std::string_view kNames[kRows] = {"CLOSED",
                                                       "LISTEN",
                                                       "SYN-SENT",
                                                       "SYN-RECEIVED (passive)",
                                                       "SYN-RECEIVED (active)",
                                                       "ESTABLISHED",
                                                       "FIN-WAIT-1",
                                                       "FIN-WAIT-2",
                                                       "CLOSE-WAIT",
                                                       "CLOSING",
                                                       "LAST-ACK",
                                                       "TIME-WAIT",
                                                       "TIME-WAIT (listener)"};
    return kNames[static_cast<std::size_t>(row)];
}

bool Variant::has(Row row) const {
    const bool texts = row == Row::established || row == Row::fin_wait_1 || row == Row::fin_wait_2;
    const bool early = row < Row::established;
    const bool time_wait = row == Row::time_wait || row == Row::time_wait_listening;
    if (held) {
        return texts && !(queued && row == Row::fin_wait_2);
    }
    if (queued) {
        return !early && row != Row::fin_wait_2 && !time_wait;
    }
    if (user_gone) {
        return row >= Row::fin_wait_1 && row != Row::close_wait && !time_wait;
    }
    return !window_zero || !early;
}

std::string stream(std::uint32_t from, std::size_t length) {
    std::string text(length, '\0');
    for (std::size_t i = 0; i < length; ++i) {
        text[i] = static_cast<char>('a' + (from + static_cast<std::uint32_t>(i)) % 23);
    }
    return text;
}

std::string describe(const model::Reply& reply) {
    std::string text;
    const std::pair<std::uint16_t, char> names[] = {{TcpFlags::kSyn, 'S'},
                                                    {TcpFlags::kFin, 'F'},
                                                    {TcpFlags::kRst, 'R'},
                                                    {TcpFlags::kAck, 'A'},
                                                    {TcpFlags::kUrg, 'U'}};
    for (const auto& [bit, name] : names) {
        if ((reply.flags & bit) != 0) {
            text += name;
        }
    }
    text += " seq " + std::to_string(reply.seq);
    if ((reply.flags & TcpFlags::kAck) != 0) {
        text += " ack " + std::to_string(reply.ack);
    }
    if (reply.length > 0) {
        text += " len " + std::to_string(reply.length);
    }
    if (reply.echo) {
        text += " tsecr " + std::to_string(*reply.echo);
    }
    return text;
}

tcp::TcpConfig Bench::config_of(const Variant& variant) {
    tcp::TcpConfig config;
    config.timestamps = variant.timestamps;
    config.super_segments = false;
    if (!variant.quick_acks) {
        config.quick_acks = 0;
    }
    return config;
}

tcp::ConnectionOptions Bench::options() const {
    tcp::ConnectionOptions options;
    options.no_delay = true;
    options.urgent_inline = true;  // RFC 6093: the octet stays in the stream, as RFC 9293 has it
    options.keepalive = variant_.keepalive;
    options.receive_buffer = variant_.window_zero ? kSmallWindow : kWindow;
    return options;
}

/// The ISN is a hash plus a clock of 4 µs: the start of the clock chooses it.
Instant Bench::start_of(const Variant& variant) {
    static std::map<bool, Instant> starts;
    const auto known = starts.find(variant.wrap);
    if (known != starts.end()) {
        return known->second;
    }
    Workshop workshop;
    const Instant begin{seconds(1000).ns};
    tcp::Stack probe(workshop.pool, workshop.recorder, config_of(variant), SipKey{1, 2});
    const FourTuple tuple{{IpAddress::v4(0x0a000001), 1000}, {IpAddress::v4(0x0a000002), 2000}};
    (void)probe.connect(tuple.local, tuple.remote, 1500, {}, begin);
    tcp::OutgoingSegment out;
    (void)probe.poll_transmit(begin, out);
    const std::uint32_t wanted = variant.wrap ? 0xffff'fe00U : 0x1000'0000U;
    const std::uint32_t ticks = wanted - out.header.seq.value;
    const Instant start = begin + microseconds(4) * ticks;
    starts.emplace(variant.wrap, start);
    return start;
}

Bench::Bench(Workshop& workshop, Row row, const Variant& variant)
    : row_(row),
      variant_(variant),
      workshop_(workshop),
      stack_(workshop.pool, workshop.recorder, config_of(variant), SipKey{1, 2}),
      now_(start_of(variant)),
      peer_iss_(variant.wrap ? 0xffff'f600U : 0x3000'0000U) {}

void Bench::arrives(const TcpHeader& header, std::string_view text) {
    tcp::ArrivingSegment a;
    a.tuple = tuple_;
    a.header = header;
    a.header.source_port = tuple_.remote.port;
    a.header.destination_port = tuple_.local.port;
    a.payload_size = static_cast<std::uint32_t>(text.size());
    if (!text.empty()) {
        a.payload.push_back(workshop_.pool.copy(as_bytes(text)));
    }
    stack_.on_segment(std::move(a), now_);
}

void Bench::peer(unsigned flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t window,
                 std::string_view text) {
    TcpHeader header;
    header.flags.bits = static_cast<std::uint16_t>(flags);
    header.seq = SeqNum{peer_iss_} + seq;
    header.ack = SeqNum{our_iss_} + ack;
    const bool syn = (flags & TcpFlags::kSyn) != 0;
    const unsigned scale = variant_.timestamps && !syn ? 2 : 0;
    header.window = static_cast<std::uint16_t>(window >> scale);
    if (syn) {
        header.options.mss = static_cast<std::uint16_t>(kPeerMss);
    }
    if (variant_.timestamps) {
        header.options.timestamps = TcpTimestamps{kPeerStamp, 0};
        if (syn) {
            header.options.window_scale = std::uint8_t{2};
        }
    }
    arrives(header, text);
    const std::uint32_t acknowledged = (flags & TcpFlags::kAck) != 0 ? ack : 0;
    if (acknowledged > wl2_ || seq > wl1_ || (seq == wl1_ && acknowledged >= wl2_)) {
        wl1_ = seq;
        wl2_ = acknowledged;
    }
    max_wnd_ = std::max<std::uint64_t>(max_wnd_, window);
}

std::vector<model::Reply> Bench::sent() {
    std::vector<model::Reply> all;
    tcp::OutgoingSegment out;
    while (all.size() < 100 && stack_.poll_transmit(now_, out)) {
        const TcpHeader& h = out.header;
        model::Reply r;
        r.flags = static_cast<std::uint16_t>(h.flags.bits & ~TcpFlags::kPsh);
        r.seq = h.seq.value;
        r.ack = h.flags.ack() ? h.ack.value : 0;
        r.length = out.payload_size;
        if (h.options.timestamps && h.flags.ack()) {
            r.echo = h.options.timestamps->echo;
        }
        if (h.flags.syn() && our_iss_ == 0) {
            our_iss_ = h.seq.value;
        }
        all.push_back(r);
    }
    return all;
}

void Bench::open_actively() {
    connection_ =
        stack_.connect(tuple_.local, tuple_.remote, 1500, options(), now_).value_or(connection_);
    (void)sent();
}

void Bench::open_passively() {
    listener_ = stack_.listen(tuple_.local, false, 10, options()).value_or(listener_);
    peer(TcpFlags::kSyn, 0, 0, variant_.queued ? 700 : kPeerWindow);
    (void)sent();
}

/// From the last message of the handshake on: the peer has sent text, ours is in flight.
void Bench::exchange() {
    const std::uint32_t window = variant_.queued ? 700 : kPeerWindow;
    if (row_ == Row::time_wait_listening) {
        open_passively();
        peer(TcpFlags::kAck, 1, 1, window);
        connection_ = stack_.accept(listener_, now_).value_or(connection_);
    } else {
        open_actively();
        peer(TcpFlags::kSyn | TcpFlags::kAck, 0, 1, window);
    }
    (void)sent();
    const std::uint32_t size = variant_.window_zero ? kSmallWindow : 600;
    peer(TcpFlags::kAck, 1, 1, window, stream(peer_iss_ + 1, size));
    peer_nxt_ = 1 + size;
    (void)sent();
    if (!variant_.window_zero) {
        std::byte octets[1000];
        (void)stack_.receive(connection_, octets, {}, now_);
        (void)sent();
    }
    const std::string ours(1000, 'd');
    (void)stack_.send(connection_, as_bytes(ours), {}, now_);
    (void)sent();
    acked_ = 1;
    if (variant_.held) {
        peer(TcpFlags::kAck, peer_nxt_ + 20, 1, window, stream(peer_iss_ + peer_nxt_ + 20, 30));
        (void)sent();
    }
}

void Bench::stop_sending() {
    if (variant_.user_gone) {
        stack_.close(connection_, now_);
    } else {
        (void)stack_.shutdown_send(connection_, now_);
    }
    (void)sent();
}

bool Bench::reach() {
    const unsigned fin = TcpFlags::kFin | TcpFlags::kAck;
    switch (row_) {
        case Row::closed:
        case Row::count_: our_iss_ = 0x1000'0000U; return true;
        case Row::listen:
            listener_ = stack_.listen(tuple_.local, false, 10, options()).value_or(listener_);
            our_iss_ = 0x1000'0000U;
            return true;
        case Row::syn_sent: open_actively(); return true;
        case Row::syn_received_passive: open_passively(); return true;
        case Row::syn_received_active:
            open_actively();
            peer(TcpFlags::kSyn, 0, 0, kPeerWindow);
            (void)sent();
            return true;
        default: exchange(); break;
    }
    const std::uint32_t window = variant_.queued ? 700 : kPeerWindow;
    if (row_ == Row::close_wait || row_ == Row::last_ack) {
        peer(fin, peer_nxt_, acked_, window);
        peer_nxt_ += 1;
        (void)sent();
    }
    if (row_ != Row::established && row_ != Row::close_wait) {
        stop_sending();
    }
    if (row_ == Row::fin_wait_2 || row_ == Row::time_wait || row_ == Row::time_wait_listening) {
        acked_ = 1002;
        peer(TcpFlags::kAck, peer_nxt_, acked_, window);
        (void)sent();
    }
    if (row_ == Row::closing || row_ == Row::time_wait || row_ == Row::time_wait_listening) {
        peer(fin, peer_nxt_, acked_, window);
        peer_nxt_ += 1;
        (void)sent();
    }
    return true;
}

model::Block Bench::block() {
    static constexpr model::State kStates[kRows] = {
        model::State::closed,       model::State::listen,       model::State::syn_sent,
        model::State::syn_received, model::State::syn_received, model::State::established,
        model::State::fin_wait_1,   model::State::fin_wait_2,   model::State::close_wait,
        model::State::closing,      model::State::last_ack,     model::State::time_wait,
        model::State::time_wait};
    model::Block b;
    b.state = kStates[static_cast<std::size_t>(row_)];
    b.passive = row_ == Row::syn_received_passive || row_ == Row::time_wait_listening;
    b.listening = row_ == Row::listen || b.passive;
    b.timestamps = variant_.timestamps;
    b.ts_recent = kPeerStamp;
    b.keepalive = variant_.keepalive;
    b.iss = b.una = b.nxt = b.wl2 = model::first_number(our_iss_);
    b.irs = model::first_number(peer_iss_);
    b.rcv_nxt = b.irs + 1;
    b.edge = b.rcv_nxt + kWindow;
    b.last_ack_sent = b.rcv_nxt;
    b.segment_size = 1460;
    if (row_ == Row::closed || row_ == Row::listen) {
        return b;
    }
    stack_.snapshot(snapshot_, now_);
    ConnectionStatus status;
    for (const ConnectionStatus& s : snapshot_) {
        if (s.state != tcp::State::listen) {
            status = s;
        }
    }
    if (const auto own = stack_.status(connection_)) {
        status = *own;
    }
    b.una = model::unwrap_number(status.snd_una, b.iss);
    b.nxt = model::unwrap_number(status.snd_nxt, b.iss);
    if (row_ == Row::syn_sent) {
        return b;
    }
    b.wnd = static_cast<model::Number>(status.snd_wnd);
    b.max_wnd = static_cast<model::Number>(max_wnd_);
    b.rcv_nxt = model::unwrap_number(status.rcv_nxt, b.irs);
    b.edge = b.rcv_nxt + static_cast<model::Number>(status.rcv_wnd);
    b.last_ack_sent = b.rcv_nxt;
    b.send_scale = variant_.timestamps ? 2 : 0;
    b.mss = kPeerMss - (variant_.timestamps ? 12 : 0);
    b.wl1 = b.irs + wl1_;
    b.wl2 = b.iss + wl2_;
    b.fin_wanted = row_ >= Row::fin_wait_1 && row_ != Row::close_wait;
    b.fin_sent = b.fin_wanted && !variant_.queued;
    b.fin_received = row_ >= Row::close_wait;
    if (b.fin_received) {
        b.fin_at = b.rcv_nxt - 1;
    }
    if (row_ >= Row::established) {
        const auto transmitted = b.nxt - b.iss - 1 - (b.fin_sent ? 1 : 0);
        b.unsent.assign(static_cast<std::size_t>(1000 - transmitted), 'd');
        b.user_gone = variant_.user_gone && b.fin_wanted;
    }
    if (variant_.window_zero) {
        b.unread = stream(peer_iss_ + 1, kSmallWindow);
    }
    if (variant_.held) {
        b.held.emplace(b.rcv_nxt + 20, stream(peer_iss_ + peer_nxt_ + 20, 30));
    }
    return b;
}

namespace {

/// The sockets' answers in the RFC's words.
model::Signal signal_of(Errc error) {
    switch (error) {
        case Errc::ok: return model::Signal::ok;
        case Errc::would_block: return model::Signal::waits;
        case Errc::address_in_use: return model::Signal::exists;
        case Errc::bad_descriptor: return model::Signal::no_connection;
        case Errc::broken_pipe:
        case Errc::not_connected: return model::Signal::closing;
        default: return model::Signal::none;
    }
}

}  // namespace

model::Signal Bench::call(model::Call call, std::string_view text) {
    const bool listener = row_ == Row::listen;
    switch (call) {
        case model::Call::open_active: {
            const auto opened = stack_.connect(tuple_.local, tuple_.remote, 1500, options(), now_);
            if (!opened.has_value()) {
                return signal_of(opened.error());
            }
            connection_ = *opened;
            return model::Signal::ok;
        }
        case model::Call::open_passive: {
            const auto opened = stack_.listen(tuple_.local, false, 10, options());
            return opened.has_value() ? model::Signal::ok : signal_of(opened.error());
        }
        case model::Call::send: {
            const auto got = stack_.send(connection_, as_bytes(text), {}, now_);
            return got.has_value() ? model::Signal::ok : signal_of(got.error());
        }
        case model::Call::receive: {
            std::byte octets[8192];
            const auto got = stack_.receive(connection_, octets, {}, now_);
            if (!got.has_value()) {
                return signal_of(got.error());
            }
            read_.assign(reinterpret_cast<const char*>(octets), *got);
            return *got == 0 ? model::Signal::closing : model::Signal::ok;
        }
        case model::Call::close: {
            if (listener) {
                stack_.close_listener(listener_, now_);
                return model::Signal::ok;
            }
            const Status closed = stack_.shutdown_send(connection_, now_);
            return closed.has_value() ? model::Signal::ok : signal_of(closed.error());
        }
        case model::Call::close_both:
        case model::Call::abort: {
            let_go_ = true;
            const bool known = listener || stack_.options(connection_) != nullptr;
            if (listener) {
                stack_.close_listener(listener_, now_);
            } else if (call == model::Call::abort) {
                stack_.abort(connection_, now_);
            } else {
                stack_.close(connection_, now_);
            }
            return known ? model::Signal::ok : model::Signal::no_connection;
        }
        default: {
            if (listener) {
                return model::Signal::ok;
            }
            const auto status = stack_.status(connection_);
            return status.has_value() ? model::Signal::ok : model::Signal::no_connection;
        }
    }
}

Observed Bench::observe() {
    Observed o;
    o.replies = sent();
    stack_.snapshot(snapshot_, now_);
    for (const ConnectionStatus& s : snapshot_) {
        if (s.state == tcp::State::listen) {
            o.listener = true;
            continue;
        }
        o.there = true;
        // The two enums are written apart; both follow RFC 9293 §3.3.2.
        o.state = static_cast<model::State>(s.state);
        o.una = s.snd_una;
        o.nxt = s.snd_nxt;
        o.wnd = s.snd_wnd;
        o.rcv_nxt = s.rcv_nxt;
        o.edge = s.rcv_nxt + static_cast<std::uint32_t>(s.rcv_wnd);
        const std::pair<tcp::Timer, unsigned> timers[] = {
            {tcp::Timer::retransmit, model::Timers::kRetransmission},
            {tcp::Timer::persist, model::Timers::kPersist},
            {tcp::Timer::delayed_ack, model::Timers::kDelayedAck},
            {tcp::Timer::keepalive, model::Timers::kKeepalive},
            {tcp::Timer::fin_wait_2, model::Timers::kFinWait2},
            {tcp::Timer::time_wait, model::Timers::kTimeWait}};
        for (const auto& [timer, bit] : timers) {
            if ((s.timers & (1U << static_cast<unsigned>(timer))) != 0) {
                o.timers |= bit;
            }
        }
    }
    if (connection_.is_none() && !listener_.is_none()) {
        connection_ = stack_.accept(listener_, now_).value_or(connection_);
    }
    if (stack_.options(connection_) == nullptr || variant_.user_gone || let_go_) {
        return o;
    }
    o.has_reader = true;
    o.text = read_;
    o.error = stack_.take_error(connection_);
    o.urgent = (stack_.readiness(connection_).bits & tcp::Readiness::kUrgent) != 0;
    std::byte octets[8192];
    for (int i = 0; i < 10; ++i) {
        const auto got = stack_.receive(connection_, octets, {}, now_);
        if (!got.has_value() || *got == 0) {
            o.readable_end = got.has_value();
            break;
        }
        o.text.append(reinterpret_cast<const char*>(octets), *got);
    }
    return o;
}

}  // namespace runnel::matrix
