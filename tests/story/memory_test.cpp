// Stories of a host that runs out of memory: buffers for what the user writes and for what the peer sends, and places for
// connections. Nothing that was acknowledged or taken is lost, nothing else is promised, and all goes on when there is
// memory again.
#include "story.hpp"

#include "runnel/tcp/signature/md5_signature.hpp"

namespace runnel::story {
namespace {

// kMaxControlSegments of effects.hpp, which no user includes.
constexpr std::size_t kMaxAnswers = 4096;

class Memory : public Story {
protected:
    Memory() { frames = &link_; }
    ~Memory() override { stack_.reset(); }
    /// From now on no allocation succeeds.
    void runs_dry() { pool_.refuse_every(1, 0); }
    void comes_back() { pool_.refuse_every(0, 0); }
    bool woken() {
        stack().take_events(events_);
        return !events_.empty();
    }
    BufferPool link_{64u << 20};

private:
    std::vector<UserEvent> events_;
};

TEST_F(Memory, AWriterWhomThePoolTurnsAwayIsWokenToTryAgain) {
    established();
    (void)woken();
    runs_dry();
    const auto refused = stack().send(connection, as_bytes("data"), {}, now);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Errc::would_block);
    EXPECT_EQ(stack().next_timeout(), Instant{0}) << "a SEND asks for a look at what to send";
    sends_nothing();
    // Nobody tells when the pool has room, so the writer is woken every ten milliseconds.
    EXPECT_EQ(stack().next_timeout(), now + milliseconds(10));
    EXPECT_EQ(status().timer, Timer::memory);
    EXPECT_EQ(status().timers, 1U << static_cast<unsigned>(Timer::memory));
    pass(milliseconds(9));
    stack().on_timeout(now);
    EXPECT_FALSE(woken());
    pass(milliseconds(1));
    stack().on_timeout(now);
    EXPECT_TRUE(woken());
    EXPECT_EQ(writes("data"), 0u) << "still dry";
    sends_nothing();
    pass(milliseconds(10));
    stack().on_timeout(now);
    EXPECT_TRUE(woken());
    comes_back();
    EXPECT_EQ(writes("data"), 4u);
    EXPECT_EQ(sent_one().data, "data");
    EXPECT_EQ(status().timer, Timer::retransmit);
    pass(milliseconds(10));
    stack().on_timeout(now);
    EXPECT_FALSE(woken()) << "once it has been told there is nothing to wait for";
}

TEST_F(Memory, AWriterWhoseOwnBufferIsFullIsNotWokenForMemory) {
    ConnectionOptions options;
    options.send_buffer = 1000;
    established(syn_ack(1).mss(1000), options);
    (void)woken();
    EXPECT_EQ(writes(std::string(2000, 'x')), 1000u);
    EXPECT_EQ(sent_one().length, 1000u);
    EXPECT_EQ(status().timers, 1U << static_cast<unsigned>(Timer::retransmit));
    pass(milliseconds(10));
    stack().on_timeout(now);
    EXPECT_FALSE(woken());
    arrives(ack(1, 1001));
    EXPECT_TRUE(woken());
}

TEST_F(Memory, WhatIsTakenOfAWriteIsSentThoughTheRestFindsNoRoom) {
    established(syn_ack(1).mss(1000));
    pool_.set_limit(pool_.bytes_in_use() + 12'000);
    // A quarter of the pool is left to those who receive.
    const std::size_t taken = writes(std::string(100'000, 'x'));
    EXPECT_EQ(taken, 8192u);
    const Sent all = sent_one();
    EXPECT_EQ(all.length, 8192u);
    EXPECT_EQ(all.flags, "PA") << "what is there is pushed";
    EXPECT_TRUE((status().timers & 1U << static_cast<unsigned>(Timer::memory)) != 0);
}

TEST_F(Memory, DataThatFindsNoBufferIsNotAcknowledgedAndComesAgain) {
    established();
    (void)woken();
    runs_dry();
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(count(Decision::tcp_drop_no_memory), 1u);
    EXPECT_EQ(count(Decision::tcp_accept_in_order), 0u);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_EQ(answer.reason, Decision::tcp_transmit_ack_unacceptable);
    EXPECT_FALSE(woken());
    EXPECT_EQ(status().bytes_received, 0u);
    comes_back();
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(sent_one().ack, 6u);
    EXPECT_TRUE(woken());
    EXPECT_EQ(reads(), "hello");
}

TEST_F(Memory, AFinBehindDataThatWasDroppedIsNotTakenEither) {
    established();
    runs_dry();
    arrives(fin(1, 1).text("bye"));
    EXPECT_EQ(sent_one().ack, 1u);
    EXPECT_EQ(state(), State::established);
    comes_back();
    arrives(fin(1, 1).text("bye"));
    EXPECT_EQ(sent_one().ack, 5u);
    EXPECT_EQ(state(), State::close_wait);
    EXPECT_EQ(reads(), "bye");
    EXPECT_EQ(reads(), "");
}

TEST_F(Memory, DataBeyondAGapThatFindsNoBufferIsNotPromised) {
    established(syn_ack(1).mss(1000).sack_ok());
    runs_dry();
    arrives(ack(6, 1).text("world"));
    EXPECT_EQ(count(Decision::tcp_drop_no_memory), 1u);
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 1u);
    EXPECT_TRUE(answer.options.sack.empty()) << "RFC 2018 §8: what is sacked must be held";
    comes_back();
    arrives(ack(6, 1).text("world"));
    EXPECT_EQ(sent_one().options.sack.size(), 1u);
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(sent_one().ack, 11u);
    EXPECT_EQ(reads(), "helloworld");
}

TEST_F(Memory, WhatWaitedBeyondTheGapIsGivenUpRatherThanAcknowledgedWithoutABuffer) {
    established(syn_ack(1).mss(1000).sack_ok());
    arrives(ack(6, 1).text("world"));
    (void)sent();
    runs_dry();
    arrives(ack(1, 1).text("hello"));
    EXPECT_EQ(sent_one().ack, 1u);
    comes_back();
    arrives(ack(1, 1).text("hello"));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 11u);
    EXPECT_EQ(reads(), "helloworld");
}

TEST_F(Memory, HandshakesAndAcknowledgementsNeedNoBuffers) {
    runs_dry();
    accepted();
    EXPECT_EQ(state(), State::established);
    arrives(fin(1, 1));
    EXPECT_EQ(sent_one().ack, 2u);
    stack().close(connection, now);
    EXPECT_EQ(sent_one().flags, "FA");
    arrives(ack(2, 2));
    EXPECT_EQ(stack().sizes().connections, 0u);
    EXPECT_EQ(pool_.bytes_in_use(), 0u);
}

TEST_F(Memory, WhatWasWrittenIsRetransmittedWithoutMoreMemory) {
    established(syn_ack(1).mss(1000));
    writes("once more");
    EXPECT_EQ(sent_one().data, "once more");
    runs_dry();
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].data, "once more");
}

TEST_F(Memory, DataOfAFastOpenSynWithoutABufferComesAgainAfterTheHandshake) {
    config.fast_open = TcpConfig::kFastOpenServer | TcpConfig::kFastOpenServerNoCookie;
    ConnectionOptions options;
    options.fast_open_queue = 5;
    listens(10, options);
    runs_dry();
    arrives(syn().mss(1000).text("GET"));
    EXPECT_EQ(count(Decision::tcp_drop_no_memory), 1u);
    EXPECT_EQ(sent_one().ack, 1u) << "the SYN and nothing else";
    comes_back();
    arrives(ack(1, 1).text("GET"));
    const auto got = stack().accept(listener, now);
    ASSERT_TRUE(got.has_value());
    connection = *got;
    EXPECT_EQ(reads(), "GET");
    EXPECT_FALSE(status().syn_data);
}

TEST_F(Memory, WithEveryPlaceTakenOpensFailAndSynsAreNotAnswered) {
    config.max_connections = 1;
    config.syn_cookies = 0;
    established();
    const auto more = stack().connect({tuple.local.address, 1001}, tuple.remote, path_mtu, {}, now);
    ASSERT_FALSE(more.has_value());
    EXPECT_EQ(more.error(), Errc::too_many_open);
    tuple = {{tuple.local.address, 80}, {tuple.remote.address, 4000}};
    listens();
    arrives(syn().mss(1000));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_no_memory), 1u);
    EXPECT_EQ(stack().queues(listener)->waiting, 0u);
    EXPECT_EQ(stack().sizes().connections, 1u);
    // Once a place is free the peer's next SYN finds it.
    stack().abort(connection, now);
    EXPECT_EQ(sent_one().flags, "RA");
    arrives(syn().mss(1000));
    EXPECT_EQ(sent_one().flags, "SA");
}

TEST_F(Memory, ACookieIsOfNoUseWhileEveryPlaceIsTaken) {
    config.max_connections = 1;
    config.syn_cookies = 2;
    established();
    const ConnectionHandle first = connection;
    tuple = {{tuple.local.address, 80}, {tuple.remote.address, 4000}};
    listens();
    arrives(syn().mss(1000));
    const Sent answer = sent_one();
    EXPECT_EQ(answer.flags, "SA");
    arrives(ack(1, 1));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_no_memory), 1u);
    EXPECT_EQ(count(Decision::tcp_accept_cookie), 0u);
    stack().abort(first, now);
    EXPECT_EQ(sent().size(), 1u);
    arrives(ack(1, 1));
    EXPECT_EQ(count(Decision::tcp_accept_cookie), 1u);
    EXPECT_TRUE(stack().accept(listener, now).has_value());
}

TEST_F(Memory, AnswersThatNobodyTakesAreBoundedAndCounted) {
    for (std::uint16_t port = 1; port <= 5000; ++port) {
        tuple.remote.port = port;
        arrives(syn());
    }
    EXPECT_EQ(count(Decision::tcp_drop_no_connection), 5000u);
    EXPECT_EQ(sent().size(), kMaxAnswers);
    EXPECT_EQ(count(Decision::tcp_hold_control_queue_full), 5000u - kMaxAnswers);
}

// RFC 9293 §3.8.3: after R1 tries IP is told whom to look for anew, so many at a time.
TEST_F(Memory, TheListOfSuspectsIsBounded) {
    config.retries1 = 1;
    for (std::uint32_t i = 0; i < 300; ++i) {
        tuple.remote.address = IpAddress::v4(0x0a00'0100 + i);
        connects();
    }
    while (count(Decision::tcp_note_r1) < 300) {
        (void)next_timeout();
    }
    std::vector<IpAddress> suspects(3);
    stack().take_suspects(suspects);
    EXPECT_EQ(suspects.size(), Stack::kMaxSuspects);
    stack().take_suspects(suspects);
    EXPECT_TRUE(suspects.empty()) << "each is told once";
}

TEST_F(Memory, AListenerHoldsSoManyKeysAndNoMore) {
    listens();
    std::vector<Md5Key> keys(Stack::kMaxMd5Keys + 1);
    const auto refused = stack().set_md5_keys(listener, keys);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Errc::no_buffer_space);
    keys.pop_back();
    EXPECT_TRUE(stack().set_md5_keys(listener, keys).has_value());
    stack().close_listener(listener, now);
    const auto gone = stack().set_md5_keys(listener, keys);
    ASSERT_FALSE(gone.has_value());
    EXPECT_EQ(gone.error(), Errc::bad_descriptor);
}

TEST_F(Memory, TheLastEndedConnectionsAreRememberedAndNoMore) {
    for (std::uint16_t port = 1; port <= 1100; ++port) {
        tuple.local.port = port;
        connects();
        stack().abort(connection, now);
    }
    ASSERT_NE(stack().ended(0), nullptr);
    EXPECT_EQ(stack().ended(0)->tuple.local.port, 1100);
    ASSERT_NE(stack().ended(1023), nullptr);
    EXPECT_EQ(stack().ended(1023)->tuple.local.port, 77);
    EXPECT_EQ(stack().ended(1024), nullptr);
}

}  // namespace
}  // namespace runnel::story
