// The steps of a packet's way out, from a transport's segment to a frame for a link (RFC 1122 §3.3).
#pragma once

#include <optional>

#include "runnel/ip/ip_state.hpp"

namespace runnel {

/// IpLayer::output.
Decision packet_output(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Instant now);
/// One packet that its path takes as it is: checksum, IP header, and on to the link.
Decision send_whole(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& path,
                    Instant now);
/// A TCP super-segment, split here into pieces of packet.gso_size (RFC 9293 §3.8.3 sees them as sent so).
Decision send_split(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& path,
                    Instant now);
/// A packet larger than its path takes, in fragments (RFC 791 §3.2, RFC 8200 §4.5).
Decision send_fragments(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& path,
                        Instant now);
/// A packet with its IP header goes to its link: resolved, held, or appended to pending.
Decision send_to_link(IpState& ip, Frame&& frame, Path& path, Instant now);
Decision send_to_loopback(IpState& ip, Frame&& frame, Instant now);
/// Keeps what sending has learnt about a copied path, if the cache still holds it.
void remember_neighbor(IpState& ip, const Path& path);
/// Appends a complete frame to pending.
Decision append_pending(IpState& ip, Frame&& frame, std::uint8_t interface, Instant now);
/// Puts an Ethernet header before an IP packet and appends the frame to pending.
Decision send_ethernet(IpState& ip, Frame&& frame, std::uint8_t interface,
                       const MacAddress& destination, Instant now);

/// Stores the transport checksum in `frame.head`, whole or partial.
void fill_checksum(Frame& frame, const OutgoingPacket& packet, std::uint32_t transport_size,
                   bool partial);
/// Puts the IP header before the frame's bytes. `identification` is used by IPv4 only.
void prepend_ip_header(Frame& frame, const OutgoingPacket& packet, std::uint16_t identification,
                       bool dont_fragment);

/// Cuts the next `count` bytes off a slice list, as a cursor over it.
class SliceCursor {
public:
    explicit SliceCursor(const SliceList& slices) : slices_(slices) {}
    /// Appends views of the next `count` bytes to `out`; false when `out` would hold too many slices.
    bool take(std::size_t count, SliceList& out);

private:
    const SliceList& slices_;
    std::size_t slice_ = 0;
    std::size_t offset_ = 0;
};

/// Tells our own transport that a packet of it couldn't go: `packet` begins with its IP header.
void report_local_error(IpState& ip, IcmpError::Kind kind, Bytes packet, std::uint32_t mtu);

// --- neighbours ------------------------------------------------------------------------------------------

/// Sends an ARP request or a Neighbor Solicitation for an entry: to the group, or to its known address.
void solicit_neighbor(IpState& ip, NeighborCache::Ref ref, bool unicast, Instant now);
/// Sends what waited for a neighbour whose address is known now.
void release_held(IpState& ip, NeighborCache::Ref ref, Instant now);
/// Solicits again and gives up what can't be resolved.
void neighbor_timeouts(IpState& ip, Instant now);

}  // namespace runnel
