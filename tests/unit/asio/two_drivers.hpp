// Two drivers on one io_context, joined by an in-process wire, in virtual time: what most tests of the room
// `asio` need.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/asio/wire.hpp"

namespace runnel::testing {

namespace net = boost::asio;

struct TwoDrivers {
    explicit TwoDrivers(const tcp::TcpConfig& config = {}, std::uint32_t mtu = 1500)
        : left(io, options("left", config, 1)), right(io, options("right", config, 2)) {
        connect_wire(left, right, wire_capabilities(mtu));
        EXPECT_TRUE(left.host().add_address(0, *parse_cidr("10.0.0.1/24"), left.now()));
        EXPECT_TRUE(right.host().add_address(0, *parse_cidr("10.0.0.2/24"), right.now()));
    }

    static DriverOptions options(const char* name, const tcp::TcpConfig& config,
                                 std::uint64_t seed) {
        DriverOptions all;
        all.host.name = name;
        all.host.tcp = config;
        all.seed = seed;
        all.clock = Clock::manual;
        return all;
    }

    /// Starts a coroutine; an exception out of it fails the test.
    void spawn(net::awaitable<void> task) {
        ++running;
        net::co_spawn(io, std::move(task), [this](std::exception_ptr thrown) {
            --running;
            if (thrown) {
                try {
                    std::rethrow_exception(thrown);
                } catch (const std::exception& error) {
                    ADD_FAILURE() << "a coroutine threw: " << error.what();
                }
            }
        });
    }
    /// Runs until every spawned coroutine has ended; false when virtual time ran out first.
    bool run(Duration limit = seconds(600)) {
        return run_until([this] { return running == 0; }, limit);
    }
    bool run_until(const std::function<bool()>& done, Duration limit = seconds(600)) {
        const std::array<Driver*, 2> both = {&left, &right};
        return run_in_virtual_time(io, both, left.now() + limit, done);
    }
    /// What is ready now, without moving time.
    void settle() {
        run_until([] { return true; });
        io.restart();
        io.poll();
    }

    static tcp::endpoint left_endpoint(std::uint16_t port) {
        return {*parse_ip_address("10.0.0.1"), port};
    }
    static tcp::endpoint right_endpoint(std::uint16_t port) {
        return {*parse_ip_address("10.0.0.2"), port};
    }

    net::io_context io;
    Driver left;
    Driver right;
    int running = 0;
};

/// A connected pair; `client` on the left, `server` on the right.
struct ConnectedPair : TwoDrivers {
    explicit ConnectedPair(const tcp::TcpConfig& config = {}, std::uint32_t mtu = 1500)
        : TwoDrivers(config, mtu), client(left), server(right) {
        tcp::acceptor acceptor(right, right_endpoint(80));
        int done = 0;
        acceptor.async_accept([&](tcp::error_code error, tcp::socket accepted) {
            EXPECT_FALSE(error) << error.message();
            server = std::move(accepted);
            ++done;
        });
        client.async_connect(right_endpoint(80), [&](tcp::error_code error) {
            EXPECT_FALSE(error) << error.message();
            ++done;
        });
        EXPECT_TRUE(run_until([&] { return done == 2; }));
    }

    tcp::socket client;
    tcp::socket server;
};

}  // namespace runnel::testing
