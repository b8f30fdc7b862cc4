// The Ethernet II header with up to two VLAN tags (IEEE 802.3, 802.1Q, 802.1ad), and the group addresses
// that IP multicast maps to (RFC 1112 §6.4, RFC 2464 §7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/container/static_vector.hpp>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;  ///< 802.1Q customer tag
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;  ///< 802.1ad service tag

inline constexpr std::size_t kEthernetHeaderSize = 14;  ///< without tags
inline constexpr std::size_t kVlanTagSize = 4;
inline constexpr std::size_t kMaxVlanTags = 2;

struct VlanTag {
    std::uint16_t tag_type = kEtherTypeVlan;
    std::uint16_t control = 0;  ///< priority, drop eligible, 12 bits of VLAN number
    constexpr bool operator==(const VlanTag&) const = default;
    [[nodiscard]] constexpr std::uint16_t vlan() const { return control & 0x0fff; }
};

struct EthernetHeader {
    MacAddress destination;
    MacAddress source;
    boost::container::static_vector<VlanTag, kMaxVlanTags> tags;  ///< outermost first
    /// What follows; below 0x0600 it is an 802.3 length, which no protocol here uses.
    std::uint16_t ether_type = 0;

    bool operator==(const EthernetHeader&) const = default;
    /// Bytes of the header as it stands on the wire: 14, 18 or 22.
    [[nodiscard]] std::size_t size() const {
        return kEthernetHeaderSize + tags.size() * kVlanTagSize;
    }
};

/// Reads the header at the start of `frame`; nothing when it is cut short. A third tag is left in place,
/// so that `ether_type` is then a tag's.
[[nodiscard]] std::optional<EthernetHeader> parse_ethernet(Bytes frame);

/// Writes the header; returns its size, or 0 when it doesn't fit in `out`.
std::size_t emit_ethernet(const EthernetHeader& header, MutableBytes out);

/// The MAC address that frames to this multicast (either family) or limited broadcast address go to.
/// Precondition: `group` is one.
[[nodiscard]] MacAddress group_mac(const IpAddress& group);

}  // namespace runnel
