// Moving bytes: read, write and their relatives, on sockets, pipes and files alike. Where a script writes `...` for
// what is sent, zeros are; where it writes a string for what is received, the bytes are compared.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEinval = 22, kEpipe = 32, kEnotsock = 88;
constexpr std::int64_t kMsgOob = 0x1, kMsgPeek = 0x2, kMsgDontwait = 0x40, kMsgEor = 0x80,
                       kMsgTrunc = 0x20, kMsgWaitall = 0x100, kMsgErrqueue = 0x2000,
                       kMsgNosignal = 0x4000, kMsgMore = 0x8000, kMsgZerocopy = 0x4000000,
                       kMsgCmsgCloexec = 0x40000000;

/// The flags that a call does not know; 0: it knows them all.
std::string unknown_flags(std::int64_t flags, std::int64_t known) {
    const std::int64_t rest = flags & ~known;
    return rest == 0 ? std::string() : flags_text(SymbolGroup::message_flag, rest);
}

/// The first place where what was received differs from a string that the script expects there.
void compare_content(const Expression& expected, Bytes got, std::vector<std::string>& mismatches) {
    if (!expected.is(Expression::Kind::string)) {
        return;
    }
    const Bytes wanted = as_bytes(expected.text);
    const std::size_t size = std::min(wanted.size(), got.size());
    const auto differing =
        std::mismatch(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(size), wanted.begin());
    if (differing.first != got.begin() + static_cast<std::ptrdiff_t>(size)) {
        mismatches.push_back(
            fmt::format("byte {} of what was received is 0x{:02x}, expected 0x{:02x}",
                        differing.first - got.begin(), std::to_integer<unsigned>(*differing.first),
                        std::to_integer<unsigned>(*differing.second)));
    }
}

/// A control message that a script expects of recvmsg().
struct Control {
    std::int64_t level = 0;
    std::int64_t type = 0;
    const Expression* data = nullptr;
};

std::vector<Control> controls_of(const Expression* written, Arguments& arguments) {
    std::vector<Control> controls;
    if (written == nullptr || !written->is(Expression::Kind::array)) {
        return controls;
    }
    for (const Expression& part : written->parts) {
        const Expression* level = field_of(part, "cmsg_level", 0);
        const Expression* type = field_of(part, "cmsg_type", 1);
        if (level == nullptr || type == nullptr) {
            arguments.fail(
                "a control message is written as {cmsg_level=…, cmsg_type=…, cmsg_data=…}");
            return controls;
        }
        controls.push_back({arguments.number_of(*level), arguments.number_of(*type),
                            field_of(part, "cmsg_data", 2)});
    }
    return controls;
}

constexpr std::int64_t kSolTcp = 6, kTcpCmInq = 36;

/// TCP_CM_INQ behind a receive: what is left to be read, 1 for the end of the stream.
void compare_in_queue(SocketLayer& sockets, SocketId socket, const Control& control,
                      Arguments& arguments, std::vector<std::string>& mismatches) {
    const auto left = sockets.available(socket).value_or(0);
    const bool over = (sockets.readiness(socket).bits & tcp::Readiness::kPeerClosed) != 0;
    const auto got = left == 0 && over ? std::int64_t{1} : static_cast<std::int64_t>(left);
    if (control.data == nullptr || control.data->is(Expression::Kind::ellipsis)) {
        return;
    }
    const std::int64_t expected = arguments.number_of(pointee(*control.data));
    if (expected != got) {
        mismatches.push_back(fmt::format("TCP_CM_INQ: expected {}, got {}", expected, got));
    }
}

/// recvmsg() with MSG_ERRQUEUE: the oldest entry against each sock_extended_err that the script writes.
Reply take_error(SocketLayer& sockets, SocketId socket, const std::vector<Control>& controls,
                 Arguments& arguments) {
    const auto queued = sockets.take_queued_error(socket);
    if (!queued) {
        return Reply::failed(queued.error());
    }
    constexpr int kEnomsg = 42;
    using Origin = tcp::QueuedError::Origin;
    struct Field {
        const char* name;
        std::int64_t value;
    };
    const Field fields[] = {
        {"ee_errno", queued->origin == Origin::timestamping ? kEnomsg
                     : queued->error == Errc::ok            ? 0
                                                            : Reply::failed(queued->error).error},
        {"ee_origin", static_cast<std::int64_t>(queued->origin)},
        {"ee_code", queued->code},
        {"ee_info", std::int64_t{queued->info}},
        {"ee_data", std::int64_t{queued->data}},
    };
    Reply reply;
    for (const Control& control : controls) {
        for (const Field& field : fields) {
            const Expression* written =
                control.data == nullptr ? nullptr : control.data->field(field.name);
            if (written == nullptr || written->is(Expression::Kind::ellipsis)) {
                continue;
            }
            const std::int64_t expected = arguments.number_of(*written);
            if (expected != field.value) {
                reply.mismatches.push_back(
                    fmt::format("{}: expected {}, got {}", field.name, expected, field.value));
            }
        }
    }
    return reply;
}

}  // namespace

// --- the calls' arguments --------------------------------------------------------------------------------------------

Reply Calls::read(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), {}, 0, nullptr};
    transfer.pieces.push_back({&arguments.at(1), arguments.size(2)});
    return receive(state, transfer, arguments);
}

Reply Calls::readv(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), pieces_of(arguments.at(1), arguments), 0, nullptr};
    return receive(state, transfer, arguments);
}

Reply Calls::recv(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), {}, arguments.number(3, 0), nullptr};
    transfer.pieces.push_back({&arguments.at(1), arguments.size(2)});
    if (arguments.count() > 4) {
        transfer.name = &arguments.at(4);
    }
    return receive(state, transfer, arguments);
}

Reply Calls::write(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), {}, 0, nullptr};
    transfer.pieces.push_back({&arguments.at(1), arguments.size(2)});
    return transmit(state, transfer, arguments);
}

Reply Calls::writev(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), pieces_of(arguments.at(1), arguments), 0, nullptr};
    return transmit(state, transfer, arguments);
}

Reply Calls::send(CallState& state, Arguments& arguments) {
    Transfer transfer{arguments.fd(0), {}, arguments.number(3, 0), nullptr};
    transfer.pieces.push_back({&arguments.at(1), arguments.size(2)});
    if (arguments.count() > 4) {
        transfer.name = &arguments.at(4);
    }
    return transmit(state, transfer, arguments);
}

std::vector<Calls::Piece> Calls::pieces_of(const Expression& vector, Arguments& arguments) {
    std::vector<Piece> pieces;
    if (!vector.is(Expression::Kind::array)) {
        arguments.fail("an iovec is written as [{..., SIZE}, …]");
        return pieces;
    }
    std::size_t total = 0;
    for (const Expression& part : vector.parts) {
        const Expression* base = field_of(part, "iov_base", 0);
        const Expression* length = field_of(part, "iov_len", 1);
        if (base == nullptr || length == nullptr) {
            arguments.fail("an iovec's element is written as {..., SIZE}");
            return pieces;
        }
        pieces.push_back({base, arguments.size_of(*length)});
        total += pieces.back().size;
    }
    if (total > kMaxTransfer) {
        arguments.fail("the iovec is too large");
    }
    return pieces;
}

Reply Calls::recvmsg(CallState& state, Arguments& arguments) {
    const Expression& message = arguments.at(1);
    const Expression* vector = message.field("msg_iov");
    Transfer transfer{arguments.fd(0), {}, arguments.number(2, 0), message.field("msg_name")};
    if (vector != nullptr && vector->is(Expression::Kind::array)) {
        transfer.pieces = pieces_of(*vector, arguments);
    }
    const auto controls = controls_of(message.field("msg_control"), arguments);
    Descriptor* descriptor = find(transfer.fd);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor != nullptr && descriptor->is_socket() && (transfer.flags & kMsgErrqueue) != 0) {
        return take_error(machine_.sockets(), descriptor->socket, controls, arguments);
    }
    for (const Control& control : controls) {
        if (control.level != kSolTcp || control.type != kTcpCmInq) {
            return Reply::skip("a control message of recvmsg() other than TCP_CM_INQ");
        }
    }
    Reply reply = receive(state, transfer, arguments);
    if (reply.kind == Reply::Kind::done && reply.value >= 0 && descriptor != nullptr) {
        for (const Control& control : controls) {
            compare_in_queue(machine_.sockets(), descriptor->socket, control, arguments,
                             reply.mismatches);
        }
    }
    return reply;
}

Reply Calls::sendmsg(CallState& state, Arguments& arguments) {
    const Expression& message = arguments.at(1);
    const Expression* vector = message.field("msg_iov");
    Transfer transfer{arguments.fd(0), {}, arguments.number(2, 0), message.field("msg_name")};
    if (vector != nullptr) {
        transfer.pieces = pieces_of(*vector, arguments);
    }
    const Expression* control = message.field("msg_control");
    if (control != nullptr && !control->is(Expression::Kind::ellipsis) && !control->parts.empty()) {
        return Reply::skip("control messages of sendmsg() are not supported");
    }
    return transmit(state, transfer, arguments);
}

// --- receiving -------------------------------------------------------------------------------------------------------

Reply Calls::receive(CallState& state, const Transfer& transfer, Arguments& arguments) {
    if (!arguments.ok()) {
        return arguments.reply();
    }
    Descriptor* descriptor = find(transfer.fd);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const std::string unknown =
        unknown_flags(transfer.flags, kMsgOob | kMsgPeek | kMsgDontwait | kMsgWaitall | kMsgTrunc |
                                          kMsgNosignal | kMsgCmsgCloexec);
    if (!unknown.empty()) {
        return Reply::skip(fmt::format("{}() with {} is not supported", state.call->name, unknown));
    }
    std::size_t wanted = 0;
    for (const Piece& piece : transfer.pieces) {
        wanted += piece.size;
    }
    std::vector<std::byte> into;
    Reply reply = receive_stream(state, *descriptor, transfer, wanted, into);
    if (reply.kind != Reply::Kind::done || reply.value < 0) {
        return reply;
    }
    std::size_t at = 0;
    for (const Piece& piece : transfer.pieces) {
        const std::size_t size = std::min(piece.size, into.size() - at);
        compare_content(*piece.content, Bytes(into).subspan(at, size), reply.mismatches);
        at += size;
    }
    return reply;
}

Reply Calls::receive_stream(CallState& state, Descriptor& descriptor, const Transfer& transfer,
                            std::size_t wanted, std::vector<std::byte>& into) {
    if (!descriptor.is_socket()) {
        return read_other(descriptor, wanted, into);
    }
    // What a call may ask for is more than there can be: the queue bounds what is allocated.
    const auto available = machine_.sockets().available(descriptor.socket);
    into.resize(std::min(wanted, std::max<std::size_t>(available.value_or(0), 65'536)));
    const MessageFlags flags{.peek = (transfer.flags & kMsgPeek) != 0,
                             .urgent = (transfer.flags & kMsgOob) != 0,
                             .discard = (transfer.flags & kMsgTrunc) != 0};
    const bool waits = !descriptor.nonblocking && (transfer.flags & kMsgDontwait) == 0;
    if (descriptor.kind == Descriptor::Kind::datagram) {
        Endpoint from;
        const auto got =
            machine_.sockets().receive_from(descriptor.socket, into, from, machine_.now());
        if (!got) {
            return waits && got.error() == Errc::would_block ? Reply::blocks()
                                                             : Reply::failed(got.error());
        }
        into.resize(*got);
        Reply reply = Reply::ok(static_cast<std::int64_t>(*got));
        if (transfer.name != nullptr) {
            compare_name(*transfer.name, from, descriptor.v6, reply.mismatches);
        }
        return reply;
    }
    if (waits && (transfer.flags & kMsgWaitall) != 0 && available.value_or(0) < wanted) {
        const auto readiness = machine_.sockets().readiness(descriptor.socket);
        constexpr std::uint8_t kOver =
            tcp::Readiness::kPeerClosed | tcp::Readiness::kError | tcp::Readiness::kHangUp;
        if ((readiness.bits & kOver) == 0) {
            return Reply::blocks();
        }
    }
    const auto got = machine_.sockets().receive(descriptor.socket, into, flags, machine_.now());
    if (!got) {
        return waits && got.error() == Errc::would_block && !flags.urgent
                   ? Reply::blocks()
                   : Reply::failed(got.error());
    }
    into.resize(*got);
    state.progress += *got;
    return Reply::ok(static_cast<std::int64_t>(*got));
}

Reply Calls::read_other(Descriptor& descriptor, std::size_t wanted, std::vector<std::byte>& into) {
    if (descriptor.kind == Descriptor::Kind::pipe_reader) {
        std::vector<std::byte>& bytes = descriptor.pipe->bytes;
        if (bytes.empty() && !descriptor.pipe->writer_gone) {
            return descriptor.nonblocking ? Reply::failed(Errc::would_block) : Reply::blocks();
        }
        const auto size = static_cast<std::ptrdiff_t>(std::min(wanted, bytes.size()));
        into.assign(bytes.begin(), bytes.begin() + size);
        bytes.erase(bytes.begin(), bytes.begin() + size);
        return Reply::ok(size);
    }
    if (descriptor.kind != Descriptor::Kind::file) {
        return Reply::failed(kEinval);
    }
    const std::vector<std::byte>& bytes = *descriptor.file;
    const std::size_t at = std::min(descriptor.position, bytes.size());
    const std::size_t size = std::min(wanted, bytes.size() - at);
    into.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    descriptor.position = at + size;
    return Reply::ok(static_cast<std::int64_t>(size));
}

// --- sending ---------------------------------------------------------------------------------------------------------

Reply Calls::transmit(CallState& state, const Transfer& transfer, Arguments& arguments) {
    if (!arguments.ok()) {
        return arguments.reply();
    }
    Descriptor* descriptor = find(transfer.fd);
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const std::string unknown = unknown_flags(
        transfer.flags, kMsgOob | kMsgDontwait | kMsgNosignal | kMsgMore | kMsgEor | kMsgZerocopy);
    if (!unknown.empty()) {
        return Reply::skip(fmt::format("{}() with {} is not supported", state.call->name, unknown));
    }
    std::vector<std::byte> bytes;
    for (const Piece& piece : transfer.pieces) {
        const std::size_t at = bytes.size();
        bytes.resize(at + piece.size);
        if (piece.content->is(Expression::Kind::string)) {
            std::memcpy(bytes.data() + at, piece.content->text.data(),
                        std::min(piece.size, piece.content->text.size()));
        }
    }
    if (!descriptor->is_socket()) {
        return write_other(*descriptor, bytes);
    }
    if (descriptor->kind == Descriptor::Kind::stream) {
        return transmit_stream(state, *descriptor, transfer.flags, bytes);
    }
    const bool named = transfer.name != nullptr && !transfer.name->is(Expression::Kind::integer) &&
                       !transfer.name->is_symbol("NULL");
    const auto sent =
        named ? machine_.sockets().send_to(descriptor->socket, bytes,
                                           endpoint_of(*transfer.name, 4, false, arguments),
                                           machine_.now())
              : machine_.sockets().send(descriptor->socket, bytes, MessageFlags{}, machine_.now());
    return sent ? Reply::ok(static_cast<std::int64_t>(*sent)) : Reply::failed(sent.error());
}

Reply Calls::transmit_stream(CallState& state, Descriptor& descriptor, std::int64_t flags,
                             Bytes bytes) {
    const MessageFlags message{
        .peek = false, .urgent = (flags & kMsgOob) != 0, .more = (flags & kMsgMore) != 0};
    const bool waits = !descriptor.nonblocking && (flags & kMsgDontwait) == 0;
    while (true) {
        const auto sent = machine_.sockets().send(descriptor.socket, bytes.subspan(state.progress),
                                                  message, machine_.now());
        if (sent) {
            state.progress += *sent;
            if (state.progress == bytes.size() || *sent == 0) {
                return Reply::ok(static_cast<std::int64_t>(state.progress));
            }
            machine_.flush();
            continue;
        }
        if (sent.error() == Errc::would_block && waits) {
            return Reply::blocks();
        }
        return state.progress > 0 ? Reply::ok(static_cast<std::int64_t>(state.progress))
                                  : Reply::failed(sent.error());
    }
}

Reply Calls::write_other(Descriptor& descriptor, Bytes bytes) {
    if (descriptor.kind == Descriptor::Kind::pipe_writer) {
        if (descriptor.pipe->reader_gone) {
            return Reply::failed(kEpipe);
        }
        std::vector<std::byte>& held = descriptor.pipe->bytes;
        const std::size_t room = kPipeBytes - std::min(kPipeBytes, held.size());
        if (room == 0) {
            return descriptor.nonblocking ? Reply::failed(Errc::would_block) : Reply::blocks();
        }
        const std::size_t size = std::min(room, bytes.size());
        held.insert(held.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        return Reply::ok(static_cast<std::int64_t>(size));
    }
    if (descriptor.kind != Descriptor::Kind::file) {
        return Reply::failed(descriptor.kind == Descriptor::Kind::epoll ? kEinval : kEnotsock);
    }
    std::vector<std::byte>& file = *descriptor.file;
    const std::size_t end = descriptor.position + bytes.size();
    if (end > kMaxTransfer) {
        return Reply::failed(kEinval);
    }
    file.resize(std::max(file.size(), end));
    std::copy(bytes.begin(), bytes.end(),
              file.begin() + static_cast<std::ptrdiff_t>(descriptor.position));
    descriptor.position = end;
    return Reply::ok(static_cast<std::int64_t>(bytes.size()));
}

}  // namespace runnel::drill
