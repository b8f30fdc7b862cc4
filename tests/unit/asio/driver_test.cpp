// The driver's life: finishing, closing with operations pending, handlers that throw, timers in virtual
// time, and a device under it on the real clock.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "runnel/asio/host_timer.hpp"
#include "two_drivers.hpp"

namespace runnel::testing {
namespace {

using tcp::error_code;

TEST(AsioDriver, FinishWaitsForTheCloseOfBothDirections) {
    ConnectedPair pair;
    pair.client.close();
    error_code result = net::error::would_block;
    pair.left.async_finish(seconds(30), [&](error_code error) { result = error; });
    pair.settle();
    EXPECT_EQ(result, net::error::would_block) << "the peer hasn't closed yet: FIN-WAIT-2";
    pair.server.close();
    ASSERT_TRUE(pair.run_until([&] { return result != net::error::would_block; }, seconds(1)));
    EXPECT_FALSE(result) << "TIME-WAIT is an end";
}

TEST(AsioDriver, FinishOfNothingIsDoneAtOnce) {
    ConnectedPair pair;
    bool done = false;
    pair.left.async_finish(seconds(30), [&](error_code error) {
        EXPECT_FALSE(error);
        done = true;
    });
    EXPECT_FALSE(done);
    pair.settle();
    EXPECT_TRUE(done) << "connections that their user still holds don't count";
}

TEST(AsioDriver, CloseDestroysWhatIsPendingAndRunReturns) {
    auto token = std::make_shared<int>(0);
    bool called = false;
    net::io_context io;
    DriverOptions options;
    options.clock = Clock::monotonic;
    Driver driver(io, options);
    tcp::acceptor acceptor(driver, tcp::endpoint(Family::ipv4, 80));
    acceptor.async_accept([token, &called](error_code, tcp::socket) { called = true; });
    host_timer timer(driver);
    timer.expires_after(std::chrono::hours(1));
    timer.async_wait([token, &called](error_code) { called = true; });
    EXPECT_EQ(token.use_count(), 3);
    net::post(io, [&] { driver.close(); });
    io.run();
    EXPECT_FALSE(called);
    EXPECT_EQ(token.use_count(), 1);
    // What is left behind is harmless.
    acceptor.async_accept([&called](error_code, tcp::socket) { called = true; });
    timer.async_wait([&called](error_code) { called = true; });
    acceptor.close();
    timer.cancel();
    EXPECT_FALSE(called);
}

TEST(AsioDriver, SocketsMayOutliveIt) {
    auto world = std::make_unique<TwoDrivers>();
    std::unique_ptr<tcp::socket> socket = std::make_unique<tcp::socket>(world->left);
    socket->open(Family::ipv4);
    world.reset();
    error_code error;
    socket->close(error);
    EXPECT_FALSE(error);
    socket.reset();
}

net::awaitable<void> read_forever(tcp::socket socket, std::shared_ptr<int> token) {
    (void)token;
    char octet = 0;
    co_await socket.async_read_some(net::buffer(&octet, 1), net::use_awaitable);
    ADD_FAILURE() << "nobody sends";
}

TEST(AsioDriver, CoroutinesThatHoldSocketsGoWithIt) {
    auto token = std::make_shared<int>(0);
    {
        ConnectedPair pair;
        net::co_spawn(pair.io, read_forever(std::move(pair.client), token),
                      [](std::exception_ptr) {});
        pair.settle();
        EXPECT_EQ(token.use_count(), 2);
    }
    EXPECT_EQ(token.use_count(), 1);
}

TEST(AsioDriver, AHandlerThatThrowsStopsNothingElse) {
    ConnectedPair pair;
    char octet = 0;
    bool read = false;
    pair.server.async_read_some(net::buffer(&octet, 1),
                                [&](error_code, std::size_t) { read = true; });
    pair.client.async_write_some(net::buffer("x", 1), [](error_code, std::size_t) {
        throw std::runtime_error("thrown by the user");
    });
    EXPECT_THROW(pair.settle(), std::runtime_error);
    pair.settle();
    EXPECT_TRUE(read);
}

TEST(AsioDriver, TimersFireInVirtualTime) {
    TwoDrivers world;
    host_timer timer(world.left);
    const Instant begin = world.left.now();
    timer.expires_after(std::chrono::minutes(90));
    error_code first = net::error::would_block;
    timer.async_wait([&](error_code error) { first = error; });
    ASSERT_TRUE(world.run_until([&] { return !first; }, seconds(6000)));
    EXPECT_EQ((world.left.now() - begin).seconds(), 5400);
    // Waiting for one that has expired is done at once; a new expiry ends what waits.
    error_code second = net::error::would_block;
    timer.async_wait([&](error_code error) { second = error; });
    world.settle();
    EXPECT_FALSE(second);
    timer.expires_after(seconds(1));
    timer.async_wait([&](error_code error) { second = error; });
    timer.expires_after(seconds(2));
    world.settle();
    EXPECT_EQ(second, net::error::operation_aborted);
}

TEST(AsioDriver, ASeedMakesInitialSequenceNumbersRepeat) {
    std::uint32_t iss[2] = {};
    for (std::uint32_t& value : iss) {
        ConnectedPair pair;
        value = pair.client.info()->iss;
    }
    EXPECT_EQ(iss[0], iss[1]);
}

/// Two drivers on the real clock with a socket pair between them as their devices.
TEST(AsioDriver, DrivesADeviceWithBackPressure) {
    int ends[2] = {};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    net::io_context io(1);
    DriverOptions options;
    Driver left(io, options);
    Driver right(io, options);
    auto left_device = Device::from_fd(ends[0], LinkLayer::raw_ip, true, 1500);
    auto right_device = Device::from_fd(ends[1], LinkLayer::raw_ip, true, 1500);
    ASSERT_TRUE(left_device && right_device);
    left.add_link(std::move(*left_device));
    right.add_link(std::move(*right_device));
    ASSERT_TRUE(left.host().add_address(0, *parse_cidr("10.0.0.1/24"), left.now()));
    ASSERT_TRUE(right.host().add_address(0, *parse_cidr("10.0.0.2/24"), right.now()));

    const std::vector<char> sent(8 << 20, 'r');
    std::vector<char> received(sent.size());
    tcp::acceptor acceptor(right, TwoDrivers::right_endpoint(80));
    tcp::socket server(right);
    tcp::socket client(left);
    acceptor.async_accept([&](error_code error, tcp::socket socket) {
        ASSERT_FALSE(error);
        server = std::move(socket);
        net::async_read(server, net::buffer(received), [&](error_code failure, std::size_t) {
            EXPECT_FALSE(failure) << failure.message();
            io.stop();
        });
    });
    client.async_connect(TwoDrivers::right_endpoint(80), [&](error_code error) {
        ASSERT_FALSE(error) << error.message();
        net::async_write(client, net::buffer(sent), [](error_code failure, std::size_t) {
            EXPECT_FALSE(failure) << failure.message();
        });
    });
    io.run_for(std::chrono::seconds(60));
    EXPECT_TRUE(io.stopped());
    EXPECT_EQ(sent, received);
    EXPECT_NE(left.device(0), nullptr);
    EXPECT_GT(left.device(0)->counters().send_would_block, 0u) << "the device never was full";
}

}  // namespace
}  // namespace runnel::testing
