// The receive window as the peer is told of it: RFC 9293 §3.8.6.2.2 (silly-window avoidance at the
// receiver, MUST-39) and RFC 7323 §2 (scaling). The right edge never retreats.
#include <algorithm>

#include "runnel/tcp/output/plan.hpp"

namespace runnel::tcp {

namespace {

/// The least step the right edge may take: half the buffer or one of the peer's segments.
std::uint64_t least_step(const Tcb& tcb) {
    return std::max<std::uint64_t>(
        std::min<std::uint64_t>(tcb.receive_limit / 2, tcb.ack.segment_size()), 1);
}

}  // namespace

std::uint16_t advertise_window(Tcb& tcb, bool syn) {
    // MUST-39: the right edge moves in steps that are worth it; SHLD-14: and never back.
    const Seq64 wanted = tcb.rcv.nxt + tcb.window_to_offer();
    const Seq64 promised = tcb.rcv.right_edge;
    if (distance(tcb.rcv.right_edge, wanted) >= least_step(tcb)) {
        tcb.rcv.right_edge = wanted;
    }
    const std::uint64_t window = tcb.rcv.wnd();
    if (syn) {
        // Unscaled on a SYN (RFC 7323 §2.2, 7323-M3).
        const std::uint64_t field = std::min<std::uint64_t>(window, 65'535);
        tcb.rcv.right_edge = std::max(promised, tcb.rcv.nxt + field);
        return static_cast<std::uint16_t>(field);
    }
    // RFC 7323 §2.3, 7323-M5; rounded up, so that scaling takes back no octet that was promised. But where the
    // reader lags each ACK would promise up to a unit more than there is room for, and the window never close: down
    // then, which the peer must expect (RFC 7323 §2.4), while what was promised is still taken.
    const unsigned scale = tcb.options.receive_scale;
    const std::uint64_t unit = std::uint64_t{1} << scale;
    const std::uint64_t up = (window + unit - 1) / unit;
    const bool room = (up << scale) < tcb.window_free() + unit;
    const std::uint64_t field = std::min<std::uint64_t>(room ? up : window / unit, 65'535);
    tcb.rcv.right_edge = std::max(tcb.rcv.right_edge, tcb.rcv.nxt + (field << scale));
    return static_cast<std::uint16_t>(field);
}

bool window_update_due(const Tcb& tcb) {
    if (!receives_data(tcb.state) || tcb.receive_shutdown) {
        return false;
    }
    const std::uint64_t window = tcb.rcv.wnd();
    const std::uint64_t offer = tcb.window_to_offer();
    if (offer < window + least_step(tcb)) {
        return false;
    }
    // Not for every read: when the window has doubled, or gained half of all there can be (Linux's rule).
    return offer >= 2 * window || offer - window >= tcb.receive_limit / 2;
}

}  // namespace runnel::tcp
