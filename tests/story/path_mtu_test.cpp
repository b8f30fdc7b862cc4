// Stories of paths that take less than the first hop: told by ICMP, which may lie (RFC 5927 §7.2) and grows old (RFC
// 1191 §6.3, RFC 8201 §4), or found without it, by black holes and probes (RFC 4821).
#include "story.hpp"

namespace runnel::story {
namespace {

constexpr std::uint32_t kFull = 1460;

class PathMtu : public Story {
protected:
    void opens(std::uint32_t window_segments = 20, bool probes = false) {
        config.initial_window_segments = window_segments;
        config.pacing = false;
        config.tail_loss_probe = probes;
        established(syn_ack(1).mss(kFull).sack_ok().wscale(7));
        arrives(ack(1, 1).win(8000));
    }
    bool too_big(std::uint32_t seq, std::uint32_t mtu, bool local = false) {
        IcmpReport report;
        report.tuple = tuple;
        report.quoted_seq = SeqNum{our_iss} + seq;
        report.packet_too_big = true;
        report.mtu = mtu;
        report.local = local;
        report.error = Errc::message_too_long;
        return stack().on_icmp(report, now);
    }
    /// All that is sent, acknowledged a round trip later; segments above `mtu` are lost.
    std::vector<Sent> round(std::uint32_t mtu = 65'535) {
        const auto all = sent();
        pass(milliseconds(20));
        for (const Sent& s : all) {
            const std::uint32_t piece = s.gso_size != 0 ? std::uint32_t{s.gso_size} : s.length;
            if (s.length == 0 || piece + 40 > mtu) {
                continue;
            }
            // Each wire segment by itself, as a receiver would answer it.
            for (std::uint32_t at = 0; at < s.length; at += piece) {
                takes(s.seq + at, std::min(piece, s.length - at));
            }
        }
        return all;
    }
    void takes(std::uint32_t seq, std::uint32_t length) {
        held_.emplace_back(seq, seq + length);
        for (bool moved = true; moved;) {
            moved = false;
            for (const auto& [begin, end] : held_) {
                if (begin <= acked_ && end > acked_) {
                    acked_ = end;
                    moved = true;
                }
            }
        }
        std::erase_if(held_, [&](const auto& part) { return part.second <= acked_; });
        Seg answer = ack(1, acked_).win(8000);
        if (seq > acked_) {
            answer.sack(seq, seq + length);
        }
        arrives(answer);
    }
    /// Writes a lot and lets rounds pass until nothing is left.
    void stream(int rounds, std::uint32_t mtu = 65'535) {
        for (int i = 0; i < rounds; ++i) {
            (void)writes(std::string(100'000, 'x'));
            if (round(mtu).empty()) {
                for (const Sent& s : next_timeout(seconds(10))) {
                    if (s.length > 0 && s.length + 40 <= mtu) {
                        takes(s.seq, s.length);
                    }
                }
            }
        }
    }
    std::vector<std::pair<std::uint32_t, std::uint32_t>> held_;
    std::uint32_t acked_ = 1;
};

TEST_F(PathMtu, WhatIcmpSaysFirstIsBelieved) {
    opens();
    (void)writes(std::string(3 * kFull, 'x'));
    EXPECT_EQ(sent_one().length, 3 * kFull);
    EXPECT_TRUE(too_big(1, 1000));
    EXPECT_EQ(status().path_mtu, 1000u);
    const Sent again = sent_one();
    EXPECT_EQ(again.seq, 1u);
    EXPECT_EQ(again.gso_size, 960u);
}

TEST_F(PathMtu, AboutWhatHasGotThroughIcmpIsDoubtedUntilItIsLost) {
    opens();
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    EXPECT_FALSE(too_big(acked_, 1000)) << "and IP is not to believe it either";
    EXPECT_EQ(count(Decision::tcp_note_path_mtu_doubted), 1u);
    EXPECT_EQ(status().path_mtu, 1500u);
    sends_nothing();
    // It is true: nobody answers.
    (void)next_timeout();
    EXPECT_EQ(status().path_mtu, 1000u);
    EXPECT_EQ(count(Decision::tcp_note_path_mtu), 1u);
}

TEST_F(PathMtu, SilenceForTwoRoundTripsIsProofEnough) {
    opens(20, true);
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    EXPECT_FALSE(too_big(acked_, 1000));
    // Where a probe would go, what is too large goes again in smaller segments.
    const auto again = next_timeout();
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again.front().seq, acked_);
    EXPECT_EQ(again.front().gso_size, 960u);
    EXPECT_EQ(status().path_mtu, 1000u);
    EXPECT_EQ(count(Decision::tcp_note_retransmission_timeout), 0u);
}

/// Our own network layer has heard of the narrow path from another connection: nothing larger can leave.
TEST_F(PathMtu, TheHostItselfIsBelievedAtOnce) {
    opens();
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    EXPECT_TRUE(too_big(acked_, 1000, true));
    EXPECT_EQ(status().path_mtu, 1000u);
    EXPECT_EQ(sent_one().seq, acked_);
}

TEST_F(PathMtu, AnAckThatWasLostWithItGoesByItself) {
    // A tail-loss probe goes beyond the window, which then holds back what the network layer has dropped.
    config.initial_window_segments = 1;
    config.pacing = false;
    config.quick_acks = 0;
    established(syn_ack(1).mss(kFull).sack_ok().wscale(7));
    arrives(ack(1, 1).win(8000));
    (void)writes(std::string(500, 'x'));
    (void)sent();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)wait(milliseconds(185));
    arrives(ack(1, 1).text(std::string(100, 'y')).win(8000));
    EXPECT_TRUE(sent().empty());
    const auto probe = next_timeout();
    ASSERT_EQ(probe.size(), 1u);
    ASSERT_EQ(probe[0].reason, Decision::tcp_transmit_loss_probe);
    EXPECT_TRUE(too_big(501, 1000, true));
    const auto after = sent();
    ASSERT_EQ(after.size(), 1u);
    EXPECT_EQ(after[0].length, 0u) << "the small one before it is on its way";
    EXPECT_EQ(after[0].reason, Decision::tcp_transmit_ack_delayed);
}

TEST_F(PathMtu, ALieIsForgottenWhenTheSegmentArrives) {
    opens();
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    EXPECT_FALSE(too_big(acked_, 1000));
    arrives(ack(1, acked_ + 2 * kFull).win(8000));
    acked_ += 2 * kFull;
    (void)writes(std::string(kFull, 'x'));
    (void)sent();
    (void)next_timeout();
    EXPECT_EQ(status().path_mtu, 1500u) << "a loss that has nothing to do with it";
}

TEST_F(PathMtu, TheOtherProfilesBelieveAtOnce) {
    config.mtu_needs_evidence = false;
    opens();
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    EXPECT_TRUE(too_big(acked_, 1000));
    EXPECT_EQ(status().path_mtu, 1000u);
}

TEST_F(PathMtu, IcmpAboutASegmentThatWouldHavePassedIsALie) {
    opens();
    (void)writes(std::string(100, 'x'));
    (void)sent();
    EXPECT_FALSE(too_big(1, 1000));
    EXPECT_FALSE(too_big(101, 576)) << "about nothing that is in flight";
    EXPECT_EQ(status().path_mtu, 1500u);
}

TEST_F(PathMtu, AfterTenMinutesFullSizeIsTriedAgain) {
    opens();
    (void)writes(std::string(3 * kFull, 'x'));
    (void)sent();
    EXPECT_TRUE(too_big(1, 1000));
    (void)round();
    pass(seconds(590));
    (void)writes(std::string(kFull, 'x'));
    (void)round();
    EXPECT_EQ(status().path_mtu, 1000u);
    pass(seconds(11));
    (void)writes(std::string(kFull, 'x'));
    EXPECT_EQ(sent_one().length, kFull);
    EXPECT_EQ(count(Decision::tcp_note_path_mtu_raised), 1u);
    EXPECT_EQ(status().path_mtu, 1500u);
    EXPECT_TRUE(too_big(acked_, 1000)) << "and ICMP is believed again";
    EXPECT_EQ(status().path_mtu, 1000u);
}

TEST_F(PathMtu, WithAnIntervalOfZeroNoLargerSizeIsTriedAgain) {
    // At once again would be for ever where the host itself knows the path to be smaller.
    config.mtu_probe_interval = {};
    opens();
    (void)writes(std::string(3 * kFull, 'x'));
    (void)sent();
    EXPECT_TRUE(too_big(1, 1000));
    (void)round();
    pass(seconds(7200));
    (void)writes(std::string(kFull, 'x'));
    const Sent segment = sent_one();
    EXPECT_LE(segment.gso_size != 0 ? segment.gso_size : segment.length, 960u);
    EXPECT_EQ(count(Decision::tcp_note_path_mtu_raised), 0u);
    EXPECT_EQ(status().path_mtu, 1000u);
}

TEST_F(PathMtu, ABlackHoleIsFoundByTimeouts) {
    opens();
    (void)writes(std::string(3 * kFull, 'x'));
    (void)sent();
    (void)next_timeout();
    (void)next_timeout();
    EXPECT_EQ(status().path_mtu, 1500u);
    const auto third = next_timeout();
    EXPECT_EQ(status().path_mtu, 1064u) << "nothing of that size has ever got through: base_mss";
    EXPECT_EQ(count(Decision::tcp_note_mtu_black_hole), 1u);
    ASSERT_EQ(third.size(), 1u);
    EXPECT_EQ(third[0].length, 1024u);
    (void)next_timeout();
    EXPECT_EQ(status().path_mtu, 552u) << "then half of it";
    for (int i = 0; i < 6; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(status().path_mtu, 88u) << "and no less than the floor";
}

TEST_F(PathMtu, SmallSegmentsThatAreLostSayNothingAboutSizes) {
    opens();
    (void)writes(std::string(300, 'x'));
    (void)sent();
    for (int i = 0; i < 5; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(status().path_mtu, 1500u);
    EXPECT_EQ(count(Decision::tcp_note_mtu_black_hole), 0u);
}

TEST_F(PathMtu, WhoHasGotThroughBeforeIsGivenMoreTime) {
    opens();
    (void)writes(std::string(4 * kFull, 'x'));
    (void)round();
    (void)writes(std::string(2 * kFull, 'x'));
    (void)sent();
    for (int i = 0; i < 3; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(status().path_mtu, 1500u);
    (void)next_timeout();
    EXPECT_EQ(status().path_mtu, 1064u);
}

TEST_F(PathMtu, NoneIsLookedForWhereTheHostDoesntWantIt) {
    config.mtu_probing = 0;
    opens();
    (void)writes(std::string(3 * kFull, 'x'));
    (void)sent();
    for (int i = 0; i < 6; ++i) {
        (void)next_timeout();
    }
    EXPECT_EQ(status().path_mtu, 1500u);
}

TEST_F(PathMtu, ASearchFindsThatAllPasses) {
    config.mtu_probing = 2;
    opens();
    EXPECT_EQ(status().path_mtu, 1064u) << "it begins with what passes everywhere";
    (void)writes(std::string(60'000, 'x'));
    const auto first = sent();
    ASSERT_FALSE(first.empty());
    EXPECT_EQ(first[0].reason, Decision::tcp_transmit_mtu_probe);
    EXPECT_EQ(first[0].length, kFull);
    EXPECT_EQ(first[0].gso_size, 0u) << "one segment";
    ASSERT_GE(first.size(), 2u);
    EXPECT_EQ(first[1].gso_size, 1024u);
    arrives(ack(1, 1 + kFull).win(8000));
    EXPECT_EQ(count(Decision::tcp_note_mtu_probe_acked), 1u);
    EXPECT_EQ(status().path_mtu, 1500u);
    EXPECT_EQ(status().snd_mss, kFull);
}

TEST_F(PathMtu, ALostProbeIsNoCongestion) {
    config.mtu_probing = 2;
    opens();
    (void)writes(std::string(60'000, 'x'));
    const std::uint32_t window = status().cwnd_segments;
    (void)round(1300);
    EXPECT_EQ(count(Decision::tcp_note_mtu_probe_lost), 1u);
    EXPECT_EQ(count(Decision::tcp_note_fast_recovery), 0u);
    EXPECT_GE(status().cwnd_segments, window);
    EXPECT_EQ(status().path_mtu, 1064u);
    // What the probe carried goes again at once, in pieces that pass.
    const auto again = sent();
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again[0].seq, 1u);
    EXPECT_EQ(again[0].length, kFull);
    EXPECT_EQ(again[0].gso_size, 1024u);
}

TEST_F(PathMtu, ASearchComesCloseToWhatThePathTakes) {
    config.mtu_probing = 2;
    opens();
    stream(60, 1300);
    EXPECT_LE(status().path_mtu, 1300u);
    EXPECT_GT(status().path_mtu, 1300u - 8 - 1) << "tcp_probe_threshold";
    EXPECT_EQ(count(Decision::tcp_note_fast_recovery), 0u);
    EXPECT_EQ(count(Decision::tcp_note_retransmission_timeout), 0u);
    const std::uint64_t probes = count(Decision::tcp_transmit_mtu_probe);
    EXPECT_LE(probes, 10u);
    stream(20, 1300);
    EXPECT_EQ(count(Decision::tcp_transmit_mtu_probe), probes) << "then it is over";
    pass(seconds(601));
    stream(20, 1500);
    EXPECT_EQ(status().path_mtu, 1500u) << "until it is tried again, and the path has got wider";
}

TEST_F(PathMtu, IcmpAboutAProbeEndsItAndSaysHowFarToGo) {
    config.mtu_probing = 2;
    opens();
    (void)writes(std::string(60'000, 'x'));
    (void)sent();
    EXPECT_TRUE(too_big(1, 1200));
    EXPECT_EQ(status().path_mtu, 1064u);
    EXPECT_EQ(count(Decision::tcp_note_mtu_probe_lost), 1u);
    stream(30, 1200);
    EXPECT_LE(status().path_mtu, 1200u);
    EXPECT_GT(status().path_mtu, 1190u);
}

TEST_F(PathMtu, NoProbeWhereLittleWaitsOrTheWindowIsSmall) {
    config.mtu_probing = 2;
    opens(10);
    (void)writes(std::string(60'000, 'x'));
    for (const Sent& s : sent()) {
        EXPECT_NE(s.reason, Decision::tcp_transmit_mtu_probe) << "ten segments are too few";
    }
}

TEST_F(PathMtu, NoProbeOfTheLastData) {
    config.mtu_probing = 2;
    opens();
    (void)writes(std::string(5000, 'x'));
    for (const Sent& s : sent()) {
        EXPECT_NE(s.reason, Decision::tcp_transmit_mtu_probe) << "its loss would show by a timeout";
    }
}

}  // namespace
}  // namespace runnel::story
