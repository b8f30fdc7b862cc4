// A scenario from flags: bulk transfers from one host to another over one line with a rate, a round trip
// and faults, as one would set it up with iperf3 and netem.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runnel/sim/scenario.hpp"

namespace runnel::sim_command {

/// As written on the command line; empty: not given.
struct FlagTexts {
    std::string rate, rtt, jitter, queue, duration, size;
    std::string loss, reorder, duplicate, corrupt;
    std::string cc, profile;
    std::vector<std::string> settings;
    std::optional<std::uint32_t> flows, mtu;
    bool codel = false, ecn = false, v6 = false;

    [[nodiscard]] bool any() const;
    /// The flags as they were, for the line that plays it again.
    [[nodiscard]] std::string text() const;
};

/// Throws CommandError with code 2 and a sentence when something makes no sense.
[[nodiscard]] sim::Scenario scenario_of(const FlagTexts& flags, std::uint64_t seed);

}  // namespace runnel::sim_command
