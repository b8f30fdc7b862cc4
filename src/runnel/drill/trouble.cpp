#include "runnel/drill/trouble.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace runnel::drill {
namespace {

constexpr std::size_t kLongestWord = 40;
constexpr std::size_t kShownColumns = 160;

/// Edits (insert, remove, change) between two words; words beyond kLongestWord count as far apart.
std::size_t edits(std::string_view a, std::string_view b) {
    if (a.size() > kLongestWord || b.size() > kLongestWord) {
        return kLongestWord;
    }
    std::array<std::size_t, kLongestWord + 1> row{};
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] =
                std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// `count` bytes of a line, printable.
std::string shown_line(std::string_view line, std::size_t skipped, std::size_t count) {
    std::string shown(line.substr(std::min(skipped, line.size()), count));
    for (char& c : shown) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            c = ' ';
        }
    }
    return shown;
}

}  // namespace

std::string Trouble::brief() const {
    std::string out = file;
    if (at.line != 0) {
        out += fmt::format("{}{}:{}", out.empty() ? "line " : ":", at.line, at.column);
    }
    out += (out.empty() ? "" : ": ") + message;
    // A script's own words may be part of it: they must not break the line, or the terminal.
    return shown_line(out, 0, out.size());
}

std::string Trouble::text() const {
    std::string out = brief();
    if (at.line != 0 && !line.empty()) {
        const std::size_t column = std::max<std::size_t>(at.column, 1) - 1;
        const std::size_t skipped = column > kShownColumns - 20 ? column - 60 : 0;
        out += fmt::format("\n{:5} | {}\n      | {:{}}^", at.line,
                           shown_line(line, skipped, kShownColumns), "", column - skipped);
    }
    if (!hint.empty()) {
        out += "\n        " + hint;
    }
    return out;
}

std::string_view nearest(std::string_view word, const std::string_view* candidates,
                         std::size_t count) {
    std::size_t best = std::min<std::size_t>(2, word.size() / 3) + 1;
    std::string_view found;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t distance = edits(word, candidates[i]);
        if (distance < best) {
            best = distance;
            found = candidates[i];
        }
    }
    return found;
}

}  // namespace runnel::drill
