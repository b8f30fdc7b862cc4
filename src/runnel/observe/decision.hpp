// Every decision has a name (law 4). One enumerator for each acceptance, drop, transmission and choice
// not to send, with one sentence and one clause. The lists stand in decisions_*.def, one file a room.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runnel {

enum class DecisionKind : std::uint8_t {
    accept,    ///< an arriving packet or part of it was taken
    drop,      ///< an arriving packet or part of it was thrown away
    transmit,  ///< a packet was sent
    hold,      ///< something could have been sent and was not
    note,      ///< a state change, a timer, a learnt value
};

enum class Decision : std::uint16_t {
#define RUNNEL_DECISION(name, kind, sentence, clause) name,
#include "runnel/observe/decisions_ip.def"
#include "runnel/observe/decisions_tcp.def"
#undef RUNNEL_DECISION
    count_,
};

inline constexpr std::size_t kDecisionCount = static_cast<std::size_t>(Decision::count_);

struct DecisionText {
    std::string_view name;  ///< the enumerator, snake_case
    DecisionKind kind;
    std::string_view sentence;  ///< one sentence for people
    std::string_view clause;    ///< "RFC 9293 §3.10.7.4 MUST-…", or "Linux", or "Runnel"
};

/// Everything known about a decision.
[[nodiscard]] const DecisionText& describe(Decision decision);
[[nodiscard]] std::optional<Decision> find_decision(std::string_view name);

}  // namespace runnel
