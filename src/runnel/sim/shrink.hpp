// From a scenario that fails to the smallest that still does: parts are taken away, sizes halved and
// oddities made ordinary, as long as the failure stays.
#pragma once

#include <cstdint>
#include <functional>

#include "runnel/sim/scenario.hpp"

namespace runnel::sim {

/// Whether a scenario still fails in the same way; asked for each candidate, so it runs it.
using StillFails = std::function<bool(const Scenario&)>;

struct Shrunk {
    Scenario scenario;
    std::uint32_t runs = 0;  ///< how often `still_fails` was asked
    bool finished = false;   ///< no single step makes it smaller; else `most_runs` was reached
};

/// `scenario` is known to fail. The same scenario and the same answers give the same result.
[[nodiscard]] Shrunk shrink(const Scenario& scenario, const StillFails& still_fails,
                            std::uint32_t most_runs = 2'000);

}  // namespace runnel::sim
