// Plays a script against a host in virtual time, and says how it went. The same script and options give the same
// verdict, byte for byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/drill/script.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/tcp/config.hpp"

namespace runnel::drill {

struct RunOptions {
    tcp::Profile profile = tcp::Profile::linux_like;
    /// No tolerance, segment for segment as written, no mark where none is written.
    bool strict = false;
    /// What the host sends behind the last line is a failure.
    bool silence = true;
    std::vector<Option> more;  ///< over those at a script's head
    /// A pcapng of the run is appended; nullptr: none.
    std::vector<std::byte>* capture = nullptr;
};

/// One event as it went.
struct LadderRow {
    Position at;
    Duration time;         ///< of the script, when it happened
    std::string expected;  ///< the script's words; empty: nothing was expected
    std::string seen;      ///< what came instead, or the same; empty: nothing came
    bool right = true;
};

struct Verdict {
    enum class Outcome : std::uint8_t { passed, failed, skipped };
    Outcome outcome = Outcome::passed;
    std::string file;
    Position at;                         ///< of what went wrong; line 0: no place
    std::string reason;                  ///< one sentence; empty: passed
    std::vector<std::string> details;    ///< each difference
    std::vector<std::string> decisions;  ///< the host's own words since the event before
    std::vector<std::string> notes;      ///< what was skipped, what code sections have printed
    std::vector<LadderRow> ladder;
    Duration time;  ///< virtual
    std::array<std::uint64_t, kDecisionCount> counts{};
};

[[nodiscard]] Verdict run_script(const Script& script, const RunOptions& options);

}  // namespace runnel::drill
