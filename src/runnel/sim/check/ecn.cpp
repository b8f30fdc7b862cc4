// Who may say that a packet is ECN-capable (RFC 3168 §6.1.1 to §6.1.6), and that nobody hears of more marks than
// have arrived.
#include "runnel/tcp/ecn/ecn.hpp"
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void ecn_sent(const Look& look, const Packet& sent) {
    const unsigned mark = sent.traffic_class & 3U;
    const Shadow& seen = look.seen;
    const bool everything = look.tcb.ecn != nullptr && look.tcb.ecn->data_center;
    if (mark == tcp::kCongested) {
        return look.fails(Check::ecn, "a host marks its own packet CE", {});
    }
    if (mark != tcp::kNotEct && !everything) {
        const tcp::Seq64 begin = tcp::unwrap(sent.tcp.seq, seen.highest);
        if (sent.payload_size == 0 || sent.tcp.flags.syn() || begin < seen.highest) {
            return look.fails(Check::ecn, "what is no new data is ECN-capable",
                              {{"octets", sent.payload_size}, {"seq", sent.tcp.seq.value}});
        }
        if (!seen.ecn_unknown && (!seen.ecn_asked || !seen.ecn_heard)) {
            return look.fails(Check::ecn, "ECN-capable, and the SYNs have not agreed on it",
                              {{"said", seen.ecn_asked}, {"heard", seen.ecn_heard}});
        }
    }
    const bool classic = look.tcb.ecn != nullptr && look.tcb.ecn->classic();
    if (classic && !sent.tcp.flags.syn() && sent.tcp.flags.ece() && seen.marks == 0 &&
        !seen.ecn_unknown) {
        look.fails(Check::ecn, "an echo of a mark that never came", {});
    }
}

void ecn_heard(const Look& look, std::uint64_t marked_segments, std::uint64_t marked_octets) {
    if (look.tcb.ecn == nullptr) {
        return;
    }
    const tcp::Ecn& ecn = *look.tcb.ecn;
    if (ecn.classic() && ecn.delivered_marked > 0 && marked_segments == 0) {
        return look.fails(Check::ecn, "the sender hears of marks, and none has arrived",
                          {{"heard of", ecn.delivered_marked}});
    }
    if (ecn.accurate() && ecn.delivered.ce > marked_octets) {
        look.fails(Check::ecn, "the sender hears of more marked octets than have arrived",
                   {{"heard of", ecn.delivered.ce}, {"arrived", marked_octets}});
    }
}

}  // namespace runnel::sim::check
