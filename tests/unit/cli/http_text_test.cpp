// Ranges, dates, validators and escaping, held against the examples and rules of RFC 9110.
#include "runnel/cli/http_text.hpp"

#include <gtest/gtest.h>

#include <ctime>

#include "runnel/cli/served_files.hpp"

namespace runnel::testing {
namespace {

using Kind = RangeAnswer::Kind;
constexpr std::int64_t kNow = 1'795'000'000;    // in 2026
constexpr std::int64_t kExample = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT, of RFC 9110 §5.6.7

std::vector<ByteRange> ranges(std::string_view field, std::uint64_t size) {
    const RangeAnswer answer = parse_range(field, size);
    EXPECT_EQ(answer.kind, Kind::partial) << field;
    return answer.ranges;
}
using Ranges = std::vector<ByteRange>;

TEST(HttpRange, TheExamplesOfTheRfc) {
    // RFC 9110 §14.1.2, for a representation of 10,000 octets.
    EXPECT_EQ(ranges("bytes=0-499", 10'000), (Ranges{{0, 499}}));
    EXPECT_EQ(ranges("bytes=500-999", 10'000), (Ranges{{500, 999}}));
    EXPECT_EQ(ranges("bytes=-500", 10'000), (Ranges{{9'500, 9'999}}));
    EXPECT_EQ(ranges("bytes=9500-", 10'000), (Ranges{{9'500, 9'999}}));
    EXPECT_EQ(ranges("bytes=0-0,-1", 10'000), (Ranges{{0, 0}, {9'999, 9'999}}));
    EXPECT_EQ(ranges("bytes= 0-999, 4500-5499, -1000", 10'000),
              (Ranges{{0, 999}, {4'500, 5'499}, {9'000, 9'999}}));
    EXPECT_EQ(ranges("bytes=500-600,601-999", 10'000), (Ranges{{500, 600}, {601, 999}}));
}

TEST(HttpRange, WhatReachesBeyondTheEndIsCut) {
    EXPECT_EQ(ranges("bytes=5-99", 10), (Ranges{{5, 9}}));
    EXPECT_EQ(ranges("bytes=-99", 10), (Ranges{{0, 9}}));
    EXPECT_EQ(ranges("BYTES=9-", 10), (Ranges{{9, 9}}));
    EXPECT_EQ(ranges("bytes=0-99999999999999999999999999", 10), (Ranges{{0, 9}}));
    EXPECT_EQ(ranges("bytes=20-30,2-3", 10), (Ranges{{2, 3}})) << "one of two can be satisfied";
}

TEST(HttpRange, NothingInsideIsUnsatisfiable) {
    for (const char* field : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-",
                              "bytes=18446744073709551615-"}) {
        EXPECT_EQ(parse_range(field, 10).kind, Kind::unsatisfiable) << field;
    }
    EXPECT_EQ(parse_range("bytes=0-", 0).kind, Kind::unsatisfiable);
    EXPECT_EQ(parse_range("bytes=-1", 0).kind, Kind::unsatisfiable);
}

TEST(HttpRange, AMistakeOrTooMuchIsTheWhole) {
    std::string many = "bytes=";
    for (int i = 0; i < 17; ++i) {
        many += std::to_string(i * 10) + "-" + std::to_string(i * 10) + ",";
    }
    for (const std::string& field :
         {std::string(), std::string("bytes"), std::string("bytes="), std::string("bytes=,"),
          std::string("bytes=-"), std::string("bytes=5-4"), std::string("bytes=a-b"),
          std::string("bytes=1-2-3"), std::string("bytes=+1-2"), std::string("bytes=1 -2"),
          std::string("lines=1-2"), std::string("bytes=0-5,5-9"), std::string("bytes=0-,0-"),
          many}) {
        EXPECT_EQ(parse_range(field, 1000).kind, Kind::whole) << field;
        EXPECT_TRUE(parse_range(field, 1000).ranges.empty());
    }
}

TEST(HttpContentRange, IsReadAsTheAnswerSaysIt) {
    const auto whole = parse_content_range("bytes 42-1233/1234");
    ASSERT_TRUE(whole && whole->range && whole->size);
    EXPECT_EQ(*whole->range, (ByteRange{42, 1233}));
    EXPECT_EQ(*whole->size, 1234u);
    const auto unknown = parse_content_range("bytes 42-1233/*");
    ASSERT_TRUE(unknown && unknown->range);
    EXPECT_FALSE(unknown->size);
    const auto unsatisfied = parse_content_range("bytes */1234");
    ASSERT_TRUE(unsatisfied);
    EXPECT_FALSE(unsatisfied->range);
    for (const char* field :
         {"", "bytes", "bytes ", "bytes 1-2", "bytes 2-1/10", "bytes 5-10/10", "bytes */*",
          "bytes a-b/c", "lines 1-2/3", "bytes 0-18446744073709551615/*"}) {
        EXPECT_FALSE(parse_content_range(field)) << field;
    }
}

TEST(HttpDate, TheThreeFormsOfTheRfc) {
    EXPECT_EQ(http_date(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), kExample);
    EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), kExample);
    EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994", kNow), kExample);
}

TEST(HttpDate, AgreesWithTheCLibrary) {
    for (std::int64_t seconds = -60'000'000'000; seconds < 250'000'000'000; seconds += 86'399'111) {
        const std::time_t time = seconds;
        std::tm utc{};
        ::gmtime_r(&time, &utc);
        char text[64];
        std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        if (utc.tm_year + 1900 >= 1000) {  // strftime doesn't pad the year
            ASSERT_EQ(http_date(seconds), text);
        }
        ASSERT_EQ(parse_http_date(http_date(seconds), kNow), seconds) << http_date(seconds);
    }
}

TEST(HttpDate, ATwoDigitYearIsNotFarInTheFuture) {
    EXPECT_EQ(http_date(*parse_http_date("Friday, 01-Jan-77 00:00:00 GMT", kNow)).substr(12, 4),
              "1977");
    EXPECT_EQ(http_date(*parse_http_date("Friday, 01-Jan-76 00:00:00 GMT", kNow)).substr(12, 4),
              "2076");
}

TEST(HttpDate, WhatIsNoneIsRefused) {
    for (const char* text :
         {"", "yesterday", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:37 PST",
          "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
          "Sun, 06 Nov -1 08:49:37 GMT", "Sun, 0x Nov 1994 08:49:37 GMT", "1 2 3 4 5 6 7 8 9 10"}) {
        EXPECT_FALSE(parse_http_date(text, kNow)) << text;
    }
}

unsigned with(const Preconditions& conditions, bool read = true) {
    return evaluate(conditions, {"\"abc\"", kExample}, read, kNow);
}

TEST(HttpConditions, TagsAreComparedStronglyOrWeakly) {
    EXPECT_EQ(with({}), 0u);
    EXPECT_EQ(with({.if_none_match = "\"abc\""}), 304u);
    EXPECT_EQ(with({.if_none_match = "\"x\", W/\"abc\""}), 304u) << "weakly";
    EXPECT_EQ(with({.if_none_match = "*"}), 304u);
    EXPECT_EQ(with({.if_none_match = "\"x,\"abc\"\""}), 0u) << "a comma inside a tag";
    EXPECT_EQ(with({.if_none_match = "abc"}), 0u) << "without quotes it is no tag";
    EXPECT_EQ(with({.if_none_match = "\"abc\""}, false), 412u) << "not a read";
    EXPECT_EQ(with({.if_match = "\"abc\""}), 0u);
    EXPECT_EQ(with({.if_match = "*"}), 0u);
    EXPECT_EQ(with({.if_match = "W/\"abc\""}), 412u) << "strongly";
    EXPECT_EQ(with({.if_match = "\"x\""}), 412u);
}

TEST(HttpConditions, DatesCountWhereNoTagDoes) {
    const char* same = "Sun, 06 Nov 1994 08:49:37 GMT";
    const char* before = "Sun, 06 Nov 1994 08:49:36 GMT";
    EXPECT_EQ(with({.if_modified_since = same}), 304u);
    EXPECT_EQ(with({.if_modified_since = before}), 0u);
    EXPECT_EQ(with({.if_modified_since = same}, false), 0u);
    EXPECT_EQ(with({.if_modified_since = "nonsense"}), 0u);
    EXPECT_EQ(with({.if_none_match = "\"x\"", .if_modified_since = same}), 0u) << "the tag decides";
    EXPECT_EQ(with({.if_unmodified_since = same}), 0u);
    EXPECT_EQ(with({.if_unmodified_since = before}), 412u);
    EXPECT_EQ(with({.if_match = "\"abc\"", .if_unmodified_since = before}), 0u);
}

TEST(HttpConditions, IfRangeNeedsTheSameRepresentation) {
    const Validators current{"\"abc\"", kExample};
    EXPECT_TRUE(range_holds("", current, kNow));
    EXPECT_TRUE(range_holds("\"abc\"", current, kNow));
    EXPECT_FALSE(range_holds("W/\"abc\"", current, kNow));
    EXPECT_FALSE(range_holds("\"x\"", current, kNow));
    EXPECT_TRUE(range_holds("Sun, 06 Nov 1994 08:49:37 GMT", current, kNow));
    EXPECT_FALSE(range_holds("Sun, 06 Nov 1994 08:49:38 GMT", current, kNow)) << "exactly";
    EXPECT_FALSE(range_holds("nonsense", current, kNow));
}

TEST(HttpAccept, JsonOnlyWhenItIsPreferred) {
    EXPECT_TRUE(prefers_json("application/json"));
    EXPECT_TRUE(prefers_json("text/html;q=0.5, application/json;q=0.9"));
    EXPECT_TRUE(prefers_json("*/*, Application/JSON"));
    EXPECT_FALSE(prefers_json(""));
    EXPECT_FALSE(prefers_json("*/*"));
    EXPECT_FALSE(prefers_json("text/html, application/json"));
    EXPECT_FALSE(prefers_json("application/json;q=0"));
    EXPECT_FALSE(prefers_json("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
}

TEST(HttpEscaping, NothingGetsOutOfItsPlace) {
    EXPECT_EQ(html_escaped("<a href='x'>&\"</a>"),
              "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    EXPECT_EQ(percent_encoded("a b/ä?#%\"'<"), "a%20b/%C3%A4%3F%23%25%22%27%3C");
    for (int c = 1; c < 256; ++c) {
        const std::string name(1, static_cast<char>(c));
        if (name != "/" && name != ".") {
            EXPECT_EQ(path_of_target("/" + percent_encoded(name)), name) << c;
        }
    }
}

TEST(HttpTarget, AbsoluteFormAndQuery) {
    EXPECT_EQ(decoded_path("http://example.org/a/b?c"), "a/b");
    EXPECT_EQ(decoded_path("http://example.org"), "");
    EXPECT_EQ(decoded_path("http://example.org?x"), std::nullopt) << "no path at all";
    EXPECT_EQ(decoded_path("/a?u=http://x/y"), "a");
    EXPECT_EQ(decoded_path("/a://b"), "a://b");
    EXPECT_EQ(query_of_target("/a?json"), "json");
    EXPECT_EQ(query_of_target("/a#b?json"), "");
    EXPECT_EQ(query_of_target("/a"), "");
    EXPECT_FALSE(is_plain_path("a/../b"));
    EXPECT_FALSE(is_plain_path("a//b"));
    EXPECT_TRUE(is_plain_path("a/..b/"));
    EXPECT_TRUE(is_plain_path(""));
}

}  // namespace
}  // namespace runnel::testing
