// Runnel as the subject: its host and sockets, profile linux, either in virtual time with the scripts'
// packets handed over in memory, or in real time behind a TUN, where they go in and out through a packet
// socket on the kernel's side of the device.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>

#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"
#include "runnel/socket/socket_layer.hpp"
#include "support/packets.hpp"
#include "world.hpp"

namespace runnel::differential {

namespace {

const std::map<std::string, SocketOption> kOptions = {
    {"nodelay", SocketOption::no_delay},        {"cork", SocketOption::cork},
    {"quickack", SocketOption::quick_ack},      {"maxseg", SocketOption::max_segment},
    {"keepidle", SocketOption::keepalive_idle}, {"keepintvl", SocketOption::keepalive_interval},
    {"keepcnt", SocketOption::keepalive_count}, {"usertimeout", SocketOption::user_timeout},
    {"keepalive", SocketOption::keepalive},     {"oobinline", SocketOption::oob_inline},
    {"sndbuf", SocketOption::send_buffer},      {"rcvbuf", SocketOption::receive_buffer},
    {"linger", SocketOption::linger},
};

HostConfig host_config(std::span<const std::string> changes) {
    HostConfig config;
    config.secret = {11, 22};
    config.tcp = tcp::profile_config(tcp::Profile::linux_like);
    for (const std::string& change : changes) {
        const std::size_t equals = change.find('=');
        if (equals == std::string::npos ||
            !tcp::set_by_name(config.tcp, change.substr(0, equals), change.substr(equals + 1))) {
            throw std::runtime_error("no such setting: " + change);
        }
    }
    return config;
}

struct Sockets {
    SocketId listener, connection;
    std::uint64_t sent = 0;
};

std::string name_of(Errc error) {
    return error == Errc::would_block ? "EAGAIN" : errno_name(error);
}
std::string answer(const Status& status) {
    return status ? "0" : name_of(status.error());
}
template <class Number>
std::string answer(const Result<Number>& result) {
    return result ? fmt::format("{}", *result) : name_of(result.error());
}

/// The socket calls of scripts on one Runnel host.
class RunnelSockets {
public:
    explicit RunnelSockets(Host& host) : host_(host), layer_(host) {}

    std::string call(const Conversation& of, const std::vector<std::string>& words, Instant now);
    std::string status(const Conversation& of);
    void finished(const Conversation& of, Instant now) {
        Sockets& s = sockets_[of.script().id];
        for (SocketId* id : {&s.connection, &s.listener}) {
            if (!id->is_none()) {
                (void)layer_.abort(*id, now);
                (void)layer_.close(*id, now);
                *id = {};
            }
        }
    }
    void take_ready() {
        std::vector<ReadyEvent> events;
        layer_.take_ready(events);
    }

private:
    SocketId fresh(const Conversation& of, Sockets& s, Instant now) {
        if (!s.connection.is_none()) {
            return s.connection;
        }
        if (s.listener.is_none()) {
            const auto id =
                layer_.open(of.script().v6 ? Family::ipv6 : Family::ipv4, SocketType::stream);
            s.listener = *id;
            (void)layer_.set_option(s.listener, SocketOption::reuse_address, 1, now);
            if (!layer_.bind(s.listener, of.subject().local, now)) {
                throw std::runtime_error("Runnel's bind");
            }
        }
        return s.listener;
    }
    std::string data_call(Sockets& s, SocketId id, const std::vector<std::string>& words,
                          Instant now);

    Host& host_;
    SocketLayer layer_;
    std::map<std::uint32_t, Sockets> sockets_;
};

std::string RunnelSockets::data_call(Sockets& s, SocketId id, const std::vector<std::string>& words,
                                     Instant now) {
    const auto count = static_cast<std::size_t>(std::stoul(words[1]));
    MessageFlags flags;
    if (words.size() > 2) {
        flags.urgent = words[2] == "oob";
        flags.more = words[2] == "more";
        flags.peek = words[2] == "peek";
    }
    if (words[0] == "send") {
        const auto sent = layer_.send(id, stream_octets(s.sent, count), flags, now);
        s.sent += sent ? *sent : 0;
        return answer(sent);
    }
    std::vector<std::byte> bytes(count);
    const auto got = layer_.receive(id, bytes, flags, now);
    return got ? received_text(Bytes(bytes).first(*got)) : name_of(got.error());
}

std::string RunnelSockets::call(const Conversation& of, const std::vector<std::string>& words,
                                Instant now) {
    Sockets& s = sockets_[of.script().id];
    const std::string& name = words[0];
    const auto argument = [&](std::size_t i) { return words.size() > i ? words[i] : ""; };
    if (name == "listen") {
        return answer(layer_.listen(fresh(of, s, now),
                                    static_cast<std::uint32_t>(std::stoul(argument(1))), now));
    }
    if (name == "connect") {
        const SocketId id = fresh(of, s, now);
        s.connection = id;
        s.listener = {};
        return answer(layer_.connect(id, of.subject().remote, now));
    }
    if (name == "accept") {
        const auto accepted = layer_.accept(s.listener, now);
        if (accepted) {
            s.connection = *accepted;
        }
        return accepted ? "ok" : name_of(accepted.error());
    }
    if (name == "close" || name == "closel") {
        SocketId& id = name == "close" ? s.connection : s.listener;
        const std::string text = answer(layer_.close(id, now));
        id = {};
        return text;
    }
    const SocketId id = fresh(of, s, now);
    if (name == "send" || name == "recv") {
        return data_call(s, id, words, now);
    }
    if (name == "shut") {
        const std::string how = argument(1);
        return answer(layer_.shutdown(id,
                                      how == "rd"   ? ShutdownHow::receive
                                      : how == "wr" ? ShutdownHow::send
                                                    : ShutdownHow::both,
                                      now));
    }
    if (name == "err") {
        const auto error = layer_.get_option(id, SocketOption::error);
        return !error        ? name_of(error.error())
               : *error == 0 ? "0"
                             : name_of(static_cast<Errc>(*error));
    }
    if (name == "mark") {
        const auto mark = layer_.at_mark(id);
        return mark ? (*mark ? "1" : "0") : name_of(mark.error());
    }
    if (name == "set" && kOptions.contains(argument(1))) {
        return answer(
            layer_.set_option(id, kOptions.at(argument(1)), std::stoll(argument(2)), now));
    }
    throw std::runtime_error("no such call: " + name + " " + argument(1));
}

std::string connection_json(const tcp::ConnectionStatus& s) {
    const auto armed = [&](tcp::Timer timer) {
        return (s.timers >> static_cast<unsigned>(timer) & 1U) != 0;
    };
    const char* timer = s.state == tcp::State::time_wait ? "time-wait"
                        : armed(tcp::Timer::retransmit)  ? "retransmit"
                        : armed(tcp::Timer::persist)     ? "persist"
                        : armed(tcp::Timer::keepalive) || armed(tcp::Timer::fin_wait_2)
                            ? "keepalive"
                            : "none";
    return fmt::format(
        R"("state":"{}","timer":"{}","ca":"{}","unacked":{},"sacked":{},"lost":{},"retrans":{},)"
        R"("backoff":{},"probes":{},"cwnd":{},"ssthresh":{},"mss":{},"rto":{},"srtt":{})",
        tcp::to_string(s.state), timer, s.recovery_state, s.segments_out, s.segments_sacked,
        s.segments_lost, s.segments_retransmitted_out, s.backoff, s.probes, s.cwnd_segments,
        s.ssthresh_segments, s.snd_mss, s.rto.millis(), s.rtt.micros());
}

std::string RunnelSockets::status(const Conversation& of) {
    const Sockets& s = sockets_[of.script().id];
    std::vector<tcp::ConnectionStatus> all;
    host_.tcp().snapshot(all, Instant{});
    std::string json = R"("state":"NONE")";
    for (const tcp::ConnectionStatus& one : all) {
        if (one.tuple == of.subject() && one.state != tcp::State::closed) {
            json = connection_json(one);
        }
    }
    const SocketId id = s.connection.is_none() ? s.listener : s.connection;
    if (!id.is_none()) {
        using R = tcp::Readiness;
        const unsigned bits = layer_.readiness(id).bits;
        const Ready ready{(bits & R::kReadable) != 0, (bits & R::kWritable) != 0,
                          (bits & R::kUrgent) != 0,   (bits & R::kPeerClosed) != 0,
                          (bits & R::kHangUp) != 0,   (bits & R::kError) != 0};
        json += fmt::format(R"(,"poll":"{}")", ready.text());
    }
    if (!s.connection.is_none()) {
        json += fmt::format(R"(,"inq":"{}")", answer(layer_.available(s.connection)));
    }
    return "{" + json + "}";
}

void give_addresses(Host& host, std::uint8_t interface, Instant now) {
    for (const bool v6 : {false, true}) {
        const IpAddress address = Conversation::subject_address(v6);
        const auto length = static_cast<std::uint8_t>(v6 ? 128 : 32);
        if (!host.add_address(interface, {address, length}, now)) {
            throw std::runtime_error("Runnel's address");
        }
        Route route;
        route.destination = {*parse_ip_address(v6 ? "fd77::" : "10.77.0.0"),
                             static_cast<std::uint8_t>(v6 ? 64 : 16)};
        route.interface = interface;
        if (!host.add_route(route)) {
            throw std::runtime_error("Runnel's route");
        }
    }
}

class VirtualWorld final : public World {
public:
    explicit VirtualWorld(std::span<const std::string> changes)
        : host_(host_config(changes)), sockets_(host_) {
        InterfaceConfig link;
        link.name = "wire0";
        interface_ = host_.add_interface(link);
        give_addresses(host_, interface_, now_);
    }

    std::int64_t now_us() const override { return now_.micros(); }
    void wait(std::int64_t until_us) override {
        const Instant until = Instant{} + microseconds(until_us);
        const Instant next = host_.next_timeout();
        if (next <= until) {
            // Rounded up: the clock outside counts microseconds.
            now_ = std::max(now_, Instant{} + microseconds((next.ns + 999) / 1000));
            host_.on_timeout(now_);
        } else {
            now_ = until;
        }
    }
    void pump(const Sink& sink) override {
        FrameBatch out;
        bool more = true;
        for (int rounds = 0; more && rounds < 100'000; ++rounds) {
            out.clear();
            more = host_.poll_transmit(now_, out);
            for (const Frame& frame : out) {
                sink(test::frame_bytes(frame));
            }
        }
        sockets_.take_ready();
    }
    void inject(Bytes packet) override {
        FrameBatch batch;
        batch.emplace_back().body.push_back(host_.pool().copy(packet));
        host_.on_frames(interface_, batch, now_);
    }
    std::string call(Conversation& of, const std::vector<std::string>& words) override {
        return sockets_.call(of, words, now_);
    }
    std::string status(Conversation& of) override { return sockets_.status(of); }
    void finished(Conversation& of) override { sockets_.finished(of, now_); }

private:
    Instant now_ = Instant{} + seconds(1'000);
    Host host_;
    RunnelSockets sockets_;
    std::uint8_t interface_ = 0;
};

[[noreturn]] void failed(const std::string& what) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}
template <class Value>
Value&& must(LinkResult<Value>&& result) {
    if (!result) {
        throw std::runtime_error(result.error().what);
    }
    return std::move(*result);
}
void must(LinkResult<void>&& result) {
    if (!result) {
        throw std::runtime_error(result.error().what);
    }
}

Device open_device() {
    TunOptions options;
    options.name = "runnel0";
    options.offloads = false;
    Device device = must(Device::open_tun(options));
    Netlink netlink = must(Netlink::open());
    must(netlink.set_ipv6_link_local(device.name(), false));
    must(quieten_ipv6(device.name()));
    // Scripts hold segments above Runnel's MTU of 1500: they are to come in as in memory.
    must(netlink.set_mtu(device.name(), 4000));
    must(netlink.set_up(device.name()));
    return device;
}

class TunWorld final : public World {
public:
    explicit TunWorld(std::span<const std::string> changes)
        : device_(open_device()), host_(host_config(changes)), sockets_(host_) {
        InterfaceConfig link;
        link.name = device_.name();
        link.capabilities = device_.capabilities();
        link.capabilities.mtu = 1500;
        interface_ = host_.add_interface(link);
        give_addresses(host_, interface_, now());
        outside_ = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        address_.sll_family = AF_PACKET;
        address_.sll_protocol = htons(ETH_P_ALL);
        address_.sll_ifindex = static_cast<int>(device_.interface_index());
        if (outside_ < 0 ||
            ::bind(outside_, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0) {
            failed("packet socket");
        }
        const int size = 16 << 20;
        (void)::setsockopt(outside_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    }
    ~TunWorld() override { ::close(outside_); }

    std::int64_t now_us() const override {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
    }
    void wait(std::int64_t until_us) override {
        const std::int64_t next =
            host_.next_timeout().is_never() ? until_us : (host_.next_timeout().ns + 999) / 1000;
        const std::int64_t left = std::min(until_us, next) - now_us();
        if (left > 0) {
            pollfd waiting[] = {{outside_, POLLIN, 0}, {device_.native_handle(), POLLIN, 0}};
            const timespec time{left / 1'000'000, left % 1'000'000 * 1000};
            (void)::ppoll(waiting, 2, &time, nullptr);
        }
    }
    void pump(const Sink& sink) override {
        FrameBatch in;
        while (device_.receive(host_.pool(), in, 64) > 0) {
            host_.on_frames(interface_, in, now());
        }
        if (host_.next_timeout() <= now()) {
            host_.on_timeout(now());
        }
        FrameBatch out;
        bool more = true;
        for (int rounds = 0; more && rounds < 100'000; ++rounds) {
            out.clear();
            more = host_.poll_transmit(now(), out);
            if (device_.send(out) != out.size()) {
                throw std::runtime_error("the TUN is full");
            }
        }
        sockets_.take_ready();
        std::vector<std::byte> packet(65'536);
        for (;;) {
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t size = ::recvfrom(outside_, packet.data(), packet.size(), 0,
                                            reinterpret_cast<sockaddr*>(&from), &length);
            if (size < 0) {
                return;
            }
            if (from.sll_pkttype != PACKET_OUTGOING) {
                sink(Bytes(packet).first(static_cast<std::size_t>(size)));
            }
        }
    }
    void inject(Bytes packet) override {
        const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
        address_.sll_protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
        if (::sendto(outside_, packet.data(), packet.size(), 0,
                     reinterpret_cast<sockaddr*>(&address_), sizeof address_) < 0) {
            failed("sendto on the TUN");
        }
    }
    std::string call(Conversation& of, const std::vector<std::string>& words) override {
        return sockets_.call(of, words, now());
    }
    std::string status(Conversation& of) override { return sockets_.status(of); }
    void finished(Conversation& of) override { sockets_.finished(of, now()); }

private:
    [[nodiscard]] Instant now() const { return Instant{} + microseconds(now_us()); }

    Device device_;
    Host host_;
    RunnelSockets sockets_;
    std::uint8_t interface_ = 0;
    int outside_ = -1;
    sockaddr_ll address_{};
};

}  // namespace

std::unique_ptr<World> make_runnel_world(std::span<const std::string> changes) {
    return std::make_unique<VirtualWorld>(changes);
}
std::unique_ptr<World> make_runnel_tun_world(std::span<const std::string> changes) {
    return std::make_unique<TunWorld>(changes);
}

}  // namespace runnel::differential
