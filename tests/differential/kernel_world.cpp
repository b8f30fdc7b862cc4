// The Linux kernel as the subject: real sockets in a private network namespace, the scripts' segments
// written to a TUN device, the kernel's read from it. sock_diag(7) tells each connection's state, also of
// those that no descriptor names any more.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>

#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"
#include "world.hpp"

namespace runnel::differential {

namespace {

template <class Value>
void must(const LinkResult<Value>& result) {
    if (!result) {
        throw std::runtime_error(result.error().what);
    }
}

[[noreturn]] void failed(const std::string& what) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// As profile linux has them: what comes with a later issue of Runnel (TLP, F-RTO, ECN, autocorking) is off,
/// and what depends on the history of other connections.
constexpr std::pair<std::string_view, std::string_view> kSysctls[] = {
    {"net.ipv4.tcp_congestion_control", "reno"},
    {"net.ipv4.tcp_early_retrans", "0"},
    {"net.ipv4.tcp_frto", "0"},
    {"net.ipv4.tcp_ecn", "0"},
    {"net.ipv4.tcp_autocorking", "0"},
    {"net.ipv4.tcp_comp_sack_nr", "0"},
    {"net.ipv4.tcp_no_metrics_save", "1"},
    {"net.ipv4.tcp_syncookies", "0"},
    {"net.ipv4.tcp_tw_reuse", "1"},
    {"net.ipv4.tcp_fastopen", "0"},
};

std::string errno_text(int number) {
    const char* name = strerrorname_np(number);
    return name != nullptr ? name : fmt::format("errno {}", number);
}

struct Option {
    int level, name;
};
const std::map<std::string, Option> kOptions = {
    {"nodelay", {IPPROTO_TCP, TCP_NODELAY}},   {"cork", {IPPROTO_TCP, TCP_CORK}},
    {"quickack", {IPPROTO_TCP, TCP_QUICKACK}}, {"maxseg", {IPPROTO_TCP, TCP_MAXSEG}},
    {"keepidle", {IPPROTO_TCP, TCP_KEEPIDLE}}, {"keepintvl", {IPPROTO_TCP, TCP_KEEPINTVL}},
    {"keepcnt", {IPPROTO_TCP, TCP_KEEPCNT}},   {"usertimeout", {IPPROTO_TCP, TCP_USER_TIMEOUT}},
    {"keepalive", {SOL_SOCKET, SO_KEEPALIVE}}, {"oobinline", {SOL_SOCKET, SO_OOBINLINE}},
    {"sndbuf", {SOL_SOCKET, SO_SNDBUF}},       {"rcvbuf", {SOL_SOCKET, SO_RCVBUF}},
};

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    explicit Address(const Endpoint& endpoint) {
        if (endpoint.address.is_v4()) {
            auto* in = reinterpret_cast<sockaddr_in*>(&storage);
            in->sin_family = AF_INET;
            in->sin_port = htons(endpoint.port);
            std::memcpy(&in->sin_addr, endpoint.address.wire_bytes().data(), 4);
            size = sizeof *in;
        } else {
            auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
            in->sin6_family = AF_INET6;
            in->sin6_port = htons(endpoint.port);
            std::memcpy(&in->sin6_addr, endpoint.address.wire_bytes().data(), 16);
            size = sizeof *in;
        }
    }
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

struct Sockets {
    int listener = -1;
    int connection = -1;
    std::uint64_t sent = 0;
};

class KernelWorld final : public World {
public:
    KernelWorld() {
        open_tun();
        for (const auto& [name, value] : kSysctls) {
            must(write_sysctl(name, value));
        }
        diag_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (diag_ < 0) {
            failed("socket(NETLINK_SOCK_DIAG)");
        }
    }
    ~KernelWorld() override {
        for (auto& [id, sockets] : sockets_) {
            close_all(sockets);
        }
        ::close(diag_);
        ::close(tun_);
    }

    std::int64_t now_us() const override {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
    }
    void wait(std::int64_t until_us) override {
        const std::int64_t left = until_us - now_us();
        if (left <= 0) {
            return;
        }
        pollfd waiting{tun_, POLLIN, 0};
        const timespec time{left / 1'000'000, left % 1'000'000 * 1000};
        (void)::ppoll(&waiting, 1, &time, nullptr);
    }
    void pump(const Sink& sink) override {
        std::array<std::byte, 65'536> packet{};
        for (int rounds = 0; rounds < 100'000; ++rounds) {
            const ssize_t size = ::read(tun_, packet.data(), packet.size());
            if (size <= 0) {
                return;
            }
            sink(Bytes(packet).first(static_cast<std::size_t>(size)));
        }
    }
    void inject(Bytes packet) override {
        if (::write(tun_, packet.data(), packet.size()) < 0) {
            failed("write to the TUN");
        }
    }
    std::string call(Conversation& of, const std::vector<std::string>& words) override;
    std::string status(Conversation& of) override;
    void finished(Conversation& of) override { close_all(sockets_[of.script().id]); }

private:
    void open_tun();
    static std::string data_call(Sockets& s, int fd, const std::vector<std::string>& words);
    int fresh(const Conversation& of, Sockets& sockets) const;
    static void close_all(Sockets& sockets) {
        for (int* fd : {&sockets.connection, &sockets.listener}) {
            if (*fd >= 0) {
                const linger none{1, 0};
                (void)::setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
                ::close(*fd);
                *fd = -1;
            }
        }
    }
    std::string diag(const Conversation& of) const;

    int tun_ = -1;
    int diag_ = -1;
    std::map<std::uint32_t, Sockets> sockets_;
};

void KernelWorld::open_tun() {
    tun_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun_ < 0) {
        failed("/dev/net/tun");
    }
    ifreq request{};
    std::strncpy(request.ifr_name, "subject", IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(tun_, TUNSETIFF, &request) != 0) {
        failed("TUNSETIFF");
    }
    auto netlink = Netlink::open();
    must(netlink);
    must(netlink->set_transmit_queue_length("subject", 20'000));
    must(netlink->set_ipv6_link_local("subject", false));
    must(quieten_ipv6("subject"));
    must(netlink->set_up("subject"));
    must(netlink->add_address("subject", {Conversation::subject_address(false), 32}));
    must(netlink->add_address("subject", {Conversation::subject_address(true), 128}));
    for (const auto& [text, length] : {std::pair{"10.77.0.0", 16}, std::pair{"fd77::", 64}}) {
        RouteOptions route;
        route.destination = {*parse_ip_address(text), static_cast<std::uint8_t>(length)};
        route.interface = "subject";
        must(netlink->add_route(route));
    }
    must(netlink->wait_for_address(Conversation::subject_address(true)));
}

/// The socket that calls before the connection are for, made when it is first needed.
int KernelWorld::fresh(const Conversation& of, Sockets& sockets) const {
    if (sockets.connection >= 0) {
        return sockets.connection;
    }
    if (sockets.listener < 0) {
        sockets.listener = ::socket(of.script().v6 ? AF_INET6 : AF_INET,
                                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (sockets.listener < 0) {
            failed("socket");
        }
        const Address local(of.subject().local);
        const int on = 1;
        (void)::setsockopt(sockets.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(sockets.listener, local.get(), local.size) != 0) {
            failed("bind");
        }
    }
    return sockets.listener;
}

std::string KernelWorld::data_call(Sockets& s, int fd, const std::vector<std::string>& words) {
    const std::string how = words.size() > 2 ? words[2] : "";
    const int oob = how == "oob" ? MSG_OOB : 0;
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::stoul(words[1])));
    if (words[0] == "send") {
        bytes = stream_octets(s.sent, bytes.size());
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(),
                                    MSG_NOSIGNAL | oob | (how == "more" ? MSG_MORE : 0));
        s.sent += sent > 0 ? static_cast<std::uint64_t>(sent) : 0;
        return sent < 0 ? errno_text(errno) : fmt::format("{}", sent);
    }
    const ssize_t got =
        ::recv(fd, bytes.data(), bytes.size(), oob | (how == "peek" ? MSG_PEEK : 0));
    return got < 0 ? errno_text(errno)
                   : received_text(Bytes(bytes).first(static_cast<std::size_t>(got)));
}

std::string KernelWorld::call(Conversation& of, const std::vector<std::string>& words) {
    Sockets& s = sockets_[of.script().id];
    const std::string& name = words[0];
    const auto argument = [&](std::size_t i) { return words.size() > i ? words[i] : ""; };
    const auto answer = [](long result) {
        return result < 0 ? errno_text(errno) : fmt::format("{}", result);
    };
    if (name == "listen") {
        return answer(::listen(fresh(of, s), std::stoi(argument(1))));
    }
    if (name == "connect") {
        const Address remote(of.subject().remote);
        const int fd = fresh(of, s);
        s.connection = fd;
        s.listener = -1;
        return answer(::connect(fd, remote.get(), remote.size));
    }
    if (name == "accept") {
        const int fd = ::accept4(s.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            s.connection = fd;
        }
        return fd < 0 ? errno_text(errno) : "ok";
    }
    if (name == "close" || name == "closel") {
        int& fd = name == "close" ? s.connection : s.listener;
        const int result = ::close(fd);
        const std::string text = answer(result);
        fd = -1;
        return text;
    }
    const int fd = fresh(of, s);
    if (name == "send" || name == "recv") {
        return data_call(s, fd, words);
    }
    if (name == "shut") {
        const std::string how = argument(1);
        return answer(::shutdown(fd, how == "rd" ? SHUT_RD : how == "wr" ? SHUT_WR : SHUT_RDWR));
    }
    if (name == "err") {
        int error = 0;
        socklen_t size = sizeof error;
        (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        return error == 0 ? "0" : errno_text(error);
    }
    if (name == "mark") {
        int mark = 0;
        const int result = ::ioctl(fd, SIOCATMARK, &mark);
        return result < 0 ? errno_text(errno) : fmt::format("{}", mark);
    }
    if (name == "set" && argument(1) == "linger") {
        const int value = std::stoi(argument(2));
        const linger lingering{value >= 0, value >= 0 ? value : 0};
        return answer(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingering, sizeof lingering));
    }
    if (name == "set" && kOptions.contains(argument(1))) {
        const Option option = kOptions.at(argument(1));
        const int value = std::stoi(argument(2));
        return answer(::setsockopt(fd, option.level, option.name, &value, sizeof value));
    }
    throw std::runtime_error("no such call: " + name + " " + argument(1));
}

constexpr std::string_view kKernelStates[] = {
    "NONE",   "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2",  "TIME-WAIT",
    "CLOSED", "CLOSE-WAIT",  "LAST-ACK", "LISTEN",       "CLOSING",    "SYN-RECEIVED"};
constexpr std::string_view kTimers[] = {"none",      "retransmit", "keepalive",
                                        "time-wait", "persist",    "retransmit"};
constexpr std::string_view kRecovery[] = {"open", "disorder", "cwr", "recovery", "loss"};

/// One connection by its four-tuple, whoever holds it.
std::string KernelWorld::diag(const Conversation& of) const {
    struct {
        nlmsghdr header{};
        inet_diag_req_v2 body{};
    } request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.body.sdiag_family = of.script().v6 ? AF_INET6 : AF_INET;
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_ext = 1U << (INET_DIAG_INFO - 1);
    request.body.idiag_states = ~0U;
    request.body.id.idiag_sport = htons(of.subject().local.port);
    request.body.id.idiag_dport = htons(of.subject().remote.port);
    const auto local = of.subject().local.address.wire_bytes();
    const auto remote = of.subject().remote.address.wire_bytes();
    std::memcpy(request.body.id.idiag_src, local.data(), local.size());
    std::memcpy(request.body.id.idiag_dst, remote.data(), remote.size());
    request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = ~0U;
    if (::send(diag_, &request, sizeof request, 0) < 0) {
        failed("sock_diag");
    }
    alignas(nlmsghdr) std::array<char, 8192> answer{};
    const ssize_t size = ::recv(diag_, answer.data(), answer.size(), 0);
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (size < static_cast<ssize_t>(sizeof *header) || header->nlmsg_type == NLMSG_ERROR) {
        return R"("state":"NONE")";
    }
    const auto* message = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
    // Without a connection the listener of the same port answers.
    if (message->idiag_state == 10) {
        return R"("state":"NONE")";
    }
    std::string json = fmt::format(
        R"("state":"{}","timer":"{}","timer_ms":{})", kKernelStates[message->idiag_state],
        kTimers[std::min<unsigned>(message->idiag_timer, 5)], message->idiag_expires);
    // Attributes by hand: the kernel's macros for them don't compile without warnings.
    const std::size_t end = header->nlmsg_len;
    for (std::size_t at = NLMSG_LENGTH(sizeof *message); at + sizeof(rtattr) <= end;) {
        rtattr attribute{};
        std::memcpy(&attribute, answer.data() + at, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > end) {
            break;
        }
        const char* data = answer.data() + at + sizeof attribute;
        at += (attribute.rta_len + 3U) & ~3U;
        if (attribute.rta_type != INET_DIAG_INFO) {
            continue;
        }
        tcp_info info{};
        std::memcpy(&info, data,
                    std::min<std::size_t>(attribute.rta_len - sizeof attribute, sizeof info));
        json += fmt::format(
            R"(,"ca":"{}","unacked":{},"sacked":{},"lost":{},"retrans":{},"backoff":{},"probes":{},)"
            R"("cwnd":{},"ssthresh":{},"mss":{},"rto":{},"srtt":{})",
            kRecovery[info.tcpi_ca_state], info.tcpi_unacked, info.tcpi_sacked, info.tcpi_lost,
            info.tcpi_retrans, info.tcpi_backoff, info.tcpi_probes, info.tcpi_snd_cwnd,
            info.tcpi_snd_ssthresh, info.tcpi_snd_mss, info.tcpi_rto / 1000, info.tcpi_rtt);
    }
    return json;
}

std::string KernelWorld::status(Conversation& of) {
    const Sockets& s = sockets_[of.script().id];
    std::string json = "{" + diag(of);
    const int fd = s.connection >= 0 ? s.connection : s.listener;
    if (fd >= 0) {
        pollfd p{fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
        (void)::poll(&p, 1, 0);
        const Ready ready{(p.revents & POLLIN) != 0,  (p.revents & POLLOUT) != 0,
                          (p.revents & POLLPRI) != 0, (p.revents & POLLRDHUP) != 0,
                          (p.revents & POLLHUP) != 0, (p.revents & POLLERR) != 0};
        json += fmt::format(R"(,"poll":"{}")", ready.text());
    }
    if (s.connection >= 0) {
        int count = 0;
        const int result = ::ioctl(s.connection, SIOCINQ, &count);
        json +=
            fmt::format(R"(,"inq":"{}")", result < 0 ? errno_text(errno) : std::to_string(count));
    }
    return json + "}";
}

}  // namespace

std::unique_ptr<World> make_kernel_world() {
    return std::make_unique<KernelWorld>();
}

}  // namespace runnel::differential
