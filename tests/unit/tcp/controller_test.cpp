// NewReno in segments: slow start, congestion avoidance, loss, timeout and idleness (RFC 5681, RFC 6582).
#include "runnel/tcp/congestion/controller.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

AckSummary acked(std::uint32_t segments) {
    AckSummary summary;
    summary.segments_acked = segments;
    return summary;
}

TEST(NewReno, SlowStartStopsAtTheThreshold) {
    NewReno reno(10);
    EXPECT_TRUE(reno.in_slow_start());
    reno.on_ack(acked(3));
    EXPECT_EQ(reno.window(), 13u);
    reno.on_loss(13);
    EXPECT_EQ(reno.threshold(), 6u);
    EXPECT_EQ(reno.window(), 6u);
    EXPECT_FALSE(reno.in_slow_start());
    reno.on_timeout(9, true);
    EXPECT_EQ(reno.window(), 1u);
    EXPECT_EQ(reno.threshold(), 4u);
    reno.on_timeout(1, false);
    EXPECT_EQ(reno.threshold(), 4u) << "once a loss";
    reno.on_ack(acked(2));
    EXPECT_EQ(reno.window(), 3u);
    // One segment to the threshold; the other four begin to count towards the next.
    reno.on_ack(acked(5));
    EXPECT_EQ(reno.window(), 5u) << "4 by slow start, 1 by a whole window acknowledged";
}

TEST(NewReno, OneSegmentAWindow) {
    NewReno reno(10);
    reno.on_loss(8);
    EXPECT_EQ(reno.window(), 4u);
    reno.on_ack(acked(3));
    EXPECT_EQ(reno.window(), 4u);
    reno.on_ack(acked(1));
    EXPECT_EQ(reno.window(), 5u);
    reno.on_ack(acked(4));
    EXPECT_EQ(reno.window(), 5u);
    reno.on_ack(acked(2));
    EXPECT_EQ(reno.window(), 6u) << "what was beyond the window's worth is kept";
    reno.on_ack(acked(5));
    EXPECT_EQ(reno.window(), 7u);
    reno.on_ack(acked(0));
    EXPECT_EQ(reno.window(), 7u);
}

TEST(NewReno, TheThresholdIsTwoAtLeast) {
    NewReno reno(10);
    reno.on_loss(1);
    EXPECT_EQ(reno.threshold(), 2u);
    reno.on_timeout(5, true);
    EXPECT_EQ(reno.threshold(), 2u);
    reno.on_timeout(6, true);
    EXPECT_EQ(reno.threshold(), 3u);
}

TEST(NewReno, NoBurstAfterRecovery) {
    NewReno reno(10);
    reno.on_loss(20);
    reno.on_recovered(0);
    EXPECT_EQ(reno.window(), 2u);
    reno.on_loss(20);
    reno.on_recovered(5);
    EXPECT_EQ(reno.window(), 6u);
    reno.on_loss(20);
    reno.on_recovered(15);
    EXPECT_EQ(reno.window(), 10u) << "no more than the threshold";
}

TEST(NewReno, IdlenessOnlyShrinks) {
    NewReno reno(10);
    reno.on_idle(20);
    EXPECT_EQ(reno.window(), 10u);
    reno.on_idle(4);
    EXPECT_EQ(reno.window(), 4u);
    EXPECT_EQ(reno.threshold(), kUnknownThreshold);
}

TEST(NewReno, TheWindowHasALimit) {
    NewReno reno(kMaxWindowSegments - 1);
    reno.on_ack(acked(10));
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
    reno.on_loss(2 * kMaxWindowSegments);
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
    reno.on_ack(acked(kMaxWindowSegments));
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
}

TEST(Controllers, AreChosenByName) {
    TcpConfig config;
    Controller reno(config);
    EXPECT_STREQ(reno.name(), "newreno");
    reno.on_loss(8);
    EXPECT_EQ(reno.window(), 4u);
    EXPECT_EQ(reno.threshold(), 4u);
    EXPECT_FALSE(reno.in_slow_start());
    reno.on_ack(acked(4));
    EXPECT_EQ(reno.window(), 5u);
    reno.on_recovered(1);
    EXPECT_EQ(reno.window(), 2u);
    reno.on_timeout(8, true);
    EXPECT_EQ(reno.window(), 1u);
    EXPECT_TRUE(reno.in_slow_start());
    config.congestion_control = CongestionControl::fixed;
    Controller fixed(config);
    EXPECT_STREQ(fixed.name(), "fixed");
    fixed.on_loss(8);
    fixed.on_timeout(8, true);
    fixed.on_recovered(1);
    fixed.on_ack(acked(100));
    fixed.on_idle(1);
    EXPECT_EQ(fixed.window(), 10u);
    EXPECT_EQ(fixed.threshold(), kUnknownThreshold);
    EXPECT_FALSE(fixed.in_slow_start());
}

}  // namespace
}  // namespace runnel::tcp
