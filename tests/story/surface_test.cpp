// Stories of what Linux's socket options and flags make of a connection: records, limits of what is unsent, the
// stay in FIN-WAIT-2, ICMP errors for the user, the clamp of the window, signatures.
#include "story.hpp"

#include "runnel/tcp/signature/md5_signature.hpp"

namespace runnel::story {
namespace {

using Surface = Story;

TEST_F(Surface, NoSegmentSpansTheEndOfARecord) {  // MSG_EOR
    ConnectionOptions options;
    options.no_delay = true;
    established(syn_ack(1).mss(1000), options);
    writes(std::string(2500, 'a'), {.end_of_record = true});
    writes(std::string(700, 'b'));
    writes("c");
    const auto all = sent();
    ASSERT_EQ(all.size(), 2u) << describe_all(all);
    EXPECT_EQ(all[0].length, 2500u);
    EXPECT_EQ(all[0].gso_size, 1000u);
    EXPECT_EQ(all[0].flags, "PA");
    EXPECT_EQ(all[1].length, 701u);
}

TEST_F(Surface, ARecordThatIsNotAllTakenHasNoEnd) {
    ConnectionOptions options;
    options.send_buffer = 2500;
    options.no_delay = true;
    established(syn_ack(1).mss(1000), options);
    EXPECT_EQ(writes(std::string(4000, 'a'), {.end_of_record = true}), 2500u);
    EXPECT_EQ(sent().size(), 1u);
    arrives(ack(1, 2501));
    EXPECT_EQ(writes("aa", {.end_of_record = true}), 2u);
    EXPECT_EQ(writes("bb"), 2u);
    const auto all = sent();
    ASSERT_EQ(all.size(), 2u) << describe_all(all);
    EXPECT_EQ(all[0].data, "aa");
    EXPECT_EQ(all[1].data, "bb");
}

TEST_F(Surface, WritableOnlyWithLittleUnsent) {  // TCP_NOTSENT_LOWAT
    ConnectionOptions options;
    options.notsent_lowat = 2000;
    established(syn_ack(1).mss(1000).win(3000), options);
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kWritable, 0);
    writes(std::string(5000, 'x'));
    EXPECT_EQ(writes("y"), 0u) << "5,000 octets are unsent";
    (void)sent();  // 3,000 of them go
    EXPECT_EQ(status().unsent, 2000u);
    EXPECT_EQ(stack().readiness(connection).bits & Readiness::kWritable, 0);
    std::vector<UserEvent> events;
    stack().take_events(events);
    arrives(ack(1, 1001).win(3000));
    (void)sent();
    EXPECT_EQ(status().unsent, 1000u);
    EXPECT_EQ(stack().readiness(connection).bits & Readiness::kWritable, 0) << "half of it must go";
    arrives(ack(1, 2001).win(3000));
    (void)sent();
    EXPECT_EQ(status().unsent, 0u);
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kWritable, 0);
    stack().take_events(events);
    EXPECT_EQ(events.size(), 1u)
        << "the writer is told when the data leaves, not when it is acknowledged";
}

TEST_F(Surface, HowLongAnOrphanStaysInFinWait2) {  // TCP_LINGER2
    ConnectionOptions options;
    options.fin_timeout = seconds(7);
    established(syn_ack(1).mss(1000), options);
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
    arrives(ack(1, 2));
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 7);
    EXPECT_EQ(count(Decision::tcp_note_fin_wait_2_gave_up), 1u);
}

TEST_F(Surface, NoFinWait2AtAll) {
    ConnectionOptions options;
    options.fin_timeout = seconds(-1);
    established(syn_ack(1).mss(1000), options);
    stack().close(connection, now);
    (void)sent();
    arrives(ack(1, 2));
    sends_nothing();
    EXPECT_EQ(stack().sizes().connections, 0u);
    arrives(fin(1, 2));
    EXPECT_EQ(sent_one().flags, "R");
}

TEST_F(Surface, NoFinWait2AfterShutdownEither) {  // tcp_close
    ConnectionOptions options;
    options.fin_timeout = seconds(-1);
    established(syn_ack(1).mss(1000), options);
    EXPECT_TRUE(stack().shutdown_send(connection, now).has_value());
    (void)sent();
    arrives(ack(1, 2));
    EXPECT_EQ(state(), State::fin_wait_2) << "somebody may still read";
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "RA");
}

TEST_F(Surface, IcmpErrorsForWhoWantsThem) {  // IP_RECVERR: tcp_v4_err
    ConnectionOptions options;
    options.receive_errors = true;
    established(syn_ack(1).mss(1000), options);
    writes("x");
    (void)sent();
    IcmpReport report;
    report.tuple = tuple;
    report.quoted_seq = SeqNum{our_iss} + 1;
    report.error = Errc::host_unreachable;
    EXPECT_TRUE(stack().on_icmp(report, now));
    EXPECT_EQ(reads(), "<EHOSTUNREACH>");
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(writes("y"), 1u) << "told once";
}

TEST_F(Surface, TheClampBoundsTheWindow) {  // TCP_WINDOW_CLAMP
    ConnectionOptions options;
    options.window_clamp = 5000;
    connects(options);
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(sent_one().window, 65'535u) << "what the SYN promised stays promised";
    for (std::uint32_t at = 1; at < 80'000; at += 1000) {
        arrives(ack(at, 1).text(std::string(1000, 'd')));
        (void)reads();
        (void)sent();
    }
    EXPECT_LE(status().rcv_wnd, 5000u);
    EXPECT_GE(status().rcv_wnd, 4000u);
}

TEST_F(Surface, AnotherControllerKeepsTheWindow) {  // TCP_CONGESTION
    established();
    ConnectionOptions options;
    options.congestion_control = CongestionControl::fixed;
    EXPECT_TRUE(stack().set_options(connection, options, now).has_value());
    EXPECT_STREQ(status().congestion_control, "fixed");
    EXPECT_EQ(status().cwnd_segments, 10u);
}

// --- RFC 2385 --------------------------------------------------------------------------------------------------

struct Signed : Story {
    Md5Key key;
    Signed() {
        key.peer = tuple.remote.address;
        key.prefix = 32;
        for (const char c : std::string_view("secret")) {
            key.bytes.push_back(static_cast<std::byte>(c));
        }
        config.timestamps = true;
    }
    /// The peer's segment, signed as it should be.
    Seg with_signature(Seg s) {
        const FourTuple theirs{tuple.remote, tuple.local};
        TcpHeader header;
        header.source_port = theirs.local.port;
        header.destination_port = theirs.remote.port;
        header.seq = SeqNum{kPeerIss} + s.seq;
        header.ack = SeqNum{our_iss} + s.ack;
        header.flags.bits = s.flags;
        header.window = static_cast<std::uint16_t>(s.window);
        SliceList payload;
        if (!s.data.empty()) {
            payload.push_back(pool_.copy(as_bytes(s.data)));
        }
        // The story's segments come with a header of 20 octets and options beside it.
        s.options.md5 =
            md5_signature(theirs.local.address, theirs.remote.address, header, 20, payload, key);
        return s;
    }
    void opens() {
        auto result = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now);
        ASSERT_TRUE(result.has_value());
        connection = *result;
        EXPECT_TRUE(stack().set_md5_key(connection, &key, now).has_value());
    }
};

TEST_F(Signed, EverySegmentCarriesASignature) {
    opens();
    const Sent first = sent_one();
    ASSERT_TRUE(first.options.md5);
    EXPECT_FALSE(first.options.timestamps) << "no room beside it";
    arrives(with_signature(syn_ack(1).mss(1000)));
    EXPECT_TRUE(sent_one().options.md5);
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(status().snd_mss, 980u);
    writes(std::string(3000, 'x'));
    const auto all = sent();
    EXPECT_EQ(all.size(), 4u) << "a super-segment could not be signed";
    for (const Sent& s : all) {
        EXPECT_TRUE(s.options.md5);
        EXPECT_EQ(s.gso_size, 0);
    }
    EXPECT_NE(*all[0].options.md5, *all[1].options.md5);
}

TEST_F(Signed, WhatIsNotSignedRightHasNeverCome) {
    opens();
    (void)sent();
    arrives(syn_ack(1).mss(1000));
    EXPECT_EQ(count(Decision::tcp_drop_md5_missing), 1u);
    Seg forged = with_signature(syn_ack(1).mss(1000));
    (*forged.options.md5)[3] ^= std::byte{1};
    arrives(forged);
    EXPECT_EQ(count(Decision::tcp_drop_md5_bad), 1u);
    EXPECT_EQ(state(), State::syn_sent);
    arrives(with_signature(syn_ack(1).mss(1000)));
    EXPECT_EQ(state(), State::established);
    (void)sent();
    arrives(rst(1));
    EXPECT_EQ(state(), State::established) << "nor do resets end it";
    arrives(with_signature(rst(1)));
    EXPECT_EQ(state(), State::closed);
}

TEST_F(Signed, ASignatureNobodyAskedFor) {
    established(syn_ack(1).mss(1000));
    arrives(with_signature(ack(1, 1).text("data")));
    EXPECT_EQ(count(Decision::tcp_drop_md5_unexpected), 1u);
    sends_nothing();
    tuple.remote.port = 9;  // a connection that nobody has
    arrives(with_signature(ack(1, 1)));
    sends_nothing();
}

TEST_F(Signed, TwoSackBlocksFitBesideASignature) {
    opens();
    (void)sent();
    arrives(with_signature(syn_ack(1).mss(1000).sack_ok()));
    (void)sent();
    for (const std::uint32_t at : {11u, 21u, 31u}) {
        arrives(with_signature(ack(at, 1).text("12345")));
    }
    const auto all = sent();
    ASSERT_EQ(all.size(), 3u) << describe_all(all);
    EXPECT_EQ(all[2].options.sack.size(), 2u);
    EXPECT_TRUE(all[2].options.md5);
    EXPECT_EQ(tcp_options_size(all[2].options), 40u);
}

TEST_F(Signed, TimeWaitKeepsTheKey) {
    opens();
    (void)sent();
    arrives(with_signature(syn_ack(1).mss(1000)));
    stack().close(connection, now);
    (void)sent();
    arrives(with_signature(ack(1, 2)));
    arrives(with_signature(fin(1, 2)));
    EXPECT_TRUE(sent_one().options.md5);
    arrives(fin(1, 2));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_md5_missing), 1u);
    arrives(with_signature(fin(1, 2)));
    const Sent again = sent_one();
    EXPECT_EQ(again.reason, Decision::tcp_transmit_ack_time_wait);
    EXPECT_TRUE(again.options.md5);
}

TEST_F(Signed, TheListenersKeyIsItsChildrens) {
    listens();
    EXPECT_TRUE(stack().set_md5_keys(listener, std::span(&key, 1)).has_value());
    arrives(syn().mss(1000).sack_ok().ts(5, 0));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_md5_missing), 1u);
    arrives(with_signature(syn().mss(1000).sack_ok().ts(5, 0)));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_TRUE(answer.options.md5);
    EXPECT_TRUE(answer.options.sack_permitted);
    EXPECT_FALSE(answer.options.timestamps);
    arrives(ack(1, 1));
    EXPECT_FALSE(stack().accept(listener, now).has_value());
    arrives(with_signature(ack(1, 1)));
    EXPECT_TRUE(stack().accept(listener, now).has_value());
    tuple.remote.port = 9;
    arrives(with_signature(ack(5, 5)));
    EXPECT_TRUE(sent_one().options.md5) << "the reset too";
}

}  // namespace
}  // namespace runnel::story
