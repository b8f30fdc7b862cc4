// First to fourth step: is this segment from this connection's present? RFC 9293 §3.10.7.4 with PAWS
// (RFC 7323 §5) and the defences against blind attacks (RFC 5961).
#include <algorithm>
#include <optional>

#include "runnel/tcp/arrival/steps.hpp"

namespace runnel::tcp {

namespace {

/// A timestamp older than this says nothing (RFC 7323 §5.5): the clock may have wrapped.
constexpr Duration kPawsIdle = seconds(24 * 24 * 3600);
/// Two segments of one moment may bear different timestamps (Linux's TCP_PAWS_WINDOW).
constexpr Duration kPawsTick = milliseconds(1);

/// Something has arrived that stands behind this segment: what comes from another life of the connection, or from before
/// the last wrap, would be as old and have none (an ACK without text: it says nothing that is not so).
bool overtaken(const Tcb& tcb, const Segment& segment) {
    if (segment.sequence_length() == 0) {
        return segment.seq == tcb.rcv.nxt;
    }
    return !tcb.reassembler.empty() && segment.end() <= tcb.reassembler.highest();
}

/// RFC 7323 §5.3 R1, 7323-M12; §5.2, 7323-M11: but not for a RST. `tcp_note_late_timestamp` says that it is older, but so
/// little that it was overtaken: by a tick in any case (Linux).
std::optional<Decision> judge_timestamp(const Tcb& tcb, const Segment& segment, Effects& effects) {
    const auto& stamps = segment.header.options.timestamps;
    if (!tcb.options.timestamps || !stamps || segment.flags().rst()) {
        return {};  // RFC 7323 §3.2, 7323-M8: one that lacks it is taken (it SHOULD be dropped; as Linux)
    }
    const auto ahead = static_cast<std::int32_t>(stamps->value - tcb.options.ts_recent);
    // RFC 7323 §5.5, 7323-M13.
    if (ahead >= 0 || effects.now - tcb.options.ts_recent_at >= kPawsIdle) {
        return {};
    }
    const Duration older = milliseconds(-std::int64_t{ahead});
    const bool late =
        older <= effects.config().paws_tolerance && (older <= kPawsTick || overtaken(tcb, segment));
    return late ? Decision::tcp_note_late_timestamp : Decision::tcp_drop_paws;
}

/// The four cases of §3.10.7.4. Where no data comes, the right edge itself is taken as well, and a full
/// window does not hide an ACK or RST at RCV.NXT: the "special allowance" (MUST-66, for URG too), and what Linux does.
bool acceptable(const Tcb& tcb, const Segment& segment) {
    const Seq64 nxt = tcb.rcv.nxt;
    const Seq64 edge = tcb.rcv.right_edge;
    if (segment.sequence_length() == 0) {
        return segment.seq >= nxt && segment.seq <= edge;
    }
    if (segment.end() <= nxt) {
        return false;
    }
    if (edge == nxt) {
        return segment.seq <= nxt && (segment.flags().ack() || segment.flags().rst());
    }
    return segment.seq < edge;
}

/// Owes the ACK that answers a segment out of the window, not more often than the rate limit for those
/// without data (two ends that disagree must not answer each other for ever). A FIN counts as data: it is
/// repeated until it is acknowledged, by its sender's timer and so never for ever.
void answer_unacceptable(Tcb& tcb, const Segment& segment, Decision reason, Effects& effects) {
    // A challenge (RFC 5961 §7) is limited whatever the segment carries.
    const bool has_data = segment.sequence_length() > 0 && !segment.flags().syn() &&
                          reason != Decision::tcp_transmit_challenge_ack;
    const bool limited = tcb.last_invalid_ack != Instant{} &&
                         effects.now - tcb.last_invalid_ack < effects.config().invalid_ack_interval;
    if (!has_data && limited) {
        effects.decide(tcb, Decision::tcp_hold_invalid_ratelimit, segment);
        return;
    }
    if (!has_data) {
        tcb.last_invalid_ack = effects.now;
    }
    tcb.ack.need_now(reason, true);
}

/// The peer's SYN,ACK of a simultaneous open (§3.5, figure 7, message 6): its SYN is old, its ACK completes
/// the handshake. Answering it with our own SYN,ACK would go on for ever.
bool completes_simultaneous_open(const Tcb& tcb, const Segment& segment) {
    return tcb.state == State::syn_received && segment.flags().syn() && segment.flags().ack() &&
           segment.seq == tcb.rcv.irs && segment.end() == tcb.rcv.nxt && segment.ack == tcb.snd.nxt;
}

}  // namespace

void note_duplicate(Tcb& tcb, const Segment& segment) {
    // Octets before the first are no duplicates: nobody has ever sent them, except perhaps in another life.
    const Seq64 begin = std::max(segment.seq, tcb.rcv.irs + 1);
    // RFC 2883 §4.1: tell the sender which octets came twice. Those from RCV.NXT on are not held: whoever
    // reads them as SACK would forget what we have dropped.
    const Seq64 end = std::min(segment.seq + segment.length, tcb.rcv.nxt);
    note_twice(tcb, begin, end);
}

void note_twice(Tcb& tcb, Seq64 begin, Seq64 end) {
    if (!tcb.options.sack || end <= begin) {
        return;
    }
    if (tcb.duplicate_pending) {
        // Several segments before the next ACK: where they join they are told as one, or else a sender who asks
        // whether all that it sent again had arrived would hear of the last one only (RFC 3708 §3).
        const Seq64 left = unwrap(tcb.duplicate.left, begin);
        const Seq64 right = unwrap(tcb.duplicate.right, begin);
        if (begin <= right && left <= end) {
            begin = std::min(begin, left);
            end = std::max(end, right);
        }
    }
    tcb.duplicate = {begin.wire(), end.wire()};
    tcb.duplicate_pending = true;
}

/// RFC 5961, RFC 9293 MAY-12.
void challenge(Tcb& tcb, const Segment& segment, Decision reason, Effects& effects) {
    effects.decide(tcb, reason, segment);
    if (!effects.challenges().allow(effects.now, effects.config())) {
        effects.decide(tcb, Decision::tcp_hold_challenge_limit, segment);
        return;
    }
    answer_unacceptable(tcb, segment, Decision::tcp_transmit_challenge_ack, effects);
}

bool check_sequence(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (const auto older = judge_timestamp(tcb, segment, effects)) {
        effects.decide(tcb, *older, segment);
        if (*older == Decision::tcp_drop_paws) {
            note_duplicate(tcb, segment);
            answer_unacceptable(tcb, segment, Decision::tcp_transmit_ack_unacceptable, effects);
            return false;
        }
    }
    const bool completes = completes_simultaneous_open(tcb, segment);
    // A repeated SYN says that our SYN,ACK was lost: send that again (Linux; an ACK alone would do). One with
    // text reaches into the window, and is no other SYN for that.
    if (tcb.state == State::syn_received && segment.flags().syn() && !segment.flags().rst() &&
        segment.seq == tcb.rcv.irs && !completes) {
        effects.decide(tcb, Decision::tcp_accept_duplicate_syn, segment);
        tcb.retransmission.mark_all_lost();
        return false;
    }
    if (!acceptable(tcb, segment) && !completes) {
        if (segment.flags().rst()) {
            effects.decide(tcb, Decision::tcp_drop_rst_outside_window, segment);
            return false;
        }
        const bool old = segment.end() <= tcb.rcv.nxt;
        effects.decide(tcb,
                       old ? Decision::tcp_drop_old_duplicate : Decision::tcp_drop_beyond_window,
                       segment);
        if (old) {
            note_duplicate(tcb, segment);
            if (segment.end() != segment.seq) {
                tcb.ack.enter_quick(tcb.rcv.wnd(), effects.config());
            }
        }
        answer_unacceptable(tcb, segment, Decision::tcp_transmit_ack_unacceptable, effects);
        return false;
    }
    // RFC 7323 §4.3 (2), 7323-M10: remember the timestamp of the segment that spans the last ACK sent.
    // A RST changes nothing by its timestamp (§5.2, 7323-M11).
    if (tcb.options.timestamps && segment.header.options.timestamps && !segment.flags().rst() &&
        segment.seq <= tcb.rcv.last_ack_sent) {
        const std::uint32_t value = segment.header.options.timestamps->value;
        const auto ahead = static_cast<std::int32_t>(value - tcb.options.ts_recent);
        if (ahead >= 0 || effects.now - tcb.options.ts_recent_at >= kPawsIdle) {
            tcb.options.ts_recent = value;
            tcb.options.ts_recent_at = effects.now;
        }
    }
    return true;
}

bool check_reset(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (!segment.flags().rst()) {
        return true;
    }
    // RFC 5961 §3.2: only the exact number resets; anywhere else in the window could be a blind guess. Text
    // may reach into the window from outside: SEG.SEQ decides.
    // RFC 5961 §3.2, 5961-M1, 5961-M2.
    if (segment.seq != tcb.rcv.nxt) {
        if (segment.seq > tcb.rcv.nxt && segment.seq < tcb.rcv.right_edge) {
            challenge(tcb, segment, Decision::tcp_drop_rst_challenged, effects);
        } else {
            effects.decide(tcb, Decision::tcp_drop_rst_outside_window, segment);
        }
        return false;
    }
    // RFC 9293 §3.5.3, SHLD-2: with or without data.
    effects.decide(tcb, Decision::tcp_accept_rst, segment);
    switch (tcb.state) {
        case State::syn_received:
            if (tcb.fast_open != nullptr) {
                tcb.fast_open->reset = true;
            }
            // Fast Open's is a connection already to whom has accepted it.
            effects.end(tcb, tcb.passive && !tcb.embryo ? Errc::connection_reset
                                                        : Errc::connection_refused);
            break;
        case State::close_wait:
            // What the peer had to say has arrived: the next write learns that nobody listens (Linux).
            effects.end(tcb, Errc::broken_pipe);
            break;
        case State::closing:
        case State::last_ack: effects.end(tcb, Errc::ok); break;
        default: effects.end(tcb, Errc::connection_reset); break;
    }
    return false;
}

bool check_syn(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (!segment.flags().syn() || completes_simultaneous_open(tcb, segment)) {
        return true;
    }
    // RFC 9293 §3.5, MUST-11: which OPEN it was is remembered.
    if (tcb.state == State::syn_received && tcb.embryo) {
        // §3.10.7.4, fourth: return to LISTEN; the peer's next SYN finds the listener.
        effects.decide(tcb, Decision::tcp_drop_syn_in_window, segment);
        effects.end(tcb, Errc::connection_reset);
        return false;
    }
    challenge(tcb, segment, Decision::tcp_drop_syn_challenged,
              effects);  // RFC 5961 §4.2, 5961-M3
    return false;
}

}  // namespace runnel::tcp
