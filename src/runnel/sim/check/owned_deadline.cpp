// SYN-SENT, SYN-RECEIVED, orphans and TIME-WAIT own a deadline, or else nothing would ever end them; and the
// host calls no later than the earliest deadline of its connections.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void owned_deadline(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.detached) {
        return;
    }
    using tcp::State;
    using tcp::Timer;
    if ((tcb.state == State::syn_sent || tcb.state == State::syn_received) &&
        !tcb.timers.armed(Timer::retransmit)) {
        return look.fails(Check::owned_deadline, "a handshake has no deadline",
                          {{"state", static_cast<std::uint64_t>(tcb.state)}});
    }
    const Instant earliest = tcb.timers.earliest();
    if (tcb.orphan && earliest.is_never()) {
        return look.fails(Check::owned_deadline, "an orphan has no deadline",
                          {{"state", static_cast<std::uint64_t>(tcb.state)}});
    }
    if (look.run.host(look.host).next_timeout() > earliest) {
        look.fails(Check::owned_deadline, "the host wakes later than a connection's deadline",
                   {{"deadline", static_cast<std::uint64_t>(earliest.ns)}});
    }
}

void time_wait(Simulation& run, NodeId host) {
    const Instant local = run.local_now(host);
    const Instant next = run.host(host).next_timeout();
    const tcp::Inspection& window = run.window(host);
    window.for_each_time_wait([&](const tcp::TimeWaitEntry& entry) {
        if (entry.expires > local + window.config().msl * 2 || next > entry.expires) {
            report(run, Check::owned_deadline, host, kNoFlow,
                   "TIME-WAIT lasts longer than 2MSL, or nobody wakes for its end",
                   {{"expires", static_cast<std::uint64_t>(entry.expires.ns)},
                    {"now", static_cast<std::uint64_t>(local.ns)}});
        }
    });
}

}  // namespace runnel::sim::check
