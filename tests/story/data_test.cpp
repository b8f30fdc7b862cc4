// Stories of data: sequence, acknowledgement, window, Nagle, loss. RFC 9293 §3.8, §3.10.7.4; RFC 5681.
#include "story.hpp"

namespace runnel::story {
namespace {

class Data : public Story {};

// Proves: MUST-61
TEST_F(Data, ARequestAndAnAnswer) {
    established();
    EXPECT_EQ(writes("GET /"), 5u);
    const Sent request = sent_one();
    EXPECT_EQ(request.flags, "PA");
    EXPECT_EQ(request.seq, 1u);
    EXPECT_EQ(request.data, "GET /");
    arrives(ack(1, 6).text("200 OK"));
    EXPECT_EQ(reads(), "200 OK");
    EXPECT_EQ(status().send_queue, 0u);
}

// Proves: SHLD-28, MUST-61
TEST_F(Data, LargeWritesLeaveAsOneSuperSegment) {
    established(syn_ack(1).mss(1000));
    const std::string bulk(20'000, 'x');
    EXPECT_EQ(writes(bulk), bulk.size());
    const auto all = sent();
    ASSERT_EQ(all.size(), 1u);  // the initial window of ten segments at once
    EXPECT_EQ(all[0].length, 10'000u);
    EXPECT_EQ(all[0].gso_size, 1000);
    EXPECT_EQ(all[0].flags, "A");  // PSH only on the last data there is
}

// Proves: MUST-19, 5681-M1
TEST_F(Data, TheWindowOpensBySlowStart) {
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    (void)sent();
    arrives(ack(1, 10'001));
    std::uint32_t total = 0;
    for (const Sent& s : sent()) {
        total += s.length;
    }
    EXPECT_EQ(total, 20'000u);
}

// Proves: SHLD-31, MAY-13
TEST_F(Data, OutOfOrderDataIsKeptAndAcknowledgedAtOnce) {
    established(syn_ack(1).mss(1000).sack_ok());
    arrives(ack(6, 1).text("world"));
    const Sent duplicate = sent_one();
    EXPECT_EQ(duplicate.ack, 1u);
    ASSERT_EQ(duplicate.options.sack.size(), 1u);
    EXPECT_EQ(duplicate.options.sack[0].left.value - kPeerIss, 6u);
    EXPECT_EQ(duplicate.options.sack[0].right.value - kPeerIss, 11u);
    EXPECT_EQ(reads(), "<EAGAIN>");
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(sent_one().ack, 11u);
    EXPECT_EQ(reads(), "helloworld");
}

// Proves: MAY-13, 5681-M12
TEST_F(Data, EachSegmentOutOfOrderGetsItsOwnDuplicateAck) {  // RFC 5681 §4.2
    established();
    for (std::uint32_t i = 1; i <= 3; ++i) {
        arrives(ack(1 + 5 * i, 1).text("xxxxx"));
    }
    EXPECT_EQ(sent().size(), 3u);
}

TEST_F(Data, ADuplicateIsReportedByDsack) {  // RFC 2883 §4.1
    established(syn_ack(1).mss(1000).sack_ok());
    arrives(ack(1, 1).text("hello"));
    (void)sent();
    arrives(ack(1, 1).text("hello"));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 6u);
    ASSERT_EQ(answer.options.sack.size(), 1u);
    EXPECT_EQ(answer.options.sack[0].left.value - kPeerIss, 1u);
    EXPECT_EQ(answer.options.sack[0].right.value - kPeerIss, 6u);
}

TEST_F(Data, OverlappingDataGivesOnlyItsNewOctets) {
    established();
    arrives(ack(1, 1).text("abc"));
    arrives(ack(2, 1).text("bcde"));
    EXPECT_EQ(reads(), "abcde");
}

// Proves: SHLD-7, MAY-16, SHLD-27
TEST_F(Data, SmallSegmentsWaitForTheAck) {  // Nagle, SHLD-7
    established();
    writes("a");
    EXPECT_EQ(sent_one().data, "a");
    writes("b");
    writes("c");
    sends_nothing();
    arrives(ack(1, 2));
    EXPECT_EQ(sent_one().data, "bc");
}

// Proves: MUST-17
TEST_F(Data, NoDelaySendsAtOnce) {  // MUST-17
    ConnectionOptions options;
    options.no_delay = true;
    established(syn_ack(1).mss(1000), options);
    writes("a");
    EXPECT_EQ(sent_one().data, "a");
    writes("b");
    EXPECT_EQ(sent_one().data, "b");
}

// Proves: MUST-60, MAY-16
TEST_F(Data, CorkHoldsAPartialSegmentForAMoment) {
    ConnectionOptions options;
    options.cork = true;
    established(syn_ack(1).mss(1000), options);
    writes(std::string(1500, 'x'));
    EXPECT_EQ(sent_one().length, 1000u);
    arrives(ack(1, 1001));
    sends_nothing();
    const auto late = next_timeout();
    ASSERT_EQ(late.size(), 1u);
    EXPECT_EQ(late[0].length, 500u);
    EXPECT_EQ((now - start).millis(), 200);
}

// Proves: SHLD-18, SHLD-19
TEST_F(Data, TheSecondFullSegmentIsAcknowledgedAtOnceTheFirstLater) {
    config.quick_acks = 0;
    established(syn_ack(1).mss(1000));
    std::uint32_t seq = 1;
    // The quick start is over after the first few.
    for (int i = 0; i < 3; ++i) {
        arrives(ack(seq, 1).text(std::string(1000, 'x')));
        seq += 1000;
        (void)wait(milliseconds(300));
        (void)reads();
        (void)sent();
    }
    pass(milliseconds(1));
    arrives(ack(seq, 1).text(std::string(1000, 'x')));
    seq += 1000;
    sends_nothing();
    arrives(ack(seq, 1).text(std::string(1000, 'x')));
    seq += 1000;
    EXPECT_EQ(sent_one().ack, seq);
}

// Proves: SHLD-18, MUST-40, 5681-M11
TEST_F(Data, ADelayedAckWaitsFortyMilliseconds) {
    config.quick_acks = 0;
    established();
    arrives(ack(1, 1).text("x"));
    sends_nothing();
    const Instant before = now;
    const auto late = next_timeout();
    ASSERT_EQ(late.size(), 1u);
    EXPECT_EQ(late[0].ack, 2u);
    EXPECT_EQ((now - before).millis(), 40);
}

TEST_F(Data, ADelayedAckGoesWhenTheReaderHasTakenAll) {  // as Linux
    config.quick_acks = 0;
    established(syn_ack(1).mss(1000));
    arrives(ack(1, 1).text("abc"));
    sends_nothing();
    EXPECT_EQ(reads(2), "ab");
    sends_nothing();
    EXPECT_EQ(reads(), "c");
    const Sent read = sent_one();
    EXPECT_EQ(read.ack, 4u);
    EXPECT_EQ(read.reason, Decision::tcp_transmit_ack_read);
    // A full segment that isn't pushed has more behind it.
    arrives(ack(4, 1).text(std::string(1000, 'x')));
    (void)reads();
    sends_nothing();
    // An answer makes the exchange interactive: the next ACK hopes for company. Two such are too many.
    arrives(ack(1004, 1).text("q"));
    (void)sent();
    writes("answer");
    (void)sent();
    arrives(ack(1005, 7).text("q"));
    (void)reads();
    sends_nothing();
    arrives(ack(1006, 7).text("r"));
    (void)reads();
    EXPECT_EQ(sent_one().ack, 1007u);
}

TEST_F(Data, QuickAckIsSwitchedOffAndOn) {  // TCP_QUICKACK, as Linux
    established(syn_ack(1).mss(1000));
    ConnectionOptions options = *stack().options(connection);
    options.ack_mode = AckMode::delayed;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_TRUE(status().interactive);
    arrives(ack(1, 1).text("a"));
    sends_nothing();  // though the connection is young
    (void)reads();
    sends_nothing();
    options.ack_mode = AckMode::quick;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_EQ(sent_one().ack, 2u);  // what was owed
    EXPECT_FALSE(status().interactive);
    arrives(ack(2, 1).text("b"));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_ack_quick);
    // Other options leave it alone.
    options = *stack().options(connection);
    EXPECT_EQ(options.ack_mode, AckMode::unchanged);
}

TEST_F(Data, WithQuickAckOffTheHandshakesAckWaitsForData) {  // as Linux
    ConnectionOptions options;
    options.ack_mode = AckMode::delayed;
    connects(options);
    arrives(syn_ack(1).mss(1000));
    sends_nothing();
    writes("hello");
    EXPECT_EQ(sent_one().data, "hello");
    EXPECT_FALSE(status().interactive);
}

TEST_F(Data, AMissedDelayedAckSlowsTheNextUpToARoundTrip) {  // as Linux
    config.quick_acks = 0;
    config.ack_on_read = false;
    connects();
    pass(milliseconds(100));
    arrives(syn_ack(1).mss(1000));
    (void)sent();
    std::vector<std::int64_t> waits;
    for (std::uint32_t at = 1; at <= 3; ++at) {
        arrives(ack(at, 1).text("x"));
        const Instant before = now;
        ASSERT_EQ(next_timeout().size(), 1u);
        waits.push_back((now - before).millis());
        pass(milliseconds(10));
    }
    EXPECT_EQ(waits[0], 40);
    EXPECT_GT(waits[1], 40);
    EXPECT_LE(waits[2], 100);
}

// Proves: MUST-19, 6298-M6, 6298-M7
TEST_F(Data, ALostSegmentIsRepeatedAfterTheTimeoutAndBackedOff) {
    established();
    writes("x");
    (void)sent();
    std::vector<std::int64_t> times;
    const Instant first = now;
    for (int i = 0; i < 4; ++i) {
        const auto again = next_timeout();
        ASSERT_EQ(again.size(), 1u);
        EXPECT_EQ(again[0].data, "x");
        EXPECT_EQ(again[0].seq, 1u);
        times.push_back((now - first).millis());
    }
    // The handshake gave a sample of 0: RTO 200 ms, doubled each time (RFC 6298 §5.5).
    EXPECT_EQ(times[1] - times[0], 2 * times[0]);
    EXPECT_EQ(times[2] - times[1], 4 * times[0]);
    arrives(ack(1, 2));
    EXPECT_TRUE(next_timeout(seconds(3600)).empty());
}

// Proves: 5681-M8
TEST_F(Data, ThreeDuplicateAcksBringAFastRetransmit) {  // RFC 5681 §3.2
    config.congestion_control = CongestionControl::new_reno;
    established(syn_ack(1).mss(1000));
    writes(std::string(10'000, 'x'));
    (void)sent();
    arrives(ack(1, 1));
    arrives(ack(1, 1));
    sends_nothing();
    arrives(ack(1, 1));
    const auto all = sent();
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0].seq, 1u);
    EXPECT_EQ(all[0].length, 1000u);
    EXPECT_EQ(all[0].reason, Decision::tcp_retransmit_fast);
    EXPECT_EQ(status().ssthresh_segments, 5u);
    arrives(ack(1, 10'001));
    EXPECT_STREQ(status().recovery_state, "open");
}

/// Each stands for a segment that has left the network, however many there are.
TEST_F(Data, HundredsOfDuplicatesMakeRoomForNewData) {  // RFC 5681 §3.2 step 4
    config.congestion_control = CongestionControl::new_reno;
    config.initial_window_segments = 400;
    config.initial_send_buffer = 80'000;
    established(syn_ack(1).mss(100));
    ASSERT_EQ(writes(std::string(60'000, 'x')), 60'000u);
    (void)sent();
    ASSERT_EQ(status().snd_nxt - status().snd_una, 40'000u);
    for (int i = 0; i < 399; ++i) {
        arrives(ack(1, 1));
    }
    (void)sent();
    // Half of the window, but for the segment that is sent again.
    EXPECT_GE(status().snd_nxt - status().snd_una, 40'000u + 19'500u);
}

TEST_F(Data, APartialAckRepeatsTheNextHole) {  // RFC 6582 §3.2
    established(syn_ack(1).mss(1000));
    writes(std::string(10'000, 'x'));
    (void)sent();
    for (int i = 0; i < 3; ++i) {
        arrives(ack(1, 1));
    }
    (void)sent();
    arrives(ack(1, 3001));
    const auto all = sent();
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0].seq, 3001u);
    EXPECT_STREQ(status().recovery_state, "recovery");
}

TEST_F(Data, SackTellsWhichSegmentsAreMissing) {
    established(syn_ack(1).mss(1000).sack_ok());
    writes(std::string(10'000, 'x'));
    (void)sent();
    arrives(ack(1, 1001).sack(2001, 3001));
    arrives(ack(1, 1001).sack(4001, 6001).sack(2001, 3001));
    const auto all = sent();
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0].seq, 1001u);
    EXPECT_EQ(all[0].length, 1000u);
    arrives(ack(1, 10'001));
    EXPECT_EQ(status().segments_out, 0u);
}

// A round trip takes 100 ms. The partial ACK says that what SACK had made look lost was only overtaken.
struct PartialAck : Data {
    void partial_ack(Duration before, Duration after) {
        config.recovery = 0;  // RFC 6675; RACK goes by time
        (void)connects();
        pass(milliseconds(100));
        arrives(syn_ack(1).mss(1000).sack_ok());
        (void)sent();
        writes(std::string(6000, 'x'));
        (void)sent();
        pass(before);
        writes(std::string(2000, 'x'));
        (void)sent();
        pass(after);
        arrives(ack(1, 1).sack(1001, 4001));
        EXPECT_EQ(sent_one().seq, 1u);
        arrives(ack(1, 6001));
        EXPECT_STREQ(status().recovery_state, "recovery");
    }
};

TEST_F(PartialAck, WithSackDoesNotRepeatWhatMayStillBeOnItsWay) {  // RFC 6675 §5; explain found it
    partial_ack(milliseconds(60), milliseconds(40));
    sends_nothing();
}

TEST_F(PartialAck, WithSackRepeatsWhatHasHadARoundTrip) {
    partial_ack(milliseconds(0), milliseconds(100));
    EXPECT_EQ(sent_one().seq, 6001u);
}

TEST_F(Data, NothingGoesBeyondThePeersWindow) {
    established(syn_ack(1).mss(1000).win(2500));
    writes(std::string(10'000, 'x'));
    std::uint32_t total = 0;
    for (const Sent& s : sent()) {
        total += s.length;
    }
    EXPECT_LE(total, 2500u);
    EXPECT_GE(total, 2000u);
}

// Proves: MUST-36, MUST-37, SHLD-30
TEST_F(Data, AClosedWindowIsProbedForAsLongAsProbesAreAnswered) {  // MUST-35, MUST-37
    established(syn_ack(1).mss(1000).win(1000));
    writes(std::string(3000, 'x'));
    EXPECT_EQ(sent_one().length, 1000u);
    arrives(ack(1, 1001).win(0));
    sends_nothing();
    for (int i = 0; i < 40; ++i) {
        const auto probe = next_timeout();
        ASSERT_EQ(probe.size(), 1u) << i;
        EXPECT_EQ(probe[0].length, 0u);
        EXPECT_EQ(probe[0].seq, 1000u);  // below the window, so that it must be answered
        arrives(ack(1, 1001).win(0));
        sends_nothing();
    }
    EXPECT_GT((now - start).seconds(), 3000);  // exponentially rarer, bounded by two minutes
    arrives(ack(1, 1001).win(5000));
    std::uint32_t total = 0;
    for (const Sent& s : sent()) {
        total += s.length;
    }
    EXPECT_EQ(total, 2000u);
}

TEST_F(Data, UnansweredProbesEndTheConnection) {
    established(syn_ack(1).mss(1000).win(1000));
    writes(std::string(3000, 'x'));
    (void)sent();
    arrives(ack(1, 1001).win(0));
    for (int i = 0; i < 200 && state() != State::closed; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(state(), State::closed);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

// Proves: MUST-39, MAY-8
TEST_F(Data, AFullReceiverClosesItsWindowAndReopensIt) {
    config.receive_buffer = 4000;
    config.initial_receive_window = 4000;
    established(syn_ack(1).mss(1000));
    arrives(ack(1, 1).text(std::string(4000, 'x')));
    EXPECT_EQ(sent_one().window, 0u);
    arrives(ack(4001, 1).text("y"));  // a probe
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 4001u);
    EXPECT_EQ(answer.window, 0u);
    EXPECT_EQ(reads(100).size(), 100u);
    sends_nothing();  // no silly window
    EXPECT_EQ(reads(3900).size(), 3900u);
    EXPECT_EQ(sent_one().window, 4000u);
}

// Proves: MUST-20, SHLD-11
TEST_F(Data, R2EndsTheConnection) {  // MUST-20
    established();
    writes("x");
    (void)sent();
    int tries = 0;
    while (!next_timeout().empty()) {
        ++tries;
    }
    EXPECT_EQ(tries, 15);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

// Proves: MUST-21
TEST_F(Data, UserTimeoutEndsItSooner) {
    ConnectionOptions options;
    options.user_timeout = seconds(2);
    established(syn_ack(1).mss(1000), options);
    writes("x");
    (void)sent();
    while (!next_timeout().empty()) {
    }
    EXPECT_EQ((now - start).millis(), 2000);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

// Proves: MAY-5, MUST-24, MUST-27, MUST-29, SHLD-12
TEST_F(Data, KeepAliveNoticesADeadPeer) {  // MUST-24 to MUST-29
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(10);
    options.keepalive_interval = seconds(2);
    options.keepalive_probes = 3;
    established(syn_ack(1).mss(1000), options);
    const auto probe = next_timeout();
    ASSERT_EQ(probe.size(), 1u);
    EXPECT_EQ((now - start).seconds(), 10);
    EXPECT_EQ(probe[0].seq, 0u);
    EXPECT_EQ(probe[0].length, 0u);
    arrives(ack(1, 1));  // alive
    sends_nothing();
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ((now - start).seconds(), 20);
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ(next_timeout().size(), 1u);
    const auto end = next_timeout();
    ASSERT_EQ(end.size(), 1u);
    EXPECT_EQ(end[0].flags, "RA");
    EXPECT_EQ((now - start).seconds(), 26);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

// Proves: MUST-30, MUST-33, MUST-47
TEST_F(Data, UrgentDataIsAnnouncedAndReadOutOfBand) {
    established();
    arrives(ack(1, 1).text("abcX").urg(4));
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kUrgent, 0);
    EXPECT_EQ(reads(100), "abc");
    EXPECT_TRUE(stack().at_urgent_mark(connection));
    EXPECT_EQ(reads(1, {.urgent = true}), "X");
    arrives(ack(5, 1).text("def"));
    EXPECT_EQ(reads(100), "def");
}

// Proves: MUST-30, MUST-62
TEST_F(Data, UrgentDataIsSentWithItsPointer) {
    established();
    writes("abcX", {.urgent = true});
    const Sent s = sent_one();
    EXPECT_EQ(s.flags, "PAU");
    EXPECT_EQ(s.urgent, 4);
}

// Proves: 7323-M12, 7323-M10
TEST_F(Data, TimestampsAreEchoedAndOldOnesRejected) {  // RFC 7323
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(5000, 0));
    arrives(ack(1, 1).text("hello").ts(5010, 0));
    (void)wait(milliseconds(50));
    writes("x");
    const Sent s = sent_one();
    ASSERT_TRUE(s.options.timestamps.has_value());
    EXPECT_EQ(s.options.timestamps->echo, 5010u);
    arrives(ack(6, 1).text("old").ts(4000, 0));
    EXPECT_EQ(sent_one().ack, 6u);
    EXPECT_EQ(count(Decision::tcp_drop_paws), 1u);
    EXPECT_EQ(reads(), "hello");
}

// Proves: MAY-12, 5961-M1, 5961-M2, 5961-M3
TEST_F(Data, BlindResetsAndSynsAreChallenged) {  // RFC 5961
    established();
    arrives(rst(100));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_challenge_ack);
    EXPECT_EQ(state(), State::established);
    pass(seconds(1));
    Seg blind = syn();
    blind.seq = 50;
    arrives(blind);
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_challenge_ack);
    arrives(rst(200'000));
    sends_nothing();
    arrives(ack(1, 5000));
    EXPECT_EQ(state(), State::established);
    arrives(rst(1));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_reset);
}

TEST_F(Data, ASegmentWithoutAckIsDropped) {
    established();
    Seg s;
    s.seq = 1;
    s.data = "x";
    arrives(s);
    sends_nothing();
    EXPECT_EQ(reads(), "<EAGAIN>");
}

}  // namespace
}  // namespace runnel::story
