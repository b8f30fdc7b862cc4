// Names and sentences of what scenarios are written in: for scenario files, summaries and the manual.
#pragma once

#include <optional>
#include <string_view>

#include "runnel/sim/scenario.hpp"
#include "runnel/sim/suspension.hpp"

namespace runnel::sim {

struct FaultFacts {
    std::string_view name;
    FaultPlace place{};
    Suspension suspends{};
    std::string_view sentence;
    std::string_view parameters;
};
[[nodiscard]] const FaultFacts& facts(FaultKind kind);
[[nodiscard]] std::string_view to_string(FaultKind kind);
[[nodiscard]] std::string_view to_string(FlowKind kind);
[[nodiscard]] std::string_view to_string(Check check);
[[nodiscard]] std::string_view sentence(Check check);
[[nodiscard]] std::optional<FaultKind> fault_kind(std::string_view name);
[[nodiscard]] std::optional<FlowKind> flow_kind(std::string_view name);

}  // namespace runnel::sim
