// Which local addresses and ports a stream socket may have: families, dual stack, conflicts between bound
// sockets (Linux's rules of SO_REUSEADDR) and free ports (RFC 6056).
#include "runnel/socket/socket_layer.hpp"

namespace runnel {

Status SocketLayer::check_family(const Socket& socket, const IpAddress& address) {
    if (socket.family == Family::ipv4 && !address.is_v4()) {
        return fail(Errc::address_family_not_supported);
    }
    if (socket.family == Family::ipv6 && address.is_v4() && socket.v6_only) {
        return fail(Errc::argument_invalid);
    }
    return {};
}

/// RFC 3493 §3.7: `::` of a socket that isn't IPv6 only takes IPv4 too.
bool SocketLayer::dual_stack(const Socket& socket, const IpAddress& local) {
    return socket.family == Family::ipv6 && !socket.v6_only && !local.is_v4() &&
           local.is_unspecified();
}

/// Whether some packet could be for both.
bool SocketLayer::overlap(const Socket& a, const IpAddress& a_address, const Socket& b) {
    const IpAddress& b_address = b.local.address;
    if (dual_stack(a, a_address) || dual_stack(b, b_address)) {
        return true;  // it takes every address there is
    }
    if (a_address.family() != b_address.family()) {
        return false;
    }
    return a_address == b_address || a_address.is_unspecified() || b_address.is_unspecified();
}

bool SocketLayer::bind_conflict(SocketId id, const Socket& socket, const Endpoint& local,
                                bool against_listeners_only) const {
    const auto [first, last] = bound_.equal_range(local.port);
    for (auto it = first; it != last; ++it) {
        const Socket* other = sockets_.find(it->second);
        if (it->second == id || other == nullptr || !overlap(socket, local.address, *other)) {
            continue;
        }
        const bool listens = other->phase == Phase::listening;
        if (listens ||
            (!against_listeners_only && !(socket.reuse_address && other->reuse_address))) {
            return true;
        }
    }
    // What has no socket of ours: accepted, merely connected and orphaned connections, TIME-WAIT.
    return !against_listeners_only && !socket.reuse_address &&
           host_.tcp().local_in_use(local, dual_stack(socket, local.address));
}

/// An ephemeral port (RFC 6056) that no bound socket has either; the stack knows only its connections.
std::optional<std::uint16_t> SocketLayer::pick_port(SocketId id, const Socket& socket,
                                                    const IpAddress& address, Instant now) {
    const tcp::TcpConfig& config = host_.tcp().config();
    std::optional<std::uint16_t> port = host_.tcp().free_port(address, now);
    if (!port) {
        return std::nullopt;
    }
    const unsigned ports = static_cast<unsigned>(config.port_high - config.port_low) + 1;
    for (unsigned tries = 0; tries < ports; ++tries) {
        if (!bound_.contains(*port) && !bind_conflict(id, socket, {address, *port}, false)) {
            return port;
        }
        port = *port >= config.port_high ? config.port_low : static_cast<std::uint16_t>(*port + 1);
    }
    return std::nullopt;
}

Status SocketLayer::bind_stream(SocketId id, Socket& socket, const Endpoint& local, Instant now) {
    if (host_.ip().is_group(local.address)) {
        return fail(Errc::address_not_available);  // RFC 1122 §4.2.3.10: no group for TCP
    }
    Endpoint chosen = local;
    if (local.port == 0) {
        const auto port = pick_port(id, socket, local.address, now);
        if (!port) {
            return fail(Errc::address_in_use);
        }
        chosen.port = *port;
    } else if (bind_conflict(id, socket, local, false)) {
        return fail(Errc::address_in_use);
    }
    take_port(id, socket, chosen);
    socket.bound_by_user = local.port != 0;
    return {};
}

void SocketLayer::take_port(SocketId id, Socket& socket, const Endpoint& local) {
    socket.local = local;
    socket.phase = Phase::bound;
    bound_.emplace(local.port, id);
}

void SocketLayer::release_port(SocketId id, Socket& socket) {
    const auto [first, last] = bound_.equal_range(socket.local.port);
    for (auto it = first; it != last; ++it) {
        if (it->second == id) {
            bound_.erase(it);
            return;
        }
    }
}

// --- names ---------------------------------------------------------------------------------------------

Result<Endpoint> SocketLayer::local_endpoint(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->phase == Phase::connection) {
        if (const auto tuple = host_.tcp().tuple(connection_of(*socket))) {
            return tuple->local;
        }
    }
    if (socket->type == SocketType::datagram && socket->handle != 0) {
        return host_.udp().local_endpoint(UdpHandle::from_packed(socket->handle));
    }
    return socket->local;
}

Result<Endpoint> SocketLayer::remote_endpoint(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram && socket->handle != 0) {
        return host_.udp().remote_endpoint(UdpHandle::from_packed(socket->handle));
    }
    // As getpeername(2): not before the peer has answered, and not after the end.
    const tcp::State state = state_of(*socket);
    if (socket->phase == Phase::connection && state != tcp::State::syn_sent &&
        state != tcp::State::closed && state != tcp::State::time_wait) {
        if (const auto tuple = host_.tcp().tuple(connection_of(*socket))) {
            return tuple->remote;
        }
    }
    return fail(Errc::not_connected);
}

}  // namespace runnel
