// Segments and ICMP errors that somebody makes up about live connections (RFC 5961, RFC 5927). Whoever is
// blind knows addresses and ports; off the path one guesses numbers near the window; on the path one sees
// them. Forgeries go with a genuine segment that passes, in its sender's name.
#include <algorithm>

#include "runnel/sim/faults/faults.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::sim::faults {

namespace {
constexpr std::int64_t kReset = 1, kSyn = 2, kData = 4, kAck = 8;
constexpr std::uint32_t kFarAway = 0x8000'0000;

/// One of the kinds of segment that the mask allows.
std::int64_t draw_kind(FaultState& fault) {
    const std::int64_t mask = (fault.spec->a & 15) == 0 ? 15 : fault.spec->a & 15;
    std::int64_t kind = std::int64_t{1} << fault.random.below(4);
    while ((mask & kind) == 0) {
        kind = kind == kAck ? kReset : kind << 1;
    }
    return kind;
}

/// `exact` is what the sender would send now: its next octet, its last acknowledgement.
void draw_numbers(FaultState& fault, std::int64_t kind, TcpHeader& header) {
    switch (fault.spec->kind) {
        case FaultKind::blind_segments:
            // By chance, but never acceptable by chance: half the number space away.
            header.seq = SeqNum{static_cast<std::uint32_t>(fault.random.next())};
            header.ack =
                header.ack + kFarAway + static_cast<std::uint32_t>(fault.random.below(1 << 28));
            break;
        case FaultKind::off_path_segments:
            header.seq = header.seq + 1 + static_cast<std::uint32_t>(fault.random.below(4'000));
            if (kind == kData || kind == kAck) {
                header.ack = header.ack + kFarAway;
            }
            break;
        default: break;
    }
}

TcpHeader forged_header(FaultState& fault, std::int64_t kind, const Packet& packet) {
    TcpHeader header;
    header.seq = packet.tcp.seq + packet.sequence_length();
    header.ack = packet.tcp.ack;
    header.window = packet.tcp.window;
    switch (kind) {
        case kReset: header.flags.bits = TcpFlags::kRst; break;
        case kSyn: header.flags.bits = TcpFlags::kSyn; break;
        default: header.flags.bits = TcpFlags::kAck | TcpFlags::kPsh; break;
    }
    if (fault.spec->kind == FaultKind::on_path_segments) {
        header.options.timestamps = packet.tcp.options.timestamps;
    }
    draw_numbers(fault, kind, header);
    return header;
}

/// An error about the packet, as from the node it was going to.
void make_error(Packet& error, const Packet& packet, std::uint64_t choice, Bytes quote) {
    constexpr std::uint16_t kSmallMtu = 1'000;
    if (packet.v6()) {
        const IpAddress& from = packet.tuple.remote.address;
        const IpAddress& to = packet.tuple.local.address;
        Ipv6Header header;
        header.payload_length = static_cast<std::uint16_t>(kIcmpHeaderSize + quote.size());
        header.next_header = kProtocolIcmpv6;
        header.source = from;
        header.destination = to;
        error.bytes.resize(header.total_length());
        emit_ipv6(header, error.bytes);
        using Type = Icmpv6Message::Type;
        const Icmpv6Message message =
            choice == 0 ? Icmpv6Message::error(Type::packet_too_big, 0, kIpv6MinimumMtu, quote)
                        : Icmpv6Message::error(Type::destination_unreachable,
                                               choice == 1 ? Icmpv6Message::port_unreachable
                                                           : Icmpv6Message::address_unreachable,
                                               0, quote);
        emit_icmpv6(message, from, to, MutableBytes(error.bytes).subspan(kIpv6HeaderSize));
    } else {
        Ipv4Header header;
        header.protocol = kProtocolIcmpv4;
        header.total_length =
            static_cast<std::uint16_t>(kIpv4HeaderSize + kIcmpHeaderSize + quote.size());
        header.source = packet.tuple.remote.address;
        header.destination = packet.tuple.local.address;
        error.bytes.resize(header.total_length);
        emit_ipv4(header, error.bytes);
        const Icmpv4Message message =
            choice == 0
                ? Icmpv4Message::unreachable(Icmpv4Message::fragmentation_needed, quote, kSmallMtu)
                : Icmpv4Message::unreachable(choice == 1 ? Icmpv4Message::port_unreachable
                                                         : Icmpv4Message::host_unreachable,
                                             quote);
        emit_icmpv4(message, MutableBytes(error.bytes).subspan(kIpv4HeaderSize));
    }
    read_packet(error);
}
}  // namespace

Verdict forged_segments(FaultState& fault, Passage& passage) {
    const Packet& packet = *passage.packet;
    // Once the handshake is over: before, a SYN out of nowhere is a simultaneous open.
    if (!packet.is_tcp || packet.damaged || packet.forged || !packet.tcp.flags.ack() ||
        packet.tcp.flags.syn() || packet.tcp.flags.rst() || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    const std::int64_t kind = draw_kind(fault);
    const TcpHeader header = forged_header(fault, kind, packet);
    constexpr std::array<std::byte, 16> kPayload{};
    Packet* forged = passage.pool.take();
    forged->sent = passage.now;
    make_segment(*forged, packet.tuple, header, kind == kData ? Bytes(kPayload) : Bytes{});
    forged->forged = true;
    passage.extras.push_back({forged, passage.later, false});
    return Verdict::pass;
}

Verdict icmp_forged(FaultState& fault, Passage& passage) {
    const Packet& packet = *passage.packet;
    if (!packet.is_tcp || packet.damaged || packet.forged || packet.tcp.flags.syn() ||
        !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    std::array<std::byte, 64> quote;
    const std::size_t size = std::min<std::size_t>(packet.network_header + 20U, quote.size());
    std::copy_n(packet.bytes.begin(), size, quote.begin());
    if (fault.spec->a == 1) {
        const std::uint32_t wrong = packet.tcp.seq.value + kFarAway;
        ByteWriter(MutableBytes(quote).subspan(packet.network_header + 4U)).u32(wrong);
    }
    const std::uint64_t choice = fault.random.below(3);
    Packet* error = passage.pool.take();
    error->sent = passage.now;
    make_error(*error, packet, choice, Bytes(quote).first(size));
    error->forged = true;
    passage.extras.push_back({error, {}, true});
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
