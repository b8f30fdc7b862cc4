// The timers of RACK-TLP (RFC 8985): the probe that makes the peer speak of a lost tail, and the end of the wait for what
// was overtaken.
#include <algorithm>

#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/recovery/transitions.hpp"
#include "runnel/tcp/timeouts/timeouts.hpp"

namespace runnel::tcp {

namespace {

/// What our clock and the peer's can tell apart, in the timeout of a probe (Linux's TCP_TIMEOUT_MIN).
constexpr Duration kSlack = milliseconds(2);

/// PTO: two round trips, and for a single segment, which the peer may not acknowledge at once, its delay.
Duration probe_timeout(const Tcb& tcb, const TcpConfig& config) {
    if (!tcb.rtt.has_sample()) {
        return config.rto_initial;
    }
    const bool alone = tcb.retransmission.segments_out() == 1;
    return tcb.rtt.smoothed() * 2 + (alone ? config.rto_min : kSlack);
}

}  // namespace

void schedule_loss_probe(Tcb& tcb, Effects& effects) {
    const Recovery& recovery = tcb.recovery;
    const bool quiet =
        recovery.state == RecoveryState::open || recovery.state == RecoveryState::cwr;
    if (!effects.config().tail_loss_probe || !tcb.options.sack || !quiet ||
        !is_synchronized(tcb.state) || tcb.snd.una == tcb.snd.iss || tcb.retransmission.empty() ||
        tcb.retransmission.segments_sacked() > 0 || tcb.timers.armed(Timer::reorder)) {
        tcb.timers.cancel(Timer::loss_probe);
        return;
    }
    const Instant due = effects.now + probe_timeout(tcb, effects.config());
    const Instant timeout = tcb.timers.deadline(Timer::retransmit);
    if (due < timeout || effects.config().probe_for_rto) {
        tcb.timers.arm(Timer::loss_probe, std::min(due, timeout));
    } else {
        tcb.timers.cancel(Timer::loss_probe);
    }
}

void on_loss_probe_timeout(Tcb& tcb, Effects& effects) {
    if (tcb.retransmission.empty()) {
        return;
    }
    if (!believe_claim(tcb, effects) && !tcb.recovery.aftermath.probed) {
        tcb.recovery.probe_due = true;
    }
    // RFC 8985 §7.3: the RTO runs from now on.
    tcb.timers.arm(Timer::retransmit, effects.now + tcb.rto(effects.config()));
}

void on_reorder_timeout(Tcb& tcb, Effects& effects) {
    const auto losses = find_overtaken(tcb, effects);
    note_losses(tcb, losses);
    if (losses.segments == 0) {
        return;
    }
    if (tcb.recovery.state < RecoveryState::recovery && !only_probe_lost(tcb, effects)) {
        enter_recovery(tcb, nullptr, AckSummary{}, effects);
        // The first retransmission goes out now, not with the next ACK (Linux).
        if (!tcb.controller.owns_window()) {
            tcb.controller.set_window(tcb.recovery.prr.on_ack(1, false, true, tcb.in_flight(),
                                                              tcb.controller.threshold()));
        }
    }
    tcb.timers.arm(Timer::retransmit, effects.now + tcb.rto(effects.config()));
}

}  // namespace runnel::tcp
