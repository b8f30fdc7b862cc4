// NewReno in segments: slow start, congestion avoidance, loss, timeout and idleness (RFC 5681), and what the
// window of every controller that leaves recovery to PRR goes through.
#include "runnel/tcp/congestion/controller.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {
namespace {

AckSummary acked(std::uint32_t segments) {
    AckSummary summary;
    summary.segments_acked = segments;
    return summary;
}

/// FlightSize is what NewReno looks at.
PathView out(std::uint32_t segments) {
    PathView path;
    path.outstanding = segments;
    return path;
}

Controller new_reno(std::uint32_t window = 10) {
    TcpConfig config;
    config.congestion_control = CongestionControl::new_reno;
    config.initial_window_segments = window;
    return Controller(config);
}

void lose(Controller& controller, std::uint32_t outstanding) {
    controller.reduce(CongestionEvent::loss, out(outstanding));
    controller.finish_reduction();
}

TEST(NewReno, SlowStartStopsAtTheThreshold) {
    Controller reno = new_reno();
    EXPECT_TRUE(reno.in_slow_start());
    reno.on_ack(acked(3), {});
    EXPECT_EQ(reno.window(), 13u);
    lose(reno, 13);
    EXPECT_EQ(reno.threshold(), 6u);
    EXPECT_EQ(reno.window(), 6u);
    EXPECT_FALSE(reno.in_slow_start());
    reno.on_timeout(true, 1, out(9));
    EXPECT_EQ(reno.window(), 1u);
    EXPECT_EQ(reno.threshold(), 4u);
    reno.on_timeout(false, 1, out(1));
    EXPECT_EQ(reno.threshold(), 4u) << "once a loss";
    reno.on_ack(acked(2), {});
    EXPECT_EQ(reno.window(), 3u);
    // One segment to the threshold; the other four begin to count towards the next.
    reno.on_ack(acked(5), {});
    EXPECT_EQ(reno.window(), 5u) << "4 by slow start, 1 by a whole window acknowledged";
}

TEST(NewReno, OneSegmentAWindow) {
    Controller reno = new_reno();
    lose(reno, 8);
    EXPECT_EQ(reno.window(), 4u);
    reno.on_ack(acked(3), {});
    EXPECT_EQ(reno.window(), 4u);
    reno.on_ack(acked(1), {});
    EXPECT_EQ(reno.window(), 5u);
    reno.on_ack(acked(4), {});
    EXPECT_EQ(reno.window(), 5u);
    reno.on_ack(acked(2), {});
    EXPECT_EQ(reno.window(), 6u) << "what was beyond the window's worth is kept";
    reno.on_ack(acked(5), {});
    EXPECT_EQ(reno.window(), 7u);
    reno.on_ack(acked(0), {});
    EXPECT_EQ(reno.window(), 7u);
}

TEST(NewReno, TheThresholdIsTwoAtLeast) {
    Controller reno = new_reno();
    lose(reno, 1);
    EXPECT_EQ(reno.threshold(), 2u);
    reno.on_timeout(true, 1, out(5));
    EXPECT_EQ(reno.threshold(), 2u);
    reno.on_timeout(true, 1, out(6));
    EXPECT_EQ(reno.threshold(), 3u);
}

TEST(NewReno, AReductionCanBeUndone) {  // RFC 4015, RFC 3708
    Controller reno = new_reno(20);
    lose(reno, 20);
    EXPECT_EQ(reno.window(), 10u);
    EXPECT_EQ(reno.prior_window(), 20u);
    reno.undo();
    EXPECT_EQ(reno.window(), 20u);
    EXPECT_TRUE(reno.in_slow_start());
    EXPECT_EQ(reno.threshold(), kUnknownThreshold);
}

TEST(NewReno, IdlenessOnlyShrinks) {
    Controller reno = new_reno();
    reno.limit_window(20);
    EXPECT_EQ(reno.window(), 10u);
    reno.limit_window(4);
    EXPECT_EQ(reno.window(), 4u);
    EXPECT_EQ(reno.threshold(), kUnknownThreshold);
}

TEST(NewReno, TheWindowHasALimit) {
    Controller reno = new_reno(kMaxWindowSegments - 1);
    reno.on_ack(acked(10), {});
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
    lose(reno, 2 * kMaxWindowSegments);
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
    reno.on_ack(acked(kMaxWindowSegments), {});
    EXPECT_EQ(reno.window(), kMaxWindowSegments);
}

TEST(Controllers, AreChosenByName) {
    TcpConfig config;
    config.congestion_control = CongestionControl::fixed;
    EXPECT_STREQ(new_reno().name(), "reno");
    Controller fixed(config);
    EXPECT_STREQ(fixed.name(), "fixed");
    lose(fixed, 8);
    fixed.on_timeout(true, 1, out(8));
    fixed.set_window(1);
    fixed.on_ack(acked(100), {});
    fixed.limit_window(1);
    EXPECT_EQ(fixed.window(), 10u);
    EXPECT_EQ(fixed.threshold(), kUnknownThreshold);
}

TEST(Controllers, SleepAndWakeAsTheyWere) {
    TcpConfig config;
    for (const CongestionControl control :
         {CongestionControl::cubic, CongestionControl::new_reno, CongestionControl::fixed}) {
        config.congestion_control = CongestionControl::cubic;
        Controller controller(config);
        controller.use(control, config);
        controller.on_ack(acked(5), out(10));
        DormantController fresh;
        fresh.put_to_sleep(controller);
        EXPECT_EQ(fresh.awake(config).window(), controller.window());
        EXPECT_EQ(fresh.awake(config).threshold(), controller.threshold());
        EXPECT_EQ(fresh.awake(config).control(), control);
        lose(controller, 15);
        controller.on_ack(acked(1), out(10));
        DormantController lossy;
        lossy.put_to_sleep(controller);
        Controller awake = lossy.awake(config);
        EXPECT_EQ(awake.prior_window(), controller.prior_window());
        EXPECT_EQ(awake.control(), control);
        for (int i = 0; i < 30; ++i) {
            awake.on_ack(acked(3), out(10));
            controller.on_ack(acked(3), out(10));
            EXPECT_EQ(awake.window(), controller.window());
        }
    }
    EXPECT_LE(sizeof(DormantController), 24u);
}

/// In slow start a window of which more than half is in use may grow. One that is owned is no such: it is in use when it
/// has held something back (draft-ietf-ccwg-bbr §2.2, C.is_cwnd_limited).
TEST(Controllers, WhatLimitsAWindowThatIsOwned) {
    for (const auto& [kind, at_sixty, at_all] : {std::tuple{CongestionControl::cubic, true, true},
                                                 std::tuple{CongestionControl::bbr, false, true}}) {
        TcpConfig config;
        config.congestion_control = kind;
        config.initial_window_segments = 10;
        Tcb tcb(config);
        tcb.window_use.on_sent(Seq64{1}, Seq64{6001}, 6, false);
        EXPECT_EQ(tcb.path_view(config, Instant{}).window_limited, at_sixty);
        tcb.window_use.on_sent(Seq64{1}, Seq64{10'001}, 10, true);
        EXPECT_EQ(tcb.path_view(config, Instant{}).window_limited, at_all);
    }
}

}  // namespace
}  // namespace runnel::tcp
