// What is wrong with a script, for people: where, the line with a caret, what was expected, a hint. One type for the
// parser, the evaluator, code sections and settings.
#pragma once

#include <string>
#include <string_view>

#include "runnel/drill/script.hpp"

namespace runnel::drill {

struct Trouble {
    /// `unsupported`: the language has it, Runnel does not; the script is to be skipped, not failed.
    enum class Kind : std::uint8_t { wrong, unsupported };

    Kind kind = Kind::wrong;
    std::string file;  ///< empty: not known yet
    Position at;       ///< line 0: no place
    std::string message;
    std::string line;  ///< the source line; empty: not known
    std::string hint;  ///< empty: none

    [[nodiscard]] bool unsupported() const { return kind == Kind::unsupported; }
    /// "FILE:LINE:COLUMN: message", then the line and a caret, then the hint; lines end with '\n' but the last.
    [[nodiscard]] std::string text() const;
    /// "FILE:LINE:COLUMN: message", one line.
    [[nodiscard]] std::string brief() const;
};

/// The candidate that `word` was probably meant to be, or empty: at most two edits (a third of its length).
[[nodiscard]] std::string_view nearest(std::string_view word, const std::string_view* candidates,
                                       std::size_t count);

}  // namespace runnel::drill
