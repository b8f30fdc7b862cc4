// ICMP of both families: what is answered and what is said about others' packets (RFC 792, RFC 4443).
#pragma once

#include <cstdint>

#include "runnel/ip/ip_state.hpp"

namespace runnel {

/// The packet an ICMP error would be about.
struct OffendingPacket {
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;
    std::uint8_t interface = 0;
    bool to_unicast = true;
    Bytes header;   ///< network header with options or extension headers, as it arrived
    Bytes payload;  ///< what is at hand of the rest, one piece
};

/// Type, code and second word of an error, of the offending packet's family.
struct IcmpAnswer {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;
    /// The error may be about a multicast packet (RFC 4443 §2.4 (e.3) exceptions).
    bool also_about_groups = false;
};

/// Sends `answer` unless a rule or the rate limit forbids it; returns and records what was decided.
Decision send_icmp_answer(IpState& ip, const IcmpAnswer& answer, const OffendingPacket& offending,
                          Instant now);
/// IpLayer::send_icmp_error.
Decision send_icmp_error(IpState& ip, IcmpError::Kind kind, const Datagram& offending, Instant now);
/// Sends a finished ICMPv6 message (checksum included) from the frame's head, without fragmenting it.
Decision send_icmpv6_message(IpState& ip, Bytes message, const IpAddress& source,
                             const IpAddress& destination, std::uint8_t hop_limit,
                             std::uint8_t interface, Decision reason, Instant now);

}  // namespace runnel
