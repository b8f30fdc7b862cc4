// Moving bytes: read, write and their relatives, on sockets, pipes and files alike. Where a script writes `...` for
// what is sent, zeros are; where it writes a string for what is received, the bytes are compared.
#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEinval = 22, kEpipe = 32, kEnotsock = 88;
constexpr std::int64_t kMsgOob = 0x1, kMsgPeek = 0x2, kMsgDontwait = 0x40, kMsgEor = 0x80,
                       kMsgTrunc = 0x20, kMsgWaitall = 0x100, kMsgNosignal = 0x4000,
                       kMsgMore = 0x8000, kMsgZerocopy = 0x4000000, kMsgFastopen = 0x20000000,
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

}  // namespace

// --- the calls' arguments --------------------------------------------------------------------------------------------

Calls::Transfer Calls::plain_transfer(Arguments& arguments) {
    Transfer transfer;
    transfer.fd = arguments.fd(0);
    transfer.pieces.push_back({&arguments.at(1), arguments.size(2)});
    if (arguments.count() > 3) {
        transfer.flags = arguments.number(3, 0);
    }
    if (arguments.count() > 4) {
        transfer.name = &arguments.at(4);
    }
    return transfer;
}

Calls::Transfer Calls::vector_transfer(Arguments& arguments) {
    Transfer transfer;
    transfer.fd = arguments.fd(0);
    transfer.pieces = pieces_of(arguments.at(1), arguments);
    return transfer;
}

Reply Calls::recv(CallState& state, Arguments& arguments) {
    return receive(state, plain_transfer(arguments), arguments);
}

Reply Calls::readv(CallState& state, Arguments& arguments) {
    return receive(state, vector_transfer(arguments), arguments);
}

Reply Calls::send(CallState& state, Arguments& arguments) {
    return transmit(state, plain_transfer(arguments), arguments);
}

Reply Calls::writev(CallState& state, Arguments& arguments) {
    return transmit(state, vector_transfer(arguments), arguments);
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

Reply Calls::receive_datagram(Descriptor& descriptor, const Transfer& transfer, bool waits,
                              std::vector<std::byte>& into) {
    Endpoint from;
    const auto got = machine_.sockets().receive_from(descriptor.socket, into, from, machine_.now());
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

Reply Calls::receive_stream(CallState& state, Descriptor& descriptor, const Transfer& transfer,
                            std::size_t wanted, std::vector<std::byte>& into) {
    if (!descriptor.is_socket()) {
        return read_other(descriptor, wanted, into);
    }
    // What a call may ask for is more than there can be: the queue bounds what is allocated.
    const auto available = machine_.sockets().available(descriptor.socket);
    into.resize(std::min(wanted, std::max<std::size_t>(available.value_or(0), 65'536)));
    const bool waits = !descriptor.nonblocking && (transfer.flags & kMsgDontwait) == 0;
    if (descriptor.kind == Descriptor::Kind::datagram) {
        return receive_datagram(descriptor, transfer, waits, into);
    }
    const MessageFlags flags{.peek = (transfer.flags & kMsgPeek) != 0,
                             .urgent = (transfer.flags & kMsgOob) != 0,
                             .discard = (transfer.flags & kMsgTrunc) != 0,
                             .wait_all = (transfer.flags & kMsgWaitall) != 0};
    // A call that goes on after it has got something asks for the rest alone (SO_RCVLOWAT, MSG_WAITALL).
    std::vector<std::byte>& before = state.received;
    const MutableBytes piece(into.data(), into.size() - std::min(into.size(), before.size()));
    const auto got =
        machine_.sockets().receive_pieces(descriptor.socket, {{piece}}, flags, machine_.now());
    if (!got) {
        if (waits && got.error() == Errc::would_block && !flags.urgent) {
            return Reply::blocks();
        }
        if (before.empty()) {
            return Reply::failed(got.error());
        }
        into = before;
        return Reply::ok(static_cast<std::int64_t>(into.size()));
    }
    in_queue_ = got->in_queue;
    if (descriptor.arrivals && !flags.peek) {
        descriptor.arrivals->consumed += got->count;
    }
    if (waits && got->missing > 0 && !flags.peek) {
        before.insert(before.end(), into.begin(),
                      into.begin() + static_cast<std::ptrdiff_t>(got->count));
        state.progress += got->count;
        return Reply::blocks();
    }
    if (waits && got->missing > 0 && got->count < wanted) {
        return Reply::blocks();  // a look that is to see more
    }
    into.resize(got->count);
    into.insert(into.begin(), before.begin(), before.end());
    state.progress += got->count;
    return Reply::ok(static_cast<std::int64_t>(into.size()));
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
    const std::string unknown =
        unknown_flags(transfer.flags, kMsgOob | kMsgDontwait | kMsgNosignal | kMsgMore | kMsgEor |
                                          kMsgZerocopy | kMsgFastopen);
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
    Transfer known = transfer;
    const bool named = transfer.name != nullptr && !transfer.name->is(Expression::Kind::integer) &&
                       !transfer.name->is_symbol("NULL");
    const bool wanted =
        descriptor->kind == Descriptor::Kind::datagram || (transfer.flags & kMsgFastopen) != 0;
    if (named && wanted) {
        known.remote = endpoint_of(*transfer.name, 4, false, arguments);
    }
    if (!arguments.ok()) {
        return arguments.reply();
    }
    return descriptor->kind == Descriptor::Kind::stream
               ? transmit_stream(state, *descriptor, known, bytes)
               : transmit_datagram(*descriptor, known, bytes);
}

Reply Calls::transmit_datagram(Descriptor& descriptor, const Transfer& transfer, Bytes bytes) {
    SocketLayer& sockets = machine_.sockets();
    const int level = descriptor.v6 ? 41 : 0;
    const int name = descriptor.v6 ? 67 : 1;  // IPV6_TCLASS, IP_TOS
    std::int32_t before = 0;
    if (transfer.traffic_class) {
        // A control message's, for this datagram alone.
        const auto own = static_cast<std::int32_t>(*transfer.traffic_class);
        (void)sockets.get_linux_option(descriptor.socket, level, name,
                                       std::as_writable_bytes(std::span(&before, 1)),
                                       machine_.now());
        (void)sockets.set_linux_option(descriptor.socket, level, name,
                                       std::as_bytes(std::span(&own, 1)), machine_.now());
    }
    const auto sent =
        transfer.remote
            ? sockets.send_to(descriptor.socket, bytes, *transfer.remote, machine_.now())
            : sockets.send(descriptor.socket, bytes, MessageFlags{}, machine_.now());
    if (transfer.traffic_class) {
        (void)sockets.set_linux_option(descriptor.socket, level, name,
                                       std::as_bytes(std::span(&before, 1)), machine_.now());
    }
    return sent ? Reply::ok(static_cast<std::int64_t>(*sent)) : Reply::failed(sent.error());
}

Reply Calls::transmit_stream(CallState& state, Descriptor& descriptor, const Transfer& transfer,
                             Bytes bytes) {
    const std::int64_t flags = transfer.flags;
    const MessageFlags message{.urgent = (flags & kMsgOob) != 0,
                               .more = (flags & kMsgMore) != 0,
                               .end_of_record = (flags & kMsgEor) != 0,
                               .zerocopy = (flags & kMsgZerocopy) != 0,
                               .timestamping = transfer.timestamping};
    const bool waits = !descriptor.nonblocking && (flags & kMsgDontwait) == 0;
    bool opens = (flags & kMsgFastopen) != 0 && state.progress == 0;
    while (true) {
        const Bytes rest = bytes.subspan(state.progress);
        const auto sent =
            opens && transfer.remote
                ? machine_.sockets().send_fast_open(descriptor.socket, rest, *transfer.remote,
                                                    message, machine_.now())
                : machine_.sockets().send(descriptor.socket, rest, message, machine_.now());
        if (sent) {
            state.progress += *sent;
            opens = false;
            if (state.progress == bytes.size() || *sent == 0) {
                return Reply::ok(static_cast<std::int64_t>(state.progress));
            }
            machine_.flush();
            continue;
        }
        const bool opening = sent.error() == Errc::in_progress ||
                             (sent.error() == Errc::connection_already_in_progress && state.begun);
        if (waits && (sent.error() == Errc::would_block || (opens && opening))) {
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
