// What a receiver should offer: round trips as it sees them, and twice what the reader takes in one.
#include "runnel/tcp/receive/window_tuner.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel::tcp {
namespace {

constexpr std::uint32_t kSegment = 1000;
constexpr Instant kStart{seconds(1000).ns};

/// A reader who takes everything at once, on a path of `rtt`, told of it by an echo.
struct Reader {
    WindowTuner tuner;
    Duration rtt;
    Instant now = kStart;
    std::uint64_t arrived = 0;
    std::uint64_t offered = 64 * 1024;
    std::uint32_t echo = 0;

    explicit Reader(Duration trip) : rtt(trip) { tuner.on_echo(++echo, rtt); }
    /// `octets` come and are read.
    void takes(std::uint64_t octets, std::uint64_t unread = 0) {
        arrived += octets;
        offered = std::max(offered, tuner.on_read(arrived, unread, kSegment, {}, now));
    }
};

TEST(WindowTuner, KnowsNothingBeforeARoundTripIsKnown) {
    WindowTuner tuner;
    EXPECT_EQ(tuner.rtt(), Duration{});
    EXPECT_EQ(tuner.on_read(1'000'000, 0, kSegment, {}, kStart), 0u);
    EXPECT_EQ(tuner.space(), 0u);
}

TEST(WindowTuner, TakesTheSendersRoundTripWhileItHasNone) {
    WindowTuner tuner;
    EXPECT_EQ(tuner.on_read(1, 0, kSegment, milliseconds(10), kStart), 0u);
    EXPECT_EQ(tuner.space(), 10 * kSegment) << "what RFC 6928 lets a sender begin with";
    EXPECT_GT(tuner.on_read(50'001, 0, kSegment, milliseconds(10), kStart + milliseconds(5)), 0u);
}

TEST(WindowTuner, AShorterRoundTripCountsAtOnceALongerOneLittleByLittle) {
    WindowTuner tuner;
    tuner.on_echo(1, milliseconds(100));
    EXPECT_EQ(tuner.rtt(), milliseconds(100));
    tuner.on_echo(2, milliseconds(20));
    EXPECT_EQ(tuner.rtt(), milliseconds(20));
    tuner.on_echo(2, milliseconds(5));
    EXPECT_EQ(tuner.rtt(), milliseconds(20)) << "the same ACK's second segment";
    tuner.on_echo(3, seconds(10));
    EXPECT_EQ(tuner.rtt(), microseconds(22'500)) << "as if it were double, by an eighth";
    for (std::uint32_t echo = 4; echo < 100; ++echo) {
        tuner.on_echo(echo, milliseconds(60));
    }
    EXPECT_GT(tuner.rtt(), milliseconds(55));
    EXPECT_LE(tuner.rtt(), milliseconds(60));
    tuner.on_echo(200, Duration{});
    EXPECT_EQ(tuner.rtt(), milliseconds(1)) << "timestamps count in milliseconds";
}

TEST(WindowTuner, WithoutTimestampsAWindowsWorthIsARoundTrip) {
    WindowTuner tuner;
    Instant now = kStart;
    tuner.on_window(1000, 11'000, milliseconds(1), now);
    now = now + milliseconds(49);
    tuner.on_window(10'999, 20'000, milliseconds(1), now);
    EXPECT_EQ(tuner.rtt(), Duration{}) << "not all of it has come";
    now = now + milliseconds(1);
    tuner.on_window(11'000, 21'000, milliseconds(1), now);
    EXPECT_NEAR(static_cast<double>(tuner.rtt().micros()), 50'000, 2);
    now = now + seconds(5);
    tuner.on_window(21'000, 31'000, milliseconds(1), now);
    EXPECT_LT(tuner.rtt(), milliseconds(51)) << "who has little to say fills no window";
    now = now + milliseconds(1);
    tuner.on_window(31'000, 41'000, milliseconds(30), now);
    EXPECT_EQ(tuner.rtt(), milliseconds(30)) << "no shorter than the path has ever been";
    now = now + milliseconds(31);
    tuner.on_window(0, 50'000, milliseconds(1), now);
    EXPECT_EQ(tuner.rtt(), milliseconds(30));
}

TEST(WindowTuner, NumbersThatWrapAreNumbersStill) {
    WindowTuner tuner;
    tuner.on_window(0xffff'f000u, 0x0000'1000u, milliseconds(1), kStart);
    tuner.on_window(0xffff'ffffu, 0x0000'2000u, milliseconds(1), kStart + milliseconds(5));
    EXPECT_EQ(tuner.rtt(), Duration{});
    tuner.on_window(0x0000'1000u, 0x0000'2000u, milliseconds(1), kStart + milliseconds(8));
    EXPECT_NEAR(static_cast<double>(tuner.rtt().micros()), 8'000, 2);
}

TEST(WindowTuner, StaysAheadOfSlowStart) {
    // Ten segments, then twice as many a round trip, each round in a burst at its beginning: while a round comes in,
    // its ACKs must let out twice as much.
    for (const int trip : {1, 10, 50, 300}) {
        Reader reader(milliseconds(trip));
        std::uint64_t round = 10;
        while (round * kSegment < 30'000'000) {
            for (std::uint64_t i = 0; i < round; ++i) {
                reader.takes(kSegment);
                // What is in flight when this segment's ACK has arrived: the rest of the round, and two for each that
                // has been acknowledged.
                EXPECT_GE(reader.offered, (round + i + 1) * kSegment)
                    << "round trip " << trip << " ms, round of " << round << ", segment " << i;
            }
            reader.now = reader.now + reader.rtt + microseconds(1500);
            round *= 2;
        }
    }
}

TEST(WindowTuner, StaysAheadOfASlowStartThatIsPaced) {
    for (const int trip : {1, 10, 50, 300}) {
        Reader reader(milliseconds(trip));
        std::uint64_t round = 10;
        while (round * kSegment < 30'000'000) {
            for (std::uint64_t i = 0; i < round; ++i) {
                reader.takes(kSegment);
                EXPECT_GE(reader.offered, (round + i + 1) * kSegment)
                    << "round trip " << trip << " ms, round of " << round << ", segment " << i;
                reader.now = reader.now + reader.rtt / static_cast<std::int64_t>(round);
            }
            round *= 2;
        }
    }
}

TEST(WindowTuner, APathThatIsSteadyGetsAFewTimesItsProduct) {
    // 1 MB/s and 100 ms.
    Reader reader(milliseconds(100));
    for (int i = 0; i < 20'000; ++i) {
        reader.takes(kSegment);
        reader.now = reader.now + milliseconds(1);
    }
    EXPECT_GE(reader.offered, 200'000u);
    EXPECT_LE(reader.offered, 500'000u);
    EXPECT_NEAR(reader.tuner.space(), 101'000, 2'000);
}

TEST(WindowTuner, AReaderWhoTakesLittleIsOfferedNoMore) {
    Reader reader(milliseconds(10));
    const std::uint64_t before = reader.offered;
    std::uint64_t unread = 0;
    for (int i = 0; i < 10'000; ++i) {
        // A lot waits all the time, and a little of it is read each millisecond.
        unread = std::min<std::uint64_t>(unread + kSegment, 60'000);
        reader.takes(kSegment, unread);
        reader.now = reader.now + milliseconds(1);
    }
    EXPECT_EQ(reader.offered, before);
}

TEST(WindowTuner, AReaderWhoSleepsAndThenTakesAllIsNoneTheFaster) {
    Reader reader(milliseconds(10));
    const std::uint64_t before = reader.offered;
    for (int i = 0; i < 100; ++i) {
        reader.now = reader.now + seconds(1);
        reader.arrived += 60'000;
        for (std::uint64_t unread = 60'000; unread > 0; unread -= 10'000) {
            reader.takes(0, unread - 10'000);
        }
    }
    EXPECT_EQ(reader.offered, before);
}

TEST(WindowTuner, WhatIsForgottenIsLearntAgain) {
    Reader reader(milliseconds(10));
    const auto stream = [&] {
        for (int i = 0; i < 100; ++i) {
            reader.takes(50 * kSegment);
            reader.now = reader.now + milliseconds(1);
        }
    };
    stream();
    EXPECT_GT(reader.offered, 1'000'000u);
    reader.offered = 64 * 1024;
    stream();
    EXPECT_EQ(reader.offered, 64u * 1024) << "nothing new about this path";
    reader.tuner.forget(16 * 1024);
    stream();
    EXPECT_GT(reader.offered, 1'000'000u);
}

RC_GTEST_PROP(WindowTuner, NeverOffersMoreThanSixTimesWhatCame, ()) {
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint32_t, std::uint32_t>>>(
        rc::gen::pair(rc::gen::inRange<std::uint32_t>(0, 1u << 20),
                      rc::gen::inRange<std::uint32_t>(0, 400'000)));
    Reader reader(milliseconds(*rc::gen::inRange(0, 400)));
    for (const auto& [octets, micros] : steps) {
        reader.now = reader.now + microseconds(micros);
        reader.takes(octets);
    }
    RC_ASSERT(reader.offered <= 64 * 1024 + 16 * 2 * kSegment + 4 * reader.arrived);
}

}  // namespace
}  // namespace runnel::tcp
