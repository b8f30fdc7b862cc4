// Stories of TCP Fast Open (RFC 7413): what a server gives and takes, what a client asks, shows and keeps, and
// what becomes of it where the path or the server doesn't want it.
#include "story.hpp"

#include "runnel/tcp/open/fast_open.hpp"

namespace runnel::story {
namespace {

FastOpenOption request(bool experimental = false) {
    FastOpenOption option;
    option.experimental = experimental;
    return option;
}
FastOpenOption cookie_of(std::initializer_list<int> octets) {
    FastOpenOption option;
    for (const int octet : octets) {
        option.octets[option.size++] = static_cast<std::byte>(octet);
    }
    return option;
}
const FastOpenOption kCookie = cookie_of({1, 2, 3, 4, 5, 6, 7, 8});

Seg with(Seg s, const FastOpenOption& option) {
    s.options.fast_open = option;
    return s;
}

// ------------------------------------------------------------------------------------------ the server
class FastOpenServer : public Story {
protected:
    FastOpenServer() {
        config.fast_open = TcpConfig::kFastOpenClient | TcpConfig::kFastOpenServer;
        config.fast_open_keys = FastOpenKeys{SipKey{3, 4}, SipKey{5, 6}};
    }
    void serves(std::uint16_t queue = 5, std::uint32_t backlog = 10) {
        ConnectionOptions options;
        options.fast_open_queue = queue;
        listens(backlog, options);
    }
    FastOpenOption good() const { return fast_open_cookie(SipKey{3, 4}, tuple); }
    FastOpenOption old() const { return fast_open_cookie(SipKey{5, 6}, tuple); }
    bool accepts() {
        const auto got = stack().accept(listener, now);
        connection = got.value_or(connection);
        return got.has_value();
    }
};

TEST_F(FastOpenServer, GivesACookieToWhomAsks) {
    serves();
    arrives(with(syn().mss(1000), request()));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_EQ(answer.options.fast_open, good());
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_EQ(count(Decision::tcp_note_fast_open_cookie_asked), 1u);
    EXPECT_FALSE(accepts()) << "the handshake is not over";
    arrives(ack(1, 1));
    EXPECT_TRUE(accepts());
}

TEST_F(FastOpenServer, AnswersInTheFormItWasAskedIn) {
    serves();
    arrives(with(syn(), request(true)));
    const Sent answer = sent_one();
    ASSERT_TRUE(answer.options.fast_open.has_value());
    EXPECT_TRUE(answer.options.fast_open->experimental);
}

TEST_F(FastOpenServer, TheCookieGoesWithTheFirstSynAckOnly) {
    serves();
    arrives(with(syn(), request()));
    EXPECT_TRUE(sent_one().options.fast_open.has_value());
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_FALSE(again[0].options.fast_open.has_value());
}

TEST_F(FastOpenServer, TakesDataOfWhoShowsACookieBeforeTheHandshakeEnds) {
    serves();
    arrives(with(syn().mss(1000).text("request"), good()));
    EXPECT_EQ(count(Decision::tcp_accept_syn_fast_open), 1u);
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "request");
    EXPECT_EQ(state(), State::syn_received);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_EQ(answer.ack, 8u) << "SYN and data";
    EXPECT_FALSE(answer.options.fast_open.has_value());
    arrives(ack(8, 1));
    EXPECT_EQ(state(), State::established);
    EXPECT_TRUE(status().syn_data);
    arrives(ack(8, 1).text("more"));
    EXPECT_EQ(reads(), "more");
}

TEST_F(FastOpenServer, MayAnswerBeforeTheHandshakeEnds) {
    serves();
    arrives(with(syn().mss(1000).win(3000).text("q"), good()));
    ASSERT_TRUE(accepts());
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kWritable, 0);
    writes(std::string(5000, 'x'));
    const auto all = sent();
    ASSERT_GE(all.size(), 2u);
    EXPECT_EQ(all[0].flags, "SA");
    std::uint32_t octets = 0;
    for (std::size_t i = 1; i < all.size(); ++i) {
        octets += all[i].length;
    }
    EXPECT_LE(octets, 3000u) << "the window of the SYN, unscaled";
    EXPECT_GE(octets, 2000u);
    arrives(ack(2, 1 + octets));
    EXPECT_EQ(state(), State::established);
    EXPECT_FALSE(sent().empty()) << "the rest";
}

TEST_F(FastOpenServer, ACloseBeforeTheHandshakeEndsFollowsIt) {
    serves();
    arrives(with(syn().mss(1000).text("q"), good()));
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "q");
    writes("answer");
    stack().close(connection, now);
    const auto all = sent();
    ASSERT_EQ(all.size(), 2u) << describe_all(all);
    EXPECT_EQ(all[1].data, "answer");
    arrives(ack(2, 7));
    const Sent last = sent_one();
    EXPECT_EQ(last.flags, "FA");
    arrives(fin(2, 8));
    EXPECT_EQ(sent_one().flags, "A");
}

TEST_F(FastOpenServer, ACookieOfAnotherKeyOrClientIsNone) {
    serves();
    arrives(with(syn().text("request"), kCookie));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 1u) << "the data comes again";
    EXPECT_EQ(answer.options.fast_open, good()) << "and the next time it will do";
    EXPECT_EQ(count(Decision::tcp_note_fast_open_bad_cookie), 1u);
    EXPECT_FALSE(accepts());
    arrives(ack(1, 1).text("request"));
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "request");
    EXPECT_FALSE(status().syn_data);
}

TEST_F(FastOpenServer, TheOldKeysCookieOpensAndIsReplaced) {
    serves();
    arrives(with(syn().text("request"), old()));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 8u);
    EXPECT_EQ(answer.options.fast_open, good());
    EXPECT_EQ(count(Decision::tcp_note_fast_open_old_key), 1u);
    EXPECT_TRUE(accepts());
}

TEST_F(FastOpenServer, WithoutDataTheCookieOpensToo) {
    serves();
    arrives(with(syn().mss(1000), good()));
    ASSERT_TRUE(accepts());
    writes("banner");
    const auto all = sent();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[1].data, "banner");
}

TEST_F(FastOpenServer, ListenersThatDoNotWantItKnowNothingOfIt) {
    listens();
    arrives(with(syn().text("request"), good()));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_FALSE(answer.options.fast_open.has_value());
}

TEST_F(FastOpenServer, EveryListenerMayBeToldTo) {
    config.fast_open |= TcpConfig::kFastOpenEveryListener;
    listens();
    arrives(with(syn().text("request"), good()));
    EXPECT_EQ(sent_one().ack, 8u);
}

TEST_F(FastOpenServer, WithoutCookiesWhereTheHostSaysSo) {
    config.fast_open |= TcpConfig::kFastOpenServerNoCookie;
    serves();
    arrives(syn().text("request"));
    EXPECT_EQ(sent_one().ack, 8u);
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "request");
}

TEST_F(FastOpenServer, OnlySoManyAtATime) {
    serves(1);
    tuple.remote.port = 3001;
    arrives(with(syn().text("a"), good()));
    EXPECT_EQ(sent_one().ack, 2u);
    tuple.remote.port = 3002;
    arrives(with(syn().text("b"), good()));
    EXPECT_EQ(sent_one().ack, 1u) << "an ordinary handshake";
    EXPECT_EQ(count(Decision::tcp_note_fast_open_queue_full), 1u);
    tuple.remote.port = 3001;
    ASSERT_TRUE(accepts());
    our_iss = status().iss;
    arrives(ack(2, 1));
    tuple.remote.port = 3003;
    arrives(with(syn().text("c"), good()));
    EXPECT_EQ(sent_one().ack, 2u) << "there is room again";
}

TEST_F(FastOpenServer, AResetKeepsItsPlaceForAMinute) {  // RFC 7413 §5.1
    serves(1);
    tuple.remote.port = 3001;
    arrives(with(syn().text("a"), good()));
    (void)sent_one();
    arrives(rst(2));
    tuple.remote.port = 3002;
    arrives(with(syn().text("b"), good()));
    EXPECT_EQ(sent_one().ack, 1u);
    (void)wait(seconds(61));
    tuple.remote.port = 3003;
    arrives(with(syn().text("c"), good()));
    EXPECT_EQ(sent_one().ack, 2u);
}

TEST_F(FastOpenServer, AResetOfAnAcceptedOneIsAReset) {
    serves();
    arrives(with(syn().text("a"), good()));
    (void)sent_one();
    ASSERT_TRUE(accepts());
    arrives(rst(2));
    EXPECT_EQ(state(), State::closed);
    EXPECT_EQ(stack().take_error(connection), Errc::connection_reset);
}

TEST_F(FastOpenServer, ARepeatedSynGetsTheSameSynAck) {
    serves();
    arrives(with(syn().text("request"), good()));
    EXPECT_EQ(sent_one().ack, 8u);
    arrives(syn());  // the client's timer: without data and option
    const Sent again = sent_one();
    EXPECT_EQ(again.flags, "SA");
    EXPECT_EQ(again.ack, 8u);
}

TEST_F(FastOpenServer, ALostSynAckIsRepeatedAndTheDataBehindItWaits) {
    serves();
    arrives(with(syn().mss(1000).text("q"), good()));
    ASSERT_TRUE(accepts());
    writes("answer");
    EXPECT_EQ(sent().size(), 2u);
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u) << describe_all(again);
    EXPECT_EQ(again[0].flags, "SA");
    EXPECT_EQ(again[0].ack, 2u);
    arrives(ack(2, 1));
    const Sent data = sent_one();
    EXPECT_EQ(data.data, "answer");
    arrives(ack(2, 7));
    EXPECT_EQ(state(), State::established);
}

TEST_F(FastOpenServer, OneTryMoreThanAnEmbryo) {
    config.synack_retries = 2;
    serves();
    arrives(with(syn().text("q"), good()));
    ASSERT_TRUE(accepts());
    (void)sent_one();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(next_timeout().size(), 1u);
    }
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

TEST_F(FastOpenServer, AClosingListenerTakesThoseNobodyAcceptedWithIt) {
    serves();
    arrives(with(syn().text("q"), good()));
    (void)sent_one();
    stack().close_listener(listener, now);
    EXPECT_EQ(sent_one().flags, "RA");
    EXPECT_EQ(stack().sizes().connections, 0u);
}

TEST_F(FastOpenServer, AFullAcceptQueueTakesNoSyn) {
    serves(5, 0);
    tuple.remote.port = 3001;
    arrives(with(syn().text("a"), good()));
    (void)sent_one();
    tuple.remote.port = 3002;
    arrives(with(syn().text("b"), good()));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_accept_queue_full), 1u);
}

TEST_F(FastOpenServer, UnderAFloodCookiesOfTheOtherKindAnswer) {
    config.syn_cookies = 2;
    serves();
    arrives(with(syn().mss(1460).text("q"), good()));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.reason, Decision::tcp_transmit_syn_ack_cookie);
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_FALSE(answer.options.fast_open.has_value());
}

TEST_F(FastOpenServer, AListenerMayHaveKeysOfItsOwn) {
    serves();
    stack().set_fast_open_keys(listener, {SipKey{8, 9}, std::nullopt});
    arrives(with(syn().text("q"), good()));
    EXPECT_EQ(sent_one().ack, 1u);
    tuple.remote.port = 3002;
    arrives(with(syn().text("q"), fast_open_cookie(SipKey{8, 9}, tuple)));
    EXPECT_EQ(sent_one().ack, 2u);
}

// ------------------------------------------------------------------------------------------ the client
class FastOpenClient : public Story {
protected:
    FastOpenClient() { wish.fast_open = true; }
    void opens(ConnectionOptions options) {
        const auto result = stack().connect(tuple.local, tuple.remote, path_mtu, options, now);
        ASSERT_TRUE(result.has_value());
        connection = *result;
    }
    /// A connection that brought `kCookie`, and is gone.
    void has_a_cookie(std::uint16_t mss = 1000) {
        opens(wish);
        const Sent first = sent_one();
        EXPECT_EQ(first.options.fast_open, request());
        arrives(with(syn_ack(1).mss(mss), kCookie));
        (void)sent();
        stack().abort(connection, now);
        (void)sent();
        tuple.local.port = static_cast<std::uint16_t>(tuple.local.port + 1);
    }
    ConnectionOptions wish;
};

TEST_F(FastOpenClient, AsksForACookieWithItsFirstSyn) {
    opens(wish);
    const Sent first = sent_one();
    EXPECT_EQ(first.flags, "S");
    EXPECT_EQ(first.options.fast_open, request());
    EXPECT_EQ(first.reason, Decision::tcp_transmit_syn);
    EXPECT_EQ(stack().fast_open_ready(tuple, wish, now), false);
}

TEST_F(FastOpenClient, WithACookieTheSynWaitsForDataAndTakesItAlong) {
    has_a_cookie();
    EXPECT_TRUE(stack().fast_open_ready(tuple, wish, now));
    opens(wish);
    sends_nothing();
    EXPECT_EQ(state(), State::syn_sent);
    EXPECT_NE(stack().readiness(connection).bits & Readiness::kWritable, 0);
    EXPECT_EQ(writes("request"), 7u);
    const Sent first = sent_one();
    EXPECT_EQ(first.flags, "S");
    EXPECT_EQ(first.reason, Decision::tcp_transmit_syn_data);
    EXPECT_EQ(first.data, "request");
    EXPECT_EQ(first.options.fast_open, kCookie);
    arrives(syn_ack(8).mss(1000).text("answer"));
    const Sent third = sent_one();
    EXPECT_EQ(third.flags, "A");
    EXPECT_EQ(third.seq, 8u);
    EXPECT_EQ(third.ack, 7u);
    EXPECT_EQ(reads(), "answer");
    EXPECT_TRUE(status().syn_data);
    writes("more");
    EXPECT_EQ(sent_one().seq, 8u);
}

TEST_F(FastOpenClient, TheSynTakesWhatFitsBesideAllOptions) {
    has_a_cookie(600);
    opens(wish);
    EXPECT_EQ(writes(std::string(5000, 'x')), 560u) << "the server's MSS less 40 octets of options";
    EXPECT_EQ(sent_one().length, 560u);
}

TEST_F(FastOpenClient, DataNotAcknowledgedGoesAgainAtOnce) {
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    arrives(with(syn_ack(1).mss(1000), kCookie));
    const Sent again = sent_one();
    EXPECT_EQ(again.reason, Decision::tcp_retransmit_syn_data);
    EXPECT_EQ(again.seq, 1u);
    EXPECT_EQ(again.ack, 1u) << "and is the third message, too";
    EXPECT_EQ(again.data, "request");
    EXPECT_EQ(count(Decision::tcp_note_fast_open_refused), 1u);
    EXPECT_FALSE(status().syn_data);
    arrives(ack(1, 8));
    EXPECT_EQ(status().cwnd_segments >= 10, true) << "no congestion";
    EXPECT_EQ(state(), State::established);
}

TEST_F(FastOpenClient, ALostSynGoesAgainWithoutDataAndOption) {
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u) << describe_all(again);
    EXPECT_EQ(again[0].flags, "S");
    EXPECT_EQ(again[0].length, 0u);
    EXPECT_FALSE(again[0].options.fast_open.has_value());
    EXPECT_EQ(again[0].reason, Decision::tcp_retransmit_syn);
    arrives(syn_ack(1).mss(1000));
    const Sent data = sent_one();
    EXPECT_EQ(data.data, "request");
    EXPECT_EQ(data.reason, Decision::tcp_retransmit_syn_data);
    arrives(ack(1, 8));
    EXPECT_EQ(status().send_queue, 0u);
}

TEST_F(FastOpenClient, TheSynAckOfTheFirstSynMayComeAfterTheSecond) {
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    (void)next_timeout();
    arrives(syn_ack(8).mss(1000));
    EXPECT_EQ(sent_one().flags, "A");
    EXPECT_EQ(status().send_queue, 0u);
}

TEST_F(FastOpenClient, WithoutCookieWhereItsUserSaysSo) {
    wish.fast_open_no_cookie = true;
    opens(wish);
    sends_nothing();
    writes("request");
    const Sent first = sent_one();
    EXPECT_EQ(first.data, "request");
    EXPECT_FALSE(first.options.fast_open.has_value());
}

TEST_F(FastOpenClient, AServerThatKnowsOnlyTheOldFormIsAskedInIt) {
    opens(wish);
    (void)sent_one();
    arrives(syn_ack(1));
    (void)sent();
    stack().abort(connection, now);
    (void)sent();
    tuple.local.port = 1001;
    opens(wish);
    EXPECT_EQ(sent_one().options.fast_open, request(true));
    arrives(syn_ack(1));
    (void)sent();
    stack().abort(connection, now);
    (void)sent();
    tuple.local.port = 1002;
    opens(wish);
    EXPECT_EQ(sent_one().options.fast_open, request());
}

TEST_F(FastOpenClient, ACookieNobodyAskedForIsNotKept) {
    opens({});
    EXPECT_FALSE(sent_one().options.fast_open.has_value());
    arrives(with(syn_ack(1), kCookie));
    (void)sent();
    EXPECT_FALSE(stack().fast_open_ready(tuple, wish, now));
}

TEST_F(FastOpenClient, SwitchedOffItIsAnOrdinaryOpen) {
    config.fast_open = 0;
    opens(wish);
    EXPECT_FALSE(sent_one().options.fast_open.has_value());
    EXPECT_EQ(profile_config(Profile::rfc).fast_open, 0u);
}

TEST_F(FastOpenClient, ThreeTimeoutsInARowPauseItForAll) {
    config.fast_open_blackhole_timeout = seconds(100);
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    (void)next_timeout();
    (void)next_timeout();
    EXPECT_TRUE(stack().fast_open_ready(tuple, wish, now));
    (void)next_timeout();
    EXPECT_EQ(count(Decision::tcp_note_fast_open_paused), 1u);
    EXPECT_FALSE(stack().fast_open_ready(tuple, wish, now));
    stack().abort(connection, now);
    tuple.local.port = 1010;
    opens(wish);
    EXPECT_FALSE(sent_one().options.fast_open.has_value()) << "not even asked";
    stack().abort(connection, now);
    pass(seconds(101));
    EXPECT_TRUE(stack().fast_open_ready(tuple, wish, now));
}

TEST_F(FastOpenClient, SimultaneousOpenSendsTheDataAgain) {
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    arrives(syn().mss(1000));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_EQ(answer.length, 0u);
    arrives(ack(1, 1));
    EXPECT_EQ(sent_one().data, "request");
}

TEST_F(FastOpenClient, AResetRefusesAsEver) {
    has_a_cookie();
    opens(wish);
    writes("request");
    (void)sent_one();
    Seg refusal = rst(0);
    refusal.flags |= TcpFlags::kAck;
    refusal.ack = 8;
    arrives(refusal);
    EXPECT_EQ(stack().take_error(connection), Errc::connection_refused);
}

TEST_F(FastOpenClient, ClosedBeforeTheFirstDataNothingIsSent) {
    has_a_cookie();
    opens(wish);
    stack().close(connection, now);
    sends_nothing();
    EXPECT_EQ(stack().sizes().connections, 0u);
}

}  // namespace
}  // namespace runnel::story
