#include "runnel/sim/packet.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/transport_checksum.hpp"

namespace runnel::sim {

namespace {
constexpr std::size_t kTcpChecksum = 16;        // its place in the header
constexpr std::uint32_t kV4Base = 0x0a00'0001;  // 10.0.0.1

/// The transport's protocol when `packet` holds all of it in one piece, else 255.
std::uint8_t read_network(Packet& packet) {
    constexpr std::uint8_t kNothing = 255;
    if (packet.bytes.empty()) {
        return kNothing;
    }
    if (packet.v6()) {
        const Ipv6Parse parse = parse_ipv6(packet.bytes);
        if (parse.error) {
            return kNothing;
        }
        packet.traffic_class = parse.header.traffic_class;
        packet.tuple.local.address = parse.header.source;
        packet.tuple.remote.address = parse.header.destination;
        packet.network_header = kIpv6HeaderSize;
        return parse.header.next_header;
    }
    const Ipv4Parse parse = parse_ipv4(packet.bytes);
    if (parse.error) {
        return kNothing;
    }
    packet.traffic_class = parse.header.traffic_class;
    packet.tuple.local.address = parse.header.source;
    packet.tuple.remote.address = parse.header.destination;
    packet.network_header = parse.header.header_length;
    return parse.header.is_fragment() ? kNothing : parse.header.protocol;
}

/// Lengths and the IPv4 checksum, by what `packet.bytes` holds now.
void write_lengths(Packet& packet) {
    MutableBytes bytes(packet.bytes);
    const auto put = [&](std::size_t at, std::size_t value) {
        bytes[at] = static_cast<std::byte>((value >> 8) & 0xff);
        bytes[at + 1] = static_cast<std::byte>(value & 0xff);
    };
    if (packet.v6()) {
        put(4, bytes.size() - kIpv6HeaderSize);
        return;
    }
    put(2, bytes.size());
    put(10, 0);
    put(10, internet_checksum(bytes.first(packet.network_header)));
}
}  // namespace

IpAddress node_address(NodeId node, Family family) {
    if (family == Family::ipv4) {
        return IpAddress::v4(kV4Base + node);
    }
    std::array<std::byte, 16> bytes{};
    bytes[0] = std::byte{0xfd};
    bytes[15] = static_cast<std::byte>(node + 1);
    return IpAddress::v6(bytes);
}

NodeId node_of(const IpAddress& address) {
    const unsigned last = std::to_integer<unsigned>(address.bytes()[15]);
    return last == 0 || last > kMaxNodes ? kNoNode : static_cast<NodeId>(last - 1);
}

std::size_t Packet::flow() const {
    for (const std::uint16_t port : {tuple.remote.port, tuple.local.port}) {
        if (port >= kFirstPort && port < kFirstPort + kMaxFlows) {
            return port - kFirstPort;
        }
    }
    return kMaxFlows;
}

void read_packet(Packet& packet) {
    packet.is_tcp = false;
    packet.payload_size = 0;
    const std::uint8_t protocol = read_network(packet);
    packet.source = node_of(packet.tuple.local.address);
    packet.destination = node_of(packet.tuple.remote.address);
    if (protocol != kProtocolTcp) {
        return;
    }
    const TcpParse parse = parse_tcp(Bytes(packet.bytes).subspan(packet.network_header));
    if (parse.error) {
        return;
    }
    packet.is_tcp = true;
    packet.tcp = parse.header;
    packet.tuple.local.port = parse.header.source_port;
    packet.tuple.remote.port = parse.header.destination_port;
    packet.payload_size = static_cast<std::uint16_t>(packet.bytes.size() - packet.network_header -
                                                     std::size_t{parse.header.header_length});
}

void seal(Packet& packet) {
    write_lengths(packet);
    write_transport_checksum(packet.tuple.local.address, packet.tuple.remote.address, kProtocolTcp,
                             MutableBytes(packet.bytes).subspan(packet.network_header),
                             kTcpChecksum);
    read_packet(packet);
}

void write_tcp(Packet& packet, const TcpHeader& header, Bytes payload) {
    RUNNEL_CHECK(packet.is_tcp);
    std::array<std::byte, 60> head;
    const std::size_t size = emit_tcp(header, head);
    // The payload may be a part of the packet itself.
    std::vector<std::byte> rest(payload.begin(), payload.end());
    packet.bytes.resize(packet.network_header + size + rest.size());
    std::copy_n(head.begin(), size, packet.bytes.begin() + packet.network_header);
    std::copy(rest.begin(), rest.end(),
              packet.bytes.begin() + packet.network_header + static_cast<std::ptrdiff_t>(size));
    seal(packet);
}

void make_segment(Packet& packet, const FourTuple& tuple, const TcpHeader& header, Bytes payload) {
    std::array<std::byte, kIpv6HeaderSize + 60> head;
    std::size_t network = 0;
    if (tuple.local.address.is_v4()) {
        Ipv4Header ip;
        ip.dont_fragment = true;
        ip.protocol = kProtocolTcp;
        ip.source = tuple.local.address;
        ip.destination = tuple.remote.address;
        network = emit_ipv4(ip, head);
    } else {
        Ipv6Header ip;
        ip.next_header = kProtocolTcp;
        ip.source = tuple.local.address;
        ip.destination = tuple.remote.address;
        network = emit_ipv6(ip, head);
    }
    TcpHeader tcp = header;
    tcp.source_port = tuple.local.port;
    tcp.destination_port = tuple.remote.port;
    const std::size_t size = emit_tcp(tcp, MutableBytes(head).subspan(network));
    packet.bytes.assign(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(network + size));
    packet.bytes.insert(packet.bytes.end(), payload.begin(), payload.end());
    packet.network_header = static_cast<std::uint16_t>(network);
    packet.tuple = tuple;
    seal(packet);
}

void set_ecn(Packet& packet, std::uint8_t ecn) {
    MutableBytes bytes(packet.bytes);
    const auto word = [&](std::size_t at) {
        return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                          std::to_integer<unsigned>(bytes[at + 1]));
    };
    packet.traffic_class = static_cast<std::uint8_t>((packet.traffic_class & ~3U) | ecn);
    if (packet.v6()) {
        // The low nibble of the traffic class is the high one of the second byte.
        const unsigned second = std::to_integer<unsigned>(bytes[1]) & ~0x30U;
        bytes[1] = static_cast<std::byte>(second | static_cast<unsigned>(ecn) << 4);
        return;
    }
    const std::uint16_t before = word(0);
    bytes[1] = static_cast<std::byte>((std::to_integer<unsigned>(bytes[1]) & ~3U) | ecn);
    const std::uint16_t checksum = update_checksum(word(10), before, word(0));
    bytes[10] = static_cast<std::byte>(checksum >> 8);
    bytes[11] = static_cast<std::byte>(checksum & 0xff);
}

bool mark_congestion(Packet& packet) {
    if (packet.damaged || (packet.traffic_class & 3) == 0) {
        return false;
    }
    set_ecn(packet, 3);
    return true;
}

Packet* PacketPool::take() {
    if (free_.empty()) {
        all_.push_back(std::make_unique<Packet>());
        all_.back()->bytes.reserve(2048);
        free_.reserve(all_.size());
        return all_.back().get();
    }
    Packet* packet = free_.back();
    free_.pop_back();
    packet->number = 0;
    packet->bytes.clear();
    packet->damaged = packet->forged = packet->is_tcp = false;
    packet->hops = 0;
    packet->source = packet->destination = kNoNode;
    return packet;
}

Packet* PacketPool::copy(const Packet& packet) {
    Packet* other = take();
    *other = packet;
    return other;
}

}  // namespace runnel::sim
