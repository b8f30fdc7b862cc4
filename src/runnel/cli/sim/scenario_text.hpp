// Scenarios as text: a TOML file that people write and the program writes back (docs/sim.md). What is read
// back is the same scenario, to the last bit.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "runnel/sim/scenario.hpp"

namespace runnel::sim_command {

/// Longer texts are refused.
inline constexpr std::size_t kMaxScenarioText = std::size_t{1} << 20;

/// What is wrong, and where: line and column from 1 on, 0 when it is of no single place.
struct TextError {
    std::size_t line = 0, column = 0;
    std::string what;
};

/// A key that is unknown, a value out of its bounds, or a name that leads nowhere is an error.
[[nodiscard]] std::expected<sim::Scenario, TextError> read_scenario(std::string_view text);

/// What differs from the defaults, in an order that people can read. `comment` (lines) stands on top.
[[nodiscard]] std::string write_scenario(const sim::Scenario& scenario, std::string_view comment);

}  // namespace runnel::sim_command
