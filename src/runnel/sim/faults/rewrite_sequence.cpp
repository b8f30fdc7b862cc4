// A firewall that hides initial sequence numbers: those of each direction are shifted by a number of its
// own, and acknowledgements, SACK blocks and what ICMP errors quote are shifted back.
#include "runnel/base/checksum.hpp"
#include "runnel/sim/faults/faults.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::sim::faults {

namespace {
/// By how much the numbers of `tuple`'s sender are shifted: always the same, whoever asks.
std::uint32_t shift_of(const FaultState& fault, const FourTuple& tuple) {
    Random random(fault.spec->seed ^ (std::uint64_t{tuple.local.port} << 32) ^
                  (std::uint64_t{tuple.remote.port} << 8) ^ node_of(tuple.local.address));
    return static_cast<std::uint32_t>(random.next());
}

/// The quoted number of a segment that passed here is what its sender called it before.
void shift_quote_back(FaultState& fault, Packet& packet) {
    const bool v6 = packet.v6();
    const std::size_t inner = packet.network_header + 8U;
    const std::size_t inner_header = v6 ? kIpv6HeaderSize : kIpv4HeaderSize;
    if (packet.bytes.size() < inner + inner_header + 8) {
        return;
    }
    Packet quoted;
    quoted.bytes.assign(packet.bytes.begin() + static_cast<std::ptrdiff_t>(inner),
                        packet.bytes.end());
    ByteReader addresses(Bytes(quoted.bytes).subspan(v6 ? 8 : 12));
    FourTuple tuple;
    tuple.local.address = IpAddress::from_bytes(addresses.take(v6 ? 16 : 4));
    tuple.remote.address = IpAddress::from_bytes(addresses.take(v6 ? 16 : 4));
    ByteReader ports(Bytes(quoted.bytes).subspan(inner_header));
    tuple.local.port = ports.u16();
    tuple.remote.port = ports.u16();
    const std::uint32_t before = ports.u32();
    if (fault.find_conversation(tuple) == nullptr) {
        return;
    }
    const std::uint32_t after = before - shift_of(fault, tuple);
    ByteWriter(MutableBytes(packet.bytes).subspan(inner + inner_header + 4)).u32(after);
    // The number stands on an even boundary of the ICMP message.
    const MutableBytes sum = MutableBytes(packet.bytes).subspan(packet.network_header + 2U, 2);
    const std::uint16_t old = ByteReader(sum).u16();
    ByteWriter(sum).u16(update_checksum_u32(old, before, after));
}

bool is_icmp_error(const Packet& packet) {
    if (packet.bytes.size() < std::size_t{packet.network_header} + 8 ||
        packet.network_header == 0) {
        return false;
    }
    const std::byte type = packet.bytes[packet.network_header];
    return packet.v6() ? packet.bytes[6] == std::byte{kProtocolIcmpv6} && type < std::byte{128}
                       : packet.bytes[9] == std::byte{kProtocolIcmpv4} &&
                             (type == std::byte{3} || type == std::byte{11});
}
}  // namespace

Verdict rewrite_sequence(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (packet.damaged) {
        return Verdict::pass;
    }
    if (!packet.is_tcp) {
        if (is_icmp_error(packet)) {
            shift_quote_back(fault, packet);
        }
        return Verdict::pass;
    }
    const FourTuple back = reversed(packet.tuple);
    if (packet.tcp.flags.syn() && !packet.tcp.flags.ack() && fault.active) {
        (void)fault.conversation(packet.tuple);
        (void)fault.conversation(back);
    }
    if (fault.find_conversation(packet.tuple) == nullptr) {
        return Verdict::pass;  // it began before the box stood here
    }
    ++fault.times;
    TcpHeader header = packet.tcp;
    const std::uint32_t back_shift = shift_of(fault, back);
    header.seq = header.seq + shift_of(fault, packet.tuple);
    if (header.flags.ack()) {
        header.ack = header.ack + (0 - back_shift);
    }
    for (SackBlock& block : header.options.sack) {
        block.left = block.left + (0 - back_shift);
        block.right = block.right + (0 - back_shift);
    }
    if (is_plain(packet)) {
        write_tcp(packet, header, packet.payload());
    } else {  // options that we don't understand stay as they are
        ByteWriter writer(MutableBytes(packet.bytes).subspan(packet.network_header + 4U));
        writer.u32(header.seq.value);
        writer.u32(header.ack.value);
        seal(packet);
    }
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
