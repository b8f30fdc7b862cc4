// What is counted for observers (TCP_INFO): deliveries, reordering, duplicates, and what the time went to.
#include "story.hpp"

namespace runnel::story {
namespace {

using TelemetryStory = Story;

TEST_F(TelemetryStory, ADeliveryCountsOnceByAckOrSack) {
    established(syn_ack(1).mss(1000).sack_ok());
    EXPECT_EQ(status().delivered, 1u) << "the SYN";
    writes(std::string(4000, 'x'));
    (void)sent();
    EXPECT_EQ(status().data_segments_sent, 4u) << "a super-segment counts all its segments";
    EXPECT_EQ(status().segments_sent, 6u);
    arrives(ack(1, 1).sack(2001, 3001));
    EXPECT_EQ(status().delivered, 2u);
    arrives(ack(1, 3001));
    EXPECT_EQ(status().delivered, 4u);
    EXPECT_EQ(status().segments_received, 3u);
    arrives(ack(1, 4001));
    EXPECT_EQ(status().delivered, 5u);
}

TEST_F(TelemetryStory, WhatFillsAHoleLateWasReordered) {
    config.super_segments = false;
    established(syn_ack(1).mss(1000).sack_ok());
    writes(std::string(6000, 'x'));
    EXPECT_EQ(sent().size(), 6u);
    EXPECT_EQ(status().reordering, 3u);
    arrives(ack(1, 1).sack(5001, 6001));
    EXPECT_EQ(status().reorderings, 0u);
    arrives(ack(1, 1).sack(1001, 2001).sack(5001, 6001));  // five segments below the highest
    EXPECT_EQ(status().reorderings, 1u);
    EXPECT_EQ(status().reordering, 5u);
    arrives(ack(1, 2001).sack(5001, 6001));  // and the first of all
    EXPECT_EQ(status().reorderings, 2u);
    EXPECT_EQ(status().reordering, 6u);
}

TEST_F(TelemetryStory, ARetransmissionThatArrivesIsNoReordering) {
    config.super_segments = false;
    established(syn_ack(1).mss(1000).sack_ok());
    writes(std::string(5000, 'x'));
    (void)sent();
    arrives(ack(1, 1).sack(1001, 5001));
    EXPECT_EQ(sent_one().reason, Decision::tcp_retransmit_fast);
    EXPECT_EQ(status().total_retransmissions, 1u);
    arrives(ack(1, 5001));
    EXPECT_EQ(status().reorderings, 0u);
    EXPECT_EQ(status().reordering, 3u);
    arrives(ack(1, 5001).sack(1, 2001));  // D-SACK: two segments came twice
    EXPECT_EQ(status().duplicates_reported, 2u) << "looked at though nothing is out any more";
    writes("y");
    (void)sent();
    arrives(ack(1, 5001).sack(1, 2001));
    EXPECT_EQ(status().duplicates_reported, 4u);
}

TEST_F(TelemetryStory, WhatArrivesBeyondAGapIsCounted) {
    established();
    arrives(ack(11, 1).text("late"));
    EXPECT_EQ(status().out_of_order_received, 1u);
    arrives(ack(1, 1).text("0123456789"));
    EXPECT_EQ(status().out_of_order_received, 1u);
    EXPECT_EQ(status().data_segments_received, 2u);
}

TEST_F(TelemetryStory, TheTimeGoesToTheNetworkTheWindowOrTheWriter) {
    ConnectionOptions options;
    options.send_buffer = 5000;
    established(syn_ack(1).mss(1000), options);
    pass(seconds(1));
    EXPECT_EQ(status().busy_kind, BusyKind::idle);
    writes("x");
    (void)sent();
    pass(milliseconds(30));
    arrives(ack(1, 2).win(0));
    (void)sent();
    EXPECT_EQ(status().spent.busy, milliseconds(30));
    writes("yy");  // the window is closed
    (void)sent();
    EXPECT_EQ(status().busy_kind, BusyKind::window);
    pass(milliseconds(70));
    arrives(ack(1, 2).win(65'535));
    (void)sent();
    pass(milliseconds(10));
    arrives(ack(1, 4));
    (void)sent();
    EXPECT_EQ(status().spent.busy, milliseconds(110));
    EXPECT_EQ(status().spent.window_limited, milliseconds(70));
    EXPECT_EQ(status().spent.buffer_limited, Duration{});
    EXPECT_EQ(writes(std::string(9000, 'z')), 5000u);  // all of it goes out, more would
    (void)sent();
    EXPECT_EQ(status().busy_kind, BusyKind::buffer);
    pass(milliseconds(20));
    arrives(ack(1, 5004));
    (void)sent();
    EXPECT_EQ(status().spent.buffer_limited, milliseconds(20));
    EXPECT_EQ(status().spent.busy, milliseconds(130));
    EXPECT_EQ(status().busy_kind, BusyKind::idle);
}

TEST_F(TelemetryStory, SleepForgetsNoneOfIt) {
    established(syn_ack(1).mss(1000).sack_ok());
    writes(std::string(5000, 'x'));
    (void)sent();
    pass(milliseconds(5));
    arrives(ack(1, 1).sack(1001, 5001));
    (void)sent();
    arrives(ack(11, 5001).text("late"));
    arrives(ack(1, 5001).text("0123456789"));
    (void)sent();
    EXPECT_EQ(reads(), "0123456789late");
    const ConnectionStatus before = status();
    EXPECT_EQ(before.total_retransmissions, 1u);
    std::vector<UserEvent> told;
    stack().take_events(told);
    (void)wait(seconds(10));
    ASSERT_EQ(stack().sizes().awake, 0u);
    const ConnectionStatus after = status();
    EXPECT_EQ(after.delivered, before.delivered);
    EXPECT_EQ(after.total_retransmissions, 1u);
    EXPECT_EQ(after.bytes_retransmitted, 1000u);
    EXPECT_EQ(after.out_of_order_received, 1u);
    EXPECT_EQ(after.data_segments_sent, before.data_segments_sent);
    EXPECT_EQ(after.data_segments_received, 2u);
    EXPECT_EQ(after.spent.busy, milliseconds(5));
    EXPECT_EQ(after.last_data_received, before.last_data_received);
}

}  // namespace
}  // namespace runnel::story
