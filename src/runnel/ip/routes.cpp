// The route table's order and its two bit operations on prefixes.
#include "runnel/ip/routes.hpp"

#include <algorithm>

namespace runnel {

namespace {

unsigned bits_of(Family family) {
    return family == Family::ipv4 ? 32 : 128;
}

/// Bits of the 16-byte form before the prefix's host part: an IPv4 prefix stands behind 96 mapped bits.
unsigned mapped_prefix(const Cidr& cidr) {
    return cidr.prefix_length + (cidr.address.is_v4() ? 96U : 0U);
}

bool same_route(const Route& a, const Route& b) {
    return a.destination == b.destination && a.gateway == b.gateway && a.interface == b.interface &&
           a.metric == b.metric;
}

}  // namespace

IpAddress network_of(const Cidr& cidr) {
    std::array<std::byte, 16> bytes = cidr.address.bytes();
    const unsigned prefix = mapped_prefix(cidr);
    for (unsigned i = 0; i < 16; ++i) {
        if (i * 8 >= prefix) {
            bytes[i] = std::byte{0};
        } else if (i * 8 + 8 > prefix) {
            bytes[i] &= static_cast<std::byte>(0xff << (i * 8 + 8 - prefix));
        }
    }
    return IpAddress::v6(bytes);
}

IpAddress directed_broadcast_of(const Cidr& cidr) {
    const std::uint32_t host_bits =
        cidr.prefix_length >= 32 ? 0 : 0xffff'ffffU >> cidr.prefix_length;
    return IpAddress::v4(cidr.address.v4_value() | host_bits);
}

Status RouteTable::add(const Route& route) {
    const Family family = route.destination.address.family();
    if (route.destination.prefix_length > bits_of(family)) {
        return fail(Errc::argument_invalid);
    }
    if (route.gateway && route.gateway->family() != family) {
        return fail(Errc::argument_invalid);
    }

    Route wanted = route;
    wanted.destination.address = network_of(route.destination);
    for (Route& present : routes_) {
        if (same_route(present, wanted)) {
            present.mtu = wanted.mtu;
            return {};
        }
    }
    if (routes_.size() >= kMaxRoutes) {
        return fail(Errc::too_many_open);
    }
    const auto place =
        std::find_if(routes_.begin(), routes_.end(), [&wanted](const Route& present) {
            if (present.destination.prefix_length != wanted.destination.prefix_length) {
                return present.destination.prefix_length < wanted.destination.prefix_length;
            }
            return present.metric > wanted.metric;
        });
    routes_.insert(place, wanted);
    return {};
}

Status RouteTable::remove(const Route& route) {
    Cidr destination = route.destination;
    destination.address = network_of(destination);
    const auto gone = std::find_if(routes_.begin(), routes_.end(), [&](const Route& present) {
        return present.destination == destination && present.gateway == route.gateway &&
               present.interface == route.interface;
    });
    if (gone == routes_.end()) {
        return fail(Errc::address_not_available);
    }
    routes_.erase(gone);
    return {};
}

const Route* RouteTable::find(const IpAddress& destination, std::uint8_t interface) const {
    for (const Route& route : routes_) {
        if (interface != kAnyInterface && route.interface != interface) {
            continue;
        }
        if (route.destination.contains(destination)) {
            return &route;
        }
    }
    return nullptr;
}

}  // namespace runnel
