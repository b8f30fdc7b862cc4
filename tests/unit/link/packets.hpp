// Packets by hand for the link's tests: written and summed here, so that a mistake in Runnel's own
// formats can't hide one in its links.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"

namespace runnel::testing {

using Packet = std::vector<std::uint8_t>;

inline void put16(Packet& packet, unsigned value) {
    packet.push_back(static_cast<std::uint8_t>(value >> 8));
    packet.push_back(static_cast<std::uint8_t>(value & 0xff));
}
inline void put32(Packet& packet, std::uint32_t value) {
    put16(packet, value >> 16);
    put16(packet, value & 0xffff);
}
inline void set16(Packet& packet, std::size_t at, unsigned value) {
    packet[at] = static_cast<std::uint8_t>(value >> 8);
    packet[at + 1] = static_cast<std::uint8_t>(value & 0xff);
}
inline unsigned get16(const Packet& packet, std::size_t at) {
    return static_cast<unsigned>(packet.at(at)) << 8 | packet.at(at + 1);
}
inline std::uint32_t get32(const Packet& packet, std::size_t at) {
    return static_cast<std::uint32_t>(get16(packet, at)) << 16 | get16(packet, at + 2);
}

/// One's complement sum of [from, to), folded, not inverted (RFC 1071).
inline unsigned sum(const Packet& packet, std::size_t from, std::size_t to, unsigned start = 0) {
    std::uint64_t total = start;
    for (std::size_t i = from; i < to; ++i) {
        total += (i - from) % 2 == 0 ? static_cast<unsigned>(packet[i]) << 8 : packet[i];
    }
    while (total >> 16 != 0) {
        total = (total & 0xffff) + (total >> 16);
    }
    return static_cast<unsigned>(total);
}

/// Sum of the IPv4 pseudo-header of the packet whose IP header starts at `ip`.
inline unsigned pseudo_sum(const Packet& packet, std::size_t ip, unsigned length) {
    return sum(packet, ip + 12, ip + 20, packet[ip + 9] + length);
}

inline Packet ipv4(unsigned protocol, std::uint32_t source, std::uint32_t destination,
                   std::size_t payload) {
    Packet p{0x45, 0};
    put16(p, static_cast<unsigned>(20 + payload));
    put32(p, 0x00014000);  // identification 1, don't fragment
    p.push_back(64);
    p.push_back(static_cast<std::uint8_t>(protocol));
    put16(p, 0);
    put32(p, source);
    put32(p, destination);
    set16(p, 10, ~sum(p, 0, 20) & 0xffff);
    return p;
}

enum class Checksum { full, wrong, partial };

inline void set_checksum(Packet& p, std::size_t at, Checksum kind) {
    const auto length = static_cast<unsigned>(p.size() - 20);
    if (kind == Checksum::partial) {
        set16(p, at, pseudo_sum(p, 0, length));
        return;
    }
    const unsigned right = ~sum(p, 20, p.size(), pseudo_sum(p, 0, length)) & 0xffff;
    set16(p, at, kind == Checksum::full ? right : right ^ 0x1234);
}

inline Packet udp4(std::uint32_t source, std::uint32_t destination, unsigned source_port,
                   unsigned destination_port, std::string_view text, Checksum checksum) {
    Packet p = ipv4(17, source, destination, 8 + text.size());
    put16(p, source_port);
    put16(p, destination_port);
    put16(p, static_cast<unsigned>(8 + text.size()));
    put16(p, 0);
    p.insert(p.end(), text.begin(), text.end());
    set_checksum(p, 26, checksum);
    return p;
}

struct TcpFields {
    unsigned source_port = 0;
    unsigned destination_port = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    unsigned flags = 0;  // as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16
};

/// With MSS 1460 and window scale 10 on a SYN, none otherwise.
inline Packet tcp4(std::uint32_t source, std::uint32_t destination, const TcpFields& fields,
                   std::string_view payload, Checksum checksum) {
    const bool syn = (fields.flags & 2) != 0;
    const unsigned header = syn ? 28 : 20;
    Packet p = ipv4(6, source, destination, header + payload.size());
    put16(p, fields.source_port);
    put16(p, fields.destination_port);
    put32(p, fields.seq);
    put32(p, fields.ack);
    p.push_back(static_cast<std::uint8_t>(header / 4 << 4));
    p.push_back(static_cast<std::uint8_t>(fields.flags));
    put16(p, 0xffff);
    put32(p, 0);
    if (syn) {
        put32(p, 0x020405b4);
        put32(p, 0x0103030a);
    }
    p.insert(p.end(), payload.begin(), payload.end());
    set_checksum(p, 36, checksum);
    return p;
}

inline Packet ethernet(const std::string& destination, const std::string& source, unsigned type,
                       const Packet& payload) {
    Packet p(destination.begin(), destination.end());
    p.insert(p.end(), source.begin(), source.end());
    put16(p, type);
    p.insert(p.end(), payload.begin(), payload.end());
    return p;
}

inline Packet to_packet(Bytes bytes) {
    Packet p;
    for (const std::byte b : bytes) {
        p.push_back(std::to_integer<std::uint8_t>(b));
    }
    return p;
}

}  // namespace runnel::testing
