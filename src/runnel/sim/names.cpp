#include "runnel/sim/names.hpp"

#include <array>

namespace runnel::sim {

namespace {
using Place = FaultPlace;

constexpr std::array<FaultFacts, kFaultKinds> kFaults = {{
#define RUNNEL_FAULT(name, place, suspends, sentence, parameters) \
    {#name, Place::place, Suspension::suspends, sentence, parameters},
#include "runnel/sim/fault_kinds.def"
#undef RUNNEL_FAULT
}};

constexpr std::array<std::string_view, kChecks> kCheckNames = {{
#define RUNNEL_CHECKER(name, sentence) #name,
#include "runnel/sim/checks.def"
#undef RUNNEL_CHECKER
}};

constexpr std::array<std::string_view, kChecks> kCheckSentences = {{
#define RUNNEL_CHECKER(name, sentence) sentence,
#include "runnel/sim/checks.def"
#undef RUNNEL_CHECKER
}};

constexpr std::array<std::string_view, static_cast<std::size_t>(FlowKind::count_)> kFlows = {{
    "bulk",
    "request_response",
    "one_byte_writes",
    "slow_reader",
    "never_reader",
    "half_close",
    "abort",
    "many_short",
    "idle",
}};
}  // namespace

const FaultFacts& facts(FaultKind kind) {
    return kFaults[static_cast<std::size_t>(kind)];
}
std::string_view to_string(FaultKind kind) {
    return facts(kind).name;
}
std::string_view to_string(FlowKind kind) {
    return kFlows[static_cast<std::size_t>(kind)];
}
std::string_view to_string(Check check) {
    return kCheckNames[static_cast<std::size_t>(check)];
}
std::string_view sentence(Check check) {
    return kCheckSentences[static_cast<std::size_t>(check)];
}

std::optional<FaultKind> fault_kind(std::string_view name) {
    for (std::size_t i = 0; i < kFaults.size(); ++i) {
        if (kFaults[i].name == name) {
            return static_cast<FaultKind>(i);
        }
    }
    return std::nullopt;
}

std::optional<FlowKind> flow_kind(std::string_view name) {
    for (std::size_t i = 0; i < kFlows.size(); ++i) {
        if (kFlows[i] == name) {
            return static_cast<FlowKind>(i);
        }
    }
    return std::nullopt;
}

CheckSet suspended_by(Suspension suspension) {
    CheckSet set;
    const auto add = [&set](Check check) { set.set(static_cast<std::size_t>(check)); };
    switch (suspension) {
        case Suspension::none: break;
        case Suspension::lost_data:
            // The sender lets go of what the receiver never got: no more than a prefix can arrive.
            add(Check::completion);
            break;
        case Suspension::forged:
            add(Check::content);
            add(Check::completion);
            break;
    }
    return set;
}

}  // namespace runnel::sim
