// What routers do: forward, count hops, cut up what may be cut up, and tell the sender of the rest.
// RFC 1812 §5.2, §5.3.1; RFC 1191 §4; RFC 8201 §4.
#include <algorithm>

#include "runnel/base/checksum.hpp"
#include "runnel/sim/network.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::sim {

namespace {
/// One hop less; false when none is left.
bool count_hop(Packet& packet) {
    const std::size_t at = packet.v6() ? 7 : 8;
    if (packet.bytes.size() < kIpv4HeaderSize || packet.bytes[at] <= std::byte{1}) {
        return false;
    }
    const auto word = [&] {
        return static_cast<std::uint16_t>(std::to_integer<unsigned>(packet.bytes[8]) << 8 |
                                          std::to_integer<unsigned>(packet.bytes[9]));
    };
    const std::uint16_t before = word();
    packet.bytes[at] = static_cast<std::byte>(std::to_integer<unsigned>(packet.bytes[at]) - 1);
    if (!packet.v6()) {
        const auto sum =
            static_cast<std::uint16_t>(std::to_integer<unsigned>(packet.bytes[10]) << 8 |
                                       std::to_integer<unsigned>(packet.bytes[11]));
        const std::uint16_t updated = update_checksum(sum, before, word());
        packet.bytes[10] = static_cast<std::byte>(updated >> 8);
        packet.bytes[11] = static_cast<std::byte>(updated & 0xff);
    }
    return true;
}

/// Errors are not sent about errors, nor about any but the first fragment (RFC 1122 §3.2.2).
bool may_answer(const Packet& packet) {
    if (packet.v6()) {
        return packet.bytes.size() > kIpv6HeaderSize + 1 &&
               !(packet.bytes[6] == std::byte{kProtocolIcmpv6} &&
                 packet.bytes[kIpv6HeaderSize] < std::byte{128});
    }
    const Ipv4Parse parse = parse_ipv4(packet.bytes);
    return !parse.error && parse.header.fragment_offset == 0 &&
           parse.header.protocol != kProtocolIcmpv4;
}
}  // namespace

void Network::forward(NodeId router, Packet* packet, Instant now) {
    ++packet->hops;
    if (packet->destination == kNoNode || packet->destination == router ||
        nodes_[router].next[packet->destination] == kNoLink) {
        return lose(packet, Loss::no_route, kNoLink, 0);
    }
    if (!count_hop(*packet)) {
        return lose(packet, Loss::hop_limit, kNoLink, 0);
    }
    ++counters_.forwarded;
    send(router, nodes_[router].next[packet->destination], packet, now);
}

/// For a link whose MTU is smaller than the packet, and `router` stands before it.
void Network::too_big(NodeId router, std::uint8_t link, unsigned way, Packet* packet, Instant now) {
    const Link& next = links_[link];
    const bool can_answer = nodes_[router].router != nullptr && !nodes_[router].router->silent &&
                            !next.black_hole && !packet->damaged;
    if (nodes_[router].router != nullptr && !packet->v6() && !packet->damaged) {
        const Ipv4Parse parse = parse_ipv4(packet->bytes);
        if (!parse.error && !parse.header.dont_fragment) {
            fragment(router, link, way, *packet, now);
            pool_.give_back(packet);
            return;
        }
    }
    if (can_answer && may_answer(*packet)) {
        answer(router, *packet, next.mtu, true, now);
    }
    lose(packet, Loss::too_big, link, way);
}

/// RFC 791 §3.2: pieces of a multiple of eight octets, each with the header.
void Network::fragment(NodeId, std::uint8_t link, unsigned way, const Packet& packet, Instant now) {
    const Ipv4Header whole = parse_ipv4(packet.bytes).header;
    const Bytes body = Bytes(packet.bytes).subspan(whole.header_length);
    const std::size_t most = (links_[link].mtu - kIpv4HeaderSize) / 8 * 8;
    ++counters_.fragmented;
    for (std::size_t at = 0; at < body.size(); at += most) {
        const Bytes piece = body.subspan(at, std::min(most, body.size() - at));
        Packet* part = pool_.take();
        part->number = packet.number;
        part->sent = packet.sent;
        Ipv4Header header = whole;
        header.fragment_offset = static_cast<std::uint16_t>(whole.fragment_offset + at);
        header.more_fragments = whole.more_fragments || at + piece.size() < body.size();
        header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + piece.size());
        part->bytes.resize(kIpv4HeaderSize);
        emit_ipv4(header, part->bytes);
        part->bytes.insert(part->bytes.end(), piece.begin(), piece.end());
        read_packet(*part);
        enter(link, way, part, {}, now);
    }
}

/// Fragmentation needed, or Packet too big, with what fits of the packet (RFC 1812 §4.3.2.3: 576 octets;
/// RFC 4443 §2.4 (c): 1280).
void Network::answer(NodeId router, const Packet& packet, std::uint32_t mtu, bool, Instant now) {
    if (packet.source == kNoNode || nodes_[router].next[packet.source] == kNoLink) {
        return;
    }
    Packet* error = pool_.take();
    if (packet.v6()) {
        const IpAddress from = node_address(router, Family::ipv6);
        const IpAddress to = packet.tuple.local.address;
        const Bytes quote = Bytes(packet.bytes)
                                .first(std::min<std::size_t>(
                                    packet.bytes.size(), 1280 - kIpv6HeaderSize - kIcmpHeaderSize));
        error->bytes.resize(kIpv6HeaderSize + kIcmpHeaderSize + quote.size());
        Ipv6Header header;
        header.payload_length = static_cast<std::uint16_t>(kIcmpHeaderSize + quote.size());
        header.next_header = kProtocolIcmpv6;
        header.source = from;
        header.destination = to;
        emit_ipv6(header, error->bytes);
        emit_icmpv6(Icmpv6Message::error(Icmpv6Message::Type::packet_too_big, 0,
                                         std::max(mtu, kIpv6MinimumMtu), quote),
                    from, to, MutableBytes(error->bytes).subspan(kIpv6HeaderSize));
    } else {
        const Bytes quote = Bytes(packet.bytes)
                                .first(std::min<std::size_t>(
                                    packet.bytes.size(), 576 - kIpv4HeaderSize - kIcmpHeaderSize));
        error->bytes.resize(kIpv4HeaderSize + kIcmpHeaderSize + quote.size());
        Ipv4Header header;
        header.protocol = kProtocolIcmpv4;
        header.total_length = static_cast<std::uint16_t>(error->bytes.size());
        header.source = node_address(router, Family::ipv4);
        header.destination = packet.tuple.local.address;
        emit_ipv4(header, error->bytes);
        emit_icmpv4(Icmpv4Message::unreachable(Icmpv4Message::fragmentation_needed, quote,
                                               static_cast<std::uint16_t>(mtu)),
                    MutableBytes(error->bytes).subspan(kIpv4HeaderSize));
    }
    read_packet(*error);
    error->sent = now;
    ++counters_.icmp_sent;
    send(router, nodes_[router].next[packet.source], error, now);
}

}  // namespace runnel::sim
