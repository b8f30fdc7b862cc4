// What a captured packet is about, read from outside: link header, IP, then TCP or an ICMP error that quotes
// TCP. More lenient than the engine's input, because captures are cut short (snap length) and show packets
// whose checksums or lengths a device had yet to fill in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/container/static_vector.hpp>

#include "runnel/base/bytes.hpp"
#include "runnel/report/capture_reader.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::report {

/// A packet's network layer, behind whatever the link put before it.
struct LinkPayload {
    std::uint16_t ether_type = 0;  ///< 0: neither IPv4 nor IPv6 nor named by the link
    Bytes bytes;
    std::uint32_t interface_index = 0;  ///< of the machine, where the link type tells it, else 0
    PacketDirection direction = PacketDirection::unknown;  ///< where the link type tells it
};

[[nodiscard]] bool knows_link_type(std::uint16_t link_type);

/// Nothing when the link type isn't known or its header is cut short.
[[nodiscard]] std::optional<LinkPayload> link_payload(std::uint16_t link_type, Bytes packet);

enum class ChecksumState : std::uint8_t {
    unknown,  ///< the packet was cut short
    right,
    offloaded,  ///< left for the device to fill in: seen before that
    wrong,
};

/// Options of TCP that the engine doesn't know, of one segment.
inline constexpr std::size_t kMaxOtherOptions = 6;

struct DecodedTcp {
    Endpoint source;
    Endpoint destination;
    TcpHeader header;
    boost::container::static_vector<std::uint8_t, kMaxOtherOptions> other_options;  ///< their kinds
    bool options_malformed = false;  ///< or cut short; the options are then not told
    std::uint32_t payload_size = 0;  ///< as the IP header says, also where the capture kept less
    ChecksumState checksum = ChecksumState::unknown;
    std::uint8_t ecn = 0;  ///< of the IP header: 3 is Congestion Experienced
    Bytes bytes;           ///< header and payload, as far as the capture has them
};

/// An ICMP error about a TCP segment.
struct DecodedIcmpError {
    IpAddress reporter;
    Endpoint quoted_source;
    Endpoint quoted_destination;
    SeqNum quoted_seq;
    std::string meaning;  ///< "port unreachable", "packet too big, MTU 1400"
};

struct DecodedPacket {
    enum class Kind : std::uint8_t { tcp, icmp_error, fragment, udp, icmp, arp, other, unreadable };
    Kind kind = Kind::unreadable;
    std::optional<DecodedTcp> tcp;                         ///< with Kind::tcp
    std::optional<DecodedIcmpError> icmp_error;            ///< with Kind::icmp_error
    std::uint32_t interface_index = 0;                     ///< of the machine, or 0
    PacketDirection direction = PacketDirection::unknown;  ///< where the link type tells it
};

/// `fragment` is any fragment of a packet that isn't whole: they are not put together.
[[nodiscard]] DecodedPacket decode_packet(const CapturedPacket& packet);

}  // namespace runnel::report
