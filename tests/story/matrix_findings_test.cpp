// What the exhaustive matrix against the reference model found in the engine, as stories: RFC 9293 §3.10.5,
// §3.10.7, RFC 5961, RFC 5681 §4.2.
#include "story.hpp"

namespace runnel::story {
namespace {

class MatrixFindings : public Story {
public:
    /// TIME-WAIT after we closed first; the peer's FIN had the number 1.
    void time_wait() {
        EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
        (void)sent();
        arrives(fin(1, 2));
        EXPECT_EQ(sent_one().flags, "A");
    }
};

TEST_F(MatrixFindings,
       AResetThatOnlyReachesIntoTheWindowIsIgnored) {  // RFC 5961 §3.2: SEG.SEQ decides
    established();
    arrives(ack(1, 1).text("abcdef"));
    (void)sent();
    arrives(rst(5).text("wxyz"));
    sends_nothing();
    EXPECT_EQ(state(), State::established);
}

TEST_F(MatrixFindings, AFilledGapIsAcknowledgedAtOnce) {  // RFC 5681 §4.2
    config.quick_acks = 0;
    established();
    arrives(ack(4, 1).text("def"));
    EXPECT_EQ(sent_one().ack, 1u);
    arrives(ack(1, 1).text("abc"));
    EXPECT_EQ(sent_one().ack, 7u);
}

TEST_F(MatrixFindings,
       TimeWaitAnswersWhatIsOutOfTheWindowEvenWithoutAck) {  // §3.10.7.4, first before fifth
    established();
    time_wait();
    Seg old = ack(0, 0).text("x");
    old.flags = 0;
    arrives(old);
    EXPECT_EQ(sent_one().ack, 2u);
    pass(seconds(1));
    Seg inside = ack(2, 0).text("x");
    inside.flags = 0;
    arrives(inside);
    sends_nothing();
}

TEST_F(MatrixFindings,
       ANewSynWhereNobodyListensLeavesTimeWaitAlone) {  // RFC 6191 needs a passive OPEN
    established();
    time_wait();
    Seg again = syn();
    again.seq = 100'000;
    arrives(again);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "A");
    EXPECT_EQ(answer.ack, 2u);
    EXPECT_EQ(state(), State::time_wait);
}

TEST_F(MatrixFindings, AFinFromNowhereDoesNotProlongTimeWait) {
    established();
    time_wait();
    pass(seconds(40));
    arrives(fin(1'000'000, 2));
    EXPECT_EQ(sent_one().flags, "A");
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 60);
}

TEST_F(MatrixFindings, TimeWaitEchoesTheLatestTimestamp) {  // RFC 7323 §4.3
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(500, 0));
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    (void)sent();
    arrives(fin(1, 2).ts(501, 0));
    (void)sent();
    arrives(ack(2, 2).text("x").ts(502, 0));
    EXPECT_EQ(sent_one().options.timestamps->echo, 502u);
}

TEST_F(MatrixFindings,
       AClosedWindowAnswersTextWithoutAck) {  // the allowance of MUST-66 is for ACK, URG, RST
    ConnectionOptions options;
    options.receive_buffer = 100;
    established(syn_ack(1).mss(1000), options);
    arrives(ack(1, 1).text(std::string(100, 'x')));
    (void)sent();
    EXPECT_EQ(status().rcv_wnd, 0u);
    Seg probe = ack(101, 0).text("x");
    probe.flags = 0;
    arrives(probe);
    EXPECT_EQ(sent_one().ack, 101u);
}

// Proves: MUST-62
TEST_F(MatrixFindings, TheUrgentPointerOfASynAckCountsFromTheSyn) {  // §3.8.5, MUST-62
    connects();
    arrives(syn_ack(1).mss(1000).text("ab").urg(1));  // the SYN itself: nothing to hurry
    EXPECT_EQ(stack().readiness(connection).bits & Readiness::kUrgent, 0);
}

TEST_F(MatrixFindings, AnAbortAfterBothSidesAreDoneSendsNoReset) {  // §3.10.5: CLOSING, LAST-ACK
    established();
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    (void)sent();
    arrives(fin(1, 1));
    (void)sent();
    EXPECT_EQ(state(), State::closing);
    stack().abort(connection, now);
    sends_nothing();
}

TEST_F(MatrixFindings, ACloseInSynReceivedWaitsForTheHandshake) {  // §3.10.4
    connects();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    sends_nothing();
    EXPECT_EQ(state(), State::syn_received);
    arrives(ack(1, 99));
    EXPECT_EQ(sent_one().flags, "R");  // still the rules of SYN-RECEIVED
    arrives(ack(1, 1));
    EXPECT_EQ(sent_one().flags, "FA");
    EXPECT_EQ(state(), State::fin_wait_1);
}

}  // namespace
}  // namespace runnel::story
