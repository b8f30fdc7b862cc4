// The datagram that an ICMP error quotes: cut short anywhere behind its IP header, its checksums beyond
// verifying. Gives what is needed to find the connection it is about and to check that it is really ours
// (RFC 5927 §4).
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/seq_num.hpp"

namespace runnel {

/// An IP packet's beginning as quoted.
struct QuotedDatagram {
    IpAddress source;  ///< ours, when the error is meant for us
    IpAddress destination;
    std::uint8_t protocol = 0;          ///< upper layer; for IPv6 behind the extension headers
    std::uint32_t total_length = 0;     ///< as its header says, bytes
    std::uint16_t fragment_offset = 0;  ///< bytes; with anything but 0, `payload` is not a header
    Bytes payload;                      ///< what is quoted of the upper layer
};

/// Nothing when less than an IP header (with its options or extension headers) is quoted.
[[nodiscard]] std::optional<QuotedDatagram> parse_quoted_ipv4(Bytes body);
[[nodiscard]] std::optional<QuotedDatagram> parse_quoted_ipv6(Bytes body);

/// The first eight bytes of a TCP header, which every error quotes at least (RFC 792).
struct QuotedTcp {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    SeqNum seq;
};
[[nodiscard]] std::optional<QuotedTcp> parse_quoted_tcp(const QuotedDatagram& datagram);

struct QuotedUdp {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};
[[nodiscard]] std::optional<QuotedUdp> parse_quoted_udp(const QuotedDatagram& datagram);

}  // namespace runnel
