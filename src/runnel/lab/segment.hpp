// A TCP segment of the lab: endpoints, header and text as a value, made from an IPv4 packet and turned into
// one. Toys speak in it, and what sits on the wire in a lesson reads and changes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::lab {

struct Segment {
    Endpoint source;
    Endpoint destination;
    TcpHeader header;  ///< its ports are those of the endpoints
    std::string text;  ///< the payload

    [[nodiscard]] bool has(std::uint16_t flags) const {
        return (header.flags.bits & flags) == flags;
    }
    /// SEG.LEN: text, SYN and FIN (RFC 9293 §3.4).
    [[nodiscard]] std::uint32_t length() const {
        return static_cast<std::uint32_t>(text.size()) + (header.flags.syn() ? 1U : 0U) +
               (header.flags.fin() ? 1U : 0U);
    }
};

/// Nothing when `packet` is no whole IPv4 packet with TCP in it.
[[nodiscard]] std::optional<Segment> segment_of(Bytes packet);

/// The IPv4 packet, with right lengths and checksums.
[[nodiscard]] std::vector<std::byte> packet_of(const Segment& segment);

/// An IPv4 packet with any payload.
[[nodiscard]] std::vector<std::byte> ip_packet(const IpAddress& source,
                                               const IpAddress& destination, std::uint8_t protocol,
                                               Bytes payload);

/// Whether the TCP checksum of `packet` is right.
[[nodiscard]] bool checksum_is_right(Bytes packet);

}  // namespace runnel::lab
