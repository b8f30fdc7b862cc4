// What an ACK says about the data we sent: cumulative acknowledgement, SACK, round-trip time, duplicate
// ACKs and loss. RFC 5681, RFC 6298, RFC 6582, RFC 6675.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"

namespace runnel::tcp {

namespace {

/// RFC 2883 §4: is the first block about something already acknowledged, or inside the second?
bool is_duplicate_sack(const Tcb& tcb, const TcpOptions& options) {
    if (options.sack.empty()) {
        return false;
    }
    const Seq64 left = unwrap(options.sack[0].left, tcb.snd.una);
    const Seq64 right = unwrap(options.sack[0].right, tcb.snd.una);
    if (left < right && right <= tcb.snd.una) {
        return true;
    }
    if (options.sack.size() < 2) {
        return false;
    }
    const Seq64 outer_left = unwrap(options.sack[1].left, tcb.snd.una);
    const Seq64 outer_right = unwrap(options.sack[1].right, tcb.snd.una);
    return outer_left <= left && right <= outer_right;
}

void take_sack(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const TcpOptions& options = segment.header.options;
    if (!tcb.options.sack || options.sack.empty()) {
        return;
    }
    const bool duplicate = is_duplicate_sack(tcb, options);
    if (duplicate) {
        effects.decide(tcb, Decision::tcp_note_duplicate_sack, segment);
        const auto octets =
            static_cast<std::uint32_t>(options.sack[0].right.offset_from(options.sack[0].left));
        const std::uint32_t mss = tcb.send_mss(effects.config());
        tcb.telemetry.duplicates_reported += std::max((octets + mss - 1) / mss, 1U);
    }
    for (std::size_t i = duplicate ? 1 : 0; i < options.sack.size(); ++i) {
        const Seq64 left = unwrap(options.sack[i].left, tcb.snd.una);
        const Seq64 right = unwrap(options.sack[i].right, tcb.snd.una);
        // Blocks about what was never sent, or is acknowledged, are a mistake or a lie.
        if (left >= right || right > tcb.snd.nxt || left < tcb.snd.una) {
            continue;
        }
        tcb.retransmission.mark_sacked(left, right, summary, effects.now);
    }
}

/// RFC 9293 §3.8.1, MUST-18; 6298-M3, 6298-M4, 7323-M9 (only an ACK comes here); RFC 6298 §3 and RFC 7323 §4: the
/// sample from a segment sent only once, or, where all were sent twice, from the echoed timestamp, which tells
/// which of the two it was.
void take_rtt(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const auto& stamps = segment.header.options.timestamps;
    if (summary.rtt.ns == 0 && summary.advanced && tcb.options.timestamps && stamps &&
        stamps->echo != 0) {
        const auto elapsed = static_cast<std::int32_t>(tcb.timestamp(effects.now) - stamps->echo);
        if (elapsed >= 0 && elapsed < 600'000) {
            summary.rtt = std::max(milliseconds(elapsed), milliseconds(1));
        }
    }
    if (summary.rtt.ns > 0) {
        tcb.rtt.sample(summary.rtt, effects.now, summary.flight_before, effects.config());
    }
}

/// Linux's two looks at reordering: what was sent once is sacked, or acknowledged, below what was sacked
/// before. Only observers read it.
void note_reordering(Tcb& tcb, const AckSummary& summary, Seq64 highest, const TcpConfig& config) {
    if (summary.first_original < highest) {
        tcb.telemetry.note_reordering(distance(summary.first_original, highest),
                                      tcb.send_mss(config));
    }
}

void release(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    tcb.retransmission.acknowledge(segment.ack, effects.now, summary);
    tcb.snd.una = segment.ack;
    // RFC 2018 §8, 2018-M5: only what is acknowledged goes.
    tcb.send.release_until(std::clamp(segment.ack, tcb.send.begin(), tcb.send.end()));
    tcb.counters.bytes_acked += summary.octets_acked;
    if (tcb.urgent_to_send && tcb.snd.una >= tcb.snd.up) {
        tcb.urgent_to_send = false;
    }
    if (tcb.writer_waits && tcb.has_send_room(effects.config())) {
        tcb.writer_waits = false;
        effects.wake_writer();
    }
    if (tcb.notices != nullptr) {
        tcb.notices->acknowledged(segment.ack, effects.now);
        if (tcb.notices->waiting()) {
            effects.wake_reader();
        }
    }
}

void enter_recovery(Tcb& tcb, const Segment& segment, Effects& effects) {
    effects.decide(tcb, Decision::tcp_note_fast_recovery, segment,
                   tcb.retransmission.segments_lost());
    // FlightSize of RFC 5681 equation 4: all that is unacknowledged.
    tcb.controller.reduce(CongestionEvent::loss, tcb.path_view(effects.config(), effects.now));
    tcb.controller.finish_reduction();
    tcb.recovery.state = RecoveryState::recovery;
    tcb.recovery.point = tcb.snd.nxt;
}

void leave_recovery(Tcb& tcb, const Segment& segment, Effects& effects) {
    effects.decide(tcb, Decision::tcp_note_recovered, segment);
    if (tcb.recovery.state == RecoveryState::recovery) {
        tcb.recovery.duplicate_acks = 0;
        tcb.controller.set_window(
            std::min(tcb.controller.threshold(), std::max(tcb.in_flight(), 1U) + 1));
    }
    tcb.recovery.state = RecoveryState::open;
    tcb.recovery.duplicate_acks = 0;
}

/// Counts duplicate ACKs where SACK doesn't tell more (RFC 5681 §3.2).
void count_duplicates(Tcb& tcb, const AckSummary& summary) {
    if (tcb.options.sack) {
        return;
    }
    std::uint8_t& count = tcb.recovery.duplicate_acks;
    if (tcb.recovery.state == RecoveryState::loss) {
        count = 0;  // they are about what was in flight before the timeout and is sent again anyway
    } else if (summary.is_duplicate) {
        const std::uint32_t most = std::min(tcb.retransmission.segments_out(), 255U);
        if (count < most) {
            ++count;
        }
    } else if (summary.advanced) {
        // A partial ACK deflates by what it acknowledges, less the segment it asks for (RFC 6582 §3.2).
        const std::uint32_t less = summary.segments_acked > 0 ? summary.segments_acked - 1 : 0;
        count = tcb.recovery.state == RecoveryState::recovery && count > less
                    ? static_cast<std::uint8_t>(count - less)
                    : std::uint8_t{0};
    }
}

/// Which of what we sent must be taken as lost now.
void detect_loss(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const std::uint32_t threshold = effects.config().duplicate_ack_threshold;
    Recovery& recovery = tcb.recovery;
    const bool acked = summary.advanced;
    if (recovery.state == RecoveryState::recovery || recovery.state == RecoveryState::loss) {
        if (tcb.snd.una >= recovery.point) {
            leave_recovery(tcb, segment, effects);
        } else if (acked && recovery.state == RecoveryState::recovery) {
            // RFC 6582 §3.2, partial ACK: the segment it stops at is lost as well. With SACK only if it has had a
            // round trip's time: what made us recover may just have been overtaken, and the ACK cover it all.
            const Instant latest =
                tcb.options.sack ? effects.now - tcb.rtt.smoothed() : Instant::never();
            summary.segments_lost += tcb.retransmission.mark_first_lost(latest);
        }
    }
    if (tcb.retransmission.empty()) {
        if (recovery.state == RecoveryState::disorder) {
            recovery.state = RecoveryState::open;
        }
        recovery.duplicate_acks = 0;
        return;
    }
    if (tcb.options.sack) {
        summary.segments_lost += tcb.retransmission.mark_lost_below_sacked(threshold);
    } else if (recovery.duplicate_acks >= threshold && recovery.state < RecoveryState::recovery &&
               tcb.snd.una > recovery.point) {
        // RFC 6582 §4.1: not for duplicates of what a timeout sent again.
        summary.segments_lost += tcb.retransmission.mark_first_lost();
    }
    if (recovery.state < RecoveryState::recovery) {
        if (summary.segments_lost > 0) {
            enter_recovery(tcb, segment, effects);
        } else {
            const bool disorder =
                tcb.retransmission.segments_sacked() > 0 || recovery.duplicate_acks > 0;
            recovery.state = disorder ? RecoveryState::disorder : RecoveryState::open;
        }
    }
}

/// An initial window that RFC 5681 would not allow is RFC 6928's, and goes with later rules throughout.
bool by_rfc6928(const TcpConfig& config) {
    return config.initial_window_segments > 4;
}

/// What the handshake says about the initial window.
void limit_initial_window(Tcb& tcb, const TcpConfig& config) {
    // 5681-M4: a lost SYN or SYN,ACK, start with one segment; RFC 6928 §2, for its larger windows: two of them.
    const bool rfc6928 = by_rfc6928(config);
    if (tcb.syn_transmissions > (rfc6928 ? 2 : 1)) {
        tcb.controller.limit_window(1);
    } else if (!rfc6928 && tcb.send_mss(config) > 2190) {
        tcb.controller.limit_window(2);  // RFC 5681 §3.1, 5681-M2
    }
}

void grow_window(Tcb& tcb, AckSummary summary, const TcpConfig& config, Instant now) {
    // 5681-M3: the SYN is no segment here.
    if (summary.segments_acked == 0 || tcb.recovery.state == RecoveryState::recovery) {
        return;
    }
    // RFC 7661's point, as Linux has it: a window that isn't used doesn't grow.
    const bool used = tcb.window_limited || (tcb.controller.in_slow_start() &&
                                             tcb.controller.window() < 2 * summary.flight_before);
    if (used) {
        if (!by_rfc6928(config) && tcb.controller.in_slow_start()) {
            summary.segments_acked = 1;  // RFC 5681 §3.1, 5681-M1: at most SMSS for each ACK
        }
        tcb.controller.on_ack(summary, tcb.path_view(config, now));
    }
}

}  // namespace

void acknowledge(Tcb& tcb, const Segment& segment, bool window_changed, Effects& effects) {
    AckSummary summary;
    summary.flight_before = tcb.in_flight();
    const bool advanced = segment.ack > tcb.snd.una;
    summary.advanced = advanced;
    // RFC 5681 §2: a duplicate ACK has data outstanding, no data, no SYN or FIN, the same number and window.
    summary.is_duplicate = !advanced && !tcb.retransmission.empty() &&
                           segment.sequence_length() == 0 && !window_changed;
    if (!advanced && tcb.retransmission.empty()) {
        // RFC 2883: a D-SACK may come when all is acknowledged.
        take_sack(tcb, segment, summary, effects);
        return;
    }
    const Seq64 highest = tcb.retransmission.highest_sacked();
    if (advanced) {
        effects.progress = true;
        release(tcb, segment, summary, effects);
    }
    take_sack(tcb, segment, summary, effects);
    note_reordering(tcb, summary, highest, effects.config());
    tcb.telemetry.delivered += summary.delivered;
    take_rtt(tcb, segment, summary, effects);
    count_duplicates(tcb, summary);
    if (summary.is_duplicate) {
        effects.decide(tcb, Decision::tcp_accept_duplicate_ack, segment);
    }
    const bool recovering = tcb.recovery.state == RecoveryState::recovery;
    detect_loss(tcb, segment, summary, effects);
    if (!recovering) {
        grow_window(tcb, summary, effects.config(),
                    effects.now);  // 5681-M10: the ACK that ends recovery deflates only
    }
    if (summary.syn_acked) {
        limit_initial_window(tcb, effects.config());
    }
    if (advanced) {
        tcb.window_limited = false;
        tcb.recovery.timeouts = 0;
        // Karn (RFC 6298 §5.7): the RTO stays backed off until something measured it anew, or else a path
        // slower than the RTO would never be measured. After the SYN it begins with a value of its own.
        if (summary.rtt.ns > 0 || summary.syn_acked) {
            tcb.recovery.backoff = 0;
        }
        // RFC 6298 §5.2 and §5.3: all acknowledged, off; new data acknowledged, start again.
        if (tcb.retransmission.empty()) {
            tcb.timers.cancel(Timer::retransmit);
        } else {
            tcb.timers.arm(Timer::retransmit, effects.now + tcb.rto(effects.config()));
        }
    }
}

}  // namespace runnel::tcp
