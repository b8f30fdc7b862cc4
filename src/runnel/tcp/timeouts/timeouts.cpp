#include "runnel/tcp/timeouts/timeouts.hpp"

#include <algorithm>
#include <bit>

#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/recovery/transitions.hpp"

namespace runnel::tcp {

namespace {

/// The time after which `retries` unanswered transmissions have been made with exponential backoff from
/// the least RTO: how Linux reads R1 and R2, so that a long RTO doesn't make R2 longer.
Duration time_of_retries(std::uint32_t retries, const TcpConfig& config) {
    const std::int64_t ratio = std::max<std::int64_t>(config.rto_max.ns / config.rto_min.ns, 1);
    const auto doublings =
        static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(ratio)) - 1);
    if (retries <= doublings) {
        return config.rto_min * ((std::int64_t{2} << retries) - 1);
    }
    return config.rto_min * ((std::int64_t{2} << doublings) - 1) +
           config.rto_max * static_cast<std::int64_t>(retries - doublings);
}

Errc give_up_error(const Tcb& tcb) {
    return tcb.soft_error != Errc::ok ? tcb.soft_error : Errc::timed_out;
}

void give_up(Tcb& tcb, Decision decision, Effects& effects) {
    effects.decide(tcb, decision);
    effects.end(tcb, give_up_error(tcb));
}

/// Whether the oldest unacknowledged data has waited too long: user timeout (the user's R2, RFC 9293 §3.8.3,
/// MUST-21), R2 or an orphan's limit.
bool waited_too_long(const Tcb& tcb, Instant since, std::uint32_t orphan_tries, Effects& effects) {
    const TcpConfig& config = effects.config();
    const Duration waited = effects.now - since;
    const Duration limit =
        tcb.user.user_timeout.ns != 0 ? tcb.user.user_timeout : config.user_timeout;
    if (limit.ns != 0) {
        return waited >= limit;
    }
    const std::uint32_t orphan_limit = config.orphan_retries == 0 ? 8 : config.orphan_retries;
    if (tcb.orphan && orphan_tries > orphan_limit) {
        return true;
    }
    // RFC 9293 §3.8.3, MUST-20 (c), SHLD-11: R2.
    return waited >= time_of_retries(config.retries2, config);
}

/// Counts a timeout; the next one takes twice as long (RFC 6298 §5.5, 6298-M7, RFC 9293 §3.8.2, MUST-19).
void note_timeout(Tcb& tcb) {
    if (tcb.recovery.timeouts < 255) {
        ++tcb.recovery.timeouts;
    }
    if (tcb.recovery.backoff < 30) {
        ++tcb.recovery.backoff;
    }
}

/// RFC 9293 §3.8.3, MUST-20 (b) and SHLD-10: from R1 tries on, IP is to look at the way anew; SHLD-9: the user is
/// told once. The same for a SYN (MUST-22).
void note_r1(Tcb& tcb, Effects& effects) {
    const std::uint32_t tries = tcb.recovery.timeouts;
    const std::uint32_t r1 = effects.config().retries1;
    if (tries < r1) {
        return;
    }
    effects.suspect = true;
    if (tries == r1) {
        effects.decide(tcb, Decision::tcp_note_r1, tries);
        effects.report(tcb, ErrorReport::Reason::retransmissions);
    }
}

/// Linux: after three timeouts in a row, or where an opening is given up sooner, Fast Open may be to blame (RFC 7413
/// §4.1.3.1).
void suspect_fast_open(Tcb& tcb, bool given_up, Effects& effects) {
    const bool blame = tcb.recovery.timeouts == 2 || (tcb.recovery.timeouts < 2 && given_up);
    if (tcb.fast_open_used && blame && effects.config().fast_open_blackhole_timeout.ns != 0) {
        effects.decide(tcb, Decision::tcp_note_fast_open_paused, tcb.recovery.timeouts);
        effects.swallowed = true;
    }
}

/// How often SYN or SYN,ACK goes out again; a Fast Open server has one try more than an embryo (Linux).
std::uint32_t syn_tries(const Tcb& tcb, const TcpConfig& config) {
    if (tcb.user.syn_count != 0) {
        return tcb.user.syn_count;
    }
    if (tcb.state == State::syn_sent) {
        return config.syn_retries;
    }
    return config.synack_retries + (tcb.passive && !tcb.embryo ? 1 : 0);
}

void on_syn_timeout(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    const bool active = tcb.state == State::syn_sent;
    // Linux counts its linear timeouts beside the others: with 6 retries a SYN is given up after 131 s.
    const std::uint32_t linear_tries = active ? config.syn_linear_timeouts : 0;
    const std::uint32_t tries = syn_tries(tcb, config) + linear_tries;
    const Duration limit =
        tcb.user.user_timeout.ns != 0 ? tcb.user.user_timeout : config.user_timeout;
    const bool too_long = limit.ns != 0 && effects.now - tcb.opened_at >= limit;
    // RFC 9293 §3.8.3, MUST-22; MUST-23: R2 of a SYN.
    // Linux's TCP_DEFER_ACCEPT: an embryo that has had its ACK stays for as long as the user wants to wait for data.
    const bool deferred = tcb.embryo && tcb.ack_deferred;
    const bool waits = deferred && tcb.recovery.timeouts < tcb.user.defer_accept;
    const bool over = (tcb.recovery.timeouts >= tries && !waits) || too_long;
    suspect_fast_open(tcb, over, effects);
    if (over) {
        give_up(tcb, Decision::tcp_note_syn_gave_up, effects);
        return;
    }
    note_r1(tcb, effects);
    // And the SYN,ACK goes again only at the end of that, as the last occasion for data or an ACK.
    if (!deferred || tcb.recovery.timeouts + 1U >= tcb.user.defer_accept) {
        tcb.retransmission.mark_all_lost();
    }
    // 1, 3, 7 … s (RFC 6298 §5.5); profile linux repeats the first four times a second apart.
    const bool linear = tcb.recovery.timeouts < linear_tries;
    const std::uint8_t backoff = tcb.recovery.backoff;
    note_timeout(tcb);
    if (linear) {
        tcb.recovery.backoff = backoff;
    }
    Instant next = effects.now + tcb.rto(config);
    if (limit.ns != 0) {
        next = std::min(next, tcb.opened_at + limit);
    }
    tcb.timers.arm(Timer::retransmit, next);
}

}  // namespace

void on_retransmission_timeout(Tcb& tcb, Effects& effects) {
    if (tcb.retransmission.empty()) {
        return;
    }
    if (tcb.snd.una == tcb.snd.iss) {
        on_syn_timeout(tcb, effects);
        return;
    }
    Instant since = tcb.retransmission.front().first_sent;
    if (tcb.snd.wnd == 0) {
        // The peer took its window back: what is sent again are probes (MUST-35), and as long as they are
        // answered the connection stays (RFC 9293 §3.8.6.1, MUST-37, SHLD-17).
        since = std::max(since, tcb.last_received);
    }
    const bool over = waited_too_long(tcb, since, tcb.recovery.timeouts, effects);
    suspect_fast_open(tcb, over, effects);
    if (over) {
        give_up(tcb, Decision::tcp_note_gave_up, effects);
        return;
    }
    note_r1(tcb, effects);
    effects.decide(tcb, Decision::tcp_note_retransmission_timeout, tcb.recovery.timeouts);
    ++tcb.telemetry.timeouts;
    path_mtu_on_timeout(tcb, effects);
    enter_loss(tcb, effects);
    note_timeout(tcb);
    Instant next = effects.now + tcb.rto(effects.config());
    const Duration limit =
        tcb.user.user_timeout.ns != 0 ? tcb.user.user_timeout : effects.config().user_timeout;
    // Look again exactly when the user's patience ends (RFC 5482), not a whole RTO later.
    if (limit.ns != 0 && since + limit > effects.now) {
        next = std::min(next, since + limit);
    }
    tcb.timers.arm(Timer::retransmit, next);
}

void on_persist_timeout(Tcb& tcb, Effects& effects) {
    if (!tcb.retransmission.empty() || (tcb.unsent() == 0 && (!tcb.fin_queued || tcb.fin_sent))) {
        return;
    }
    const TcpConfig& config = effects.config();
    if (tcb.snd.right_edge() > tcb.data_nxt()) {
        tcb.override_hold =
            true;  // §3.8.6.2.1 (4): the override timeout; MUST-60: nothing waits for ever
        return;
    }
    // RFC 9293 §3.8.6.1, MUST-36: the window is asked about for as long as there is something to send.
    // As long as probes are answered the connection stays (MUST-37); unanswered ones count like
    // retransmissions.
    const bool unanswered = tcb.probes_out > 0;
    if (unanswered && waited_too_long(tcb, tcb.last_received, tcb.probes_out, effects)) {
        give_up(tcb, Decision::tcp_note_gave_up, effects);
        return;
    }
    const std::uint32_t orphan_limit = config.orphan_retries == 0 ? 8 : config.orphan_retries;
    if (tcb.orphan && tcb.recovery.backoff > orphan_limit) {
        // An orphan whose peer never opens its window would stay for ever (Linux).
        effects.decide(tcb, Decision::tcp_note_gave_up);
        tcb.reset_due = true;
        return;
    }
    tcb.probe_due = true;
    if (tcb.probes_out < 255) {
        ++tcb.probes_out;
    }
    if (tcb.recovery.backoff < 30) {
        ++tcb.recovery.backoff;  // SHLD-30: exponentially rarer
    }
    tcb.timers.arm(Timer::persist, effects.now + tcb.rto(config));
}

void on_delayed_ack_timeout(Tcb& tcb, Effects& effects) {
    if (!tcb.ack.delayed()) {
        return;
    }
    tcb.ack.on_delay_over(tcb.rto(effects.config()), effects.config());
    tcb.ack.need_now(Decision::tcp_transmit_ack_delayed, false);
}

void on_keepalive_timeout(Tcb& tcb, Effects& effects) {
    if (!tcb.user.keepalive || !is_synchronized(tcb.state)) {
        return;  // RFC 9293 §3.8.4, MAY-5, MUST-24, MUST-25: only for those who asked
    }
    const TcpConfig& config = effects.config();
    const Duration idle_limit =
        tcb.user.keepalive_time.ns != 0 ? tcb.user.keepalive_time : config.keepalive_time;
    // MUST-27, MUST-28.
    const Duration interval = tcb.user.keepalive_interval.ns != 0 ? tcb.user.keepalive_interval
                                                                  : config.keepalive_interval;
    const std::uint32_t probes =
        tcb.user.keepalive_probes != 0 ? tcb.user.keepalive_probes : config.keepalive_probes;
    // Data in flight or waiting is probed by its own timers (MUST-26: only while idle).
    if (!tcb.retransmission.empty() || tcb.unsent() > 0) {
        tcb.timers.arm(Timer::keepalive, effects.now + idle_limit);
        return;
    }
    const Instant due = tcb.last_received + idle_limit;
    if (tcb.probes_out == 0 && effects.now < due) {
        tcb.timers.arm(Timer::keepalive, due);
        return;
    }
    // MUST-29: not one lost answer, but all of them.
    const bool patience_over =
        tcb.user.user_timeout.ns != 0
            ? tcb.probes_out > 0 && effects.now - tcb.last_received >= tcb.user.user_timeout
            : tcb.probes_out >= std::min(probes, 255U);
    if (patience_over) {
        effects.decide(tcb, Decision::tcp_note_keepalive_gave_up, tcb.probes_out);
        tcb.error = give_up_error(tcb);
        tcb.reset_due = true;
        return;
    }
    tcb.keepalive_due = true;
    ++tcb.probes_out;
    tcb.timers.arm(Timer::keepalive, effects.now + interval);
}

void on_fin_wait_2_timeout(Tcb& tcb, Effects& effects) {
    if (tcb.state != State::fin_wait_2 || !tcb.orphan) {
        return;
    }
    effects.decide(tcb, Decision::tcp_note_fin_wait_2_gave_up);
    effects.end(tcb, Errc::ok);
}

void on_memory_timeout(Tcb& tcb, Effects& effects) {
    effects.wake_waiting_writer(tcb);
}

void on_timers(Tcb& tcb, Effects& effects) {
    const auto due = [&](Timer timer) {
        if (!tcb.timers.armed(timer) || tcb.timers.deadline(timer) > effects.now) {
            return false;
        }
        tcb.timers.cancel(timer);
        return effects.fate == Fate::none && tcb.state != State::closed;
    };
    // The probe before the timeout: it moves that.
    if (due(Timer::loss_probe)) {
        on_loss_probe_timeout(tcb, effects);
    }
    if (due(Timer::reorder)) {
        on_reorder_timeout(tcb, effects);
    }
    if (due(Timer::pacing)) {  // the plan looks whether it is armed
        tcb.pacer.on_due(effects.now);
    }
    if (due(Timer::retransmit)) {
        on_retransmission_timeout(tcb, effects);
    }
    if (due(Timer::persist)) {
        on_persist_timeout(tcb, effects);
    }
    if (due(Timer::delayed_ack)) {
        on_delayed_ack_timeout(tcb, effects);
    }
    if (due(Timer::keepalive)) {
        on_keepalive_timeout(tcb, effects);
    }
    if (due(Timer::fin_wait_2)) {
        on_fin_wait_2_timeout(tcb, effects);
    }
    if (due(Timer::memory)) {
        on_memory_timeout(tcb, effects);
    }
}

}  // namespace runnel::tcp
