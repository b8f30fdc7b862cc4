// Stories of ECN, RFC 3168: who asks and who agrees, ECE until CWR, CWR after a reduction, and what may be marked.
#include "story.hpp"

namespace runnel::story {
namespace {

class EcnStory : public Story {
public:
    void client(unsigned setting, Seg answer = syn_ack(1).mss(1000).ecn("E")) {
        config.ecn = setting;
        established(answer);
    }
    void server(unsigned setting, Seg opening = syn().mss(1000).ecn("EW")) {
        config.ecn = setting;
        accepted(opening);
    }
    /// Data of the peer's, `size` octets from where it had come to.
    Seg text(std::size_t size = 100) {
        Seg s = ack(from_, to_).text(std::string(size, 'x'));
        from_ += static_cast<std::uint32_t>(size);
        return s;
    }
    std::uint32_t from_ = 1, to_ = 1;
};

struct Handshake {
    unsigned setting;
    const char* asks;      // flags of our SYN
    const char* answers;   // flags of our SYN,ACK to one with ECE and CWR
    const char* accurate;  // flags of our SYN,ACK to one with AE, CWR and ECE
};

// tcp_ecn of Linux 6.18, all six values.
class EcnSettings : public EcnStory, public ::testing::WithParamInterface<Handshake> {};

// Proves: 3168-M1
TEST_P(EcnSettings, SayWhatAnOpenAsksFor) {
    config.ecn = GetParam().setting;
    const Sent first = connects();
    EXPECT_EQ(first.ecn, GetParam().asks);
    EXPECT_EQ(first.mark, kNotEct);  // RFC 3168 §6.1.1: a SYN is not ECN-capable
}
// Proves: SHLD-8, 3168-M1
TEST_P(EcnSettings, SayWhatAListenerAccepts) {
    config.ecn = GetParam().setting;
    listens();
    arrives(syn().mss(1000).ecn("EW"));
    const Sent second = sent_one();
    EXPECT_EQ(second.ecn, GetParam().answers);
    EXPECT_EQ(second.mark, kNotEct);
}
TEST_P(EcnSettings, SayWhatAListenerMakesOfAccurateEcn) {
    config.ecn = GetParam().setting;
    listens();
    arrives(syn().mss(1000).ecn("EWA"));
    EXPECT_EQ(sent_one().ecn, GetParam().accurate);
}
INSTANTIATE_TEST_SUITE_P(All, EcnSettings,
                         ::testing::Values(Handshake{0, "", "", ""}, Handshake{1, "EW", "E", "E"},
                                           Handshake{2, "", "E", "E"},
                                           Handshake{3, "EWA", "E", "W"},
                                           Handshake{4, "EW", "E", "W"},
                                           Handshake{5, "", "E", "W"}));

TEST(EcnProfiles, AcceptAndDontAsk) {
    EXPECT_EQ(profile_config(Profile::modern).ecn, 2u);
    EXPECT_EQ(profile_config(Profile::linux_like).ecn, 2u);
    EXPECT_EQ(profile_config(Profile::rfc).ecn, 0u);
}

TEST_F(EcnStory, ASynThatIsEcnCapableItselfGetsNone) {
    config.ecn = 2;
    listens();
    arrives(syn().mss(1000).ecn("EW").marked(kEct0));
    EXPECT_EQ(sent_one().ecn, "");
}
TEST_F(EcnStory, AnAnswerThatSendsBackBothFlagsIsNone) {
    client(1, syn_ack(1).mss(1000).ecn("EW"));
    EXPECT_FALSE(status().has_ecn);
    EXPECT_EQ(count(Decision::tcp_note_ecn_refused), 1u);
    writes(std::string(500, 'a'));
    EXPECT_EQ(sent_one().mark, kNotEct);
}
// Proves: 3168-M2
TEST_F(EcnStory, AnAnswerWithoutFlagsIsNone) {
    client(1, syn_ack(1).mss(1000));
    EXPECT_FALSE(status().has_ecn);
    arrives(text().marked(kCongested));
    for (const Sent& s : wait(seconds(1))) {
        EXPECT_EQ(s.ecn, "");
    }
}
TEST_F(EcnStory, AgreementIsWrittenDown) {
    client(1);
    EXPECT_TRUE(status().has_ecn);
    EXPECT_FALSE(status().has_accecn);
    EXPECT_EQ(count(Decision::tcp_note_ecn_agreed), 1u);
}

TEST_F(EcnStory, ASynAgainAsksForNone) {  // RFC 3168 §6.1.1.1
    config.ecn = 1;
    EXPECT_EQ(connects().ecn, "EW");
    EXPECT_EQ(next_timeout().front().ecn, "");
    EXPECT_EQ(next_timeout().front().ecn, "");
    EXPECT_EQ(count(Decision::tcp_note_ecn_given_up), 1u);
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(sent_one().ecn, "");
    EXPECT_FALSE(status().has_ecn);
}
TEST_F(EcnStory, WithoutFallbackASynAgainAsksAgain) {
    config.ecn = 1;
    config.ecn_fallback = false;
    EXPECT_EQ(connects().ecn, "EW");
    EXPECT_EQ(next_timeout().front().ecn, "EW");
    EXPECT_EQ(count(Decision::tcp_note_ecn_given_up), 0u);
}
TEST_F(EcnStory, ASynAckAgainStillAgrees) {
    config.ecn = 2;
    listens();
    arrives(syn().mss(1000).ecn("EW"));
    EXPECT_EQ(sent_one().ecn, "E");
    EXPECT_EQ(next_timeout().front().ecn, "E");
}
TEST_F(EcnStory, SimultaneousOpen) {
    config.ecn = 1;
    connects();
    arrives(syn().mss(1000).ecn("EW"));
    const Sent second = sent_one();
    EXPECT_EQ(second.flags, "SA");
    EXPECT_EQ(second.ecn, "E");
    arrives(ack(1, 1));
    EXPECT_TRUE(status().has_ecn);
}
TEST_F(EcnStory, SimultaneousOpenWithOneWhoHasNone) {
    config.ecn = 1;
    connects();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().ecn, "");
    arrives(ack(1, 1));
    EXPECT_FALSE(status().has_ecn);
}

// Proves: 3168-M5, 3168-M6, 3168-M7
TEST_F(EcnStory, OnlyNewDataIsEcnCapable) {  // RFC 3168 §6.1.4 to §6.1.6
    client(1);
    writes(std::string(500, 'a'));
    EXPECT_EQ(sent_one().mark, kEct0);
    const Sent again = next_timeout().front();
    EXPECT_EQ(again.seq, 1u);
    EXPECT_EQ(again.mark, kNotEct);
    arrives(ack(1, 501));
    arrives(text().marked(kEct0));
    for (const Sent& s : wait(seconds(1))) {
        EXPECT_EQ(s.mark, kNotEct);  // a pure ACK
    }
    arrives(ack(from_, 501).win(0));
    writes("waits");
    EXPECT_EQ(next_timeout().front().mark, kNotEct);  // asks about the window
    arrives(ack(from_, 501));
    EXPECT_EQ(sent_one().mark, kEct0);
    arrives(ack(from_, 506));
    stack().close(connection, now);
    EXPECT_EQ(sent_one().mark, kNotEct);  // a FIN without text
}
TEST_F(EcnStory, TheUsersTrafficClassKeepsItsUpperSixBits) {
    ConnectionOptions options;
    options.traffic_class = 0xb8;
    config.ecn = 1;
    established(syn_ack(1).mss(1000).ecn("E"), options);
    writes("data");
    const Sent s = sent_one();
    EXPECT_EQ(s.traffic_class, 0xb8 | kEct0);
}

// Proves: 3168-M4
TEST_F(EcnStory, AMarkIsEchoedUntilItIsAnswered) {  // RFC 3168 §6.1.3
    server(2);
    arrives(text().marked(kEct0));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "");
    EXPECT_TRUE(status().ecn_seen);
    arrives(text().marked(kCongested));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "E");
    arrives(text().marked(kEct0));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "E");
    writes("reply");
    EXPECT_EQ(sent_one().ecn, "E");  // data carries it too
    to_ = 6;
    arrives(text().marked(kEct0).ecn("W"));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "");
    EXPECT_EQ(count(Decision::tcp_note_congestion_experienced), 1u);
    EXPECT_EQ(count(Decision::tcp_note_congestion_answered), 1u);
    EXPECT_EQ(status().received_marked, 1u);
}
TEST_F(EcnStory, AnAnswerThatIsItselfMarkedBeginsANewEcho) {
    server(2);
    arrives(text().marked(kCongested));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "E");
    arrives(text().marked(kCongested).ecn("W"));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "E");
    EXPECT_EQ(count(Decision::tcp_note_congestion_experienced), 2u);
}
TEST_F(EcnStory, TheAnswerToAnEchoIsAcknowledgedAtOnce) {
    config.quick_acks = 0;
    server(2);
    // The mark and the one after it are acknowledged at once too (Linux); then ACKs wait.
    arrives(text(10).marked(kCongested));
    EXPECT_EQ(sent_one().ecn, "E");
    arrives(text(10).marked(kEct0));
    EXPECT_EQ(sent_one().ecn, "E");
    arrives(text(10).marked(kEct0));
    sends_nothing();
    arrives(text(10).marked(kEct0).ecn("W"));
    const Sent s = sent_one();
    EXPECT_EQ(s.reason, Decision::tcp_transmit_ack_congestion);
    EXPECT_EQ(s.ecn, "");
}
TEST_F(EcnStory, AMarkOnAPureAckMeansNothing) {
    client(1);
    arrives(ack(1, 1).marked(kCongested));
    writes("x");
    EXPECT_EQ(sent_one().ecn, "");
}

// Proves: 3168-M3
TEST_F(EcnStory, AReductionIsToldWithTheNextNewData) {  // RFC 3168 §6.1.2
    client(1, syn_ack(1).mss(1000).ecn("E").sack_ok());
    writes(std::string(4000, 'a'));
    EXPECT_EQ(sent().front().ecn, "");
    // Three segments arrive behind a lost one.
    for (std::uint32_t to = 2001; to <= 4001; to += 1000) {
        arrives(ack(1, 1).sack(1001, to));
    }
    const auto again = sent();
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again.front().seq, 1u);
    EXPECT_EQ(again.front().ecn, "");  // not with what is sent again
    EXPECT_EQ(again.front().mark, kNotEct);
    arrives(ack(1, 4001));
    writes(std::string(500, 'b'));
    const Sent next = sent_one();
    EXPECT_EQ(next.ecn, "W");
    EXPECT_EQ(next.mark, kEct0);
    arrives(ack(1, 4501));
    writes(std::string(500, 'c'));
    EXPECT_EQ(sent_one().ecn, "");
}
TEST_F(EcnStory, ATimeoutIsToldToo) {
    client(1);
    writes(std::string(500, 'a'));
    (void)sent();
    EXPECT_EQ(next_timeout().front().ecn, "");
    arrives(ack(1, 501));
    writes(std::string(500, 'b'));
    EXPECT_EQ(sent_one().ecn, "W");
}
TEST_F(EcnStory, AnEchoCountsWhatItAcknowledges) {
    client(1);
    writes(std::string(3000, 'a'));
    (void)sent();
    arrives(ack(1, 2001).ecn("E"));
    EXPECT_EQ(status().delivered_marked, 2u);
    arrives(ack(1, 3001));
    EXPECT_EQ(status().delivered_marked, 2u);
}

// DCTCP, RFC 8257 §3.
TEST_F(EcnStory, ADataCenterAsksWhateverIsSet) {
    config.ecn = 0;
    ConnectionOptions options;
    options.congestion_control = CongestionControl::dctcp;
    const Sent first = connects(options);
    EXPECT_EQ(first.ecn, "EW");
    EXPECT_EQ(first.mark, kEct0);
    arrives(syn_ack(1).mss(1000).ecn("E"));
    EXPECT_EQ(sent_one().mark, kEct0);
    EXPECT_TRUE(status().has_ecn);
    writes(std::string(500, 'a'));
    (void)sent();
    EXPECT_EQ(next_timeout().front().mark, kEct0) << "what is sent again too";
}
TEST_F(EcnStory, ADataCenterEchoesEachChange) {  // §3.2
    config.quick_acks = 0;
    config.ecn = 0;
    ConnectionOptions options;
    options.congestion_control = CongestionControl::dctcp;
    listens(10, options);
    arrives(syn().mss(1000).ecn("EW").marked(kEct0));
    EXPECT_EQ(sent_one().ecn, "E");
    arrives(ack(1, 1));
    connection = stack().accept(listener, now).value();
    arrives(text(10).marked(kEct0));
    sends_nothing();
    arrives(text(10).marked(kCongested));
    auto all = sent();  // what came before, and what has changed
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].ack, 11u);
    EXPECT_EQ(all[0].ecn, "");
    EXPECT_EQ(all[1].ack, 21u);
    EXPECT_EQ(all[1].ecn, "E");
    arrives(text(10).marked(kCongested));
    sends_nothing();
    arrives(text(10).marked(kEct0).ecn("W"));
    all = sent();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].ack, 31u);
    EXPECT_EQ(all[0].ecn, "E");
    EXPECT_EQ(all[1].ack, 41u);
    EXPECT_EQ(all[1].ecn, "");
    EXPECT_EQ(status().received_marked, 2u);
}

TEST_F(EcnStory, ACookieKeepsItInTheTimestamp) {
    config.ecn = 2;
    config.syn_cookies = 2;
    config.timestamps = true;
    listens();
    arrives(syn().mss(1460).ecn("EW").ts(100, 0));
    const Sent second = sent_one();
    EXPECT_EQ(second.flags, "SA");
    EXPECT_EQ(second.ecn, "E");
    arrives(ack(1, 1).ts(200, second.options.timestamps->value));
    auto result = stack().accept(listener, now);
    ASSERT_TRUE(result.has_value());
    connection = *result;
    EXPECT_TRUE(status().has_ecn);
    writes("x");
    EXPECT_EQ(sent_one().mark, kEct0);
}
TEST_F(EcnStory, NobodyTalksUsIntoItWithATimestamp) {
    config.ecn = 0;
    config.syn_cookies = 2;
    config.timestamps = true;
    listens();
    arrives(syn().mss(1460).ecn("EW").ts(100, 0));
    const Sent second = sent_one();
    EXPECT_EQ(second.ecn, "");
    arrives(ack(1, 1).ts(200, second.options.timestamps->value | 0x20));
    if (const auto result = stack().accept(listener, now)) {
        connection = *result;
        EXPECT_FALSE(status().has_ecn);
    }
}
TEST_F(EcnStory, ACookieWithoutTimestampsHasNone) {
    config.ecn = 2;
    config.syn_cookies = 2;
    listens();
    arrives(syn().mss(1460).ecn("EW"));
    EXPECT_EQ(sent_one().ecn, "");
}

TEST_F(EcnStory, ItOutlivesSleep) {
    server(2);
    arrives(text().marked(kCongested));
    EXPECT_EQ(wait(seconds(1)).back().ecn, "E");
    EXPECT_EQ(reads().size(), 100u);
    std::vector<UserEvent> events;
    stack().take_events(events);
    (void)wait(seconds(60));
    EXPECT_EQ(stack().sizes().awake, 0u);
    EXPECT_EQ(status().received_marked, 1u);
    writes("x");
    const Sent s = sent_one();
    EXPECT_EQ(s.ecn, "E");
    EXPECT_EQ(s.mark, kEct0);
}

TEST_F(EcnStory, ATailLossProbeDoesNotEndTheReduction) {
    // Else the next echo of the same window of data would reduce once more (RFC 3168 §6.1.2).
    config.pacing = false;
    client(1, syn_ack(1).mss(1000).sack_ok().ecn("E"));
    writes(std::string(1000, 'x'));
    (void)sent();
    pass(milliseconds(20));
    arrives(ack(1, 1001));
    writes(std::string(4000, 'x'));
    (void)sent();
    const auto probe = next_timeout();
    ASSERT_EQ(probe.size(), 1u);
    ASSERT_EQ(probe[0].reason, Decision::tcp_retransmit_loss_probe);
    writes(std::string(3000, 'x'));
    (void)sent();
    arrives(ack(1, 2001).ecn("E"));
    EXPECT_STREQ(status().recovery_state, "cwr");
    arrives(ack(1, 6001).ecn("E"));  // beyond what was out when the probe went, and no D-SACK
    EXPECT_STREQ(status().recovery_state, "cwr");
    arrives(ack(1, 7001).ecn("E"));
    EXPECT_STREQ(status().recovery_state, "cwr");
    EXPECT_EQ(count(Decision::tcp_note_window_reduced), 1u);
}

}  // namespace
}  // namespace runnel::story
