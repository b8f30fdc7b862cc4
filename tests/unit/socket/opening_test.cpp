// The options of opening as Linux answers them: TCP_SYNCNT, TCP_DEFER_ACCEPT, and Fast Open's (RFC 7413).
#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

using tcp::Readiness;
using tcp::State;

TEST_F(Sockets, TriesOfASyn) {
    const SocketId id = stream();
    EXPECT_EQ(get(id, SocketOption::syn_count), 6) << "the host's";
    EXPECT_EQ(set(id, SocketOption::syn_count, 0), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::syn_count, 128), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::syn_count, 127), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::syn_count), 127);
    EXPECT_EQ(set(datagram(), SocketOption::syn_count, 3), Errc::option_not_supported);
}

TEST_F(Sockets, DeferAcceptIsMovedUpToWholeTimeouts) {
    const SocketId id = stream();
    const std::pair<int, int> seconds[] = {{0, 0}, {-5, 0},  {1, 1},    {2, 3},    {3, 3},
                                           {4, 7}, {60, 63}, {64, 127}, {128, 247}};
    for (const auto& [asked, shown] : seconds) {
        EXPECT_EQ(set(id, SocketOption::defer_accept, asked), Errc::ok);
        EXPECT_EQ(get(id, SocketOption::defer_accept), shown) << asked;
    }
}

TEST_F(Sockets, FastOpenOptionsOfEachState) {
    const SocketId id = stream();
    EXPECT_EQ(set(id, SocketOption::fast_open, -1), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::fast_open, 5), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::fast_open), 5);
    EXPECT_EQ(set(id, SocketOption::fast_open, 100'000), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::fast_open), 4096) << "somaxconn";
    EXPECT_EQ(set(id, SocketOption::fast_open_connect, 2), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::fast_open_connect, 1), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::fast_open_connect), 1);
    EXPECT_EQ(set(id, SocketOption::fast_open_no_cookie, 1), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::fast_open_no_cookie), 1);
    const SocketId listening = listener(self4);
    EXPECT_EQ(set(listening, SocketOption::fast_open, 3), Errc::ok);
    EXPECT_EQ(set(listening, SocketOption::fast_open_connect, 1), Errc::argument_invalid);
    const SocketId open = stream();
    EXPECT_EQ(connect(open, self4), Errc::in_progress);
    run();
    EXPECT_EQ(set(open, SocketOption::fast_open, 3), Errc::argument_invalid);
    EXPECT_EQ(set(open, SocketOption::fast_open_no_cookie, 1), Errc::argument_invalid);
    EXPECT_EQ(error_of(sockets.set_fast_open_keys(id, as_bytes("short"))), Errc::argument_invalid);
}

class FastOpenSockets : public testing::Test {
protected:
    static HostConfig config() {
        HostConfig config = OneHost::default_config();
        config.tcp.fast_open = 3;
        return config;
    }
    FastOpenSockets() {
        listening = *sockets.open(Family::ipv4, SocketType::stream);
        EXPECT_TRUE(sockets.bind(listening, self, machine.now));
        EXPECT_TRUE(sockets.set_option(listening, SocketOption::fast_open, 5, machine.now));
        EXPECT_TRUE(sockets.set_fast_open_keys(listening, as_bytes("0123456789abcdef")));
        EXPECT_TRUE(sockets.listen(listening, 8, machine.now));
    }
    SocketId fresh() { return *sockets.open(Family::ipv4, SocketType::stream); }
    template <class T>
    static Errc error_of(const Result<T>& result) {
        return result ? Errc::ok : result.error();
    }
    Result<std::size_t> send_fast(SocketId id, std::string_view text) {
        return sockets.send_fast_open(id, as_bytes(text), self, {}, machine.now);
    }
    std::string receive(SocketId id) {
        std::array<std::byte, 1000> buffer{};
        const auto got = sockets.receive(id, buffer, {}, machine.now);
        return got ? std::string(reinterpret_cast<const char*>(buffer.data()), *got)
                   : std::string(errno_name(got.error()));
    }
    SocketId accepted() { return sockets.accept(listening, machine.now).value_or(SocketId{}); }
    /// A first connection, after which the cookie is known.
    void learn() {
        const SocketId id = fresh();
        EXPECT_EQ(error_of(send_fast(id, "first")), Errc::in_progress);
        machine.run();
        EXPECT_FALSE(accepted().is_none());
        EXPECT_TRUE(sockets.close(id, machine.now));
        machine.run();
    }

    OneHost machine{config()};
    SocketLayer sockets{machine.host};
    Endpoint self = endpoint("127.0.0.1", 80);
    SocketId listening;
};

TEST_F(FastOpenSockets, WithoutACookieNothingIsQueued) {
    const SocketId id = fresh();
    EXPECT_EQ(error_of(send_fast(id, "request")), Errc::in_progress);
    EXPECT_EQ(error_of(send_fast(id, "request")), Errc::connection_already_in_progress);
    machine.run();
    const SocketId server = accepted();
    ASSERT_FALSE(server.is_none());
    EXPECT_EQ(receive(server), "EAGAIN");
    EXPECT_EQ(send_fast(id, "request").value_or(0), 7u) << "connected now, and this is told";
    EXPECT_EQ(error_of(send_fast(id, "more")), Errc::already_connected);
    machine.run();
    EXPECT_EQ(receive(server), "request");
}

TEST_F(FastOpenSockets, WithOneTheDataGoesWithTheSyn) {
    learn();
    const SocketId id = fresh();
    EXPECT_EQ(send_fast(id, "request").value_or(0), 7u);
    EXPECT_EQ(error_of(sockets.send(id, as_bytes("more"), {}, machine.now)), Errc::would_block);
    machine.run();
    const SocketId server = accepted();
    ASSERT_FALSE(server.is_none());
    EXPECT_EQ(receive(server), "request");
    EXPECT_TRUE(sockets.tcp_info(server)->syn_data);
    EXPECT_TRUE(sockets.tcp_info(id)->syn_data);
    EXPECT_EQ(sockets.send(id, as_bytes("more"), {}, machine.now).value_or(0), 4u);
    machine.run();
    EXPECT_EQ(receive(server), "more");
}

TEST_F(FastOpenSockets, ConnectMayWaitForTheFirstWrite) {
    learn();
    const SocketId id = fresh();
    EXPECT_TRUE(sockets.set_option(id, SocketOption::fast_open_connect, 1, machine.now));
    EXPECT_EQ(error_of(sockets.connect(id, self, machine.now)), Errc::ok);
    machine.run();
    EXPECT_TRUE(accepted().is_none()) << "nothing has been sent";
    EXPECT_NE(sockets.readiness(id).bits & Readiness::kWritable, 0);
    EXPECT_EQ(error_of(sockets.connect(id, self, machine.now)), Errc::already_connected);
    EXPECT_EQ(receive(id), "EAGAIN");
    EXPECT_EQ(sockets.send(id, as_bytes("request"), {}, machine.now).value_or(0), 7u);
    machine.run();
    const SocketId server = accepted();
    ASSERT_FALSE(server.is_none());
    EXPECT_EQ(receive(server), "request");
}

TEST_F(FastOpenSockets, ConnectWithoutACookieIsAnOrdinaryOne) {
    const SocketId id = fresh();
    EXPECT_TRUE(sockets.set_option(id, SocketOption::fast_open_connect, 1, machine.now));
    EXPECT_EQ(error_of(sockets.connect(id, self, machine.now)), Errc::in_progress);
    machine.run();
    EXPECT_FALSE(accepted().is_none());
}

TEST_F(FastOpenSockets, ClosedBeforeTheFirstWriteNothingHappens) {
    learn();
    const SocketId id = fresh();
    EXPECT_TRUE(sockets.set_option(id, SocketOption::fast_open_connect, 1, machine.now));
    EXPECT_EQ(error_of(sockets.connect(id, self, machine.now)), Errc::ok);
    EXPECT_TRUE(sockets.close(id, machine.now));
    machine.run();
    EXPECT_TRUE(accepted().is_none());
}

TEST(FastOpenSwitchedOff, IsNotSupported) {
    HostConfig config = OneHost::default_config();
    config.tcp.fast_open = 0;
    OneHost machine(config);
    SocketLayer sockets(machine.host);
    const SocketId id = *sockets.open(Family::ipv4, SocketType::stream);
    const auto sent =
        sockets.send_fast_open(id, as_bytes("x"), endpoint("127.0.0.1", 80), {}, machine.now);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error(), Errc::not_supported);
    const Status set = sockets.set_option(id, SocketOption::fast_open_connect, 1, machine.now);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error(), Errc::not_supported);
}

}  // namespace
}  // namespace runnel::test
