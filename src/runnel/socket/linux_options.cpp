// Options that are Linux's own, and setsockopt(2) and getsockopt(2) with its numbers, octets and errnos. Values and
// errors are those that 6.18 gave when it was asked (tests/unit/socket/linux_options_test.cpp).
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "runnel/base/errno.hpp"
#include "runnel/socket/socket_layer.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel {

namespace {

using tcp::Timestamping;

constexpr int kSolIp = 0, kSolSocket = 1, kSolTcp = 6, kSolIpv6 = 41;
constexpr int kSoSndbuf = 7, kSoRcvbuf = 8, kSoLinger = 13, kSoError = 4, kSoType = 3;
constexpr int kTcpInfo = 11, kTcpCongestion = 13, kTcpMd5 = 14, kTcpMd5Ext = 32, kTcpQuickAck = 12,
              kTcpMaxSegment = 2, kTcpFastOpenKey = 33;
constexpr std::int64_t kMaxFinTimeoutSeconds = 120;  // TCP_FIN_TIMEOUT_MAX
constexpr std::int64_t kMinWindowClamp = 1152;       // SOCK_MIN_RCVBUF / 2
constexpr std::size_t kCongestionName = 16;          // TCP_CA_NAME_MAX

struct Known {
    int level;
    int name;
    SocketOption option;
};
constexpr Known kKnown[] = {
    {kSolSocket, 2, SocketOption::reuse_address},
    {kSolSocket, kSoType, SocketOption::type},
    {kSolSocket, kSoError, SocketOption::error},
    {kSolSocket, kSoSndbuf, SocketOption::send_buffer},
    {kSolSocket, kSoRcvbuf, SocketOption::receive_buffer},
    {kSolSocket, 9, SocketOption::keepalive},
    {kSolSocket, 10, SocketOption::oob_inline},
    {kSolSocket, 12, SocketOption::priority},
    {kSolSocket, kSoLinger, SocketOption::linger},
    {kSolSocket, 15, SocketOption::reuse_port},
    {kSolSocket, 18, SocketOption::receive_lowat},
    {kSolSocket, 30, SocketOption::accepting},
    {kSolSocket, 32, SocketOption::send_buffer},     // SO_SNDBUFFORCE
    {kSolSocket, 33, SocketOption::receive_buffer},  // SO_RCVBUFFORCE
    {kSolSocket, 36, SocketOption::mark},
    {kSolSocket, 37, SocketOption::timestamping},
    {kSolSocket, 38, SocketOption::protocol},
    {kSolSocket, 39, SocketOption::domain},
    {kSolSocket, 60, SocketOption::zerocopy},
    {kSolSocket, 65, SocketOption::timestamping},  // SO_TIMESTAMPING_NEW
    {kSolTcp, 1, SocketOption::no_delay},
    {kSolTcp, kTcpMaxSegment, SocketOption::max_segment},
    {kSolTcp, 3, SocketOption::cork},
    {kSolTcp, 4, SocketOption::keepalive_idle},
    {kSolTcp, 5, SocketOption::keepalive_interval},
    {kSolTcp, 6, SocketOption::keepalive_count},
    {kSolTcp, 7, SocketOption::syn_count},
    {kSolTcp, 8, SocketOption::fin_timeout},
    {kSolTcp, 9, SocketOption::defer_accept},
    {kSolTcp, 10, SocketOption::window_clamp},
    {kSolTcp, kTcpQuickAck, SocketOption::quick_ack},
    {kSolTcp, 18, SocketOption::user_timeout},
    {kSolTcp, 23, SocketOption::fast_open},
    {kSolTcp, 25, SocketOption::notsent_lowat},
    {kSolTcp, 30, SocketOption::fast_open_connect},
    {kSolTcp, 34, SocketOption::fast_open_no_cookie},
    {kSolTcp, 36, SocketOption::report_inq},
    {kSolIp, 1, SocketOption::traffic_class},
    {kSolIp, 2, SocketOption::hop_limit},
    {kSolIp, 11, SocketOption::receive_errors},
    {kSolIp, 14, SocketOption::mtu},
    {kSolIpv6, 16, SocketOption::hop_limit},
    {kSolIpv6, 24, SocketOption::mtu},
    {kSolIpv6, 25, SocketOption::receive_errors},
    {kSolIpv6, 26, SocketOption::v6_only},
    {kSolIpv6, 67, SocketOption::traffic_class},
};

const Known* known(int level, int name) {
    const auto found = std::ranges::find_if(
        kKnown, [&](const Known& one) { return one.level == level && one.name == name; });
    return found == std::end(kKnown) ? nullptr : found;
}

template <class T>
T read_as(Bytes value, std::size_t at = 0) {
    T result{};
    std::memcpy(&result, value.data() + at, sizeof(T));
    return result;
}

/// As getsockopt(2) does: what doesn't fit is cut off.
OptionReply reply(const void* value, std::size_t size, MutableBytes into) {
    const std::size_t count = std::min(size, into.size());
    if (count > 0) {
        std::memcpy(into.data(), value, count);
    }
    return {0, count};
}
OptionReply reply(std::int64_t value, MutableBytes into) {
    const auto number = static_cast<std::int32_t>(value);
    return reply(&number, sizeof number, into);
}

/// The names that people use for what we have.
std::optional<tcp::CongestionControl> control_of(std::string_view name) {
    return tcp::congestion_control_named(name == "newreno" ? "reno" : name);
}

}  // namespace

Status SocketLayer::set_linux_value(tcp::ConnectionOptions& options, SocketOption option,
                                    std::int64_t value, Phase phase) {
    const bool is_bit = value == 0 || value == 1;
    switch (option) {
        case SocketOption::fin_timeout:
            options.fin_timeout =
                value < 0 ? seconds(-1) : seconds(std::min(value, kMaxFinTimeoutSeconds));
            return {};
        case SocketOption::notsent_lowat:
            options.notsent_lowat = static_cast<std::uint32_t>(value);
            return {};
        case SocketOption::window_clamp:
            if (value == 0 && (phase == Phase::connection || phase == Phase::listening)) {
                return fail(Errc::argument_invalid);
            }
            options.window_clamp = value == 0 ? 0U
                                              : static_cast<std::uint32_t>(std::clamp(
                                                    value, kMinWindowClamp, kMaxSocketBuffer));
            return {};
        case SocketOption::receive_lowat:
            options.receive_lowat = static_cast<std::uint32_t>(
                value < 0 ? kMaxSocketBuffer / 2
                          : std::clamp<std::int64_t>(value, 1, kMaxSocketBuffer / 2));
            return {};
        case SocketOption::report_inq: options.report_inq = value == 1; break;
        case SocketOption::zerocopy: options.zerocopy = value == 1; break;
        case SocketOption::timestamping: {
            const auto bits = static_cast<std::uint32_t>(value);
            const bool keys = (bits & Timestamping::kOptId) != 0;
            if (bits > Timestamping::kAll || (!keys && (bits & Timestamping::kOptIdTcp) != 0) ||
                (keys && phase != Phase::connection)) {
                return fail(Errc::argument_invalid);
            }
            options.timestamping = bits;
            return {};
        }
        case SocketOption::priority:
            options.priority = static_cast<std::uint32_t>(value);
            return {};
        case SocketOption::mark: options.mark = static_cast<std::uint32_t>(value); return {};
        default: return fail(Errc::option_not_supported);
    }
    return is_bit ? Status{} : fail(Errc::argument_invalid);
}

// --- congestion control ----------------------------------------------------------------------------------

Status SocketLayer::set_congestion(SocketId id, std::string_view name, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::option_not_supported);
    }
    const auto control = control_of(name);
    if (!control) {
        return fail(Errc::argument_invalid);
    }
    tcp::ConnectionOptions changed = options_of(*socket);
    changed.congestion_control = control;
    return change_options(*socket, changed, now);
}

Result<std::string_view> SocketLayer::congestion(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::option_not_supported);
    }
    return tcp::name_of(
        options_of(*socket).congestion_control.value_or(host_.tcp().config().congestion_control));
}

// --- TCP_MD5SIG --------------------------------------------------------------------------------------------

Status SocketLayer::set_md5_key(SocketId id, const tcp::Md5Key& key, Instant now) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::option_not_supported);
    }
    std::vector<tcp::Md5Key>& keys = md5_keys_[id.packed()];
    const auto same = std::ranges::find_if(keys, [&](const tcp::Md5Key& other) {
        return other.peer == key.peer && other.prefix == key.prefix;
    });
    const bool live = socket->phase == Phase::connection;
    if (key.bytes.empty()) {
        // What an accepted connection has comes from its listener and stands in no list here.
        const auto tuple = live ? host_.tcp().tuple(connection_of(*socket)) : std::nullopt;
        const bool covered = tuple && key.covers(tuple->remote.address);
        const bool taken =
            covered && host_.tcp().set_md5_key(connection_of(*socket), nullptr, now).has_value();
        if (same != keys.end()) {
            keys.erase(same);
        } else if (!taken) {
            return fail(Errc::argument_invalid);
        }
    } else if (same != keys.end()) {
        *same = key;
    } else if (keys.size() >= tcp::Stack::kMaxMd5Keys) {
        return fail(Errc::no_buffer_space);
    } else {
        keys.push_back(key);
    }
    use_md5_keys(id, *socket, now);
    return {};
}

/// Hands the keys to whom they concern: the listener, or the connection with a peer that one covers.
void SocketLayer::use_md5_keys(SocketId id, const Socket& socket, Instant now) {
    const auto found = md5_keys_.find(id.packed());
    if (found == md5_keys_.end()) {
        return;
    }
    if (socket.phase == Phase::listening) {
        (void)host_.tcp().set_md5_keys(listener_of(socket), found->second);
        return;
    }
    const auto tuple =
        socket.phase == Phase::connection ? host_.tcp().tuple(connection_of(socket)) : std::nullopt;
    const tcp::Md5Key* best = nullptr;
    for (const tcp::Md5Key& key : found->second) {
        if (tuple && key.covers(tuple->remote.address) &&
            (best == nullptr || key.prefix > best->prefix)) {
            best = &key;
        }
    }
    if (best != nullptr) {
        (void)host_.tcp().set_md5_key(connection_of(socket), best, now);
    }
}

/// struct tcp_md5sig: sockaddr_storage, flags, prefix, length, interface, 80 octets of key.
int SocketLayer::set_linux_md5(SocketId id, bool extended, Bytes value, Instant now) {
    constexpr std::size_t kSize = 216, kFlags = 128, kPrefix = 129, kLength = 130, kKey = 136;
    constexpr std::uint16_t kInet = 2, kInet6 = 10;
    constexpr std::uint8_t kPrefixFlag = 1;
    if (value.size() < kSize) {
        return EINVAL;
    }
    const auto family = read_as<std::uint16_t>(value);
    const std::uint8_t flags = extended ? read_as<std::uint8_t>(value, kFlags) : std::uint8_t{0};
    const auto length = read_as<std::uint16_t>(value, kLength);
    const Socket* socket = find(id);
    const bool v4 = socket->family == Family::ipv4;
    if (length > tcp::Md5Key::kMaxSize || family != (v4 ? kInet : kInet6)) {
        return EINVAL;
    }
    tcp::Md5Key key;
    key.peer = IpAddress::from_bytes(v4 ? value.subspan(4, 4) : value.subspan(8, 16));
    const std::uint8_t whole = key.peer.is_v4() ? 32 : 128;
    key.prefix =
        (flags & kPrefixFlag) != 0 ? read_as<std::uint8_t>(value, kPrefix) : std::uint8_t{whole};
    if (key.prefix > whole) {
        return EINVAL;
    }
    const Bytes bytes = value.subspan(kKey, length);
    key.bytes.assign(bytes.begin(), bytes.end());
    const Status set = set_md5_key(id, key, now);
    if (!set && key.bytes.empty() && set.error() == Errc::argument_invalid) {
        return ENOENT;
    }
    return set ? 0 : to_errno(set.error());
}

// --- by number ---------------------------------------------------------------------------------------------

int SocketLayer::set_linux_linger(SocketId id, Bytes value, Instant now) {
    if (value.size() < 8) {
        return EINVAL;
    }
    const auto on = read_as<std::int32_t>(value);
    const std::int64_t time = read_as<std::uint32_t>(value, 4);
    const Status set =
        set_option(id, SocketOption::linger,
                   on != 0 ? std::min(time, std::int64_t{1} << 24) : std::int64_t{-1}, now);
    return set ? 0 : to_errno(set.error());
}

int SocketLayer::set_linux_option(SocketId id, int level, int name, Bytes value, Instant now) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return EBADF;
    }
    if (level == kSolTcp && socket->type == SocketType::datagram) {
        return ENOPROTOOPT;
    }
    if (level == kSolTcp && name == kTcpCongestion) {
        if (value.empty()) {
            return EINVAL;
        }
        const auto* text = reinterpret_cast<const char*>(value.data());
        std::string_view wanted(text, std::min(value.size(), kCongestionName - 1));
        wanted = wanted.substr(0, wanted.find('\0'));
        const Status set = set_congestion(id, wanted, now);
        return set ? 0 : set.error() == Errc::argument_invalid ? ENOENT : to_errno(set.error());
    }
    if (level == kSolTcp && name == kTcpFastOpenKey) {
        const Status set = set_fast_open_keys(id, value);
        return set ? 0 : to_errno(set.error());
    }
    if (level == kSolTcp && (name == kTcpMd5 || name == kTcpMd5Ext)) {
        return set_linux_md5(id, name == kTcpMd5Ext, value, now);
    }
    // IP takes a single octet for a number, and nothing for 0.
    const bool short_number = level == kSolIp && value.size() < sizeof(std::int32_t);
    if (value.size() < sizeof(std::int32_t) && !short_number) {
        return EINVAL;
    }
    const Known* option = known(level, name);
    if (option == nullptr) {
        return ENOPROTOOPT;
    }
    if (option->option == SocketOption::linger) {
        return set_linux_linger(id, value, now);
    }
    std::int64_t number = 0;
    if (!short_number) {
        number = read_as<std::int32_t>(value);
    } else if (!value.empty()) {
        number = read_as<std::uint8_t>(value);
    }
    const bool buffer = option->option == SocketOption::send_buffer ||
                        option->option == SocketOption::receive_buffer;
    if (buffer && number < 0) {
        number = kMaxSocketBuffer;  // it is unsigned there
    } else if (option->option == SocketOption::traffic_class) {
        number &= 0xff;
    }
    const Status set = set_option(id, option->option, number, now);
    return set ? 0 : to_errno(set.error());
}

OptionReply SocketLayer::get_linux_option(SocketId id, int level, int name, MutableBytes into,
                                          Instant now) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return {EBADF, 0};
    }
    const bool some_level =
        level == kSolSocket || level == kSolIp || level == kSolIpv6 || level == kSolTcp;
    if (!some_level || (level == kSolTcp && socket->type == SocketType::datagram)) {
        return {EOPNOTSUPP, 0};
    }
    if (level == kSolTcp && name == kTcpInfo) {
        const auto bytes = tcp_info_bytes(*linux_tcp_info(id, now));
        return reply(bytes.data(), bytes.size(), into);
    }
    if (level == kSolTcp && name == kTcpCongestion) {
        char text[kCongestionName] = {};
        const std::string_view current = *congestion(id);
        std::memcpy(text, current.data(), std::min(current.size(), kCongestionName - 1));
        return reply(text, kCongestionName, into);
    }
    if (level == kSolSocket && name == 49) {
        return reply(0, into);  // SO_INCOMING_CPU: there is one
    }
    const Known* option = known(level, name);
    if (option == nullptr) {
        return {ENOPROTOOPT, 0};
    }
    if (option->option == SocketOption::reuse_port) {
        return reply(0, into);
    }
    const auto got = get_option(id, option->option);
    if (!got) {
        return {to_errno(got.error()), 0};
    }
    switch (option->option) {
        case SocketOption::error: return reply(to_errno(static_cast<Errc>(*got)), into);
        case SocketOption::type: return reply(socket->type == SocketType::stream ? 1 : 2, into);
        case SocketOption::send_buffer:
        case SocketOption::receive_buffer:
            // Linux reckons as much again for overhead (socket(7)), and shows it.
            return reply(std::min<std::int64_t>(*got * 2, std::numeric_limits<int>::max()), into);
        case SocketOption::linger: {
            const std::int32_t text[2] = {
                *got >= 0 ? 1 : 0, static_cast<std::int32_t>(std::max<std::int64_t>(*got, 0))};
            return reply(text, sizeof text, into);
        }
        case SocketOption::max_segment:
            return reply(*got != 0 ? *got : 536, into);  // TCP_MSS_DEFAULT until there is a peer
        default: return reply(*got, into);
    }
}

}  // namespace runnel
