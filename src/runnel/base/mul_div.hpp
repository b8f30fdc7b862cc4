// a * b / c without overflow in between: rates times times over times.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace runnel {

__extension__ using Uint128 = unsigned __int128;

/// floor(a * b / c); the greatest number where that doesn't fit. c > 0.
[[nodiscard]] constexpr std::uint64_t mul_div(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    const Uint128 result = static_cast<Uint128>(a) * b / c;
    constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
    return result > kMost ? kMost : static_cast<std::uint64_t>(result);
}

}  // namespace runnel
