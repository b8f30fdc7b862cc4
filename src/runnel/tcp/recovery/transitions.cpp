#include "runnel/tcp/recovery/transitions.hpp"

#include <algorithm>

#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

namespace {

void decide(Tcb& tcb, Decision decision, Cause cause, std::uint32_t value, Effects& effects) {
    if (cause != nullptr) {
        effects.decide(tcb, decision, *cause, value);
    } else {
        effects.decide(tcb, decision, value);
    }
}

/// The reduction that begins now may be taken back when it turns out to be needless. Where the path's marks have asked for
/// one too, the window stays (RFC 3168 §6.1.2): they say no less of congestion when nothing was lost.
void prepare_undo(Tcb& tcb, bool marked) {
    Aftermath& aftermath = tcb.recovery.aftermath;
    const bool probe = aftermath.probed && aftermath.probe_again;
    const std::uint32_t out = tcb.retransmission.segments_retransmitted() + (probe ? 1U : 0U);
    aftermath.undo = true;
    aftermath.marked = marked || tcb.recovery.state == RecoveryState::cwr;
    aftermath.undo_from = tcb.snd.una;
    aftermath.sent_again.forget_below(tcb.snd.una);
    aftermath.undo_waits = out > 0 ? static_cast<std::int32_t>(out) : -1;
    aftermath.retransmitted = aftermath.retransmitted && out > 0;
}

void begin_reduction(Tcb& tcb, CongestionEvent event, std::uint32_t delivered, Effects& effects) {
    PathView path = tcb.path_view(effects.config(), effects.now);
    if (event == CongestionEvent::loss) {
        // RFC 5681 §3.2 step 2: without what limited transmit has sent beyond the window (RFC 3042).
        path.outstanding = std::min(path.outstanding, tcb.controller.window());
    } else {
        // Nor is what this very ACK has released missing from it.
        path.outstanding = std::min(path.outstanding + delivered, tcb.controller.window());
    }
    tcb.controller.reduce(event, path);
    note_window_reduced(tcb);
    // RFC 9937 §6: what was sent, less what had been sacked before this ACK.
    const RetransmissionQueue& queue = tcb.retransmission;
    const std::uint32_t arrived = queue.segments_sacked() + tcb.recovery.duplicate_acks;
    const std::uint32_t flight = queue.segments_out() + delivered;
    tcb.recovery.prr.start(effects.config().prr_by_flight ? flight - std::min(arrived, flight)
                                                          : tcb.controller.prior_window());
}

}  // namespace

void note_losses(Tcb& tcb, const RetransmissionQueue::Losses& losses) {
    tcb.rate.on_lost(losses.octets);
    tcb.telemetry.lost += losses.segments;
}

RetransmissionQueue::Losses find_overtaken(Tcb& tcb, Effects& effects) {
    const bool recovering = tcb.recovery.state >= RecoveryState::recovery;
    const Duration window = tcb.rack.window(tcb.rtt.min_rtt(), tcb.rtt.smoothed(), recovering,
                                            tcb.retransmission.segments_sacked(), effects.config());
    const auto losses = tcb.retransmission.mark_overtaken(tcb.rack.sent(), tcb.rack.end(),
                                                          tcb.rack.rtt() + window, effects.now);
    if (losses.wait > Duration{}) {
        tcb.timers.arm(Timer::reorder, effects.now + losses.wait);
        tcb.timers.cancel(Timer::loss_probe);  // one look at a time
    } else {
        tcb.timers.cancel(Timer::reorder);
    }
    return losses;
}

void enter_cwr(Tcb& tcb, CongestionEvent event, Cause cause, std::uint32_t delivered,
               Effects& effects) {
    if (tcb.recovery.state >= RecoveryState::cwr) {
        return;  // once a window of data (RFC 3168 §6.1.2)
    }
    decide(tcb, Decision::tcp_note_window_reduced, cause, static_cast<std::uint32_t>(event),
           effects);
    tcb.recovery.aftermath.undo = false;
    begin_reduction(tcb, event, delivered, effects);
    tcb.recovery.state = RecoveryState::cwr;
    tcb.recovery.point = tcb.snd.nxt;
}

void enter_recovery(Tcb& tcb, Cause cause, const AckSummary& summary, Effects& effects) {
    decide(tcb, Decision::tcp_note_fast_recovery, cause, tcb.retransmission.segments_lost(),
           effects);
    ++tcb.telemetry.recoveries;
    tcb.timers.cancel(Timer::loss_probe);
    prepare_undo(tcb, summary.ecn_echo);
    if (!tcb.recovery.reducing()) {
        begin_reduction(tcb, CongestionEvent::loss, summary.delivered, effects);
    }
    tcb.recovery.state = RecoveryState::recovery;
    tcb.recovery.point = tcb.snd.nxt;
}

void enter_loss(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    Recovery& recovery = tcb.recovery;
    const bool fresh = recovery.state < RecoveryState::recovery;
    // RFC 5681 §3.1: the threshold moves once for each loss, not again when what was sent again is lost.
    const bool reduce = recovery.state <= RecoveryState::disorder ||
                        tcb.snd.una >= recovery.point ||
                        (recovery.state == RecoveryState::loss && recovery.timeouts == 0);
    // What was sent less than a round trip ago may be on its way still (RFC 8985 §6.3).
    const bool rack = tcb.options.sack && (config.recovery & TcpConfig::kRack) != 0;
    const bool reneged = tcb.retransmission.front().sacked;
    const Duration patience =
        tcb.rack.rtt() + tcb.rack.window(tcb.rtt.min_rtt(), tcb.rtt.smoothed(), false,
                                         tcb.retransmission.segments_sacked(), config);
    const Instant latest = rack && !reneged ? effects.now - patience : Instant::never();
    if (reneged) {
        // The peer may drop what it had only sacked; where the head is sacked it has (RFC 2018 §5, §8, 2018-M4).
        effects.decide(tcb, Decision::tcp_note_sack_reneging);
        tcb.retransmission.forget_sacked();
    }
    if (reduce) {
        prepare_undo(tcb, false);
    } else if (recovery.state == RecoveryState::cwr) {
        recovery.aftermath.marked = true;
    }
    // A timeout though many have arrived out of order: the order is better than we had learnt (Linux).
    if (recovery.state <= RecoveryState::disorder &&
        tcb.retransmission.segments_sacked() >= config.duplicate_ack_threshold) {
        tcb.rack.forget_degree();
    }
    PathView path = tcb.path_view(config, effects.now);
    note_losses(tcb, tcb.retransmission.mark_all_lost(latest));
    path.lost = tcb.rate.lost();
    // RFC 9293 §3.8.2, MUST-19: slow start anew, with one segment (RFC 5681 §3.1, 5681-M7, 5681-M13) beside those.
    tcb.controller.on_timeout(reduce, tcb.retransmission.in_flight() + 1, path);
    note_window_reduced(tcb);
    recovery.frto = config.frto && (fresh || recovery.timeouts > 0) ? Frto::waiting : Frto::off;
    recovery.state = RecoveryState::loss;
    recovery.point = tcb.snd.nxt;
    recovery.duplicate_acks = 0;
    recovery.probe_due = false;
    recovery.aftermath.probed = false;
    tcb.timers.cancel(Timer::loss_probe);
    tcb.timers.cancel(Timer::reorder);
}

void keep_open(Tcb& tcb) {
    const RetransmissionQueue& queue = tcb.retransmission;
    const bool disorder = queue.segments_sacked() > 0 || queue.segments_lost() > 0 ||
                          queue.segments_retransmitted() > 0 || tcb.recovery.duplicate_acks > 0;
    tcb.recovery.state = disorder ? RecoveryState::disorder : RecoveryState::open;
}

void leave_repair(Tcb& tcb, Cause cause, bool undone, Effects& effects) {
    decide(tcb, Decision::tcp_note_recovered, cause, 0, effects);
    if (tcb.recovery.reducing() && !undone) {
        tcb.controller.finish_reduction();
    }
    // A needless one says nothing against a wide window (Linux).
    if (tcb.recovery.state >= RecoveryState::recovery && !undone) {
        tcb.rack.on_recovered();
    }
    tcb.recovery.frto = Frto::off;
    tcb.recovery.duplicate_acks = 0;
    keep_open(tcb);
}

bool shows_delay(const Tcb& tcb, const Segment& segment) {
    const Aftermath& aftermath = tcb.recovery.aftermath;
    if (!aftermath.retransmitted) {
        return true;
    }
    const auto& stamps = segment.header.options.timestamps;
    return tcb.options.timestamps && stamps && stamps->echo != 0 &&
           static_cast<std::int32_t>(stamps->echo - aftermath.first_stamp) < 0;
}

bool may_undo(const Tcb& tcb, const Segment& segment) {
    const Aftermath& aftermath = tcb.recovery.aftermath;
    return aftermath.all_came_twice() || (aftermath.undo && shows_delay(tcb, segment));
}

void undo_reduction(Tcb& tcb, bool unmark, Decision why, const Segment& segment, Effects& effects) {
    effects.decide(tcb, why, segment);
    ++tcb.telemetry.undone;
    if (why != Decision::tcp_note_undo_frto && tcb.recovery.aftermath.retransmitted &&
        !effects.config().linux_recovery) {
        // What looked lost had been overtaken: from now on RACK waits for such (RFC 8985 §6.2 step 3).
        const Seq64 highest = std::max(tcb.retransmission.highest_sacked(), segment.ack);
        tcb.rack.on_reordering(distance(tcb.recovery.aftermath.undo_from, highest),
                               tcb.send_mss(effects.config()), effects.config());
    }
    if (unmark) {
        tcb.retransmission.forget_lost();
    }
    if (!tcb.recovery.aftermath.marked) {
        tcb.controller.undo();
        withdraw_window_reduced(tcb);
    } else if (tcb.recovery.reducing()) {
        tcb.controller.finish_reduction();
    }
    tcb.recovery.aftermath.undo = false;
    tcb.recovery.frto = Frto::off;
}

void undo_repair(Tcb& tcb, bool unmark, Decision why, const Segment& segment, Effects& effects) {
    undo_reduction(tcb, unmark, why, segment, effects);
    leave_repair(tcb, &segment, true, effects);
}

void note_retransmission(Tcb& tcb, Seq64 begin, Seq64 end, std::uint32_t segments, Instant now) {
    Aftermath& aftermath = tcb.recovery.aftermath;
    aftermath.sent_again.add(begin, end, tcb.snd.una);
    if (!aftermath.retransmitted) {
        aftermath.retransmitted = true;
        aftermath.first_stamp = tcb.timestamp(now);
    }
    aftermath.undo_waits = std::max(aftermath.undo_waits, 0) + static_cast<std::int32_t>(segments);
}

}  // namespace runnel::tcp
