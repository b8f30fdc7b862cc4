// Stories from a review of the user's side: buffers of odd sizes, calls after the end, urgent data, memory that
// runs out. RFC 9293 §3.9.1, §3.8.5, §3.8.6.
#include "story.hpp"

namespace runnel::story {
namespace {

class ReviewCalls : public Story {
public:
    bool woken() {
        std::vector<UserEvent> events;
        stack().take_events(events);
        return std::any_of(events.begin(), events.end(), [&](const UserEvent& e) {
            return !e.is_listener && e.handle == connection.packed();
        });
    }
    /// Takes the whole pool but for what is given back from the lists.
    void exhaust_pool() {
        while (ChunkRef chunk = pool_.allocate(kLargeChunk)) {
            large_.push_back(std::move(chunk));
        }
        while (ChunkRef chunk = pool_.allocate(kSmallChunk)) {
            small_.push_back(std::move(chunk));
        }
    }
    void free_pool() {
        large_.clear();
        small_.clear();
    }
    std::uint8_t ready() { return stack().readiness(connection).bits; }

    std::vector<ChunkRef> large_;
    std::vector<ChunkRef> small_;
};

TEST_F(ReviewCalls, AReceiveBufferOfOneOctet) {
    ConnectionOptions options;
    options.receive_buffer = 1;
    established(syn_ack(1).mss(1000), options);
    for (std::uint32_t i = 1; i < 5; ++i) {
        arrives(ack(i, 1).text("x"));
        EXPECT_LE(sent().size(), 1u);
        EXPECT_EQ(reads(), "x");
        EXPECT_LE(sent().size(), 1u);
    }
}

TEST_F(ReviewCalls, SegmentsOfTheLargestPathAreNotSmall) {
    path_mtu = 65'535;
    established(syn_ack(1).mss(65'495).wscale(10));
    arrives(ack(1, 1));
    writes(std::string(200'000, 'x'));
    std::uint32_t total = 0;
    for (const Sent& s : sent()) {
        total += s.length;
    }
    EXPECT_GE(total, 3u * 65'000u);  // Nagle holds only what is below the MSS
}

TEST_F(ReviewCalls, NoResetAfterTheOtherEndHasReset) {
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(10);
    options.keepalive_interval = seconds(1);
    options.keepalive_probes = 1;
    established(syn_ack(1).mss(1000), options);
    EXPECT_EQ(next_timeout().size(), 1u);
    now = stack().next_timeout();
    stack().on_timeout(now);  // gives up: a RST is due
    arrives(rst(1));
    sends_nothing();
    EXPECT_EQ(state(), State::closed);
}

TEST_F(ReviewCalls, ManyKeepAliveProbesEnd) {
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(10);
    options.keepalive_interval = seconds(1);
    options.keepalive_probes = 300;
    established(syn_ack(1).mss(1000), options);
    std::string last;
    for (int i = 0; i < 400 && state() == State::established; ++i) {
        for (const Sent& s : next_timeout()) {
            last = s.flags;
        }
    }
    EXPECT_EQ(last, "RA");
    EXPECT_EQ(state(), State::closed);
}

TEST_F(ReviewCalls, TheUsersPatienceEndsOnTimeInSynSent) {
    ConnectionOptions options;
    options.user_timeout = seconds(2);
    connects(options);
    (void)wait(milliseconds(2001));
    EXPECT_EQ(state(), State::closed);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

TEST_F(ReviewCalls, AWriterWhomThePoolTurnedAwayIsWoken) {
    established();
    (void)woken();
    exhaust_pool();
    EXPECT_EQ(writes("hello"), 0u);
    free_pool();
    (void)wait(seconds(1));
    EXPECT_TRUE(woken());
    EXPECT_EQ(writes("hello"), 5u);
}

TEST_F(ReviewCalls, ALargerSendBufferWakesTheWriter) {
    ConnectionOptions options;
    options.send_buffer = 3000;
    established(syn_ack(1).mss(1000).win(0), options);
    EXPECT_EQ(writes(std::string(4000, 'x')), 3000u);
    (void)woken();
    options.send_buffer = 100'000;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_TRUE(woken());
}

TEST_F(ReviewCalls, ASmallerSendBufferWakesTheWriterOnceThereIsRoom) {
    established();
    writes(std::string(3000, 'x'));
    (void)sent();
    (void)woken();
    ConnectionOptions options;
    options.send_buffer = 3000;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_EQ(ready() & Readiness::kWritable, 0);
    arrives(ack(1, 3001));
    EXPECT_TRUE(woken());
}

TEST_F(ReviewCalls, CloseTwiceIsOneClose) {
    config.max_orphans = 1;
    established();
    stack().close(connection, now);
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
    auto refused = stack().send(connection, as_bytes("x"), {}, now);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Errc::bad_descriptor);
    stack().abort(connection, now);  // a stale handle: nothing happens
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().flags, "A");
    // The count of orphans is right again: the next close is an orderly one.
    tuple.local.port = 1001;
    established();
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
}

TEST_F(ReviewCalls, DataOfWhichMemoryTookOnlyAPartWakesTheReader) {
    ConnectionOptions options;
    options.receive_buffer = 1 << 20;
    established(syn_ack(1).mss(1000).wscale(4), options);
    (void)woken();
    exhaust_pool();
    large_.pop_back();  // room for the segment itself, but not for a copy of its tail
    small_.clear();
    while (ChunkRef chunk = pool_.allocate(kSmallChunk)) {
        small_.push_back(std::move(chunk));
        if (small_.size() > 1 && pool_.limit() - pool_.bytes_in_use() < kLargeChunk + kSmallChunk) {
            small_.pop_back();
            break;
        }
    }
    const std::size_t spare = (pool_.limit() - pool_.bytes_in_use() - kLargeChunk) / kSmallChunk;
    ASSERT_GE(spare, 1u);
    ASSERT_LE(spare, 2u);
    if (spare == 2) {
        small_.push_back(pool_.allocate(kSmallChunk));
    }
    arrives(ack(1, 1).text(std::string(kLargeChunk + 10, 'x')));
    EXPECT_EQ(status().receive_queue, kLargeChunk);
    EXPECT_TRUE(woken());
    free_pool();
}

TEST_F(ReviewCalls, PeekAtTheMarkSkipsTheUrgentOctet) {
    accepted();
    arrives(ack(1, 1).text("abc").urg(1));
    EXPECT_EQ(stack().readable(connection), 2u);
    EXPECT_EQ(reads(10, {.peek = true}), "bc");
    EXPECT_EQ(reads(1, {.urgent = true}), "a");
    EXPECT_EQ(reads(), "bc");
}

// Proves: MUST-33
TEST_F(ReviewCalls, ReadableEndsAtTheMark) {
    accepted();
    arrives(ack(1, 1).text("abcd").urg(3));
    EXPECT_EQ(stack().readable(connection), 2u);
    EXPECT_EQ(reads(), "ab");
    EXPECT_EQ(stack().readable(connection), 1u);
    EXPECT_EQ(reads(), "d");
}

TEST_F(ReviewCalls, AnUrgentOctetAloneIsNotReadable) {
    accepted();
    arrives(ack(1, 1).text("a").urg(1));
    EXPECT_EQ(ready() & Readiness::kReadable, 0);
    EXPECT_NE(ready() & Readiness::kUrgent, 0);
}

TEST_F(ReviewCalls, UrgentDataThatNeverCameEndsWithTheStream) {
    accepted();
    arrives(ack(1, 1).text("ab").urg(10));
    arrives(fin(3, 1));
    EXPECT_EQ(reads(), "ab");
    EXPECT_EQ(reads(1, {.urgent = true}), "");
}

TEST_F(ReviewCalls, SlicesReadInlineClearTheMark) {
    ConnectionOptions options;
    options.urgent_inline = true;
    established(syn_ack(1).mss(1000), options);
    arrives(ack(1, 1).text("abc").urg(3));
    for (int i = 0; i < 3; ++i) {
        (void)stack().receive_slices(connection, 100, now);
    }
    EXPECT_EQ(ready() & Readiness::kUrgent, 0);
}

TEST_F(ReviewCalls, NothingIsNotUrgent) {
    ConnectionOptions options;
    options.cork = true;
    established(syn_ack(1).mss(1000), options);
    writes("ab");
    sends_nothing();
    writes("", {.urgent = true});
    EXPECT_EQ(next_timeout().front().flags, "PA");
}

// Proves: MUST-62
TEST_F(ReviewCalls, AnUrgentPointerCountsFromItsOwnSegment) {
    config.super_segments = true;
    established(syn_ack(1).mss(1000));
    writes(std::string(5000, 'x'), {.urgent = true});
    for (const Sent& s : sent()) {
        EXPECT_EQ(s.gso_size, 0);
    }
    IcmpReport report;
    report.tuple = tuple;
    report.quoted_seq = SeqNum{our_iss} + 1;
    report.packet_too_big = true;
    report.mtu = 540;
    EXPECT_TRUE(stack().on_icmp(report, now));
    const auto again = sent();
    ASSERT_FALSE(again.empty());
    for (const Sent& s : again) {
        EXPECT_EQ(s.gso_size, 0) << "pieces of a super-segment share one pointer";
        EXPECT_EQ(s.seq + s.urgent, 5001u);
    }
}

// Proves: MAY-18
TEST_F(ReviewCalls, WhatIsSentAndUnacknowledgedIsBounded) {
    config.congestion_control = CongestionControl::fixed;
    config.initial_window_segments = 1'000'000;
    ConnectionOptions options;
    options.no_delay = true;
    established(syn_ack(1).mss(1000).wscale(10), options);
    arrives(ack(1, 1));
    for (int i = 0; i < 70'000; ++i) {
        writes("x");
        (void)sent();
    }
    EXPECT_LE(status().segments_out, 65'536u);
    EXPECT_EQ(writes("x"), 1u);
    arrives(ack(1, 65'001));
    EXPECT_FALSE(sent().empty());
}

TEST_F(ReviewCalls, TheFirstTimeoutOfASynIsConfigured) {
    config.syn_rto = milliseconds(500);
    connects();
    const Instant then = now;
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ((now - then).millis(), 500);
}

}  // namespace
}  // namespace runnel::story
