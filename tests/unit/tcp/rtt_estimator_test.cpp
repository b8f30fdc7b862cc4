// The estimator against RFC 6298's own arithmetic, RFC 7323 appendix G and Linux's two refinements.
#include "runnel/tcp/recovery/rtt_estimator.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel::tcp {
namespace {

const TcpConfig kModern = profile_config(Profile::modern);
const TcpConfig kRfc = profile_config(Profile::rfc);

/// A sample with which a flight ends.
void take(RttEstimator& rtt, Duration time, Instant now, std::uint32_t flight,
          const TcpConfig& config) {
    static std::uint64_t acked = 0;
    acked += 1000;
    rtt.take({time, now, flight, Seq64{acked}, Seq64{acked + 500}}, config);
}

/// Samples in milliseconds, one a round trip.
RttEstimator after(const std::vector<std::int64_t>& samples, const TcpConfig& config) {
    RttEstimator rtt;
    Instant now;
    for (const std::int64_t ms : samples) {
        now = now + milliseconds(ms);
        take(rtt, milliseconds(ms), now, 1, config);
    }
    return rtt;
}

TEST(RttEstimator, WaitsASecondBeforeTheFirstSample) {
    const RttEstimator rtt;
    EXPECT_FALSE(rtt.has_sample());
    EXPECT_EQ(rtt.rto(kRfc), seconds(1)) << "RFC 6298 §2.1";
    EXPECT_EQ(rtt.rto(kModern), seconds(1));
    EXPECT_EQ(rtt.min_rtt(), Duration{});
}

// Proves: 6298-M1
TEST(RttEstimator, FirstSample) {
    // RFC 6298 §2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + max(G, 4 * RTTVAR).
    const RttEstimator rtt = after({800}, kRfc);
    EXPECT_EQ(rtt.smoothed(), milliseconds(800));
    EXPECT_EQ(rtt.variation(), milliseconds(400));
    EXPECT_EQ(rtt.rto(kRfc), milliseconds(2400));
}

// Proves: 6298-M2
TEST(RttEstimator, SecondSample) {
    // RFC 6298 §2.3, beta 1/4 and alpha 1/8, RTTVAR with the old SRTT:
    // RTTVAR = 3/4 * 400 + 1/4 * |800 - 1600|, SRTT = 7/8 * 800 + 1/8 * 1600.
    const RttEstimator rtt = after({800, 1600}, kRfc);
    EXPECT_EQ(rtt.variation(), milliseconds(500));
    EXPECT_EQ(rtt.smoothed(), milliseconds(900));
    EXPECT_EQ(rtt.rto(kRfc), milliseconds(2900));
}

TEST(RttEstimator, RoundsUpToASecondOnlyByTheLetter) {
    // RFC 6298 §2.4 against Linux: SRTT + max(200 ms, 4 * RTTVAR).
    EXPECT_EQ(after({10}, kRfc).rto(kRfc), seconds(1));
    EXPECT_EQ(after({10}, kModern).rto(kModern), milliseconds(210));
    EXPECT_EQ(after({100}, kModern).rto(kModern), milliseconds(300));
}

// Proves: 6298-M5
TEST(RttEstimator, AQuietPathKeepsAMargin) {
    const std::vector<std::int64_t> steady(200, 50);
    const RttEstimator linux_like = after(steady, kModern);
    EXPECT_LT(linux_like.variation(), milliseconds(1));
    EXPECT_EQ(linux_like.rto(kModern), milliseconds(250));
    TcpConfig fast = kRfc;
    fast.rto_min = milliseconds(1);
    const RttEstimator literal = after(steady, fast);
    EXPECT_EQ(literal.rto(fast), milliseconds(51)) << "G, our clock's granularity";
}

TEST(RttEstimator, AFallingRoundTripDoesNotRaiseTheTimeout) {
    std::vector<std::int64_t> samples(100, 1000);
    const Duration before = after(samples, kModern).rto(kModern);
    samples.push_back(10);
    EXPECT_LT(after(samples, kModern).rto(kModern), before + milliseconds(50));
    EXPECT_GT(after(samples, kRfc).rto(kRfc), before + milliseconds(400))
        << "by the letter it does";
    samples.back() = 2000;
    EXPECT_GT(after(samples, kModern).rto(kModern), before + milliseconds(400))
        << "a rising one does";
}

TEST(RttEstimator, ManySamplesARoundTripCountAsOne) {
    // RFC 7323 appendix G: with 100 segments in flight 50 samples are expected, each with 1/50 of
    // the gain.
    RttEstimator once = after({100}, kModern);
    RttEstimator often = once;
    take(once, milliseconds(200), {}, 1, kModern);
    for (int i = 0; i < 50; ++i) {
        take(often, milliseconds(200), {}, 100, kModern);
    }
    EXPECT_EQ(once.smoothed(), milliseconds(112) + microseconds(500));
    EXPECT_NEAR(static_cast<double>(often.smoothed().ns), static_cast<double>(once.smoothed().ns),
                1e6);
    EXPECT_NEAR(static_cast<double>(often.variation().ns), static_cast<double>(once.variation().ns),
                4e6);
    RttEstimator naive = after({100}, kModern);
    for (int i = 0; i < 50; ++i) {
        take(naive, milliseconds(200), {}, 1, kModern);
    }
    EXPECT_GT(naive.smoothed(), milliseconds(190)) << "what the division is for";
}

TEST(RttEstimator, SmallGainsAreNotLostToRounding) {
    RttEstimator rtt = after({1}, kModern);
    for (int i = 0; i < 400'000; ++i) {
        take(rtt, milliseconds(1) + microseconds(20), {}, 10'000, kModern);
    }
    EXPECT_NEAR(static_cast<double>(rtt.smoothed().ns), 1.02e6, 500);
}

TEST(RttEstimator, StaysWithinItsBounds) {
    EXPECT_EQ(after({100'000}, kModern).rto(kModern), seconds(120));
    EXPECT_EQ(after({100'000'000'000}, kModern).rto(kModern), seconds(120)) << "years";
    RttEstimator rtt;
    take(rtt, Duration{}, {}, 0, kModern);
    EXPECT_TRUE(rtt.has_sample()) << "a wire without delay";
    EXPECT_EQ(rtt.min_rtt(), nanoseconds(1));
    EXPECT_GE(rtt.rto(kModern), milliseconds(200));
    take(rtt, milliseconds(-5), {}, 0, kModern);
    EXPECT_TRUE(rtt.has_sample());
    rtt.reset();
    EXPECT_FALSE(rtt.has_sample());
}

TEST(RttEstimator, RemembersTheLeastRoundTripForFiveMinutes) {
    RttEstimator rtt;
    const Instant start{};
    take(rtt, milliseconds(30), start, 1, kModern);
    take(rtt, milliseconds(20), start + seconds(10), 1, kModern);
    take(rtt, milliseconds(40), start + seconds(310), 1, kModern);
    EXPECT_EQ(rtt.min_rtt(), milliseconds(20));
    take(rtt, milliseconds(50), start + seconds(311), 1, kModern);
    EXPECT_EQ(rtt.min_rtt(), milliseconds(50)) << "the path may have become longer";
}

/// As Linux: the most that a flight deviated counts whole until the next one ends, and falls by a quarter with each.
TEST(RttEstimator, ADeviationIsForgottenByQuarters) {
    const TcpConfig config = profile_config(Profile::linux_like);
    RttEstimator rtt;
    const auto sample = [&](std::int64_t ms, std::uint64_t una, std::uint64_t nxt) {
        rtt.take({milliseconds(ms), {}, 1, Seq64{una}, Seq64{nxt}}, config);
    };
    sample(300, 1, 1);
    EXPECT_EQ(rtt.rto(config), milliseconds(900)) << "R + 4 * R / 2";
    sample(300, 1001, 2001);
    EXPECT_EQ(rtt.variation(), microseconds(112'500));
    EXPECT_EQ(rtt.rto(config), milliseconds(900)) << "a flight has ended: 600 was its most";
    sample(300, 1501, 2001);
    EXPECT_EQ(rtt.rto(config), milliseconds(900)) << "the next has not";
    sample(300, 2501, 3001);
    EXPECT_LT(rtt.rto(config), milliseconds(900));
    EXPECT_GT(rtt.rto(config), milliseconds(800));
    for (std::uint64_t i = 0; i < 60; ++i) {
        sample(300, 3501 + 500 * i, 4001 + 500 * i);
    }
    EXPECT_LT(rtt.rto(config), milliseconds(502));
    EXPECT_GE(rtt.rto(config), milliseconds(500)) << "the least timeout on top";
    sample(500, 100'000, 100'500);
    EXPECT_GT(rtt.rto(config), milliseconds(520)) << "and up at once";
}

RC_GTEST_PROP(RttEstimator, TheMeanLiesAmongTheSamplesAndTheTimeoutAboveIt,
              (const std::vector<std::uint32_t>& samples, std::uint16_t flight, bool literal)) {
    const TcpConfig config = literal ? kRfc : kModern;
    RttEstimator rtt;
    std::uint32_t least = 0xffff'ffff;
    std::uint32_t most = 0;
    for (const std::uint32_t sample : samples) {
        const std::uint32_t micros = sample % 10'000'000 + 1;
        least = std::min(least, micros);
        most = std::max(most, micros);
        take(rtt, microseconds(micros), {}, flight, config);
        RC_ASSERT(rtt.smoothed() >= microseconds(least) - nanoseconds(1));
        RC_ASSERT(rtt.smoothed() <= microseconds(most));
        RC_ASSERT(rtt.variation() >= Duration{});
        RC_ASSERT(rtt.variation() <= microseconds(most));
        RC_ASSERT(rtt.min_rtt() == microseconds(least));
        RC_ASSERT(rtt.rto(config) >= std::min(rtt.smoothed(), config.rto_max));
        RC_ASSERT(rtt.rto(config) >= config.rto_min);
        RC_ASSERT(rtt.rto(config) <= config.rto_max);
    }
}

}  // namespace
}  // namespace runnel::tcp
