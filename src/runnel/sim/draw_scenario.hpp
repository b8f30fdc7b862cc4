// A scenario from a seed: topology, hosts, workload and faults, each with an intensity of its own.
#pragma once

#include "runnel/sim/scenario.hpp"

namespace runnel::sim {

/// The same seed gives the same scenario. Sized so that the median one delivers some hundreds of segments
/// and meets several kinds of fault, within a millisecond of one core.
[[nodiscard]] Scenario draw_scenario(std::uint64_t seed);

}  // namespace runnel::sim
