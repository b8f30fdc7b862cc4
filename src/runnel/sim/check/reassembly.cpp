// Reassembly ranges are disjoint, ordered, between RCV.NXT and the right edge, and bounded in number and
// memory (law 5).
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {
/// More ranges than these are walked in sweeps alone.
constexpr std::size_t kCheap = 16;

/// Only so many ranges may be short; the first one may have become so while its octets went to the reader.
std::size_t most_ranges(std::size_t octets) {
    using tcp::Reassembler;
    return Reassembler::kMaxShortRanges + 1 + octets / Reassembler::kShort;
}
}  // namespace

void reassembly(const Look& look) {
    const tcp::Reassembler& held = look.tcb.reassembler;
    if (held.empty()) {
        return;
    }
    const std::size_t ranges = held.ranges();
    if (ranges > std::min(tcp::Reassembler::kMaxRanges, most_ranges(held.bytes())) ||
        held.pinned() > tcp::Reassembler::kMaxPinned) {
        return look.fails(Check::reassembly, "more is held than the limit",
                          {{"ranges", ranges}, {"pinned", held.pinned()}});
    }
    if (ranges > kCheap && !look.sweep) {
        return;
    }
    tcp::Seq64 at = look.tcb.rcv.nxt;
    std::size_t found = 0;
    std::uint64_t octets = 0;
    const tcp::Seq64 edge = std::max(look.tcb.rcv.right_edge, look.seen.edge);
    // What is next in order stays here only when there was no memory to give it to the reader.
    const bool may_wait = look.run.host(look.host).pool().refusals() != 0;
    while (at < held.highest()) {
        const auto part = held.first_held(at, held.highest());
        // What begins where the last one ended should be one range with it, or have been delivered.
        const bool touches = part.begin == at && !(may_wait && found == 0);
        if (part.empty() || touches || part.end > edge) {
            return look.fails(Check::reassembly,
                              "a range touches its neighbour or leaves the window",
                              {{"begin", part.begin.value},
                               {"end", part.end.value},
                               {"after", at.value},
                               {"edge", edge.value}});
        }
        ++found;
        octets += part.end.value - part.begin.value;
        at = part.end;
    }
    if (found != ranges || octets != held.bytes()) {
        look.fails(
            Check::reassembly, "ranges and octets don't add up",
            {{"ranges", ranges}, {"found", found}, {"bytes", held.bytes()}, {"sum", octets}});
    }
}

}  // namespace runnel::sim::check
