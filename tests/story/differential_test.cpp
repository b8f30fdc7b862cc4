// Stories of what the differential runs against the Linux kernel found (tests/differential): where the two
// differed and the kernel was right.
#include "story.hpp"

namespace runnel::story {
namespace {

class Differential : public Story {};

TEST_F(Differential, ARepeatedFinIsAnsweredHoweverOften) {
    established();  // RFC 9293 §3.10.7.4, first: each unacceptable segment gets an ACK
    arrives(fin(1, 1));
    EXPECT_EQ(sent_one().ack, 2u);
    for (int i = 0; i < 3; ++i) {
        pass(milliseconds(1));
        arrives(fin(1, 1));  // our ACK was lost: the peer's timer sends its FIN again
        const Sent answer = sent_one();
        EXPECT_EQ(answer.flags, "A");
        EXPECT_EQ(answer.ack, 2u);
    }
}

TEST_F(Differential, WithoutAFinOrDataTheAnswersStayLimited) {
    established();
    arrives(ack(0, 1));
    EXPECT_EQ(sent_one().flags, "A");
    arrives(ack(0, 1));
    sends_nothing();
}

TEST_F(Differential, AForgedOctetFarAheadDoesNotHideTheFin) {
    established();
    arrives(ack(1001, 1).text("x"));  // nobody's: the stream ends at 1
    EXPECT_EQ(sent_one().ack, 1u);
    arrives(fin(1, 1));
    EXPECT_EQ(state(), State::close_wait);
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(reads(), "");
}

TEST_F(Differential, AForgedFinFarAheadDoesNotHideTheTrueOne) {
    established();
    arrives(fin(101, 1));
    EXPECT_EQ(sent_one().ack, 1u);
    arrives(fin(1, 1).text("end"));
    EXPECT_EQ(state(), State::close_wait);
    EXPECT_EQ(sent_one().ack, 5u);
    EXPECT_EQ(reads(), "end");
    EXPECT_EQ(reads(), "");
}

TEST_F(Differential, AfterAPauseTheFirstBurstIsAlreadySmall) {
    established(syn_ack(1).mss(1000).wscale(7));  // RFC 5681 §4.1
    std::uint32_t acked = 1;
    for (int round = 0; round < 3; ++round) {
        writes(std::string(100'000, 'x'));
        for (const Sent& s : sent()) {
            acked = s.seq + s.length;
        }
        arrives(ack(1, acked).win(60'000));
        for (const Sent& s : sent()) {
            acked = s.seq + s.length;
        }
        arrives(ack(1, acked).win(60'000));
        while (true) {
            const auto more = sent();
            if (more.empty()) {
                break;
            }
            acked = more.back().seq + more.back().length;
            arrives(ack(1, acked).win(60'000));
        }
    }
    ASSERT_GT(status().cwnd_segments, 20u);
    pass(seconds(10));
    writes(std::string(100'000, 'x'));
    std::uint32_t burst = 0;
    for (const Sent& s : sent()) {
        burst += s.length;
    }
    EXPECT_EQ(burst, 10'000u);
}

TEST_F(Differential, ARepeatedSynWithTextKeepsTheEmbryo) {
    listens();
    arrives(syn().mss(1000).text("early"));
    EXPECT_EQ(sent_one().flags, "SA");
    arrives(syn().mss(1000).text("early"));  // our SYN,ACK was lost
    EXPECT_EQ(sent_one().flags, "SA");
    arrives(ack(1, 1));
    sends_nothing();
    EXPECT_TRUE(stack().accept(listener, now).has_value());
}

TEST_F(Differential, EachFinBeyondAGapIsAnswered) {
    established();  // RFC 5681 §4.2: duplicate ACKs tell the peer of its loss
    for (int i = 0; i < 3; ++i) {
        arrives(fin(101, 1));
        EXPECT_EQ(sent_one().ack, 1u);
    }
    arrives(ack(101, 1).text("x"));
    arrives(fin(51, 1));  // contradicts the first, and is out of order all the same
    EXPECT_FALSE(sent().empty());
}

TEST_F(Differential, LinearTimeoutsAreForTheSynOnly) {
    config.syn_linear_timeouts = 4;  // profile linux, tcp_syn_linear_timeouts
    listens();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    Instant last = now;
    for (const std::int64_t expected : {1, 2, 4}) {
        const auto again = next_timeout();
        ASSERT_EQ(again.size(), 1u);
        EXPECT_EQ(again.front().flags, "SA");
        EXPECT_EQ((now - last).seconds(), expected);
        last = now;
    }
}

TEST_F(Differential, AChallengeIsLimitedWhateverItCarries) {
    established();  // RFC 5961 §7
    arrives(ack(1, 1001).text("x"));
    EXPECT_EQ(sent_one().flags, "A");
    arrives(ack(1, 1001).text("x"));
    sends_nothing();
    pass(milliseconds(501));
    arrives(ack(1, 1001).text("x"));
    EXPECT_EQ(sent_one().flags, "A");
}

TEST_F(Differential, ASocketShutBothWaysHangsUp) {
    established();  // poll(2): POLLHUP where nothing can be read and nothing can be written any more
    ASSERT_TRUE(stack().shutdown_send(connection, now));
    EXPECT_EQ(stack().readiness(connection).bits & Readiness::kHangUp, 0);
    ASSERT_TRUE(stack().shutdown_receive(connection, now));
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kHangUp, 0);
    EXPECT_EQ(state(), State::fin_wait_1);
}

}  // namespace
}  // namespace runnel::story
