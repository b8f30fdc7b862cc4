// `runnel ladder FILE`: a capture's TCP conversations as ladders. What its options mean; the ladder itself is
// the room `report`'s.
#pragma once

#include <cstddef>
#include <string>

namespace runnel {

struct LadderOptions {
    std::string file;  ///< "-": standard input
    /// Which conversations: "2" (its number), "10.9.0.1", ":8080", "10.9.0.1:8080", "[fd00::1]:80";
    /// empty: all.
    std::string conversation;
    bool all = false;    ///< fold nothing
    bool color = false;  ///< decided by the caller (--color, NO_COLOR, terminal or not)
    bool json = false;   ///< one object a segment
    bool ascii = false;
    std::size_t width = 0;  ///< columns; 0: the terminal's, or else report::kLadderWidth
};

/// Writes the ladders to stdout, and what is wrong to stderr with what to try. 0: shown; 1: the file can't
/// be read, is damaged (what comes before the damage is shown; a capture that is only cut short is not) or has
/// nothing to show; 2: the filter can't
/// be understood.
[[nodiscard]] int run_ladder(const LadderOptions& options);

}  // namespace runnel
