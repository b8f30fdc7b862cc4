// Calls of datagram sockets over the host's UDP table (RFC 768; udp(7) and RFC 3493 §3.7 for what calls
// mean). A dual-stack socket holds two bindings with one port.
#include <algorithm>
#include <cstring>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

using tcp::Readiness;

namespace {
/// An ephemeral port is free in one family and perhaps taken in the other: so often another is tried.
constexpr int kDualBindTries = 16;

UdpHandle first_of(std::uint64_t packed) {
    return UdpHandle::from_packed(packed);
}
}  // namespace

void SocketLayer::remember_datagram(SocketId id, std::uint64_t handle) {
    remember(socket_of_datagram_, handle, id);
}

Status SocketLayer::bind_datagram(SocketId id, Socket& socket, const Endpoint& local) {
    UdpTable& udp = host_.udp();
    for (int tries = 0; tries < kDualBindTries; ++tries) {
        const auto bound = udp.bind(local);
        if (!bound) {
            return fail(bound.error());
        }
        const auto named = udp.local_endpoint(*bound);
        if (dual_stack(socket, local.address)) {
            const auto second = udp.bind({IpAddress::any(Family::ipv4), named->port});
            if (!second) {
                (void)udp.close(*bound);
                if (local.port == 0 && second.error() == Errc::address_in_use) {
                    continue;
                }
                return fail(second.error());
            }
            socket.handle_v4 = second->packed();
            remember_datagram(id, socket.handle_v4);
        }
        socket.handle = bound->packed();
        socket.local = *named;
        remember_datagram(id, socket.handle);
        return {};
    }
    return fail(Errc::address_in_use);
}

Status SocketLayer::bind_datagram_if_needed(SocketId id, Socket& socket) {
    return socket.handle != 0 ? Status{} : bind_datagram(id, socket, socket.local);
}

Status SocketLayer::connect_datagram(SocketId id, Socket& socket, const Endpoint& remote) {
    if (Status bound = bind_datagram_if_needed(id, socket); !bound) {
        return bound;
    }
    if (!host_.ip().route(remote.address)) {
        return fail(Errc::network_unreachable);
    }
    // Of two bindings the one of the peer's family stays: from now on only the peer is heard.
    if (socket.handle_v4 != 0) {
        if (remote.address.is_v4()) {
            std::swap(socket.handle, socket.handle_v4);
        }
        (void)host_.udp().close(first_of(socket.handle_v4));
        socket.handle_v4 = 0;
    } else if (socket.local.address.family() != remote.address.family()) {
        return fail(Errc::network_unreachable);
    }
    return host_.udp().connect(first_of(socket.handle), remote);
}

Result<std::size_t> SocketLayer::send_datagram(SocketId id, Socket& socket, Bytes bytes,
                                               std::optional<Endpoint> remote) {
    if (socket.send_shut) {
        return fail(Errc::broken_pipe);
    }
    if (remote) {
        if (Status family = check_family(socket, remote->address); !family) {
            return fail(family.error() == Errc::argument_invalid ? Errc::network_unreachable
                                                                 : family.error());
        }
        if (!host_.ip().route(remote->address)) {
            return fail(Errc::network_unreachable);
        }
    } else if (socket.handle == 0) {
        return fail(Errc::destination_address_required);
    }
    if (Status bound = bind_datagram_if_needed(id, socket); !bound) {
        return fail(bound.error());
    }
    UdpHandle handle = first_of(socket.handle);
    if (remote && remote->address.is_v4() && socket.handle_v4 != 0) {
        handle = first_of(socket.handle_v4);
    } else if (remote &&
               remote->address.family() != host_.udp().local_endpoint(handle)->address.family()) {
        return fail(Errc::network_unreachable);
    }
    if (Status sent = host_.udp().send(handle, bytes, remote); !sent) {
        if (sent.error() == Errc::would_block && !socket.writer_waits) {
            socket.writer_waits = true;
            udp_writers_.push_back(id);
        }
        return fail(sent.error());
    }
    return bytes.size();
}

Result<std::size_t> SocketLayer::receive_datagram(Socket& socket, MutableBytes into,
                                                  Endpoint& from) {
    if (socket.handle == 0) {
        return socket.receive_shut ? Result<std::size_t>(0) : fail(Errc::would_block);
    }
    auto message = host_.udp().receive(first_of(socket.handle));
    if (!message && message.error() == Errc::would_block && socket.handle_v4 != 0) {
        message = host_.udp().receive(first_of(socket.handle_v4));
    }
    if (!message) {
        if (message.error() == Errc::would_block && socket.receive_shut) {
            return std::size_t{0};
        }
        return fail(message.error());
    }
    from = message->source;
    std::size_t copied = 0;
    for (const Slice& slice : message->payload) {
        const std::size_t count = std::min(slice.size(), into.size() - copied);
        if (count == 0) {
            break;
        }
        std::memcpy(into.data() + copied, slice.data(), count);
        copied += count;
    }
    return copied;
}

Result<std::size_t> SocketLayer::send_to(SocketId id, Bytes bytes, const Endpoint& remote,
                                         Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::stream) {
        return send(id, bytes, {}, now);
    }
    return send_datagram(id, *socket, bytes, remote);
}

Result<std::size_t> SocketLayer::receive_from(SocketId id, MutableBytes into, Endpoint& from,
                                              Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::stream) {
        return receive(id, into, {}, now);
    }
    return receive_datagram(*socket, into, from);
}

void SocketLayer::close_datagram(Socket& socket) {
    for (const std::uint64_t handle : {socket.handle, socket.handle_v4}) {
        if (handle != 0) {
            (void)host_.udp().close(first_of(handle));
        }
    }
}

Readiness SocketLayer::datagram_readiness(const Socket& socket) const {
    Readiness ready;
    const UdpTable& udp = host_.udp();
    for (const std::uint64_t handle : {socket.handle, socket.handle_v4}) {
        if (handle != 0 && udp.readable(first_of(handle))) {
            ready.bits |= Readiness::kReadable;
        }
    }
    if (socket.receive_shut) {
        ready.bits |= Readiness::kReadable | Readiness::kPeerClosed;
    }
    if (udp.writable()) {
        ready.bits |= Readiness::kWritable;
    }
    if (socket.receive_shut && socket.send_shut) {
        ready.bits |= Readiness::kHangUp;
    }
    return ready;
}

}  // namespace runnel
