// What the engine believes to be on its way agrees with what the wire has seen: SND.NXT is the end of what
// was sent, SND.UNA nothing that no acknowledgement has said, and the counts of segments are those of the
// records, which cover everything between without a gap (RFC 6675's pipe); flight.cpp has its bounds.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {
/// Longer queues are counted again in sweeps alone.
constexpr std::size_t kCheap = 8;

void recount(const Look& look) {
    const tcp::RetransmissionQueue& queue = look.tcb.retransmission;
    std::uint32_t out = 0, sacked = 0, lost = 0, again = 0;
    tcp::Seq64 at = look.tcb.snd.una;
    for (std::size_t i = 0; i < queue.size(); ++i) {
        const tcp::SentRecord& record = queue.at(i);
        if (record.begin != at || record.end <= record.begin) {
            return look.fails(Check::pipe, "the records of what was sent have a gap",
                              {{"at", at.value}, {"begin", record.begin.value}});
        }
        at = record.end;
        const std::uint32_t segments = record.segments();
        out += segments;
        sacked += record.sacked ? segments : 0;
        lost += record.lost ? segments : 0;
        again += record.retransmission_out ? segments : 0;
    }
    if (at != look.tcb.snd.nxt || out != queue.segments_out() ||
        sacked != queue.segments_sacked() || lost != queue.segments_lost() ||
        again != queue.segments_retransmitted()) {
        look.fails(Check::pipe, "the counts of segments are not those of the records",
                   {{"out", out},
                    {"sacked", sacked},
                    {"lost", lost},
                    {"retransmitted", again},
                    {"said to be out", queue.segments_out()},
                    {"sacked", queue.segments_sacked()},
                    {"lost", queue.segments_lost()},
                    {"retransmitted", queue.segments_retransmitted()}});
    }
}
}  // namespace

void pipe(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    const Shadow& seen = look.seen;
    if (tcb.detached) {
        return;
    }
    if (tcb.snd.nxt != seen.highest) {
        return look.fails(Check::pipe, "SND.NXT is not the end of what was sent",
                          {{"SND.NXT", tcb.snd.nxt.value}, {"wire", seen.highest.value}});
    }
    if (tcb.snd.una > seen.peer_acked) {
        return look.fails(Check::pipe, "more counts as acknowledged than any ACK has said",
                          {{"SND.UNA", tcb.snd.una.value}, {"wire", seen.peer_acked.value}});
    }
    flight_exempts(look);
    if (look.sweep || tcb.retransmission.size() <= kCheap) {
        recount(look);
        flight(look);
    }
}

}  // namespace runnel::sim::check
