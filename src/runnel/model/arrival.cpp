// SEGMENT ARRIVES with a synchronised peer, first to fifth step (RFC 9293 §3.10.7.4): sequence number, RST,
// SYN and ACK, with the mitigations of RFC 5961 and PAWS of RFC 7323.
#include "runnel/model/arrival.hpp"

#include <algorithm>

namespace runnel::model {

namespace {

/// Milliseconds that Runnel's profile modern takes for a delay.
constexpr std::uint32_t kLate = 250;

bool is_older(std::uint32_t value, std::uint32_t than) {
    const std::uint32_t behind = than - value;  // modulo 2^32
    return behind != 0 && behind < 0x8000'0000U;
}

/// The four cases of §3.10.7.4, first.
bool in_window(const Block& b, const Arrived& s) {
    const Number wnd = b.edge - b.rcv_nxt;
    const auto inside = [&](Number n) { return b.rcv_nxt <= n && n < b.edge; };
    if (s.length() == 0) {
        return wnd == 0 ? s.seq == b.rcv_nxt : inside(s.seq);
    }
    return wnd > 0 && (inside(s.seq) || inside(s.end() - 1));
}

/// §3.10.7.4 leaves some segments at the window's edges open; true lets this one in.
bool let_in(Run& run, Arrived& s) {
    const Block& b = run.b;
    if (in_window(b, s)) {
        return true;
    }
    if (b.edge == b.rcv_nxt && s.length() > 0 && s.seq <= b.rcv_nxt && s.end() > b.rcv_nxt) {
        // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to
        // accept valid ACKs, URGs, and RSTs." MUST-66 makes that binding for RST and URG.
        const bool at_edge = s.seq == b.rcv_nxt;
        if (at_edge || run.choices.take("Linux: an ACK that overlaps a closed window counts")) {
            s.window_closed = true;
            return true;
        }
        return false;
    }
    if (s.seq < b.rcv_nxt && s.end() > b.edge) {
        // The two tests of §3.10.7.4 look at a segment's ends only; this one covers the whole window.
        return run.choices.take("Linux: a segment that covers the whole window is acceptable");
    }
    if (s.length() == 0 && s.seq == b.edge) {
        return run.choices.take("Linux: an empty segment at the right edge is acceptable");
    }
    return false;
}

/// The peer's SYN again in SYN-RECEIVED. True when the rest of the segment is to be looked at.
bool repeated_syn(Run& run, Arrived& s, bool acceptable) {
    Block& b = run.b;
    if (run.choices.take("Linux: a repeated SYN gets the SYN,ACK again")) {
        run.reply(TcpFlags::kSyn | TcpFlags::kAck, b.iss, 0);
        return false;
    }
    // §3.10.7.4, first: "trimming off any portions that lie outside the window (including SYN and FIN)". Of
    // a SYN,ACK that leaves the ACK: message 6 of figure 7.
    const bool useful = acceptable || (s.header.flags.ack() && s.ack == b.nxt);
    if (useful && run.choices.take("RFC 9293 §3.5, figure 7: the SYN is cut off, its ACK counts")) {
        s.syn = false;
        s.seq += 1;
        return true;
    }
    if (!acceptable) {
        run.owe_ack();
        return false;
    }
    return true;
}

bool check_sequence(Run& run, Arrived& s) {
    Block& b = run.b;
    const auto& stamps = s.header.options.timestamps;
    // RFC 7323 §5.3 R1.
    const bool older =
        b.timestamps && stamps && !s.header.flags.rst() && is_older(stamps->value, b.ts_recent);
    const bool late = older && b.ts_recent - stamps->value <= kLate &&
                      run.choices.take("Runnel: one that is a little older was overtaken");
    if (older && !late) {
        run.owe_ack();
        return false;
    }
    const bool acceptable = let_in(run, s);
    if (s.header.flags.rst()) {
        return acceptable;
    }
    if (s.window_closed) {
        // It is still not acceptable: an ACK is due, and its text will not be taken. After the peer's FIN
        // there is no text to be taken anyway.
        const bool ignored = is_synchronized(b.state) && !takes_text(b.state) &&
                             s.header.flags.ack() &&
                             run.choices.take("RFC 9293 §3.10.7.4, seventh: text here is ignored");
        if (!ignored) {
            run.owe_ack();
        }
    }
    if (b.state == State::syn_received && s.syn && s.seq == b.irs) {
        return repeated_syn(run, s, acceptable);
    }
    if (!acceptable) {
        run.owe_ack();
        return false;
    }
    return true;
}

/// RFC 7323 §4.3 (2), §5.3 R3.
void remember_timestamp(Block& b, const Arrived& s) {
    const auto& stamps = s.header.options.timestamps;
    if (b.timestamps && stamps && !is_older(stamps->value, b.ts_recent) &&
        s.seq <= b.last_ack_sent) {
        b.ts_recent = stamps->value;
    }
}

bool check_reset(Run& run, const Arrived& s) {
    Block& b = run.b;
    if (!s.header.flags.rst()) {
        return true;
    }
    if (b.state == State::time_wait && run.choices.take("RFC 1337 §3: TIME-WAIT ignores a RST")) {
        return false;
    }
    // RFC 5961 §3.2: outside of the window, silence; exactly at RCV.NXT, reset; elsewhere, a challenge.
    if (s.seq != b.rcv_nxt) {
        if (b.rcv_nxt < s.seq && s.seq < b.edge) {
            run.owe_ack();
        }
        return false;
    }
    switch (b.state) {
        case State::syn_received:
            if (b.passive) {
                run.end(Signal::none);
                b.state = State::listen;
            } else {
                run.end(Signal::refused);
            }
            break;
        case State::closing:
        case State::last_ack:
        case State::time_wait: run.end(Signal::none); break;
        default: run.end(Signal::reset); break;
    }
    return false;
}

bool check_syn(Run& run, const Arrived& s) {
    if (!s.syn) {
        return true;
    }
    if (run.b.state == State::syn_received && run.b.passive) {
        run.end(Signal::none);
        run.b.state = State::listen;
        return false;
    }
    run.owe_ack();  // RFC 5961 §4.2, whatever its number
    return false;
}

/// §3.10.7.4, fifth, "the send window should be updated".
void update_window(Run& run, const Arrived& s, bool advances) {
    Block& b = run.b;
    const auto newer = [&](Number seq) { return b.wl1 < seq || (b.wl1 == seq && b.wl2 <= s.ack); };
    bool update = newer(s.seq);
    const Number cut = std::max(s.seq, b.rcv_nxt);
    if (newer(cut) != update) {
        // "It is assumed that the segment is the idealized segment that begins at RCV.NXT", which one
        // "could" make by trimming: SEG.SEQ before or after that.
        if (run.choices.take("RFC 9293 §3.10.7.4: SEG.SEQ after trimming")) {
            update = newer(cut);
        }
    }
    // An ACK that advances SND.UNA is newer than any before, whatever its SEG.SEQ: SND.WND, an offset from
    // SND.UNA, would otherwise promise what the peer never has.
    if (!update && advances &&
        run.choices.take("RFC 9293 §3.10.7.4: an advancing ACK brings its window")) {
        update = true;
    }
    if (update) {
        const unsigned scale = s.header.flags.syn() ? 0 : b.send_scale;
        b.wnd = Number{s.header.window} << scale;
        b.max_wnd = std::max(b.max_wnd, b.wnd);
        b.wl1 = s.seq;
        b.wl2 = s.ack;
    }
}

/// TIME-WAIT: "The only thing that can arrive in this state is a retransmission of the remote FIN.
/// Acknowledge it, and restart the 2 MSL timeout."
void time_wait_answer(Run& run, const Arrived& s) {
    if (s.header.flags.fin() ||
        run.choices.take("RFC 9293 §3.10.7.4, fifth: TIME-WAIT acknowledges what arrives")) {
        run.owe_ack();
    }
}

bool check_ack(Run& run, const Segment& segment, const Arrived& s) {
    Block& b = run.b;
    if (!s.header.flags.ack()) {
        return false;
    }
    if (b.state == State::syn_received) {
        if (s.ack <= b.una || s.ack > b.nxt) {
            run.reply_reset(segment);
            return false;
        }
        b.state = State::established;
        const unsigned scale = s.header.flags.syn() ? 0 : b.send_scale;
        b.wnd = Number{s.header.window} << scale;
        b.max_wnd = std::max(b.max_wnd, b.wnd);
        b.wl1 = s.seq;
        b.wl2 = s.ack;
        if (b.fin_wanted) {
            b.state = State::fin_wait_1;
        }
    }
    if (b.state == State::time_wait) {
        time_wait_answer(run, s);
        return false;
    }
    // RFC 5961 §5.2: older than anything that may be on its way.
    if (s.ack > b.nxt || s.ack < b.una - b.max_wnd) {
        run.owe_ack();
        return false;
    }
    if (s.ack < b.una) {
        return true;
    }
    const bool advances = s.ack > b.una;
    b.una = s.ack;
    update_window(run, s, advances);
    const bool fin_acknowledged = b.fin_sent && b.una == b.nxt;
    switch (b.state) {
        case State::fin_wait_1:
            if (fin_acknowledged) {
                b.state = State::fin_wait_2;
            }
            return true;
        case State::closing:
            if (fin_acknowledged) {
                b.state = State::time_wait;
            }
            return false;
        case State::last_ack:
            if (fin_acknowledged) {
                run.end(Signal::none);
                return false;
            }
            return true;
        default: return true;
    }
}

/// RFC 9293 §3.6.1 (MAY-2) and RFC 6191 §2: a SYN that is certainly newer than the connection that waits.
bool reopens(Run& run, const Segment& segment) {
    const Block& b = run.b;
    const TcpHeader& h = segment.header;
    if (b.state != State::time_wait || !b.listening || !h.flags.syn() || h.flags.rst() ||
        h.flags.ack()) {
        return false;
    }
    const Number seq = unwrap_number(h.seq.value, b.rcv_nxt);
    bool newer = seq > b.rcv_nxt;
    if (b.timestamps && h.options.timestamps && h.options.timestamps->value != b.ts_recent) {
        newer = !is_older(h.options.timestamps->value, b.ts_recent);
    }
    return newer && run.choices.take("RFC 9293 §3.6.1, MAY-2: a new SYN reopens TIME-WAIT");
}

}  // namespace

void arrives_otherwise(Run& run, const Segment& segment) {
    const TcpHeader& h = segment.header;
    Arrived s{h,
              unwrap_number(h.seq.value, run.b.rcv_nxt),
              unwrap_number(h.ack.value, run.b.una),
              segment.text,
              h.flags.syn(),
              h.flags.fin()};
    s.number = s.seq;
    if (!check_sequence(run, s)) {
        return;
    }
    remember_timestamp(run.b, s);
    if (!check_reset(run, s) || !check_syn(run, s) || !check_ack(run, segment, s)) {
        return;
    }
    take_urgent(run, s);
    if (take_text(run, s)) {
        take_fin(run, s);
    }
}

Outcomes segment_arrives(const Block& block, const Segment& segment) {
    return explore([&](Choices& choices) {
        Run run(block, choices);
        switch (block.state) {
            case State::closed: arrives_closed(run, segment); break;
            case State::listen: arrives_listen(run, segment); break;
            case State::syn_sent: arrives_syn_sent(run, segment); break;
            default:
                if (reopens(run, segment)) {
                    Block fresh;
                    fresh.state = State::listen;
                    fresh.timestamps = segment.header.options.timestamps.has_value();
                    fresh.next_iss = block.next_iss;
                    fresh.listening = true;
                    run.b = fresh;
                    arrives_listen(run, segment);
                } else {
                    arrives_otherwise(run, segment);
                }
                break;
        }
        return run.finish();
    });
}

}  // namespace runnel::model
