// Socket options with the bounds and errors of Linux's setsockopt(2), socket(7), ip(7), ipv6(7) and
// tcp(7), and the STATUS call (RFC 9293 §3.9.1.6).
#include <algorithm>
#include <type_traits>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

namespace {

constexpr std::int64_t kMaxKeepaliveSeconds = 32'767;  // MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
constexpr std::int64_t kMaxKeepaliveProbes = 127;      // MAX_TCP_KEEPCNT
constexpr std::int64_t kMinUserMss = 88;               // TCP_MIN_MSS
constexpr std::int64_t kMaxUserMss = 32'767;           // MAX_TCP_WINDOW
constexpr std::int64_t kMaxLingerSeconds = 1 << 24;
constexpr std::int64_t kMaxUserTimeout = 0x7fff'ffff;  // milliseconds
constexpr std::int64_t kDefaultHopLimit = -1;

bool within(std::int64_t value, std::int64_t low, std::int64_t high) {
    return value >= low && value <= high;
}

bool is_switch(SocketOption option) {
    switch (option) {
        case SocketOption::keepalive:
        case SocketOption::oob_inline:
        case SocketOption::no_delay:
        case SocketOption::cork:
        case SocketOption::error_reports:
        case SocketOption::receive_errors:
        case SocketOption::quick_ack: return true;
        default: return false;
    }
}

/// Options of the TCP level, which a datagram socket hasn't.
bool is_tcp_level(SocketOption option) {
    switch (option) {
        case SocketOption::no_delay:
        case SocketOption::cork:
        case SocketOption::quick_ack:
        case SocketOption::error_reports:
        case SocketOption::max_segment:
        case SocketOption::keepalive_idle:
        case SocketOption::keepalive_interval:
        case SocketOption::keepalive_count:
        case SocketOption::fin_timeout:
        case SocketOption::notsent_lowat:
        case SocketOption::window_clamp:
        case SocketOption::report_inq:
        case SocketOption::user_timeout: return true;
        default: return false;
    }
}

}  // namespace

const tcp::ConnectionOptions& SocketLayer::options_of(const Socket& socket) const {
    if (socket.phase == Phase::connection) {
        if (const auto* live = host_.tcp().options(connection_of(socket))) {
            return *live;
        }
    }
    static constexpr tcp::ConnectionOptions kUnset;
    return socket.options != nullptr ? *socket.options : kUnset;
}

Status SocketLayer::set_option(SocketId id, SocketOption option, std::int64_t value, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    switch (option) {
        case SocketOption::reuse_address:
        case SocketOption::v6_only:
        case SocketOption::reuse_port:
        case SocketOption::error:
        case SocketOption::accepting:
        case SocketOption::domain:
        case SocketOption::protocol:
        case SocketOption::mtu:
        case SocketOption::type: return set_socket_level(*socket, option, value);
        default: break;
    }
    if (socket->type == SocketType::datagram &&
        (is_tcp_level(option) || option == SocketOption::traffic_class ||
         option == SocketOption::hop_limit)) {
        return fail(Errc::option_not_supported);
    }
    if (is_opening_option(option)) {
        return set_opening_option(*socket, option, value, now);
    }
    tcp::ConnectionOptions changed = options_of(*socket);
    Status set = is_switch(option) ? set_switch(changed, option, value != 0)
                                   : set_value(changed, option, value);
    if (!set && set.error() == Errc::option_not_supported) {
        set = set_linux_value(changed, option, value, socket->phase);
    }
    return set ? change_options(*socket, changed, now) : set;
}

Status SocketLayer::change_options(Socket& socket, const tcp::ConnectionOptions& changed,
                                   Instant now) {
    if (socket.phase == Phase::connection) {
        return host_.tcp().set_options(connection_of(socket), changed, now);
    }
    socket.options = std::make_unique<tcp::ConnectionOptions>(changed);
    socket.options_changed = true;
    return {};
}

Status SocketLayer::set_socket_level(Socket& socket, SocketOption option, std::int64_t value) {
    switch (option) {
        case SocketOption::reuse_address: socket.reuse_address = value != 0; return {};
        case SocketOption::v6_only:
            if (socket.family != Family::ipv6) {
                return fail(Errc::option_not_supported);
            }
            if (socket.handle != 0 || socket.phase == Phase::bound) {
                return fail(Errc::argument_invalid);
            }
            socket.v6_only = value != 0;
            return {};
        default: return fail(Errc::option_not_supported);  // read only, or not built
    }
}

Status SocketLayer::set_switch(tcp::ConnectionOptions& options, SocketOption option, bool on) {
    switch (option) {
        case SocketOption::keepalive: options.keepalive = on; return {};
        case SocketOption::oob_inline: options.urgent_inline = on; return {};
        case SocketOption::no_delay: options.no_delay = on; return {};
        case SocketOption::cork: options.cork = on; return {};
        case SocketOption::quick_ack:
            options.ack_mode = on ? tcp::AckMode::quick : tcp::AckMode::delayed;
            return {};
        // RFC 9293 §3.9.1.8, SHLD-20.
        case SocketOption::error_reports: options.mute_reports = !on; return {};
        case SocketOption::receive_errors: options.receive_errors = on; return {};
        default: return fail(Errc::option_not_supported);
    }
}

Status SocketLayer::set_value(tcp::ConnectionOptions& options, SocketOption option,
                              std::int64_t value) {
    const auto set_if = [](bool good, auto& field, auto wanted) -> Status {
        if (!good) {
            return fail(Errc::argument_invalid);
        }
        field = static_cast<std::remove_reference_t<decltype(field)>>(wanted);
        return {};
    };
    switch (option) {
        case SocketOption::linger:
            options.linger_on = value >= 0;
            return set_if(within(value, -1, kMaxLingerSeconds), options.linger,
                          seconds(std::clamp<std::int64_t>(value, 0, kMaxLingerSeconds)));
        case SocketOption::send_buffer:
            return set_if(true, options.send_buffer,
                          std::clamp(value, kMinSendBuffer, kMaxSocketBuffer));
        case SocketOption::receive_buffer:
            return set_if(true, options.receive_buffer,
                          std::clamp(value, kMinReceiveBuffer, kMaxSocketBuffer));
        case SocketOption::max_segment:
            return set_if(value == 0 || within(value, kMinUserMss, kMaxUserMss),
                          options.maximum_segment, value);
        case SocketOption::keepalive_idle:
            return set_if(within(value, 1, kMaxKeepaliveSeconds), options.keepalive_time,
                          seconds(std::clamp<std::int64_t>(value, 0, kMaxKeepaliveSeconds)));
        case SocketOption::keepalive_interval:
            return set_if(within(value, 1, kMaxKeepaliveSeconds), options.keepalive_interval,
                          seconds(std::clamp<std::int64_t>(value, 0, kMaxKeepaliveSeconds)));
        case SocketOption::keepalive_count:
            return set_if(within(value, 1, kMaxKeepaliveProbes), options.keepalive_probes, value);
        case SocketOption::user_timeout:
            return set_if(within(value, 0, kMaxUserTimeout), options.user_timeout,
                          milliseconds(std::clamp<std::int64_t>(value, 0, kMaxUserTimeout)));
        case SocketOption::traffic_class:
            // RFC 9293 §3.9.1.9, MUST-48; SHLD-21: at any time.
            // RFC 3168 §6.1.1: the two ECN bits are TCP's own.
            return set_if(within(value, 0, 255), options.traffic_class, value & ~3);
        case SocketOption::hop_limit:
            return set_if(value == kDefaultHopLimit || within(value, 1, 255), options.hop_limit,
                          std::max<std::int64_t>(value, 0));
        default: return fail(Errc::option_not_supported);
    }
}

Result<std::int64_t> SocketLayer::get_option(SocketId id, SocketOption option) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    switch (option) {
        case SocketOption::reuse_address: return std::int64_t{socket->reuse_address};
        case SocketOption::v6_only:
            if (socket->family != Family::ipv6) {
                return fail(Errc::option_not_supported);
            }
            return std::int64_t{socket->v6_only};
        case SocketOption::accepting: return std::int64_t{socket->phase == Phase::listening};
        case SocketOption::type: return static_cast<std::int64_t>(socket->type);
        case SocketOption::domain: return socket->family == Family::ipv4 ? 2 : 10;
        case SocketOption::protocol: return socket->type == SocketType::stream ? 6 : 17;
        case SocketOption::mtu: {
            const auto status = tcp_info(id);
            if (!status || status->handle == 0) {
                return fail(Errc::not_connected);
            }
            return std::int64_t{status->path_mtu};
        }
        case SocketOption::error: {
            const Errc error = socket->phase == Phase::connection
                                   ? host_.tcp().take_error(connection_of(*socket))
                                   : Errc::ok;
            return static_cast<std::int64_t>(error);
        }
        case SocketOption::reuse_port: return fail(Errc::option_not_supported);
        default: break;
    }
    if (socket->type == SocketType::datagram &&
        (is_tcp_level(option) || is_opening_option(option))) {
        return fail(Errc::option_not_supported);
    }
    if (is_opening_option(option)) {
        return opening_option(*socket, option);
    }
    return connection_level(*socket, option);
}

/// What is unset shows the host's value.
std::int64_t SocketLayer::connection_level(const Socket& socket, SocketOption option) const {
    const tcp::ConnectionOptions& options = options_of(socket);
    const tcp::TcpConfig& config = host_.tcp().config();
    const auto or_default = [](Duration set, Duration otherwise) {
        return set == Duration{} ? otherwise : set;
    };
    switch (option) {
        case SocketOption::keepalive: return options.keepalive;
        case SocketOption::oob_inline: return options.urgent_inline;
        case SocketOption::no_delay: return options.no_delay;
        case SocketOption::cork: return options.cork;
        case SocketOption::quick_ack: {
            const auto status = socket.phase == Phase::connection
                                    ? host_.tcp().status(connection_of(socket))
                                    : std::nullopt;
            return !(status ? status->interactive : options.ack_mode == tcp::AckMode::delayed);
        }
        case SocketOption::error_reports: return !options.mute_reports;
        case SocketOption::linger: return options.linger_on ? options.linger.seconds() : -1;
        case SocketOption::send_buffer: {
            // What it is now: unset, it grows with the window (Linux).
            const auto status = socket.phase == Phase::connection
                                    ? host_.tcp().status(connection_of(socket))
                                    : std::nullopt;
            const std::uint32_t first =
                config.send_buffer_autotuning
                    ? std::min(config.initial_send_buffer, config.send_buffer)
                    : config.send_buffer;
            const std::uint32_t now = status ? status->send_buffer : first;
            return options.send_buffer != 0 ? options.send_buffer : now;
        }
        case SocketOption::receive_buffer:
            return options.receive_buffer != 0 ? options.receive_buffer : config.receive_buffer;
        case SocketOption::max_segment: {
            const auto status = socket.phase == Phase::connection
                                    ? host_.tcp().status(connection_of(socket))
                                    : std::nullopt;
            return status ? status->snd_mss : options.maximum_segment;
        }
        case SocketOption::keepalive_idle:
            return or_default(options.keepalive_time, config.keepalive_time).seconds();
        case SocketOption::keepalive_interval:
            return or_default(options.keepalive_interval, config.keepalive_interval).seconds();
        case SocketOption::keepalive_count:
            return options.keepalive_probes != 0 ? options.keepalive_probes
                                                 : config.keepalive_probes;
        case SocketOption::user_timeout:
            return or_default(options.user_timeout, config.user_timeout).millis();
        case SocketOption::traffic_class: return options.traffic_class;
        case SocketOption::hop_limit:
            return options.hop_limit != 0 ? options.hop_limit : config.hop_limit;
        case SocketOption::fin_timeout:
            return options.fin_timeout.ns < 0
                       ? -1
                       : or_default(options.fin_timeout, config.fin_timeout).seconds();
        case SocketOption::notsent_lowat: return options.notsent_lowat;
        case SocketOption::window_clamp: return options.window_clamp;
        case SocketOption::receive_lowat: return std::max<std::int64_t>(options.receive_lowat, 1);
        case SocketOption::report_inq: return options.report_inq;
        case SocketOption::receive_errors: return options.receive_errors;
        case SocketOption::zerocopy: return options.zerocopy;
        case SocketOption::timestamping: return options.timestamping;
        case SocketOption::priority: return options.priority;
        case SocketOption::mark: return options.mark;
        default: return 0;
    }
}

Result<tcp::ErrorReport> SocketLayer::take_report(SocketId id) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    return socket->phase == Phase::connection ? host_.tcp().take_report(connection_of(*socket))
                                              : tcp::ErrorReport{};
}

Result<tcp::ConnectionStatus> SocketLayer::tcp_info(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::option_not_supported);
    }
    if (socket->phase == Phase::connection) {
        if (const auto status = host_.tcp().status(connection_of(*socket))) {
            return *status;
        }
    }
    tcp::ConnectionStatus none;
    none.tuple.local = socket->local;
    none.state = state_of(*socket);
    if (socket->phase == Phase::listening) {
        if (const auto queues = host_.tcp().queues(listener_of(*socket))) {
            none.receive_queue = queues->waiting;
            none.send_queue = queues->backlog;
        }
    }
    return none;
}

Result<TcpInfo> SocketLayer::linux_tcp_info(SocketId id, Instant now) const {
    const auto status = tcp_info(id);
    if (!status) {
        return fail(status.error());
    }
    return make_tcp_info(*status, host_.tcp().config(), now);
}

}  // namespace runnel
