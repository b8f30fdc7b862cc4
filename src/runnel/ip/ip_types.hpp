// The values that pass between the network layer and whoever stands on it:
// interfaces, routes, arriving datagrams, validated ICMP errors and what to put
// round an outgoing transport segment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel {

/// The interface of packets from the host to itself. It always exists and
/// carries bare IP packets.
inline constexpr std::uint8_t kLoopbackInterface = 0xff;
/// "Whichever the routes say", where an interface may be given.
inline constexpr std::uint8_t kAnyInterface = 0xfe;
/// Limits of the small tables that are searched in order.
inline constexpr std::size_t kMaxInterfaces = 32;
inline constexpr std::size_t kMaxAddresses = 64;
inline constexpr std::size_t kMaxRoutes = 256;
/// Greatest packet from the host to itself, bytes: what both families' length
/// fields can say.
inline constexpr std::uint32_t kLoopbackMtu = 65535;
/// OutgoingPacket::checksum_offset when the transport has no checksum, or has
/// filled it in.
inline constexpr std::uint16_t kNoChecksum = 0xffff;

struct InterfaceConfig {
    std::string name;
    LinkCapabilities capabilities;
    MacAddress mac;  ///< of the host on that link; unused with LinkLayer::raw_ip
};

struct Route {
    Cidr destination;
    std::optional<IpAddress> gateway;  ///< none: the destination is on the link itself
    std::uint8_t interface = 0;
    std::uint32_t metric = 0;  ///< smaller wins among prefixes of one length
    std::uint32_t mtu = 0;     ///< bytes of an IP packet; 0: the interface's
};

/// How a destination would be reached now.
struct RouteChoice {
    std::uint8_t interface = 0;
    IpAddress next_hop;
    IpAddress source;
    std::uint32_t mtu = 0;  ///< of the path as far as known, bytes of an IP packet

    bool operator==(const RouteChoice&) const = default;
};

/// An arrived, whole transport datagram to one of this host's addresses or
/// groups.
struct Datagram {
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;
    std::uint8_t interface = 0;
    std::uint8_t hop_limit = 0;
    std::uint8_t traffic_class = 0;  ///< DSCP and ECN
    /// False for multicast and broadcast, also when only the link-layer
    /// destination was a group.
    bool to_unicast = true;
    /// Bytes of the network header as it arrived, right before payload[0] in the
    /// same chunk.
    std::uint16_t network_header_size = 0;
    Offload offload;    ///< as arrived, csum_start and header_length counted from
                        ///< the transport header
    SliceList payload;  ///< the transport header at the front of payload[0]; empty
                        ///< with payload_size 0
    std::uint32_t payload_size = 0;

    /// The two bits that routers mark (RFC 3168 §5): 0 Not-ECT, 1 ECT(1), 2
    /// ECT(0), 3 CE.
    [[nodiscard]] std::uint8_t ecn() const { return traffic_class & 3; }
};

/// An ICMP error about a packet that claims one of our addresses as its source.
/// The transport must still find the quoted ports and sequence number plausible
/// (RFC 5927 §4) before it believes a word of it.
struct IcmpError {
    enum class Kind : std::uint8_t {
        network_unreachable,
        host_unreachable,
        protocol_unreachable,
        port_unreachable,
        administratively_prohibited,
        source_route_failed,
        packet_too_big,
        time_exceeded,
        reassembly_time_exceeded,
        parameter_problem,
    };
    Kind kind{};
    IpAddress quoted_source;                ///< ours
    IpAddress quoted_destination;           ///< whom the packet was for
    std::uint8_t protocol = 0;              ///< of the quoted packet's transport
    std::uint8_t transport_size = 0;        ///< bytes filled in `transport`
    std::array<std::byte, 20> transport{};  ///< the front of the quoted transport header
    std::uint32_t mtu = 0;                  ///< with packet_too_big: of the next hop, at least 68
                                            ///< (v4) or 1280 (v6)
    IpAddress reporter;  ///< who sent the error; one of ours when it arose in this host

    [[nodiscard]] Bytes transport_bytes() const { return Bytes(transport).first(transport_size); }
};

/// What arrived, after everything the network layer answers itself has been
/// answered.
using InputResult = std::variant<std::monostate, Datagram, IcmpError>;

/// The network header that the transport wants in front of its segment.
struct OutgoingPacket {
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;
    std::uint8_t interface =
        kAnyInterface;  ///< needed only for link-local and multicast destinations
    std::uint8_t hop_limit = 64;
    std::uint8_t traffic_class = 0;
    bool dont_fragment = true;
    std::uint16_t gso_size = 0;  ///< TCP payload bytes of each piece; 0: not a super-segment
    bool keep_cwr = false;  ///< CWR is part of a counter and stands on each piece (RFC 9768 §3.2.2)
    std::uint16_t checksum_offset =
        kNoChecksum;  ///< of the 16-bit checksum in the transport header
};

enum class AddressState : std::uint8_t {
    tentative,   ///< being checked and not used (RFC 4862 §5.4)
    optimistic,  ///< being checked and used meanwhile (RFC 4429)
    preferred,
    duplicate,  ///< somebody else has it; not used
};

enum class NeighborState : std::uint8_t { incomplete, reachable, stale, delay, probe };

/// Rows for `stat` and `ss`.
struct AddressStatus {
    Cidr cidr;
    AddressState state{};
};
struct InterfaceCounters {
    std::uint64_t frames_in = 0, bytes_in = 0, frames_out = 0, bytes_out = 0;
};
struct InterfaceStatus {
    std::uint8_t index = 0;
    InterfaceConfig config;
    std::uint32_t mtu_v6 = 0;  ///< differs from the link's when a router advertised less
    std::vector<AddressStatus> addresses;
    InterfaceCounters counters;
};
struct NeighborStatus {
    std::uint8_t interface = 0;
    IpAddress address;
    MacAddress mac;
    NeighborState state{};
    bool is_router = false;
    std::uint16_t queued = 0;
};

}  // namespace runnel
