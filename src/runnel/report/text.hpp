// Text for terminals: untrusted text made harmless, widths counted in columns, wrapping, and figures as
// people read them. Everything that the room `report` prints passes through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::report {

/// `text` as valid UTF-8 in one line: control characters (of C0, DEL and C1) become blanks, so that a
/// capture's comment can't steer the terminal; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string printable(std::string_view text);

/// `text` (valid UTF-8) in ASCII: what Runnel itself writes is spelt out ("§" as "sec. "), the rest "?".
[[nodiscard]] std::string ascii_text(std::string_view text);

/// Columns that `text` (valid UTF-8, no wide or combining characters) takes on a terminal.
[[nodiscard]] std::size_t columns(std::string_view text);

/// `text` filled up with blanks to `width` columns; longer text is left as it is.
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t width);
[[nodiscard]] std::string pad_right(std::string_view text, std::size_t width);

/// `piece` `count` times.
[[nodiscard]] std::string repeated(std::string_view piece, std::size_t count);

/// `text` in lines of at most `width` columns (at least 1), broken at blanks where there are any.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// "312 B", "1.1 MiB"; binary prefixes.
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
/// "1,234,567".
[[nodiscard]] std::string count_text(std::uint64_t count);
/// "1 segment", "1,812 segments". The plural is the singular with an s.
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view singular);
/// "0.12 ms", "204 ms", "1.02 s", "3 min 20 s": three significant digits up to a minute.
[[nodiscard]] std::string duration_text(Duration duration);

/// What a piece of text is, from which its colour follows.
enum class Ink : std::uint8_t { plain, dim, bold, good, notice, warning, alarm, accent };

/// Wraps text in a terminal's colours, or leaves it alone.
struct Paint {
    bool on = false;
    [[nodiscard]] std::string operator()(Ink ink, std::string_view text) const;
};

}  // namespace runnel::report
