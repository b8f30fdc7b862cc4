// A destination's path from what is configured and learnt (RFC 1122 §3.3.1, RFC 4861 §5.2).
#include "runnel/ip/paths.hpp"

#include <algorithm>

#include "runnel/ip/ip_state.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel {

namespace {

std::uint32_t interface_mtu(const IpState& ip, std::uint8_t index, Family family) {
    const Interface& interface = ip.interfaces[index];
    return family == Family::ipv4 ? interface.config.capabilities.mtu : interface.mtu_v6;
}

/// Where a group's packets leave when the caller doesn't say: by a route, else over the first interface.
std::optional<std::uint8_t> group_interface(const IpState& ip, const IpAddress& destination,
                                            std::uint8_t asked) {
    if (asked != kAnyInterface) {
        return asked;
    }
    if (ip.addresses.is_directed_broadcast(destination)) {
        for (const LocalAddress& address : ip.addresses.all()) {
            if (address.group == destination) {
                return address.interface;
            }
        }
    }
    if (const Route* route = ip.routes.find(destination, kAnyInterface)) {
        return route->interface;
    }
    if (ip.interfaces.empty()) {
        return std::nullopt;
    }
    return std::uint8_t{0};
}

std::optional<Path> group_path(const IpState& ip, Path path) {
    const IpAddress& destination = path.destination;
    const auto interface = group_interface(ip, destination, path.asked_interface);
    if (!interface || *interface >= ip.interfaces.size()) {
        return std::nullopt;
    }
    path.kind = PathKind::group;
    path.interface = *interface;
    path.mtu = interface_mtu(ip, *interface, destination.family());
    path.group_mac = destination.is_multicast() ? group_mac(destination) : MacAddress::broadcast();
    if (!ip.is_ethernet(*interface)) {
        path.kind = PathKind::direct;
    }
    return path;
}

}  // namespace

std::optional<Path> resolve_path(const IpState& ip, const IpAddress& destination,
                                 std::uint8_t asked_interface) {
    Path path;
    path.destination = destination;
    path.next_hop = destination;
    path.asked_interface = asked_interface;
    path.identification_group = ip.identifications.group_of(destination);
    if (destination.is_unspecified()) {
        return std::nullopt;
    }
    if (ip.addresses.is_local(destination)) {
        path.kind = PathKind::loopback;
        path.interface = kLoopbackInterface;
        path.mtu = kLoopbackMtu;
        return path;
    }
    if (asked_interface == kLoopbackInterface) {
        return std::nullopt;
    }
    if (destination.is_multicast() || destination.is_limited_broadcast() ||
        ip.addresses.is_directed_broadcast(destination)) {
        return group_path(ip, path);
    }

    const Route* route = ip.routes.find(destination, asked_interface);
    if (route == nullptr) {
        return std::nullopt;
    }
    path.interface = route->interface;
    path.next_hop = route->gateway.value_or(destination);
    path.kind = ip.is_ethernet(route->interface) ? PathKind::neighbor : PathKind::direct;
    path.mtu = interface_mtu(ip, route->interface, destination.family());
    if (route->mtu != 0) {
        path.mtu = std::min(path.mtu, route->mtu);
    }
    if (const PathMtuTable::Entry* learnt = ip.path_mtus.find(destination)) {
        path.mtu = std::min(path.mtu, learnt->mtu);
        path.may_fragment = learnt->fragment;
    }
    return path;
}

Path* find_path(IpState& ip, const IpAddress& destination, std::uint8_t asked_interface) {
    if (Path* path = ip.paths.find(destination, asked_interface)) {
        return path;
    }
    const std::optional<Path> path = resolve_path(ip, destination, asked_interface);
    return path ? ip.paths.store(*path) : nullptr;
}

}  // namespace runnel
