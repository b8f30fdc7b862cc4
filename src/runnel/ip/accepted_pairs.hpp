// Pairs of addresses whose packets were found fit to be taken: the checks of RFC 1122 §3.2.1.3 look at every
// own address and subnet, and a flow's next packet would pass them again. A direct-mapped cache.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "runnel/wire/address.hpp"

namespace runnel {

class AcceptedPairs {
public:
    static constexpr std::size_t kPlaces = 64;

    /// True when a unicast packet of this pair was accepted from this interface, and nothing has changed
    /// since: `generation` is that of the addresses and routes.
    [[nodiscard]] bool contains(const IpAddress& source, const IpAddress& destination,
                                std::uint8_t interface, std::uint32_t generation) const {
        const Pair& pair = places_[place_of(source)];
        return pair.generation == generation && pair.interface == interface &&
               pair.source == source && pair.destination == destination;
    }
    void add(const IpAddress& source, const IpAddress& destination, std::uint8_t interface,
             std::uint32_t generation) {
        places_[place_of(source)] = {source, destination, generation, interface};
    }

private:
    struct Pair {
        IpAddress source;
        IpAddress destination;
        std::uint32_t generation = 0;  ///< 0: the place is free
        std::uint8_t interface = 0;
    };
    static std::size_t place_of(const IpAddress& source) {
        std::uint64_t low = 0;
        std::memcpy(&low, source.bytes().data() + 8, 8);
        return static_cast<std::size_t>((low * 0x9e37'79b9'7f4a'7c15U) >> 58);
    }

    std::array<Pair, kPlaces> places_{};
};

}  // namespace runnel
