// The host's own addresses: which are usable, which are being checked for duplicates (RFC 4862 §5.4,
// RFC 5227), and which of them a packet to a given destination should come from (RFC 6724 §5).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/ip/ip_types.hpp"

namespace runnel {

/// One address of one interface, with the progress of its duplicate check.
struct LocalAddress {
    Cidr cidr;
    IpAddress group;  ///< IPv6: the solicited-node multicast group; IPv4: the directed broadcast
    std::uint8_t interface = 0;
    AddressState state = AddressState::preferred;
    std::uint8_t probes_left = 0;         ///< duplicate checks still to be sent
    std::uint8_t announcements_left = 0;  ///< gratuitous ARP or unsolicited NA still to be sent
    Instant deadline = Instant::never();  ///< of the next probe, verdict or announcement
    Instant last_defence{};               ///< IPv4: when a conflict was last answered
    bool defended = false;

    [[nodiscard]] const IpAddress& address() const { return cidr.address; }
    [[nodiscard]] bool usable() const {
        return state == AddressState::preferred || state == AddressState::optimistic;
    }
};

class AddressTable {
public:
    /// Fails with address_in_use when present, too_many_open at kMaxAddresses.
    Status add(const LocalAddress& address);
    Status remove(std::uint8_t interface, const IpAddress& address);

    [[nodiscard]] LocalAddress* find(const IpAddress& address);
    [[nodiscard]] const LocalAddress* find(const IpAddress& address) const;
    /// True for a usable address of any interface (RFC 1122 §3.3.4.2's weak host), 127/8 and ::1.
    [[nodiscard]] bool is_local(const IpAddress& address) const;
    /// True for the directed broadcast address of one of the subnets.
    [[nodiscard]] bool is_directed_broadcast(const IpAddress& address) const;
    /// True when an address of `interface` belongs to the solicited-node group.
    [[nodiscard]] bool in_solicited_node_group(std::uint8_t interface,
                                               const IpAddress& group) const;
    /// The best source for `destination` leaving over `interface`.
    [[nodiscard]] std::optional<IpAddress> choose_source(const IpAddress& destination,
                                                         std::uint8_t interface) const;
    [[nodiscard]] std::vector<LocalAddress>& all() { return addresses_; }
    [[nodiscard]] const std::vector<LocalAddress>& all() const { return addresses_; }

private:
    std::vector<LocalAddress> addresses_;
};

/// Scopes as RFC 6724 §3.1 orders them: 2 link-local (also 127/8 and 169.254/16), 14 global.
[[nodiscard]] unsigned address_scope(const IpAddress& address);
/// Leading bits that two addresses share, 0..128.
[[nodiscard]] unsigned common_prefix_bits(const IpAddress& a, const IpAddress& b);

}  // namespace runnel
