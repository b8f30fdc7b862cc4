// The congestion window stays in its bounds (RFC 5681 §3.1: at least one segment, a threshold of at least
// two), and new data leaves only as far as it lets it.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void cwnd_bounds(const Look& look) {
    const tcp::Controller& controller = look.tcb.controller;
    const std::uint32_t window = controller.window();
    if (window < 1 || window > tcp::kMaxWindowSegments || controller.threshold() < 2) {
        return look.fails(Check::cwnd_bounds, "the congestion window leaves its bounds",
                          {{"cwnd", window}, {"ssthresh", controller.threshold()}});
    }
    // Segments are counted by their numbers; the FIN's own may count as one more. A tail-loss probe of new data goes
    // whatever the window (RFC 8985 §7.3).
    const tcp::Aftermath& aftermath = look.tcb.recovery.aftermath;
    const bool probe =
        aftermath.probed && !aftermath.probe_again && aftermath.probe_end == look.tcb.snd.nxt;
    const std::uint32_t most = window + (look.tcb.fin_sent ? 1 : 0);
    if (look.seen.new_data && !probe && look.tcb.in_flight() > most) {
        look.fails(Check::cwnd_bounds, "new data was sent beyond the congestion window",
                   {{"in flight", look.tcb.in_flight()}, {"cwnd", window}});
    }
}

}  // namespace runnel::sim::check
