#include "runnel/lab/segment.hpp"

#include <algorithm>

#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/transport_checksum.hpp"

namespace runnel::lab {

namespace {

constexpr std::size_t kMostHeader = 60;  // bytes, with all options
constexpr std::size_t kChecksumOffset = 16;

/// The TCP part of a packet, or nothing.
Bytes tcp_part(const Ipv4Parse& ip, Bytes packet) {
    if (ip.error || ip.header.protocol != kProtocolTcp || ip.header.is_fragment()) {
        return {};
    }
    return packet.subspan(ip.header.header_length, ip.header.payload_length());
}

}  // namespace

std::optional<Segment> segment_of(Bytes packet) {
    const Ipv4Parse ip = parse_ipv4(packet);
    const Bytes tcp = tcp_part(ip, packet);
    const TcpParse parsed = parse_tcp(tcp);
    if (tcp.empty() || parsed.error) {
        return std::nullopt;
    }
    Segment segment;
    segment.header = parsed.header;
    segment.source = {ip.header.source, parsed.header.source_port};
    segment.destination = {ip.header.destination, parsed.header.destination_port};
    const Bytes text = tcp.subspan(parsed.header.header_length);
    segment.text.assign(reinterpret_cast<const char*>(text.data()), text.size());
    return segment;
}

std::vector<std::byte> ip_packet(const IpAddress& source, const IpAddress& destination,
                                 std::uint8_t protocol, Bytes payload) {
    Ipv4Header header;
    header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + payload.size());
    header.dont_fragment = true;
    header.protocol = protocol;
    header.source = source;
    header.destination = destination;
    std::vector<std::byte> packet(kIpv4HeaderSize);
    emit_ipv4(header, packet);
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

std::vector<std::byte> packet_of(const Segment& segment) {
    TcpHeader header = segment.header;
    header.source_port = segment.source.port;
    header.destination_port = segment.destination.port;
    std::vector<std::byte> tcp(kMostHeader);
    tcp.resize(emit_tcp(header, tcp));
    const Bytes text = as_bytes(segment.text);
    tcp.insert(tcp.end(), text.begin(), text.end());
    write_transport_checksum(segment.source.address, segment.destination.address, kProtocolTcp, tcp,
                             kChecksumOffset);
    return ip_packet(segment.source.address, segment.destination.address, kProtocolTcp, tcp);
}

bool checksum_is_right(Bytes packet) {
    const Ipv4Parse ip = parse_ipv4(packet);
    const Bytes tcp = tcp_part(ip, packet);
    return !tcp.empty() &&
           transport_checksum(ip.header.source, ip.header.destination, kProtocolTcp, tcp) == 0;
}

}  // namespace runnel::lab
