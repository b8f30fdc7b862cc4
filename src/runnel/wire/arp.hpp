// ARP for IPv4 over Ethernet (RFC 826): 28 bytes, requests and replies. Announcements and probes
// (RFC 5227) are requests with particular addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

inline constexpr std::size_t kArpPacketSize = 28;

struct ArpPacket {
    enum class Operation : std::uint16_t { request = 1, reply = 2 };
    Operation operation = Operation::request;
    MacAddress sender_mac;
    IpAddress sender_ip = IpAddress::any(Family::ipv4);
    MacAddress target_mac;  ///< zeros in a request
    IpAddress target_ip = IpAddress::any(Family::ipv4);
    bool operator==(const ArpPacket&) const = default;
};

/// Reads the packet behind an Ethernet header (padding may follow it); nothing when it is cut short, is
/// not about IPv4 over Ethernet, or is neither request nor reply.
[[nodiscard]] std::optional<ArpPacket> parse_arp(Bytes bytes);

/// Writes the packet; returns 28, or 0 when it doesn't fit. Both IP addresses must be IPv4.
std::size_t emit_arp(const ArpPacket& packet, MutableBytes out);

}  // namespace runnel
