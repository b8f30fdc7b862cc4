// HyStart++ by RFC 9406: into Conservative Slow Start when the round trip grows, back when it falls again, out
// of slow start after five rounds.
#include "runnel/tcp/congestion/hystart.hpp"

#include <gtest/gtest.h>

#include "runnel/tcp/congestion/cubic.hpp"

namespace runnel::tcp {
namespace {

/// Rounds of slow start: a window of segments is acknowledged one by one, then the next is sent.
struct Rounds {
    [[nodiscard]] PathView view() const {
        PathView path;
        path.now = now;
        path.una = una;
        path.nxt = nxt;
        path.window_limited = true;
        path.paced = paced;
        return path;
    }
    void ack(std::uint32_t segments, Duration rtt) {
        AckSummary summary;
        summary.segments_acked = segments;
        summary.rtt = rtt;
        una += segments;
        cubic.observe(window, summary, view());
        cubic.on_ack(window, summary, view());
        if (una >= round_end) {
            round_end = nxt;  // what this ACK lets out belongs to the round after
        }
        nxt = una + window.segments;
    }
    void acks(int count, Duration rtt) {
        for (int i = 0; i < count; ++i) {
            ack(1, rtt);
        }
    }
    /// Something sent `beyond` SND.UNA is sacked.
    void sack(std::uint64_t beyond, Duration rtt) {
        AckSummary summary;
        summary.delivered = 1;
        summary.rtt = rtt;
        summary.first_original = una + beyond;
        cubic.observe(window, summary, view());
    }
    /// Every ACK of one round has the same RTT.
    void round(Duration rtt) {
        const Seq64 end = round_end;
        while (una < end) {
            ack(1, rtt);
        }
    }

    Cubic cubic{true};
    CongestionWindow window;
    bool paced = false;
    Instant now{seconds(1).ns};
    Seq64 una{1000};
    Seq64 nxt{1010};
    Seq64 round_end{1010};
};

TEST(HyStart, DoublesWhileTheRoundTripStays) {
    Rounds path;
    path.round(milliseconds(40));
    EXPECT_EQ(path.window.segments, 20u);
    path.round(milliseconds(44));
    EXPECT_GE(path.window.segments, 38u) << "an eighth is 5 ms: not yet";
    EXPECT_FALSE(path.cubic.hystart().conservative());
    EXPECT_TRUE(path.window.in_slow_start());
}

TEST(HyStart, AnEighthMoreAndItIsConservative) {  // §4.2, MIN_RTT_DIVISOR
    Rounds path;
    path.round(milliseconds(40));
    path.acks(7, milliseconds(45));
    EXPECT_FALSE(path.cubic.hystart().conservative()) << "N_RTT_SAMPLE are eight";
    path.acks(1, milliseconds(45));
    EXPECT_TRUE(path.cubic.hystart().conservative());
    const std::uint32_t before = path.window.segments;
    path.acks(3, milliseconds(45));
    EXPECT_EQ(path.window.segments, before + 1) << "CSS_GROWTH_DIVISOR, with the ACK that began it";
}

TEST(HyStart, TheRiseIsBounded) {  // §4.2, MIN_RTT_THRESH and MAX_RTT_THRESH
    Rounds near;
    near.round(milliseconds(1));
    near.round(microseconds(4'900));
    EXPECT_FALSE(near.cubic.hystart().conservative()) << "4 ms at least";
    near.round(microseconds(8'900));  // 4 ms more than the round before
    EXPECT_TRUE(near.cubic.hystart().conservative());
    Rounds far;
    far.round(milliseconds(400));
    far.round(milliseconds(415));
    EXPECT_FALSE(far.cubic.hystart().conservative());
    far.round(milliseconds(431));
    EXPECT_TRUE(far.cubic.hystart().conservative()) << "16 ms at most";
}

TEST(HyStart, FiveRoundsAndSlowStartIsOver) {  // §4.2, CSS_ROUNDS
    Rounds path;
    path.round(milliseconds(40));
    path.round(milliseconds(50));
    ASSERT_TRUE(path.cubic.hystart().conservative());
    for (int i = 1; i < 4; ++i) {
        path.round(milliseconds(50));
        EXPECT_TRUE(path.window.in_slow_start());
    }
    EXPECT_EQ(path.window.threshold, kUnknownThreshold);
    path.round(milliseconds(50));
    EXPECT_FALSE(path.window.in_slow_start());
    EXPECT_LE(path.window.threshold, path.window.segments);
    EXPECT_GT(path.window.threshold, path.window.segments - 3);
}

TEST(HyStart, AFallingRoundTripStartsItAgain) {  // §4.2: it was jitter
    Rounds path;
    path.round(milliseconds(40));
    path.round(milliseconds(50));
    ASSERT_TRUE(path.cubic.hystart().conservative());
    path.round(milliseconds(41));
    EXPECT_FALSE(path.cubic.hystart().conservative());
    const std::uint32_t before = path.window.segments;
    path.round(milliseconds(41));
    EXPECT_GE(path.window.segments, 2 * before - 4);
}

TEST(HyStart, OnlyInTheFirstSlowStart) {  // §4.3
    Rounds path;
    path.round(milliseconds(40));
    path.window.threshold = 1000;
    for (int i = 0; i < 4; ++i) {
        path.round(milliseconds(60 + 20 * i));
    }
    EXPECT_FALSE(path.cubic.hystart().conservative());
    EXPECT_GE(path.window.segments, 280u);
}

TEST(HyStart, APauseBeginsTheRoundsAnew) {
    Rounds path;
    path.round(milliseconds(40));
    path.now = path.now + seconds(10);
    path.cubic.on_restart(path.window, path.now, seconds(10) + milliseconds(40));
    path.round(milliseconds(90));
    EXPECT_FALSE(path.cubic.hystart().conservative()) << "another path, perhaps";
}

TEST(HyStart, AnAckForAllThatWasOutIsNoPause) {
    Rounds path;
    path.round(milliseconds(40));
    path.cubic.on_restart(path.window, path.now, milliseconds(40));
    path.round(milliseconds(46));
    EXPECT_TRUE(path.cubic.hystart().conservative());
}

/// Paced: a window leaves over the whole round, so that the rise shows in its middle, not at its beginning.
struct Paced : Rounds {
    Paced() { paced = true; }
    /// A rise that eight late samples show: what had left by then ends before the number returned.
    Seq64 rise() {
        round(milliseconds(40));
        acks(7, milliseconds(46));
        const Seq64 sent = nxt;
        acks(1, milliseconds(46));
        return sent;
    }
};

TEST(HyStartPaced, ARiseWithinTheRoundCounts) {
    Paced path;
    path.round(milliseconds(40));
    path.acks(5, milliseconds(40));
    path.acks(7, milliseconds(46));
    EXPECT_FALSE(path.cubic.hystart().conservative());
    path.acks(1, milliseconds(46));
    EXPECT_TRUE(path.cubic.hystart().conservative());
    Rounds bursts;
    bursts.round(milliseconds(40));
    bursts.acks(5, milliseconds(40));
    bursts.acks(14, milliseconds(46));
    EXPECT_FALSE(bursts.cubic.hystart().conservative()) << "the RFC's least of the round";
}

TEST(HyStartPaced, EightInARow) {
    Paced path;
    path.round(milliseconds(40));
    path.acks(7, milliseconds(60));
    path.acks(1, milliseconds(44));
    path.acks(7, milliseconds(60));
    EXPECT_FALSE(path.cubic.hystart().conservative()) << "what was held back alone is no queue";
}

TEST(HyStartPaced, OverOnceWhatWasSentSinceIsAsLate) {
    Paced path;
    const Seq64 sent = path.rise();
    ASSERT_TRUE(path.cubic.hystart().conservative());
    const std::uint32_t before = path.window.segments;
    while (path.una < sent) {
        path.ack(1, milliseconds(46));
        ASSERT_TRUE(path.window.in_slow_start()) << "all this had left before";
    }
    EXPECT_GE(path.window.segments, before + before / 8 - 1);
    EXPECT_LE(path.window.segments, before + before / 8 + 1) << "CSS_GROWTH_DIVISOR";
    path.acks(7, milliseconds(50));
    EXPECT_TRUE(path.window.in_slow_start());
    path.acks(1, milliseconds(50));
    EXPECT_FALSE(path.window.in_slow_start());
    EXPECT_LE(path.window.threshold, path.window.segments);
}

TEST(HyStartPaced, WhatHadLeftBeforeTakesNothingBack) {
    Paced path;
    const Seq64 sent = path.rise();
    while (path.una < sent) {
        path.ack(1, milliseconds(40));  // the queue empties between two windows
    }
    EXPECT_TRUE(path.cubic.hystart().conservative());
    path.acks(7, milliseconds(40));
    EXPECT_TRUE(path.cubic.hystart().conservative());
    path.acks(1, milliseconds(40));
    EXPECT_FALSE(path.cubic.hystart().conservative()) << "but what followed does";
    EXPECT_TRUE(path.window.in_slow_start());
}

TEST(HyStartPaced, ARoundIsOverThoughAGapHoldsUpTheAcknowledgements) {
    Paced path;
    path.round(milliseconds(40));
    path.acks(8, milliseconds(40));
    const std::uint64_t next = path.round_end.value - path.una.value;
    path.sack(next - 1, milliseconds(40));
    path.sack(next,
              milliseconds(44));  // one of the next round arrives: this one is over, with 40 ms
    for (int i = 0; i < 8; ++i) {
        path.sack(next + 1, milliseconds(44));
    }
    const std::uint64_t after = path.nxt.value - path.una.value - 1;
    path.nxt += 10;
    path.sack(after, milliseconds(44));
    path.sack(after + 1, milliseconds(44));  // and that one, with 44 ms
    for (int i = 0; i < 8; ++i) {
        path.sack(after + 2, milliseconds(48));
    }
    EXPECT_FALSE(path.cubic.hystart().conservative()) << "an eighth more than 44 ms, not than 40";
    for (int i = 0; i < 8; ++i) {
        path.sack(after + 2, microseconds(49'600));
    }
    EXPECT_TRUE(path.cubic.hystart().conservative());
}

}  // namespace
}  // namespace runnel::tcp
