// What a lesson comes to, played one way: what crossed the wire, and the figures that tell right from wrong.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::lab {

struct Fact {
    std::string name;
    std::string value;
};

inline constexpr std::size_t kAllPackets = static_cast<std::size_t>(-1);

struct Outcome {
    std::vector<std::byte> capture;  ///< pcapng, with both ends' reasons
    std::vector<Fact> facts;         ///< the same names in the same order both ways
    std::vector<std::size_t> shown;  ///< conversations worth drawing; empty: all

    std::size_t drawn = kAllPackets;  ///< no more packets than these are worth drawing
    /// Empty when there is no such fact.
    [[nodiscard]] std::string_view fact(std::string_view name) const;
};

}  // namespace runnel::lab
