// What `runnel drill` prints: one line a script, a failure with its ladder (the expected and the seen line side by
// side), the sums; the same as JSON; and which decisions each script has produced.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runnel/drill/runner.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

struct DrillStyle {
    std::size_t width = 120;  ///< columns
    bool color = false;
    bool verbose = false;  ///< every script's ladder and notes
};

struct DrillSums {
    std::size_t passed = 0, failed = 0, skipped = 0;
};
[[nodiscard]] DrillSums drill_sums(const std::vector<drill::Verdict>& verdicts);

/// "ok FILE", "not ok FILE:LINE: reason", "skipped FILE:LINE: reason", and what belongs below it.
[[nodiscard]] std::string drill_text(const drill::Verdict& verdict, const DrillStyle& style);
/// "N passed, N failed, N skipped".
[[nodiscard]] std::string drill_sums_text(const DrillSums& sums);
[[nodiscard]] std::string drill_json(const std::vector<drill::Verdict>& verdicts);
/// Each decision of TCP with the scripts that produce it, and those that none produces.
[[nodiscard]] std::string drill_decisions_text(const std::vector<drill::Verdict>& verdicts);

}  // namespace runnel
