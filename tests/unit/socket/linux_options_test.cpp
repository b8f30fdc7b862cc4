// setsockopt and getsockopt by Linux's numbers. The values and errors are those that Linux 6.18 gave to a small
// script over loopback, where a comment doesn't say that ours are others.
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

constexpr int kIp = 0, kSocket = 1, kTcp = 6;

struct Row {
    int value, error, shown;
};
struct Bounds {
    int level, name;
    std::vector<Row> rows;
};

struct LinuxOptions : Sockets {
    int put(SocketId id, int level, int name, int value) {
        return sockets.set_linux_option(id, level, name, std::as_bytes(std::span(&value, 1)),
                                        now());
    }
    int put_bytes(SocketId id, int level, int name, std::string_view bytes) {
        return sockets.set_linux_option(id, level, name, as_bytes(bytes), now());
    }
    /// The number, or the errno below zero.
    int read(SocketId id, int level, int name) {
        int value = 0;
        const OptionReply reply = sockets.get_linux_option(
            id, level, name, std::as_writable_bytes(std::span(&value, 1)), now());
        return reply.error != 0 ? -reply.error : value;
    }
    std::string text(SocketId id, int level, int name, std::size_t size) {
        std::string into(size, '?');
        const OptionReply reply = sockets.get_linux_option(
            id, level, name, std::as_writable_bytes(std::span(into.data(), size)), now());
        into.resize(reply.size);
        return into;
    }
    void check(const Bounds& bounds) {
        const SocketId id = stream();
        for (const Row& row : bounds.rows) {
            EXPECT_EQ(put(id, bounds.level, bounds.name, row.value), row.error)
                << bounds.name << ' ' << row.value;
            EXPECT_EQ(read(id, bounds.level, bounds.name), row.shown)
                << bounds.name << ' ' << row.value;
        }
        EXPECT_EQ(error_of(sockets.close(id, now())), Errc::ok);
    }
};

TEST_F(LinuxOptions, OfAFreshSocket) {
    const SocketId id = stream();
    EXPECT_EQ(read(id, kSocket, 3), 1) << "SO_TYPE";
    EXPECT_EQ(read(id, kSocket, 4), 0) << "SO_ERROR";
    EXPECT_EQ(read(id, kSocket, 12), 0) << "SO_PRIORITY";
    EXPECT_EQ(read(id, kSocket, 18), 1) << "SO_RCVLOWAT";
    EXPECT_EQ(read(id, kSocket, 38), 6) << "SO_PROTOCOL";
    EXPECT_EQ(read(id, kSocket, 39), 2) << "SO_DOMAIN";
    EXPECT_EQ(read(stream(Family::ipv6), kSocket, 39), 10);
    EXPECT_EQ(read(datagram(), kSocket, 38), 17);
    EXPECT_EQ(read(id, kTcp, 2), 536) << "TCP_MAXSEG";
    EXPECT_EQ(read(id, kTcp, 4), 7200) << "TCP_KEEPIDLE";
    EXPECT_EQ(read(id, kTcp, 5), 75);
    EXPECT_EQ(read(id, kTcp, 6), 9);
    EXPECT_EQ(read(id, kTcp, 8), 60) << "TCP_LINGER2";
    EXPECT_EQ(read(id, kTcp, 10), 0) << "TCP_WINDOW_CLAMP";
    EXPECT_EQ(read(id, kTcp, 18), 0);
    EXPECT_EQ(read(id, kTcp, 25), 0);
    EXPECT_EQ(read(id, kTcp, 36), 0);
    EXPECT_EQ(read(id, kIp, 14), -ENOTCONN) << "IP_MTU";
}

/// What is set, the errno, and what is shown then; each line on one socket.
const std::vector<Bounds>& all_bounds() {
    static const std::vector<Bounds> kBounds = {
        {kTcp, 8, {{-5, 0, -1}, {-1, 0, -1}, {0, 0, 60}, {1, 0, 1}, {120, 0, 120}, {121, 0, 120}}},
        {kTcp, 2, {{87, EINVAL, 536}, {88, 0, 88}, {32'767, 0, 32'767}, {32'768, EINVAL, 32'767}}},
        {kTcp, 4, {{0, EINVAL, 7200}, {1, 0, 1}, {32'767, 0, 32'767}, {32'768, EINVAL, 32'767}}},
        {kTcp, 5, {{0, EINVAL, 75}, {1, 0, 1}, {32'767, 0, 32'767}, {32'768, EINVAL, 32'767}}},
        {kTcp, 6, {{0, EINVAL, 9}, {127, 0, 127}, {128, EINVAL, 127}}},
        {kTcp, 18, {{-1, EINVAL, 0}, {1000, 0, 1000}}},
        {kTcp, 25, {{-1, 0, -1}, {0, 0, 0}, {4000, 0, 4000}}},
        {kTcp, 36, {{-1, EINVAL, 0}, {1, 0, 1}, {2, EINVAL, 1}}},
        {kTcp, 10, {{1, 0, 1152}, {0, 0, 0}, {1152, 0, 1152}, {100'000, 0, 100'000}}},
        {kTcp, 3, {{-1, 0, 1}, {0, 0, 0}, {2, 0, 1}}},
        {kTcp, 1, {{-1, 0, 1}, {0, 0, 0}, {2, 0, 1}}},
        {kSocket, 2, {{7, 0, 1}, {0, 0, 0}}},
        {kSocket, 7, {{0, 0, 4608}, {2304, 0, 4608}, {5000, 0, 10'000}, {106'496, 0, 212'992}}},
        {kSocket, 8, {{0, 0, 2304}, {2304, 0, 4608}, {5000, 0, 10'000}}},
        {kSocket, 9, {{-1, 0, 1}, {0, 0, 0}}},
        {kSocket, 10, {{3, 0, 1}, {0, 0, 0}}},
        {kSocket, 12, {{3, 0, 3}, {6, 0, 6}}},
        {kSocket, 18, {{0, 0, 1}, {5, 0, 5}}},
        {kSocket, 60, {{1, 0, 1}, {2, EINVAL, 1}, {-1, EINVAL, 1}}},
        {kSocket,
         37,
         {{128, EINVAL, 0},
          {16, 0, 16},
          {1 << 20, EINVAL, 16},
          {65'536, EINVAL, 16},
          {-1, EINVAL, 16}}},
        {kIp, 1, {{-1, 0, 252}, {3, 0, 0}, {255, 0, 252}, {256, 0, 0}, {184, 0, 184}}},
        {kIp, 2, {{0, EINVAL, 64}, {1, 0, 1}, {255, 0, 255}, {256, EINVAL, 255}, {-1, 0, 64}}},
        {kIp, 11, {{5, 0, 1}, {0, 0, 0}}},
        {kIp, 14, {{5, ENOPROTOOPT, -ENOTCONN}}},
        {kSocket, 3, {{1, ENOPROTOOPT, 1}}},
        {kSocket, 4, {{1, ENOPROTOOPT, 0}}},
        {kSocket, 30, {{1, ENOPROTOOPT, 0}}},
        {kSocket, 38, {{1, ENOPROTOOPT, 6}}},
        {kSocket, 39, {{1, ENOPROTOOPT, 2}}},
        {kTcp, 999, {{1, ENOPROTOOPT, -ENOPROTOOPT}}},
        {99, 1, {{1, ENOPROTOOPT, -EOPNOTSUPP}}},
    };
    return kBounds;
}

TEST_F(LinuxOptions, WhatMayBeSet) {
    for (const Bounds& bounds : all_bounds()) {
        check(bounds);
    }
}

TEST(LinuxItself, SaysTheSame) {
    utsname system{};
    if (uname(&system) != 0 || std::string_view(system.release).substr(0, 5) != "6.18.") {
        GTEST_SKIP() << "the table is that of Linux 6.18, this is " << system.release;
    }
    for (const Bounds& bounds : all_bounds()) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) {
            GTEST_SKIP() << "no socket: " << std::strerror(errno);
        }
        for (const Row& row : bounds.rows) {
            const int set = setsockopt(fd, bounds.level, bounds.name, &row.value, sizeof row.value);
            EXPECT_EQ(set == 0 ? 0 : errno, row.error) << bounds.level << ' ' << bounds.name;
            int shown = 0;
            socklen_t size = sizeof shown;
            const int got = getsockopt(fd, bounds.level, bounds.name, &shown, &size);
            EXPECT_EQ(got == 0 ? shown : -errno, row.shown) << bounds.level << ' ' << bounds.name;
        }
        close(fd);
    }
}

TEST_F(LinuxOptions, AGreaterBufferThanThereMayBe) {
    const SocketId id = stream();
    EXPECT_EQ(put(id, kSocket, 7, -1), 0) << "the greatest there is; Linux has wmem_max there";
    EXPECT_EQ(read(id, kSocket, 7), 2 * static_cast<int>(kMaxSocketBuffer));
}

TEST_F(LinuxOptions, NobodyKnows) {
    const SocketId id = stream();
    EXPECT_EQ(put(id, kTcp, 999, 1), ENOPROTOOPT);
    EXPECT_EQ(read(id, kTcp, 999), -ENOPROTOOPT);
    EXPECT_EQ(put(id, 99, 1, 1), ENOPROTOOPT);
    EXPECT_EQ(read(id, 99, 1), -EOPNOTSUPP);
    EXPECT_EQ(put(id, kSocket, 3, 1), ENOPROTOOPT) << "SO_TYPE is read only";
    EXPECT_EQ(put(id, kSocket, 4, 1), ENOPROTOOPT);
    EXPECT_EQ(put(id, kSocket, 38, 1), ENOPROTOOPT);
    EXPECT_EQ(put(datagram(), kTcp, 1, 1), ENOPROTOOPT);
    EXPECT_EQ(read(datagram(), kTcp, 1), -EOPNOTSUPP);
    EXPECT_EQ(put_bytes(id, kTcp, 1, "ab"), EINVAL) << "no whole number";
    EXPECT_EQ(put_bytes(id, kTcp, 1, ""), EINVAL);
    EXPECT_EQ(put_bytes(id, kIp, 1, "a"), 0) << "IP takes an octet";
    EXPECT_EQ(read(id, kIp, 1), 'a' & 252);
    EXPECT_EQ(put(id, kSocket, 15, 1), ENOPROTOOPT) << "SO_REUSEPORT is not built";
    EXPECT_EQ(read(id, kSocket, 15), 0);
    EXPECT_EQ(error_of(sockets.close(id, now())), Errc::ok);
    EXPECT_EQ(put(id, kTcp, 1, 1), EBADF);
    EXPECT_EQ(read(id, kTcp, 1), -EBADF);
}

TEST_F(LinuxOptions, CongestionControlByName) {
    const SocketId id = stream();
    EXPECT_EQ(put_bytes(id, kTcp, 13, "nosuch"), ENOENT);
    EXPECT_EQ(put_bytes(id, kTcp, 13, ""), EINVAL);
    EXPECT_EQ(put_bytes(id, kTcp, 13, std::string_view("reno\0junk", 9)), 0);
    EXPECT_EQ(text(id, kTcp, 13, 4), "reno");
    EXPECT_EQ(text(id, kTcp, 13, 40), std::string("reno") + std::string(12, '\0'));
    EXPECT_EQ(put_bytes(id, kTcp, 13, "fixed"), 0);
    EXPECT_EQ(*sockets.congestion(id), "fixed");
    const SocketId listening = listener(self4);
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_STREQ(sockets.tcp_info(id)->congestion_control, "fixed");
    EXPECT_EQ(put_bytes(id, kTcp, 13, "reno"), 0);
    EXPECT_STREQ(sockets.tcp_info(id)->congestion_control, "reno") << "at any time";
    EXPECT_EQ(put_bytes(datagram(), kTcp, 13, "reno"), ENOPROTOOPT);
    (void)listening;
}

TEST_F(LinuxOptions, Linger) {
    const SocketId id = stream();
    const auto linger = [](std::int32_t on, std::int32_t time) {
        std::string bytes(8, '\0');
        std::memcpy(bytes.data(), &on, 4);
        std::memcpy(bytes.data() + 4, &time, 4);
        return bytes;
    };
    EXPECT_EQ(text(id, kSocket, 13, 8), linger(0, 0));
    EXPECT_EQ(put_bytes(id, kSocket, 13, linger(7, 2)), 0);
    EXPECT_EQ(text(id, kSocket, 13, 8), linger(1, 2));
    EXPECT_EQ(text(id, kSocket, 13, 4).size(), 4u) << "cut off";
    EXPECT_EQ(put_bytes(id, kSocket, 13, "abcd"), EINVAL);
    EXPECT_EQ(put_bytes(id, kSocket, 13, linger(0, 2)), 0);
    EXPECT_EQ(read(id, kSocket, 13), 0);
}

TEST_F(LinuxOptions, AcceptedSocketsHaveTheirListeners) {
    const SocketId listening = listener(self4);
    for (const auto& [level, name, value] : {std::tuple{kTcp, 8, 7},
                                             {kTcp, 18, 1234},
                                             {kTcp, 4, 77},
                                             {kTcp, 25, 4000},
                                             {kTcp, 36, 1},
                                             {kTcp, 3, 1},
                                             {kTcp, 1, 1},
                                             {kTcp, 10, 30'000},
                                             {kSocket, 18, 5},
                                             {kSocket, 12, 3},
                                             {kSocket, 36, 9},
                                             {kSocket, 60, 1},
                                             {kSocket, 37, 16},
                                             {kSocket, 7, 50'000},
                                             {kIp, 1, 184},
                                             {kIp, 2, 33},
                                             {kIp, 11, 1},
                                             {kSocket, 9, 1},
                                             {kSocket, 10, 1}}) {
        EXPECT_EQ(put(listening, level, name, value), 0) << level << ' ' << name;
    }
    EXPECT_EQ(put(listening, kTcp, 10, 0), EINVAL);
    EXPECT_EQ(put(listening, kSocket, 37, 128), EINVAL) << "OPT_ID needs a connection";
    const SocketId client = stream();
    EXPECT_EQ(connect(client, self4), Errc::in_progress);
    run();
    const SocketId id = *sockets.accept(listening, now());
    for (const auto& [level, name, value] : {std::tuple{kTcp, 8, 7},
                                             {kTcp, 18, 1234},
                                             {kTcp, 4, 77},
                                             {kTcp, 25, 4000},
                                             {kTcp, 36, 1},
                                             {kTcp, 3, 1},
                                             {kTcp, 1, 1},
                                             {kTcp, 10, 30'000},
                                             {kSocket, 18, 5},
                                             {kSocket, 12, 0},
                                             {kSocket, 36, 9},
                                             {kSocket, 60, 1},
                                             {kSocket, 37, 16},
                                             {kSocket, 7, 100'000},
                                             {kIp, 1, 184},
                                             {kIp, 2, 33},
                                             {kIp, 11, 1},
                                             {kSocket, 9, 1},
                                             {kSocket, 10, 1}}) {
        EXPECT_EQ(read(id, level, name), value) << level << ' ' << name;
    }
    EXPECT_EQ(read(client, kIp, 14), 65'535);
    EXPECT_EQ(put(client, kTcp, 10, 0), EINVAL);
    EXPECT_EQ(put(client, kSocket, 37, 128), 0);
}

TEST_F(LinuxOptions, ErrorsComeAsNumbers) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_EQ(sockets.poll_events(id), 0x2000u | 0x155u | 0x8u);
    EXPECT_EQ(read(id, kSocket, 4), ECONNREFUSED);
    EXPECT_EQ(read(id, kSocket, 4), 0);
    EXPECT_EQ(sockets.poll_events(id), 0x2000u | 0x155u) << "IN OUT HUP RDNORM WRNORM RDHUP";
}

TEST_F(LinuxOptions, TcpInfoInItsLayout) {
    const Pair ends = pair();
    const std::string whole = text(ends.client, kTcp, 11, 1000);
    ASSERT_EQ(whole.size(), kTcpInfoBytes);
    EXPECT_EQ(text(ends.client, kTcp, 11, 8), whole.substr(0, 8));
    const TcpInfo info = *sockets.linux_tcp_info(ends.client, now());
    const auto at = [&](std::size_t offset) {
        std::uint32_t value = 0;
        std::memcpy(&value, whole.data() + offset, 4);
        return value;
    };
    // Offsets of linux/tcp.h.
    EXPECT_EQ(whole[0], 1);
    EXPECT_EQ(static_cast<unsigned char>(whole[6]),
              info.tcpi_snd_wscale | info.tcpi_rcv_wscale << 4);
    EXPECT_EQ(at(8), info.tcpi_rto);
    EXPECT_EQ(at(68), info.tcpi_rtt);
    EXPECT_EQ(at(80), info.tcpi_snd_cwnd);
    EXPECT_EQ(at(104), static_cast<std::uint32_t>(info.tcpi_pacing_rate));
    EXPECT_EQ(at(136), info.tcpi_segs_out);
    EXPECT_EQ(at(148), info.tcpi_min_rtt);
    EXPECT_EQ(at(192), info.tcpi_delivered);
    EXPECT_EQ(at(232), info.tcpi_rcv_wnd);
}

}  // namespace
}  // namespace runnel::test
