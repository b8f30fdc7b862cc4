// ACKs never retreat.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void acks_advance(const Look& look, const Packet& sent) {
    Shadow& seen = look.seen;
    if (!sent.tcp.flags.ack() || sent.tcp.flags.rst()) {
        return;
    }
    const tcp::Seq64 ack = tcp::unwrap(sent.tcp.ack, seen.ack_sent ? seen.acked : look.tcb.rcv.nxt);
    if (seen.ack_sent && ack < seen.acked) {
        look.fails(Check::acks_advance, "an ACK has retreated",
                   {{"ack", ack.value}, {"before", seen.acked.value}});
    }
    seen.acked = seen.ack_sent ? std::max(seen.acked, ack) : ack;
    seen.ack_sent = true;
}

}  // namespace runnel::sim::check
