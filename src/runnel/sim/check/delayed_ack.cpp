// An ACK is delayed by at most 500 ms (RFC 9293 §3.8.6.3, MUST-40): from the moment at which RCV.NXT has
// passed what the wire has seen acknowledged, a deadline within 500 ms stands, which nothing moves later.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void delayed_ack_begins(const Look& look) {
    Shadow& seen = look.seen;
    const bool owes = seen.ack_sent && !look.tcb.detached && tcp::is_synchronized(look.tcb.state) &&
                      look.tcb.rcv.nxt > seen.acked;
    if (owes && !seen.owes_ack) {
        seen.owes_since = look.local;
    }
    seen.owes_ack = owes;
}

void delayed_ack(const Look& look) {
    delayed_ack_begins(look);
    const Shadow& seen = look.seen;
    if (!seen.owes_ack) {
        return;
    }
    const Instant latest = seen.owes_since + milliseconds(500);
    if (look.tcb.timers.deadline(tcp::Timer::delayed_ack) > latest) {
        look.fails(
            Check::delayed_ack, "nothing will acknowledge in time",
            {{"RCV.NXT", look.tcb.rcv.nxt.value},
             {"acknowledged", seen.acked.value},
             {"ms ago", static_cast<std::uint64_t>((look.local - seen.owes_since).millis())}});
    }
}

}  // namespace runnel::sim::check
