// What an ACK means for loss recovery: which of what we sent is lost, whether a repair begins, goes on, is over or was
// needless, and what that leaves of the congestion window. RFC 5681 §3.2, RFC 6582, RFC 6675, RFC 8985, RFC 5682,
// RFC 9937.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/recovery/transitions.hpp"

namespace runnel::tcp {

namespace {

/// RFC 8985 §7.4.2: an ACK at or beyond what was out when a tail-loss probe went.
void judge_probe(Tcb& tcb, const Segment& segment, const AckSummary& summary, Effects& effects) {
    Aftermath& aftermath = tcb.recovery.aftermath;
    if (!aftermath.probed || segment.ack < aftermath.probe_end) {
        return;
    }
    if (!aftermath.probe_again || summary.duplicate_sack) {
        aftermath.probed = false;  // new data, or both have arrived: nothing was lost
    } else if (segment.ack > aftermath.probe_end) {
        // No D-SACK came for it: the original was lost, and nothing else would have told of it.
        aftermath.probed = false;
        if (tcb.recovery.state < RecoveryState::cwr) {  // else the window goes down already
            enter_cwr(tcb, CongestionEvent::tail, &segment, summary.delivered, effects);
            leave_repair(tcb, &segment, false, effects);
        }
    } else if (!summary.advanced && summary.is_duplicate && summary.segments_sacked == 0) {
        aftermath.probed = false;  // a duplicate ACK: original and probe have both arrived
    }
}

/// Which of what we sent must be taken as lost now; RACK looks only when something has been delivered.
void find_losses(Tcb& tcb, AckSummary& summary, bool rack_news, Effects& effects) {
    const TcpConfig& config = effects.config();
    const Recovery& recovery = tcb.recovery;
    RetransmissionQueue& queue = tcb.retransmission;
    if (queue.empty()) {
        return;
    }
    RetransmissionQueue::Losses losses;
    if (!tcb.options.sack) {
        // RFC 6582 §3.2: three duplicates, or a partial ACK, mean the first one. §4.1: not for duplicates of what a
        // timeout sent again.
        const bool duplicates = recovery.state < RecoveryState::recovery &&
                                recovery.duplicate_acks >= config.duplicate_ack_threshold &&
                                tcb.snd.una > recovery.point;
        const bool partial = recovery.state == RecoveryState::recovery && summary.advanced;
        if (duplicates || partial) {
            losses = queue.mark_first_lost();
        }
    } else if ((config.recovery & TcpConfig::kRack) != 0) {
        if (rack_news) {
            losses = find_overtaken(tcb, effects);
        }
    } else {
        losses = queue.mark_lost_below_sacked(tcb.rack.threshold(config));
        if (recovery.state == RecoveryState::recovery && summary.advanced) {
            // RFC 6582 §3.2, partial ACK: the segment it stops at is lost as well, if it has had a round trip's time:
            // what made us recover may just have been overtaken, and the ACK cover it all.
            const auto first = queue.mark_first_lost(effects.now - tcb.rtt.smoothed());
            losses.segments += first.segments;
            losses.octets += first.octets;
        }
    }
    note_losses(tcb, losses);
    summary.segments_lost += losses.segments;
}

/// Fast recovery goes on: was it a mistake? True when it has ended, or no more is to be marked lost now.
bool undo_in_recovery(Tcb& tcb, const Segment& segment, const AckSummary& summary,
                      Effects& effects) {
    const Aftermath& aftermath = tcb.recovery.aftermath;
    if (summary.advanced && aftermath.undo && shows_delay(tcb, segment)) {
        // A partial ACK of an original: what was taken as lost comes late. While retransmissions are out it can't be
        // taken back; but nothing more is marked (Linux).
        const Seq64 before = tcb.snd.una - summary.octets_acked;
        const Seq64 highest = tcb.retransmission.highest_sacked();
        if (effects.config().linux_recovery && before < highest) {
            tcb.rack.on_reordering(distance(before, highest), tcb.send_mss(effects.config()),
                                   effects.config());
        }
        if (tcb.retransmission.segments_retransmitted() > 0) {
            return true;
        }
        undo_repair(tcb, true, Decision::tcp_note_undo_timestamp, segment, effects);
        return true;
    }
    if (summary.duplicate_sack && aftermath.all_came_twice()) {
        undo_repair(tcb, false, Decision::tcp_note_undo_duplicate, segment, effects);
        return true;
    }
    return false;
}

/// A timeout was needless: all goes on as before.
void undo_loss(Tcb& tcb, Decision why, const Segment& segment, Effects& effects) {
    undo_repair(tcb, true, why, segment, effects);
    tcb.recovery.timeouts = 0;
}

/// RFC 5682 §3.1 (with SACK: §3, what was sent once arrives), after a timeout. True when it was needless.
bool detect_spurious(Tcb& tcb, const Segment& segment, const AckSummary& summary,
                     Effects& effects) {
    Recovery& recovery = tcb.recovery;
    if (summary.advanced && may_undo(tcb, segment)) {
        undo_loss(tcb, Decision::tcp_note_undo_timestamp, segment, effects);
        return true;
    }
    if (recovery.frto == Frto::off) {
        return false;
    }
    const bool original = summary.first_original < recovery.point;
    const bool told = tcb.options.sack || recovery.frto == Frto::probing;
    if (original && told) {
        undo_loss(tcb, Decision::tcp_note_undo_frto, segment, effects);
        return true;
    }
    if (recovery.frto == Frto::probing) {
        // Step 3a: the answer to the new data is not about what was sent once: the loss was real.
        if (summary.segments_sacked > 0 || summary.is_duplicate || summary.advanced) {
            recovery.frto = Frto::off;
        }
    } else if (summary.advanced && tcb.snd.una < recovery.point) {
        // Step 2b: new data instead of more retransmissions shows which of the two it was.
        recovery.frto = Frto::probing;
    } else if (summary.is_duplicate) {
        recovery.frto = Frto::off;  // step 2a
    }
    return false;
}

/// All that was out when the repair began has been acknowledged. True when it is over.
bool end_repair(Tcb& tcb, const Segment& segment, Effects& effects) {
    const Recovery& recovery = tcb.recovery;
    if (recovery.state == RecoveryState::cwr) {
        if (tcb.snd.una <= recovery.point) {
            return false;  // held until something sent since is acknowledged (Linux)
        }
    } else if (recovery.state < RecoveryState::recovery || tcb.snd.una < recovery.point) {
        return false;
    }
    const bool needless = recovery.state == RecoveryState::recovery && may_undo(tcb, segment);
    if (needless) {
        undo_repair(tcb, false, Decision::tcp_note_undo_timestamp, segment, effects);
    } else {
        leave_repair(tcb, &segment, false, effects);
    }
    return true;
}

/// RFC 5681 §3.1, RFC 3168 §6.1.2 and RFC 9937: what the ACK leaves of the window.
void steer_window(Tcb& tcb, AckSummary summary, bool ended, Effects& effects) {
    const TcpConfig& config = effects.config();
    Controller& controller = tcb.controller;
    const PathView path = tcb.path_view(config, effects.now);
    controller.observe(summary, path);
    if (controller.owns_window()) {
        return;
    }
    if (tcb.recovery.reducing()) {
        if (summary.delivered > 0) {
            const bool safe = summary.advanced && summary.segments_lost == 0;
            // Without SACK a partial ACK sends the next hole at once (RFC 6582 §3.2 step 3).
            const bool must = !tcb.options.sack && summary.segments_lost > 0;
            controller.set_window(tcb.recovery.prr.on_ack(summary.delivered, safe, must,
                                                          path.in_flight, controller.threshold()));
        }
        return;
    }
    // Where much is overtaken nearly every ACK tells of a gap: what has arrived counts, in order or not (Linux).
    const bool disordered = tcb.rack.degree() > config.duplicate_ack_threshold;
    const bool progress = summary.segments_acked > 0 || (disordered && summary.delivered > 0);
    // 5681-M3: the SYN is no segment here. 5681-M10: the ACK that ends a repair grows nothing.
    if (ended || !progress || summary.ecn_echo || !path.window_limited) {
        return;
    }
    // What SACK told of earlier has counted already.
    summary.segments_acked = summary.delivered;
    if (config.initial_window_segments <= 4 && controller.in_slow_start()) {
        // RFC 5681 §3.1, 5681-M1: at most SMSS for each ACK; RFC 6928's windows go with RFC 3465's counting.
        summary.segments_acked = std::min(summary.segments_acked, 1U);
    }
    if (summary.segments_acked > 0) {
        controller.on_ack(summary, path);
    }
}

}  // namespace

void recover(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    Recovery& recovery = tcb.recovery;
    // RFC 8257 §3.3: the estimate moves before the window follows it.
    tcb.controller.note_marks(summary, tcb.snd.una, tcb.snd.nxt);
    const bool rack_news = tcb.rack.on_delivered(summary, tcb.rtt.min_rtt(), effects.now);
    recovery.aftermath.marked = recovery.aftermath.marked || summary.ecn_echo;
    judge_probe(tcb, segment, summary, effects);
    const bool repairing = recovery.state == RecoveryState::recovery;
    const bool ended = (recovery.state == RecoveryState::loss &&
                        detect_spurious(tcb, segment, summary, effects)) ||
                       end_repair(tcb, segment, effects);
    const bool held = recovery.state == RecoveryState::recovery &&
                      undo_in_recovery(tcb, segment, summary, effects);
    if (recovery.state <= RecoveryState::disorder && summary.duplicate_sack &&
        recovery.aftermath.all_came_twice()) {
        undo_reduction(tcb, false, Decision::tcp_note_undo_duplicate, segment, effects);
    }
    if (!held) {
        find_losses(tcb, summary, rack_news || ended, effects);
    }
    if (recovery.state < RecoveryState::recovery) {
        if (summary.segments_lost > 0 && !only_probe_lost(tcb, effects)) {
            enter_recovery(tcb, &segment, summary, effects);
        } else if (summary.ecn_echo) {
            enter_cwr(tcb, CongestionEvent::ecn, &segment, summary.delivered, effects);
        } else if (recovery.state != RecoveryState::cwr) {
            keep_open(tcb);
        }
    }
    steer_window(tcb, summary, ended && repairing && !effects.config().linux_recovery, effects);
}

}  // namespace runnel::tcp
