// Middleboxes that cut segments in two, join neighbours, and drop ACKs that a newer one overtakes.
#include <algorithm>

#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

namespace {
constexpr std::uint16_t kKept = TcpFlags::kAck | TcpFlags::kPsh;

bool only_ack(const TcpFlags& flags) {
    return (flags.bits & ~kKept) == 0 && flags.ack();
}

/// The packet held of the same sender, or none.
HeldPacket* held_of(FaultState& fault, const Passage& passage) {
    const auto same = [&](const HeldPacket& held) {
        return held.way == passage.way && held.packet->tuple == passage.packet->tuple;
    };
    const auto found = std::find_if(fault.held.begin(), fault.held.end(), same);
    return found == fault.held.end() ? nullptr : &*found;
}

Packet* take_held(FaultState& fault, const HeldPacket* held) {
    Packet* packet = held->packet;
    fault.held.erase(fault.held.begin() + (held - fault.held.data()));
    return packet;
}

/// What was held goes first, the present packet behind it.
void send_both(FaultState& fault, Passage& passage, const HeldPacket* held) {
    Packet* first = take_held(fault, held);
    passage.extras.push_back({passage.packet, passage.later, false});
    passage.packet = first;
}
}  // namespace

Verdict split_segments(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!is_plain(packet) || packet.payload_size < 2 || packet.tcp.flags.syn() ||
        packet.tcp.flags.rst() || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    const auto cut = static_cast<std::uint32_t>(1 + fault.random.below(packet.payload_size - 1U));
    Packet* second = passage.pool.copy(packet);
    TcpHeader first_header = packet.tcp;
    first_header.flags.bits =
        static_cast<std::uint16_t>(first_header.flags.bits & ~(TcpFlags::kFin | TcpFlags::kPsh));
    TcpHeader second_header = packet.tcp;
    second_header.seq = second_header.seq + cut;
    // CWR stays on both: it may be a bit of AccECN's counter (RFC 9768 §3.2.2).
    write_tcp(*second, second_header, second->payload().subspan(cut));
    write_tcp(packet, first_header, packet.payload().first(cut));
    passage.extras.push_back({second, passage.later, false});
    return Verdict::pass;
}

Verdict merge_segments(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.is_tcp) {
        return Verdict::pass;
    }
    const bool joinable = is_plain(packet) && packet.payload_size > 0 && only_ack(packet.tcp.flags);
    if (const HeldPacket* held = held_of(fault, passage)) {
        const Packet& before = *held->packet;
        const bool follows = joinable && before.tcp.seq + before.payload_size == packet.tcp.seq &&
                             before.tcp.header_length == packet.tcp.header_length &&
                             before.bytes.size() + packet.payload_size <= passage.mtu;
        if (!follows) {
            send_both(fault, passage, held);
            return Verdict::pass;
        }
        ++fault.times;
        std::vector<std::byte> payload(before.payload().begin(), before.payload().end());
        payload.insert(payload.end(), packet.payload().begin(), packet.payload().end());
        TcpHeader header = packet.tcp;
        header.seq = before.tcp.seq;
        write_tcp(packet, header, payload);
        passage.pool.give_back(take_held(fault, held));
        return Verdict::pass;
    }
    if (!joinable || packet.bytes.size() >= passage.mtu || !fault.chance()) {
        return Verdict::pass;
    }
    hold(fault, passage, Duration{fault.spec->a});
    return Verdict::held;
}

/// Duplicate ACKs and those with SACK blocks tell of losses and are left alone.
Verdict thin_acks(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.is_tcp) {
        return Verdict::pass;
    }
    const bool bare = is_plain(packet) && packet.payload_size == 0 && only_ack(packet.tcp.flags) &&
                      packet.tcp.options.sack.empty();
    if (HeldPacket* held = held_of(fault, passage)) {
        if (bare && distance(held->packet->tcp.ack, packet.tcp.ack) > 0) {
            ++fault.times;
            std::swap(held->packet, passage.packet);
            return Verdict::drop;
        }
        send_both(fault, passage, held);
        return Verdict::pass;
    }
    if (!bare || !fault.chance()) {
        return Verdict::pass;
    }
    hold(fault, passage, Duration{fault.spec->a});
    return Verdict::held;
}

}  // namespace runnel::sim::faults
