// SACK blocks describe octets that are held (RFC 2018 §4); only a D-SACK, which is the first, may tell of
// octets that have been delivered (RFC 2883 §4).
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void sack_truth(const Look& look, const Packet& sent) {
    const tcp::Tcb& tcb = look.tcb;
    bool first = true;
    for (const SackBlock& block : sent.tcp.options.sack) {
        const tcp::Seq64 left = tcp::unwrap(block.left, tcb.rcv.nxt);
        const tcp::Seq64 right = tcp::unwrap(block.right, tcb.rcv.nxt);
        const auto part = tcb.reassembler.first_held(left, right);
        const bool held = left < right && part.begin == left && part.end == right;
        const bool delivered = first && left < right && right <= tcb.rcv.nxt && left >= tcb.rcv.irs;
        if (!held && !delivered) {
            return look.fails(
                Check::sack_truth, "a SACK block tells of what is not held",
                {{"left", left.value}, {"right", right.value}, {"RCV.NXT", tcb.rcv.nxt.value}});
        }
        first = false;
    }
}

}  // namespace runnel::sim::check
