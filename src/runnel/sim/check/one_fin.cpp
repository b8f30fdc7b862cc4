// A FIN has one sequence number, and nothing is sent behind it (RFC 9293 §3.6).
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void one_fin(const Look& look, const Packet& sent) {
    Shadow& seen = look.seen;
    if (sent.tcp.flags.rst()) {
        return;
    }
    const tcp::Seq64 end = tcp::unwrap(sent.tcp.seq, seen.highest) + sent.payload_size;
    if (sent.tcp.flags.fin()) {
        if (seen.fin_sent && seen.fin != end) {
            return look.fails(Check::one_fin, "the FIN has another number than before",
                              {{"now", end.value}, {"before", seen.fin.value}});
        }
        seen.fin_sent = true;
        seen.fin = end;
    } else if (seen.fin_sent && sent.payload_size > 0 && end > seen.fin) {
        look.fails(Check::one_fin, "data lies behind the FIN",
                   {{"end", end.value}, {"FIN", seen.fin.value}});
    }
}

}  // namespace runnel::sim::check
