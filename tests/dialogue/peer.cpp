// The peer's side of a dialogue: mostly what a TCP would say next, at times what only a broken or hostile one says.
#include <algorithm>

#include "dialogue/dialogue.hpp"

namespace runnel::test {

using namespace runnel::tcp;
using F = TcpFlags;

TcpHeader Dialogue::header_of(const Line& here, unsigned flags) {
    TcpHeader header;
    header.source_port = here.tuple.remote.port;
    header.destination_port = here.tuple.local.port;
    header.flags.bits = static_cast<std::uint16_t>(flags);
    header.window = draw_window();
    return header;
}

std::uint16_t Dialogue::draw_window() {
    return of<std::uint16_t>({0, 1, 100, 1000, 8'000, 65'535, 65'535, 65'535, 65'535, 65'535});
}

std::uint32_t Dialogue::near(std::uint32_t low, std::uint32_t high) {
    const std::uint32_t span = high - low;
    switch (pick(12)) {
        case 0:
        case 1:
        case 2:
        case 3: return low;
        case 4:
        case 5: return high;
        case 6: return high + 1;
        case 7: return low - 1;
        case 8: return low - static_cast<std::uint32_t>(pick(3000));
        case 9: return static_cast<std::uint32_t>(random_.next());
        default: return low + static_cast<std::uint32_t>(pick(span + 1ULL));
    }
}

void Dialogue::stamp(const Line& here, TcpHeader& header, bool agreed) {
    if (agreed ? one_in(30) : !one_in(10)) {
        return;
    }
    auto value = static_cast<std::uint32_t>(now_.millis());
    if (one_in(15)) {
        value -= static_cast<std::uint32_t>(pick(100'000));
    }
    const std::uint32_t echo = one_in(12) ? static_cast<std::uint32_t>(random_.next()) : here.shown;
    header.options.timestamps = TcpTimestamps{value, one_in(30) ? 0 : echo};
}

void Dialogue::syn_options(Line& here, TcpHeader& header) {
    if (!one_in(4)) {
        header.options.mss = of<std::uint16_t>({0, 1, 88, 536, 1000, 1460, 1460, 9000, 65'535});
    }
    if (one_in(2)) {
        header.options.window_scale = static_cast<std::uint8_t>(pick(16));
    }
    header.options.sack_permitted = !one_in(3);
    stamp(here, header, one_in(2));
    if (one_in(3)) {
        header.options.fast_open = FastOpenOption{};
        if (here.cookie && !one_in(4)) {
            header.options.fast_open = here.cookie;
        } else if (one_in(3)) {
            header.options.fast_open->size = of<std::uint8_t>({4, 8, 16});
        }
        header.options.fast_open->experimental = one_in(5);
    }
}

void Dialogue::deliver(Line& here, TcpHeader header, std::uint32_t length) {
    ArrivingSegment a;
    a.tuple = here.tuple;
    std::string all(length, '\0');
    for (std::uint32_t i = 0; i < length; ++i) {
        all[i] = static_cast<char>((header.seq.value + i) * 13);
    }
    std::size_t cut = length;
    if (length > 0 && one_in(3)) {
        cut = pick(length);
    }
    for (const std::string_view part :
         {std::string_view(all).substr(0, cut), std::string_view(all).substr(cut)}) {
        if (!part.empty()) {
            a.payload.push_back(frames_.copy(as_bytes(part)));
        }
    }
    if (header.flags.syn() && tcp_options_size(header.options) > 40) {
        header.options.fast_open.reset();
    }
    while (tcp_options_size(header.options) > (here.signs ? 20U : 40U)) {
        if (header.options.sack.empty()) {
            header.options = {};
        } else {
            header.options.sack.pop_back();
        }
    }
    if (here.signs ? !one_in(20) : one_in(80)) {
        sign({here.tuple.remote, here.tuple.local}, header, a.payload, key_);
    }
    header.header_length = static_cast<std::uint8_t>(20 + tcp_options_size(header.options));
    if (here.signs && one_in(30)) {
        header.window ^= 1;  // no longer what was signed
    }
    a.header = header;
    a.payload_size = length;
    a.gso_size = length > 1460 ? of<std::uint16_t>({536, 1460}) : std::uint16_t{0};
    a.traffic_class = of<std::uint8_t>({0, 3});
    a.to_unicast = !one_in(40);
    a.path_mtu = of({1500U, 1500U, 576U, 65'535U});
    digest_.add(stack_->on_segment(std::move(a), now_) ? 1 : 0);
}

void Dialogue::peer_speaks() {
    if (!one_in(4)) {
        drain();
    }
    Line& here = line();
    const ConnectionStatus s = row(here);
    const bool live = s.state != State::closed;
    if (one_in(14)) {
        peer_errs(here, s);
    } else if (!live && current_ >= kServers && !one_in(8)) {
        user_opens(here);  // nobody listens there
    } else if (!live || (s.state == State::time_wait && one_in(2))) {
        peer_opens(here);
    } else if (s.state == State::syn_sent) {
        peer_answers_syn(here, s);
    } else if (s.segments_out > 0 && one_in(5)) {
        peer_reports_loss(here, s);
    } else {
        peer_goes_on(here, s);
    }
}

/// A SYN to a listener, or the ACK of a SYN,ACK that a listener keeps nothing of.
void Dialogue::peer_opens(Line& here) {
    const bool answered = here.heard.flags.syn() && here.heard.flags.ack();
    if (answered && !one_in(3)) {
        TcpHeader third = header_of(here, F::kAck);
        third.seq = here.heard.ack;
        third.ack = here.heard.seq + 1;
        stamp(here, third, here.heard.options.timestamps.has_value());
        deliver(here, third, of({0U, 0U, 10U, 1000U}));
        if (one_in(2)) {
            here.heard = {};
        }
        return;
    }
    TcpHeader syn = header_of(here, F::kSyn);
    here.last_iss += static_cast<std::uint32_t>(pick(200'000));
    syn.seq = SeqNum{here.last_iss};
    syn_options(here, syn);
    deliver(here, syn, of({0U, 0U, 0U, 1U, 500U, 1400U}));
}

void Dialogue::peer_answers_syn(Line& here, const ConnectionStatus& s) {
    const std::uint64_t kind = pick(12);
    const unsigned flags = kind == 0   ? F::kSyn
                           : kind == 1 ? F::kRst | F::kAck
                           : kind == 2 ? F::kSyn | F::kAck | F::kFin
                                       : F::kSyn | F::kAck;
    TcpHeader answer = header_of(here, flags);
    here.last_iss += static_cast<std::uint32_t>(pick(200'000));
    answer.seq = SeqNum{here.last_iss};
    answer.ack = SeqNum{kind == 3 ? s.iss + 1 : kind == 4 ? near(s.iss, s.snd_nxt) : s.snd_nxt};
    syn_options(here, answer);
    if (one_in(2) && !here.heard.options.fast_open) {
        answer.options.fast_open.reset();
    }
    if (here.heard.options.fast_open && answer.options.fast_open) {
        answer.options.fast_open->size = of<std::uint8_t>({0, 8, 8, 16});
        answer.options.fast_open->experimental = here.heard.options.fast_open->experimental;
    }
    deliver(here, answer, of({0U, 0U, 0U, 10U}));
}

/// The next segment of one who follows the rules, or nearly: data, acknowledgements, the end.
void Dialogue::peer_goes_on(Line& here, const ConnectionStatus& s) {
    TcpHeader next = header_of(here, F::kAck);
    next.seq = SeqNum{s.rcv_nxt};
    next.ack = SeqNum{s.snd_nxt};
    const std::uint32_t out = s.snd_nxt - s.snd_una;
    std::uint32_t length = 0;
    switch (pick(16)) {
        case 0:
        case 1:
        case 2:
        case 3: length = of({1U, 100U, 536U, 1000U, 1460U, 1460U, 5000U}); break;
        case 4:  // beyond a gap
            next.seq = next.seq + of({1U, 1460U, 2920U, 10'000U});
            length = of({0U, 1U, 1460U, 4000U});
            break;
        case 5:  // some of it has come before
            next.seq = SeqNum{s.rcv_nxt - of({1U, 50U, 1460U})};
            length = of({1U, 100U, 1460U, 2920U});
            break;
        case 6:
            next.flags.bits |= F::kFin;
            length = of({0U, 0U, 100U});
            next.seq = next.seq + (one_in(5) ? 100 : 0);
            break;
        case 7:
            next.flags.bits |= F::kUrg;
            next.urgent_pointer = static_cast<std::uint16_t>(pick(of({3ULL, 300ULL, 65'536ULL})));
            length = of({0U, 1U, 100U});
            break;
        case 8:
        case 9: next.ack = SeqNum{s.snd_una + static_cast<std::uint32_t>(pick(out + 1ULL))}; break;
        case 10: next.ack = SeqNum{s.snd_una}; break;
        default: break;  // all is acknowledged
    }
    if (length > 0 && one_in(2)) {
        next.flags.bits |= F::kPsh;
    }
    if (one_in(10)) {
        length = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(s.rcv_wnd + of({0U, 1U}), 60'000));  // to the window's edge
    }
    stamp(here, next, s.has_timestamps);
    deliver(here, next, length);
}

/// Something is missing: duplicate ACKs, with SACK where that was agreed on, and at times of what came twice.
void Dialogue::peer_reports_loss(Line& here, const ConnectionStatus& s) {
    const std::uint32_t out = s.snd_nxt - s.snd_una;
    const std::uint32_t left = s.snd_una + static_cast<std::uint32_t>(pick(out + 1ULL));
    const std::uint32_t times = static_cast<std::uint32_t>(1 + pick(6));
    const std::uint16_t window = draw_window();
    for (std::uint32_t i = 1; i <= times; ++i) {
        TcpHeader again = header_of(here, F::kAck);
        again.seq = SeqNum{s.rcv_nxt};
        again.ack = SeqNum{s.snd_una};
        again.window = one_in(10) ? draw_window() : window;
        stamp(here, again, s.has_timestamps);
        if (s.has_sack && one_in(6)) {
            again.options.sack.push_back({{s.snd_una - 500}, {s.snd_una}});
        }
        const std::uint32_t right = left + (s.snd_nxt - left) / times * i;
        if (s.has_sack && right != left) {
            again.options.sack.push_back({{left}, {right}});
        }
        deliver(here, again, 0);
        if (one_in(2)) {
            drain();
        }
    }
}

/// Any flags, any numbers, any options.
void Dialogue::peer_errs(Line& here, const ConnectionStatus& s) {
    constexpr unsigned kAnything = F::kFin | F::kSyn | F::kRst | F::kPsh | F::kAck | F::kUrg;
    TcpHeader odd = header_of(here, static_cast<unsigned>(pick(kAnything + 1)));
    if (one_in(2)) {
        odd.flags.bits = of<std::uint16_t>({F::kRst, F::kSyn, F::kAck, F::kRst | F::kAck});
    }
    odd.seq = SeqNum{near(s.rcv_nxt, s.rcv_nxt + static_cast<std::uint32_t>(s.rcv_wnd))};
    odd.ack = SeqNum{near(s.snd_una, s.snd_nxt)};
    odd.urgent_pointer = static_cast<std::uint16_t>(pick(20));
    if (odd.flags.syn()) {
        syn_options(here, odd);
    } else {
        stamp(here, odd, s.has_timestamps);
    }
    for (std::uint64_t blocks = pick(4); blocks > 0; --blocks) {
        const std::uint32_t left = near(s.snd_una, s.snd_nxt);
        const std::uint32_t right = near(s.snd_una, s.snd_nxt);
        odd.options.sack.push_back({{left}, {right}});
    }
    deliver(here, odd, of({0U, 0U, 1U, 500U, 1460U, 5000U}));
}

/// A good while in which the peer takes and acknowledges everything, or all but a segment.
void Dialogue::bulk() {
    Line& here = line();
    const bool sends = one_in(2);
    for (std::uint64_t rounds = 2 + pick(12); rounds > 0; --rounds) {
        drain();
        look();
        now_ = now_ + milliseconds(static_cast<std::int64_t>(1 + pick(40)));
        stack_->on_timeout(now_);
        const ConnectionStatus s = row(here);
        if (s.state < State::established || s.state == State::time_wait) {
            return;
        }
        TcpHeader next = header_of(here, F::kAck);
        next.seq = SeqNum{s.rcv_nxt};
        next.ack = SeqNum{s.snd_nxt};
        next.window = 65'535;
        stamp(here, next, s.has_timestamps);
        deliver(here, next, sends ? 1460 : 0);
        if (one_in(3)) {
            user_reads(here);
        } else if (one_in(3)) {
            user_writes(here);
        }
    }
}

/// Both sides close, either first or both at once; what the peer has sent is read, and its FIN may come twice.
void Dialogue::orderly_end() {
    Line& here = line();
    std::string into(1 << 20, '\0');
    const auto all = std::as_writable_bytes(std::span(into.data(), into.size()));
    const std::uint64_t first = pick(3);
    for (std::uint64_t i = 0; i < 4; ++i) {
        const ConnectionStatus s = row(here);
        if (s.state < State::established) {
            return;
        }
        (void)stack_->receive(here.handle, all, {}, now_);
        if (i == 0 && first != 1) {
            fold(stack_->shutdown_send(here.handle, now_));
            if (first == 2) {
                drain();
            }
        }
        const bool ends = i > 0 || first != 0;
        TcpHeader next = header_of(here, ends ? F::kAck | F::kFin : F::kAck);
        next.seq = SeqNum{s.rcv_nxt - (s.peer_closed || s.state == State::time_wait ? 1 : 0)};
        next.ack = SeqNum{s.snd_nxt};
        stamp(here, next, s.has_timestamps);
        deliver(here, next, 0);
        if (!one_in(3)) {
            drain();
        }
        if (i > 0 && one_in(2)) {
            stack_->close(here.handle, now_);
        }
        look();
    }
}

void Dialogue::icmp() {
    const ConnectionStatus s = row(line());
    IcmpReport report;
    report.tuple = line().tuple;
    report.quoted_seq = SeqNum{near(s.snd_una, s.snd_nxt)};
    report.hard = one_in(3);
    report.packet_too_big = one_in(2);
    report.mtu = static_cast<std::uint32_t>(pick(2000));
    report.error = of({Errc::host_unreachable, Errc::connection_refused});
    digest_.add(stack_->on_icmp(report, now_) ? 1 : 0);
}

}  // namespace runnel::test
