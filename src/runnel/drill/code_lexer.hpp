// A code section as tokens, with Python's lines and indentation; private to this room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/drill/code.hpp"

namespace runnel::drill {

struct CodeToken {
    enum class Kind : std::uint8_t { name, number, text, op, line_end, indent, dedent, end };
    Kind kind = Kind::end;
    Position at;
    std::size_t offset = 0;  ///< in the section's text
    std::string text;        ///< of a name or an operator; a string's bytes
    CodeValue value;         ///< of a number or a string

    [[nodiscard]] bool is(Kind other) const { return kind == other; }
    [[nodiscard]] bool is(std::string_view word) const {
        return (kind == Kind::op || kind == Kind::name) && text == word;
    }
};

/// The tokens, the last of kind `end`. Positions are the script's: `code.at` is where its text begins.
[[nodiscard]] Result<std::vector<CodeToken>, Trouble> code_tokens(const Code& code);

/// Trouble at a place of a section, with the line from its text.
[[nodiscard]] Trouble code_trouble(Position at, std::string message, std::string hint = {},
                                   Trouble::Kind kind = Trouble::Kind::wrong);

}  // namespace runnel::drill
