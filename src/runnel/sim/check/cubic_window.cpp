// CUBIC's window stays below its curve, or below Reno's line where that is higher (RFC 9438 §4.2 to §4.7): both
// computed anew from when the window was reduced and from where, in milliseconds and thousandths of a segment.
#include <algorithm>

#include "runnel/base/mul_div.hpp"
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {

/// 0.4 t^3 in thousandths of a segment, t in ms.
std::uint64_t rise(std::uint64_t ms) {
    ms = std::min<std::uint64_t>(ms, 1'000'000);
    return mul_div(ms * ms * ms, 4, 10'000'000);
}

/// When a rise of so many thousandths is over, in ms.
std::uint64_t time_of(std::uint64_t thousandths) {
    std::uint64_t low = 0;
    std::uint64_t high = 1'000'000;
    while (low < high) {
        const std::uint64_t middle = (low + high) / 2;
        if (rise(middle) < thousandths) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/// Equation 1, in thousandths: `ms` after it stood at `from`, with its plateau at `peak`.
std::uint64_t curve(std::uint64_t from, std::uint64_t peak, std::uint64_t ms) {
    if (peak <= from) {
        return from + rise(ms);
    }
    const std::uint64_t k = time_of(peak - from);
    return ms >= k ? peak + rise(ms - k) : peak - std::min(rise(k - ms), peak);
}

/// In a repair: a reduction that leaves the least threshold where it was, even one that begins at the instant at which
/// another is over; recovery after CWR is none.
bool begins_another(const Look& look) {
    const CubicShadow& seen = look.seen.cubic;
    return !seen.repairing || look.tcb.controller.prior_window() != seen.prior ||
           (look.tcb.recovery.state == tcp::RecoveryState::cwr &&
            look.tcb.recovery.point != seen.point);
}

}  // namespace

void cubic_window(const Look& look) {
    const tcp::Controller& controller = look.tcb.controller;
    CubicShadow& seen = look.seen.cubic;
    const std::uint32_t window = controller.window();
    const std::uint32_t threshold = controller.threshold();
    const auto state = look.tcb.recovery.state;
    const Duration round_trip = look.tcb.rtt.min_rtt();
    // The curve is read once a millisecond, as Linux does: what a shorter round trip makes of a step from between is
    // nobody's rule.
    // Nor is a curve in segments whose size is being sought.
    const bool resized = look.tcb.mtu_search != nullptr && look.tcb.mtu_search->searching;
    if (controller.control() != tcp::CongestionControl::cubic || round_trip < milliseconds(1) ||
        resized) {
        seen = {};
        return;
    }
    const std::uint32_t out = std::max(seen.out, look.tcb.retransmission.segments_out());
    seen.out = look.tcb.retransmission.segments_out();
    const bool repairing =
        state != tcp::RecoveryState::open && state != tcp::RecoveryState::disorder;
    const bool begins = repairing && begins_another(look);
    const bool undone = look.tcb.telemetry.undone != seen.undone;
    if (seen.window == 0 || threshold > seen.threshold || undone ||
        state == tcp::RecoveryState::loss) {
        // After an undo or a timeout the plateau lies where only the controller knows.
        seen.peak = 0;
    } else if (!repairing && out > 2 * window) {
        // What was sent before the reduction may be acknowledged all at once, and each of it counts.
        seen.peak = 0;
    } else if (threshold < seen.threshold || begins) {
        // Of several ACKs at one instant the first may have widened what the last reduces: an undo would bring it back.
        seen.peak = repairing ? std::max({seen.window, window, controller.prior_window()}) : 0;
    }
    seen.undone = look.tcb.telemetry.undone;
    seen.repairing = repairing;
    seen.point = look.tcb.recovery.point;
    seen.prior = controller.prior_window();
    seen.window = window;
    seen.threshold = threshold;
    if (repairing || seen.peak == 0) {
        seen.since = look.local;
        seen.from = std::max(window, threshold);
        return;
    }
    if (window <= seen.from) {
        return;
    }
    const auto gone = static_cast<std::uint64_t>((look.local - seen.since).ns);
    const std::uint64_t ahead = (gone + static_cast<std::uint64_t>(round_trip.ns)) / 1'000'000 + 1;
    const std::uint64_t from = std::uint64_t{seen.from} * 1000;
    const std::uint64_t peak = std::uint64_t{seen.peak} * 1000;
    // Fast convergence: (1 + 0.7) / 2, in whole segments, which may put the plateau where the window stands.
    const std::uint64_t converged = std::uint64_t{seen.peak} * 1741 / 2048 * 1000;
    const std::uint64_t reno = from + 1000 * (gone / static_cast<std::uint64_t>(round_trip.ns) + 1);
    std::uint64_t most = std::max({curve(from, peak, ahead), curve(from, converged, ahead), reno});
    // Steps are whole: where the curve is a third of a window ahead, and all of it is acknowledged at once, a segment for
    // every two overshoots by an eighth.
    most += most / 8 + 2'000;
    if (std::uint64_t{window} * 1000 > most) {
        look.fails(Check::cubic_window, "the window is above the curve and above Reno's line",
                   {{"cwnd", window},
                    {"most", most / 1000},
                    {"before the loss", seen.peak},
                    {"after it", seen.from},
                    {"ms since", gone / 1'000'000}});
    }
}

}  // namespace runnel::sim::check
