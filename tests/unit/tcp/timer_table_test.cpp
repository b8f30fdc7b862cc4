// The deadlines of a connection: the earliest, and ties.
#include "runnel/tcp/timers/timer_table.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

TEST(TimerTable, StartsWithNothingArmed) {
    const TimerTable timers;
    EXPECT_TRUE(timers.earliest().is_never());
    EXPECT_EQ(timers.earliest_timer(), Timer::count_);
    for (int i = 0; i < static_cast<int>(Timer::time_wait); ++i) {
        EXPECT_FALSE(timers.armed(static_cast<Timer>(i)));
        EXPECT_FALSE(timers.due(static_cast<Timer>(i), Instant{1'000'000}));
    }
}

TEST(TimerTable, KnowsTheEarliest) {
    TimerTable timers;
    timers.arm(Timer::keepalive, {300});
    timers.arm(Timer::retransmit, {200});
    timers.arm(Timer::fin_wait_2, {400});
    EXPECT_EQ(timers.earliest_timer(), Timer::retransmit);
    EXPECT_EQ(timers.earliest(), Instant{200});
    timers.arm(Timer::retransmit, {350});
    EXPECT_EQ(timers.earliest_timer(), Timer::keepalive);
    timers.cancel(Timer::keepalive);
    EXPECT_FALSE(timers.armed(Timer::keepalive));
    EXPECT_EQ(timers.earliest(), Instant{350});
    EXPECT_EQ(timers.deadline(Timer::fin_wait_2), Instant{400});
    timers.arm(Timer::retransmit, Instant::never());
    EXPECT_EQ(timers.earliest_timer(), Timer::fin_wait_2);
    timers.cancel_all();
    EXPECT_TRUE(timers.earliest().is_never());
}

TEST(TimerTable, OfEqualDeadlinesTheFirstInTheEnumCounts) {
    TimerTable timers;
    timers.arm(Timer::fin_wait_2, {100});
    timers.arm(Timer::delayed_ack, {100});
    EXPECT_EQ(timers.earliest_timer(), Timer::delayed_ack);
    EXPECT_TRUE(timers.due(Timer::delayed_ack, {100}));
    EXPECT_FALSE(timers.due(Timer::delayed_ack, {99}));
}

TEST(TimerTable, TakesDeadlinesBeforeTheEpoch) {
    TimerTable timers;
    timers.arm(Timer::persist, {-5});
    timers.arm(Timer::keepalive, {0});
    EXPECT_EQ(timers.earliest(), Instant{-5});
}

TEST(TimerTableDeathTest, HasNoPlaceForTimeWait) {
    TimerTable timers;
    EXPECT_DEATH(timers.arm(Timer::time_wait, {1}), "");
}

}  // namespace
}  // namespace runnel::tcp
