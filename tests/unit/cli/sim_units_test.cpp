// Figures of scenario files: what is written is read back as the same value, and nonsense is refused.
#include <gtest/gtest.h>

#include "runnel/cli/sim/units.hpp"

namespace runnel::sim_command {
namespace {

TEST(SimUnits, ReadsWhatPeopleWrite) {
    EXPECT_EQ(parse_duration("50ms"), milliseconds(50));
    EXPECT_EQ(parse_duration("1.5s"), milliseconds(1'500));
    EXPECT_EQ(parse_duration("-2us"), microseconds(-2));
    EXPECT_EQ(parse_duration("20m"), seconds(1'200));
    EXPECT_EQ(parse_duration("0"), Duration{});
    EXPECT_EQ(parse_rate("100mbit"), 12'500'000u);
    EXPECT_EQ(parse_rate("unlimited"), 0u);
    EXPECT_EQ(parse_size("64kib"), 65'536u);
    EXPECT_EQ(parse_size("1500"), 1'500u);
    EXPECT_EQ(parse_share("0.05%"), 500u);
    EXPECT_EQ(parse_share("300ppm"), 300u);
    EXPECT_EQ(parse_share("7"), 7u);
}

TEST(SimUnits, RefusesWhatMakesNoSense) {
    for (const char* text : {"", "s", "5", "5 s", "1.2.3s", ".s", "0.1ns", "40000000s",
                             "99999999999999999999s", "--1s"}) {
        EXPECT_FALSE(parse_duration(text)) << text;
    }
    for (const char* text : {"", "100", "1bit", "2000gbit", "-1mbit", "fast"}) {
        EXPECT_FALSE(parse_rate(text)) << text;
    }
    for (const char* text : {"", "-1", "1.5", "kb", "1tb"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
    for (const char* text : {"", "101%", "-1%", "0.00001%", "percent"}) {
        EXPECT_FALSE(parse_share(text)) << text;
    }
}

TEST(SimUnits, SpellsExactly) {
    for (const std::int64_t ns : {0L, 1L, 999L, 1'000L, 1'500'000L, 60'000'000'000L, -5'000L}) {
        EXPECT_EQ(parse_duration(duration_spelt(Duration{ns})), Duration{ns}) << ns;
    }
    for (const std::uint64_t rate : {0UL, 1UL, 125UL, 12'500'000UL, 1'234'567UL}) {
        EXPECT_EQ(parse_rate(rate_spelt(rate)), rate);
    }
    for (std::uint32_t ppm = 0; ppm <= 1'000'000; ppm += ppm < 20'000 ? 1 : 7'919) {
        EXPECT_EQ(parse_share(share_spelt(ppm)), ppm) << share_spelt(ppm);
    }
    EXPECT_EQ(share_spelt(12'300), "1.23%");
    EXPECT_EQ(share_spelt(10'500), "1.05%");
    EXPECT_EQ(duration_spelt(milliseconds(1'500)), "1500ms");
}

}  // namespace
}  // namespace runnel::sim_command
