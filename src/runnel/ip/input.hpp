// The steps of a packet's way in, from the link's frame to a transport's datagram (RFC 1122 §3.2).
#pragma once

#include "runnel/ip/ip_state.hpp"

namespace runnel {

/// What is known about a packet beside its bytes.
struct InputContext {
    std::uint8_t interface = 0;
    bool to_group_mac = false;  ///< the frame was multicast or broadcast on its link
    bool reassembled = false;   ///< made from fragments; another fragment header is refused
};

/// A frame as a link delivered it: Ethernet, or an IP packet where the link carries these.
InputResult frame_input(IpState& ip, Frame&& frame, Instant now);
/// An IP packet: `frame.body` begins with its header.
InputResult packet_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now);
InputResult ipv4_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now);
InputResult ipv6_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now);
/// A whole datagram for this host: ICMP is dealt with here, all else is the transports'.
InputResult deliver(IpState& ip, Datagram&& datagram, Instant now);
/// Turns the packet's bytes behind its headers into the datagram's payload.
void take_payload(Frame&& frame, std::size_t header_size, Datagram& datagram);
/// Adds a fragment; a datagram that has become whole goes on to packet_input.
InputResult fragment_input(IpState& ip, ArrivedFragment&& fragment, Instant now);
/// Gives up what waited too long, telling the sender where the first fragment is there.
void expire_fragments(IpState& ip, Instant now);

/// IpLayer::poll_local.
InputResult next_local(IpState& ip, Instant now);

/// Makes all of `body` one slice, copying if it isn't; false when the pool is exhausted or it is too large.
bool make_contiguous(BufferPool& pool, SliceList& body);
/// Makes the first `count` bytes (or all, if there are fewer) lie in `body[0]`.
bool pull_up(BufferPool& pool, SliceList& body, std::size_t count);
/// Cuts everything behind `count` bytes (link padding).
void truncate(SliceList& body, std::size_t count);
[[nodiscard]] std::size_t total_size(const SliceList& body);

InputResult icmpv4_input(IpState& ip, Datagram&& datagram, Instant now);
InputResult icmpv6_input(IpState& ip, Datagram&& datagram, Instant now);
void arp_input(IpState& ip, std::uint8_t interface, Bytes packet, Instant now);

}  // namespace runnel
