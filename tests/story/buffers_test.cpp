// Stories of buffers that fit themselves to the path: the receive window grows with what the reader takes, the
// send buffer with the congestion window, and neither beyond what memory there is.
#include "story.hpp"

namespace runnel::story {
namespace {

class Buffers : public Story {
protected:
    /// The peer's stream: `count` segments of 1000 octets, read as they come when `reads_all`.
    void comes(int count, bool reads_all = true) {
        for (int i = 0; i < count; ++i) {
            arrives(ack(peer_next_, 1).text(std::string(1000, 'x')));
            peer_next_ += 1000;
            if (reads_all) {
                (void)reads(4000);
            }
            (void)sent();
        }
    }
    /// Rounds of slow start on a path of 20 ms.
    void slow_start(int rounds, bool reads_all = true) {
        for (int n = 0, round = 10; n < rounds; ++n, round *= 2) {
            comes(round, reads_all);
            pass(milliseconds(20));
        }
    }
    void opens(ConnectionOptions options = {}) {
        connects(options);
        pass(milliseconds(20));
        arrives(syn_ack(1).mss(1000).wscale(7));
        EXPECT_EQ(sent_one().flags, "A");
    }
    std::uint32_t peer_next_ = 1;
};

TEST_F(Buffers, TheWindowGrowsWithWhatTheReaderTakes) {
    opens();
    EXPECT_EQ(status().receive_buffer, 64u * 1024);
    EXPECT_EQ(status().receive_space, 0u);
    slow_start(7);
    EXPECT_GE(status().receive_buffer, 1'280'000u) << "twice the last round's 640 segments";
    EXPECT_LE(status().receive_buffer, 4'000'000u);
    EXPECT_GE(status().rcv_wnd, status().receive_buffer) << "and the peer has been told";
    EXPECT_GE(count(Decision::tcp_note_window_fitted), 3u);
    EXPECT_GE(status().receive_space, 160'000u);
}

TEST_F(Buffers, AReaderWhoDoesntReadGetsNoLargerWindow) {
    opens();
    comes(60, false);
    pass(milliseconds(100));
    EXPECT_EQ(status().receive_buffer, 64u * 1024);
    EXPECT_EQ(count(Decision::tcp_note_window_fitted), 0u);
}

TEST_F(Buffers, AWindowThatNobodyReadsClosesThoughSegmentsAreShorterThanItsUnit) {
    opens();
    ASSERT_EQ(status().rcv_wscale, 10) << "in units of 1024 octets";
    comes(200, false);
    EXPECT_LE(status().receive_queue, 66u * 1024);
    EXPECT_EQ(status().rcv_wnd, 0u);
}

TEST_F(Buffers, AFixedReceiveBufferStaysWhatItIs) {
    ConnectionOptions options;
    options.receive_buffer = 300'000;
    opens(options);
    slow_start(7);
    EXPECT_EQ(status().receive_buffer, 300'000u);
}

TEST_F(Buffers, NothingGrowsWhereTheHostDoesntWantIt) {
    config.window_autotuning = false;
    config.send_buffer_autotuning = false;
    opens();
    slow_start(7);
    EXPECT_EQ(status().receive_buffer, 64u * 1024);
    EXPECT_EQ(status().send_buffer, config.send_buffer);
}

TEST_F(Buffers, TheWindowEndsAtTheConfiguredBuffer) {
    config.receive_buffer = 400'000;
    opens();
    slow_start(8);
    EXPECT_EQ(status().receive_buffer, 400'000u);
}

TEST_F(Buffers, TheWindowTakesAQuarterOfTheMemoryThereIs) {
    pool_.set_limit(2'000'000);
    opens();
    slow_start(8);
    EXPECT_LE(status().receive_buffer, 500'000u);
    EXPECT_GE(status().receive_buffer, 440'000u);
}

TEST_F(Buffers, WhereMemoryIsShortTheWindowShrinksAndNoPromiseIsTakenBack) {
    opens();
    slow_start(7);
    const std::uint64_t before = status().receive_buffer;
    const std::uint32_t edge = peer_next_ + static_cast<std::uint32_t>(status().rcv_wnd);
    const std::uint64_t fitted = count(Decision::tcp_note_window_fitted);
    const Slice hog = pool_.copy(as_bytes(std::string(60'000, 'x')));
    pool_.set_limit(pool_.bytes_in_use() + 12'000);
    comes(8);
    EXPECT_EQ(status().receive_buffer, 64u * 1024) << "as at the beginning";
    EXPECT_EQ(count(Decision::tcp_note_window_fitted), fitted + 6);
    EXPECT_EQ(peer_next_ + status().rcv_wnd, edge);
    EXPECT_LT(status().receive_buffer, before);
    pool_.set_limit(256u << 20);
    pass(milliseconds(25));
    slow_start(7);
    EXPECT_GE(status().receive_buffer, 1'000'000u) << "it grows again when there is memory";
}

TEST_F(Buffers, TheRoundTripIsReadFromEchoes) {
    config.timestamps = true;
    connects();
    const std::uint32_t base = stack().status(connection).has_value() ? 0 : 1;
    pass(milliseconds(30));
    arrives(syn_ack(1).mss(1000).wscale(7).ts(1, 7 + base));
    const Sent third = sent_one();
    ASSERT_TRUE(third.options.timestamps);
    const std::uint32_t stamp = third.options.timestamps->value;
    pass(milliseconds(45));
    arrives(ack(1, 1).ts(2, stamp).text(std::string(988, 'x')));
    EXPECT_EQ(status().receive_rtt, milliseconds(45));
    (void)sent();
    pass(milliseconds(100));
    arrives(ack(989, 1).ts(3, stamp + 45).text("short"));
    EXPECT_EQ(status().receive_rtt, milliseconds(45)) << "it may have waited for its sender";
}

TEST_F(Buffers, TheSendBufferGrowsWithTheCongestionWindow) {
    config.pacing = false;  // whole windows at a time
    opens();
    EXPECT_EQ(status().send_buffer, 64u * 1024);
    EXPECT_EQ(writes(std::string(200'000, 'x')), 64u * 1024);
    // Each round trip acknowledges all that was sent.
    for (int round = 0; round < 6; ++round) {
        pass(milliseconds(20));
        for (const Sent& s : sent()) {
            arrives(ack(1, s.seq + s.length).win(60'000));
        }
        (void)writes(std::string(1'000'000, 'x'));
    }
    const ConnectionStatus s = status();
    EXPECT_GT(s.cwnd_segments, 60u);
    EXPECT_EQ(s.send_buffer, 3 * s.cwnd_segments * 1000);
    EXPECT_GE(s.send_queue, 2 * s.cwnd_segments * 1000)
        << "what is out and as much again, though a writer waits until a third is free";
}

TEST_F(Buffers, AFixedSendBufferStaysWhatItIs) {
    ConnectionOptions options;
    options.send_buffer = 20'000;
    opens(options);
    EXPECT_EQ(status().send_buffer, 20'000u);
    EXPECT_EQ(writes(std::string(200'000, 'x')), 20'000u);
}

TEST_F(Buffers, TheSendBufferLeavesMemoryToOthers) {
    config.initial_window_segments = 1000;
    config.initial_send_buffer = 8192;
    opens();
    pool_.set_limit(pool_.bytes_in_use() + 100'000);
    EXPECT_EQ(writes(std::string(100'000, 'x')), 8192u);
    for (const Sent& s : sent()) {
        arrives(ack(1, s.seq + s.length));
    }
    const std::uint32_t grown = status().send_buffer;
    EXPECT_GT(grown, 8192u);
    EXPECT_LE(grown, 8192u + 75'000 / 2) << "half of what the pool gives to writers";
}

TEST_F(Buffers, AWriterIsWokenWhenTheBufferHasGrown) {
    config.initial_window_segments = 100;
    config.initial_send_buffer = 12'000;
    opens();
    EXPECT_EQ(writes(std::string(50'000, 'x')), 12'000u);
    (void)sent();
    std::vector<UserEvent> events;
    stack().take_events(events);
    // One segment of twelve is acknowledged: less than a third of the buffer as it was, far more of what it is.
    arrives(ack(1, 1001));
    stack().take_events(events);
    EXPECT_EQ(events.size(), 1u);
    EXPECT_TRUE((stack().readiness(connection).bits & Readiness::kWritable) != 0);
}

}  // namespace
}  // namespace runnel::story
