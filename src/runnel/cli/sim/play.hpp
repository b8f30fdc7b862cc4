// One scenario, played with everybody who watches it: the checkers, who measures its flows, and on a failure
// who tells how it came to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/sim/check/checkers.hpp"

namespace runnel::sim_command {

/// What was measured of a flow, over all of its connections.
struct FlowFigures {
    std::uint64_t connections = 0;      ///< seen at the client
    std::uint64_t segments = 0;         ///< sent by both ends, on the wire
    std::uint64_t retransmissions = 0;  ///< of both ends
    std::uint64_t timeouts = 0;         ///< retransmission timeouts of both ends
    Duration rtt = {};                  ///< smoothed, of the end that sends more; 0: no sample
    Duration rtt_min = {};
};

struct Played {
    sim::RunResult result;
    std::vector<FlowFigures> flows;
    /// Set when the run has failed: what the checkers said, or how it ended.
    std::optional<sim::Violation> failure;
    std::vector<std::string> story;  ///< the last decisions of the failure's connection
};

/// What one run leaves to the next: who makes many runs keeps one.
struct PlayMemory {
    sim::RunMemory run;
    sim::Checkers checkers;
};

struct PlayOptions {
    bool measure = false;  ///< fill in Played::flows
    bool tell = false;     ///< fill in Played::story; the run is then played with longer recorders
    std::uint64_t event_limit = 2'000'000;
    std::vector<sim::Observer*> observers = {};  ///< further ones
};

/// Decisions in a story.
inline constexpr std::size_t kStoryLines = 16;

[[nodiscard]] Played play(const sim::Scenario& scenario, PlayMemory& memory,
                          const PlayOptions& options);

/// Since the run's beginning, "12.345678 s".
[[nodiscard]] std::string instant_text(Instant at);

}  // namespace runnel::sim_command
