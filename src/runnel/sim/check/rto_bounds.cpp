// The RTO stays in its bounds (RFC 6298 §2.4, §2.5), and Karn's rule (§3): without timestamps nothing that
// was sent twice gives a sample.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void rto_bounds(const Look& look) {
    const Duration rto = look.tcb.rto(look.config);
    // Before the first sample the initial value counts, which may lie below the floor.
    const Duration least = std::min(
        {look.config.rto_min, look.config.rto_initial, look.config.syn_rto, look.config.rto_max});
    if (rto < least || rto > look.config.rto_max) {
        look.fails(Check::rto_bounds, "the RTO leaves its bounds",
                   {{"us", static_cast<std::uint64_t>(rto.micros())}});
    }
}

void karn(const Look& look, const Packet& arrived, tcp::Seq64 before) {
    const Shadow& seen = look.seen;
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.options.timestamps || seen.repeated_unknown || !tcb.rtt.has_sample() ||
        (tcb.rtt.smoothed() == seen.smoothed && tcb.rtt.variation() == seen.variation)) {
        return;
    }
    // A sample has been taken: something that was sent once must have been acknowledged or sacked.
    const auto sent_once = [&](tcp::Seq64 begin, tcp::Seq64 end) {
        for (const SentRange& range : seen.repeated) {
            if (range.begin <= begin && begin < range.end) {
                begin = range.end;
            }
        }
        return begin < end;
    };
    if (sent_once(before, std::min(tcb.snd.una, seen.highest))) {
        return;
    }
    for (const SackBlock& block : arrived.tcp.options.sack) {
        if (sent_once(tcp::unwrap(block.left, tcb.snd.una),
                      tcp::unwrap(block.right, tcb.snd.una))) {
            return;
        }
    }
    look.fails(Check::rto_bounds, "a sample comes from what was sent twice",
               {{"from", before.value}, {"SND.UNA", tcb.snd.una.value}});
}

}  // namespace runnel::sim::check
