// Own parsers of untrusted text: everything is a view, every number is checked, and the work is linear in the
// field's length. `fuzz/http.cpp` feeds them.
#include "runnel/cli/http_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace runnel {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kDaySeconds = 86'400;

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

bool equal_words(std::string_view a, std::string_view b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

/// Digits and nothing else; none when there are none or the number is too great.
std::optional<std::uint64_t> parse_digits(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool valid = error == std::errc() && end == text.data() + text.size() && !text.empty();
    return valid ? std::optional(value) : std::nullopt;
}

/// The part of a comma-separated list before its first comma; the list goes on behind it.
std::string_view take_element(std::string_view& list) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trimmed(list.substr(0, comma));
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    return element;
}

// --- dates ----------------------------------------------------------------------------------------------

/// Days from 1970-01-01 to a date of the Gregorian calendar.
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t of_era = year - era * 400;
    const std::int64_t of_year =
        (153 * (std::int64_t{month} + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

struct Civil {
    std::int64_t year;
    unsigned month;
    unsigned day;
};

Civil civil_from_days(std::int64_t days) {
    days += 719'468;
    const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
    const std::int64_t of_era = days - era * 146'097;
    const std::int64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t shifted = (5 * of_year + 2) / 153;
    const auto day = static_cast<unsigned>(of_year - (153 * shifted + 2) / 5 + 1);
    const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
    return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
}

/// The words and numbers of a date, cut at blanks, commas, dashes and colons.
std::vector<std::string_view> date_words(std::string_view text) {
    constexpr std::size_t kMostWords = 9;
    std::vector<std::string_view> words;
    while (!text.empty() && words.size() < kMostWords) {
        const std::size_t end = std::min(text.find_first_of(" ,-:"), text.size());
        if (end != 0) {
            words.push_back(text.substr(0, end));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

struct DateFields {
    std::string_view day, month, year, hour, minute, second;
};

std::optional<std::int64_t> date_of(const DateFields& fields, std::int64_t now) {
    const auto month = std::find_if(kMonths.begin(), kMonths.end(), [&](std::string_view name) {
        return equal_words(name, fields.month);
    });
    const auto day = parse_digits(fields.day);
    auto year = parse_digits(fields.year);
    const auto hour = parse_digits(fields.hour);
    const auto minute = parse_digits(fields.minute);
    const auto second = parse_digits(fields.second);
    if (month == kMonths.end() || !day || !year || !hour || !minute || !second || *day < 1 ||
        *day > 31 || *year > 9999 || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    if (fields.year.size() == 2) {
        const std::int64_t this_year = civil_from_days(floor_div(now, kDaySeconds)).year;
        const auto century =
            static_cast<std::uint64_t>(std::max<std::int64_t>(this_year, 100) / 100);
        *year += century * 100;
        if (static_cast<std::int64_t>(*year) > this_year + 50) {
            *year -= 100;
        }
    }
    const auto month_number = static_cast<unsigned>(month - kMonths.begin()) + 1;
    const std::int64_t days = days_from_civil(static_cast<std::int64_t>(*year), month_number,
                                              static_cast<unsigned>(*day));
    return days * kDaySeconds + static_cast<std::int64_t>(*hour * 3600 + *minute * 60 + *second);
}

// --- entity tags ----------------------------------------------------------------------------------------

/// Takes one entity tag off a list (RFC 9110 §8.8.3), whose quoted part may hold a comma.
std::optional<std::string_view> take_tag(std::string_view& list) {
    while (!list.empty() && (is_blank(list.front()) || list.front() == ',')) {
        list.remove_prefix(1);
    }
    const std::size_t open = list.starts_with("W/") ? 2 : 0;
    if (open >= list.size() || list[open] != '"') {
        return std::nullopt;
    }
    const std::size_t close = list.find('"', open + 1);
    if (close == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view tag = list.substr(0, close + 1);
    list.remove_prefix(close + 1);
    return tag;
}

/// `strong`: a weak tag equals none (RFC 9110 §8.8.3.2). The current tag is a strong one.
bool list_has(std::string_view list, std::string_view current, bool strong) {
    if (trimmed(list) == "*") {
        return true;
    }
    while (const auto tag = take_tag(list)) {
        const bool weak = tag->starts_with("W/");
        if ((!strong || !weak) && tag->substr(weak ? 2 : 0) == current) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string http_date(std::int64_t seconds) {
    const std::int64_t days = floor_div(seconds, kDaySeconds);
    const std::int64_t rest = seconds - days * kDaySeconds;
    const Civil date = civil_from_days(days);
    const std::int64_t weekday = ((days + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                       kDays[static_cast<std::size_t>(weekday)], date.day, kMonths[date.month - 1],
                       date.year, rest / 3600, rest / 60 % 60, rest % 60);
}

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now) {
    const std::vector<std::string_view> w = date_words(trimmed(text));
    // "Sun, 06 Nov 1994 08:49:37 GMT" and "Sunday, 06-Nov-94 08:49:37 GMT" have the same order;
    // "Sun Nov  6 08:49:37 1994" another, and no zone.
    if (w.size() == 8 && w[7] == "GMT" && (w[3].size() == 4 || w[3].size() == 2)) {
        return date_of({w[1], w[2], w[3], w[4], w[5], w[6]}, now);
    }
    if (w.size() == 7 && w[6].size() == 4) {
        return date_of({w[2], w[1], w[6], w[3], w[4], w[5]}, now);
    }
    return std::nullopt;
}

namespace {

/// One element of a byte range set. False when it is malformed; `out` stays empty when it can't be satisfied.
bool parse_one_range(std::string_view element, std::uint64_t size, std::optional<ByteRange>& out) {
    const std::size_t dash = element.find('-');
    if (dash == std::string_view::npos) {
        return false;
    }
    const std::string_view left = element.substr(0, dash);
    const std::string_view right = element.substr(dash + 1);
    const auto only_digits = [](std::string_view text) {
        return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!only_digits(left) || !only_digits(right) || (left.empty() && right.empty())) {
        return false;
    }
    // More digits than 64 bits have: beyond every file's end.
    const std::uint64_t last = parse_digits(right).value_or(~std::uint64_t{0});
    if (left.empty()) {
        if (last != 0 && size != 0) {
            out = ByteRange{last < size ? size - last : 0, size - 1};
        }
        return true;
    }
    const std::uint64_t first = parse_digits(left).value_or(~std::uint64_t{0});
    if (!right.empty() && last < first) {
        return false;
    }
    if (first < size) {
        out = ByteRange{first, std::min(last, size - 1)};
    }
    return true;
}

}  // namespace

RangeAnswer parse_range(std::string_view field, std::uint64_t size) {
    RangeAnswer answer;
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos ||
        !equal_words(trimmed(field.substr(0, equals)), "bytes")) {
        return answer;
    }
    std::string_view list = field.substr(equals + 1);
    std::size_t asked = 0;
    while (!list.empty()) {
        const std::string_view element = take_element(list);
        if (element.empty()) {
            continue;  // RFC 9110 §5.6.1: empty elements count for nothing
        }
        std::optional<ByteRange> range;
        if (++asked > kMaxRanges || !parse_one_range(element, size, range)) {
            return {};
        }
        if (!range) {
            continue;
        }
        for (const ByteRange& other : answer.ranges) {
            if (range->first <= other.last && other.first <= range->last) {
                return {};  // RFC 9110 §14.2: overlapping ranges may be ignored
            }
        }
        answer.ranges.push_back(*range);
    }
    if (asked != 0) {
        answer.kind =
            answer.ranges.empty() ? RangeAnswer::Kind::unsatisfiable : RangeAnswer::Kind::partial;
    }
    return answer;
}

std::optional<ContentRange> parse_content_range(std::string_view field) {
    field = trimmed(field);
    constexpr std::string_view kUnit = "bytes ";
    if (!equal_words(field.substr(0, kUnit.size()), kUnit)) {
        return std::nullopt;
    }
    field = trimmed(field.substr(kUnit.size()));
    const std::size_t slash = field.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    ContentRange content;
    const std::string_view size = field.substr(slash + 1);
    content.size = parse_digits(size);
    if (!content.size && size != "*") {
        return std::nullopt;
    }
    const std::string_view range = field.substr(0, slash);
    if (range == "*") {
        return content.size ? std::optional(content) : std::nullopt;
    }
    const std::size_t dash = range.find('-');
    const auto first = parse_digits(range.substr(0, dash));
    const auto last =
        parse_digits(dash == std::string_view::npos ? std::string_view{} : range.substr(dash + 1));
    if (!first || !last || *last < *first || *last == ~std::uint64_t{0} ||
        (content.size && *last >= *content.size)) {
        return std::nullopt;
    }
    content.range = ByteRange{*first, *last};
    return content;
}

unsigned evaluate(const Preconditions& conditions, const Validators& current, bool is_get_or_head,
                  std::int64_t now) {
    constexpr unsigned kNotModified = 304;
    constexpr unsigned kFailed = 412;
    // RFC 9110 §13.2.2: a tag's condition makes that of the date of the same kind void.
    if (!conditions.if_match.empty()) {
        if (!list_has(conditions.if_match, current.etag, true)) {
            return kFailed;
        }
    } else if (!conditions.if_unmodified_since.empty()) {
        const auto date = parse_http_date(conditions.if_unmodified_since, now);
        if (date && current.modified > *date) {
            return kFailed;
        }
    }
    if (!conditions.if_none_match.empty()) {
        if (list_has(conditions.if_none_match, current.etag, false)) {
            return is_get_or_head ? kNotModified : kFailed;
        }
    } else if (!conditions.if_modified_since.empty() && is_get_or_head) {
        const auto date = parse_http_date(conditions.if_modified_since, now);
        if (date && current.modified <= *date) {
            return kNotModified;
        }
    }
    return 0;
}

bool range_holds(std::string_view if_range, const Validators& current, std::int64_t now) {
    if_range = trimmed(if_range);
    if (if_range.empty()) {
        return true;
    }
    if (if_range.front() == '"' || if_range.starts_with("W/")) {
        return if_range == current.etag;
    }
    const auto date = parse_http_date(if_range, now);
    return date && *date == current.modified;
}

bool prefers_json(std::string_view accept) {
    // Thousandths, as qvalues have at most three digits.
    unsigned json = 0;
    unsigned html = 0;
    while (!accept.empty()) {
        std::string_view element = take_element(accept);
        const std::size_t semicolon = element.find(';');
        const std::string_view type = trimmed(element.substr(0, semicolon));
        unsigned quality = 1000;
        const std::size_t q = element.find("q=");
        if (semicolon != std::string_view::npos && q != std::string_view::npos) {
            const std::string_view digits = element.substr(q + 2);
            quality = digits.starts_with('1') ? 1000 : 0;
            unsigned weight = 100;
            for (std::size_t i = 2; i < digits.size() && i < 5 && quality < 1000; ++i) {
                if (digits[i] < '0' || digits[i] > '9') {
                    break;
                }
                quality += static_cast<unsigned>(digits[i] - '0') * weight;
                weight /= 10;
            }
        }
        if (equal_words(type, "application/json")) {
            json = std::max(json, quality);
        } else if (equal_words(type, "text/html") || equal_words(type, "text/*")) {
            html = std::max(html, quality);
        }
    }
    return json > html;
}

std::string html_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

std::string percent_encoded(std::string_view path) {
    constexpr std::string_view kPlain = "-._~/";
    std::string out;
    for (const char c : path) {
        const bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (alphanumeric || kPlain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace runnel
