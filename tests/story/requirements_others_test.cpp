// The MUSTs of RFC 7323, 2018, 5681, 6298 and 5961 that no other story tells; docs/requirements.md shows all.
#include "story.hpp"

namespace runnel::story {
namespace {

class OtherRequirements : public Story {
public:
    static std::uint32_t octets(const std::vector<Sent>& all) {
        std::uint32_t total = 0;
        for (const Sent& s : all) {
            total += s.length;
        }
        return total;
    }
};

// --- RFC 7323 --------------------------------------------------------------------------------------------

// Proves: 7323-M3, 7323-M5
TEST_F(OtherRequirements, WindowsAreScaledButNotOnASyn) {
    ConnectionOptions options;
    options.receive_buffer = 1 << 20;
    EXPECT_EQ(connects(options).window, 65'535u);
    arrives(syn_ack(1).mss(1000).wscale(7).win(1000));
    const Sent third = sent_one();
    EXPECT_EQ(status().snd_wnd, 1000u);
    EXPECT_EQ(std::uint64_t{third.window} << status().rcv_wscale, std::uint64_t{1} << 20);
    arrives(ack(1, 1).win(1000));
    EXPECT_EQ(status().snd_wnd, 128'000u);
}

// Proves: 7323-M4
TEST_F(OtherRequirements, AShiftAbove14Is14) {
    established(syn_ack(1).mss(1000).wscale(200));
    EXPECT_EQ(status().snd_wscale, 14);
}

// Proves: 7323-M7
TEST_F(OtherRequirements, TimestampsStandInEverySegment) {
    config.timestamps = true;
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(5);
    established(syn_ack(1).mss(1000).win(10).ts(5000, 0), options);
    std::vector<Sent> all;
    const auto take = [&](const std::vector<Sent>& more) {
        EXPECT_FALSE(more.empty());
        all.insert(all.end(), more.begin(), more.end());
    };
    take(next_timeout());  // keep-alive
    arrives(ack(1, 1).win(0).ts(5001, 0));
    writes("hello");
    take(next_timeout());  // window probe
    arrives(ack(1, 1).win(1000).ts(5002, 0));
    take(sent());  // data
    take(next_timeout());
    arrives(ack(1, 6).win(1000).ts(5003, 0));
    arrives(ack(9, 6).text("gap").ts(5004, 0));
    take(sent());  // duplicate ACK
    arrives(ack(1, 6).text("filling ").ts(5004, 0));
    take(sent());
    EXPECT_EQ(reads(), "filling gap");
    arrives(rst(100));
    take(sent());  // challenge ACK
    stack().close(connection, now);
    take(sent());  // FIN
    arrives(fin(12, 7).ts(5005, 0));
    take(sent());  // from TIME-WAIT
    for (const Sent& s : all) {
        EXPECT_TRUE(s.options.timestamps.has_value()) << describe_all({s});
    }
}

// Proves: 7323-M8
TEST_F(OtherRequirements, ASegmentWithoutTimestampAbortsNothing) {
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(5000, 0));
    arrives(ack(1, 1).text("x"));
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(reads(), "x");
}

// Proves: 7323-M9
TEST_F(OtherRequirements, AnEchoWithoutAckIsNoMeasurement) {
    config.timestamps = true;
    const Sent first = connects();
    pass(seconds(1));
    arrives(syn().mss(1000).ts(77, first.options.timestamps->value - 500));
    EXPECT_EQ(status().rtt.ns, 0);
}

// Proves: 7323-M10
TEST_F(OtherRequirements, WhatLiesBeyondAGapIsNotEchoed) {
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(5000, 0));
    arrives(ack(1, 1).text("abc").ts(5010, 0));
    (void)wait(milliseconds(500));
    arrives(ack(10, 1).text("x").ts(5020, 0));
    EXPECT_EQ(sent_one().options.timestamps->echo, 5010u);
    arrives(ack(4, 1).text("defghi").ts(5015, 0));
    EXPECT_EQ(sent_one().options.timestamps->echo, 5015u);
}

// Proves: 7323-M11
TEST_F(OtherRequirements, AResetsTimestampMeansNothing) {
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(5000, 0));
    arrives(ack(1, 1).text("abcdef").ts(5010, 0));
    (void)wait(milliseconds(500));
    // Below RCV.NXT and reaching into the window: ignored, and so is the time it claims.
    Seg forged = rst(3).text("xxxxxxxx").ts(0x4000'0000, 0);
    arrives(forged);
    sends_nothing();
    arrives(ack(7, 1).text("g").ts(5011, 0));
    EXPECT_EQ(reads(), "abcdefg");
    EXPECT_EQ(count(Decision::tcp_drop_paws), 0u);
    arrives(rst(8).ts(1, 0));  // older than anything, and taken
    EXPECT_EQ(stack().take_error(connection), Errc::connection_reset);
}

// Proves: 7323-M13
TEST_F(OtherRequirements, AfterTwentyFourDaysAnOldTimestampIsTaken) {
    config.timestamps = true;
    established(syn_ack(1).mss(1000).ts(5000, 0));
    pass(seconds(23 * 24 * 3600));
    arrives(ack(1, 1).text("x").ts(4000, 0));
    EXPECT_EQ(reads(), "<EAGAIN>");
    pass(seconds(2 * 24 * 3600));
    arrives(ack(1, 1).text("x").ts(4000, 0));
    EXPECT_EQ(reads(), "x");
}

// --- RFC 2018 --------------------------------------------------------------------------------------------

// Proves: 2018-M1, 2018-M2
TEST_F(OtherRequirements, NoSackForWhoDidNotAsk) {
    established(syn_ack(1).mss(1000));
    arrives(ack(6, 1).text("world"));
    const Sent answer = sent_one();
    EXPECT_TRUE(answer.options.sack.empty());
    EXPECT_FALSE(answer.options.sack_permitted);
    tuple.remote.port = 2001;
    established(syn_ack(1).mss(1000).sack_ok());
    writes("x");
    EXPECT_FALSE(sent_one().options.sack_permitted);
}

// Proves: 2018-M4, 2018-M5
TEST_F(OtherRequirements, WhatWasReportedAndDroppedIsSentAgain) {
    established(syn_ack(1).mss(1000).sack_ok());
    writes(std::string(1000, 'a') + std::string(1000, 'b') + std::string(1000, 'c'));
    EXPECT_EQ(octets(sent()), 3000u);
    arrives(ack(1, 1).sack(1001, 3001));
    arrives(ack(1, 1001));  // it had said that it holds the rest: it has dropped it
    arrives(ack(1, 1001).sack(1001, 2001));
    std::string again;
    for (int i = 0; i < 8 && status().send_queue > 0; ++i) {
        for (const Sent& s : next_timeout()) {
            again += s.data;
            EXPECT_EQ(s.seq % 1000, 1u);
            arrives(ack(1, s.seq + s.length));
        }
    }
    EXPECT_EQ(again, std::string(1000, 'b') + std::string(1000, 'c'));
}

// --- RFC 5681 --------------------------------------------------------------------------------------------

// Proves: 5681-M2, 5681-M3
TEST_F(OtherRequirements, ByTheLetterTheFirstWindowIsOfTwoToFourSegments) {
    config = profile_config(Profile::rfc);
    config.timestamps = false;
    established(syn_ack(1).mss(1460).win(65'535));
    EXPECT_EQ(status().cwnd_segments, 3u);
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 3u * 1460);
    tuple.remote.port = 2001;
    path_mtu = 9000;
    established(syn_ack(1).mss(8960).win(65'535));
    EXPECT_EQ(status().cwnd_segments, 2u);
}

// Proves: 5681-M4, 6298-M8
TEST_F(OtherRequirements, AfterALostSynDataBeginsCarefully) {
    config = profile_config(Profile::rfc);
    config.timestamps = false;
    connects();
    EXPECT_EQ(next_timeout().size(), 1u);
    arrives(syn_ack(1).mss(1460));
    (void)sent();
    writes(std::string(10'000, 'x'));
    EXPECT_EQ(octets(sent()), 1460u);
    const Instant then = now;
    EXPECT_FALSE(next_timeout().empty());
    EXPECT_GE((now - then).millis(), 3000);
}

// Proves: 5681-M5, 5681-M6, 5681-M7
TEST_F(OtherRequirements, ATimeoutHalvesAndGrowthIsThenLinear) {
    config.congestion_control = CongestionControl::new_reno;
    established(syn_ack(1).mss(1000));
    writes(std::string(200'000, 'x'));
    EXPECT_EQ(octets(sent()), 10'000u);
    EXPECT_FALSE(next_timeout().empty());
    EXPECT_EQ(status().cwnd_segments, 1u);
    EXPECT_EQ(status().ssthresh_segments, 5u);
    EXPECT_FALSE(next_timeout().empty());
    EXPECT_EQ(status().ssthresh_segments, 5u) << "once for each segment";
    std::uint32_t una = 10'001;
    arrives(ack(1, una));
    std::uint32_t before = status().cwnd_segments;
    for (int round = 0; round < 8; ++round) {
        const std::uint32_t flight = octets(sent());
        for (std::uint32_t acked = 0; acked < flight; acked += 1000) {
            una += 1000;
            arrives(ack(1, una));
        }
        const std::uint32_t after = status().cwnd_segments;
        if (before >= 5) {
            EXPECT_LE(after, before + 1) << round;
            EXPECT_GE(after, before) << round;
        }
        before = after;
    }
    EXPECT_GT(before, 5u);
}

// Proves: 5681-M10
TEST_F(OtherRequirements, RecoveryEndsWithTheHalvedWindow) {
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    std::uint32_t next = 1 + octets(sent());
    for (int i = 0; i < 5; ++i) {
        arrives(ack(1, 1));
        for (const Sent& s : sent()) {
            next = std::max(next, s.seq + s.length);
        }
    }
    EXPECT_STREQ(status().recovery_state, "recovery");
    arrives(ack(1, next));
    EXPECT_STREQ(status().recovery_state, "open");
    EXPECT_LE(status().cwnd_segments, status().ssthresh_segments);
}

// Proves: 5681-M1
TEST_F(OtherRequirements, ByTheLetterAnAckIsWorthOneSegmentInSlowStart) {
    config = profile_config(Profile::rfc);
    config.timestamps = false;
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 3000u);
    arrives(ack(1, 3001));
    EXPECT_EQ(status().cwnd_segments, 4u);
    EXPECT_EQ(octets(sent()), 4000u);
}

// Proves: 5681-M8, 5681-M9, 5681-M13
TEST_F(OtherRequirements, FastRecoveryStepByStep) {
    config.congestion_control = CongestionControl::new_reno;
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 10'000u);
    for (int i = 0; i < 3; ++i) {
        arrives(ack(1, 1));
    }
    const auto first = sent();
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].seq, 1u);
    EXPECT_EQ(status().ssthresh_segments, 5u);
    std::uint32_t out = 0;
    for (int i = 0; i < 6;
         ++i) {  // each further one stands for a segment that has left the network
        arrives(ack(1, 1));
        const std::uint32_t let_out = octets(sent());
        EXPECT_LE(let_out, 1000u);
        out += let_out;
    }
    EXPECT_EQ(out, 4000u) << "9 of 10 have arrived, 5 may be out, the lost one is";
    EXPECT_FALSE(next_timeout().empty());  // the retransmission is lost as well
    EXPECT_EQ(status().cwnd_segments, 1u);
    arrives(ack(1, 14'001));
    EXPECT_STREQ(status().recovery_state, "open");
}

// Proves: 5681-M8
TEST_F(OtherRequirements, LimitedTransmitDoesNotRaiseTheThreshold) {
    config.congestion_control = CongestionControl::new_reno;
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 10'000u);
    for (int i = 0; i < 2; ++i) {  // RFC 3042: each lets a new segment out
        arrives(ack(1, 1));
        EXPECT_EQ(octets(sent()), 1000u);
    }
    arrives(ack(1, 1));
    EXPECT_EQ(sent_one().seq, 1u);
    EXPECT_EQ(status().ssthresh_segments, 5u)
        << "half of ten, not of twelve (RFC 5681 §3.2 step 2)";
}

TEST_F(OtherRequirements, AfterARealTimeoutDuplicatesMakeRoomForTheRepair) {
    established(syn_ack(1).mss(1000));
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 10'000u);
    EXPECT_EQ(octets(next_timeout()), 1000u);
    arrives(ack(1, 1001));
    EXPECT_EQ(octets(sent()), 2000u) << "new data asks whether anything was lost (RFC 5682 §2.1)";
    for (const std::uint32_t seq : {1001U, 2001U}) {
        arrives(ack(1, 1001));  // some was, and the new data has left the network
        EXPECT_EQ(sent_one().seq, seq);
    }
}

// --- RFC 6298, RFC 5961 ----------------------------------------------------------------------------------

// Proves: 6298-M4, 6298-M3
TEST_F(OtherRequirements, EveryRoundTripIsMeasured) {
    established(syn_ack(1).mss(1000));
    std::uint32_t una = 1;
    for (const std::int64_t rtt : {100, 300, 50, 50, 50}) {
        writes("x");
        EXPECT_EQ(sent_one().length, 1u);
        const Duration before = status().rtt;
        pass(milliseconds(rtt));
        arrives(ack(1, ++una));
        EXPECT_NE(status().rtt.ns, before.ns) << rtt;
    }
    writes("y");
    (void)sent();
    const Duration before = status().rtt;
    EXPECT_FALSE(next_timeout().empty());
    pass(milliseconds(1));
    arrives(ack(1, ++una));
    EXPECT_EQ(status().rtt.ns, before.ns) << "sent twice: which of the two was it?";
}

// Proves: 5961-M4
TEST_F(OtherRequirements, AcksOutsideOfTheirRangeAreChallenged) {
    established(syn_ack(1).mss(1000).win(3000));
    writes(std::string(3000, 'x'));
    (void)sent();
    arrives(ack(1, 3001).win(3000));
    arrives(ack(1, 3002).text("a").win(3000));  // never sent
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_challenge_ack);
    pass(seconds(1));
    arrives(ack(1, 0).text("b").win(3000));  // older than SND.UNA - MAX.SND.WND
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_challenge_ack);
    EXPECT_EQ(reads(), "<EAGAIN>");
    arrives(ack(1, 1).text("c").win(3000));  // as old as it may be
    EXPECT_EQ(reads(), "c");
}

}  // namespace
}  // namespace runnel::story
