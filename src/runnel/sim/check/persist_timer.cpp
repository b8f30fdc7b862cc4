// Nothing outstanding and a closed window with data waiting implies the persist timer (RFC 9293 §3.8.6.1,
// MUST-36): nobody else would ever ask. The same for data that is held back for other reasons.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void persist_timer(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.detached || tcb.reset_due || !tcp::is_synchronized(tcb.state) ||
        !tcp::sends_data(tcb.state) || !tcb.retransmission.empty()) {
        return;
    }
    const bool waits = tcb.unsent() > 0 || (tcb.fin_queued && !tcb.fin_sent);
    if (waits && !tcb.timers.armed(tcp::Timer::persist)) {
        look.fails(Check::persist_timer, "something waits to be sent, and no timer looks after it",
                   {{"unsent", tcb.unsent()}, {"window", tcb.snd.wnd}});
    }
}

}  // namespace runnel::sim::check
