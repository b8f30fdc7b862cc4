// The parts of HTTP that Beast leaves to its user, as functions over text: byte ranges, validators, dates and
// preconditions (RFC 9110 §5.6.7, §8.8, §13, §14).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runnel {

/// Seconds since 1970 as IMF-fixdate, whatever the locale. From year 1 to 9999.
[[nodiscard]] std::string http_date(std::int64_t seconds);

/// Any of the three forms of RFC 9110 §5.6.7; none when it is not a date. A two-digit year more than 50 years
/// after `now` is of the century before.
[[nodiscard]] std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now);

/// Octets `first` to `last`, both included.
struct ByteRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
    bool operator==(const ByteRange&) const = default;
};

/// Ranges of one request at most; a field with more is ignored, as RFC 9110 §14.2 permits.
inline constexpr std::size_t kMaxRanges = 16;

struct RangeAnswer {
    enum class Kind : std::uint8_t {
        whole,          ///< no field, another unit, a mistake in it, or too much of it: 200
        partial,        ///< 206
        unsatisfiable,  ///< 416
    };
    Kind kind = Kind::whole;
    std::vector<ByteRange>
        ranges;  ///< of `partial`: inside the size, in the order asked for, not overlapping
};

/// What a Range field asks of a representation of `size` octets.
[[nodiscard]] RangeAnswer parse_range(std::string_view field, std::uint64_t size);

/// "bytes FIRST-LAST/SIZE" or "bytes */SIZE" of an answer; SIZE may be "*".
struct ContentRange {
    std::optional<ByteRange> range;
    std::optional<std::uint64_t> size;
};
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view field);

/// What identifies a representation: a strong entity tag and the time of its last change.
struct Validators {
    std::string etag;  ///< with its quotes
    std::int64_t modified = 0;
};

/// The fields that make a request conditional; empty when there is none.
struct Preconditions {
    std::string_view if_match = {};
    std::string_view if_none_match = {};
    std::string_view if_modified_since = {};
    std::string_view if_unmodified_since = {};
};

/// 0: go on; 304 or 412 as RFC 9110 §13.2.2 orders. `now` is for dates with two-digit years.
[[nodiscard]] unsigned evaluate(const Preconditions& conditions, const Validators& current,
                                bool is_get_or_head, std::int64_t now);

/// Whether a Range field counts in spite of its If-Range (RFC 9110 §13.1.5): equal strong tag, or equal date.
[[nodiscard]] bool range_holds(std::string_view if_range, const Validators& current,
                               std::int64_t now);

/// Whether an Accept field prefers application/json to text/html (RFC 9110 §12.5.1); without a field: no.
[[nodiscard]] bool prefers_json(std::string_view accept);

/// The text as it stands in HTML, attributes included.
[[nodiscard]] std::string html_escaped(std::string_view text);
/// A path as it stands in a URL: what is not unreserved is percent-encoded, slashes stay.
[[nodiscard]] std::string percent_encoded(std::string_view path);

}  // namespace runnel
