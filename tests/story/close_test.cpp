// Stories of closing: RFC 9293 §3.6, §3.10.4, §3.10.5, TIME-WAIT.
#include "story.hpp"

namespace runnel::story {
namespace {

class Close : public Story {
public:
    std::size_t entries(State s) {
        std::vector<ConnectionStatus> all;
        stack().snapshot(all, now);
        return static_cast<std::size_t>(std::count_if(
            all.begin(), all.end(), [&](const ConnectionStatus& c) { return c.state == s; }));
    }
    std::size_t entries() {
        std::vector<ConnectionStatus> all;
        stack().snapshot(all, now);
        return all.size();
    }
};

// Proves: MUST-13
TEST_F(Close, WeCloseFirst) {  // figure 12
    established();
    stack().close(connection, now);
    const Sent ours = sent_one();
    EXPECT_EQ(ours.flags, "FA");
    EXPECT_EQ(ours.seq, 1u);
    EXPECT_EQ(entries(State::fin_wait_1), 1u);
    arrives(ack(1, 2));
    EXPECT_EQ(entries(State::fin_wait_2), 1u);
    arrives(fin(1, 2));
    const Sent last = sent_one();
    EXPECT_EQ(last.flags, "A");
    EXPECT_EQ(last.ack, 2u);
    EXPECT_EQ(entries(State::time_wait), 1u);
    EXPECT_EQ(stack().sizes().time_wait, 1u);
    EXPECT_EQ(stack().sizes().orphans, 0u);
    ASSERT_NE(stack().ended(0), nullptr);
    EXPECT_EQ(stack().ended(0)->handle, connection.packed());
    ASSERT_NE(recorder_.find(stack().ended(0)->last_event), nullptr);
    EXPECT_EQ(recorder_.find(stack().ended(0)->last_event)->connection, connection.packed());
    EXPECT_EQ(stack().ended(1), nullptr);
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 60);
    EXPECT_EQ(entries(), 0u);
    EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(Close, TheSnapshotCanBeTakenInPieces) {
    established();
    stack().close(connection, now);
    (void)sent();
    std::vector<ConnectionStatus> pieces;
    SnapshotCursor cursor;
    int count = 1;
    while (stack().snapshot_page(cursor, 1, pieces)) {
        ASSERT_LT(++count, 1000);
    }
    std::vector<ConnectionStatus> all;
    stack().snapshot(all, now);
    ASSERT_EQ(pieces.size(), all.size());
    ASSERT_EQ(pieces.size(), 1u);
    EXPECT_EQ(pieces[0].state, State::fin_wait_1);
    EXPECT_EQ(pieces[0].plan, Decision::tcp_hold_nothing_to_send);
    EXPECT_FALSE(stack().snapshot_page(cursor, 1, pieces));
    EXPECT_EQ(pieces.size(), 1u);
    EXPECT_EQ(stack().sizes().orphans, 1u);
}

TEST_F(Close, ThePeerClosesFirst) {
    established();
    arrives(fin(1, 1));
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(state(), State::close_wait);
    EXPECT_EQ(reads(), "");
    writes("still here");  // half-close
    EXPECT_EQ(sent_one().data, "still here");
    arrives(ack(2, 11));
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
    EXPECT_EQ(entries(State::last_ack), 1u);
    arrives(ack(2, 12));
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, SimultaneousClose) {  // figure 13
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 1));
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(entries(State::closing), 1u);
    arrives(ack(2, 2));
    EXPECT_EQ(entries(State::time_wait), 1u);
}

TEST_F(Close, FinAndAckInOneSegment) {
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(entries(State::time_wait), 1u);
}

TEST_F(Close, HalfCloseStillReads) {
    established();
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    EXPECT_EQ(sent_one().flags, "FA");
    arrives(ack(1, 2).text("more"));
    EXPECT_EQ(reads(), "more");
    EXPECT_EQ(state(), State::fin_wait_2);
    auto refused = stack().send(connection, as_bytes("x"), {}, now);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Errc::broken_pipe);
    arrives(fin(5, 2));
    EXPECT_EQ(reads(), "");
    EXPECT_EQ(state(), State::time_wait);
    stack().close(connection, now);
    EXPECT_EQ(entries(State::time_wait), 1u);
}

TEST_F(Close, DataGoesBeforeTheFin) {
    established(syn_ack(1).mss(1000).win(1500));
    writes(std::string(2500, 'x'));
    stack().close(connection, now);
    const auto first = sent();
    ASSERT_FALSE(first.empty());
    for (const Sent& s : first) {
        EXPECT_EQ(s.flags.find('F'), std::string::npos);
    }
    arrives(ack(1, 1001).win(5000));
    std::string flags;
    for (const Sent& s : sent()) {
        flags += s.flags;
    }
    EXPECT_NE(flags.find('F'), std::string::npos);
}

TEST_F(Close, AFinNeedsWindowToo) {
    established(syn_ack(1).mss(1000).win(1000));
    writes(std::string(1000, 'x'));
    stack().close(connection, now);
    const Sent data = sent_one();
    EXPECT_EQ(data.flags, "PA");
    arrives(ack(1, 1001).win(0));
    sends_nothing();
    EXPECT_EQ(next_timeout().front().reason, Decision::tcp_transmit_window_probe);
    arrives(ack(1, 1001).win(100));
    EXPECT_EQ(sent_one().flags, "FA");
}

TEST_F(Close, TooManyOrphansAreAborted) {
    config.max_orphans = 1;
    established();
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
    tuple.remote.port = 2001;
    established();
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "RA");
}

TEST_F(Close, ALostFinIsRepeated) {
    established();
    stack().close(connection, now);
    (void)sent();
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].flags, "FA");
    EXPECT_EQ(again[0].seq, 1u);
}

// Proves: MAY-1, SHLD-3
TEST_F(Close, ClosingWithUnreadDataResets) {  // RFC 2525 §2.17
    established();
    arrives(ack(1, 1).text("unread"));
    (void)sent();
    stack().close(connection, now);
    const auto all = sent();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].flags, "RA");
    EXPECT_EQ(entries(), 0u);
    EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(Close, AbortResets) {
    established();
    writes("x");
    stack().abort(connection, now);
    EXPECT_EQ(sent_one().flags, "RA");
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, LingerZeroResets) {
    ConnectionOptions options;
    options.linger_on = true;
    established(syn_ack(1).mss(1000), options);
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "RA");
}

// Proves: MAY-1, SHLD-3
TEST_F(Close, DataAfterCloseIsRefused) {
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(ack(1, 2).text("too late"));
    const Sent reset = sent_one();
    EXPECT_NE(reset.flags.find('R'), std::string::npos);
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, AnOrphanInFinWait2EndsAfterAMinute) {
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(ack(1, 2));
    sends_nothing();
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 60);
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, TimeWaitAnswersARepeatedFinAndBeginsAnew) {
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    (void)sent();
    pass(seconds(30));
    arrives(fin(1, 2));
    const Sent again = sent_one();
    EXPECT_EQ(again.flags, "A");
    EXPECT_EQ(again.seq, 2u);
    EXPECT_EQ(again.ack, 2u);
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 90);
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, TwoFinsOfOneBatchGetOneAckFromTimeWait) {  // a second ACK would find nobody
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().ack, 2u);
    EXPECT_EQ(count(Decision::tcp_hold_repeated_ack), 1u);
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().ack, 2u);
}

TEST_F(Close, AResetDoesNotEndTimeWait) {  // RFC 1337
    established();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    (void)sent();
    arrives(rst(2));
    sends_nothing();
    EXPECT_EQ(entries(State::time_wait), 1u);
}

// Proves: MAY-2
TEST_F(Close, ANewerSynReusesTimeWait) {  // RFC 6191
    accepted();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    (void)sent();
    EXPECT_EQ(entries(State::time_wait), 1u);
    const std::uint32_t old_iss = our_iss;
    Seg again = syn();
    again.seq = 100'000;
    arrives(again);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_EQ(answer.ack, 100'001u);
    EXPECT_GT(static_cast<std::int32_t>(our_iss - (old_iss + 2)), 65'535);
    EXPECT_EQ(entries(State::time_wait), 0u);
    EXPECT_EQ(entries(State::syn_received), 1u);
}

TEST_F(Close, AnOlderSynInTimeWaitIsAnsweredByAnAck) {
    accepted();
    arrives(ack(1, 1).text("hello"));
    (void)reads();
    (void)sent();
    stack().close(connection, now);
    (void)sent();
    arrives(fin(6, 2));
    (void)sent();
    arrives(syn());
    EXPECT_EQ(sent_one().flags, "A");
    EXPECT_EQ(entries(State::time_wait), 1u);
}

// Proves: MUST-12
TEST_F(Close, AResetMidwayIsTold) {
    established();
    arrives(ack(1, 1).text("data"));
    (void)sent();
    arrives(rst(5));
    EXPECT_EQ(reads(), "data");  // what had arrived stays readable
    EXPECT_EQ(reads(), "<ECONNRESET>");
    EXPECT_EQ(reads(), "");
    stack().close(connection, now);
    EXPECT_EQ(entries(), 0u);
}

TEST_F(Close, AFinBehindAGapWaits) {
    established();
    arrives(fin(6, 1));
    EXPECT_EQ(sent_one().ack, 1u);
    EXPECT_EQ(state(), State::established);
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(sent_one().ack, 7u);
    EXPECT_EQ(state(), State::close_wait);
    EXPECT_EQ(reads(), "hello");
    EXPECT_EQ(reads(), "");
}

TEST_F(Close, ClosingAListenerResetsWhoWasWaiting) {
    listens();
    arrives(syn());
    (void)sent();
    arrives(ack(1, 1));
    stack().close_listener(listener, now);
    EXPECT_EQ(sent_one().flags, "RA");
    EXPECT_EQ(entries(), 0u);
}

}  // namespace
}  // namespace runnel::story
