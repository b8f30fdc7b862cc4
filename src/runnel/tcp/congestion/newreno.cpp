#include "runnel/tcp/congestion/newreno.hpp"

namespace runnel::tcp {

void NewReno::on_ack(CongestionWindow& window, const AckSummary& ack, const PathView&) {
    // RFC 9293 §3.8.2, MUST-19; RFC 5681 §3.1 equation 2 by segments acknowledged, so that stretched ACKs don't
    // slow it down.
    const std::uint32_t acked = window.grow_slow_start(ack.segments_acked);
    if (acked > 0) {
        // RFC 5681 §3.1, 5681-M5, equation 3: one segment a window's worth of acknowledged segments.
        window.grow_by_credit(window.segments, acked);
    }
}

std::uint32_t NewReno::threshold_after(CongestionEvent, const CongestionWindow& window,
                                       const PathView& path) const {
    // RFC 5681 equation 4, 5681-M8, 5681-M6
    return std::max((of_window_ ? window.segments : path.outstanding) / 2, 2U);
}

}  // namespace runnel::tcp
