// Outstanding data implies the retransmission timer (RFC 6298 §5.1), which comes within the greatest RTO. A tail-loss
// probe or RACK's look for what was overtaken comes before it, one of the two, and only while data is outstanding
// (RFC 8985 §8).
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void loss_timer(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.detached) {
        return;
    }
    const Instant deadline = tcb.timers.deadline(tcp::Timer::retransmit);
    const bool probe = tcb.timers.armed(tcp::Timer::loss_probe);
    const bool reorder = tcb.timers.armed(tcp::Timer::reorder);
    const bool outstanding = !tcb.retransmission.empty();
    if (deadline.is_never() == outstanding) {
        return look.fails(Check::loss_timer,
                          outstanding ? "something is outstanding, and no retransmission timer runs"
                                      : "nothing is outstanding, and a loss timer runs",
                          {{"SND.UNA", tcb.snd.una.value}});
    }
    if ((probe && reorder) || (!outstanding && (probe || reorder)) ||
        (probe && tcb.timers.deadline(tcp::Timer::loss_probe) > deadline)) {
        return look.fails(Check::loss_timer, "a timer of RACK-TLP runs when it should not",
                          {{"probe", probe}, {"reorder", reorder}});
    }
    if (outstanding && deadline > look.local + look.config.rto_max) {
        look.fails(Check::loss_timer, "the loss timer runs longer than the greatest RTO",
                   {{"ms", static_cast<std::uint64_t>((deadline - look.local).millis())}});
    }
    if (outstanding && tcb.timers.armed(tcp::Timer::persist)) {
        look.fails(Check::loss_timer, "the persist timer runs beside the loss timer", {});
    }
}

}  // namespace runnel::sim::check
