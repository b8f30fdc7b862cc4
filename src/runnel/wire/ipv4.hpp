// The IPv4 header (RFC 791 §3.1, ECN field of RFC 3168). Options are validated and their bytes given to
// whoever asks, and never sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

inline constexpr std::size_t kIpv4HeaderSize = 20;  ///< without options
inline constexpr std::size_t kIpv4MaxPacket = 65'535;

struct Ipv4Header {
    std::uint8_t traffic_class = 0;  ///< DSCP in the upper six bits, ECN in the lower two
    std::uint16_t total_length = 0;  ///< bytes, header included
    std::uint16_t identification = 0;
    bool dont_fragment = false;
    bool more_fragments = false;
    std::uint16_t fragment_offset = 0;  ///< bytes, a multiple of 8
    std::uint8_t ttl = 64;
    std::uint8_t protocol = 0;
    std::uint16_t checksum = 0;  ///< as received; emit_ipv4 computes it
    IpAddress source = IpAddress::any(Family::ipv4);
    IpAddress destination = IpAddress::any(Family::ipv4);
    std::uint8_t header_length = kIpv4HeaderSize;  ///< bytes, 20..60
    bool source_route = false;  ///< a loose or strict source route option is there

    bool operator==(const Ipv4Header&) const = default;
    [[nodiscard]] bool is_fragment() const { return more_fragments || fragment_offset != 0; }
    /// Bytes behind the header.
    [[nodiscard]] std::uint16_t payload_length() const {
        return static_cast<std::uint16_t>(total_length - header_length);
    }
    [[nodiscard]] std::uint8_t ecn() const { return traffic_class & 3; }
};

enum class Ipv4ParseError : std::uint8_t {
    truncated,          ///< fewer bytes than a header, or than the header or total length say
    bad_version,        ///< not 4
    bad_header_length,  ///< below 20
    bad_total_length,   ///< below the header's length
    bad_checksum,
    bad_option,    ///< an option's length is below 2 or runs past the header
    bad_fragment,  ///< a fragment would end past 65,535 bytes, or an inner one isn't a multiple of 8
};

struct Ipv4Parse {
    Ipv4Header header;  ///< meaningful without an error, and with bad_option
    std::optional<Ipv4ParseError> error;
    std::uint8_t error_offset = 0;  ///< with bad_option: the octet at fault (RFC 792 "Pointer")
};

/// Reads and validates the header at the start of `packet`, checksum included (RFC 1122 §3.2.1.1 to .2).
/// Bytes beyond the total length are link padding and no error.
[[nodiscard]] Ipv4Parse parse_ipv4(Bytes packet);
/// The same for a packet of `packet_size` bytes that lies in pieces, of which `front` is the first and holds
/// the whole header.
[[nodiscard]] Ipv4Parse parse_ipv4(Bytes front, std::size_t packet_size);

/// Writes a header of 20 bytes with its checksum (`checksum`, `header_length` and `source_route` of
/// `header` are not looked at); returns 20, or 0 when it doesn't fit.
std::size_t emit_ipv4(const Ipv4Header& header, MutableBytes out);

}  // namespace runnel
