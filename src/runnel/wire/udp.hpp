// The UDP header (RFC 768, RFC 8200 §8.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"

namespace runnel {

inline constexpr std::size_t kUdpHeaderSize = 8;

struct UdpHeader {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t length = kUdpHeaderSize;  ///< bytes, header included
    std::uint16_t checksum = 0;             ///< 0: none, allowed over IPv4 only
    constexpr bool operator==(const UdpHeader&) const = default;
    [[nodiscard]] constexpr std::uint16_t payload_length() const {
        return static_cast<std::uint16_t>(length - kUdpHeaderSize);
    }
};

/// Reads the header at the start of `bytes` (an IP packet's payload); nothing when it is cut short, or the
/// length is below 8 or beyond `bytes`. Does not look at the checksum.
[[nodiscard]] std::optional<UdpHeader> parse_udp(Bytes bytes);

/// Writes the header; returns 8, or 0 when it doesn't fit. `checksum` is written as given.
std::size_t emit_udp(const UdpHeader& header, MutableBytes out);

/// The checksum field to send for this finished sum: 0 means "none" and is sent as all ones (RFC 768).
[[nodiscard]] constexpr std::uint16_t udp_checksum_field(std::uint16_t finished) {
    return finished == 0 ? std::uint16_t{0xffff} : finished;
}

}  // namespace runnel
