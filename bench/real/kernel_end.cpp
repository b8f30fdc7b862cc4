// The kernel's TCP as an end: an ordinary socket with the congestion control that it is told, read back.
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "real/ends.hpp"
#include "real/pattern.hpp"

namespace runnel::bench {

namespace {
constexpr int kPoll = 20;  // ms: how often a board is brought up to date

bool failed(const char* what) {  // false, so that callers can return it
    std::fprintf(stderr, "impaired_wire: kernel end: %s: %s\n", what, std::strerror(errno));
    return false;
}

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    (void)inet_pton(AF_INET, text.c_str(), &address.sin_addr);
    return address;
}

int open_socket(const std::string& congestion) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                             static_cast<socklen_t>(congestion.size())) != 0) {
        (void)failed(congestion.c_str());
        return -1;
    }
    const int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return fd;
}

/// The fields that this needs stand at the same places since Linux 4.6; the kernel fills what it has.
void publish(int fd, FlowBoard& flow) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
        flow.retransmitted = info.tcpi_total_retrans;
        flow.rtt_us = info.tcpi_rtt;
        flow.min_rtt_us = info.tcpi_min_rtt;
        flow.cwnd = info.tcpi_snd_cwnd;
        flow.sent = info.tcpi_data_segs_out;
    }
}

bool send_all(int fd, const EndConfig& config, const Board& board, FlowBoard& flow) {
    const Pattern pattern;
    std::uint64_t sent = 0;
    while (board.stop == 0 && (config.octets == 0 || sent < config.octets)) {
        const std::uint64_t left = config.octets == 0 ? Pattern::kBlock : config.octets - sent;
        const ssize_t wrote = send(fd, pattern.at(sent), std::min<std::uint64_t>(left, 64 * 1024),
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
        if (wrote > 0) {
            sent += static_cast<std::uint64_t>(wrote);
            continue;
        }
        if (errno != EAGAIN) {
            return failed("send");
        }
        publish(fd, flow);
        pollfd one{.fd = fd, .events = POLLOUT, .revents = 0};
        (void)poll(&one, 1, kPoll);
    }
    (void)shutdown(fd, SHUT_WR);
    while (board.stop == 0) {  // what is still on its way belongs to the figures
        publish(fd, flow);
        (void)poll(nullptr, 0, kPoll);
    }
    return true;
}

bool take_all(int fd, const Board& board, FlowBoard& flow) {
    const Pattern pattern;
    std::vector<char> into(Pattern::kBlock);
    std::uint64_t received = 0;
    while (board.stop == 0) {
        const ssize_t got = recv(fd, into.data(), into.size(), MSG_DONTWAIT);
        if (got > 0) {
            const auto size = static_cast<std::size_t>(got);
            flow.wrong += pattern.matches(received, into.data(), size) ? 0 : size;
            received += size;
            flow.received = received;
            continue;
        }
        if (got == 0) {
            flow.finished = 1;
            break;
        }
        if (errno != EAGAIN) {
            return failed("recv");
        }
        pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
        (void)poll(&one, 1, kPoll);
    }
    while (board.stop == 0) {
        (void)poll(nullptr, 0, kPoll);
    }
    return true;
}
}  // namespace

int kernel_end(const EndConfig& config, Board& board, FlowBoard& flow) {
    const int fd = open_socket(config.congestion);
    if (fd < 0) {
        return 1;
    }
    if (config.sends) {
        socklen_t size = sizeof flow.congestion;
        (void)getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, flow.congestion, &size);
        const sockaddr_in remote = address_of(config.remote, config.port);
        if (connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0) {
            (void)failed("connect");
            return 1;
        }
        flow.connected = 1;
        return send_all(fd, config, board, flow) ? 0 : 1;
    }
    const sockaddr_in local = address_of(config.local, config.port);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
        listen(fd, 1) != 0) {
        (void)failed("listen");
        return 1;
    }
    flow.listening = 1;
    const int accepted = accept(fd, nullptr, nullptr);
    if (accepted < 0) {
        (void)failed("accept");
        return 1;
    }
    return take_all(accepted, board, flow) ? 0 : 1;
}

}  // namespace runnel::bench
