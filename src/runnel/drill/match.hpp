// One expected packet against one that the host sent: every difference, as a sentence.
#pragma once

#include <string>
#include <vector>

#include "runnel/drill/flows.hpp"
#include "runnel/drill/packet_bytes.hpp"

namespace runnel::drill {

struct MatchRules {
    bool syn_options_as_set = false;  ///< of a SYN, in whatever order and padding
    bool marks_not_written = false;   ///< no mark written means: no ECN, the default TTL
    std::uint8_t default_ttl = 64;
    std::optional<Duration> timestamp_tick;  ///< TSval is compared with the time passed
    Duration tolerance;                      ///< of that comparison
};

/// What differs; empty: they match. `seen` has the script's numbers (to_script). A TSval that matches is remembered
/// in `flow`. Times are not looked at.
[[nodiscard]] std::vector<std::string> differences(const Packet& expected, const SeenPacket& seen,
                                                   const MatchRules& rules, Flow& flow);

/// Whether `next` carries on where `first` ends, so that a line may stand for both.
[[nodiscard]] bool continues(const SeenPacket& first, const SeenPacket& next);
/// Puts `next` behind `first`.
void merge(SeenPacket& first, const SeenPacket& next);

}  // namespace runnel::drill
