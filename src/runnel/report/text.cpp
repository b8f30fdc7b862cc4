#include "runnel/report/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace runnel::report {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

struct CodePoint {
    std::uint32_t value = 0;
    std::size_t size = 0;  // bytes; 0: not UTF-8
};

// The code point at the start of `text`, which is not empty (RFC 3629 §4: no overlong forms, no
// surrogates, nothing above U+10FFFF).
CodePoint decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) {
        return {first, 1};
    }
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) {
        return {};
    }
    constexpr std::array<std::uint32_t, 5> kLead = {0, 0, 0x1f, 0x0f, 0x07};
    constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    std::uint32_t value = first & kLead[size];
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) {
            return {};
        }
        value = (value << 6) | (byte(i) & 0x3fU);
    }
    if (value < kLeast[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return {};
    }
    return {value, size};
}

// Bytes of the longest beginning of `text` that takes at most `width` columns.
std::size_t bytes_within(std::string_view text, std::size_t width) {
    std::size_t at = 0;
    for (std::size_t used = 0; at < text.size() && used < width; ++used) {
        ++at;
        while (at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xc0) == 0x80) {
            ++at;
        }
    }
    return at;
}

std::string three_digits(double value) {
    if (value >= 99.95) {
        return fmt::format("{:.0f}", value);
    }
    return value >= 9.995 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = decode(text);
        if (point.size == 0) {
            clean += kReplacement;
            text.remove_prefix(1);
            continue;
        }
        if (point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0)) {
            clean += ' ';
        } else {
            clean += text.substr(0, point.size);
        }
        text.remove_prefix(point.size);
    }
    return clean;
}

std::string ascii_text(std::string_view text) {
    struct Spelling {
        std::string_view sign, ascii;
    };
    constexpr std::array kSpellings = {
        Spelling{"—", "--"}, Spelling{"–", "-"},  Spelling{"§", "sec. "}, Spelling{"µ", "u"},
        Spelling{"×", "x"},  Spelling{"→", "->"}, Spelling{"←", "<-"},    Spelling{"…", "..."},
        Spelling{"’", "'"},  Spelling{"“", "\""}, Spelling{"”", "\""},    Spelling{"·", "-"},
        Spelling{"≤", "<="}, Spelling{"≥", ">="}, Spelling{"−", "-"}};
    std::string ascii;
    while (!text.empty()) {
        const std::size_t size = bytes_within(text, 1);
        const std::string_view sign = text.substr(0, size);
        const auto* known = std::find_if(kSpellings.begin(), kSpellings.end(),
                                         [&](const Spelling& s) { return s.sign == sign; });
        ascii += size == 1 ? sign : known != kSpellings.end() ? known->ascii : "?";
        text.remove_prefix(size);
    }
    return ascii;
}

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<std::uint8_t>(c) & 0xc0) != 0x80;
    }));
}

std::string repeated(std::string_view piece, std::size_t count) {
    std::string text;
    text.reserve(piece.size() * count);
    for (std::size_t i = 0; i < count; ++i) {
        text += piece;
    }
    return text;
}

std::string pad_left(std::string_view text, std::size_t width) {
    const std::size_t taken = columns(text);
    return std::string(width > taken ? width - taken : 0, ' ').append(text);
}

std::string pad_right(std::string_view text, std::size_t width) {
    const std::size_t taken = columns(text);
    return std::string(text).append(width > taken ? width - taken : 0, ' ');
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    width = std::max<std::size_t>(width, 1);
    std::vector<std::string> lines;
    while (!text.empty()) {
        std::size_t fits = bytes_within(text, width);
        if (fits < text.size() && text[fits] != ' ') {
            const std::size_t blank = text.substr(0, fits).rfind(' ');
            if (blank != std::string_view::npos && blank > 0) {
                fits = blank;
            }
        }
        std::string_view line = text.substr(0, fits);
        line = line.substr(0, line.find_last_not_of(' ') + 1);
        lines.emplace_back(line);
        text.remove_prefix(fits);
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
    return lines;
}

std::string bytes_text(std::uint64_t bytes) {
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    return value >= 99.5 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                         : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string count_text(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3; at -= 3) {
        digits.insert(at - 3, 1, ',');
    }
    return digits;
}

std::string counted(std::uint64_t count, std::string_view singular) {
    return fmt::format("{} {}{}", count_text(count), singular, count == 1 ? "" : "s");
}

std::string duration_text(Duration duration) {
    if (duration.ns < 0) {
        return "-" + duration_text({duration.ns == INT64_MIN ? INT64_MAX : -duration.ns});
    }
    const auto ns = static_cast<double>(duration.ns);
    if (duration.ns < 1000) {
        return duration.ns == 0 ? "0 s" : fmt::format("{} ns", duration.ns);
    }
    if (duration.ns < 999'500) {
        return three_digits(ns / 1e3) + " µs";
    }
    if (duration.ns < 999'500'000) {
        return three_digits(ns / 1e6) + " ms";
    }
    if (duration.ns < 59'950'000'000) {
        return three_digits(ns / 1e9) + " s";
    }
    const std::int64_t whole = (duration.ns / 100'000'000 + 5) / 10;
    const std::int64_t minutes = whole / 60;
    if (minutes < 60) {
        return fmt::format("{} min {} s", minutes, whole % 60);
    }
    return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string Paint::operator()(Ink ink, std::string_view text) const {
    if (!on || ink == Ink::plain || text.empty()) {
        return std::string(text);
    }
    constexpr std::array<std::string_view, 8> kCodes = {"", "2", "1", "32", "36", "33", "31", "35"};
    return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<std::size_t>(ink)], text);
}

}  // namespace runnel::report
