// Calls of stream sockets: listen, accept, connect, data and shutdown, with the errors that Linux gives
// in each state (connect(2), listen(2), send(2), recv(2), shutdown(2); RFC 9293 §3.9.1 below them).
#include <utility>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

using tcp::State;

namespace {

tcp::SendFlags send_flags(const MessageFlags& flags) {
    return {.more = flags.more,
            .urgent = flags.urgent,
            .end_of_record = flags.end_of_record,
            .zerocopy = flags.zerocopy,
            .timestamping = flags.timestamping};
}

}  // namespace

Status SocketLayer::listen(SocketId id, std::uint32_t backlog, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type != SocketType::stream) {
        return fail(Errc::not_supported);
    }
    if (socket->phase == Phase::connection) {
        return fail(Errc::argument_invalid);
    }
    if (socket->phase == Phase::listening) {
        host_.tcp().set_backlog(listener_of(*socket), backlog);
        return {};
    }
    if (socket->phase == Phase::fresh) {
        const auto port = pick_port(id, *socket, socket->local.address, now);
        if (!port) {
            return fail(Errc::address_in_use);
        }
        take_port(id, *socket, {socket->local.address, *port});
    } else if (bind_conflict(id, *socket, socket->local, true)) {
        return fail(Errc::address_in_use);
    }
    const bool dual = dual_stack(*socket, socket->local.address);
    const auto listener = host_.tcp().listen(socket->local, dual, backlog, options_of(*socket));
    if (!listener) {
        return fail(listener.error());
    }
    socket->handle = listener->packed();
    socket->phase = Phase::listening;
    socket->options_changed = false;
    remember(socket_of_listener_, socket->handle, id);
    use_md5_keys(id, *socket, now);
    use_fast_open_keys(id, *socket);
    return {};
}

Result<SocketId> SocketLayer::accept(SocketId id, Instant now) {
    Socket* listener = find(id);
    if (listener == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (listener->type != SocketType::stream) {
        return fail(Errc::not_supported);
    }
    if (listener->phase != Phase::listening) {
        return fail(Errc::argument_invalid);
    }
    // The place comes first: a connection taken from the queue couldn't be put back.
    const auto listener_handle = listener_of(*listener);
    const SocketId accepted_id = sockets_.emplace(Socket{.family = listener->family,
                                                         .type = SocketType::stream,
                                                         .phase = Phase::connection,
                                                         .reuse_address = listener->reuse_address,
                                                         .v6_only = listener->v6_only,
                                                         .connect_reported = true,
                                                         .handshake_over = true});
    if (accepted_id.is_none()) {
        return fail(Errc::too_many_open);
    }
    const auto connection = host_.tcp().accept(listener_handle, now);
    if (!connection) {
        sockets_.erase(accepted_id);
        return fail(connection.error());
    }
    Socket& accepted = *find(accepted_id);
    accepted.handle = connection->packed();
    if (const auto tuple = host_.tcp().tuple(*connection)) {
        accepted.local = tuple->local;
    }
    if (listener->options_changed) {
        tcp::ConnectionOptions inherited = options_of(*listener);
        inherited.priority = 0;
        (void)host_.tcp().set_options(*connection, inherited, now);
    }
    remember(socket_of_connection_, accepted.handle, accepted_id);
    return accepted_id;
}

// --- connect -------------------------------------------------------------------------------------------

Status SocketLayer::connect(SocketId id, const Endpoint& remote, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->family == Family::ipv4 && !remote.address.is_v4()) {
        return fail(Errc::address_family_not_supported);
    }
    if (socket->family == Family::ipv6 && remote.address.is_v4() && socket->v6_only) {
        return fail(Errc::network_unreachable);
    }
    switch (socket->phase) {
        case Phase::fresh:
        case Phase::bound: return start_connect(id, *socket, remote, now);
        case Phase::listening: return fail(Errc::already_connected);
        case Phase::connection: return connect_outcome(id, *socket, now);
        case Phase::datagram: return connect_datagram(id, *socket, remote);
    }
    return fail(Errc::argument_invalid);
}

Status SocketLayer::start_connect(SocketId id, Socket& socket, const Endpoint& remote,
                                  Instant now) {
    Endpoint target = remote;
    if (target.address.is_unspecified()) {
        // Linux takes "any" for this host itself.
        target.address =
            target.address.is_v4() ? IpAddress::v4(0x7f000001) : *parse_ip_address("::1");
    }
    // RFC 9293 §3.9.1.1, MUST-46: no TCP with a group.
    if (host_.ip().is_group(target.address)) {
        return fail(Errc::network_unreachable);
    }
    std::optional<IpAddress> source;
    if (!socket.local.address.is_unspecified()) {
        source = socket.local.address;
        if (source->family() != target.address.family()) {
            return fail(Errc::network_unreachable);
        }
    }
    // RFC 9293 §3.9.1.1, MUST-44: IP chooses the source unless the user has (MUST-43).
    const auto route = host_.ip().route(target.address, source);
    if (!route) {
        return fail(Errc::network_unreachable);
    }
    const Endpoint local{source.value_or(route->source), socket.local.port};
    const tcp::ConnectionOptions& options = options_of(socket);
    const bool waits =
        options.fast_open && host_.tcp().fast_open_ready({local, target}, options, now);
    const auto connection = host_.tcp().connect(local, target, route->mtu, options, now);
    if (!connection) {
        // connect(2) says EADDRNOTAVAIL of a four-tuple that exists; EADDRINUSE is bind's word.
        return fail(connection.error() == Errc::address_in_use ? Errc::address_not_available
                                                               : connection.error());
    }
    socket.handle = connection->packed();
    socket.options.reset();  // the connection has them now
    socket.phase = Phase::connection;
    socket.connect_reported = waits;
    socket.handshake_over = false;
    remember(socket_of_connection_, socket.handle, id);
    use_md5_keys(id, socket, now);
    // Fast Open: the SYN waits for the first data, and connect(2) is done.
    return waits ? Status{} : fail(Errc::in_progress);
}

/// A further connect() tells how the first one ended, once.
Status SocketLayer::connect_outcome(SocketId id, Socket& socket, Instant now) {
    if (socket.connect_reported) {
        return fail(Errc::already_connected);
    }
    switch (state_of(socket)) {
        case State::syn_sent:
        case State::syn_received: return fail(Errc::connection_already_in_progress);
        case State::closed: {
            const Errc error = host_.tcp().take_error(connection_of(socket));
            disconnect(id, socket, now);
            return fail(error == Errc::ok ? Errc::connection_aborted : error);
        }
        default: socket.connect_reported = true; return {};
    }
}

/// Back to a socket without a connection, which may connect again.
void SocketLayer::disconnect(SocketId id, Socket& socket, Instant now) {
    if (const auto* options = host_.tcp().options(connection_of(socket))) {
        socket.options = std::make_unique<tcp::ConnectionOptions>(*options);
    }
    host_.tcp().close(connection_of(socket), now);
    socket.handle = 0;
    socket.handshake_over = false;
    if (socket.bound_by_user) {
        socket.phase = Phase::bound;
    } else {
        release_port(id, socket);
        socket.phase = Phase::fresh;
        socket.local.port = 0;
    }
}

// --- data ----------------------------------------------------------------------------------------------

Result<tcp::ConnectionHandle> SocketLayer::data_connection(Socket& socket, bool sending) const {
    if (socket.phase != Phase::connection) {
        return fail(sending ? Errc::broken_pipe : Errc::not_connected);
    }
    const auto handle = connection_of(socket);
    if (!socket.handshake_over) {
        const State state = state_of(socket);
        if (sending && waits_for_data(socket)) {
            return handle;
        }
        if (state == State::syn_sent || state == State::syn_received) {
            return fail(
                Errc::would_block);  // as Linux: nothing is queued before the handshake ends
        }
        socket.handshake_over = true;
    }
    return handle;
}

Result<std::size_t> SocketLayer::send(SocketId id, Bytes bytes, MessageFlags flags, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return send_datagram(id, *socket, bytes, std::nullopt);
    }
    const auto handle = data_connection(*socket, true);
    if (!handle) {
        return fail(handle.error());
    }
    return host_.tcp().send(*handle, bytes, send_flags(flags), now);
}

Result<std::size_t> SocketLayer::send_slices(SocketId id, std::span<const Slice> slices,
                                             MessageFlags flags, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::not_supported);
    }
    const auto handle = data_connection(*socket, true);
    if (!handle) {
        return fail(handle.error());
    }
    return host_.tcp().send_slices(*handle, slices, send_flags(flags), now);
}

Result<std::size_t> SocketLayer::receive(SocketId id, MutableBytes into, MessageFlags flags,
                                         Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        if (flags.peek || flags.urgent) {
            return fail(Errc::not_supported);
        }
        Endpoint from;
        return receive_datagram(*socket, into, from);
    }
    const auto handle = data_connection(*socket, false);
    if (!handle) {
        return fail(handle.error());
    }
    return host_.tcp().receive(
        *handle, into, {.peek = flags.peek, .urgent = flags.urgent, .discard = flags.discard}, now);
}

Result<SliceList> SocketLayer::receive_slices(SocketId id, std::size_t limit, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::not_supported);
    }
    const auto handle = data_connection(*socket, false);
    if (!handle) {
        return fail(handle.error());
    }
    return host_.tcp().receive_slices(*handle, limit, now);
}

Result<std::size_t> SocketLayer::available(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    switch (socket->phase) {
        case Phase::fresh:
        case Phase::bound: return std::size_t{0};
        case Phase::listening: return fail(Errc::argument_invalid);
        case Phase::connection: return host_.tcp().readable(connection_of(*socket));
        case Phase::datagram: break;
    }
    return fail(Errc::not_supported);
}

Result<bool> SocketLayer::at_mark(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::not_supported);
    }
    return socket->phase == Phase::connection && host_.tcp().at_urgent_mark(connection_of(*socket));
}

// --- shutdown ------------------------------------------------------------------------------------------

Status SocketLayer::shutdown(SocketId id, ShutdownHow how, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    const bool sending = how != ShutdownHow::receive;
    const bool receiving = how != ShutdownHow::send;
    if (socket->type == SocketType::datagram) {
        socket->send_shut = socket->send_shut || sending;
        socket->receive_shut = socket->receive_shut || receiving;
        list_ready(id);
        return remote_endpoint(id) ? Status{} : fail(Errc::not_connected);
    }
    switch (state_of(*socket)) {
        case State::closed:
        case State::time_wait: return fail(Errc::not_connected);
        case State::listen:
            if (receiving) {
                host_.tcp().close_listener(listener_of(*socket), now);
                socket->handle = 0;
                socket->phase = Phase::bound;
                if (!socket->bound_by_user) {
                    release_port(id, *socket);
                    socket->phase = Phase::fresh;
                    socket->local.port = 0;
                }
            }
            return {};
        case State::syn_sent: disconnect(id, *socket, now); return {};
        default: break;
    }
    const auto handle = connection_of(*socket);
    if (sending) {
        if (Status sent = host_.tcp().shutdown_send(handle, now); !sent) {
            return sent;
        }
    }
    return receiving ? host_.tcp().shutdown_receive(handle, now) : Status{};
}

}  // namespace runnel
