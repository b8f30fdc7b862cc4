// CUBIC by RFC 9438: the curve, Reno-friendliness, the response to loss and timeouts, undo, idle time; and the
// average windows of the RFC's tables.
#include "runnel/tcp/congestion/cubic.hpp"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

namespace runnel::tcp {
namespace {

/// A path on which nothing is lost but when the test says so: one ACK for each segment, spread over the round
/// trip.
struct Path {
    explicit Path(std::uint32_t segments, Duration round_trip, bool hystart = false)
        : cubic(hystart), rtt(round_trip) {
        window.segments = segments;
    }

    [[nodiscard]] PathView view() const {
        PathView path;
        path.now = now;
        path.min_rtt = rtt;
        path.smoothed_rtt = rtt;
        path.outstanding = window.segments;
        path.window_limited = true;
        return path;
    }
    void ack(std::uint32_t segments) {
        AckSummary summary;
        summary.segments_acked = segments;
        summary.rtt = rtt + queue;
        cubic.observe(window, summary, view());
        cubic.on_ack(window, summary, view());
    }
    void lose() {
        window.threshold = cubic.threshold_after(CongestionEvent::loss, window, view());
        window.credit = 0;
        window.segments = window.threshold;
    }
    void time_out() {
        window.threshold = cubic.threshold_after(CongestionEvent::timeout, window, view());
        cubic.on_timeout(window, 1, view());
        window.credit = 0;
        window.segments = 1;
    }
    /// So many round trips of full windows, `each` segments an ACK.
    void run(Duration time, std::uint32_t each = 1) {
        const Instant end = now + time;
        while (now < end) {
            now = now + Duration{rtt.ns * each / window.segments};
            ack(each);
        }
    }

    Cubic cubic;
    CongestionWindow window;
    Duration rtt;
    Duration queue = {};
    Instant now{seconds(1000).ns};
};

TEST(Cubic, CubeRootIsTheIntegerOne) {
    EXPECT_EQ(cube_root(0), 0u);
    EXPECT_EQ(cube_root(1), 1u);
    EXPECT_EQ(cube_root(7), 1u);
    EXPECT_EQ(cube_root(8), 2u);
    EXPECT_EQ(cube_root(999'999), 99u);
    EXPECT_EQ(cube_root(1'000'000), 100u);
    EXPECT_EQ(cube_root(~std::uint64_t{0}), 2'642'245u);
}

RC_GTEST_PROP(Cubic, CubeRootBrackets, (std::uint64_t n)) {
    const std::uint64_t root = cube_root(n);
    RC_ASSERT(root * root * root <= n);
    if (root < 2'642'245) {
        RC_ASSERT((root + 1) * (root + 1) * (root + 1) > n);
    }
}

TEST(Cubic, ALossLeavesSevenTenths) {  // RFC 9438 §4.6
    Path path(1000, milliseconds(100));
    path.window.threshold = 1000;
    path.lose();
    EXPECT_EQ(path.window.threshold, 700u);
    EXPECT_EQ(path.cubic.w_max(), 1000u);
    path.window.segments = 2;
    path.lose();
    EXPECT_EQ(path.window.threshold, 2u) << "2 segments at least";
}

TEST(Cubic, ThePlateauIsWhereTheLossWas) {  // RFC 9438 §4.2, equations 1 and 2
    Path path(1000, milliseconds(100));
    path.window.threshold = 1000;
    path.lose();
    path.ack(1);
    // K = cbrt((1000 - 700) / 0.4) = 9.086 s
    EXPECT_NEAR(path.cubic.k() / 1024.0, 9.086, 0.01);
    path.run(seconds(3));
    // W(3 s) = 0.4 (3 - 9.086)^3 + 1000 = 909.8, and a round trip of growth is aimed at
    EXPECT_NEAR(path.window.segments, 910, 5);
    path.run(seconds(6));
    EXPECT_NEAR(path.window.segments, 1000, 3);
    path.run(seconds(3));
    EXPECT_NEAR(path.window.segments, 1000, 12) << "the plateau";
    path.run(seconds(6));
    // W(18 s) = 0.4 (18 - 9.086)^3 + 1000 = 1283
    EXPECT_NEAR(path.window.segments, 1283, 15) << "and beyond it the convex part";
}

TEST(Cubic, StretchedAcksGrowItAsFast) {
    Path one(500, milliseconds(50));
    Path many(500, milliseconds(50));
    for (Path* path : {&one, &many}) {
        path->window.threshold = 500;
        path->lose();
    }
    one.run(seconds(9), 1);
    many.run(seconds(9), 44);
    EXPECT_NEAR(one.window.segments, many.window.segments, 10);
}

TEST(Cubic, FastConvergenceMakesRoom) {  // RFC 9438 §4.7
    Path path(1000, milliseconds(100));
    path.window.threshold = 1000;
    path.lose();
    path.run(seconds(1));
    ASSERT_LT(path.window.segments, 1000u);
    const std::uint32_t at = path.window.segments;
    path.lose();
    EXPECT_EQ(path.cubic.w_max(), at * (1024 + 717) / 2048);
    path.run(seconds(30));
    ASSERT_GT(path.window.segments, at);
    const std::uint32_t higher = path.window.segments;
    path.lose();
    EXPECT_EQ(path.cubic.w_max(), higher) << "it came back: the whole window";
}

TEST(Cubic, NeverFasterThanAHalfARoundTrip) {  // RFC 9438 §4.2: target at most 1.5 cwnd
    Path path(10, milliseconds(100));
    path.window.threshold = 10;
    path.ack(1);
    path.now = path.now + seconds(300);  // far out on the curve
    const std::uint32_t before = path.window.segments;
    path.ack(before);
    EXPECT_EQ(path.cubic.count(), 2u);
    EXPECT_LE(path.window.segments, before + before / 2 + 1);
}

TEST(Cubic, ShortPathsAreRenos) {  // RFC 9438 §4.3
    Path path(40, milliseconds(10));
    path.window.threshold = 40;
    path.lose();
    EXPECT_EQ(path.window.segments, 28u);
    // 12 segments to win back at 8/15 a round trip, 22.5 round trips and a few behind that; the curve alone would need 3.1 s.
    path.run(milliseconds(10 * 26));
    EXPECT_NEAR(path.window.segments, 40, 2);
    // From cwnd_prior on one a round trip, as Reno.
    const std::uint32_t before = path.window.segments;
    path.run(milliseconds(10 * 20));
    EXPECT_NEAR(path.window.segments, before + 20, 2);
}

TEST(Cubic, BeforeTheFirstLossFivePercentARoundTrip) {
    Path path(200, milliseconds(20));
    path.window.threshold = 200;
    path.run(milliseconds(20));
    EXPECT_NEAR(path.window.segments, 210, 2);
}

TEST(Cubic, BeforeTheFirstLossTheCurveAloneWhereAQueueStands) {  // RFC 9438 §4.10
    Path path(200, milliseconds(80));
    path.window.threshold = 200;
    path.queue = milliseconds(10);
    path.run(milliseconds(240));
    EXPECT_NEAR(path.window.segments, 202, 2);
    path.queue = milliseconds(9);  // less than an eighth
    path.run(milliseconds(80));
    EXPECT_GE(path.window.segments, 209u) << "the line is not full: slow start was left too early";
}

TEST(Cubic, SlowStartLeavesAThresholdOfTwoAtLeast) {  // RFC 5681 §3.1, as after a loss
    Path path(1, milliseconds(80), true);
    const std::uint32_t unknown = path.window.threshold;
    for (std::uint64_t i = 1; i < 100 && path.window.threshold == unknown; ++i) {
        if (i < 20) {  // others fill it, a sixth more each round trip
            path.queue = path.queue + Duration{(path.rtt + path.queue).ns / 6};
        }
        PathView view = path.view();
        view.paced = true;
        view.una = {i * 1000};
        view.nxt = {(i + 1) * 1000};
        AckSummary summary;
        summary.rtt = path.rtt + path.queue;
        path.cubic.observe(path.window, summary, view);
    }
    EXPECT_EQ(path.window.threshold, 2u);
}

TEST(Cubic, ATimeoutForgetsTheCurve) {  // RFC 9438 §4.8
    Path path(100, milliseconds(100));
    path.window.threshold = 100;
    path.time_out();
    EXPECT_EQ(path.window.threshold, 70u);
    EXPECT_EQ(path.cubic.w_max(), 0u);
    while (path.window.in_slow_start()) {
        path.now = path.now + milliseconds(1);
        path.ack(1);
    }
    path.ack(1);
    EXPECT_EQ(path.cubic.k(), 0u) << "the curve starts at its plateau";
    EXPECT_EQ(path.cubic.w_est(), 70u);
}

TEST(Cubic, UndoRestoresTheCurve) {  // RFC 9438 §4.9.2
    Path path(1000, milliseconds(100));
    path.window.threshold = 1000;
    path.lose();
    path.run(seconds(5));
    const std::uint32_t k = path.cubic.k();
    const std::uint32_t w_est = path.cubic.w_est();
    const std::uint32_t before = path.window.segments;
    path.lose();
    EXPECT_NE(path.cubic.w_max(), 1000u);
    path.window.segments = before;
    path.cubic.on_undo(path.window, true);
    EXPECT_EQ(path.cubic.w_max(), 1000u);
    EXPECT_EQ(path.cubic.k(), k);
    EXPECT_EQ(path.cubic.w_est(), w_est);
    path.lose();
    path.cubic.on_timeout(path.window, 1, path.view());
    path.cubic.on_undo(path.window, true);
    EXPECT_EQ(path.cubic.w_max(), 1000u) << "also after a timeout";
    path.lose();
    path.cubic.on_undo(path.window, false);
    EXPECT_NE(path.cubic.w_max(), 1000u) << "too late: it has grown beyond where it was";
}

TEST(Cubic, IdleTimeIsNoTimeOfTheCurve) {  // RFC 9438 §5.8
    Path idle(1000, milliseconds(100));
    Path busy(1000, milliseconds(100));
    for (Path* path : {&idle, &busy}) {
        path->window.threshold = 1000;
        path->lose();
        path->run(seconds(2));
    }
    idle.now = idle.now + seconds(60);
    idle.cubic.on_restart(idle.window, idle.now, seconds(60));
    idle.run(seconds(1));
    busy.run(seconds(1));
    EXPECT_NEAR(idle.window.segments, busy.window.segments, 3);
    // Idle for longer than the curve has run: it begins now.
    idle.cubic.on_restart(idle.window, idle.now, seconds(100));
    const std::uint32_t before = idle.window.segments;
    idle.run(milliseconds(100));
    EXPECT_LT(idle.window.segments, before + 60);
}

TEST(Cubic, TimeWithLittleToSendIsNoTimeOfTheCurve) {
    Path path(1000, milliseconds(100));
    path.window.threshold = 1000;
    path.lose();
    path.run(seconds(2));
    const std::uint32_t before = path.window.segments;
    for (int i = 0; i < 600; ++i) {
        path.now = path.now + milliseconds(100);
        PathView view = path.view();
        view.app_limited = true;
        view.window_limited = false;
        path.cubic.observe(path.window, {}, view);
    }
    path.run(milliseconds(200));
    EXPECT_LT(path.window.segments, before + 30);
}

/// Average window where every 1/p-th segment is lost (RFC 9438 §5.1).
double average_window(std::uint32_t one_in, Duration rtt) {
    Path path(50, rtt);
    path.window.threshold = 50;
    double sum = 0;
    std::uint64_t count = 0;
    for (int loss = 0; loss < 40; ++loss) {
        const Instant start = path.now;
        for (std::uint32_t sent = 0; sent < one_in; ++sent) {
            path.now = path.now + Duration{rtt.ns / path.window.segments};
            path.ack(1);
        }
        path.lose();
        if (loss >= 34) {
            sum += static_cast<double>((path.now - start).ns) / static_cast<double>(rtt.ns);
            count += one_in;
        }
    }
    return static_cast<double>(count) / sum;
}

TEST(Cubic, TheAveragesOfTheTables) {  // RFC 9438 §5.1, tables 1 and 2, C = 0.4
    // In whole segments the plateau is wide: losses a second before its middle find the same window. So that up to
    // a quarter more than the table's is a stable cycle too.
    const auto matches = [](std::uint32_t one_in, std::int64_t millis, double table) {
        const double average = average_window(one_in, milliseconds(millis));
        EXPECT_GT(average, 0.93 * table) << one_in << " " << millis;
        EXPECT_LT(average, 1.25 * table) << one_in << " " << millis;
    };
    matches(100, 100, 12);
    matches(1'000, 100, 38);
    matches(10'000, 100, 187);
    matches(100'000, 100, 1054);
    matches(1'000, 10, 38);
    matches(10'000, 10, 120);
}

}  // namespace
}  // namespace runnel::tcp
