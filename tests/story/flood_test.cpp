// Stories of a listener whose backlog is full: SYN cookies (RFC 4987 §3.6), and what comes of those who bring
// one back, of those who forge one, and of those who come too late.
#include "story.hpp"

namespace runnel::story {
namespace {

class Flood : public Story {
protected:
    /// A listener with `backlog` whose backlog of embryos is full.
    void flooded(std::uint32_t backlog = 1, ConnectionOptions options = {}) {
        listens(backlog, options);
        const std::uint16_t port = tuple.remote.port;
        for (std::uint32_t i = 0; i <= backlog; ++i) {
            tuple.remote.port = static_cast<std::uint16_t>(10'000 + i);
            arrives(syn().mss(1460));
            EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_syn_ack);
        }
        tuple.remote.port = port;
    }
    std::uint32_t embryos() {
        std::vector<ConnectionStatus> all;
        stack().snapshot(all, now);
        for (const ConnectionStatus& s : all) {
            if (s.state == State::listen) {
                return s.embryos;
            }
        }
        return 0;
    }
    bool accepts() {
        const auto got = stack().accept(listener, now);
        connection = got.value_or(connection);
        return got.has_value();
    }
};

TEST_F(Flood, ASynBeyondTheBacklogIsAnsweredByACookieAndKeepsNothing) {
    flooded(3);
    arrives(syn().mss(1400).wscale(7).sack_ok());
    const Sent answer = sent_one();
    EXPECT_EQ(answer.reason, Decision::tcp_transmit_syn_ack_cookie);
    EXPECT_EQ(answer.flags, "SA");
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_EQ(answer.window, 65'535u);
    EXPECT_EQ(answer.options.mss, 1460);
    EXPECT_FALSE(answer.options.window_scale.has_value()) << "no timestamp to carry it";
    EXPECT_FALSE(answer.options.sack_permitted);
    EXPECT_EQ(embryos(), 4u);
    EXPECT_EQ(stack().sizes().connections, 4u);
    EXPECT_EQ(count(Decision::tcp_accept_syn_cookie), 1u);
}

TEST_F(Flood, TheAckOfACookieIsAConnection) {
    flooded();
    arrives(syn().mss(1400));
    (void)sent_one();
    pass(milliseconds(30));
    arrives(ack(1, 1).win(5000));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_accept_cookie), 1u);
    ASSERT_TRUE(accepts());
    EXPECT_EQ(state(), State::established);
    EXPECT_EQ(status().snd_mss, 1300u) << "of the four sizes";
    EXPECT_EQ(status().snd_wnd, 5000u);
    EXPECT_EQ(status().rcv_wnd, 65'535u) << "what the SYN,ACK has offered";
    EXPECT_EQ(status().rtt.ns, 0) << "nobody knows when the SYN,ACK left";
    writes("hello");
    const Sent data = sent_one();
    EXPECT_EQ(data.seq, 1u);
    EXPECT_EQ(data.data, "hello");
    arrives(ack(1, 6).text("and back"));
    EXPECT_EQ(reads(), "and back");
    EXPECT_EQ(embryos(), 2u);
}

TEST_F(Flood, DataWithTheAckOfACookieIsTaken) {
    flooded();
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1).text("request"));
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "request");
    EXPECT_EQ(status().snd_mss, 536u);
}

TEST_F(Flood, WhereTheAckIsLostTheDataBehindItOpens) {
    flooded();
    arrives(syn());
    (void)sent_one();
    EXPECT_FALSE(accepts());
    arrives(ack(1, 1).text("request"));
    EXPECT_TRUE(accepts());
}

TEST_F(Flood, WithTimestampsTheOptionsSurvive) {
    config.timestamps = true;
    flooded();
    arrives(syn().mss(1460).wscale(9).sack_ok().ts(700, 0));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.reason, Decision::tcp_transmit_syn_ack_cookie);
    EXPECT_TRUE(answer.options.window_scale.has_value());
    EXPECT_TRUE(answer.options.sack_permitted);
    ASSERT_TRUE(answer.options.timestamps.has_value());
    EXPECT_EQ(answer.options.timestamps->echo, 700u);
    pass(milliseconds(5));
    arrives(ack(1, 1).win(100).ts(705, answer.options.timestamps->value));
    ASSERT_TRUE(accepts());
    const ConnectionStatus s = status();
    EXPECT_TRUE(s.has_sack);
    EXPECT_TRUE(s.has_timestamps);
    EXPECT_TRUE(s.has_window_scale);
    EXPECT_EQ(s.snd_wscale, 9);
    EXPECT_EQ(s.snd_wnd, 100u << 9);
    EXPECT_EQ(s.rtt.ns, 0) << "its low bits are no time";
    writes("x");
    EXPECT_EQ(sent_one().options.timestamps->echo, 705u);
}

TEST_F(Flood, WithTimestampsAndNothingElseNothingElseIsAgreed) {
    config.timestamps = true;
    flooded();
    arrives(syn().mss(1460).ts(700, 0));
    const Sent answer = sent_one();
    EXPECT_FALSE(answer.options.window_scale.has_value());
    EXPECT_FALSE(answer.options.sack_permitted);
    arrives(ack(1, 1).ts(705, answer.options.timestamps->value));
    ASSERT_TRUE(accepts());
    EXPECT_FALSE(status().has_sack);
    EXPECT_FALSE(status().has_window_scale);
    EXPECT_EQ(status().rcv_wscale, 0);
}

TEST_F(Flood, AForgedAckIsAnsweredByAReset) {
    flooded();
    arrives(syn().mss(1460));
    (void)sent_one();
    arrives(ack(1, 2));
    Sent reset = sent_one();
    EXPECT_EQ(reset.flags, "R");
    EXPECT_EQ(reset.seq, 2u);
    EXPECT_EQ(count(Decision::tcp_drop_bad_cookie), 1u);
    arrives(ack(2, 1));  // another SYN's
    EXPECT_EQ(sent_one().flags, "R");
    EXPECT_EQ(count(Decision::tcp_drop_bad_cookie), 2u);
    EXPECT_FALSE(accepts());
    EXPECT_EQ(stack().sizes().connections, 2u);
}

TEST_F(Flood, ACookieIsGoodForAMinuteOrTwo) {
    flooded();
    arrives(syn().mss(1460));
    (void)sent_one();
    const std::uint32_t cookie = our_iss;
    pass(seconds(129));
    stack().on_timeout(now);
    (void)sent();  // the embryos' SYN,ACKs
    arrives(syn().mss(1460));
    (void)sent();  // cookies are in use again
    our_iss = cookie;
    arrives(ack(1, 1));
    bool reset = false;
    for (const Sent& s : sent()) {
        reset = reset || s.flags == "R";
    }
    EXPECT_TRUE(reset);
}

TEST_F(Flood, WhereNoneHasBeenSentNoneIsTaken) {
    // The numbers of a cookie are right, but the listener has sent none lately.
    flooded();
    arrives(syn().mss(1460));
    (void)sent_one();
    const std::uint32_t cookie = our_iss;
    const ListenerHandle first = listener;
    stack().close_listener(first, now);
    (void)sent();
    listens(5);
    our_iss = cookie;
    arrives(ack(1, 1));
    EXPECT_EQ(sent_one().flags, "R");
    EXPECT_EQ(count(Decision::tcp_drop_ack_listen), 1u);
    EXPECT_EQ(count(Decision::tcp_drop_bad_cookie), 0u);
}

TEST_F(Flood, TheAcceptQueueStaysBounded) {
    flooded(0);
    arrives(syn().mss(1460));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.reason, Decision::tcp_transmit_syn_ack_cookie);
    const std::uint32_t cookie = our_iss;
    const std::uint16_t port = tuple.remote.port;
    tuple.remote.port = 3000;
    arrives(syn().mss(1460));
    (void)sent_one();
    arrives(ack(1, 1));
    tuple.remote.port = port;
    our_iss = cookie;
    arrives(ack(1, 1));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_accept_queue_full), 1u);
    ASSERT_TRUE(accepts());
    EXPECT_FALSE(accepts());
    arrives(ack(1, 1).text("again"));
    EXPECT_TRUE(accepts()) << "the cookie is still good";
    EXPECT_EQ(reads(), "again");
}

TEST_F(Flood, AlwaysMeansAlways) {
    config.syn_cookies = 2;
    listens(100);
    arrives(syn().mss(1460));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_syn_ack_cookie);
    EXPECT_EQ(stack().sizes().connections, 0u);
    arrives(ack(1, 1));
    EXPECT_TRUE(accepts());
}

TEST_F(Flood, WithoutCookiesTheSynIsDropped) {
    config.syn_cookies = 0;
    flooded();
    arrives(syn().mss(1460));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_syn_backlog), 1u);
    EXPECT_EQ(profile_config(Profile::rfc).syn_cookies, 0);
    EXPECT_EQ(profile_config(Profile::linux_like).syn_cookies, 1);
}

TEST_F(Flood, APeerBelowTheSmallestSizeWaitsForAPlace) {
    flooded();
    arrives(syn().mss(400));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_syn_backlog), 1u);
}

TEST_F(Flood, TheHostsOwnLimitOfEmbryosCountsToo) {
    config.max_syn_backlog = 1;
    listens(100);
    tuple.remote.port = 10'000;
    arrives(syn().mss(1460));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_syn_ack);
    tuple.remote.port = 10'001;
    arrives(syn().mss(1460));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_syn_ack_cookie);
}

TEST_F(Flood, OutOfTimeWaitAConnectionBeginsWithoutACookie) {
    config.syn_cookies = 2;
    listens(5);
    arrives(syn().mss(1460));
    (void)sent_one();
    arrives(ack(1, 1));
    ASSERT_TRUE(accepts());
    stack().close(connection, now);
    (void)sent();
    arrives(fin(1, 2));
    (void)sent();
    pass(seconds(5));
    arrives(segment(TcpFlags::kSyn, 100'000, 0).mss(1460));
    EXPECT_EQ(sent_one().reason, Decision::tcp_transmit_syn_ack);
}

TEST_F(Flood, AFullAcceptQueueThatSpeaksResetsTheHandshake) {
    config.abort_on_overflow = true;
    listens(0);
    tuple.remote.port = 10'000;
    arrives(syn());
    (void)sent_one();
    const std::uint32_t iss = our_iss;
    tuple.remote.port = 10'001;
    arrives(syn());  // a cookie: it fills the queue first
    (void)sent_one();
    arrives(ack(1, 1));
    tuple.remote.port = 10'000;
    our_iss = iss;
    arrives(ack(1, 1));
    const Sent reset = sent_one();
    EXPECT_EQ(reset.reason, Decision::tcp_transmit_rst_overflow);
    EXPECT_EQ(reset.flags, "R") << "as Linux: the number the ACK asks for, and no ACK";
    EXPECT_EQ(reset.seq, 1u);
    EXPECT_EQ(embryos(), 0u);
}

}  // namespace
}  // namespace runnel::story
