// The driver's clock when its thread has to wait: what arrives meanwhile has arrived then, and not when the turn began.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <thread>

#include "runnel/asio/driver.hpp"
#include "runnel/asio/tcp_socket.hpp"

namespace {

/// What happens in the middle of the next read() of a descriptor, before it looks whether anything is there.
struct {
    int fd = -1;
    std::function<void()> what;
} interruption;

}  // namespace

/// The program's own read(), in front of the C library's: where a scheduler may stop a thread, only with certainty.
extern "C" ssize_t read(int fd, void* into, size_t size) {
    if (fd == interruption.fd && interruption.what) {
        const auto what = std::move(interruption.what);
        interruption = {};
        what();
    }
    return ::syscall(SYS_read, fd, into, size);
}

namespace runnel::testing {
namespace {

constexpr auto kPause = std::chrono::milliseconds(30);

/// A driver on one end of a socket pair that carries a packet a message, on the real clock.
struct End {
    End(int descriptor, const char* address) : fd(descriptor), driver(io, options()) {
        auto device = Device::from_fd(fd, LinkLayer::raw_ip, false, 1500);
        EXPECT_TRUE(device);
        (void)driver.add_link(std::move(*device));
        EXPECT_TRUE(driver.host().add_address(0, *parse_cidr(address), driver.now()));
        settle();
    }
    static DriverOptions options() {
        DriverOptions all;
        all.clock = Clock::monotonic;
        all.seed = 1;
        return all;
    }
    void settle() {
        io.restart();
        while (io.poll() > 0) {
        }
    }

    int fd;
    boost::asio::io_context io;
    Driver driver;
};

TEST(AsioDriverClock, WhatComesWhileTheThreadHasToWaitHasNotComeBefore) {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()), 0);
    End client(fds[0], "10.0.0.1/24");
    End server(fds[1], "10.0.0.2/24");
    tcp::acceptor acceptor(server.driver, tcp::endpoint(Family::ipv4, 80));
    tcp::socket socket(client.driver);
    bool connected = false;
    socket.async_connect(tcp::endpoint(*parse_ip_address("10.0.0.2"), 80),
                         [&](boost::system::error_code error) {
                             EXPECT_FALSE(error) << error.message();
                             connected = true;
                         });
    // The SYN leaves in a turn's first round. In its second the thread is stopped between looking at the clock and
    // reading, and the answer comes.
    int interrupted = 0;
    const std::function<void()> wait = [&] {
        ++interrupted;
        std::this_thread::sleep_for(kPause);
        server.settle();
    };
    const std::function<void()> first = [&] { interruption = {client.fd, wait}; };
    interruption = {client.fd, first};
    client.settle();
    ASSERT_EQ(interrupted, 1);
    ASSERT_TRUE(connected);
    const auto status = client.driver.sockets().tcp_info(socket.native_handle());
    ASSERT_TRUE(status);
    EXPECT_GE(status->rtt_min.micros(), kPause / std::chrono::microseconds(1))
        << "the answer took so long";
}

}  // namespace
}  // namespace runnel::testing
