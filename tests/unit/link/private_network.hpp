// Runs a test's body in a child process that has a network of its own, so that the machine's own
// namespace is never touched, whatever the test does or however it ends.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"

namespace runnel::testing {

inline constexpr unsigned kTestSeconds = 60;

/// Forks; the child runs `body` and its failures are this test's. True when all went well.
inline bool run_in_child(const std::function<void()>& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kTestSeconds);
        body();
        std::fflush(nullptr);
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        ADD_FAILURE() << "the child died of " << ::strsignal(WTERMSIG(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

inline bool run_in_private_network(void (*body)()) {
    return run_in_child([body] {
        const auto entered = enter_private_network();
        ASSERT_TRUE(entered.has_value()) << entered.error().what;
        body();
    });
}

/// Empty, or why this machine can't run the tests that need a TUN device (`tun`) or a private network.
inline std::string missing(bool tun) {
    if (const auto possible = check_private_network(); !possible) {
        return possible.error().what;
    }
    if (!tun) {
        return {};
    }
    const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return "/dev/net/tun can't be opened";
    }
    ::close(fd);
    return {};
}

/// The body of a TEST that runs in a private network.
#define IN_PRIVATE_NETWORK(needs_tun, body)                                            \
    if (const std::string why = ::runnel::testing::missing(needs_tun); !why.empty()) { \
        GTEST_SKIP() << why;                                                           \
    }                                                                                  \
    EXPECT_TRUE(::runnel::testing::run_in_private_network(body)) << "see above"

/// Becomes the user nobody, as one who has logged in: a change of user alone leaves /proc/self to root.
inline bool become_ordinary_user() {
    if (::geteuid() != 0) {
        return true;
    }
    return ::setgid(65534) == 0 && ::setuid(65534) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

/// The sentence of a refusal; empty when it went well.
template <class T>
std::string refusal(const LinkResult<T>& result) {
    return result ? std::string() : result.error().what;
}
#define ASSERT_LINK_OK(expression) ASSERT_EQ(::runnel::testing::refusal(expression), "")

/// Waits until `fd` can be read; false after `milliseconds`.
inline bool readable(int fd, int milliseconds = 2000) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 1 && (entry.revents & POLLIN) != 0;
}

/// Reads frames until one fulfils `wanted`; none within two seconds.
inline std::optional<Frame> await_frame(Device& device, BufferPool& pool,
                                        const std::function<bool(const Frame&)>& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    FrameBatch batch;
    while (std::chrono::steady_clock::now() < deadline) {
        batch.clear();
        if (device.receive(pool, batch, 1) == 0) {
            (void)readable(device.native_handle(), 50);
            continue;
        }
        if (wanted(batch.front())) {
            return std::move(batch.front());
        }
    }
    return std::nullopt;
}

/// A switched-on TUN "rt0" with an address at the kernel's end and nothing else to say.
inline LinkResult<Device> open_test_tun(TunOptions options = {},
                                        std::string_view address = "10.9.0.1/24") {
    if (options.name.empty()) {
        options.name = "rt0";
    }
    auto device = Device::open_tun(options);
    if (!device) {
        return device;
    }
    auto netlink = Netlink::open();
    EXPECT_TRUE(netlink.has_value());
    const auto quiet = netlink->set_ipv6_link_local(device->name(), false);
    EXPECT_TRUE(quiet.has_value()) << quiet.error().what;
    const auto up = netlink->set_up(device->name());
    EXPECT_TRUE(up.has_value()) << up.error().what;
    const auto added = netlink->add_address(device->name(), parse_cidr(address).value());
    EXPECT_TRUE(added.has_value()) << added.error().what;
    return device;
}

}  // namespace runnel::testing
