// Spreading what leaves over time: the rate holds though timers come late, and no burst makes up for it.
#include "runnel/tcp/recovery/pacer.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace runnel::tcp {
namespace {

constexpr std::uint64_t kRate = 12'500'000;  ///< octets a second
constexpr std::uint64_t kSize = 1250;        ///< 100 us each
constexpr Instant kBegin{seconds(5).ns};

/// Sends for `time`, whenever the pacer lets it, but where the timer comes late; the most at one instant, and all.
struct Sent {
    std::uint64_t all = 0;
    std::uint64_t burst = 0;
};
template <typename Late>
Sent run(Pacer& pacer, Duration time, Late late) {
    Sent sent;
    Instant now = kBegin;
    while (now < kBegin + time) {
        std::uint64_t here = 0;
        while (pacer.next() <= now) {
            pacer.on_sent(kSize, now);
            here += kSize;
        }
        sent.all += here;
        sent.burst = std::max(sent.burst, here);
        now = pacer.next() + late(now);
        pacer.on_due(now);
    }
    return sent;
}

TEST(Pacer, HoldsTheRate) {
    Pacer pacer;
    pacer.set_rate(kRate);
    const Sent sent = run(pacer, seconds(1), [](Instant) { return Duration{}; });
    EXPECT_GE(sent.all, kRate);
    EXPECT_LE(sent.all, kRate + 10 * kSize);
}

TEST(Pacer, ATimerThatComesALittleLateLosesNothing) {
    Pacer pacer;
    pacer.set_rate(kRate);
    const Sent sent = run(pacer, seconds(1), [](Instant) { return microseconds(400); });
    EXPECT_GE(sent.all, kRate * 99 / 100);
    EXPECT_LE(sent.burst, kRate / 1000) << "a millisecond's";
}

TEST(Pacer, ATimerThatComesMuchTooLateIsMadeUpForWithoutABurst) {
    Pacer pacer;
    pacer.set_rate(kRate);
    int turn = 0;
    const Sent sent = run(pacer, seconds(1), [&](Instant) {
        return ++turn % 200 == 0 ? milliseconds(3) : Duration{};
    });
    EXPECT_GE(sent.all, kRate * 99 / 100) << "without it were 13 % less";
    EXPECT_LE(sent.all, kRate * 101 / 100);
    EXPECT_LE(sent.burst, kRate / 1000);
}

TEST(Pacer, WhatIsOwedHasABound) {
    Pacer pacer;
    pacer.set_rate(kRate);
    pacer.on_sent(kSize, kBegin);
    const Instant later = kBegin + seconds(3);
    pacer.on_due(later);
    Instant now = later;
    std::uint64_t sent = 0;
    while (now < later + seconds(1)) {
        now = std::max(now, pacer.next());
        pacer.on_sent(kSize, now);
        sent += kSize;
    }
    const std::uint64_t owed = kRate / 100;
    EXPECT_LE(sent, kRate + owed + kRate / 1000);
    EXPECT_GE(sent, kRate + owed - kRate / 1000);
}

TEST(Pacer, NothingIsOwedAfterARest) {
    Pacer pacer;
    pacer.set_rate(kRate);
    pacer.on_sent(kSize, kBegin);
    pacer.on_due(kBegin + milliseconds(9));
    pacer.rest();
    pacer.on_sent(kSize, kBegin + milliseconds(9));
    const Instant first = pacer.next();
    pacer.on_sent(kSize, first);
    EXPECT_EQ(pacer.next() - first, microseconds(100));
}

}  // namespace
}  // namespace runnel::tcp
