// No new data beyond the greatest right edge the peer ever offered (RFC 9293 §3.8.6, SHLD-15), one probe
// octet excepted (§3.8.6.1). A FIN takes up a number and needs window like an octet.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void offered_window(const Look& look, const Packet& sent) {
    const Shadow& seen = look.seen;
    if (sent.tcp.flags.rst() || sent.tcp.flags.syn() || sent.sequence_length() == 0) {
        return;
    }
    const tcp::Seq64 begin = tcp::unwrap(sent.tcp.seq, seen.highest);
    const tcp::Seq64 end = begin + sent.sequence_length();
    if (end <= seen.highest || end <= seen.peer_edge) {
        return;
    }
    const bool probe = end.value - begin.value == 1 && begin == seen.peer_edge;
    if (!probe) {
        look.fails(Check::offered_window, "new data lies beyond what the peer has offered",
                   {{"end", end.value},
                    {"sent before", seen.highest.value},
                    {"edge", seen.peer_edge.value}});
    }
}

}  // namespace runnel::sim::check
