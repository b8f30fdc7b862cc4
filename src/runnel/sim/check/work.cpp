// The work for a packet is bounded (law 5): whatever a peer sends, taking one packet in looks at no more
// elements of lists than their named limits say, and copies no more than the packet has.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {
/// A few passes over the longest lists: splitting stops at kMaxRecords, a segment touches at most kMaxTouched
/// ranges; every pass is over one of them, and a segment has at most four SACK blocks.
constexpr std::uint64_t kMostNodes =
    4 * (tcp::RetransmissionQueue::kMaxRecords + tcp::Reassembler::kMaxTouched);
/// A packet's octets are copied into the reassembler, and from there to the reader's buffer; so are, once, those
/// that were waiting for them.
constexpr std::uint64_t kMostOctets = 4 * 65'536;
}  // namespace

void work(Simulation& run, NodeId host, const Work& spent, std::uint64_t waiting) {
    if (spent.nodes > kMostNodes || spent.octets > kMostOctets + waiting) {
        report(run, Check::work, host, kNoFlow, "one packet made too much work",
               {{"nodes", spent.nodes}, {"octets", spent.octets}, {"waiting", waiting}});
    }
}

}  // namespace runnel::sim::check
