// A script's text made ready for the parser: comments blanked, #ifdefs decided, defines substituted; and for every
// byte of the result the place it came from, so that a message shows the line the author wrote.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/drill/parse.hpp"

namespace runnel::drill {

class Source {
public:
    /// Fails on an unclosed comment or #ifdef, on a directive it doesn't know, on defines that grow without end.
    [[nodiscard]] static Result<Source, Trouble> prepare(std::string_view file,
                                                         std::string_view text,
                                                         const Defines& defines);

    /// What is to be parsed.
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const std::string& file() const { return file_; }
    /// The place in the file that byte `offset` of text() came from.
    [[nodiscard]] Position position(std::size_t offset) const;
    /// The author's line, without its end.
    [[nodiscard]] std::string_view line(std::uint32_t number) const;
    [[nodiscard]] Trouble trouble(Position at, std::string message, std::string hint) const;

private:
    friend class Preparer;
    struct Mark {
        std::size_t here;      ///< from this byte of text_ on …
        std::size_t original;  ///< … what came from here in original_
        bool fixed;            ///< a substitution: all of it came from `original`
    };

    std::string file_;
    std::string original_;
    std::string text_;
    std::vector<Mark> marks_;
    std::vector<std::size_t> lines_;  ///< where each line of original_ begins
};

}  // namespace runnel::drill
