// Which checks a fault suspends, and for whom: the only place where a check is ever softened.
#pragma once

#include <bitset>
#include <cstdint>

#include "runnel/sim/scenario.hpp"

namespace runnel::sim {

enum class Check : std::uint8_t {
#define RUNNEL_CHECKER(name, sentence) name,
#include "runnel/sim/checks.def"
#undef RUNNEL_CHECKER
    count_,
};
inline constexpr std::size_t kChecks = static_cast<std::size_t>(Check::count_);
using CheckSet = std::bitset<kChecks>;

/// The classes of suspension that fault_kinds.def names.
enum class Suspension : std::uint8_t {
    none,
    lost_data,  ///< the sender was told that octets had arrived which had not
    forged,     ///< the peer's own segments can't be told from forged ones
};
[[nodiscard]] CheckSet suspended_by(Suspension suspension);

}  // namespace runnel::sim
