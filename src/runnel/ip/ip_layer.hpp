// One machine's network layer: interfaces, addresses, routes, IPv4 and IPv6
// input and output (RFC 1122 §3, RFC 8200), with ARP, NDP, ICMP, reassembly and
// path MTU inside. It does no I/O: frames and the time come in, datagrams and
// errors are returned, and frames to send stand in `pending()`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/result.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/ip_config.hpp"
#include "runnel/ip/ip_types.hpp"
#include "runnel/observe/flight_recorder.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel {

struct IpState;

class IpLayer {
public:
    /// `pool` and `recorder` must outlive the layer. `secret` keys
    /// identifications, hash tables and jitter.
    IpLayer(BufferPool& pool, FlightRecorder& recorder, const IpConfig& config,
            const SipKey& secret);
    ~IpLayer();
    IpLayer(const IpLayer&) = delete;
    IpLayer& operator=(const IpLayer&) = delete;

    // --- configuration
    // -------------------------------------------------------------------------------
    /// Returns the interface's index, by which frames name it. Fails with
    /// too_many_open.
    Result<std::uint8_t> add_interface(const InterfaceConfig& config);
    /// Adds a local address and the route to its prefix. On Ethernet it is
    /// checked for duplicates (NDP, ARP probe) and announced; it may be used at
    /// once unless `optimistic_dad` is off.
    Status add_address(std::uint8_t interface, const Cidr& cidr, Instant now);
    Status remove_address(std::uint8_t interface, const IpAddress& address);
    Status add_route(const Route& route);
    Status remove_route(const Route& route);

    // --- data path
    // -----------------------------------------------------------------------------------
    /// Takes a frame from the interface that `frame.interface` names. A datagram
    /// for a transport or an ICMP error about one of its packets is returned; all
    /// else (ARP, NDP, echo, fragments, drops) is dealt with inside, recorded,
    /// and answered in `pending()`.
    InputResult input(Frame&& frame, Instant now);

    /// Sends one transport segment: `frame.head` holds the transport header with
    /// checksum field 0, `frame.body` the payload. Routes it, fills the checksum
    /// in or leaves it partial as the link allows, splits a super-segment where
    /// the link can't take it, fragments when allowed and needed, resolves the
    /// neighbour or holds the frame behind its resolution, and appends the result
    /// to `pending()`. Returns ip_transmit, ip_transmit_loopback, a hold (kept,
    /// will go) or a drop. Only holds and drops are recorded: the transport
    /// records its own transmissions.
    Decision output(Frame&& frame, const OutgoingPacket& packet, Instant now);

    /// Frames ready for their interfaces (`frame.interface`). The caller takes
    /// them and clears the batch.
    FrameBatch& pending();

    /// Packets from this host to itself, and errors that arose inside it (a
    /// neighbour that can't be resolved). While `has_local()`, each `poll_local`
    /// handles one; its result may be empty.
    [[nodiscard]] bool has_local() const;
    InputResult poll_local(Instant now);

    /// Answers `offending` with an ICMP error unless a rule forbids it (RFC 1122
    /// §3.2.2, RFC 4443 §2.4) or the rate limit is reached. Returns and records
    /// icmp_transmit_error or the hold that applied.
    Decision send_icmp_error(IcmpError::Kind kind, const Datagram& offending, Instant now);

    // --- routes and paths
    // ----------------------------------------------------------------------------
    /// How `destination` would be reached, with `source` if given, else with the
    /// chosen one (RFC 6724 §5).
    [[nodiscard]] std::optional<RouteChoice> route(const IpAddress& destination,
                                                   std::optional<IpAddress> source = {},
                                                   std::uint8_t interface = kAnyInterface) const;
    /// Bytes of the greatest IP packet that the path to `destination` is known to
    /// take; 0 without a route.
    [[nodiscard]] std::uint32_t path_mtu(const IpAddress& destination) const;
    /// Lowers the path MTU, bytes of an IP packet. For errors that the transport
    /// has found genuine. Values below the floor are raised to it; values that
    /// wouldn't lower it change nothing. Forgotten after `path_mtu_lifetime`.
    void update_path_mtu(const IpAddress& destination, std::uint32_t mtu, Instant now);
    /// The transport has heard from `destination` in answer to what it sent (RFC
    /// 4861 §7.3.1). Cheap.
    void confirm_neighbor(const IpAddress& destination, Instant now);
    /// The transport hears nothing from `destination`: whether the next hop still answers is asked at once
    /// (RFC 1122 §3.3.1.4, negative advice). A neighbour that doesn't is forgotten and looked for anew.
    void suspect_neighbor(const IpAddress& destination, Instant now);
    /// True for multicast and broadcast addresses, a subnet's too: no TCP with them.
    [[nodiscard]] bool is_group(const IpAddress& address) const;
    /// True for usable addresses of this host, 127/8 and ::1.
    [[nodiscard]] bool is_local(const IpAddress& address) const;

    // --- time
    // ----------------------------------------------------------------------------------------
    [[nodiscard]] Instant next_timeout() const;
    void on_timeout(Instant now);

    // --- status
    // --------------------------------------------------------------------------------------
    [[nodiscard]] std::vector<InterfaceStatus> interfaces() const;
    [[nodiscard]] std::span<const Route> routes() const;
    [[nodiscard]] std::vector<NeighborStatus> neighbors(Instant now) const;
    [[nodiscard]] const IpConfig& config() const;

private:
    std::unique_ptr<IpState> state_;
};

/// True when the transport checksum of `datagram` holds, or when the link
/// vouches for it (needs_checksum and checksum_valid: nobody outside this
/// machine has touched it since). For TCP, UDP and ICMPv6; UDP's "no checksum"
/// (0, IPv4 only) is the caller's to look at first.
[[nodiscard]] bool verify_transport_checksum(const Datagram& datagram);

/// The checksum of `head` followed by `body` with the pseudo-header's sum,
/// ready to be stored (a result of 0 is returned as 0: UDP sends it as 0xffff).
[[nodiscard]] std::uint16_t complete_checksum(std::uint16_t pseudo_header_sum, Bytes head,
                                              const SliceList& body);

}  // namespace runnel
