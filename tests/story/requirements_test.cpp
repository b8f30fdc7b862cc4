// Numbered requirements of RFC 9293 that no other story tells: one test for each rule, named by it. The page
// docs/rfc9293.md is made from the lines that say what a test proves.
#include "story.hpp"

namespace runnel::story {
namespace {

class Requirements : public Story {
public:
    /// The octets of data in what was sent.
    static std::uint32_t octets(const std::vector<Sent>& all) {
        std::uint32_t total = 0;
        for (const Sent& s : all) {
            total += s.length;
        }
        return total;
    }
    std::uint8_t ready() { return stack().readiness(connection).bits; }
    bool woken() {
        std::vector<UserEvent> events;
        stack().take_events(events);
        return !events.empty();
    }
};

// --- §3.9.1.2: PUSH --------------------------------------------------------------------------------------

// Proves: MAY-15, SHLD-27
TEST_F(Requirements, ASendMayLeaveThePushToALaterOne) {
    established();
    writes("a", {.more = true});
    sends_nothing();
    writes("b");
    const Sent both = sent_one();
    EXPECT_EQ(both.data, "ab");
    EXPECT_EQ(both.flags, "PA");
}

// --- §3.1, §3.8.6: windows -------------------------------------------------------------------------------

// Proves: MUST-1
TEST_F(Requirements, AWindowAbove32767IsNoNegativeNumber) {
    config.congestion_control = CongestionControl::fixed;
    config.initial_window_segments = 1000;
    established(syn_ack(1).mss(1000).win(65'535));
    arrives(ack(1, 1).win(65'535));
    writes(std::string(100'000, 'x'));
    EXPECT_EQ(octets(sent()), 65'000u) << "all whole segments that fit";
}

// Proves: REC-1
TEST_F(Requirements, AWindowMayBeAGigabyte) {
    established(syn_ack(1).mss(1000).wscale(14));
    arrives(ack(1, 1).win(65'535));
    EXPECT_EQ(status().snd_wnd, std::uint64_t{65'535} << 14);
}

// Proves: SHLD-14
TEST_F(Requirements, TheRightEdgeOfOurWindowNeverMovesBack) {
    ConnectionOptions options;
    options.receive_buffer = 10'000;
    established(syn_ack(1).mss(1000), options);
    std::uint32_t edge = 0;
    options.receive_buffer = 4000;  // less than has been promised
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    for (std::uint32_t seq = 1; seq < 10'001; seq += 1000) {
        arrives(ack(seq, 1).text(std::string(1000, 'x')));
        for (const Sent& s : wait(milliseconds(200))) {
            EXPECT_GE(s.ack + s.window, edge);
            edge = s.ack + s.window;
        }
    }
    EXPECT_EQ(edge, 10'001u) << "all that was promised was taken";
    EXPECT_EQ(reads().size(), 10'000u);
}

// Proves: MUST-34, SHLD-15, SHLD-16, MAY-7, 7323-M6
TEST_F(Requirements, AShrunkWindowGetsOldDataAndNoNew) {
    established(syn_ack(1).mss(1000).win(4000));
    writes(std::string(8000, 'x'));
    EXPECT_EQ(octets(sent()), 4000u);
    arrives(ack(1, 1).win(1500));  // it had promised 4000
    sends_nothing();
    std::uint32_t highest = 0;
    bool within = false;
    bool beyond = false;
    for (int i = 0; i < 6; ++i) {
        for (const Sent& s : next_timeout()) {
            highest = std::max(highest, s.seq + s.length);
            within = within || s.seq + s.length <= 1501;
            beyond = beyond || s.seq + s.length > 1501;
        }
        arrives(ack(1, i < 3 ? 1 : 1001).win(500));
        for (const Sent& s : sent()) {
            highest = std::max(highest, s.seq + s.length);
            beyond = beyond || s.seq + s.length > 1501;
        }
    }
    EXPECT_TRUE(within) << "old data within the window is sent again";
    EXPECT_TRUE(beyond) << "and a segment of it beyond the edge";
    EXPECT_LE(highest, 4001u) << "nothing new";
    EXPECT_EQ(state(), State::established);
}

// Proves: SHLD-29, SHLD-30, MUST-36
TEST_F(Requirements, TheFirstProbeComesAfterAnRtoTheOthersLater) {
    established(syn_ack(1).mss(1000).win(1000));
    writes(std::string(3000, 'x'));
    (void)sent();
    arrives(ack(1, 1001).win(0));
    sends_nothing();
    const Duration rto = status().rto;
    const Instant closed = now;
    Duration before = {};
    for (int i = 0; i < 5; ++i) {
        const Instant last = now;
        const auto probe = next_timeout();
        ASSERT_EQ(probe.size(), 1u);
        EXPECT_EQ(probe[0].reason, Decision::tcp_transmit_window_probe);
        if (i == 0) {
            EXPECT_EQ((now - closed).millis(), rto.millis());
        } else {
            EXPECT_EQ((now - last).millis(), 2 * before.millis());
        }
        before = now - last;
        arrives(ack(1, 1001).win(0));
        sends_nothing();
    }
}

// Proves: MUST-38
TEST_F(Requirements, AWindowThatOpensAnOctetGetsNoOctet) {
    established(syn_ack(1).mss(1000).win(2000));
    writes(std::string(5000, 'x'));
    EXPECT_EQ(octets(sent()), 2000u);
    arrives(ack(1, 2001).win(0));
    sends_nothing();
    arrives(ack(1, 2001).win(10));
    sends_nothing();
    arrives(ack(1, 2001).win(999));
    sends_nothing();
    arrives(ack(1, 2001).win(1000));  // half of all it ever offered, and a whole segment
    EXPECT_EQ(octets(sent()), 1000u);
}

// Proves: MUST-66
TEST_F(Requirements, AClosedWindowHidesNeitherUrgentDataNorAReset) {
    ConnectionOptions options;
    options.receive_buffer = 4000;
    established(syn_ack(1).mss(1000), options);
    arrives(ack(1, 1).text(std::string(4000, 'x')));
    EXPECT_EQ(sent_one().window, 0u);
    arrives(ack(4001, 1).text("!").urg(1));
    EXPECT_NE(ready() & Readiness::kUrgent, 0);
    EXPECT_EQ(reads(4000).size(), 4000u);
    EXPECT_EQ(sent().back().window, 4000u);
    arrives(ack(4001, 1).text(std::string(4000, 'x')));
    EXPECT_EQ(wait(milliseconds(200)).back().window, 0u);
    arrives(rst(8001));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_reset);
}

// --- §3.8.5: urgent data ---------------------------------------------------------------------------------

// Proves: MUST-31, MUST-62
TEST_F(Requirements, UrgentDataMayBeLongerThanItsPointerReaches) {
    config.congestion_control = CongestionControl::fixed;
    config.initial_window_segments = 1000;
    established(syn_ack(1).mss(1000).wscale(4));
    arrives(ack(1, 1).win(65'535));
    const std::uint32_t size = 70'000;
    EXPECT_EQ(writes(std::string(size, 'x'), {.urgent = true}), size);
    for (const Sent& s : sent()) {
        ASSERT_NE(s.flags.find('U'), std::string::npos) << s.seq;
        const std::uint32_t left = size + 1 - s.seq;  // to the octet after the urgent data
        EXPECT_EQ(s.urgent, std::min(left, 65'535u)) << s.seq;
    }
    arrives(ack(1, size + 1).win(65'535));
    writes("calm");
    EXPECT_EQ(sent_one().flags.find('U'), std::string::npos);
}

// Proves: MUST-32, MUST-33, MUST-47
TEST_F(Requirements, EachAdvanceOfTheUrgentPointerIsTold) {
    established();
    (void)woken();
    arrives(ack(1, 1).urg(100));  // long before its data
    EXPECT_TRUE(woken());
    EXPECT_NE(ready() & Readiness::kUrgent, 0);
    arrives(ack(1, 1).urg(50));  // it never moves back
    EXPECT_FALSE(woken());
    arrives(ack(1, 1).urg(200));
    EXPECT_TRUE(woken());
    arrives(ack(1, 1).text(std::string(199, 'x')));
    EXPECT_EQ(reads().size(), 199u);
    EXPECT_TRUE(stack().at_urgent_mark(connection))
        << "there is more urgent data, and it comes next";
}

// --- §3.7.1: segment sizes -------------------------------------------------------------------------------

// Proves: MUST-15, SHLD-5, MUST-67
TEST_F(Requirements, Ipv6HasItsOwnSizes) {
    tuple.local.address = *parse_ip_address("fd00::1");
    tuple.remote.address = *parse_ip_address("fd00::2");
    EXPECT_EQ(connects().options.mss, 1440);
    arrives(syn_ack(1));
    (void)sent();
    EXPECT_EQ(status().snd_mss, 1220u);
}

// Proves: MUST-16
TEST_F(Requirements, OptionsAndThePathComeOutOfTheSegment) {
    config.timestamps = true;
    established(syn_ack(1).mss(1460).ts(1, 0));
    EXPECT_EQ(status().snd_mss, 1460u - 12);
    writes(std::string(5000, 'x'));
    for (const Sent& s : sent()) {
        EXPECT_LE(s.gso_size == 0 ? s.length : s.gso_size, 1448u);
    }
    tuple.remote.port = 2001;
    path_mtu = 1000;  // narrower than what the peer would take
    established(syn_ack(1).mss(1460).ts(1, 0));
    EXPECT_EQ(status().snd_mss, 1000u - 40 - 12);
}

// Proves: SHLD-6, MUST-67
TEST_F(Requirements, TheAnnouncedSizeFollowsTheMtuOfTheWay) {
    EXPECT_EQ(connects().options.mss, 1460);
    tuple.remote.port = 2001;
    path_mtu = 1400;
    EXPECT_EQ(connects().options.mss, 1360);
}

// Proves: MUST-65
TEST_F(Requirements, OnlyASynCarriesTheSize) {
    established(syn_ack(1).mss(1000).sack_ok());
    writes("x");
    arrives(ack(5, 1).text("gap"));
    stack().close(connection, now);
    auto all = sent();
    const auto again = next_timeout();
    all.insert(all.end(), again.begin(), again.end());
    ASSERT_GE(all.size(), 2u);
    for (const Sent& s : all) {
        EXPECT_FALSE(s.options.mss.has_value()) << s.flags;
    }
}

// --- §3.5, §3.9.1.1: opening -----------------------------------------------------------------------------

// Proves: MUST-11
TEST_F(Requirements, AResetInSynReceivedEndsAnActiveOpenAndNotAPassiveOne) {
    connects();
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
    EXPECT_EQ(state(), State::syn_received);
    arrives(rst(1));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_refused);
    // Under a listener it goes without a word, and the next SYN is answered.
    tuple.remote.port = 2001;
    listens();
    arrives(syn());
    EXPECT_EQ(sent_one().flags, "SA");
    arrives(rst(1));
    sends_nothing();
    arrives(syn());
    EXPECT_EQ(sent_one().flags, "SA");
}

// Proves: MUST-41, MUST-42
TEST_F(Requirements, AListenAndConnectionsOfItsPortLeaveEachOtherAlone) {
    connects();  // SYN-SENT from port 1000
    listens();   // on port 1000
    EXPECT_EQ(state(), State::syn_sent);
    const auto refused = stack().listen(tuple.local, false, 10, {});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Errc::address_in_use);
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(sent_one().flags, "A");
    EXPECT_EQ(state(), State::established);
    tuple.remote.port = 2001;
    arrives(syn());
    EXPECT_EQ(sent_one().flags, "SA") << "the first listener still answers";
    // SYN-RECEIVED: another LISTEN on the same port once the first is gone.
    stack().close_listener(listener, now);
    (void)sent();
    listens();
}

// Proves: MUST-46
TEST_F(Requirements, NobodyConnectsToAGroup) {
    for (const char* address : {"224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"}) {
        const IpAddress to = *parse_ip_address(address);
        const IpAddress from = *parse_ip_address(to.is_v4() ? "10.0.0.1" : "fd00::1");
        const auto result = stack().connect({from, 0}, {to, 80}, 1500, {}, now);
        ASSERT_FALSE(result.has_value()) << address;
        EXPECT_EQ(result.error(), Errc::argument_invalid);
    }
    sends_nothing();
}

// --- §3.5.3, §3.6.1: closing -----------------------------------------------------------------------------

// Proves: SHLD-2
TEST_F(Requirements, AResetMayCarryText) {
    established();
    arrives(rst(1).text("why"));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_reset);
}

// Proves: SHLD-4, MAY-2
TEST_F(Requirements, TimestampsProveThatASynOutOfTimeWaitIsNew) {
    config.timestamps = true;
    accepted(syn().mss(1000).ts(5000, 0));
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2).ts(5010, 0));
    (void)sent();
    Seg again = syn().mss(1000).ts(5011, 0);
    again.seq = 0xffff'0000;  // lower than the old connection's, which alone would prove nothing
    Seg old = again;
    old.options.timestamps->value = 5009;
    arrives(old);
    EXPECT_EQ(sent_one().flags, "A");
    arrives(again);
    EXPECT_EQ(sent_one().flags, "SA");
}

// Proves: SHLD-4
TEST_F(Requirements, AnActiveOpenTakesTimeWaitOverWithTimestamps) {
    config.timestamps = true;
    config.congestion_control = CongestionControl::fixed;
    config.initial_window_segments = 1000;
    established(syn_ack(1).mss(1000).wscale(7).ts(5000, 0));
    arrives(ack(1, 1).ts(5000, 0));
    // More octets in a second than the clock of the ISN counts: that alone would begin among the old ones.
    const std::uint32_t size = 400'000;
    EXPECT_EQ(writes(std::string(size, 'x')), size);
    EXPECT_EQ(octets(sent()), size);
    const std::uint32_t old_next = our_iss + size + 2;
    const auto ends = [this](std::uint32_t octets) {
        stack().close(connection, now);
        (void)sent();
        arrives(fin(1, octets + 2).ts(5010, 0));
        (void)sent();
    };
    ends(size);
    const auto open = [this] {
        return stack().connect(tuple.local, tuple.remote, path_mtu, {}, now);
    };
    pass(seconds(1));
    const auto early = open();
    ASSERT_FALSE(early.has_value());
    EXPECT_EQ(early.error(), Errc::address_in_use);
    pass(milliseconds(1));
    const auto later = open();
    ASSERT_TRUE(later.has_value());
    EXPECT_EQ(sent_one().flags, "S");
    EXPECT_GE(static_cast<std::int32_t>(our_iss - old_next), 65'537);
    // Without timestamps nothing proves which is which: the tuple stays taken.
    config.timestamps = false;
    tuple.remote.port = 2001;
    stack_.reset();
    established(syn_ack(1).mss(1000));
    ends(0);
    pass(seconds(30));
    EXPECT_FALSE(open().has_value());
}

// --- §3.10.7.4: acknowledging ----------------------------------------------------------------------------

// Proves: MUST-58, MUST-59
TEST_F(Requirements, WhatArrivesTogetherIsAcknowledgedTogether) {
    established(syn_ack(1).mss(1000));
    for (std::uint32_t i = 0; i < 8; ++i) {
        arrives(ack(1 + 1000 * i, 1).text(std::string(1000, 'x')));
    }
    EXPECT_EQ(sent_one().ack, 8001u);
}

// --- §3.9.2, §3.9.1.9: what IP is told -------------------------------------------------------------------

// Proves: MUST-49, MUST-48, SHLD-21, SHLD-22
TEST_F(Requirements, HopLimitAndDiffservAreTheUsers) {
    config.hop_limit = 99;
    connects();
    ConnectionOptions options;
    options.traffic_class = 0xb8;  // EF
    options.hop_limit = 3;
    tuple.remote.port = 2001;
    const Sent first = connects(options);
    EXPECT_EQ(first.traffic_class, 0xb8);
    EXPECT_EQ(first.hop_limit, 3);
    arrives(ack(500, 300));  // somebody's old ACK: a reset answers it
    const Sent reset = sent_one();
    EXPECT_EQ(reset.flags, "R");
    EXPECT_EQ(reset.traffic_class, 0xb8);
    EXPECT_EQ(reset.hop_limit, 3);
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(sent_one().traffic_class, 0xb8);
    options.traffic_class = 0x20;
    options.hop_limit = 0;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    writes("x");
    const Sent data = sent_one();
    EXPECT_EQ(data.traffic_class, 0x20);
    EXPECT_EQ(data.hop_limit, 99) << "the host's";
    // To the last: TIME-WAIT too.
    arrives(ack(1, 2));
    stack().close(connection, now);
    EXPECT_EQ(sent_one().traffic_class, 0x20);
    arrives(fin(1, 3));
    EXPECT_EQ(sent_one().traffic_class, 0x20);
    pass(seconds(1));
    arrives(fin(1, 3));
    EXPECT_EQ(sent_one().traffic_class, 0x20);
}

// --- §3.8.3: failures, §3.9.1.8: reports -----------------------------------------------------------------

// Proves: MUST-20, SHLD-9, SHLD-10, MUST-47
TEST_F(Requirements, R1SendsIpToLookAndTellsTheUser) {
    established();
    (void)woken();
    writes("x");
    (void)sent();
    std::vector<IpAddress> suspects;
    for (std::uint32_t tries = 1; tries <= 3; ++tries) {
        EXPECT_EQ(next_timeout().size(), 1u);
        stack().take_suspects(suspects);
        EXPECT_TRUE(suspects.empty()) << tries;
    }
    EXPECT_EQ(ready() & Readiness::kReport, 0);
    EXPECT_FALSE(woken());
    EXPECT_EQ(next_timeout().size(), 1u);  // three retransmissions have brought nothing
    stack().take_suspects(suspects);
    EXPECT_EQ(suspects, std::vector<IpAddress>{tuple.remote.address});
    EXPECT_TRUE(woken());
    EXPECT_NE(ready() & Readiness::kReport, 0);
    EXPECT_EQ(ready() & Readiness::kError, 0) << "nothing has ended";
    const ErrorReport report = stack().take_report(connection);
    EXPECT_EQ(report.reason, ErrorReport::Reason::retransmissions);
    EXPECT_EQ(report.error, Errc::timed_out);
    EXPECT_EQ(stack().take_report(connection).reason, ErrorReport::Reason::none);
    EXPECT_EQ(next_timeout().size(), 1u);
    stack().take_suspects(suspects);
    EXPECT_EQ(suspects.size(), 1u) << "IP is told each time, the user once";
    EXPECT_FALSE(woken());
    arrives(ack(1, 2));
    writes("y");
    (void)sent();
    EXPECT_EQ(next_timeout().size(), 1u);
    stack().take_suspects(suspects);
    EXPECT_TRUE(suspects.empty()) << "counted anew after an answer";
}

// Proves: MUST-22, SHLD-9
TEST_F(Requirements, R1OfASynIsTheSame) {
    connects();
    std::vector<IpAddress> suspects;
    for (int tries = 1; tries <= 4; ++tries) {
        EXPECT_TRUE(suspects.empty()) << tries;
        EXPECT_EQ(next_timeout().size(), 1u);
        stack().take_suspects(suspects);
    }
    EXPECT_EQ(suspects.size(), 1u);
    EXPECT_EQ(stack().take_report(connection).reason, ErrorReport::Reason::retransmissions);
}

// Proves: SHLD-20
TEST_F(Requirements, WhoWantsNoReportsGetsNone) {
    ConnectionOptions options;
    options.mute_reports = true;
    established(syn_ack(1).mss(1000), options);
    (void)woken();
    writes("x");
    (void)sent();
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(next_timeout().size(), 1u);
    }
    EXPECT_FALSE(woken());
    EXPECT_EQ(ready() & Readiness::kReport, 0);
    EXPECT_EQ(stack().take_report(connection).reason, ErrorReport::Reason::none);
}

// Proves: MUST-56, SHLD-25, MUST-54, MUST-47
TEST_F(Requirements, ASoftIcmpErrorIsToldAndEndsNothing) {
    for (const bool opening : {true, false}) {
        tuple.remote.port = opening ? 2000 : 2001;
        opening ? (void)connects() : established();
        writes("x");
        (void)sent();
        (void)woken();
        IcmpReport icmp;
        icmp.tuple = tuple;
        icmp.quoted_seq = SeqNum{our_iss} + (opening ? 0 : 1);
        icmp.error = Errc::host_unreachable;
        EXPECT_TRUE(stack().on_icmp(icmp, now));
        EXPECT_TRUE(woken());
        EXPECT_EQ(state(), opening ? State::syn_sent : State::established);
        EXPECT_EQ(ready() & Readiness::kError, 0);
        const ErrorReport report = stack().take_report(connection);
        EXPECT_EQ(report.reason, ErrorReport::Reason::icmp);
        EXPECT_EQ(report.error, Errc::host_unreachable);
        // What it said is the reason when nothing helps.
        while (!next_timeout().empty()) {
        }
        EXPECT_EQ(stack().take_error(connection), Errc::host_unreachable);
    }
}

// Proves: SHLD-26
TEST_F(Requirements, AHardIcmpErrorEndsAnOpeningAndByTheLetterEverything) {
    const auto hard = [this](std::uint32_t seq) {
        IcmpReport icmp;
        icmp.tuple = tuple;
        icmp.quoted_seq = SeqNum{our_iss} + seq;
        icmp.hard = true;
        icmp.error = Errc::connection_refused;
        return stack().on_icmp(icmp, now);
    };
    connects();
    EXPECT_TRUE(hard(0));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_refused);
    tuple.remote.port = 2001;
    connects();
    arrives(syn().mss(1000));
    (void)sent();
    EXPECT_TRUE(hard(0));
    EXPECT_EQ(stack().take_error(connection), Errc::connection_refused) << "SYN-RECEIVED opens too";
    for (const bool letter : {false, true}) {
        config.icmp_aborts = letter;
        stack_.reset();
        established();
        writes("x");
        (void)sent();
        EXPECT_TRUE(hard(1));
        EXPECT_EQ(state(), letter ? State::closed : State::established);
    }
}

// --- §3.8.4: keep-alives ---------------------------------------------------------------------------------

// Proves: MUST-25, MUST-24, MUST-28
TEST_F(Requirements, KeepAlivesAreAskedForAndThenWaitTwoHours) {
    established();
    EXPECT_TRUE(wait(seconds(100'000)).empty());
    ConnectionOptions options;
    options.keepalive = true;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    arrives(ack(1, 1));
    const Instant last = now;
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ((now - last).seconds(), 7200);
    arrives(ack(1, 1));
    options.keepalive = false;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_TRUE(wait(seconds(100'000)).empty());
}

// Proves: MUST-26
TEST_F(Requirements, KeepAlivesAreOnlySentWhenNothingElseIs) {
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(10);
    established(syn_ack(1).mss(1000), options);
    for (int i = 0; i < 5; ++i) {  // data comes every nine seconds
        pass(seconds(9));
        stack().on_timeout(now);
        arrives(ack(static_cast<std::uint32_t>(1 + i), 1).text("x"));
        for (const Sent& s : sent()) {
            EXPECT_NE(s.reason, Decision::tcp_transmit_keepalive);
        }
    }
    writes("y");  // in flight: its own timer asks
    for (const Sent& s : wait(seconds(60))) {
        EXPECT_NE(s.reason, Decision::tcp_transmit_keepalive);
    }
}

}  // namespace
}  // namespace runnel::story
