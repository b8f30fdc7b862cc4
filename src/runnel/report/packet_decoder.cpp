#include "runnel/report/packet_decoder.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "runnel/base/checksum.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/quoted_datagram.hpp"

namespace runnel::report {

namespace {

constexpr std::size_t kTcpHeaderSize = 20;
constexpr std::size_t kCookedSize = 16;   // LINUX_SLL
constexpr std::size_t kCooked2Size = 20;  // LINUX_SLL2
constexpr std::uint8_t kCookedOutgoing = 4;

std::uint16_t by_version(Bytes packet) {
    const unsigned version = packet.empty() ? 0 : std::to_integer<unsigned>(packet[0]) >> 4;
    return version == 4 ? kEtherTypeIpv4 : version == 6 ? kEtherTypeIpv6 : std::uint16_t{0};
}

// The address families of the systems that write NULL and LOOP: AF_INET is 2 everywhere, AF_INET6 24 on
// NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS, 10 on Linux.
std::uint16_t by_address_family(std::uint32_t family) {
    if (family == 2) {
        return kEtherTypeIpv4;
    }
    return family == 24 || family == 28 || family == 30 || family == 10 ? kEtherTypeIpv6
                                                                        : std::uint16_t{0};
}

PacketDirection cooked_direction(std::uint32_t packet_type) {
    return packet_type == kCookedOutgoing ? PacketDirection::outbound : PacketDirection::inbound;
}

std::optional<LinkPayload> cooked_payload(std::uint16_t link_type, Bytes packet) {
    ByteReader reader(packet);
    LinkPayload payload;
    if (link_type == kLinkLinuxCooked) {
        payload.direction = cooked_direction(reader.u16());
        reader.skip(kCookedSize - 4);
        payload.ether_type = reader.u16();
    } else {
        payload.ether_type = reader.u16();
        reader.skip(2);
        payload.interface_index = reader.u32();
        reader.skip(2);
        payload.direction = cooked_direction(reader.u8());
        reader.skip(kCooked2Size - 11);
    }
    if (!reader.ok()) {
        return std::nullopt;
    }
    payload.bytes = reader.rest();
    return payload;
}

std::optional<LinkPayload> ethernet_payload(Bytes packet) {
    const auto ethernet = parse_ethernet(packet);
    if (!ethernet) {
        return std::nullopt;
    }
    LinkPayload payload;
    payload.ether_type = ethernet->ether_type;
    payload.bytes = packet.subspan(ethernet->size());
    return payload;
}

std::optional<LinkPayload> family_payload(Bytes packet) {
    ByteReader reader(packet);
    const std::uint32_t family = reader.u32();
    if (!reader.ok()) {
        return std::nullopt;
    }
    // NULL has it in the order of the machine that captured; a family is a small number in either.
    LinkPayload payload;
    payload.ether_type = by_address_family(family > 0xffff ? std::byteswap(family) : family);
    payload.bytes = reader.rest();
    return payload;
}

// The upper layer of an IP packet, as far as the capture has it.
struct Upper {
    IpAddress source, destination;
    std::uint8_t protocol = 0;
    std::uint8_t ecn = 0;
    bool fragment = false;
    Bytes bytes;               // without the link's padding
    std::uint32_t length = 0;  // as the IP header says; may exceed `bytes`
};

std::optional<Upper> upper_layer(const LinkPayload& payload) {
    const Bytes packet = payload.bytes;
    const bool v4 = payload.ether_type == kEtherTypeIpv4;
    // The readers for quoted datagrams need no whole packet, and look at no checksum.
    const auto datagram = v4 ? parse_quoted_ipv4(packet) : parse_quoted_ipv6(packet);
    if (!datagram) {
        return std::nullopt;
    }
    Upper upper;
    upper.source = datagram->source;
    upper.destination = datagram->destination;
    upper.protocol = datagram->protocol;
    ByteReader reader(packet);
    if (v4) {
        reader.skip(1);
        upper.ecn = reader.u8() & 3;
        reader.skip(4);
        upper.fragment = (reader.u16() & 0x3fff) != 0;  // More Fragments and offset
    } else {
        upper.ecn = (reader.u32() >> 20) & 3;
        reader.skip(2);
        upper.fragment = datagram->fragment_offset != 0 ||
                         (reader.u8() == kProtocolFragment &&
                          (std::to_integer<unsigned>(packet[kIpv6HeaderSize + 3]) & 1) != 0);
    }
    const std::size_t header_size = packet.size() - datagram->payload.size();
    // A length of 0 (of the payload with IPv6) stands in packets that a device was still to cut into
    // pieces: all there is belongs to it.
    const std::size_t none = v4 ? 0 : kIpv6HeaderSize;
    const std::size_t total =
        datagram->total_length == none ? packet.size() : datagram->total_length;
    if (total < header_size) {
        return std::nullopt;
    }
    upper.length = static_cast<std::uint32_t>(total - header_size);
    upper.bytes =
        datagram->payload.first(std::min<std::size_t>(datagram->payload.size(), upper.length));
    return upper;
}

ChecksumState checksum_state(const Upper& upper, std::uint16_t field) {
    if (upper.bytes.size() < upper.length) {
        return ChecksumState::unknown;
    }
    const std::uint16_t pseudo =
        pseudo_header_sum(upper.source, upper.destination, kProtocolTcp, upper.length);
    ChecksumAccumulator sum(pseudo);
    sum.add(upper.bytes);
    if (sum.finish() == 0) {
        return ChecksumState::right;
    }
    // What senders leave for their device: the pseudo-header's sum with the length, as Linux does, or
    // without it, as others do for pieces; or nothing at all.
    const std::uint16_t without_length =
        pseudo_header_sum(upper.source, upper.destination, kProtocolTcp, 0);
    return field == pseudo || field == without_length || field == 0 ? ChecksumState::offloaded
                                                                    : ChecksumState::wrong;
}

constexpr std::array<std::uint8_t, 5> kKnownOptions = {2, 3, 4, 5, 8};

void find_other_options(Bytes options, DecodedTcp& tcp) {
    ByteReader reader(options);
    while (reader.remaining() > 0 && tcp.other_options.size() < kMaxOtherOptions) {
        const std::uint8_t kind = reader.u8();
        if (kind == 0) {
            return;
        }
        if (kind == 1) {
            continue;
        }
        const std::uint8_t length = reader.u8();
        reader.skip(length < 2 ? reader.remaining() : length - 2U);
        if (reader.ok() &&
            std::find(kKnownOptions.begin(), kKnownOptions.end(), kind) == kKnownOptions.end()) {
            tcp.other_options.push_back(kind);
        }
    }
}

std::optional<DecodedTcp> decode_tcp(const Upper& upper) {
    if (upper.bytes.size() < kTcpHeaderSize) {
        return std::nullopt;
    }
    DecodedTcp tcp;
    TcpParse parse = parse_tcp(upper.bytes);
    const std::size_t header_length = (std::to_integer<std::size_t>(upper.bytes[12]) >> 4) * 4;
    if (header_length < kTcpHeaderSize || header_length > upper.length) {
        return std::nullopt;
    }
    if (parse.error) {
        // The fixed part can still be told: read again with an offset that announces no options.
        std::array<std::byte, kTcpHeaderSize> fixed{};
        std::copy_n(upper.bytes.begin(), kTcpHeaderSize, fixed.begin());
        fixed[12] = (fixed[12] & std::byte{0x0f}) | std::byte{0x50};
        parse = parse_tcp(fixed);
        tcp.options_malformed = true;
    } else {
        find_other_options(upper.bytes.subspan(kTcpHeaderSize, header_length - kTcpHeaderSize),
                           tcp);
    }
    tcp.header = parse.header;
    tcp.header.header_length = static_cast<std::uint8_t>(header_length);
    tcp.source = {upper.source, tcp.header.source_port};
    tcp.destination = {upper.destination, tcp.header.destination_port};
    tcp.payload_size = static_cast<std::uint32_t>(upper.length - header_length);
    tcp.checksum = checksum_state(upper, tcp.header.checksum);
    tcp.ecn = upper.ecn;
    tcp.bytes = upper.bytes;
    return tcp;
}

std::string unreachable_v4(std::uint8_t code, std::uint32_t rest) {
    switch (code) {
        case Icmpv4Message::net_unreachable: return "network unreachable";
        case Icmpv4Message::host_unreachable: return "host unreachable";
        case Icmpv4Message::protocol_unreachable: return "protocol unreachable";
        case Icmpv4Message::port_unreachable: return "port unreachable";
        case Icmpv4Message::fragmentation_needed:
            return fmt::format("fragmentation needed, MTU {}", rest & 0xffff);
        case Icmpv4Message::source_route_failed: return "source route failed";
        case Icmpv4Message::administratively_prohibited: return "administratively prohibited";
        default: return fmt::format("destination unreachable, code {}", code);
    }
}

// Empty for what is no error.
std::string meaning_v4(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
    switch (static_cast<Icmpv4Message::Type>(type)) {
        case Icmpv4Message::Type::destination_unreachable: return unreachable_v4(code, rest);
        case Icmpv4Message::Type::source_quench: return "source quench";
        case Icmpv4Message::Type::time_exceeded:
            return code == Icmpv4Message::ttl_exceeded ? "time to live exceeded"
                                                       : "reassembly time exceeded";
        case Icmpv4Message::Type::parameter_problem:
            return fmt::format("parameter problem at octet {}", rest >> 24);
        default: return {};
    }
}

std::string meaning_v6(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
    constexpr std::array<std::string_view, 7> kUnreachable = {"no route",
                                                              "administratively prohibited",
                                                              "beyond scope of source address",
                                                              "address unreachable",
                                                              "port unreachable",
                                                              "source address failed policy",
                                                              "route rejected"};
    switch (static_cast<Icmpv6Message::Type>(type)) {
        case Icmpv6Message::Type::destination_unreachable:
            return code < kUnreachable.size()
                       ? std::string(kUnreachable[code])
                       : fmt::format("destination unreachable, code {}", code);
        case Icmpv6Message::Type::packet_too_big:
            return fmt::format("packet too big, MTU {}", rest);
        case Icmpv6Message::Type::time_exceeded:
            return code == Icmpv6Message::hop_limit_exceeded ? "hop limit exceeded"
                                                             : "reassembly time exceeded";
        case Icmpv6Message::Type::parameter_problem:
            return fmt::format("parameter problem at octet {}", rest);
        default: return {};
    }
}

std::optional<DecodedIcmpError> decode_icmp_error(const Upper& upper, bool v4) {
    ByteReader reader(upper.bytes);
    const std::uint8_t type = reader.u8();
    const std::uint8_t code = reader.u8();
    reader.skip(2);
    const std::uint32_t rest = reader.u32();
    if (!reader.ok()) {
        return std::nullopt;
    }
    DecodedIcmpError error;
    error.meaning = v4 ? meaning_v4(type, code, rest) : meaning_v6(type, code, rest);
    const auto quoted = v4 ? parse_quoted_ipv4(reader.rest()) : parse_quoted_ipv6(reader.rest());
    if (error.meaning.empty() || !quoted || quoted->protocol != kProtocolTcp) {
        return std::nullopt;
    }
    const auto tcp = parse_quoted_tcp(*quoted);
    if (!tcp) {
        return std::nullopt;
    }
    error.reporter = upper.source;
    error.quoted_source = {quoted->source, tcp->source_port};
    error.quoted_destination = {quoted->destination, tcp->destination_port};
    error.quoted_seq = tcp->seq;
    return error;
}

}  // namespace

bool knows_link_type(std::uint16_t link_type) {
    constexpr std::array kKnown = {kLinkNull, kLinkEthernet,    kLinkRawBsd,      kLinkRawOpenBsd,
                                   kLinkRaw,  kLinkLoop,        kLinkLinuxCooked, kLinkIpv4,
                                   kLinkIpv6, kLinkLinuxCooked2};
    return std::find(kKnown.begin(), kKnown.end(), link_type) != kKnown.end();
}

std::optional<LinkPayload> link_payload(std::uint16_t link_type, Bytes packet) {
    LinkPayload payload;
    payload.bytes = packet;
    switch (link_type) {
        case kLinkEthernet: return ethernet_payload(packet);
        case kLinkRawBsd:
        case kLinkRawOpenBsd:
        case kLinkRaw: payload.ether_type = by_version(packet); return payload;
        case kLinkIpv4: payload.ether_type = kEtherTypeIpv4; return payload;
        case kLinkIpv6: payload.ether_type = kEtherTypeIpv6; return payload;
        case kLinkLinuxCooked:
        case kLinkLinuxCooked2: return cooked_payload(link_type, packet);
        case kLinkNull:
        case kLinkLoop: return family_payload(packet);
        default: return std::nullopt;
    }
}

DecodedPacket decode_packet(const CapturedPacket& packet) {
    using Kind = DecodedPacket::Kind;
    DecodedPacket decoded;
    const auto payload = link_payload(packet.link_type, packet.bytes);
    if (!payload) {
        return decoded;
    }
    decoded.interface_index = payload->interface_index;
    decoded.direction = payload->direction;
    const bool v4 = payload->ether_type == kEtherTypeIpv4;
    if (!v4 && payload->ether_type != kEtherTypeIpv6) {
        decoded.kind = payload->ether_type == kEtherTypeArp ? Kind::arp : Kind::other;
        return decoded;
    }
    const auto upper = upper_layer(*payload);
    if (!upper) {
        return decoded;
    }
    if (upper->fragment) {
        decoded.kind = Kind::fragment;
        return decoded;
    }
    switch (upper->protocol) {
        case kProtocolTcp:
            decoded.tcp = decode_tcp(*upper);
            decoded.kind = decoded.tcp ? Kind::tcp : Kind::unreadable;
            break;
        case kProtocolUdp: decoded.kind = Kind::udp; break;
        case kProtocolIcmpv4:
        case kProtocolIcmpv6:
            if ((upper->protocol == kProtocolIcmpv4) == v4) {
                decoded.icmp_error = decode_icmp_error(*upper, v4);
            }
            decoded.kind = decoded.icmp_error ? Kind::icmp_error : Kind::icmp;
            break;
        default: decoded.kind = Kind::other; break;
    }
    return decoded;
}

}  // namespace runnel::report
