// Parts and volumes, as BBR reckons with them: octets, octets a second, percents.
#pragma once

#include <cstdint>

#include "runnel/base/mul_div.hpp"
#include "runnel/tcp/congestion/bbr_model.hpp"

namespace runnel::tcp::bbr {

inline std::uint64_t percent(std::uint64_t value, std::uint64_t percents) {
    return value == BbrModel::kInfinity ? value : mul_div(value, percents, 100);
}

/// What `rate` carries in `time`.
inline std::uint64_t volume(std::uint64_t rate, Duration time) {
    return time.ns <= 0 ? 0 : mul_div(rate, static_cast<std::uint64_t>(time.ns), 1'000'000'000);
}

}  // namespace runnel::tcp::bbr
