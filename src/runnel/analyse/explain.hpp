// `runnel explain`: a judged conversation as text for people and as JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "runnel/analyse/analysis.hpp"
#include "runnel/report/capture_reader.hpp"

namespace runnel::analyse {

struct ExplainStyle {
    bool color = false;
    bool ascii = false;         ///< nothing but ASCII
    bool all = false;           ///< fold nothing
    bool summary_only = false;  ///< leave out the segments
};

/// Each segment with what it is and what its receiver does with it, runs of everyday ones folded; then the
/// summary. Lines end in \n.
[[nodiscard]] std::string explain_text(const report::Conversation& conversation,
                                       const Analysis& analysis, const ExplainStyle& style);

/// One JSON object a segment, then one with "summary", each on a line (the fields: explain_json.cpp).
[[nodiscard]] std::string explain_json(const report::Conversation& conversation,
                                       const Analysis& analysis, bool summary_only);

// The parts of the summary, for both.

/// "Nothing that a conforming TCP would not do.", or how much there is.
[[nodiscard]] std::string verdict_text(const Analysis& analysis);
/// "complete in 0.05 ms: MSS 1460 and 1460, …", "not captured", …
[[nodiscard]] std::string handshake_text(const report::Conversation& conversation,
                                         const Analysis& analysis);
/// "4 (1 fast, 2 in recovery, 1 by timer)".
[[nodiscard]] std::string retransmissions_text(const Totals& totals);

}  // namespace runnel::analyse
