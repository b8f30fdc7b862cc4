// Neighbour Discovery's messages (RFC 4861 §4) as values. Parsing carries out the validity checks that
// need only the message (§6.1, §7.1, §8.1: code, lengths, options); those on hop limit and on the packet's
// addresses are the receiver's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/container/static_vector.hpp>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/icmpv6.hpp"

namespace runnel {

inline constexpr std::size_t kMaxNdpPrefixes =
    8;  ///< of one Router Advertisement; later ones are ignored
inline constexpr std::size_t kMaxNdpOptions = 32;  ///< a message with more is taken for malformed
/// Every message of Neighbour Discovery travels with this hop limit (RFC 4861 §4).
inline constexpr std::uint8_t kNdpHopLimit = 255;

struct RouterSolicitation {
    std::optional<MacAddress> source_mac;
    bool operator==(const RouterSolicitation&) const = default;
};

/// A Prefix Information option (RFC 4861 §4.6.2). Lifetimes in seconds, 0xffffffff for ever.
struct PrefixInformation {
    IpAddress prefix;
    std::uint8_t prefix_length = 0;
    bool on_link = false;
    bool autonomous = false;
    std::uint32_t valid_lifetime = 0;
    std::uint32_t preferred_lifetime = 0;
    bool operator==(const PrefixInformation&) const = default;
};

struct RouterAdvertisement {
    std::uint8_t hop_limit = 0;  ///< 0: unspecified
    bool managed = false;
    bool other_config = false;
    std::uint16_t router_lifetime = 0;   ///< seconds; 0: not a default router
    std::uint32_t reachable_time = 0;    ///< milliseconds; 0: unspecified
    std::uint32_t retransmit_timer = 0;  ///< milliseconds; 0: unspecified
    std::optional<MacAddress> source_mac;
    std::optional<std::uint32_t> mtu;
    boost::container::static_vector<PrefixInformation, kMaxNdpPrefixes> prefixes;
    bool operator==(const RouterAdvertisement&) const = default;
};

struct NeighborSolicitation {
    IpAddress target;
    std::optional<MacAddress> source_mac;
    bool operator==(const NeighborSolicitation&) const = default;
};

struct NeighborAdvertisement {
    bool router = false;
    bool solicited = false;
    bool override = false;
    IpAddress target;
    std::optional<MacAddress> target_mac;
    bool operator==(const NeighborAdvertisement&) const = default;
};

struct Redirect {
    IpAddress target;  ///< the better first hop, or the destination itself when it is a neighbour
    IpAddress destination;
    std::optional<MacAddress> target_mac;
    bool operator==(const Redirect&) const = default;
};

/// Each yields nothing when `message` has another type, a code other than 0, is too short, has an option
/// with length 0 or past the end, a target that is multicast, or more than kMaxNdpOptions options.
[[nodiscard]] std::optional<RouterSolicitation> parse_router_solicitation(
    const Icmpv6Message& message);
[[nodiscard]] std::optional<RouterAdvertisement> parse_router_advertisement(
    const Icmpv6Message& message);
[[nodiscard]] std::optional<NeighborSolicitation> parse_neighbor_solicitation(
    const Icmpv6Message& message);
[[nodiscard]] std::optional<NeighborAdvertisement> parse_neighbor_advertisement(
    const Icmpv6Message& message);
[[nodiscard]] std::optional<Redirect> parse_redirect(const Icmpv6Message& message);

/// Each writes the whole ICMPv6 message with its checksum; returns the bytes written, or 0 when they
/// don't fit. A neighbour message with its option takes 32 bytes.
std::size_t emit_ndp(const RouterSolicitation& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out);
std::size_t emit_ndp(const RouterAdvertisement& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out);
std::size_t emit_ndp(const NeighborSolicitation& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out);
std::size_t emit_ndp(const NeighborAdvertisement& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out);
std::size_t emit_ndp(const Redirect& value, const IpAddress& source, const IpAddress& destination,
                     MutableBytes out);

}  // namespace runnel
