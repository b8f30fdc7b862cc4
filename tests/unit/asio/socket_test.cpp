// runnel::tcp::socket and acceptor as Asio's users expect streams to behave, over an in-process wire.
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <string>
#include <vector>

#include "two_drivers.hpp"

namespace runnel::testing {
namespace {

using tcp::error_code;

static_assert(boost::beast::is_async_stream<tcp::socket>::value);
static_assert(std::is_nothrow_move_constructible_v<tcp::socket>);
static_assert(!std::is_copy_constructible_v<tcp::socket>);

std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>((i * 131) >> 3);
    }
    return bytes;
}

net::awaitable<void> echo_once(Driver& driver, tcp::endpoint local) {
    tcp::acceptor acceptor(driver, local);
    tcp::socket socket = co_await acceptor.async_accept(net::use_awaitable);
    std::array<char, 64> buffer{};
    while (true) {
        auto [error, size] =
            co_await socket.async_read_some(net::buffer(buffer), net::as_tuple(net::use_awaitable));
        if (error) {
            EXPECT_EQ(error, net::error::eof);
            break;
        }
        co_await net::async_write(socket, net::buffer(buffer.data(), size), net::use_awaitable);
    }
    socket.close();
}

net::awaitable<void> say_hello(Driver& driver, tcp::endpoint server, std::string& answer) {
    tcp::socket socket(driver);
    co_await socket.async_connect(server, net::use_awaitable);
    EXPECT_EQ(socket.remote_endpoint(), server);
    const std::string hello = "hello, world";
    co_await net::async_write(socket, net::buffer(hello), net::use_awaitable);
    socket.shutdown(net::socket_base::shutdown_send);
    auto [error, size] = co_await net::async_read(socket, net::dynamic_buffer(answer),
                                                  net::as_tuple(net::use_awaitable));
    EXPECT_EQ(error, net::error::eof);
    EXPECT_EQ(size, hello.size());
}

TEST(AsioSocket, EchoesBetweenTwoCoroutines) {
    TwoDrivers world;
    std::string answer;
    world.spawn(echo_once(world.right, TwoDrivers::right_endpoint(7)));
    world.spawn(say_hello(world.left, TwoDrivers::right_endpoint(7), answer));
    ASSERT_TRUE(world.run());
    EXPECT_EQ(answer, "hello, world");
}

TEST(AsioSocket, MovesMegabytesThroughComposedOperations) {
    ConnectedPair pair;
    const std::vector<std::byte> sent = pattern(5 << 20);
    std::vector<std::byte> received(sent.size());
    int done = 0;
    net::async_write(pair.client, net::buffer(sent), [&](error_code error, std::size_t size) {
        EXPECT_FALSE(error);
        EXPECT_EQ(size, sent.size());
        ++done;
    });
    net::async_read(pair.server, net::buffer(received), [&](error_code error, std::size_t size) {
        EXPECT_FALSE(error);
        EXPECT_EQ(size, sent.size());
        ++done;
    });
    ASSERT_TRUE(pair.run_until([&] { return done == 2; }));
    EXPECT_EQ(sent, received);
}

TEST(AsioSocket, SlicesArriveAsTheyWereSent) {
    ConnectedPair pair;
    const std::vector<std::byte> sent = pattern(1 << 20);
    SliceList slices;
    for (std::size_t at = 0; at < sent.size(); at += 64 * 1024) {
        slices.push_back(pair.left.host().pool().copy(Bytes(sent).subspan(at, 64 * 1024)));
    }
    bool written = false;
    pair.client.async_write_slices(std::move(slices), [&](error_code error, std::size_t size) {
        EXPECT_FALSE(error);
        EXPECT_EQ(size, sent.size());
        written = true;
        pair.client.shutdown(net::socket_base::shutdown_send);
    });
    std::vector<std::byte> received;
    const auto read_all = [&]() -> net::awaitable<void> {
        while (true) {
            auto [error, got] =
                co_await pair.server.async_read_slices(100'000, net::as_tuple(net::use_awaitable));
            if (error) {
                EXPECT_EQ(error, net::error::eof);
                break;
            }
            for (const Slice& slice : got) {
                received.insert(received.end(), slice.bytes().begin(), slice.bytes().end());
            }
        }
    };
    pair.spawn(read_all());
    ASSERT_TRUE(pair.run());
    EXPECT_TRUE(written);
    EXPECT_EQ(sent, received);
}

TEST(AsioSocket, NeverCompletesInsideTheCallThatStarts) {
    ConnectedPair pair;
    bool written = false;
    pair.client.async_write_some(net::buffer("x", 1),
                                 [&](error_code, std::size_t) { written = true; });
    EXPECT_FALSE(written);
    pair.settle();
    EXPECT_TRUE(written);
    // The octet is there by now: the read could be done at once, and still isn't.
    bool read = false;
    bool inner = false;
    char octet = 0;
    pair.server.async_read_some(net::buffer(&octet, 1), [&](error_code error, std::size_t size) {
        EXPECT_FALSE(error);
        EXPECT_EQ(size, 1u);
        read = true;
        // Nor inside another handler.
        pair.server.async_write_some(net::buffer("y", 1),
                                     [&inner](error_code, std::size_t) { inner = true; });
        EXPECT_FALSE(inner);
    });
    EXPECT_FALSE(read);
    pair.settle();
    EXPECT_TRUE(read && inner);
    EXPECT_EQ(octet, 'x');
}

TEST(AsioSocket, AWriteWaitsForRoomInTheSendBuffer) {
    ConnectedPair pair;
    pair.client.set_option(net::socket_base::send_buffer_size(64 * 1024));
    pair.server.set_option(net::socket_base::receive_buffer_size(64 * 1024));
    const std::vector<std::byte> sent = pattern(4 << 20);
    bool written = false;
    net::async_write(pair.client, net::buffer(sent), [&](error_code error, std::size_t) {
        EXPECT_FALSE(error);
        written = true;
    });
    pair.settle();
    EXPECT_FALSE(written) << "nobody reads, so 4 MiB can't have been taken";
    std::vector<std::byte> received(sent.size());
    bool read = false;
    net::async_read(pair.server, net::buffer(received),
                    [&](error_code, std::size_t) { read = true; });
    ASSERT_TRUE(pair.run_until([&] { return written && read; }));
    EXPECT_EQ(sent, received);
}

TEST(AsioSocket, AClosedPortRefuses) {
    TwoDrivers world;
    tcp::socket socket(world.left);
    error_code result;
    bool done = false;
    socket.async_connect(TwoDrivers::right_endpoint(81), [&](error_code error) {
        result = error;
        done = true;
    });
    ASSERT_TRUE(world.run_until([&] { return done; }, milliseconds(100)));
    EXPECT_EQ(result, net::error::connection_refused);
}

TEST(AsioSocket, NobodyAnswersAndConnectTimesOut) {
    tcp::TcpConfig config;
    config.syn_retries = 2;
    TwoDrivers world(config);
    // Frames to the left host's peer go nowhere: an address that nobody has.
    tcp::socket socket(world.left);
    error_code result;
    bool done = false;
    const Instant begin = world.left.now();
    socket.async_connect({*parse_ip_address("10.0.0.77"), 80}, [&](error_code error) {
        result = error;
        done = true;
    });
    ASSERT_TRUE(world.run_until([&] { return done; }));
    EXPECT_EQ(result, net::error::timed_out);
    // SYNs at 0, 1 and 3 s; given up at 7 s (RFC 6298 §5.5).
    EXPECT_EQ((world.left.now() - begin).seconds(), 7);
}

TEST(AsioSocket, APeerThatAbortsResets) {
    ConnectedPair pair;
    char octet = 0;
    error_code result;
    bool done = false;
    pair.client.async_read_some(net::buffer(&octet, 1), [&](error_code error, std::size_t) {
        result = error;
        done = true;
    });
    pair.server.abort();
    ASSERT_TRUE(pair.run_until([&] { return done; }, milliseconds(100)));
    EXPECT_EQ(result, net::error::connection_reset);
}

TEST(AsioSocket, WritingAfterShutdownIsABrokenPipe) {
    ConnectedPair pair;
    pair.client.shutdown(net::socket_base::shutdown_send);
    error_code result;
    pair.client.async_write_some(net::buffer("x", 1),
                                 [&](error_code error, std::size_t) { result = error; });
    pair.settle();
    EXPECT_EQ(result, net::error::broken_pipe);
}

TEST(AsioSocket, TimeRunsOutForPendingAndLaterOperations) {
    ConnectedPair pair;
    char octet = 0;
    error_code result;
    bool done = false;
    const Instant begin = pair.left.now();
    pair.client.expires_after(seconds(5));
    pair.client.async_read_some(net::buffer(&octet, 1), [&](error_code error, std::size_t) {
        result = error;
        done = true;
    });
    ASSERT_TRUE(pair.run_until([&] { return done; }));
    EXPECT_EQ(result, net::error::timed_out);
    EXPECT_EQ((pair.left.now() - begin).millis(), 5000);
    result = {};
    pair.client.async_read_some(net::buffer(&octet, 1),
                                [&](error_code error, std::size_t) { result = error; });
    pair.settle();
    EXPECT_EQ(result, net::error::timed_out);
    // The socket is still open, and works on with a new limit.
    pair.client.expires_never();
    pair.server.async_write_some(net::buffer("z", 1), [](error_code, std::size_t) {});
    done = false;
    pair.client.async_read_some(net::buffer(&octet, 1), [&](error_code error, std::size_t) {
        EXPECT_FALSE(error);
        done = true;
    });
    ASSERT_TRUE(pair.run_until([&] { return done; }));
    EXPECT_EQ(octet, 'z');
}

TEST(AsioSocket, ACancellationSlotEndsItsOperationOnly) {
    ConnectedPair pair;
    net::cancellation_signal signal;
    std::array<char, 2> octets{};
    error_code first;
    error_code second = net::error::would_block;
    pair.client.async_read_some(
        net::buffer(&octets[0], 1),
        net::bind_cancellation_slot(signal.slot(),
                                    [&](error_code error, std::size_t) { first = error; }));
    pair.client.async_read_some(net::buffer(&octets[1], 1),
                                [&](error_code error, std::size_t) { second = error; });
    pair.settle();
    signal.emit(net::cancellation_type::terminal);
    EXPECT_FALSE(first) << "not inside emit";
    pair.settle();
    EXPECT_EQ(first, net::error::operation_aborted);
    EXPECT_EQ(second, net::error::would_block);
    pair.server.async_write_some(net::buffer("k", 1), [](error_code, std::size_t) {});
    pair.settle();
    EXPECT_FALSE(second);
    EXPECT_EQ(octets[1], 'k');
}

TEST(AsioSocket, CancelAndCloseEndEverythingPending) {
    ConnectedPair pair;
    char octet = 0;
    int aborted = 0;
    const auto count = [&](error_code error, std::size_t) {
        aborted += error == net::error::operation_aborted ? 1 : 0;
    };
    pair.client.async_read_some(net::buffer(&octet, 1), count);
    pair.client.async_read_some(net::buffer(&octet, 1), count);
    pair.client.cancel();
    pair.settle();
    EXPECT_EQ(aborted, 2);
    pair.client.async_read_some(net::buffer(&octet, 1), count);
    pair.client.close();
    EXPECT_FALSE(pair.client.is_open());
    pair.settle();
    EXPECT_EQ(aborted, 3);
    error_code result;
    pair.client.async_read_some(net::buffer(&octet, 1),
                                [&](error_code error, std::size_t) { result = error; });
    pair.settle();
    EXPECT_EQ(result, net::error::bad_descriptor);
}

TEST(AsioSocket, HandlersRunOnTheirExecutor) {
    ConnectedPair pair;
    auto strand = net::make_strand(pair.io);
    bool on_strand = false;
    pair.client.async_write_some(net::buffer("x", 1),
                                 net::bind_executor(strand, [&](error_code, std::size_t) {
                                     on_strand = strand.running_in_this_thread();
                                 }));
    pair.settle();
    EXPECT_TRUE(on_strand);
}

TEST(AsioSocket, TakesAsiosOptions) {
    ConnectedPair pair;
    pair.client.set_option(net::ip::tcp::no_delay(true));
    pair.client.set_option(net::socket_base::keep_alive(true));
    pair.client.set_option(net::socket_base::linger(true, 3));
    error_code error;
    net::ip::tcp::no_delay no_delay;
    pair.client.get_option(no_delay, error);
    EXPECT_FALSE(error);
    EXPECT_TRUE(no_delay.value());
    net::socket_base::linger linger;
    pair.client.get_option(linger, error);
    EXPECT_TRUE(linger.enabled());
    EXPECT_EQ(linger.timeout(), 3);
    pair.client.set_option(net::socket_base::broadcast(true), error);
    EXPECT_EQ(error, net::error::no_protocol_option);
}

TEST(AsioSocket, WaitsUntilReadable) {
    ConnectedPair pair;
    bool readable = false;
    pair.client.async_wait(net::socket_base::wait_read, [&](error_code) { readable = true; });
    bool writable = false;
    pair.client.async_wait(net::socket_base::wait_write, [&](error_code) { writable = true; });
    pair.settle();
    EXPECT_TRUE(writable);
    EXPECT_FALSE(readable);
    pair.server.async_write_some(net::buffer("x", 1), [](error_code, std::size_t) {});
    pair.settle();
    EXPECT_TRUE(readable);
    error_code error;
    EXPECT_EQ(pair.client.available(error), 1u);
}

TEST(AsioSocket, MovedSocketsKeepTheirOperations) {
    ConnectedPair pair;
    char octet = 0;
    bool done = false;
    pair.client.async_read_some(net::buffer(&octet, 1), [&](error_code error, std::size_t) {
        EXPECT_FALSE(error);
        done = true;
    });
    tcp::socket moved = std::move(pair.client);
    pair.server.async_write_some(net::buffer("m", 1), [](error_code, std::size_t) {});
    pair.settle();
    EXPECT_TRUE(done);
    EXPECT_EQ(octet, 'm');
    EXPECT_TRUE(moved.is_open());
}

TEST(AsioAcceptor, TakesConnectionsInOrderAndStops) {
    TwoDrivers world;
    tcp::acceptor acceptor(world.right, TwoDrivers::right_endpoint(80));
    std::vector<tcp::socket> clients;
    std::vector<std::uint16_t> connected;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back(world.left);
        clients.back().async_connect(TwoDrivers::right_endpoint(80), [](error_code) {});
        world.settle();
        connected.push_back(clients.back().local_endpoint().port());
    }
    std::vector<std::uint16_t> accepted;
    error_code last;
    for (int i = 0; i < 4; ++i) {
        acceptor.async_accept([&](error_code error, tcp::socket socket) {
            if (error) {
                last = error;
                EXPECT_FALSE(socket.is_open());
            } else {
                accepted.push_back(socket.remote_endpoint().port());
            }
        });
    }
    world.settle();
    EXPECT_EQ(accepted, connected);
    acceptor.close();
    world.settle();
    EXPECT_EQ(last, net::error::operation_aborted);
}

TEST(AsioAcceptor, RefusesAPortThatIsTaken) {
    TwoDrivers world;
    tcp::acceptor first(world.right, TwoDrivers::right_endpoint(80));
    try {
        tcp::acceptor second(world.right, TwoDrivers::right_endpoint(80));
        FAIL() << "two listeners on one endpoint";
    } catch (const boost::system::system_error& error) {
        EXPECT_EQ(error.code(), net::error::address_in_use);
    }
}

}  // namespace
}  // namespace runnel::testing
