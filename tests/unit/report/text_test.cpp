#include "runnel/report/text.hpp"

#include <gtest/gtest.h>

#include "runnel/report/json_writer.hpp"

namespace runnel::report {
namespace {

TEST(Printable, LeavesTextAndUtf8Alone) {
    EXPECT_EQ(printable("RFC 9293 §3.10.1 — ok"), "RFC 9293 §3.10.1 — ok");
}

TEST(Printable, TakesTheTerminalOutOfUntrustedText) {
    EXPECT_EQ(printable("a\x1b[31mb\nc\td\x7f"), "a [31mb c d ");
    EXPECT_EQ(printable("a\xc2\x9b"
                        "31mb"),
              "a 31mb")
        << "CSI as one C1 character";
}

TEST(Printable, ReplacesWhatIsNoUtf8) {
    EXPECT_EQ(printable("a\xff"
                        "b"),
              "a\ufffdb");
    EXPECT_EQ(printable("\xc0\x80"), "\ufffd\ufffd") << "overlong";
    EXPECT_EQ(printable("\xed\xa0\x80"), "\ufffd\ufffd\ufffd") << "surrogate";
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\ufffd\ufffd\ufffd\ufffd") << "above U+10FFFF";
    EXPECT_EQ(printable("x\xe2\x80"), "x\ufffd\ufffd") << "cut short";
}

TEST(AsciiText, SpellsOutRunnelsSignsAndReplacesOthers) {
    EXPECT_EQ(ascii_text("— §3.10 → 5 µs Ж"), "-- sec. 3.10 -> 5 us ?");
}

TEST(Wrapped, BreaksAtBlanksAndCountsColumnsNotBytes) {
    EXPECT_EQ(wrapped("one two three", 7), (std::vector<std::string>{"one two", "three"}));
    EXPECT_EQ(wrapped("§§§ §§§", 3), (std::vector<std::string>{"§§§", "§§§"}));
    EXPECT_EQ(wrapped("abcdefgh", 3), (std::vector<std::string>{"abc", "def", "gh"}));
    EXPECT_TRUE(wrapped("", 10).empty());
    EXPECT_EQ(wrapped("ab", 0), (std::vector<std::string>{"a", "b"}));
}

TEST(Figures, AreAsPeopleReadThem) {
    EXPECT_EQ(bytes_text(0), "0 B");
    EXPECT_EQ(bytes_text(1023), "1023 B");
    EXPECT_EQ(bytes_text(1024), "1.0 KiB");
    EXPECT_EQ(bytes_text(1024 * 1024 - 1), "1.0 MiB");
    EXPECT_EQ(bytes_text(1181116006), "1.1 GiB");
    EXPECT_EQ(bytes_text(UINT64_MAX), "16.0 EiB");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1234567), "1,234,567");
    EXPECT_EQ(counted(1, "ACK"), "1 ACK");
    EXPECT_EQ(counted(0, "ACK"), "0 ACKs");
}

TEST(Figures, DurationsHaveThreeDigits) {
    EXPECT_EQ(duration_text({0}), "0 s");
    EXPECT_EQ(duration_text(nanoseconds(999)), "999 ns");
    EXPECT_EQ(duration_text(nanoseconds(1'000)), "1.00 µs");
    EXPECT_EQ(duration_text(nanoseconds(120'000)), "120 µs");
    EXPECT_EQ(duration_text(nanoseconds(999'999)), "1.00 ms");
    EXPECT_EQ(duration_text(milliseconds(204)), "204 ms");
    EXPECT_EQ(duration_text(nanoseconds(999'900'000)), "1.00 s");
    EXPECT_EQ(duration_text(milliseconds(59'949)), "59.9 s");
    EXPECT_EQ(duration_text(seconds(200)), "3 min 20 s");
    EXPECT_EQ(duration_text(seconds(7260)), "2 h 1 min");
    EXPECT_EQ(duration_text(milliseconds(-5)), "-5.00 ms");
    EXPECT_EQ(duration_text({INT64_MIN}), duration_text({-INT64_MAX}));
}

TEST(JsonWriter, WritesNestedValuesAndEscapes) {
    std::string out;
    JsonWriter json(out);
    json.begin_object();
    json.text("a\"b", "c\\d\x01");
    json.begin_array("list");
    json.number({}, 1);
    json.null({});
    json.begin_object();
    json.end_object();
    json.end_array();
    json.boolean("yes", true);
    json.end_object();
    EXPECT_EQ(out, R"({"a\"b":"c\\d ","list":[1,null,{}],"yes":true})");
}

}  // namespace
}  // namespace runnel::report
