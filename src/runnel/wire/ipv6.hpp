// The IPv6 header and the chain of extension headers behind it (RFC 8200 §3, §4). The walk is bounded in
// headers and options, and where it stops it says what an ICMPv6 Parameter Problem would have to say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

inline constexpr std::size_t kIpv6HeaderSize = 40;
inline constexpr std::size_t kIpv6FragmentHeaderSize = 8;
inline constexpr std::uint32_t kIpv6MinimumMtu = 1280;  ///< RFC 8200 §5

struct Ipv6Header {
    std::uint8_t traffic_class = 0;    ///< DSCP in the upper six bits, ECN in the lower two
    std::uint32_t flow_label = 0;      ///< 20 bits
    std::uint16_t payload_length = 0;  ///< bytes behind these 40, extension headers included
    std::uint8_t next_header = 0;
    std::uint8_t hop_limit = 64;
    IpAddress source;
    IpAddress destination;

    bool operator==(const Ipv6Header&) const = default;
    [[nodiscard]] std::size_t total_length() const { return kIpv6HeaderSize + payload_length; }
    [[nodiscard]] std::uint8_t ecn() const { return traffic_class & 3; }
};

enum class Ipv6ParseError : std::uint8_t {
    truncated,    ///< fewer than 40 bytes, or than the payload length says
    bad_version,  ///< not 6
    bad_address,  ///< an IPv4-mapped source or destination, which is never valid on the wire (RFC 4291 §2.5.5.2)
};

struct Ipv6Parse {
    Ipv6Header header;  ///< meaningful without an error
    std::optional<Ipv6ParseError> error;
};

/// Reads the fixed header at the start of `packet`. Bytes beyond the payload length are link padding.
[[nodiscard]] Ipv6Parse parse_ipv6(Bytes packet);
/// The same for a packet of `packet_size` bytes that lies in pieces, of which `front` is the first and holds
/// the whole header.
[[nodiscard]] Ipv6Parse parse_ipv6(Bytes front, std::size_t packet_size);

/// Writes the fixed header; returns 40, or 0 when it doesn't fit. Both addresses must be IPv6.
std::size_t emit_ipv6(const Ipv6Header& header, MutableBytes out);

/// A fragment header (RFC 8200 §4.5). Offsets of other fields count from the IPv6 header's first byte.
struct Ipv6Fragment {
    std::uint32_t identification = 0;
    std::uint16_t fragment_offset = 0;  ///< bytes, a multiple of 8
    bool more_fragments = false;
    std::uint8_t next_header = 0;  ///< of the fragmentable part
    std::uint32_t header_at =
        0;  ///< where the fragment header stands: the unfragmentable part's length
    std::uint32_t next_header_at =
        0;  ///< the Next Header field that named the fragment header (44)

    bool operator==(const Ipv6Fragment&) const = default;
    /// A fragment that is the whole packet (RFC 6946).
    [[nodiscard]] bool atomic() const { return fragment_offset == 0 && !more_fragments; }
};

/// Writes a fragment header: `next_header`, offset, M bit and identification; returns 8, or 0 when it
/// doesn't fit.
std::size_t emit_ipv6_fragment(const Ipv6Fragment& fragment, MutableBytes out);

/// Why the walk ended before an upper-layer header, and what has to be answered.
enum class Ipv6ChainError : std::uint8_t {
    truncated,  ///< a header or option runs past the packet: drop
    too_many,   ///< more than kMaxExtensionHeaders headers or kMaxIpv6Options options: drop
    unrecognised_next_header,  ///< hop-by-hop options not directly behind the IPv6 header: code 1
    unrecognised_option,  ///< an unknown option that asks for the packet to be dropped: code 2 or silence
    unrecognised_routing,  ///< an unknown routing type with segments left: code 0 (RFC 8200 §4.4)
    bad_fragment_length,  ///< an inner fragment isn't a multiple of 8 bytes: code 0 (RFC 8200 §4.5)
    fragment_too_long,    ///< the packet it is of would exceed 65,535 bytes: code 0 (RFC 8200 §4.5)
    incomplete_first_fragment,  ///< the chain doesn't end within the first fragment: code 3 (RFC 7112 §5)
};

/// What to send about a Ipv6ChainError.
enum class Ipv6ChainAnswer : std::uint8_t {
    none,              ///< drop in silence
    always,            ///< Parameter Problem, even to a multicast destination
    unless_multicast,  ///< Parameter Problem unless the packet's destination was multicast
};

inline constexpr std::size_t kMaxExtensionHeaders = 8;
/// Over all headers of a packet, padding counted (RFC 8504 §5.3 lets a host set such limits).
inline constexpr std::size_t kMaxIpv6Options = 32;

/// Where the chain leads. All offsets count from the IPv6 header's first byte, as ICMPv6 pointers do.
struct Ipv6Chain {
    /// The first header that isn't one of the extension headers named above: TCP, UDP, ICMPv6, 59, or one
    /// this host doesn't know. With a real fragment, kProtocolFragment.
    std::uint8_t protocol = 0;
    /// Where that header starts; with a real fragment, where the fragment's data start.
    std::uint32_t offset = 0;
    /// Where the Next Header field stands that named `protocol`: the pointer of a Parameter Problem
    /// (code 1) when the host doesn't know it.
    std::uint32_t next_header_at = 6;
    /// Set when a fragment header is there. An atomic fragment's chain is walked on, as it is whole;
    /// with a real one the walk stops there.
    std::optional<Ipv6Fragment> fragment;

    std::optional<Ipv6ChainError> error;
    Ipv6ChainAnswer answer = Ipv6ChainAnswer::none;
    std::uint8_t answer_code = 0;      ///< code of the Parameter Problem
    std::uint32_t answer_pointer = 0;  ///< its pointer
};

/// Walks the extension headers of `packet`, which starts with `header`. Options that ask to be skipped are
/// skipped; no option but padding is known.
[[nodiscard]] Ipv6Chain walk_ipv6_chain(Bytes packet, const Ipv6Header& header);

/// ff02::1:ffXX:XXXX for the low 24 bits of `address` (RFC 4291 §2.7.1).
[[nodiscard]] IpAddress solicited_node_multicast(const IpAddress& address);
/// fe80::/64 with the modified EUI-64 of `mac` (RFC 2464 §5).
[[nodiscard]] IpAddress link_local_address(const MacAddress& mac);
[[nodiscard]] IpAddress all_nodes_multicast();    ///< ff02::1
[[nodiscard]] IpAddress all_routers_multicast();  ///< ff02::2

}  // namespace runnel
