// Outstanding data implies exactly one of the loss timers (RFC 6298 §5.1; PTO and RACK's reordering timer
// join the list when they come), which comes within the greatest RTO.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {
constexpr std::array kLossTimers = {tcp::Timer::retransmit};
}

void loss_timer(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.detached) {
        return;
    }
    unsigned armed = 0;
    Instant deadline = Instant::never();
    for (const tcp::Timer timer : kLossTimers) {
        armed += tcb.timers.armed(timer) ? 1U : 0U;
        deadline = std::min(deadline, tcb.timers.deadline(timer));
    }
    const bool outstanding = !tcb.retransmission.empty();
    if (armed != (outstanding ? 1U : 0U)) {
        return look.fails(Check::loss_timer,
                          outstanding
                              ? "something is outstanding, and not exactly one loss timer runs"
                              : "nothing is outstanding, and a loss timer runs",
                          {{"armed", armed}, {"SND.UNA", tcb.snd.una.value}});
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
