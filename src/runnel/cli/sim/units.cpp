#include "runnel/cli/sim/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace runnel::sim_command {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

__extension__ using Wide = __int128;
constexpr std::int64_t kMost = std::int64_t{1} << 60;

/// A decimal number with an optional fraction, times its unit's factor, exactly; none when the product is
/// no whole number, is too great, or the text is something else.
std::optional<std::int64_t> parse(std::string_view text, const auto& units) {
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    const std::size_t number = std::min(text.find_first_not_of("0123456789."), text.size());
    std::string_view digits = text.substr(0, number);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& one) {
        return one.name == text.substr(number);
    });
    if (digits.empty() || digits == "." || unit == units.end()) {
        return std::nullopt;
    }
    std::int64_t whole = 0;
    std::int64_t scale = 1;
    bool fraction = false;
    for (const char c : digits) {
        if (c == '.') {
            if (fraction) {
                return std::nullopt;
            }
            fraction = true;
            continue;
        }
        if (whole > kMost / 10 || scale > kMost / 10) {
            return std::nullopt;
        }
        whole = whole * 10 + (c - '0');
        scale *= fraction ? 10 : 1;
    }
    const Wide product = static_cast<Wide>(whole) * unit->factor;
    if (product % scale != 0 || product / scale > kMost) {
        return std::nullopt;
    }
    const auto value = static_cast<std::int64_t>(product / scale);
    return negative ? -value : value;
}

constexpr std::array<Unit, 6> kTimes = {{{"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};
constexpr std::array<Unit, 4> kRates = {
    {{"gbit", 1'000'000'000}, {"mbit", 1'000'000}, {"kbit", 1'000}, {"bit", 1}}};
constexpr std::array<Unit, 8> kSizes = {{{"", 1},
                                         {"b", 1},
                                         {"kb", 1'000},
                                         {"mb", 1'000'000},
                                         {"gb", 1'000'000'000},
                                         {"kib", 1 << 10},
                                         {"mib", 1 << 20},
                                         {"gib", 1 << 30}}};
constexpr std::array<Unit, 3> kShares = {{{"%", 10'000}, {"ppm", 1}, {"", 1}}};

std::string spelt(std::int64_t value, const auto& units) {
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& one) { return value % one.factor == 0; });
    return fmt::format("{}{}", value / unit->factor, unit->name);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "0") {
        return Duration{};
    }
    const auto ns = parse(text, kTimes);
    constexpr std::int64_t kDays = seconds(30 * 86'400).ns;
    return ns && *ns <= kDays && *ns >= -kDays ? std::optional(Duration{*ns}) : std::nullopt;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
    if (text == "0" || text == "unlimited") {
        return 0;
    }
    const auto bits = parse(text, kRates);
    if (!bits || *bits <= 0 || *bits % 8 != 0 || *bits > 1'000'000'000'000) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*bits) / 8;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto bytes = parse(text, kSizes);
    return bytes && *bytes >= 0 ? std::optional(static_cast<std::uint64_t>(*bytes)) : std::nullopt;
}

std::optional<std::uint32_t> parse_share(std::string_view text) {
    const auto ppm = parse(text, kShares);
    return ppm && *ppm >= 0 && *ppm <= 1'000'000 ? std::optional(static_cast<std::uint32_t>(*ppm))
                                                 : std::nullopt;
}

std::string duration_spelt(Duration duration) {
    // Seconds at most: "1h" for 3600s would read oddly beside "3601s".
    return duration.ns == 0 ? "0" : spelt(duration.ns, std::span(kTimes).subspan(2));
}

std::string rate_spelt(std::uint64_t bytes_per_second) {
    return bytes_per_second == 0 ? "unlimited"
                                 : spelt(static_cast<std::int64_t>(bytes_per_second) * 8, kRates);
}

std::string share_spelt(std::uint32_t ppm) {
    if (ppm % 100 != 0) {
        return fmt::format("{}ppm", ppm);
    }
    return ppm % 10'000 == 0
               ? fmt::format("{}%", ppm / 10'000)
               : fmt::format("{}.{}%", ppm / 10'000,
                             ppm % 1'000 == 0 ? fmt::format("{}", ppm / 1'000 % 10)
                                              : fmt::format("{:02}", ppm / 100 % 100));
}

std::string rate_text(double bytes_per_second) {
    const double bits = bytes_per_second * 8;
    if (bits >= 1e9) {
        return fmt::format("{:.3g} Gbit/s", bits / 1e9);
    }
    if (bits >= 1e6) {
        return fmt::format("{:.3g} Mbit/s", bits / 1e6);
    }
    return bits >= 1e3 ? fmt::format("{:.3g} kbit/s", bits / 1e3)
                       : fmt::format("{:.0f} bit/s", bits);
}

}  // namespace runnel::sim_command
