// What is shown of one run, for people and as JSON.
#pragma once

#include <string>

#include "runnel/cli/sim/play.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel::sim_command {

/// How the run is called again: "--seed 7", or a file's name.
struct Replay {
    std::string title;    ///< "seed 7", "examples/sim/lossy.toml"
    std::string command;  ///< "runnel sim --seed 7"
};

[[nodiscard]] std::string summary(const Replay& replay, const sim::Scenario& scenario,
                                  const Played& played, report::Paint paint);
/// What broke, where, what led to it, and the command that shows it again.
[[nodiscard]] std::string failure_text(const Replay& replay, const sim::Scenario& scenario,
                                       const Played& played, report::Paint paint);
[[nodiscard]] std::string summary_json(const Replay& replay, const sim::Scenario& scenario,
                                       const Played& played);
/// {"checker", "text", "at_s", "host", "connection", "story": […]} as the value of `name`.
void write_failure(report::JsonWriter& json, std::string_view name, const Played& played);

/// "ok", "violation", …: how a run ended, in a word.
[[nodiscard]] std::string_view outcome_name(sim::RunOutcome outcome);

}  // namespace runnel::sim_command
