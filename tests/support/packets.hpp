// Packets as tests read and write them: the headers of a raw IP packet in one look, and TCP and UDP packets
// made from values, so that a test can speak to a host without one on the other side.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/frame.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::test {

inline Endpoint endpoint(std::string_view address, std::uint16_t port) {
    return {*parse_ip_address(address), port};
}

inline std::vector<std::byte> to_bytes(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

/// A raw IP packet's addresses and what it carries.
struct PacketView {
    IpAddress source, destination;
    std::uint8_t protocol = 0;
    Bytes transport;  ///< header and payload
};

inline std::optional<PacketView> view_packet(Bytes packet) {
    if (packet.empty()) {
        return std::nullopt;
    }
    if (std::to_integer<unsigned>(packet[0]) >> 4 == 4) {
        const Ipv4Parse parse = parse_ipv4(packet);
        if (parse.error) {
            return std::nullopt;
        }
        return PacketView{
            parse.header.source, parse.header.destination, parse.header.protocol,
            packet.subspan(parse.header.header_length, parse.header.payload_length())};
    }
    const Ipv6Parse parse = parse_ipv6(packet);
    if (parse.error) {
        return std::nullopt;
    }
    return PacketView{parse.header.source, parse.header.destination, parse.header.next_header,
                      packet.subspan(kIpv6HeaderSize, parse.header.payload_length)};
}

struct SegmentView {
    FourTuple tuple;  ///< local = the sender
    TcpHeader header;
    Bytes payload;
};

/// The TCP segment in a raw IP packet, or none.
inline std::optional<SegmentView> view_segment(Bytes packet) {
    const auto view = view_packet(packet);
    if (!view || view->protocol != kProtocolTcp) {
        return std::nullopt;
    }
    const TcpParse parse = parse_tcp(view->transport);
    if (parse.error) {
        return std::nullopt;
    }
    SegmentView segment;
    segment.tuple = {{view->source, parse.header.source_port},
                     {view->destination, parse.header.destination_port}};
    segment.header = parse.header;
    segment.payload = view->transport.subspan(parse.header.header_length);
    return segment;
}

/// A raw IP packet round `transport`, whose checksum at `checksum_offset` is filled in.
inline std::vector<std::byte> make_packet(const IpAddress& source, const IpAddress& destination,
                                          std::uint8_t protocol, std::vector<std::byte> transport,
                                          std::size_t checksum_offset) {
    const auto length = static_cast<std::uint32_t>(transport.size());
    ChecksumAccumulator sum(pseudo_header_sum(source, destination, protocol, length));
    transport[checksum_offset] = transport[checksum_offset + 1] = std::byte{0};
    sum.add(transport);
    const std::uint16_t checksum = sum.finish();
    transport[checksum_offset] = static_cast<std::byte>(checksum >> 8);
    transport[checksum_offset + 1] = static_cast<std::byte>(checksum & 0xff);

    std::vector<std::byte> packet;
    if (source.is_v4()) {
        Ipv4Header header;
        header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + transport.size());
        header.protocol = protocol;
        header.source = source;
        header.destination = destination;
        packet.resize(kIpv4HeaderSize);
        emit_ipv4(header, packet);
    } else {
        Ipv6Header header;
        header.payload_length = static_cast<std::uint16_t>(transport.size());
        header.next_header = protocol;
        header.source = source;
        header.destination = destination;
        packet.resize(kIpv6HeaderSize);
        emit_ipv6(header, packet);
    }
    packet.insert(packet.end(), transport.begin(), transport.end());
    return packet;
}

/// A TCP packet from `tuple.local` to `tuple.remote` with a right checksum; ports come from the tuple.
inline std::vector<std::byte> make_segment(const FourTuple& tuple, TcpHeader header,
                                           Bytes payload = {}) {
    header.source_port = tuple.local.port;
    header.destination_port = tuple.remote.port;
    std::vector<std::byte> transport(60);
    transport.resize(emit_tcp(header, transport));
    transport.insert(transport.end(), payload.begin(), payload.end());
    return make_packet(tuple.local.address, tuple.remote.address, kProtocolTcp,
                       std::move(transport), 16);
}

inline std::vector<std::byte> make_udp(const FourTuple& tuple, Bytes payload) {
    UdpHeader header;
    header.source_port = tuple.local.port;
    header.destination_port = tuple.remote.port;
    header.length = static_cast<std::uint16_t>(kUdpHeaderSize + payload.size());
    std::vector<std::byte> transport(kUdpHeaderSize);
    emit_udp(header, transport);
    transport.insert(transport.end(), payload.begin(), payload.end());
    return make_packet(tuple.local.address, tuple.remote.address, kProtocolUdp,
                       std::move(transport), 6);
}

/// A whole frame in one piece.
inline std::vector<std::byte> frame_bytes(const Frame& frame) {
    std::vector<std::byte> bytes(frame.head().begin(), frame.head().end());
    for (const Slice& slice : frame.body) {
        bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    return bytes;
}

}  // namespace runnel::test
