// The work for a packet is bounded (law 5): whatever a peer sends, taking one packet in looks at no more
// elements of lists than their named limits say, and copies no more than the packet has.
#include <algorithm>

#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {
/// A few passes over the longest lists: what is out, in records that splitting makes kMaxRecords at most but sending may
/// make more, and the kMaxTouched ranges that a segment touches at most; every pass is over one of them, and a segment
/// has at most four SACK blocks.
std::uint64_t most_nodes(std::uint64_t records) {
    return 4 * (std::max<std::uint64_t>(tcp::RetransmissionQueue::kMaxRecords, records) +
                tcp::Reassembler::kMaxTouched);
}
/// A packet's octets are copied into the reassembler, and from there to the reader's buffer; so are, once, those
/// that were waiting for them.
constexpr std::uint64_t kMostOctets = 4 * 65'536;
}  // namespace

void work(Simulation& run, NodeId host, const Work& spent, const Shadow* seen) {
    const std::uint64_t waiting = seen == nullptr ? 0 : seen->reassembling;
    if (spent.nodes > most_nodes(seen == nullptr ? 0 : seen->records) ||
        spent.octets > kMostOctets + waiting) {
        report(run, Check::work, host, kNoFlow, "one packet made too much work",
               {{"nodes", spent.nodes}, {"octets", spent.octets}, {"waiting", waiting}});
    }
}

}  // namespace runnel::sim::check
