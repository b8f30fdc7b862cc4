// How to reach a destination, worked out once and remembered: interface, next hop, MTU and neighbour. A
// direct-mapped cache; any change of routes, addresses or path MTUs makes all of it stale at once.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "runnel/ip/ip_types.hpp"
#include "runnel/ip/neighbor_cache.hpp"

namespace runnel {

struct IpState;

enum class PathKind : std::uint8_t {
    loopback,  ///< to this host itself
    direct,    ///< over a link without link-layer addresses
    neighbor,  ///< to the next hop's link-layer address
    group,     ///< multicast or broadcast
};

struct Path {
    IpAddress destination;
    IpAddress next_hop;
    IpAddress checked_source;  ///< the source that was found usable last
    std::uint32_t mtu = 0;     ///< bytes of an IP packet
    PathKind kind = PathKind::direct;
    std::uint8_t interface = 0;
    std::uint8_t asked_interface = kAnyInterface;
    bool may_fragment =
        false;  ///< narrower than the floor: fragments are allowed whatever was asked
    bool source_checked = false;
    MacAddress group_mac;
    std::uint32_t identification_group = 0;
    NeighborCache::Ref neighbor;
    std::uint32_t generation = 0;  ///< 0: the place is free
};

class PathCache {
public:
    static constexpr std::size_t kPlaces = 256;

    [[nodiscard]] Path* find(const IpAddress& destination, std::uint8_t asked_interface) {
        Path& path = places_[place_of(destination)];
        const bool hit = path.generation == generation_ && path.destination == destination &&
                         path.asked_interface == asked_interface;
        return hit ? &path : nullptr;
    }
    Path* store(const Path& path) {
        Path& place = places_[place_of(path.destination)];
        place = path;
        place.generation = generation_;
        return &place;
    }
    /// Everything learnt before is out of date.
    void invalidate() {
        if (++generation_ == 0) {  // wrapped: no old entry may look fresh
            places_.fill({});
            generation_ = 1;
        }
    }

    /// Changes whenever anything that paths are made of has changed; never 0.
    [[nodiscard]] std::uint32_t generation() const { return generation_; }

private:
    /// A peer that aims at one place costs itself a slower lookup, nobody else more than that.
    static std::size_t place_of(const IpAddress& destination) {
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        std::memcpy(&high, destination.bytes().data(), 8);
        std::memcpy(&low, destination.bytes().data() + 8, 8);
        return static_cast<std::size_t>(
            ((high ^ (low * 0x9e37'79b9'7f4a'7c15U)) * 0xbf58'476d'1ce4'e5b9U) >> 56);
    }

    std::array<Path, kPlaces> places_{};
    std::uint32_t generation_ = 1;
};

/// Works a path out from addresses, routes and path MTUs.
[[nodiscard]] std::optional<Path> resolve_path(const IpState& ip, const IpAddress& destination,
                                               std::uint8_t asked_interface);
/// The same through the cache; nullptr without a route.
[[nodiscard]] Path* find_path(IpState& ip, const IpAddress& destination,
                              std::uint8_t asked_interface);

}  // namespace runnel
