// Stories of opening: RFC 9293 §3.5, §3.10.1, §3.10.7.2, §3.10.7.3.
#include "story.hpp"

namespace runnel::story {
namespace {

class Open : public Story {};

// Proves: MUST-14, MAY-3
TEST_F(Open, ThreeWayHandshakeAsClient) {
    const Sent first = connects();
    EXPECT_EQ(first.flags, "S");
    EXPECT_EQ(first.options.mss, 1460);
    EXPECT_TRUE(first.options.window_scale.has_value());
    EXPECT_TRUE(first.options.sack_permitted);
    EXPECT_EQ(state(), State::syn_sent);
    arrives(syn_ack(1).mss(1000));
    const Sent third = sent_one();
    EXPECT_EQ(third.flags, "A");
    EXPECT_EQ(third.seq, 1u);
    EXPECT_EQ(third.ack, 1u);
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(status().snd_mss, 1000u);
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kWritable, 0);
}

// Proves: MUST-14, MAY-3
TEST_F(Open, ThreeWayHandshakeAsServer) {
    listens();
    arrives(syn().mss(1200).wscale(3).sack_ok());
    const Sent second = sent_one();
    EXPECT_EQ(second.flags, "SA");
    EXPECT_EQ(second.ack, 1u);
    EXPECT_EQ(second.options.mss, 1460);
    EXPECT_TRUE(second.options.sack_permitted);
    EXPECT_TRUE(second.options.window_scale.has_value());
    EXPECT_FALSE(stack().accept(listener, now).has_value());
    arrives(ack(1, 1));
    sends_nothing();
    EXPECT_TRUE(stack().accept(listener, now).has_value());
}

// Proves: SHLD-5, MAY-3, 7323-M1, 2018-M1
TEST_F(Open, AServerOffersOnlyWhatTheSynOffered) {
    listens();
    arrives(syn());
    const Sent second = sent_one();
    EXPECT_FALSE(second.options.sack_permitted);
    EXPECT_FALSE(second.options.window_scale.has_value());
    EXPECT_FALSE(second.options.timestamps.has_value());
    EXPECT_TRUE(second.options.mss.has_value());
}

// Proves: MUST-15
TEST_F(Open, WithoutMssOptionThePeerTakes536) {  // MUST-15
    established(syn_ack(1));
    EXPECT_EQ(status().snd_mss, 536u);
}

// Proves: MUST-22
TEST_F(Open, ALostSynIsRepeatedAtOneThreeSevenSeconds) {
    connects();
    std::vector<std::int64_t> times;
    for (int i = 0; i < 6; ++i) {
        const auto again = next_timeout();
        ASSERT_EQ(again.size(), 1u);
        EXPECT_EQ(again[0].flags, "S");
        EXPECT_EQ(again[0].seq, 0u);
        times.push_back((now - start).millis());
    }
    EXPECT_EQ(times, (std::vector<std::int64_t>{1000, 3000, 7000, 15000, 31000, 63000}));
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).millis(), 127'000);
    EXPECT_EQ(state(), State::closed);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

TEST_F(Open, ProfileLinuxRepeatsTheFirstFourSynsASecondApart) {
    config.syn_linear_timeouts = 4;
    connects();
    std::vector<std::int64_t> times;
    for (int i = 0; i < 6; ++i) {
        ASSERT_EQ(next_timeout().size(), 1u);
        times.push_back((now - start).millis());
    }
    EXPECT_EQ(times, (std::vector<std::int64_t>{1000, 2000, 3000, 4000, 5000, 7000}));
    while (!next_timeout().empty()) {
    }
    EXPECT_EQ((now - start).seconds(), 131);  // tcp_syn_retries 6, as Linux documents it
}

TEST_F(Open, AResetRefuses) {
    connects();
    Seg refusal = rst(0);
    refusal.flags |= TcpFlags::kAck;
    refusal.ack = 1;
    arrives(refusal);
    sends_nothing();
    EXPECT_EQ(stack().take_error(connection), Errc::connection_refused);
    EXPECT_EQ(state(), State::closed);
}

TEST_F(Open, AResetThatAcknowledgesNothingOfOursIsIgnored) {
    connects();
    arrives(rst(0));
    Seg wrong = rst(0);
    wrong.flags |= TcpFlags::kAck;
    wrong.ack = 77;
    arrives(wrong);
    sends_nothing();
    EXPECT_EQ(state(), State::syn_sent);
}

TEST_F(Open, AnOldAckInSynSentIsAnsweredByAReset) {  // RFC 9293 figure 9
    connects();
    arrives(ack(500, 300));
    const Sent reset = sent_one();
    EXPECT_EQ(reset.flags, "R");
    EXPECT_EQ(reset.seq, 300u);
    EXPECT_EQ(state(), State::syn_sent);
}

// Proves: MUST-10
TEST_F(Open, SimultaneousOpen) {  // figure 8, MUST-10
    connects();
    arrives(syn().mss(1000));
    const Sent again = sent_one();
    EXPECT_EQ(again.flags, "SA");
    EXPECT_EQ(again.seq, 0u);
    EXPECT_EQ(again.ack, 1u);
    EXPECT_EQ(state(), State::syn_received);
    arrives(syn_ack(1).mss(1000));  // the peer's SYN again, now with the ACK of ours
    (void)sent();
    arrives(ack(1, 1));
    EXPECT_EQ(state(), State::established);
}

TEST_F(Open, InASimultaneousOpenThePeersSynIsAcknowledgedThoughItsSynAckCameFirst) {
    // Both of the peer's segments come in one batch, before our SYN,ACK could leave.
    connects();
    arrives(syn().mss(1000));
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(state(), State::established);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "A") << "or the peer repeats its SYN,ACK for ever";
    EXPECT_EQ(answer.ack, 1u);
    sends_nothing();
}

TEST_F(Open, ARepeatedSynGetsTheSynAckAgain) {
    listens();
    arrives(syn());
    EXPECT_EQ(sent_one().flags, "SA");
    arrives(syn());
    const Sent again = sent_one();
    EXPECT_EQ(again.flags, "SA");
    EXPECT_EQ(again.seq, 0u);
}

TEST_F(Open, ALostSynAckIsRepeatedAndGivenUp) {
    config.synack_retries = 2;
    listens();
    arrives(syn());
    (void)sent();
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_TRUE(next_timeout().empty());
    std::vector<ConnectionStatus> all;
    stack().snapshot(all, now);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].state, State::listen);
}

// Proves: MUST-11
TEST_F(Open, AnEmbryoResetGoesSilently) {
    listens();
    arrives(syn());
    (void)sent();
    arrives(rst(1));
    sends_nothing();
    std::vector<ConnectionStatus> all;
    stack().snapshot(all, now);
    EXPECT_EQ(all.size(), 1u);
}

TEST_F(Open, ABadAckInSynReceivedIsAnsweredByAReset) {
    listens();
    arrives(syn());
    (void)sent();
    arrives(ack(1, 99));
    const Sent reset = sent_one();
    EXPECT_EQ(reset.flags, "R");
    EXPECT_EQ(reset.seq, 99u);
    arrives(ack(1, 1));
    EXPECT_TRUE(stack().accept(listener, now).has_value());
}

TEST_F(Open, ASegmentBeyondTheWindowIsAnsweredInSynReceivedToo) {
    listens();
    arrives(syn());
    (void)sent();
    arrives(ack(1'000'000, 1).text("x"));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "A");
    EXPECT_EQ(answer.seq, 1u);
    EXPECT_EQ(answer.ack, 1u);
}

TEST_F(Open, NobodyListens) {
    arrives(syn());
    const Sent reset = sent_one();
    EXPECT_EQ(reset.flags, "RA");
    EXPECT_EQ(reset.ack, 1u);
    arrives(ack(5, 7));
    EXPECT_EQ(sent_one().flags, "R");
    arrives(rst(5));
    sends_nothing();
}

// Proves: MUST-57
TEST_F(Open, ASynToAGroupAddressIsNeverAnswered) {  // MUST-57
    to_unicast = false;
    arrives(syn());
    sends_nothing();
    listens();
    arrives(syn());
    sends_nothing();
}

TEST_F(Open, TheAcceptQueueHoldsOneMoreThanTheBacklog) {
    listens(1);
    for (std::uint16_t port = 1; port <= 3; ++port) {
        tuple.remote.port = port;
        arrives(syn());
        const auto answer = sent();
        if (port == 3) {
            EXPECT_TRUE(answer.empty());
            break;
        }
        ASSERT_EQ(answer.size(), 1u);
        arrives(ack(1, 1));
        (void)sent();
    }
    EXPECT_EQ(count(Decision::tcp_drop_accept_queue_full), 1u);
    EXPECT_TRUE(stack().accept(listener, now).has_value());
    EXPECT_TRUE(stack().accept(listener, now).has_value());
    EXPECT_FALSE(stack().accept(listener, now).has_value());
}

TEST_F(Open, DataWithTheThirdMessageIsTaken) {
    listens();
    arrives(syn());
    (void)sent();
    arrives(ack(1, 1).text("hello"));
    auto accepted_one = stack().accept(listener, now);
    ASSERT_TRUE(accepted_one.has_value());
    connection = *accepted_one;
    EXPECT_EQ(reads(), "hello");
}

TEST_F(Open, CloseInSynSentForgetsIt) {
    connects();
    stack().close(connection, now);
    sends_nothing();
    std::vector<ConnectionStatus> all;
    stack().snapshot(all, now);
    EXPECT_TRUE(all.empty());
}

TEST_F(Open, InitialSequenceNumbersDifferByPeerAndRiseWithTime) {
    const Sent one = connects();
    const std::uint32_t iss_one = our_iss;
    tuple.remote.port = 2001;
    connects();
    EXPECT_NE(iss_one, our_iss);
    (void)one;
}

TEST_F(Open, ListenersOfTwoAddressesShareAPort) {
    listens();
    const Endpoint other{*parse_ip_address("10.0.0.77"), tuple.local.port};
    EXPECT_TRUE(stack().listen(other, false, 10, {}));
    const auto again = stack().listen(other, false, 10, {});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error(), Errc::address_in_use);
    const Endpoint any{*parse_ip_address("0.0.0.0"), tuple.local.port};
    EXPECT_FALSE(stack().listen(any, false, 10, {}));
}

TEST_F(Open, ASoftIcmpErrorEndsAnOpeningWhereThatIsAskedFor) {  // as Linux, RFC 5461
    config.icmp_aborts_opening = true;
    const auto soft = [this](std::uint32_t seq) {
        IcmpReport icmp;
        icmp.tuple = tuple;
        icmp.quoted_seq = SeqNum{our_iss} + seq;
        icmp.error = Errc::host_unreachable;
        return stack().on_icmp(icmp, now);
    };
    connects();
    EXPECT_TRUE(soft(0));
    EXPECT_EQ(stack().take_error(connection), Errc::host_unreachable);
    EXPECT_EQ(count(Decision::tcp_accept_icmp_opening), 1u);
    tuple.remote.port = 2001;
    established();
    writes("x");
    (void)sent();
    EXPECT_TRUE(soft(1));
    EXPECT_EQ(state(), State::established);
}

}  // namespace
}  // namespace runnel::story
