// Neighbour Discovery's messages in (RFC 4861), the check of new addresses for duplicates (RFC 4862,
// RFC 5227), router discovery and the multicast listener reports that snooping switches need (RFC 3810).
#pragma once

#include "runnel/ip/ip_state.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/icmpv6.hpp"

namespace runnel {

/// A checked ICMPv6 message of Neighbour Discovery; all its answers go out inside.
void ndp_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message, Instant now);
void router_advertisement_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message,
                                Instant now);
/// Forgets the default routes over a neighbour that is no router any more.
void forget_router(IpState& ip, std::uint8_t interface, const IpAddress& router);
void start_router_solicitation(IpState& ip, std::uint8_t interface, Instant now);
void router_timeouts(IpState& ip, Instant now);
[[nodiscard]] Instant next_router_timeout(const IpState& ip);

/// Begins the duplicate check of a just added address, or its announcement.
void start_address(IpState& ip, LocalAddress& address, Instant now);
void address_timeouts(IpState& ip, Instant now);
/// Somebody else has the address: it isn't used any more.
void give_up_address(IpState& ip, LocalAddress& address, Instant now);

/// `target_mac` unset: broadcast.
void send_arp(IpState& ip, std::uint8_t interface, ArpPacket::Operation operation,
              const IpAddress& sender, const IpAddress& target,
              std::optional<MacAddress> target_mac, Decision reason, Instant now);
/// Reports the solicited-node groups of an interface's addresses, or that of one address.
void send_mld_report(IpState& ip, std::uint8_t interface, const IpAddress* only, Instant now);
void mld_query_input(IpState& ip, std::uint8_t interface, Instant now);

}  // namespace runnel
