// Throughput over TUN, Runnel to kernel and kernel to Runnel, beside kernel to kernel over veth with
// offloads, in one command: every kernel socket set to cubic and read back, one core a side, runs
// interleaved, medians. Everything happens in a private network namespace.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/asio/tcp_socket.hpp"
#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"

namespace {

using namespace runnel;
using SteadyClock = std::chrono::steady_clock;
namespace asio = boost::asio;

constexpr std::uint16_t kPort = 5201;
constexpr std::size_t kBlock = 256 * 1024;
constexpr unsigned kKernelCore = 1;
constexpr unsigned kOtherCore = 0;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "throughput: %s\n", what.c_str());
    std::_Exit(1);
}
void check(bool ok, const char* what) {
    if (!ok) {
        die(std::string(what) + ": " + std::strerror(errno));
    }
}
template <class T>
T need(LinkResult<T> result) {
    if (!result.has_value()) {
        die(result.error().what);
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*result);
    }
}

void pin(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(core), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        std::fprintf(stderr, "throughput: cannot pin to core %u\n", core);
    }
}

/// A kernel TCP socket with cubic, which is read back: this machine's default may be another.
int kernel_socket(bool say) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) == 0, "TCP_CONGESTION cubic");
    char name[16] = {};
    socklen_t size = sizeof name;
    check(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0, "TCP_CONGESTION");
    if (std::string_view(name) != "cubic") {
        die(std::string("congestion control is ") + name);
    }
    if (say) {
        std::printf("kernel sockets: TCP_CONGESTION read back as \"%s\"\n", name);
    }
    const int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return fd;
}

sockaddr_in endpoint_of(const char* address) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(kPort);
    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

struct Report {
    std::uint64_t bytes = 0;
    double seconds = 0;
};

void write_all(int fd, const void* data, std::size_t size) {
    if (write(fd, data, size) != static_cast<ssize_t>(size)) {
        std::_Exit(1);
    }
}

/// Accepts one connection and reads it to its end; tells `ready` when it listens and `result` what came.
int kernel_receiver(const char* address, int ready, int result) {
    const int listener = kernel_socket(false);
    const sockaddr_in local = endpoint_of(address);
    check(bind(listener, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    write_all(ready, "x", 1);
    const int fd = accept(listener, nullptr, nullptr);
    check(fd >= 0, "accept");
    std::vector<char> buffer(kBlock);
    Report report;
    SteadyClock::time_point begin;
    for (;;) {
        const ssize_t got = read(fd, buffer.data(), buffer.size());
        check(got >= 0, "read");
        if (report.bytes == 0) {
            begin = SteadyClock::now();
        }
        if (got == 0) {
            break;
        }
        report.bytes += static_cast<std::uint64_t>(got);
    }
    report.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    write_all(result, &report, sizeof report);
    return 0;
}

int kernel_sender(const char* address, double duration) {
    const int fd = kernel_socket(false);
    const sockaddr_in remote = endpoint_of(address);
    check(connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote) == 0, "connect");
    const std::vector<char> buffer(kBlock, 'r');
    const auto end = SteadyClock::now() + std::chrono::duration<double>(duration);
    while (SteadyClock::now() < end) {
        if (write(fd, buffer.data(), buffer.size()) < 0) {
            break;
        }
    }
    close(fd);
    return 0;
}

struct Pipe {
    int fds[2];
    Pipe() { check(pipe(fds) == 0, "pipe"); }
    ~Pipe() {
        close(fds[0]);
        close(fds[1]);
    }
};

Report read_report(Pipe& pipe) {
    Report report;
    if (read(pipe.fds[0], &report, sizeof report) != sizeof report) {
        die("a side ended without a result");
    }
    return report;
}

void wait_for(pid_t child) {
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        die("a side failed");
    }
}

template <class F>
pid_t fork_pinned(unsigned core, F&& f) {
    const pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        pin(core);
        std::_Exit(f());
    }
    return child;
}

double gigabits(const Report& r) {
    return r.seconds > 0 ? static_cast<double>(r.bytes) * 8 / r.seconds / 1e9 : 0;
}

/// veth between two namespaces, a core an end.
double kernel_to_kernel(NetworkNamespace& other, double duration) {
    Pipe ready;
    Pipe result;
    const pid_t receiver = need(other.fork_inside([&] {
        pin(kKernelCore);
        return kernel_receiver("10.77.1.2", ready.fds[1], result.fds[1]);
    }));
    char c = 0;
    if (read(ready.fds[0], &c, 1) != 1) {
        die("the receiver did not start");
    }
    const pid_t sender =
        fork_pinned(kOtherCore, [&] { return kernel_sender("10.77.1.2", duration); });
    const Report report = read_report(result);
    wait_for(sender);
    wait_for(receiver);
    return gigabits(report);
}

class RunnelSide {
public:
    RunnelSide(Device device) : driver_(io_, options()) {
        const std::uint8_t interface = driver_.add_link(std::move(device));
        (void)driver_.host().add_address(interface, *parse_cidr("10.77.0.2/24"), driver_.now());
    }
    int send(double duration) {
        asio::co_spawn(io_, sending(duration), asio::detached);
        io_.run();
        return 0;
    }
    int receive(int ready, int result) {
        tcp::acceptor acceptor(driver_, tcp::endpoint(Family::ipv4, kPort), 1);
        asio::co_spawn(io_, receiving(acceptor, ready, result), asio::detached);
        io_.run();
        return 0;
    }

private:
    static DriverOptions options() {
        DriverOptions o;
        o.seed = 1;
        return o;
    }
    asio::awaitable<void> sending(double duration) {
        tcp::socket socket(driver_);
        const tcp::endpoint remote(*parse_ip_address("10.77.0.1"), kPort);
        co_await socket.async_connect(remote, asio::use_awaitable);
        const std::vector<char> block(kBlock, 'r');
        const auto end = SteadyClock::now() + std::chrono::duration<double>(duration);
        while (SteadyClock::now() < end) {
            co_await socket.async_write_some(asio::buffer(block), asio::use_awaitable);
        }
        socket.close();
        co_await driver_.async_finish(seconds(5), asio::use_awaitable);
        driver_.close();
        io_.stop();
    }
    asio::awaitable<void> receiving(tcp::acceptor& acceptor, int ready, int result) {
        write_all(ready, "x", 1);
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        std::vector<char> block(kBlock);
        Report report;
        SteadyClock::time_point begin;
        for (;;) {
            boost::system::error_code ec;
            const std::size_t got = co_await socket.async_read_some(
                asio::buffer(block), asio::redirect_error(asio::use_awaitable, ec));
            if (report.bytes == 0) {
                begin = SteadyClock::now();
            }
            if (ec) {
                break;
            }
            report.bytes += got;
        }
        report.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
        socket.close();
        co_await driver_.async_finish(seconds(5), asio::use_awaitable);
        write_all(result, &report, sizeof report);
        driver_.close();
        io_.stop();
    }

    asio::io_context io_{1};
    Driver driver_;
};

Device make_tun(Netlink& netlink) {
    TunOptions options;
    options.name = "rnl0";
    Device device = need(Device::open_tun(options));
    need(netlink.add_address("rnl0", *parse_cidr("10.77.0.1/24")));
    need(netlink.set_up("rnl0"));
    return device;
}

double runnel_to_kernel(Netlink& netlink, double duration) {
    Device device = make_tun(netlink);
    Pipe ready;
    Pipe result;
    const pid_t receiver = fork_pinned(
        kKernelCore, [&] { return kernel_receiver("10.77.0.1", ready.fds[1], result.fds[1]); });
    char c = 0;
    if (read(ready.fds[0], &c, 1) != 1) {
        die("the receiver did not start");
    }
    const pid_t sender =
        fork_pinned(kOtherCore, [&] { return RunnelSide(std::move(device)).send(duration); });
    const Report report = read_report(result);
    wait_for(sender);
    wait_for(receiver);
    return gigabits(report);
}

double kernel_to_runnel(Netlink& netlink, double duration) {
    Device device = make_tun(netlink);
    Pipe ready;
    Pipe result;
    const pid_t receiver = fork_pinned(kOtherCore, [&] {
        return RunnelSide(std::move(device)).receive(ready.fds[1], result.fds[1]);
    });
    char c = 0;
    if (read(ready.fds[0], &c, 1) != 1) {
        die("the receiver did not start");
    }
    const pid_t sender =
        fork_pinned(kKernelCore, [&] { return kernel_sender("10.77.0.2", duration); });
    const Report report = read_report(result);
    wait_for(sender);
    wait_for(receiver);
    return gigabits(report);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void print_row(const char* name, const std::vector<double>& values, double base) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    std::printf("%-42s %8.2f %8.2f %8.2f %8.2f\n", name, median(values), *low, *high,
                median(values) / base);
}

}  // namespace

int main(int argc, char** argv) {
    int runs = 5;
    double duration = 2;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--help") {
            std::printf(
                "usage: throughput [--runs N] [--seconds S]\n"
                "Gbit/s over TUN each way beside kernel to kernel over veth; medians of interleaved runs.\n"
                "example: throughput --runs 3 --seconds 1\n");
            return 0;
        }
        if (argument == "--runs" && i + 1 < argc) {
            runs = std::clamp(std::atoi(argv[++i]), 1, 99);
        } else if (argument == "--seconds" && i + 1 < argc) {
            duration = std::clamp(std::atof(argv[++i]), 0.1, 60.0);
        } else {
            std::fprintf(stderr, "throughput: unknown argument %s (try --help)\n", argv[i]);
            return 2;
        }
    }
    if (const auto entered = enter_private_network(); !entered.has_value()) {
        std::fprintf(stderr, "throughput: %s\n", entered.error().what.c_str());
        return 77;
    }
    Netlink netlink = need(Netlink::open());
    NetworkNamespace other = need(NetworkNamespace::create());
    VethOptions veth;
    veth.name = "rnlv0";
    veth.peer_name = "rnlv1";
    veth.peer_namespace = other.fd();
    need(netlink.create_veth(veth));
    need(netlink.add_address("rnlv0", *parse_cidr("10.77.1.1/24")));
    need(netlink.set_up("rnlv0"));
    need(other.run_inside([] {
        Netlink inside = need(Netlink::open());
        need(inside.add_address("rnlv1", *parse_cidr("10.77.1.2/24")));
        need(inside.set_up("rnlv1"));
    }));
    close(kernel_socket(true));
    std::printf("%d interleaved runs of %.1f s, sides pinned to cores %u and %u\n", runs, duration,
                kOtherCore, kKernelCore);
    std::vector<double> kernel;
    std::vector<double> out;
    std::vector<double> in;
    for (int run = 0; run < runs; ++run) {
        kernel.push_back(kernel_to_kernel(other, duration));
        out.push_back(runnel_to_kernel(netlink, duration));
        in.push_back(kernel_to_runnel(netlink, duration));
    }
    std::printf("%-42s %8s %8s %8s %8s\n", "Gbit/s", "median", "least", "most", "ratio");
    print_row("kernel to kernel, veth with offloads", kernel, median(kernel));
    print_row("Runnel to kernel, TUN", out, median(kernel));
    print_row("kernel to Runnel, TUN", in, median(kernel));
    return 0;
}
