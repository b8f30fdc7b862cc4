// `runnel explain FILE`: what each segment of a capture is, and whether a conforming TCP sends it. The judging is
// the room `analyse`'s.
#pragma once

#include <string>

namespace runnel {

struct ExplainOptions {
    std::string file;          ///< "-": standard input
    std::string conversation;  ///< as CaptureInput's
    bool all = false;          ///< fold nothing
    bool summary = false;      ///< only the summaries
    bool color = false;        ///< decided by the caller
    bool json = false;
    bool ascii = false;
    bool strict = false;          ///< exit code 1 when something violates an RFC
    bool strict_unusual = false;  ///< and when something is unusual
};

/// Writes to stdout, and what is wrong to stderr. 0: explained; 1: the file can't be read, is damaged (what comes
/// before is explained) or holds nothing, or something was found that strictness forbids; 2: usage.
[[nodiscard]] int run_explain(const ExplainOptions& options);

}  // namespace runnel
