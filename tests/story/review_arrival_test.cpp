// Stories from a review of SEGMENT ARRIVES, recovery and the timers: RFC 9293 §3.10.7, RFC 2883, RFC 5681,
// RFC 6298, RFC 7323.
#include "story.hpp"

namespace runnel::story {
namespace {

class ReviewArrival : public Story {
public:
    static std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks(const Sent& s) {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
        for (const SackBlock& b : s.options.sack) {
            all.emplace_back(b.left.value - kPeerIss, b.right.value - kPeerIss);
        }
        return all;
    }
    using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
};

TEST_F(ReviewArrival, ASynAckSentAgainTakesNoWindowBack) {
    ConnectionOptions options;
    options.receive_buffer = 1 << 20;
    connects(options);
    arrives(syn().mss(1000).wscale(4));  // simultaneous open
    EXPECT_EQ(sent_one().flags, "SA");
    arrives(ack(3'000'000, 1));  // far out of the window: an ACK with a scaled window answers it
    EXPECT_EQ(sent_one().flags, "A");
    const std::uint64_t promised = status().rcv_wnd;
    EXPECT_GT(promised, 65'535u);
    EXPECT_EQ(next_timeout().front().flags, "SA");
    EXPECT_GE(status().rcv_wnd, promised);
}

// Proves: MUST-34, MUST-35, MUST-37, SHLD-17
TEST_F(ReviewArrival, AShrunkWindowKeepsTheConnectionAsLongAsThePeerAnswers) {
    established();  // RFC 9293 §3.8.6.1, MUST-37
    writes(std::string(1000, 'x'));
    (void)sent();
    arrives(ack(1, 1).win(0));
    const Instant begin = now;
    while (now - begin < seconds(3600) && state() == State::established) {
        if (!next_timeout().empty()) {
            arrives(ack(1, 1).win(0));
        }
    }
    EXPECT_EQ(state(), State::established);
    // And once it no longer answers, patience ends.
    for (int i = 0; i < 40 && state() == State::established; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(state(), State::closed);
}

// Proves: MUST-18, 6298-M3
TEST_F(ReviewArrival, TheBackoffStaysUntilThereIsANewSample) {
    established();  // RFC 6298 §5.7: an ACK of what was sent twice is no measurement
    writes(std::string(1000, 'x'));
    (void)sent();
    Instant then = now;
    ASSERT_EQ(next_timeout().size(), 1u);
    const Duration first = now - then;
    arrives(ack(1, 1001));
    writes(std::string(1000, 'y'));
    ASSERT_EQ(sent().size(), 1u);
    then = now;
    ASSERT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ((now - then).ns, 2 * first.ns);
    arrives(ack(1, 2001));
    writes(std::string(1000, 'z'));
    ASSERT_EQ(sent().size(), 1u);
    arrives(ack(1, 3001));  // sent once: a sample
    EXPECT_EQ(status().backoff, 0u);
}

TEST_F(ReviewArrival, DuplicatesAfterATimeoutLetNothingOut) {
    established();  // RFC 6582 §4: they are about what the timeout sends again anyway
    writes(std::string(8000, 'x'));
    (void)sent();
    EXPECT_EQ(next_timeout().size(), 1u);
    for (int i = 0; i < 4; ++i) {
        arrives(ack(1, 1));
        sends_nothing();
    }
}

TEST_F(ReviewArrival, WhatPawsDropsIsNotReportedAsHeld) {
    config.timestamps = true;
    established(syn_ack(1).mss(1000).sack_ok().ts(1000, 0));
    arrives(ack(1, 1).text("abc").ts(2000, 0));
    (void)wait(seconds(1));
    arrives(ack(4, 1).text("xyz").ts(500, 0));
    EXPECT_EQ(blocks(sent_one()), Blocks{});
    arrives(ack(1, 1).text("abcxyz").ts(500, 0));
    EXPECT_EQ(blocks(sent_one()), (Blocks{{1, 4}}));
    arrives(ack(1, 1).text("abc").ts(500, 0));
    EXPECT_EQ(blocks(sent_one()), (Blocks{{1, 4}}));
}

TEST_F(ReviewArrival, APartThatCameTwiceIsReported) {
    established(syn_ack(1).mss(1000).sack_ok());  // RFC 2883 §4.2
    arrives(ack(101, 1).text(std::string(100, 'b')));
    EXPECT_EQ(blocks(sent_one()), (Blocks{{101, 201}}));
    arrives(ack(151, 1).text(std::string(100, 'c')));
    EXPECT_EQ(blocks(sent_one()), (Blocks{{151, 201}, {101, 251}}));
    arrives(ack(1, 1).text(std::string(150, 'a')));
    const Sent last = sent_one();
    EXPECT_EQ(last.ack, 251u);
    EXPECT_EQ(blocks(last), (Blocks{{101, 151}}));
}

TEST_F(ReviewArrival, AFinBelowWhatIsHeldIsNoFin) {
    established();
    arrives(ack(101, 1).text(std::string(100, 'b')));
    arrives(fin(51, 1));
    arrives(ack(1, 1).text(std::string(100, 'a')));
    EXPECT_EQ(reads().size(), 200u);
    arrives(fin(201, 1));
    EXPECT_EQ(state(), State::close_wait);
}

TEST_F(ReviewArrival, AcknowledgingOctetByOctetEarnsNothing) {
    established();  // RFC 3465, RFC 5681 §3.1: ACK division
    writes(std::string(20'000, 'x'));
    (void)sent();
    for (std::uint32_t i = 2; i <= 1001; ++i) {
        arrives(ack(1, i));
    }
    EXPECT_LE(status().cwnd_segments, 11u);
    EXPECT_EQ(status().segments_out, 9u);
}

TEST_F(ReviewArrival, RepeatedSynsAreNoTimeouts) {
    listens();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    for (int i = 0; i < 10; ++i) {
        pass(milliseconds(10));
        arrives(syn().mss(1000));
        EXPECT_EQ(sent_one().flags, "SA");
    }
    for (int i = 0; i < 5; ++i) {
        const auto again = next_timeout();
        ASSERT_EQ(again.size(), 1u) << i;
        EXPECT_EQ(again[0].flags, "SA");
    }
    EXPECT_TRUE(next_timeout().empty());
}

TEST_F(ReviewArrival, EverySecondSegmentOfASmallerSenderIsAcknowledged) {
    config.quick_acks = 0;
    established(syn_ack(1).mss(1460));
    for (std::uint32_t i = 0; i < 6; ++i) {
        arrives(ack(1 + 500 * i, 1).text(std::string(500, 'x')));
        EXPECT_EQ(sent().size(), i % 2) << i;
    }
}

TEST_F(ReviewArrival, ASegmentLargerThanTheBufferStillGetsThrough) {
    ConnectionOptions options;
    options.receive_buffer = 100;
    established(syn_ack(1).mss(1000), options);
    std::string got;
    std::uint32_t at = 1;
    for (int i = 0; i < 50; ++i) {
        arrives(ack(at, 1).text(std::string(1000, 'x')));
        for (const Sent& s : sent()) {
            at = s.ack;
        }
        got += reads();
        for (const Sent& s : sent()) {
            at = s.ack;
        }
    }
    EXPECT_GE(got.size(), 50u * 50u);
}

TEST_F(ReviewArrival, ClosedDuringASimultaneousOpenTheFinFollowsTheHandshake) {
    connects();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    writes("last words");
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    sends_nothing();
    arrives(ack(1, 1));
    const Sent last = sent_one();
    EXPECT_EQ(last.flags, "FPA");
    EXPECT_EQ(last.data, "last words");
    arrives(fin(1, 12));
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(state(), State::time_wait);
}

TEST_F(ReviewArrival, AClientIsClosedWithTheSynStillUnacknowledged) {
    connects();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    stack().close(connection, now);
    EXPECT_EQ(next_timeout().front().flags, "SA");  // the SYN,ACK still has its timer
    arrives(ack(1, 1));
    EXPECT_EQ(sent_one().flags, "FA");
    arrives(ack(1, 2));
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().ack, 2u);
}

}  // namespace
}  // namespace runnel::story
