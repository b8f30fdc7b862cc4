#include "runnel/observe/decision.hpp"

#include <array>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {
constexpr std::array<DecisionText, kDecisionCount> kTexts = {{
#define RUNNEL_DECISION(name, kind, sentence, clause) {#name, DecisionKind::kind, sentence, clause},
#include "runnel/observe/decisions_ip.def"
#include "runnel/observe/decisions_tcp.def"
#undef RUNNEL_DECISION
}};
}  // namespace

const DecisionText& describe(Decision decision) {
    RUNNEL_CHECK(decision < Decision::count_);
    return kTexts[static_cast<std::size_t>(decision)];
}

std::optional<Decision> find_decision(std::string_view name) {
    for (std::size_t i = 0; i < kTexts.size(); ++i) {
        if (kTexts[i].name == name) {
            return static_cast<Decision>(i);
        }
    }
    return std::nullopt;
}

}  // namespace runnel
