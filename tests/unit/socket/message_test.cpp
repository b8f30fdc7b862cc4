// sendmsg, recvmsg and their flags, the error queue, closing that lingers, and TCP_MD5SIG between two sockets.
#include <array>
#include <cerrno>
#include <cstring>

#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

using tcp::QueuedError;
using tcp::Timestamping;

struct Messages : Sockets {
    Pair ends = pair();

    std::size_t send_now(std::string_view text, MessageFlags flags = {}) {
        const auto sent = sockets.send(ends.client, as_bytes(text), flags, now());
        run();
        return sent.value_or(0);
    }
    /// What comes into buffers of these sizes, joined by "|".
    std::string pieces(std::initializer_list<std::size_t> sizes, MessageFlags flags,
                       Received* whole = nullptr) {
        std::vector<std::string> buffers;
        std::vector<MutableBytes> views;
        for (const std::size_t size : sizes) {
            buffers.emplace_back(size, '.');
        }
        for (std::string& buffer : buffers) {
            views.push_back(std::as_writable_bytes(std::span(buffer.data(), buffer.size())));
        }
        const auto got = sockets.receive_pieces(ends.server, views, flags, now());
        if (!got) {
            return errno_name(got.error());
        }
        if (whole != nullptr) {
            *whole = *got;
        }
        std::string text;
        for (const std::string& buffer : buffers) {
            text += (text.empty() ? "" : "|") + buffer;
        }
        return text;
    }
    QueuedError queued(SocketId id) {
        const auto entry = sockets.take_queued_error(id);
        EXPECT_TRUE(entry.has_value());
        return entry.value_or(QueuedError{});
    }
};

TEST_F(Messages, PiecesGoOutAsOneSend) {
    const std::array<Bytes, 4> list = {as_bytes("ab"), Bytes{}, as_bytes("cde"), Bytes{}};
    EXPECT_EQ(*sockets.send_pieces(ends.client, list, {}, now()), 5u);
    run();
    EXPECT_EQ(sockets.linux_tcp_info(ends.client, now())->tcpi_data_segs_out, 1u);
    EXPECT_EQ(receive(ends.server), "abcde");
    EXPECT_EQ(*sockets.send_pieces(ends.client, {}, {}, now()), 0u);
}

TEST_F(Messages, PiecesComeIn) {
    send_now("abcdefg");
    EXPECT_EQ(pieces({2, 3}, {.peek = true}), "ab|cde");
    Received received;
    EXPECT_EQ(pieces({2, 3, 10}, {}, &received), "ab|cde|fg........");
    EXPECT_EQ(received.count, 7u);
    EXPECT_EQ(received.missing, 0u);
    EXPECT_FALSE(received.in_queue);
    EXPECT_EQ(pieces({2, 3}, {}), "EAGAIN");
}

TEST_F(Messages, WhatABlockingCallWouldWaitFor) {
    send_now("abc");
    Received received;
    pieces({5}, {.wait_all = true}, &received);
    EXPECT_EQ(received.count, 3u);
    EXPECT_EQ(received.missing, 2u) << "MSG_WAITALL";
    EXPECT_EQ(set(ends.server, SocketOption::receive_lowat, 4), Errc::ok);
    send_now("de");
    pieces({10}, {}, &received);
    EXPECT_EQ(received.missing, 2u) << "SO_RCVLOWAT";
    send_now("f");
    EXPECT_EQ(error_of(sockets.shutdown(ends.client, ShutdownHow::send, now())), Errc::ok);
    run();
    pieces({10}, {.wait_all = true}, &received);
    EXPECT_EQ(received.count, 1u);
    EXPECT_EQ(received.missing, 0u) << "nothing more will come";
}

TEST_F(Messages, TruncThrowsAwayWhatItCounts) {  // 6.18: the buffer is left alone
    send_now("hello");
    EXPECT_EQ(pieces({9}, {.peek = true, .discard = true}), ".........");
    EXPECT_EQ(*sockets.available(ends.server), 5u);
    Received received;
    EXPECT_EQ(pieces({3}, {.discard = true}, &received), "...");
    EXPECT_EQ(received.count, 3u);
    EXPECT_EQ(receive(ends.server), "lo");
}

TEST_F(Messages, AReadEndsAtTheUrgentMarkInAnyPiece) {
    send_now("abc");
    send_now("X", {.urgent = true});
    send_now("def");
    EXPECT_EQ(pieces({3, 3}, {}), "abc|...");
    EXPECT_EQ(pieces({3, 3}, {}), "def|...");
}

TEST_F(Messages, InqTellsWhatIsLeft) {
    EXPECT_EQ(set(ends.server, SocketOption::report_inq, 1), Errc::ok);
    send_now("abcdef");
    Received received;
    pieces({2}, {}, &received);
    EXPECT_EQ(received.in_queue, 4u);
    EXPECT_EQ(error_of(sockets.shutdown(ends.client, ShutdownHow::send, now())), Errc::ok);
    run();
    pieces({4}, {}, &received);
    EXPECT_EQ(received.in_queue, 1u) << "the end is there to be read";
}

TEST_F(Messages, LowatHoldsReadinessBack) {  // 6.18
    EXPECT_EQ(set(ends.server, SocketOption::receive_lowat, 5), Errc::ok);
    send_now("x");
    EXPECT_EQ(sockets.poll_events(ends.server), PollEvents::kOut | PollEvents::kWriteNormal);
    EXPECT_EQ(receive(ends.server), "x") << "a call takes what there is";
    send_now("12345");
    EXPECT_NE(sockets.poll_events(ends.server) & PollEvents::kIn, 0u);
}

TEST_F(Messages, ZerocopyTellsRangesOfSends) {
    EXPECT_EQ(error_of(sockets.take_queued_error(ends.client)), Errc::would_block);
    send_now("ignored", {.zerocopy = true});  // not switched on
    EXPECT_EQ(error_of(sockets.take_queued_error(ends.client)), Errc::would_block);
    EXPECT_EQ(set(ends.client, SocketOption::zerocopy, 1), Errc::ok);
    send_now("first", {.zerocopy = true});
    send_now("second", {.zerocopy = true});
    EXPECT_NE(sockets.poll_events(ends.client) & PollEvents::kErr, 0u);
    const QueuedError both = queued(ends.client);
    EXPECT_EQ(both.origin, QueuedError::Origin::zerocopy);
    EXPECT_EQ(both.code, QueuedError::kCopied);
    EXPECT_EQ(both.info, 0u);
    EXPECT_EQ(both.data, 1u);
    EXPECT_EQ(sockets.poll_events(ends.client) & PollEvents::kErr, 0u);
    send_now("third", {.zerocopy = true});
    EXPECT_EQ(queued(ends.client).info, 2u);
    EXPECT_EQ(get(ends.client, SocketOption::error), 0) << "the queue is no error";
}

TEST_F(Messages, TimestampsOfALastOctet) {
    send_now("before");
    const std::int64_t flags = Timestamping::kTxSoftware | Timestamping::kTxSched |
                               Timestamping::kTxAck | Timestamping::kSoftware |
                               Timestamping::kOptId;
    EXPECT_EQ(set(ends.client, SocketOption::timestamping, flags), Errc::ok);
    const Instant sent_at = now();
    send_now("12345");
    const std::pair<QueuedError::Stamp, std::uint32_t> expected[] = {
        {QueuedError::Stamp::scheduled, 4},
        {QueuedError::Stamp::sent, 4},
        {QueuedError::Stamp::acknowledged, 4}};
    machine.run_to(now() + seconds(1));  // the ACK may be delayed
    for (const auto& [stamp, key] : expected) {
        const QueuedError entry = queued(ends.client);
        EXPECT_EQ(entry.origin, QueuedError::Origin::timestamping);
        EXPECT_EQ(entry.info, static_cast<std::uint32_t>(stamp));
        EXPECT_EQ(entry.data, key);
        EXPECT_GE(entry.time, sent_at);
    }
    send_now("67", {.timestamping = Timestamping::kTxSoftware});  // a control message's word counts
    machine.run_to(now() + seconds(1));
    EXPECT_EQ(queued(ends.client).data, 6u);
    EXPECT_EQ(error_of(sockets.take_queued_error(ends.client)), Errc::would_block);
}

TEST_F(Messages, CloseLingersUntilTheFinIsAcknowledged) {
    EXPECT_EQ(set(ends.client, SocketOption::linger, 5), Errc::ok);
    EXPECT_TRUE(sockets.send(ends.client, as_bytes("last words"), {}, now()));
    const auto waits = sockets.close_and_linger(ends.client, now());
    ASSERT_TRUE(waits && waits->has_value());
    EXPECT_EQ((*waits)->deadline, now() + seconds(5));
    EXPECT_TRUE(sockets.lingers(**waits, now()));
    EXPECT_FALSE(sockets.lingers(**waits, now() + seconds(5))) << "patience is over";
    machine.run_to(now() + seconds(1));
    EXPECT_FALSE(sockets.lingers(**waits, now()));
    EXPECT_EQ(receive(ends.server), "last words");
    EXPECT_EQ(error_of(sockets.close(ends.client, now())), Errc::bad_descriptor)
        << "the id is free";
    const auto without = sockets.close_and_linger(ends.server, now());
    ASSERT_TRUE(without);
    EXPECT_FALSE(without->has_value());
}

// --- TCP_MD5SIG ------------------------------------------------------------------------------------------------

struct Md5Sockets : Sockets {
    /// struct tcp_md5sig for 127.0.0.1, or a whole /8 of it.
    int put_key(SocketId id, std::string_view key, bool network = false) {
        std::array<std::byte, 216> bytes{};
        bytes[0] = std::byte{2};
        bytes[4] = std::byte{127};
        bytes[7] = std::byte{network ? std::uint8_t{0} : std::uint8_t{1}};
        bytes[128] = std::byte{network};
        bytes[129] = std::byte{8};
        const auto length = static_cast<std::uint16_t>(key.size());
        std::memcpy(bytes.data() + 130, &length, 2);
        std::memcpy(bytes.data() + 136, key.data(), key.size());
        return sockets.set_linux_option(id, 6, network ? 32 : 14, bytes, now());
    }
    tcp::State state(SocketId id) { return sockets.tcp_info(id)->state; }
    std::uint64_t count(Decision decision) { return machine.host.recorder().count(decision); }
};

TEST_F(Md5Sockets, BothHaveTheKey) {
    const SocketId listening = listener(self4);
    EXPECT_EQ(put_key(listening, "secret", true), 0);
    const SocketId client = stream();
    EXPECT_EQ(put_key(client, "secret"), 0);
    EXPECT_EQ(connect(client, self4), Errc::in_progress);
    run();
    EXPECT_EQ(state(client), tcp::State::established);
    EXPECT_EQ(sockets.linux_tcp_info(client, now())->tcpi_options, kTcpiOptSack | kTcpiOptWscale)
        << "no room for timestamps";
    const SocketId server = *sockets.accept(listening, now());
    std::string text(300'000, 'x');
    EXPECT_TRUE(sockets.set_option(client, SocketOption::send_buffer, 400'000, now()));
    EXPECT_TRUE(sockets.send(client, as_bytes(text), {}, now()));
    std::size_t got = 0;
    for (int i = 0; i < 1000 && got < text.size(); ++i) {
        machine.run_to(now() + milliseconds(10));
        got += receive(server, 100'000).size() % 100'001;
        run();
    }
    EXPECT_EQ(got, text.size());
    EXPECT_EQ(count(Decision::tcp_drop_md5_bad), 0u);
    EXPECT_EQ(error_of(sockets.close(client, now())), Errc::ok);
    run();
    EXPECT_EQ(error_of(sockets.close(server, now())), Errc::ok);
    machine.run_to(now() + seconds(1));
    EXPECT_EQ(machine.host.tcp().sizes().time_wait, 1u);
}

TEST_F(Md5Sockets, NothingWithoutTheRightKey) {
    const SocketId listening = listener(self4);
    EXPECT_EQ(put_key(listening, "secret"), 0);
    const SocketId plain = stream(), wrong = stream();
    EXPECT_EQ(put_key(wrong, "Secret"), 0);
    EXPECT_EQ(connect(plain, self4), Errc::in_progress);
    EXPECT_EQ(connect(wrong, self4), Errc::in_progress);
    machine.run_to(now() + seconds(2));
    EXPECT_EQ(state(plain), tcp::State::syn_sent);
    EXPECT_EQ(state(wrong), tcp::State::syn_sent);
    EXPECT_GE(count(Decision::tcp_drop_md5_missing), 1u);
    EXPECT_GE(count(Decision::tcp_drop_md5_bad), 1u);
    // The listener forgets the key: now a signature is what nobody asked for.
    EXPECT_EQ(put_key(listening, ""), 0);
    EXPECT_EQ(put_key(listening, ""), ENOENT);
    machine.run_to(now() + seconds(5));
    EXPECT_EQ(state(plain), tcp::State::established);
    EXPECT_EQ(state(wrong), tcp::State::syn_sent);
    EXPECT_GE(count(Decision::tcp_drop_md5_unexpected), 1u);
}

TEST_F(Md5Sockets, WrongWordsAboutAKey) {
    const SocketId id = stream();
    EXPECT_EQ(sockets.set_linux_option(id, 6, 14, as_bytes("short"), now()), EINVAL);
    EXPECT_EQ(put_key(id, std::string(80, 'k')), 0);
    EXPECT_EQ(put_key(stream(Family::ipv6), "k"), EINVAL) << "not its family";
    std::array<std::byte, 216> bytes{};
    bytes[0] = std::byte{2};
    bytes[130] = std::byte{81};
    EXPECT_EQ(sockets.set_linux_option(id, 6, 14, bytes, now()), EINVAL) << "too long";
}

}  // namespace
}  // namespace runnel::test
