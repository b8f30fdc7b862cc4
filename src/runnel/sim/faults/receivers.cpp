// Receivers that misbehave (Savage et al. 1999; RFC 5681 §5; RFC 9293 §3.8.6 on shrunk windows): made by
// altering the ACKs of honest ones.
#include <algorithm>

#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

namespace {
constexpr std::size_t kMaxParts = 16;

/// An ACK of an open connection that may be altered.
bool is_ack(const Packet& packet) {
    return is_plain(packet) && packet.tcp.flags.ack() && !packet.tcp.flags.syn() &&
           !packet.tcp.flags.rst();
}
}  // namespace

/// It never acknowledges what has not passed here yet.
Verdict optimistic_acks(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.is_tcp || packet.damaged) {
        return Verdict::pass;
    }
    follow(fault, packet);
    const Conversation* other = fault.find_conversation(reversed(packet.tuple));
    if (!is_ack(packet) || other == nullptr || !other->numbers || !fault.chance()) {
        return Verdict::pass;
    }
    const std::int32_t room = distance(packet.tcp.ack, other->highest);
    const std::int64_t ahead = std::min<std::int64_t>(room, fault.spec->a);
    if (ahead > 0) {
        ++fault.times;
        TcpHeader header = packet.tcp;
        header.ack = header.ack + static_cast<std::uint32_t>(ahead);
        write_tcp(packet, header, packet.payload());
    }
    return Verdict::pass;
}

Verdict divided_acks(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.is_tcp || packet.damaged) {
        return Verdict::pass;
    }
    const Conversation* known = fault.find_conversation(packet.tuple);
    const bool acked = known != nullptr && known->acked;
    const SeqNum last = acked ? known->last_ack : SeqNum{};
    follow(fault, packet);
    const std::int32_t covered = acked ? distance(last, packet.tcp.ack) : 0;
    const auto parts = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(fault.spec->a, 2, static_cast<std::int64_t>(kMaxParts)));
    if (!is_ack(packet) || packet.sequence_length() != 0 || covered < parts || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    // The whole one comes last; the link carries them in this order.
    for (std::int32_t part = 2; part <= parts; ++part) {
        Packet* more = passage.pool.copy(packet);
        if (part < parts) {
            TcpHeader header = packet.tcp;
            header.ack = last + static_cast<std::uint32_t>(covered / parts * part);
            write_tcp(*more, header, {});
        }
        passage.extras.push_back({more, passage.later, false});
    }
    TcpHeader header = packet.tcp;
    header.ack = last + static_cast<std::uint32_t>(covered / parts);
    write_tcp(packet, header, {});
    return Verdict::pass;
}

Verdict shrunk_windows(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (is_ack(packet) && packet.tcp.window != 0 && fault.chance()) {
        ++fault.times;
        TcpHeader header = packet.tcp;
        header.window = fault.spec->a <= 0
                            ? std::uint16_t{0}
                            : static_cast<std::uint16_t>(header.window / fault.spec->a);
        write_tcp(packet, header, packet.payload());
    }
    return Verdict::pass;
}

Verdict lying_sack(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.is_tcp || packet.damaged) {
        return Verdict::pass;
    }
    const bool sack = follow(fault, packet).sack;
    const Conversation* other = fault.find_conversation(reversed(packet.tuple));
    if (!is_ack(packet) || other == nullptr || !other->numbers || !sack || !other->sack) {
        return Verdict::pass;
    }
    const std::int32_t room = distance(packet.tcp.ack, other->highest);
    TcpHeader header = packet.tcp;
    constexpr std::size_t kMostOptions = 40, kBlock = 8, kFirstBlock = 12;
    const std::size_t more = header.options.sack.empty() ? kFirstBlock : kBlock;
    const bool fits = tcp_options_size(header.options) + more <= kMostOptions &&
                      header.options.sack.size() < header.options.sack.capacity();
    if (room < 2 || !fits || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    // Anything above the first octet that is missing.
    const auto left =
        static_cast<std::uint32_t>(1 + fault.random.below(static_cast<std::uint64_t>(room) - 1));
    const auto right = static_cast<std::uint32_t>(
        left + 1 + fault.random.below(static_cast<std::uint64_t>(room) - left));
    header.options.sack.push_back({packet.tcp.ack + left, packet.tcp.ack + right});
    write_tcp(packet, header, packet.payload());
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
