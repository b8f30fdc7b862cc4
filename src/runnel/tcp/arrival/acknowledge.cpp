// What an ACK says about the data we sent: cumulative acknowledgement, SACK, round-trip time, duplicate
// ACKs and loss. RFC 5681, RFC 6298, RFC 6582, RFC 6675.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/timeouts/timeouts.hpp"

namespace runnel::tcp {

namespace {

/// RFC 2883 §4: is the first block about something that this very ACK acknowledges, or inside the second?
bool is_duplicate_sack(const Tcb& tcb, Seq64 ack, const TcpOptions& options) {
    if (options.sack.empty()) {
        return false;
    }
    const Seq64 left = unwrap(options.sack[0].left, tcb.snd.una);
    const Seq64 right = unwrap(options.sack[0].right, tcb.snd.una);
    if (left < right && right <= ack) {
        return true;
    }
    if (options.sack.size() < 2) {
        return false;
    }
    const Seq64 outer_left = unwrap(options.sack[1].left, tcb.snd.una);
    const Seq64 outer_right = unwrap(options.sack[1].right, tcb.snd.una);
    return outer_left <= left && right <= outer_right;
}

/// A D-SACK: something of ours has arrived twice. Where we have sent it again, RFC 3708 counts that against our
/// retransmissions, and RACK's window was too short; else the network made the second copy.
void take_duplicate(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const SackBlock& block = segment.header.options.sack[0];
    effects.decide(tcb, Decision::tcp_note_duplicate_sack, segment);
    const auto octets = static_cast<std::uint32_t>(block.right.offset_from(block.left));
    const std::uint32_t mss = tcb.send_mss(effects.config());
    const std::uint32_t segments = std::max((octets + mss - 1) / mss, 1U);
    tcb.telemetry.duplicates_reported += segments;
    Aftermath& aftermath = tcb.recovery.aftermath;
    const Seq64 left = unwrap(block.left, tcb.snd.una);
    const Seq64 right = unwrap(block.right, tcb.snd.una);
    const std::uint64_t ours = aftermath.sent_again.of(left, right);
    if (ours == 0) {
        return;
    }
    summary.duplicate_sack = true;
    if (aftermath.undo && aftermath.undo_waits > 0) {
        const auto needless = static_cast<std::int32_t>((ours + mss - 1) / mss);
        aftermath.undo_waits = std::max(aftermath.undo_waits - needless, 0);
    }
    const bool of_probe = aftermath.probed && right == aftermath.probe_end;
    if (!of_probe) {
        tcb.rack.on_duplicate(tcb.snd.una, tcb.snd.nxt);
    }
}

void take_sack(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const TcpOptions& options = segment.header.options;
    if (!tcb.options.sack || options.sack.empty()) {
        return;
    }
    const bool duplicate = is_duplicate_sack(tcb, segment.ack, options);
    if (duplicate) {
        take_duplicate(tcb, segment, summary, effects);
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

/// Counts duplicate ACKs where SACK doesn't tell more (RFC 5681 §3.2): each is a segment that has arrived.
void count_duplicates(Tcb& tcb, AckSummary& summary) {
    if (tcb.options.sack) {
        return;
    }
    std::uint32_t& count = tcb.recovery.duplicate_acks;
    const bool after_timeout = tcb.recovery.state == RecoveryState::loss;
    if (after_timeout && tcb.snd.nxt <= tcb.recovery.point) {
        count = 0;  // they are about what was in flight before the timeout and is sent again anyway
    } else if (summary.is_duplicate) {
        // After a timeout: the new data has arrived with which F-RTO asked (RFC 5682 §2.1 step 3a). Without this nothing
        // would make room for what was lost (Linux).
        if (count < tcb.retransmission.segments_out()) {
            ++count;
            summary.delivered = 1;
        }
    } else if (summary.advanced) {
        // What duplicates have told of is not new.
        summary.delivered = std::max(summary.segments_acked, count + 1U) - count;
        // A partial ACK deflates by what it acknowledges, less the segment it asks for (RFC 6582 §3.2).
        const std::uint32_t less = summary.segments_acked > 0 ? summary.segments_acked - 1 : 0;
        count = tcb.recovery.state >= RecoveryState::recovery && count > less ? count - less : 0;
    }
}

/// RFC 9293 §3.8.1, MUST-18; 6298-M3, 6298-M4, 7323-M9 (only an ACK comes here); RFC 6298 §3 and RFC 7323 §4: the
/// sample from a segment sent only once, or, where all were sent twice, from the echoed timestamp, which tells
/// which of the two it was.
void take_rtt(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    const auto& stamps = segment.header.options.timestamps;
    if (summary.rtt.ns == 0 && summary.advanced && tcb.options.timestamps && stamps &&
        stamps->echo != 0) {
        if (const auto elapsed = tcb.time_since_echo(stamps->echo, effects.now)) {
            summary.rtt = std::max(*elapsed, milliseconds(1));
        }
    }
    if (summary.rtt.ns > 0) {
        tcb.rtt.take({.rtt = summary.rtt,
                      .now = effects.now,
                      .flight_segments = summary.flight_before,
                      .una = tcb.snd.una,
                      .nxt = tcb.snd.nxt},
                     effects.config());
    }
}

/// RFC 8985 §6.2 step 3, Linux's two looks at reordering: what was sent once is sacked, or acknowledged, below what was
/// sacked before.
void note_reordering(Tcb& tcb, const AckSummary& summary, Seq64 highest, const TcpConfig& config) {
    if (summary.first_original < highest) {
        // How far: up to what has arrived by now.
        const Seq64 now = std::max({highest, tcb.retransmission.highest_sacked(), tcb.snd.una});
        tcb.rack.on_reordering(distance(summary.first_original, now), tcb.send_mss(config), config);
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
    effects.wake_waiting_writer(tcb);
    if (tcb.notices != nullptr) {
        tcb.notices->acknowledged(segment.ack, effects.now);
        if (tcb.notices->waiting()) {
            effects.wake_reader();
        }
    }
}

/// What the handshake says about the initial window.
void limit_initial_window(Tcb& tcb, const TcpConfig& config) {
    // 5681-M4: a lost SYN or SYN,ACK, start with one segment; RFC 6928 §2, for its larger windows: two of them.
    const bool rfc6928 = config.initial_window_segments > 4;
    if (tcb.syn_transmissions > (rfc6928 ? 2 : 1)) {
        tcb.controller.limit_window(1);
    } else if (!rfc6928 && tcb.send_mss(config) > 2190) {
        tcb.controller.limit_window(2);  // RFC 5681 §3.1, 5681-M2
    }
}

/// RFC 7765 §4 (2): out and waiting to be sent together are too few for a fast retransmit.
bool few_to_send(const Tcb& tcb, const TcpConfig& config) {
    constexpr std::uint64_t kThreshold = 4;  // rrthresh
    const std::uint64_t mss = tcb.send_mss(config);
    return tcb.retransmission.segments_out() + (tcb.unsent() + mss - 1) / mss < kThreshold;
}

/// RFC 6298 §5.2 and §5.3: all acknowledged, off; new data acknowledged, start again.
void restart_timer(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    const RetransmissionQueue& queue = tcb.retransmission;
    if (queue.empty()) {
        tcb.timers.cancel(Timer::retransmit);
        tcb.timers.cancel(Timer::loss_probe);
        tcb.timers.cancel(Timer::reorder);
        tcb.timers.cancel(Timer::pacing);
        tcb.pacer.rest();
        return;
    }
    Duration timeout = tcb.rto(config);
    if (queue.front().sacked) {
        // The peer has thrown away what it had sacked, or is about to say more: soon it must be sent again (Linux).
        timeout = std::min(timeout, std::max(tcb.rtt.smoothed() / 2, milliseconds(10)));
    } else if (config.rto_restart && few_to_send(tcb, config)) {
        // RFC 7765 §4 (3): the time that the oldest has waited counts.
        const Duration waited = effects.now - queue.front().last_sent;
        timeout = waited < timeout ? timeout - waited : timeout;
    }
    tcb.timers.arm(Timer::retransmit, effects.now + timeout);
    schedule_loss_probe(tcb, effects);
}

}  // namespace

void acknowledge(Tcb& tcb, const Segment& segment, bool window_changed, Effects& effects) {
    AckSummary summary;
    summary.flight_before = tcb.in_flight();
    const bool advanced = segment.ack > tcb.snd.una;
    summary.advanced = advanced;
    // RFC 5681 §2: a duplicate ACK has data outstanding, no data, no SYN or FIN, the same number and window.
    summary.is_duplicate = segment.ack == tcb.snd.una && !tcb.retransmission.empty() &&
                           segment.sequence_length() == 0 && !window_changed;
    const Seq64 highest = tcb.retransmission.highest_sacked();
    if (advanced) {
        effects.progress = true;
        release(tcb, segment, summary, effects);
    }
    take_sack(tcb, segment, summary, effects);
    if (tcb.retransmission.empty() && !advanced && !summary.duplicate_sack) {
        return;
    }
    note_reordering(tcb, summary, highest, effects.config());
    count_duplicates(tcb, summary);
    tcb.telemetry.delivered += summary.delivered;
    take_rtt(tcb, segment, summary, effects);
    tcb.rate.on_ack(summary, effects.now, tcb.rtt.min_rtt());
    take_echo(tcb, segment, summary, effects);
    if (summary.is_duplicate) {
        effects.decide(tcb, Decision::tcp_accept_duplicate_ack, segment);
    }
    recover(tcb, segment, summary, effects);
    if (summary.syn_acked) {
        limit_initial_window(tcb, effects.config());
    }
    tcb.update_pacing(effects.config());
    if (advanced) {
        tcb.recovery.timeouts = 0;
        // Karn (RFC 6298 §5.7): the RTO stays backed off until something measured it anew, or else a path
        // slower than the RTO would never be measured. After the SYN it begins with a value of its own.
        if (summary.rtt.ns > 0 || summary.syn_acked) {
            tcb.recovery.backoff = 0;
        }
        restart_timer(tcb, effects);
    }
}

}  // namespace runnel::tcp
