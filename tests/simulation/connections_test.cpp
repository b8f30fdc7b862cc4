// The life of connections between two hosts in virtual time: opening, refusing, giving up, closing, and
// what is left afterwards (RFC 9293 §3.5, §3.6, §3.8).
#include <gtest/gtest.h>

#include <algorithm>

#include "runnel/sim/pattern.hpp"
#include "support/two_hosts.hpp"

namespace runnel::test {
namespace {

using sim::Outcome;
using tcp::Readiness;
using tcp::State;

constexpr std::uint64_t kMebibyte = 1u << 20;

std::string read_text(SocketLayer& sockets, SocketId id, Instant now) {
    std::array<std::byte, 4096> buffer;
    std::string text;
    while (true) {
        const auto got = sockets.receive(id, buffer, {}, now);
        if (!got || *got == 0) {
            return text;
        }
        for (std::size_t i = 0; i < *got; ++i) {
            text.push_back(static_cast<char>(buffer[i]));
        }
    }
}

class Connections : public testing::TestWithParam<Family> {};

INSTANTIATE_TEST_SUITE_P(Families, Connections, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) {
                             return family.param == Family::ipv4 ? "ipv4" : "ipv6";
                         });

TEST_P(Connections, SynToNowhereIsRepeatedWithBackoffAndTimesOut) {
    // RFC 6298 §2.1 and §5.5: 1 s, doubling; six repetitions and then the end, as Linux counts.
    TwoHosts hosts;
    std::vector<std::int64_t> sent_at;
    const Instant start = hosts.world.now();
    hosts.world.wire(hosts.wire).set_filter([&](unsigned side, Bytes packet, Instant now) {
        const auto segment = view_segment(packet);
        if (side == 0 && segment && segment->header.flags.syn()) {
            sent_at.push_back((now - start).millis());
        }
        return false;
    });
    const SocketId socket = hosts.connect(GetParam(), 80);
    const auto over = [&] {
        return (hosts.client_sockets().readiness(socket).bits & Readiness::kError) != 0;
    };
    EXPECT_EQ(hosts.world.run_until(over, start + seconds(1'000)), Outcome::satisfied);
    EXPECT_EQ(sent_at, (std::vector<std::int64_t>{0, 1'000, 3'000, 7'000, 15'000, 31'000, 63'000}));
    EXPECT_EQ((hosts.world.now() - start).millis(), 127'000);
    EXPECT_EQ(*hosts.client_sockets().get_option(socket, SocketOption::error),
              static_cast<std::int64_t>(Errc::timed_out));
}

TEST_P(Connections, ClosedPortRefusesAtOnce) {
    TwoHosts hosts;
    const Instant start = hosts.world.now();
    const SocketId socket = hosts.connect(GetParam(), 9);
    const auto over = [&] {
        return (hosts.client_sockets().readiness(socket).bits & Readiness::kError) != 0;
    };
    EXPECT_EQ(hosts.world.run_until(over, start + seconds(100)), Outcome::satisfied);
    EXPECT_EQ((hosts.world.now() - start).millis(), 2) << "one way and back";
    const Status again =
        hosts.client_sockets().connect(socket, hosts.at(1, GetParam(), 9), hosts.client_now());
    EXPECT_EQ(again.error(), Errc::connection_refused);
}

TEST_P(Connections, ResetInMidTransferIsToldToTheUser) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    std::vector<std::byte> bytes(100'000);
    std::uint64_t received = 0;
    bool aborted = false;
    Errc error = Errc::ok;
    hosts.world.run_until(
        [&] {
            if (!aborted) {
                (void)hosts.client_sockets().send(pair.client, bytes, {}, hosts.client_now());
                const auto got =
                    hosts.server_sockets().receive(pair.server, bytes, {}, hosts.server_now());
                received += got.value_or(0);
                if (received > 500'000) {
                    EXPECT_TRUE(hosts.server_sockets().abort(pair.server, hosts.server_now()));
                    aborted = true;
                }
                return false;
            }
            const auto sent =
                hosts.client_sockets().send(pair.client, bytes, {}, hosts.client_now());
            error = sent ? Errc::ok : sent.error();
            return error != Errc::ok && error != Errc::would_block;
        },
        hosts.world.now() + seconds(100));
    EXPECT_EQ(error, Errc::connection_reset);
    const auto again = hosts.client_sockets().send(pair.client, bytes, {}, hosts.client_now());
    EXPECT_EQ(again.error(), Errc::broken_pipe) << "the error is told once";
    EXPECT_TRUE(hosts.client_sockets().close(pair.client, hosts.client_now()));
    hosts.world.run_for(seconds(1));
    EXPECT_TRUE(hosts.table(hosts.client).empty());
    EXPECT_TRUE(hosts.table(hosts.server).empty());
    EXPECT_EQ(hosts.world.host(hosts.client).pool().bytes_in_use(), 0u);
}

TEST_P(Connections, EchoAndOrderlyClose) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    SocketLayer& client = hosts.client_sockets();
    SocketLayer& server = hosts.server_sockets();
    EXPECT_EQ(hosts.client_state(pair.client), State::established);
    EXPECT_EQ(*client.remote_endpoint(pair.client), hosts.at(1, GetParam(), 80));
    EXPECT_EQ(*client.local_endpoint(pair.client), *server.remote_endpoint(pair.server));

    EXPECT_EQ(*client.send(pair.client, as_bytes("hello, world"), {}, hosts.client_now()), 12u);
    hosts.world.run_for(milliseconds(100));
    EXPECT_EQ(*server.available(pair.server), 12u);
    const std::string text = read_text(server, pair.server, hosts.server_now());
    EXPECT_EQ(text, "hello, world");
    EXPECT_TRUE(server.send(pair.server, as_bytes(text), {}, hosts.server_now()));
    hosts.world.run_for(milliseconds(100));
    EXPECT_EQ(read_text(client, pair.client, hosts.client_now()), "hello, world");

    // The client closes its half first; the server may still talk (half-close, §3.6).
    EXPECT_TRUE(client.shutdown(pair.client, ShutdownHow::send, hosts.client_now()));
    EXPECT_EQ(hosts.client_state(pair.client), State::fin_wait_1);
    hosts.world.run_for(milliseconds(100));
    EXPECT_EQ(hosts.client_state(pair.client), State::fin_wait_2);
    EXPECT_EQ(hosts.server_state(pair.server), State::close_wait);
    std::array<std::byte, 8> nothing;
    EXPECT_EQ(*server.receive(pair.server, nothing, {}, hosts.server_now()), 0u);
    EXPECT_EQ(client.send(pair.client, as_bytes("x"), {}, hosts.client_now()).error(),
              Errc::broken_pipe);
    EXPECT_TRUE(server.send(pair.server, as_bytes("a last word"), {}, hosts.server_now()));
    EXPECT_TRUE(server.close(pair.server, hosts.server_now()));
    hosts.world.run_for(milliseconds(100));
    EXPECT_EQ(read_text(client, pair.client, hosts.client_now()), "a last word");
    EXPECT_EQ(*client.receive(pair.client, nothing, {}, hosts.client_now()), 0u);
    EXPECT_TRUE(client.close(pair.client, hosts.client_now()));

    // The side that closed first waits 2 MSL (60 s), the other is gone (§3.6.1).
    ASSERT_EQ(hosts.table(hosts.client).size(), 1u);
    EXPECT_EQ(hosts.table(hosts.client)[0].state, State::time_wait);
    EXPECT_TRUE(hosts.table(hosts.server).empty());
    hosts.world.run_for(seconds(58));
    EXPECT_EQ(hosts.table(hosts.client).size(), 1u);
    hosts.world.run_for(seconds(3));
    EXPECT_TRUE(hosts.table(hosts.client).empty());
    EXPECT_EQ(hosts.world.host(hosts.client).pool().bytes_in_use(), 0u);
    EXPECT_EQ(hosts.world.host(hosts.server).pool().bytes_in_use(), 0u);
    EXPECT_EQ(client.open_sockets(), 0u);
    EXPECT_EQ(hosts.world.idle_timeouts(), 0u);
}

TEST_P(Connections, AStalledReaderClosesTheWindowAndOpensItAgain) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    SocketLayer& client = hosts.client_sockets();
    SocketLayer& server = hosts.server_sockets();
    EXPECT_TRUE(server.set_option(pair.server, SocketOption::receive_buffer, 64 * 1024,
                                  hosts.server_now()));
    bool window_was_zero = false;
    unsigned probes = 0;
    hosts.world.wire(hosts.wire).set_filter([&](unsigned side, Bytes packet, Instant) {
        if (const auto segment = view_segment(packet)) {
            window_was_zero = window_was_zero || (side == 1 && segment->header.window == 0);
            probes += window_was_zero && side == 0 ? 1 : 0;
        }
        return true;
    });
    const std::uint64_t total = kMebibyte;
    std::vector<std::byte> bytes(65'536);
    std::uint64_t sent = 0, received = 0;
    const auto write = [&] {
        while (sent < total) {
            const std::size_t most = std::min<std::uint64_t>(bytes.size(), total - sent);
            sim::fill_pattern(3, sent, MutableBytes(bytes).first(most));
            const auto taken =
                client.send(pair.client, Bytes(bytes).first(most), {}, hosts.client_now());
            if (!taken) {
                return;
            }
            sent += *taken;
        }
    };
    // A minute without a reader: probes go on for as long as they are answered (§3.8.6.1, MUST-36).
    hosts.world.run_until(
        [&] {
            write();
            return false;
        },
        hosts.world.now() + seconds(60));
    EXPECT_TRUE(window_was_zero);
    EXPECT_GE(probes, 3u);
    EXPECT_LE(probes, 60u) << "backed off";
    EXPECT_EQ(hosts.client_state(pair.client), State::established);

    bool same = true;
    const Instant resumed = hosts.world.now();
    EXPECT_EQ(hosts.world.run_until(
                  [&] {
                      write();
                      while (true) {
                          const auto got =
                              server.receive(pair.server, bytes, {}, hosts.server_now());
                          if (!got) {
                              break;
                          }
                          same = same && sim::compare_pattern(3, received,
                                                              Bytes(bytes).first(*got)) == *got;
                          received += *got;
                      }
                      return received == total;
                  },
                  resumed + seconds(60)),
              Outcome::satisfied);
    EXPECT_TRUE(same);
    EXPECT_LT((hosts.world.now() - resumed).seconds(), 5) << "the window update woke the sender";
}

TEST_P(Connections, KeepAliveNoticesADeadPeer) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    SocketLayer& client = hosts.client_sockets();
    const auto set = [&](SocketOption option, std::int64_t value) {
        EXPECT_TRUE(client.set_option(pair.client, option, value, hosts.client_now()));
    };
    set(SocketOption::keepalive_idle, 10);
    set(SocketOption::keepalive_interval, 5);
    set(SocketOption::keepalive_count, 3);
    set(SocketOption::keepalive, 1);
    const auto failed = [&] {
        return (client.readiness(pair.client).bits & Readiness::kError) != 0;
    };
    // A living peer answers, and the connection stays.
    EXPECT_EQ(hosts.world.run_until(failed, hosts.world.now() + seconds(300)), Outcome::deadline);
    const Instant cut = hosts.world.now();
    hosts.world.wire(hosts.wire).set_up(false);
    EXPECT_EQ(hosts.world.run_until(failed, cut + seconds(300)), Outcome::satisfied);
    EXPECT_GE((hosts.world.now() - cut).seconds(), 3 * 5);
    EXPECT_LE((hosts.world.now() - cut).seconds(), 10 + 3 * 5);
    EXPECT_EQ(*client.get_option(pair.client, SocketOption::error),
              static_cast<std::int64_t>(Errc::timed_out));
}

TEST_P(Connections, UserTimeoutEndsAConnectionThatIsNotAnswered) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    SocketLayer& client = hosts.client_sockets();
    EXPECT_TRUE(
        client.set_option(pair.client, SocketOption::user_timeout, 20'000, hosts.client_now()));
    hosts.world.wire(hosts.wire).set_up(false);
    const Instant start = hosts.world.now();
    EXPECT_TRUE(client.send(pair.client, as_bytes("anybody?"), {}, hosts.client_now()));
    const auto failed = [&] {
        return (client.readiness(pair.client).bits & Readiness::kError) != 0;
    };
    EXPECT_EQ(hosts.world.run_until(failed, start + seconds(300)), Outcome::satisfied);
    EXPECT_GE((hosts.world.now() - start).millis(), 20'000);
    EXPECT_LE((hosts.world.now() - start).millis(), 35'000);
    EXPECT_EQ(*client.get_option(pair.client, SocketOption::error),
              static_cast<std::int64_t>(Errc::timed_out));
}

TEST_P(Connections, SimultaneousOpen) {
    // §3.5, figure 8: both SYNs cross; one connection comes of it.
    TwoHosts hosts;
    SocketLayer& client = hosts.client_sockets();
    SocketLayer& server = hosts.server_sockets();
    const SocketId a = *client.open(GetParam(), SocketType::stream);
    const SocketId b = *server.open(GetParam(), SocketType::stream);
    EXPECT_TRUE(client.bind(a, hosts.at(0, GetParam(), 1111), hosts.client_now()));
    EXPECT_TRUE(server.bind(b, hosts.at(1, GetParam(), 2222), hosts.server_now()));
    EXPECT_EQ(client.connect(a, hosts.at(1, GetParam(), 2222), hosts.client_now()).error(),
              Errc::in_progress);
    EXPECT_EQ(server.connect(b, hosts.at(0, GetParam(), 1111), hosts.server_now()).error(),
              Errc::in_progress);
    bool both_in_syn_received = false;
    hosts.world.run_until(
        [&] {
            both_in_syn_received =
                both_in_syn_received || (hosts.client_state(a) == State::syn_received &&
                                         hosts.server_state(b) == State::syn_received);
            return false;
        },
        hosts.world.now() + milliseconds(500));
    EXPECT_TRUE(both_in_syn_received);
    EXPECT_EQ(hosts.client_state(a), State::established);
    EXPECT_EQ(hosts.server_state(b), State::established);
    EXPECT_TRUE(client.send(a, as_bytes("one"), {}, hosts.client_now()));
    EXPECT_TRUE(server.send(b, as_bytes("two"), {}, hosts.server_now()));
    hosts.world.run_for(milliseconds(500));
    EXPECT_EQ(read_text(client, a, hosts.client_now()), "two");
    EXPECT_EQ(read_text(server, b, hosts.server_now()), "one");
    EXPECT_EQ(hosts.table(hosts.client).size(), 1u);
}

TEST_P(Connections, SimultaneousClose) {
    // §3.6, figure 13: both FINs cross, and both sides wait 2 MSL.
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    EXPECT_TRUE(hosts.client_sockets().close(pair.client, hosts.client_now()));
    EXPECT_TRUE(hosts.server_sockets().close(pair.server, hosts.server_now()));
    bool closing = false;
    hosts.world.run_until(
        [&] {
            for (const auto& row : hosts.table(hosts.client)) {
                closing = closing || row.state == State::closing;
            }
            return false;
        },
        hosts.world.now() + milliseconds(500));
    EXPECT_TRUE(closing);
    for (const sim::HostId host : {hosts.client, hosts.server}) {
        ASSERT_EQ(hosts.table(host).size(), 1u);
        EXPECT_EQ(hosts.table(host)[0].state, State::time_wait);
    }
    hosts.world.run_for(seconds(61));
    EXPECT_TRUE(hosts.table(hosts.client).empty());
    EXPECT_TRUE(hosts.table(hosts.server).empty());
}

TEST_P(Connections, CloseWithUnreadDataResets) {
    // RFC 2525 §2.17: the peer must learn that its data was never read.
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    EXPECT_TRUE(
        hosts.client_sockets().send(pair.client, as_bytes("unread"), {}, hosts.client_now()));
    hosts.world.run_for(milliseconds(100));
    EXPECT_TRUE(hosts.server_sockets().close(pair.server, hosts.server_now()));
    hosts.world.run_for(milliseconds(100));
    std::array<std::byte, 8> buffer;
    const auto got = hosts.client_sockets().receive(pair.client, buffer, {}, hosts.client_now());
    EXPECT_EQ(got.error(), Errc::connection_reset);
    EXPECT_TRUE(hosts.table(hosts.server).empty());
}

TEST_P(Connections, LingerOfZeroResets) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    EXPECT_TRUE(hosts.client_sockets().set_option(pair.client, SocketOption::linger, 0,
                                                  hosts.client_now()));
    EXPECT_TRUE(hosts.client_sockets().close(pair.client, hosts.client_now()));
    hosts.world.run_for(milliseconds(100));
    std::array<std::byte, 8> buffer;
    EXPECT_EQ(hosts.server_sockets().receive(pair.server, buffer, {}, hosts.server_now()).error(),
              Errc::connection_reset);
    EXPECT_TRUE(hosts.table(hosts.client).empty());
}

TEST_P(Connections, UrgentDataOutOfBand) {
    TwoHosts hosts;
    const auto pair = hosts.establish(GetParam());
    SocketLayer& client = hosts.client_sockets();
    SocketLayer& server = hosts.server_sockets();
    EXPECT_TRUE(client.send(pair.client, as_bytes("abc"), {}, hosts.client_now()));
    EXPECT_TRUE(client.send(pair.client, as_bytes("!"), {.urgent = true}, hosts.client_now()));
    EXPECT_TRUE(client.send(pair.client, as_bytes("def"), {}, hosts.client_now()));
    hosts.world.run_for(milliseconds(500));
    EXPECT_NE(server.readiness(pair.server).bits & Readiness::kUrgent, 0);
    EXPECT_FALSE(*server.at_mark(pair.server));
    std::array<std::byte, 16> buffer;
    EXPECT_EQ(*server.receive(pair.server, buffer, {}, hosts.server_now()), 3u) << "to the mark";
    EXPECT_TRUE(*server.at_mark(pair.server));
    EXPECT_EQ(*server.receive(pair.server, buffer, {.urgent = true}, hosts.server_now()), 1u);
    EXPECT_EQ(buffer[0], std::byte{'!'});
    EXPECT_EQ(*server.receive(pair.server, buffer, {}, hosts.server_now()), 3u);
    EXPECT_EQ(buffer[0], std::byte{'d'});
}

TEST(Backlog, ListenerTakesNoMoreThanItsQueue) {
    TwoHostsConfig config;
    config.host[1].tcp.syn_cookies = 0;
    TwoHosts hosts(config);
    const SocketId listener = hosts.listen(Family::ipv4, 80, 4);
    std::vector<SocketId> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(hosts.connect(Family::ipv4, 80));
    }
    hosts.world.run_for(milliseconds(900));
    EXPECT_LE(hosts.table(hosts.server).size(), 1u + 5u + 20u);
    unsigned accepted = 0;
    while (hosts.server_sockets().accept(listener, hosts.server_now())) {
        ++accepted;
    }
    EXPECT_GE(accepted, 4u);
    EXPECT_LE(accepted, 5u);
    // The others get in when they ask again.
    hosts.world.run_until(
        [&] {
            while (hosts.server_sockets().accept(listener, hosts.server_now())) {
                ++accepted;
            }
            return accepted == 20;
        },
        hosts.world.now() + seconds(120));
    EXPECT_EQ(accepted, 20u);
}

// With cookies (RFC 4987 §3.6) nothing is kept for those beyond the queue, and their ACKs come when it is full: each
// believes that it is connected, and gets in with its first data once there is room.
TEST(Backlog, WhoHoldsACookieGetsInWithItsData) {
    TwoHosts hosts;
    const SocketId listener = hosts.listen(Family::ipv4, 80, 4);
    std::vector<SocketId> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(hosts.connect(Family::ipv4, 80));
    }
    hosts.world.run_for(milliseconds(900));
    const std::byte octet{'x'};
    for (const SocketId client : clients) {
        EXPECT_TRUE(hosts.client_sockets().send(client, {&octet, 1}, {}, hosts.client_now()));
    }
    unsigned accepted = 0;
    hosts.world.run_until(
        [&] {
            while (hosts.server_sockets().accept(listener, hosts.server_now())) {
                ++accepted;
            }
            return accepted == 20;
        },
        hosts.world.now() + seconds(60));
    EXPECT_EQ(accepted, 20u);
}

TEST(Liveness, EveryTimeoutMakesProgress) {
    // A silent peer: whatever is armed, calling when asked to must move things on, until nothing is left.
    TwoHosts hosts;
    const auto pair = hosts.establish();
    hosts.world.wire(hosts.wire).set_up(false);
    std::vector<std::byte> bytes(100'000);
    EXPECT_TRUE(hosts.client_sockets().send(pair.client, bytes, {}, hosts.client_now()));
    EXPECT_TRUE(hosts.client_sockets().close(pair.client, hosts.client_now()));
    EXPECT_EQ(hosts.world.run_until([&] { return hosts.table(hosts.client).empty(); },
                                    hosts.world.now() + seconds(4'000), 10'000),
              Outcome::satisfied);
    EXPECT_EQ(hosts.world.idle_timeouts(), 0u);
    EXPECT_EQ(hosts.world.host(hosts.client).pool().bytes_in_use(), 0u);
}

}  // namespace
}  // namespace runnel::test
