// BBR's window stays within what its model allows (draft-ietf-ccwg-bbr-06 §5.6.4): the bounds that losses have set,
// headroom below them while it cruises, half of the pipe while it looks for the round trip. Computed anew from the
// model's figures.
#include <algorithm>

#include "runnel/base/mul_div.hpp"
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void bbr_bounds(const Look& look) {
    const tcp::BbrModel* model = look.tcb.controller.bbr();
    if (model == nullptr) {
        return;
    }
    // The window was set at an ACK; the path's MTU may have changed since.
    const std::uint32_t now = std::max(look.tcb.send_mss(look.config), 1U);
    const std::uint64_t mss = std::min(now, look.seen.mss == 0 ? now : look.seen.mss);
    // A segment is shorter while SACK blocks share its room (40 octets of options at most).
    const std::uint64_t least = mss > 80 ? mss - 40 : mss / 2;
    const std::uint64_t window = std::uint64_t{look.tcb.controller.window()} * least;
    std::uint64_t most = model->inflight_shortterm();
    const std::uint64_t longterm = model->inflight_longterm();
    constexpr std::uint64_t kNone = tcp::BbrModel::kInfinity;
    const auto state = model->state();
    if (state == tcp::BbrState::probe_cruise || state == tcp::BbrState::probe_rtt) {
        const std::uint64_t room = std::max(mss, longterm / 20 * 3);
        most = std::min(most, longterm == kNone ? kNone : longterm - std::min(room, longterm));
    } else if (state != tcp::BbrState::startup && state != tcp::BbrState::drain) {
        most = std::min(most, longterm);
    }
    if (state == tcp::BbrState::probe_rtt && model->min_rtt().ns > 0) {
        const auto round_trip = static_cast<std::uint64_t>(model->min_rtt().ns);
        most = std::min(most, mul_div(model->bw(), round_trip, 2'000'000'000));
    }
    most = std::max(most, 4 * mss);
    if (look.tcb.recovery.state == tcp::RecoveryState::loss &&
        look.tcb.controller.window() <= look.tcb.in_flight() + 1) {
        return;  // §5.6.4.4: after a timeout what is still in flight and one segment
    }
    // Whole segments.
    if (most != kNone && window > most + most / 50 + 2 * mss) {
        look.fails(Check::bbr_bounds, "the window is above what the model of the path allows",
                   {{"cwnd", window},
                    {"most", most},
                    {"longterm", longterm},
                    {"shortterm", model->inflight_shortterm()},
                    {"mss", mss},
                    {"state", static_cast<std::uint64_t>(state)}});
    }
}

}  // namespace runnel::sim::check
