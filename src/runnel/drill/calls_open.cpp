// Opening, naming and closing: socket, bind, listen, accept, connect, shutdown, close, fcntl, ioctl.
#include <utility>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/evaluate.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr std::int64_t kAfInet = 2, kAfInet6 = 10;
constexpr std::int64_t kSockStream = 1, kSockDgram = 2, kSockNonblock = 04000,
                       kSockCloexec = 02000000;
constexpr std::int64_t kONonblock = 04000, kORdwr = 2;
constexpr int kEbadf = 9, kEinval = 22, kEmfile = 24, kEnotsock = 88, kEafnosupport = 97;

std::string port_text(std::uint16_t port) {
    return fmt::format("{}", port);
}

}  // namespace

Reply Calls::socket(CallState& state, Arguments& arguments) {
    const bool v6_default = settings_.ip_version != IpVersion::ipv4;
    const std::int64_t domain = arguments.number(0, v6_default ? kAfInet6 : kAfInet);
    const std::int64_t wanted = arguments.number(1, kSockStream);
    const std::int64_t type = wanted & ~(kSockNonblock | kSockCloexec);
    const std::int64_t protocol = arguments.number(2, 0);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (protocol != 0 && protocol != 6 && protocol != 17) {
        return Reply::skip(fmt::format("sockets of protocol {} are not supported", protocol));
    }
    if ((type != kSockStream && type != kSockDgram) || (domain != kAfInet && domain != kAfInet6)) {
        return type == kSockStream || type == kSockDgram
                   ? Reply::failed(kEafnosupport)
                   : Reply::skip("only SOCK_STREAM and SOCK_DGRAM are supported");
    }
    if (descriptors_.size() >= kMaxDescriptors) {
        return Reply::failed(kEmfile);
    }
    Descriptor descriptor;
    descriptor.kind = type == kSockStream ? Descriptor::Kind::stream : Descriptor::Kind::datagram;
    descriptor.v6 = domain == kAfInet6;
    descriptor.nonblocking = (wanted & kSockNonblock) != 0;
    const auto opened =
        machine_.sockets().open(descriptor.v6 ? Family::ipv6 : Family::ipv4,
                                type == kSockStream ? SocketType::stream : SocketType::datagram);
    if (!opened) {
        return Reply::failed(opened.error());
    }
    descriptor.socket = *opened;
    return Reply::ok(add(std::move(descriptor), state.call->result));
}

/// What a sockaddr says, with the defaults of packetdrill where it says nothing.
Endpoint Calls::endpoint_of(const Expression& written, std::size_t fd_argument, bool local,
                            Arguments& arguments) {
    const bool v6 = settings_.ip_version == IpVersion::ipv6;
    Endpoint endpoint;
    endpoint.port = local ? settings_.bind_port : settings_.connect_port;
    if (local) {
        endpoint.address = settings_.local_ip.value_or(
            *parse_ip_address(v6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1"));
    } else {
        endpoint.address =
            settings_.remote_ip.value_or(*parse_ip_address(v6 ? "2001:db8::1" : "192.0.2.1"));
    }
    if (written.is(Expression::Kind::ellipsis)) {
        return endpoint;
    }
    const auto name = socket_name_of(written);
    if (!name) {
        arguments.fail(name.error());
        return endpoint;
    }
    if (name->family && *name->family != kAfInet && *name->family != kAfInet6) {
        arguments.fail(
            fmt::format("argument {}: only AF_INET and AF_INET6 are supported", fd_argument + 2));
    }
    endpoint.port = name->port.value_or(endpoint.port);
    endpoint.address = name->address.value_or(endpoint.address);
    return endpoint;
}

void Calls::compare_name(const Expression& written, const Endpoint& seen, bool v6,
                         std::vector<std::string>& mismatches) const {
    if (!written.is(Expression::Kind::structure)) {
        return;
    }
    const auto name = socket_name_of(written);
    if (!name) {
        return;
    }
    if (name->family && *name->family != (v6 ? kAfInet6 : kAfInet)) {
        mismatches.push_back(fmt::format("sa_family: expected {}, got {}", *name->family,
                                         v6 ? "AF_INET6" : "AF_INET"));
    }
    if (name->port && *name->port != seen.port) {
        mismatches.push_back(
            fmt::format("port: expected {}, got {}", port_text(*name->port), port_text(seen.port)));
    }
    if (name->address && *name->address != seen.address) {
        mismatches.push_back(fmt::format("address: expected {}, got {}", to_string(*name->address),
                                         to_string(seen.address)));
    }
}

Reply Calls::bind(CallState&, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const Endpoint local = endpoint_of(arguments.at(1), 0, true, arguments);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const Status bound = machine_.sockets().bind(descriptor->socket, local, machine_.now());
    if (!bound) {
        return Reply::failed(bound.error());
    }
    if (const auto name = machine_.sockets().local_endpoint(descriptor->socket)) {
        bound_port_ = name->port;
    }
    return Reply::ok(0);
}

Reply Calls::listen(CallState&, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t backlog = arguments.number(1, 1);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    // A negative backlog counts as the greatest, as its unsigned value does in Linux.
    const Status listening = machine_.sockets().listen(
        descriptor->socket, static_cast<std::uint32_t>(backlog), machine_.now());
    if (!listening) {
        return Reply::failed(listening.error());
    }
    if (const auto name = machine_.sockets().local_endpoint(descriptor->socket)) {
        listening_port_ = name->port;
    }
    return Reply::ok(0);
}

Reply Calls::accept(CallState& state, Arguments& arguments) {
    Descriptor* listener = find(arguments.fd(0));
    const std::int64_t flags = arguments.number(3, 0);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (listener == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (!listener->is_socket()) {
        return Reply::failed(kEnotsock);
    }
    const auto accepted = machine_.sockets().accept(listener->socket, machine_.now());
    if (!accepted) {
        return accepted.error() == Errc::would_block && !listener->nonblocking
                   ? Reply::blocks()
                   : Reply::failed(accepted.error());
    }
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::stream;
    descriptor.v6 = listener->v6;
    descriptor.nonblocking = (flags & kSockNonblock) != 0;
    descriptor.socket = *accepted;
    Reply reply;
    if (const auto peer = machine_.sockets().remote_endpoint(*accepted)) {
        compare_name(arguments.at(1), *peer, descriptor.v6, reply.mismatches);
    }
    reply.value = add(std::move(descriptor), state.call->result);
    return reply;
}

Reply Calls::connect(CallState& state, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    bool nowhere = arguments.at(1).is_symbol("AF_UNSPEC");
    if (arguments.at(1).is(Expression::Kind::structure)) {
        const auto name = socket_name_of(arguments.at(1));
        nowhere = name && name->family == 0;
    }
    if (nowhere && descriptor != nullptr && descriptor->kind == Descriptor::Kind::stream) {
        return disconnect(*descriptor);
    }
    const Endpoint remote = endpoint_of(arguments.at(1), 0, false, arguments);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const Status connected = machine_.sockets().connect(descriptor->socket, remote, machine_.now());
    if (connected) {
        return Reply::ok(0);
    }
    const bool under_way = connected.error() == Errc::in_progress ||
                           connected.error() == Errc::connection_already_in_progress;
    const bool first = connected.error() == Errc::in_progress || state.begun;
    if (under_way && first && !descriptor->nonblocking) {
        return Reply::blocks();
    }
    return Reply::failed(connected.error());
}

/// connect() to AF_UNSPEC: the connection is aborted, and the descriptor has a socket as it was before bind().
Reply Calls::disconnect(Descriptor& descriptor) {
    const auto opened =
        machine_.sockets().open(descriptor.v6 ? Family::ipv6 : Family::ipv4, SocketType::stream);
    if (!opened) {
        return Reply::failed(opened.error());
    }
    const SocketId before = std::exchange(descriptor.socket, *opened);
    const Status aborted = machine_.sockets().abort(before, machine_.now());
    noticed(descriptor);
    return aborted ? Reply::ok(0) : Reply::failed(aborted.error());
}

Reply Calls::close(CallState& state, Arguments& arguments) {
    if (state.lingering) {
        return machine_.sockets().lingers(*state.lingering, machine_.now())
                   ? Reply::blocks(state.lingering->deadline)
                   : Reply::ok(0);
    }
    const int fd = arguments.fd(0);
    Descriptor* descriptor = find(fd);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (descriptor->is_socket()) {
        closed_peer_.reset();
        if (const auto peer = machine_.sockets().remote_endpoint(descriptor->socket)) {
            closed_peer_ = *peer;
        }
        if (info_socket_ == descriptor->socket) {
            info_socket_.reset();
        }
        const auto closed = machine_.sockets().close_and_linger(descriptor->socket, machine_.now());
        if (!closed) {
            return Reply::failed(closed.error());
        }
        state.lingering = *closed;
    }
    if (descriptor->pipe) {
        (descriptor->kind == Descriptor::Kind::pipe_reader ? descriptor->pipe->reader_gone
                                                           : descriptor->pipe->writer_gone) = true;
    }
    descriptors_.erase(fd);
    return state.lingering ? Reply::blocks(state.lingering->deadline) : Reply::ok(0);
}

Reply Calls::shutdown(CallState&, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t how = arguments.number(1);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (how < 0 || how > 2) {
        return Reply::failed(kEinval);
    }
    constexpr ShutdownHow kHow[] = {ShutdownHow::receive, ShutdownHow::send, ShutdownHow::both};
    const Status done = machine_.sockets().shutdown(
        descriptor->socket, kHow[static_cast<std::size_t>(how)], machine_.now());
    return done ? Reply::ok(0) : Reply::failed(done.error());
}

Reply Calls::fcntl(CallState&, Arguments& arguments) {
    constexpr std::int64_t kGetFd = 1, kSetFd = 2, kGetFl = 3, kSetFl = 4;
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t command = arguments.number(1);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    switch (command) {
        case kGetFd:
        case kSetFd: return Reply::ok(0);
        case kGetFl: return Reply::ok(kORdwr | (descriptor->nonblocking ? kONonblock : 0));
        case kSetFl:
            descriptor->nonblocking = (arguments.number(2) & kONonblock) != 0;
            return Reply::ok(0);
        default:
            return Reply::skip(fmt::format("fcntl() with {} is not supported",
                                           symbol_name(SymbolGroup::fcntl, command)));
    }
}

Reply Calls::ioctl(CallState&, Arguments& arguments) {
    constexpr std::int64_t kFionread = 0x541b, kOutq = 0x5411, kFionbio = 0x5421,
                           kOutqNotSent = 0x894b, kAtMark = 0x8905;
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t request = arguments.number(1);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    std::int64_t answer = 0;
    const auto status = machine_.sockets().tcp_info(descriptor->socket);
    if (request == kFionbio) {
        descriptor->nonblocking = arguments.number_of(pointee(arguments.at(2))) != 0;
        return Reply::ok(0);
    }
    if (request == kFionread) {
        const auto available = machine_.sockets().available(descriptor->socket);
        if (!available) {
            return Reply::failed(available.error());
        }
        answer = static_cast<std::int64_t>(*available);
    } else if (request == kAtMark) {
        const auto mark = machine_.sockets().at_mark(descriptor->socket);
        if (!mark) {
            return Reply::failed(mark.error());
        }
        answer = *mark ? 1 : 0;
    } else if ((request == kOutq || request == kOutqNotSent) && status) {
        answer = static_cast<std::int64_t>(request == kOutq ? status->send_queue : status->unsent);
    } else {
        return Reply::skip(fmt::format("ioctl() with {} is not supported",
                                       symbol_name(SymbolGroup::ioctl, request)));
    }
    Reply reply;
    const Expression& written = pointee(arguments.at(2));
    if (!written.is(Expression::Kind::ellipsis)) {
        const std::int64_t expected = arguments.number_of(written);
        if (expected != answer) {
            reply.mismatches.push_back(fmt::format("expected [{}], got [{}]", expected, answer));
        }
    }
    return reply;
}

Reply Calls::getsockname(CallState& state, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const auto name = state.call->name == "getsockname"
                          ? machine_.sockets().local_endpoint(descriptor->socket)
                          : machine_.sockets().remote_endpoint(descriptor->socket);
    if (!name) {
        return Reply::failed(name.error());
    }
    Reply reply;
    compare_name(arguments.at(1), *name, descriptor->v6, reply.mismatches);
    return reply;
}

}  // namespace runnel::drill
