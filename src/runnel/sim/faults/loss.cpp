// Packets that are lost: each by itself, in bursts, aimed at what hurts most, and all of them.
#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

namespace {
constexpr std::uint64_t kMillion = 1'000'000;

Verdict drop_if(FaultState& fault, bool candidate) {
    if (!candidate || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    return Verdict::drop;
}

/// Whether the segment carries data from below the furthest seen; remembers the furthest.
bool is_retransmission(Conversation& talk, const Packet& packet) {
    const SeqNum end = packet.tcp.seq + packet.sequence_length();
    if (!talk.numbers) {
        talk.numbers = true;
        talk.highest = end;
        return false;
    }
    const std::int32_t beyond = distance(talk.highest, end);
    if (beyond > 0) {
        talk.highest = end;
    }
    return beyond <= 0;
}

bool is_first_data(Conversation& talk, const Packet& packet) {
    if (packet.tcp.flags.syn()) {
        talk.syn_seen = true;
        talk.first = packet.tcp.seq + 1;
        return false;
    }
    return talk.syn_seen && packet.payload_size > 0 && packet.tcp.seq == talk.first;
}
}  // namespace

Verdict drop(FaultState& fault, Passage&) {
    return drop_if(fault, true);
}

/// Two states with a loss of their own each: none in the good one (Gilbert 1960, Elliott 1963).
Verdict drop_bursts(FaultState& fault, Passage& passage) {
    bool& bad = fault.bad[passage.way];
    const auto leave = static_cast<std::uint64_t>(fault.spec->a);
    const auto loss = static_cast<std::uint64_t>(fault.spec->b);
    bad = bad ? !fault.random.chance(leave, kMillion) : fault.chance();
    if (!bad || !fault.random.chance(loss, kMillion)) {
        return Verdict::pass;
    }
    ++fault.times;
    return Verdict::drop;
}

Verdict drop_aimed(FaultState& fault, Passage& passage) {
    const Packet& packet = *passage.packet;
    if (!packet.is_tcp || packet.damaged) {
        return Verdict::pass;
    }
    const TcpFlags flags = packet.tcp.flags;
    switch (fault.spec->kind) {
        case FaultKind::drop_syn: return drop_if(fault, flags.syn());
        case FaultKind::drop_fin: return drop_if(fault, flags.fin());
        case FaultKind::drop_ack:
            return drop_if(fault, packet.sequence_length() == 0 && !flags.rst());
        case FaultKind::drop_last: return drop_if(fault, packet.payload_size > 0 && flags.psh());
        case FaultKind::drop_first:
            return drop_if(fault, is_first_data(fault.conversation(packet.tuple), packet));
        case FaultKind::drop_retransmission:
            return drop_if(fault, packet.sequence_length() > 0 &&
                                      is_retransmission(fault.conversation(packet.tuple), packet));
        default: return Verdict::pass;
    }
}

Verdict partition(FaultState& fault, Passage&) {
    ++fault.times;
    return Verdict::drop;
}

}  // namespace runnel::sim::faults
