// SND.UNA <= SND.NXT (RFC 9293 §3.3.1), and the retransmission queue covers exactly what lies between.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void send_order(const Look& look) {
    const tcp::SendSequenceSpace& snd = look.tcb.snd;
    if (snd.una > snd.nxt || snd.iss > snd.una) {
        return look.fails(
            Check::send_order, "SND.UNA lies outside of what was sent",
            {{"ISS", snd.iss.value}, {"SND.UNA", snd.una.value}, {"SND.NXT", snd.nxt.value}});
    }
    const tcp::RetransmissionQueue& queue = look.tcb.retransmission;
    const tcp::Seq64 begin = queue.empty() ? snd.nxt : queue.front().begin;
    if (begin != snd.una && !look.tcb.detached) {
        look.fails(Check::send_order, "the retransmission queue doesn't begin at SND.UNA",
                   {{"SND.UNA", snd.una.value}, {"queue", begin.value}});
    }
}

}  // namespace runnel::sim::check
