// Our right edge never retreats (RFC 9293 §3.8.6, SHLD-14), except by less than a unit of the window, which scaling
// can't say (RFC 7323 §2.4).
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void right_edge(const Look& look, const Packet& sent) {
    Shadow& seen = look.seen;
    if (!sent.tcp.flags.ack() || sent.tcp.flags.rst()) {
        return;
    }
    const unsigned scale =
        sent.tcp.flags.syn() || !seen.scale_sent || !seen.scale_seen ? 0U : seen.own_scale;
    const tcp::Seq64 ack = tcp::unwrap(sent.tcp.ack, seen.ack_sent ? seen.acked : look.tcb.rcv.nxt);
    const tcp::Seq64 edge = ack + (std::uint64_t{sent.tcp.window} << scale);
    // The window of a SYN is not scaled (RFC 7323 §2.2): sent again, it says as much as it can.
    const bool can_say_no_more = sent.tcp.flags.syn() && sent.tcp.window == 0xffff;
    const std::uint64_t unsaid = (std::uint64_t{1} << scale) - 1;
    if (seen.ack_sent && edge + unsaid < seen.edge && !can_say_no_more) {
        look.fails(Check::right_edge, "the right edge has retreated",
                   {{"edge", edge.value}, {"before", seen.edge.value}});
    }
    seen.edge = std::max(seen.edge, edge);
}

}  // namespace runnel::sim::check
