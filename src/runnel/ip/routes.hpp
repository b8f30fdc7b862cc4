// The route table: longest prefix first, then the smaller metric, then the older route (RFC 1122 §3.3.1).
// It is small and searched in order; results are cached per destination by whoever sends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/ip/ip_types.hpp"

namespace runnel {

class RouteTable {
public:
    /// Fails with argument_invalid for a prefix longer than its family has bits or a gateway of the other
    /// family, and with too_many_open at kMaxRoutes. Adding the same route again replaces its MTU.
    Status add(const Route& route);
    /// Removes the route with this destination, gateway and interface; address_not_available if none has.
    Status remove(const Route& route);

    /// The route for `destination`, over `interface` unless that is kAnyInterface; nullptr without one.
    [[nodiscard]] const Route* find(const IpAddress& destination, std::uint8_t interface) const;
    /// In order of preference.
    [[nodiscard]] std::span<const Route> all() const { return routes_; }

private:
    std::vector<Route> routes_;
};

/// The address with all bits after the prefix cleared.
[[nodiscard]] IpAddress network_of(const Cidr& cidr);
/// The prefix's last address, IPv4 only: its directed broadcast (RFC 1122 §3.2.1.3 (e)).
[[nodiscard]] IpAddress directed_broadcast_of(const Cidr& cidr);

}  // namespace runnel
