// Opening, closing and readiness of sockets, whatever they are of. Streams, datagrams, addresses and
// options have a file each.
#include "runnel/socket/socket_layer.hpp"

#include <utility>

namespace runnel {

using tcp::Readiness;

SocketLayer::SocketLayer(Host& host, std::uint32_t max_sockets)
    : host_(host), sockets_(max_sockets) {}

tcp::ConnectionHandle SocketLayer::connection_of(const Socket& socket) {
    return tcp::ConnectionHandle::from_packed(socket.handle);
}

tcp::ListenerHandle SocketLayer::listener_of(const Socket& socket) {
    return tcp::ListenerHandle::from_packed(socket.handle);
}

tcp::State SocketLayer::state_of(const Socket& socket) const {
    if (socket.phase == Phase::listening) {
        return tcp::State::listen;
    }
    if (socket.phase != Phase::connection) {
        return tcp::State::closed;
    }
    const auto status = host_.tcp().status(connection_of(socket));
    return status ? status->state : tcp::State::closed;
}

Result<SocketId> SocketLayer::open(Family family, SocketType type) {
    const SocketId id = sockets_.emplace(Socket{.family = family, .type = type});
    if (id.is_none()) {
        return fail(Errc::too_many_open);
    }
    Socket& socket = *find(id);
    socket.local.address = IpAddress::any(family);
    if (type == SocketType::datagram) {
        socket.phase = Phase::datagram;
    }
    return id;
}

Status SocketLayer::bind(SocketId id, const Endpoint& local, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    const bool has_name =
        socket->type == SocketType::datagram ? socket->handle != 0 : socket->phase != Phase::fresh;
    if (has_name) {
        return fail(Errc::argument_invalid);
    }
    if (Status family = check_family(*socket, local.address); !family) {
        return family;
    }
    if (!local.address.is_unspecified() && !host_.ip().is_local(local.address)) {
        return fail(Errc::address_not_available);
    }
    if (socket->type == SocketType::datagram) {
        return bind_datagram(id, *socket, local);
    }
    return bind_stream(id, *socket, local, now);
}

Status SocketLayer::close(SocketId id, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    end(id, *socket, false, now);
    return {};
}

Status SocketLayer::abort(SocketId id, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    end(id, *socket, true, now);
    return {};
}

void SocketLayer::end(SocketId id, Socket& socket, bool reset, Instant now) {
    switch (socket.phase) {
        case Phase::fresh:
        case Phase::bound: break;
        case Phase::listening: host_.tcp().close_listener(listener_of(socket), now); break;
        case Phase::datagram: close_datagram(socket); break;
        case Phase::connection:
            if (reset) {
                host_.tcp().abort(connection_of(socket), now);
            } else {
                host_.tcp().close(connection_of(socket), now);
            }
            break;
    }
    release_port(id, socket);
    if (!md5_keys_.empty()) {
        md5_keys_.erase(id.packed());
    }
    fast_open_keys_.erase(id.packed());
    sockets_.erase(id);
}

// --- readiness -----------------------------------------------------------------------------------------

Readiness SocketLayer::readiness(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return {Readiness::kError | Readiness::kHangUp};
    }
    switch (socket->phase) {
        case Phase::fresh:
        case Phase::bound: break;
        case Phase::listening: return host_.tcp().readiness(listener_of(*socket));
        case Phase::connection: return host_.tcp().readiness(connection_of(*socket));
        case Phase::datagram: return datagram_readiness(*socket);
    }
    // As poll(2) answers for a stream that never was: nothing will come, and a write fails at once.
    return {Readiness::kWritable | Readiness::kHangUp};
}

std::uint32_t SocketLayer::poll_events(SocketId id) const {
    const Socket* socket = sockets_.find(id);
    if (socket == nullptr) {
        return PollEvents::kInvalid;
    }
    struct Bit {
        std::uint8_t readiness;
        std::uint32_t events;
    };
    // tcp_poll: urgent data is told once the octet is there.
    static constexpr Bit kBits[] = {
        {Readiness::kReadable, PollEvents::kIn | PollEvents::kReadNormal},
        {Readiness::kWritable, PollEvents::kOut | PollEvents::kWriteNormal},
        {Readiness::kUrgentHere, PollEvents::kPri},
        {Readiness::kPeerClosed, PollEvents::kReadHup},
        {Readiness::kHangUp, PollEvents::kHup},
        {Readiness::kError, PollEvents::kErr}};
    const std::uint8_t bits = readiness(id).bits;
    std::uint32_t events = 0;
    for (const Bit& bit : kBits) {
        events |= (bits & bit.readiness) != 0 ? bit.events : 0;
    }
    const bool queued =
        socket->phase == Phase::connection && host_.tcp().has_queued_error(connection_of(*socket));
    return events | (queued ? PollEvents::kErr : 0);
}

Result<std::optional<LingeringClose>> SocketLayer::close_and_linger(SocketId id, Instant now) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    const tcp::ConnectionOptions options = options_of(*socket);
    const bool connected = socket->phase == Phase::connection;
    const LingeringClose waiting{connection_of(*socket), now + options.linger};
    (void)close(id, now);
    if (!connected || !options.linger_on || options.linger.ns == 0 || !lingers(waiting, now)) {
        return std::optional<LingeringClose>{};
    }
    return std::optional(waiting);
}

bool SocketLayer::lingers(const LingeringClose& close, Instant now) const {
    const auto status = host_.tcp().status(close.connection);
    if (!status || now >= close.deadline) {
        return false;
    }
    // sk_stream_closing: until our FIN is acknowledged.
    return status->state == tcp::State::fin_wait_1 || status->state == tcp::State::closing ||
           status->state == tcp::State::last_ack;
}

void SocketLayer::remember(std::vector<std::uint64_t>& table, std::uint64_t handle, SocketId id) {
    const auto index = static_cast<std::uint32_t>(handle);
    if (index >= table.size()) {
        table.resize(std::size_t{index} + 1);
    }
    table[index] = id.packed();
}

void SocketLayer::list_ready(SocketId id) {
    Socket* socket = find(id);
    if (socket != nullptr && !socket->listed) {
        socket->listed = true;
        ready_.push_back(id);
    }
}

void SocketLayer::take_ready(std::vector<ReadyEvent>& out) {
    // An event of a handle that its socket has meanwhile exchanged for another is nobody's news.
    const auto list = [this](const std::vector<std::uint64_t>& table, std::uint64_t handle) {
        const auto index = static_cast<std::uint32_t>(handle);
        if (index < table.size()) {
            const SocketId id = SocketId::from_packed(table[index]);
            const Socket* socket = sockets_.find(id);
            if (socket != nullptr && (socket->handle == handle || socket->handle_v4 == handle)) {
                list_ready(id);
            }
        }
    };
    host_.tcp().take_events(events_);
    for (const tcp::UserEvent& event : events_) {
        list(event.is_listener ? socket_of_listener_ : socket_of_connection_, event.handle);
    }
    host_.udp().take_readable(udp_events_);
    for (const UdpHandle handle : udp_events_) {
        list(socket_of_datagram_, handle.packed());
    }
    if (!udp_writers_.empty() && host_.udp().writable()) {
        for (const SocketId id : udp_writers_) {
            if (Socket* socket = find(id)) {
                socket->writer_waits = false;
                list_ready(id);
            }
        }
        udp_writers_.clear();
    }

    out.clear();
    for (const SocketId id : ready_) {
        if (Socket* socket = find(id)) {
            socket->listed = false;
            out.push_back({id, readiness(id)});
        }
    }
    ready_.clear();
}

}  // namespace runnel
