// Stories of AccECN, RFC 9768: the codes of the handshake, the counter in three flags, the option, and what is done
// where the path rewrites them.
#include "story.hpp"

namespace runnel::story {
namespace {

unsigned ace_of(const Sent& s) {
    unsigned ace = 0;
    for (const char c : s.ecn) {
        ace += c == 'E' ? 1 : c == 'W' ? 2 : 4;
    }
    return ace;
}

AccurateEcnOption counters(std::uint32_t first, std::uint32_t ce, std::uint32_t last) {
    return {false, 3, {first, ce, last}};
}

class AccurateEcn : public Story {
public:
    AccurateEcn() { config.ecn = 3; }

    /// We opened; the SYN,ACK agrees, with an option if `option`.
    void client(bool option = false) {
        Seg answer = syn_ack(1).mss(1000).ecn("W").sack_ok();
        if (option) {
            answer.options.accurate_ecn = counters(1, 0, 1);
        }
        established(answer);
    }
    void server(bool option = false) {
        listens();
        arrives(syn().mss(1000).ecn("EWA").sack_ok());
        (void)sent_one();
        Seg third = ack(1, 1).ecn("W");
        if (option) {
            third.options.accurate_ecn = counters(1, 0, 1);
        }
        arrives(third);
        connection = stack().accept(listener, now).value();
    }
    Seg text(std::size_t size = 100) {
        Seg s = ack(from_, 1).text(std::string(size, 'x')).ace(5);
        from_ += static_cast<std::uint32_t>(size);
        return s;
    }
    std::uint32_t from_ = 1;
};

struct Code {
    std::uint8_t mark;
    unsigned code;
};
constexpr Code kCodes[] = {{kNotEct, 2}, {kEct1, 3}, {kEct0, 4}, {kCongested, 6}};

// Proves: 9768-M1
TEST_F(AccurateEcn, TheSynAckTellsHowTheSynCame) {  // RFC 9768 table 2
    for (const Code& c : kCodes) {
        stack_.reset();
        listens();
        arrives(syn().mss(1000).ecn("EWA").marked(c.mark));
        EXPECT_EQ(ace_of(sent_one()), c.code);
    }
}
// Proves: 9768-M3
TEST_F(AccurateEcn, TheThirdTellsHowTheSynAckCame) {  // table 3
    for (const Code& c : kCodes) {
        stack_.reset();
        connects();
        arrives(syn_ack(1).mss(1000).ecn("W").marked(c.mark));
        EXPECT_EQ(ace_of(sent_one()), c.code);
    }
}
// Proves: 9768-M2
TEST_F(AccurateEcn, WhatNobodyAsksForYetIsTakenAsAskingForIt) {  // §3.1.3
    for (const char* flags : {"A", "W", "E", "EA", "WA"}) {
        stack_.reset();
        listens();
        arrives(syn().mss(1000).ecn(flags));
        EXPECT_EQ(ace_of(sent_one()), 2u) << flags;
    }
}
TEST_F(AccurateEcn, AnswersOfAllKinds) {  // §3.1.2, §3.1.3, table 2
    const EcnMode kind[] = {EcnMode::none,     EcnMode::classic,  EcnMode::accurate,
                            EcnMode::accurate, EcnMode::accurate, EcnMode::accurate,
                            EcnMode::accurate, EcnMode::none};
    for (unsigned code = 0; code < 8; ++code) {
        stack_.reset();
        EXPECT_EQ(connects().ecn, "EWA");
        arrives(syn_ack(1).mss(1000).ace(code));
        (void)sent_one();
        EXPECT_EQ(status().has_ecn, kind[code] != EcnMode::none) << code;
        EXPECT_EQ(status().has_accecn, kind[code] == EcnMode::accurate) << code;
        writes("x");
        // Our SYN can't have come with a mark: somebody writes into the field (§3.2.2.3).
        const bool lie = code == 3 || code == 4 || code == 6;
        EXPECT_EQ(sent_one().mark, kind[code] == EcnMode::none || lie ? kNotEct : kEct0) << code;
    }
}
TEST_F(AccurateEcn, ThirdsOfAllKinds) {  // table 4
    for (unsigned code = 0; code < 8; ++code) {
        stack_.reset();
        listens();
        arrives(syn().mss(1000).ecn("EWA"));
        (void)sent_one();
        arrives(ack(1, 1).ace(code));
        connection = stack().accept(listener, now).value();
        EXPECT_TRUE(status().has_accecn);
        EXPECT_EQ(status().delivered_marked, 0u);
        writes("x");
        const bool lie = code == 0 || code == 3 || code == 4 || code == 6;
        EXPECT_EQ(sent_one().mark, lie ? kNotEct : kEct0) << code;
    }
}
TEST_F(AccurateEcn, BothOpen) {
    connects();
    arrives(syn().mss(1000).ecn("EWA"));
    const Sent second = sent_one();
    EXPECT_EQ(second.flags, "SA");
    EXPECT_EQ(ace_of(second), 2u);
    arrives(ack(1, 1).ecn("W"));
    EXPECT_TRUE(status().has_accecn);
}
TEST_F(AccurateEcn, TheThirdIsBareThoughDataWaits) {  // §3.2.2.1
    connects();
    writes("early");
    arrives(syn_ack(1).mss(1000).ecn("W"));
    const auto all = sent();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].length, 0u);
    EXPECT_EQ(ace_of(all[0]), 2u);
    EXPECT_EQ(all[1].length, 5u);
    EXPECT_EQ(ace_of(all[1]), 5u);
    EXPECT_EQ(all[1].mark, kEct0);
}
TEST_F(AccurateEcn, ASynIsTriedTwice) {  // §3.1.4.1
    EXPECT_EQ(connects().ecn, "EWA");
    EXPECT_EQ(next_timeout().front().ecn, "EWA");
    EXPECT_EQ(next_timeout().front().ecn, "");
    EXPECT_EQ(count(Decision::tcp_note_ecn_given_up), 1u);
}
TEST_F(AccurateEcn, ASynAckIsTriedTwiceAndOnceWithOption) {  // §3.1.4.2, §3.2.3.2.2
    listens();
    arrives(syn().mss(1000).ecn("EWA"));
    const Sent first = sent_one();
    EXPECT_EQ(first.options.accurate_ecn, counters(1, 0, 1));
    const Sent second = next_timeout().front();
    EXPECT_EQ(ace_of(second), 2u);
    EXPECT_FALSE(second.options.accurate_ecn.has_value());
    EXPECT_EQ(ace_of(next_timeout().front()), 0u);
}
TEST_F(AccurateEcn, ACookieIsRememberedByTheThird) {  // §5.1
    config.syn_cookies = 2;
    listens();
    arrives(syn().mss(1460).ecn("EWA"));
    EXPECT_EQ(ace_of(sent_one()), 2u);
    arrives(ack(1, 1).ecn("W"));
    connection = stack().accept(listener, now).value();
    EXPECT_TRUE(status().has_accecn);
    writes("x");
    EXPECT_EQ(sent_one().mark, kEct0);
}

// Proves: 9768-M4
TEST_F(AccurateEcn, MarksAreCounted) {  // §3.2.2
    server();
    for (unsigned n = 1; n <= 9; ++n) {
        arrives(text().marked(kCongested));
        const auto all = wait(seconds(1));
        ASSERT_FALSE(all.empty());
        EXPECT_EQ(ace_of(all.back()), (5 + n) % 8);
    }
    EXPECT_EQ(status().received_marked, 9u);
    writes("x");
    EXPECT_EQ(ace_of(sent_one()), (5u + 9) % 8);
}
// Proves: 9768-M5
TEST_F(AccurateEcn, TheFirstMarkIsToldAtOnce) {  // §3.2.2.5.1
    config.quick_acks = 0;
    server();
    arrives(text(10).marked(kEct0));
    (void)wait(seconds(1));
    for (int i = 0; i < 20; ++i) {
        arrives(text(10).marked(kEct0));
        (void)wait(seconds(1));
    }
    arrives(text(10).marked(kEct0));
    sends_nothing();
    arrives(text(10).marked(kCongested));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_ack_congestion);
    // And the second after that, before the counter could wrap.
    arrives(text(10).marked(kCongested));
    sends_nothing();
    arrives(text(10).marked(kCongested));
    EXPECT_EQ(ace_of(sent_one()), 0u);
}
// Proves: 9768-M7
TEST_F(AccurateEcn, OctetsAreToldWithTheOption) {  // §3.2.3
    server(true);
    arrives(text(100).marked(kEct0));
    EXPECT_EQ(wait(seconds(1)).back().options.accurate_ecn, counters(101, 0, 1));
    arrives(text(200).marked(kCongested));
    EXPECT_EQ(wait(seconds(1)).back().options.accurate_ecn, counters(101, 200, 1));
    arrives(text(50).marked(kEct1));
    const AccurateEcnOption other{true, 3, {51, 200, 101}};
    EXPECT_EQ(wait(seconds(1)).back().options.accurate_ecn, other);
}
TEST_F(AccurateEcn, NoOptionToOneWhoHasNone) {
    server(false);
    arrives(text(100).marked(kCongested));
    EXPECT_FALSE(wait(seconds(1)).back().options.accurate_ecn.has_value());
}
TEST_F(AccurateEcn, NoOptionWhereItIsSwitchedOff) {
    config.accecn_option = 0;
    server(true);
    arrives(text(100).marked(kCongested));
    EXPECT_FALSE(wait(seconds(1)).back().options.accurate_ecn.has_value());
}
TEST_F(AccurateEcn, TheOptionRidesOnDataOnlyWhenItIsNews) {
    server(true);
    arrives(text(100).marked(kEct0));
    writes(std::string(3000, 'a'));
    const auto all = sent();
    std::size_t octets = 0;
    for (const Sent& s : all) {
        octets += s.length;
    }
    EXPECT_EQ(octets, 3000u);
    EXPECT_TRUE(all.front().options.accurate_ecn.has_value());
    arrives(ack(from_, 3001).ace(5));
    writes(std::string(1000, 'b'));
    EXPECT_FALSE(sent_one().options.accurate_ecn.has_value());
}

TEST_F(AccurateEcn, TheCounterTellsHowManyWereMarked) {
    client();
    writes(std::string(5000, 'a'));
    (void)sent();
    arrives(ack(1, 2001).ace(6));
    EXPECT_EQ(status().delivered_marked, 1u);
    arrives(ack(1, 5001).ace(5 + 1 + 3));
    EXPECT_EQ(status().delivered_marked, 4u);
}
TEST_F(AccurateEcn, AnAckThatTellsNothingNewIsNotRead) {
    client();
    writes(std::string(3000, 'a'));
    (void)sent();
    arrives(ack(1, 3001).ace(7));
    EXPECT_EQ(status().delivered_marked, 2u);
    arrives(ack(1, 3001).ace(6));  // it was overtaken
    EXPECT_EQ(status().delivered_marked, 2u);
}
// Proves: 9768-M6
TEST_F(AccurateEcn, TheCounterMayHaveWrapped) {  // §3.2.2.5.2
    client();
    writes(std::string(1'000, 'a'));
    (void)sent();
    arrives(ack(1, 1'001).ace(5));
    writes(std::string(10'000, 'a'));
    ASSERT_GE(sent().size(), 1u);
    arrives(ack(1, 11'001).ace(5 + 1));
    EXPECT_EQ(status().delivered_marked, 9u);  // 1, or 9: the worse
}
TEST_F(AccurateEcn, ButNotWhereAcksUsuallyTellOfMany) {  // "prevailing conditions"
    client();
    writes(std::string(10'000, 'a'));
    ASSERT_GE(sent().size(), 1u);
    arrives(ack(1, 10'001).ace(5 + 1));
    EXPECT_EQ(status().delivered_marked, 1u);
}
TEST_F(AccurateEcn, UnlessTheOptionSaysThatItHasNot) {
    client(true);
    writes(std::string(10'000, 'a'));
    ASSERT_GE(sent().size(), 1u);
    Seg news = ack(1, 10'001).ace(5 + 1);
    news.options.accurate_ecn = counters(9001, 1000, 1);
    arrives(news);
    EXPECT_EQ(status().delivered_marked, 1u);
    EXPECT_EQ(status().octets_delivered, (EcnOctets{9000, 0, 1000}));
}
TEST_F(AccurateEcn, AndTheOptionMayConfirmIt) {
    client(true);
    writes(std::string(10'000, 'a'));
    ASSERT_GE(sent().size(), 1u);
    Seg news = ack(1, 10'001).ace(5 + 1);
    news.options.accurate_ecn = counters(1001, 9000, 1);
    arrives(news);
    EXPECT_EQ(status().delivered_marked, 9u);
}
TEST_F(AccurateEcn, AClearedCounterEndsIt) {  // §3.2.2.4
    client();
    writes(std::string(500, 'a'));
    EXPECT_EQ(sent_one().mark, kEct0);
    arrives(ack(1, 501).ace(0));
    EXPECT_EQ(count(Decision::tcp_note_ecn_mangled), 1u);
    EXPECT_EQ(status().delivered_marked, 0u);
    writes(std::string(500, 'b'));
    const Sent s = sent_one();
    EXPECT_EQ(s.mark, kNotEct);
    EXPECT_EQ(ace_of(s), 5u);  // what comes is counted all the same
}
TEST_F(AccurateEcn, ZeroAfterThreeMarksIsACounter) {
    client();
    writes(std::string(3000, 'a'));
    (void)sent();
    arrives(ack(1, 3001).ace(0));
    EXPECT_EQ(count(Decision::tcp_note_ecn_mangled), 0u);
    EXPECT_EQ(status().delivered_marked, 3u);
}
TEST_F(AccurateEcn, AClearedOptionIsIgnored) {  // §3.2.3.2.4
    client(true);
    writes(std::string(1'000, 'a'));
    (void)sent();
    arrives(ack(1, 1'001).ace(5));
    writes(std::string(10'000, 'a'));
    (void)sent();
    Seg news = ack(1, 11'001).ace(5 + 1);
    news.options.accurate_ecn = counters(0, 0, 0);
    arrives(news);
    EXPECT_EQ(count(Decision::tcp_note_ecn_option_mangled), 1u);
    EXPECT_EQ(status().delivered_marked, 9u);
    EXPECT_EQ(status().octets_delivered, EcnOctets{});
}
TEST_F(AccurateEcn, NoSegmentSaysCwr) {  // §3.2: the flag has another meaning
    client();
    writes(std::string(500, 'a'));
    (void)sent();
    (void)next_timeout();
    arrives(ack(1, 501).ace(5));
    writes(std::string(500, 'b'));
    EXPECT_EQ(ace_of(sent_one()), 5u);
}

}  // namespace
}  // namespace runnel::story
