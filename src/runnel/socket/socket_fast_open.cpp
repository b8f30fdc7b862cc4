// The options of opening: TCP_SYNCNT, TCP_DEFER_ACCEPT, and TCP Fast Open (RFC 7413) as tcp(7) and Linux's
// ip-sysctl have it: MSG_FASTOPEN, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE and
// TCP_FASTOPEN_KEY.
#include <algorithm>
#include <bit>
#include <cstring>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

namespace {

constexpr std::int64_t kMaxSynCount = 127;      // MAX_TCP_SYNCNT
constexpr std::int64_t kFirstTimeout = 1;       // TCP_TIMEOUT_INIT, seconds
constexpr std::int64_t kGreatestTimeout = 120;  // TCP_RTO_MAX, seconds
constexpr std::size_t kKeySize = 16;

/// TCP_DEFER_ACCEPT counts timeouts of a SYN,ACK: as many as make up `wanted` seconds (Linux).
std::uint8_t timeouts_of(std::int64_t wanted) {
    std::uint8_t count = 0;
    std::int64_t timeout = kFirstTimeout;
    for (std::int64_t passed = 0; passed < wanted && count < 255; ++count) {
        passed += timeout;
        timeout = std::min(timeout * 2, kGreatestTimeout);
    }
    return count;
}

std::int64_t seconds_of(std::uint8_t timeouts) {
    std::int64_t passed = 0;
    std::int64_t timeout = kFirstTimeout;
    for (std::uint8_t i = 0; i < timeouts; ++i) {
        passed += timeout;
        timeout = std::min(timeout * 2, kGreatestTimeout);
    }
    return passed;
}

SipKey key_of(Bytes octets) {
    const auto word = [&](std::size_t at) {
        std::uint64_t value = 0;
        for (std::size_t i = 8; i-- > 0;) {
            value = value << 8 | std::to_integer<std::uint64_t>(octets[at + i]);
        }
        return value;
    };
    return {word(0), word(8)};
}

}  // namespace

bool SocketLayer::is_opening_option(SocketOption option) {
    switch (option) {
        case SocketOption::syn_count:
        case SocketOption::defer_accept:
        case SocketOption::fast_open:
        case SocketOption::fast_open_connect:
        case SocketOption::fast_open_no_cookie: return true;
        default: return false;
    }
}

Status SocketLayer::set_opening_option(Socket& socket, SocketOption option, std::int64_t value,
                                       Instant now) {
    if (socket.type != SocketType::stream) {
        return fail(Errc::option_not_supported);
    }
    const bool closed = socket.phase == Phase::fresh || socket.phase == Phase::bound;
    const bool idle = closed || socket.phase == Phase::listening;
    const bool is_switch = value == 0 || value == 1;
    tcp::ConnectionOptions changed = options_of(socket);
    bool good = true;
    switch (option) {
        case SocketOption::syn_count:
            good = value >= 1 && value <= kMaxSynCount;
            changed.syn_count = static_cast<std::uint8_t>(value);
            break;
        case SocketOption::defer_accept: changed.defer_accept = timeouts_of(value); break;
        case SocketOption::fast_open:
            good = value >= 0 && idle;
            changed.fast_open_queue =
                static_cast<std::uint16_t>(std::clamp<std::int64_t>(value, 0, 65'535));
            break;
        case SocketOption::fast_open_connect:
            good = is_switch && closed;
            if (is_switch && !fast_open_client()) {
                return fail(Errc::not_supported);
            }
            changed.fast_open = value != 0;
            break;
        case SocketOption::fast_open_no_cookie:
            good = is_switch && idle;
            changed.fast_open_no_cookie = value != 0;
            break;
        default: return fail(Errc::option_not_supported);
    }
    if (!good) {
        return fail(Errc::argument_invalid);
    }
    if (socket.phase == Phase::connection) {
        return host_.tcp().set_options(connection_of(socket), changed, now);
    }
    if (socket.phase == Phase::listening) {
        host_.tcp().set_options(listener_of(socket), changed);
    }
    socket.options = std::make_unique<tcp::ConnectionOptions>(changed);
    socket.options_changed = true;
    return {};
}

std::int64_t SocketLayer::opening_option(const Socket& socket, SocketOption option) const {
    const tcp::ConnectionOptions& options = options_of(socket);
    switch (option) {
        case SocketOption::syn_count:
            return options.syn_count != 0 ? options.syn_count : host_.tcp().config().syn_retries;
        case SocketOption::defer_accept: return seconds_of(options.defer_accept);
        case SocketOption::fast_open:
            return std::min<std::int64_t>(options.fast_open_queue, host_.tcp().config().somaxconn);
        case SocketOption::fast_open_connect: return options.fast_open;
        case SocketOption::fast_open_no_cookie: return options.fast_open_no_cookie;
        default: return 0;
    }
}

bool SocketLayer::fast_open_client() const {
    return (host_.tcp().config().fast_open & tcp::TcpConfig::kFastOpenClient) != 0;
}

Status SocketLayer::set_fast_open_keys(SocketId id, Bytes octets) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type != SocketType::stream) {
        return fail(Errc::option_not_supported);
    }
    if (octets.size() != kKeySize && octets.size() != 2 * kKeySize) {
        return fail(Errc::argument_invalid);
    }
    tcp::FastOpenKeys keys{key_of(octets.first(kKeySize)), std::nullopt};
    if (octets.size() > kKeySize) {
        keys.backup = key_of(octets.subspan(kKeySize));
    }
    fast_open_keys_[id.packed()] = keys;
    use_fast_open_keys(id, *socket);
    return {};
}

void SocketLayer::use_fast_open_keys(SocketId id, const Socket& socket) {
    const auto keys = fast_open_keys_.find(id.packed());
    if (keys != fast_open_keys_.end() && socket.phase == Phase::listening) {
        host_.tcp().set_fast_open_keys(listener_of(socket), keys->second);
    }
}

Result<std::size_t> SocketLayer::send_fast_open(SocketId id, Bytes bytes, const Endpoint& remote,
                                                MessageFlags flags, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type != SocketType::stream) {
        return send_to(id, bytes, remote, now);
    }
    if (!fast_open_client()) {
        return fail(Errc::not_supported);
    }
    if (socket->phase == Phase::listening) {
        return fail(Errc::already_connected);
    }
    if (socket->phase != Phase::connection) {
        if (!options_of(*socket).fast_open) {
            tcp::ConnectionOptions changed = options_of(*socket);
            changed.fast_open = true;
            socket->options = std::make_unique<tcp::ConnectionOptions>(changed);
        }
        if (const Status begun = connect(id, remote, now); !begun) {
            return fail(begun.error());
        }
        const auto sent = send(id, bytes, flags, now);
        // Nothing to send: the SYN has gone all the same.
        return sent && bytes.empty() ? fail(Errc::in_progress) : sent;
    }
    if (!waits_for_data(*socket)) {
        if (const Status begun = connect_outcome(id, *socket, now); !begun) {
            return fail(begun.error());
        }
    }
    return send(id, bytes, flags, now);
}

/// A connection whose SYN waits for the first data: connect has succeeded, and so far nothing has been sent.
bool SocketLayer::waits_for_data(const Socket& socket) const {
    return socket.phase == Phase::connection && !socket.handshake_over &&
           state_of(socket) == tcp::State::syn_sent &&
           (host_.tcp().readiness(connection_of(socket)).bits & tcp::Readiness::kWritable) != 0;
}

}  // namespace runnel
