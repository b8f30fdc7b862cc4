// Files and pipes in memory: open, pipe, splice, sendfile. A file begins empty and lives as long as its script.
#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"

namespace runnel::drill {

namespace {
constexpr int kEbadf = 9, kEinval = 22, kEmfile = 24;
constexpr std::int64_t kNonblock = 04000;
constexpr std::size_t kZeros = 1u << 24;  ///< octets that /dev/zero has
}  // namespace

Reply Calls::open(CallState& state, Arguments& arguments) {
    const Expression& path = arguments.at(0);
    if (!path.is(Expression::Kind::string)) {
        return Reply::wrong("open() wants a path in quotes");
    }
    if (descriptors_.size() >= kMaxDescriptors) {
        return Reply::failed(kEmfile);
    }
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::file;
    descriptor.file = &files_[path.text];
    if (path.text == "/dev/zero") {
        descriptor.file->resize(kZeros);
    }
    return Reply::ok(add(std::move(descriptor), state.call->result));
}

Reply Calls::pipe(CallState&, Arguments& arguments) {
    const Expression& pair = arguments.at(0);
    const bool nonblocking = (arguments.number(1, 0) & kNonblock) != 0;
    const bool written = pair.is(Expression::Kind::array) && pair.parts.size() == 2;
    Descriptor reader;
    reader.kind = Descriptor::Kind::pipe_reader;
    reader.nonblocking = nonblocking;
    reader.pipe = &pipes_.emplace_back();
    Descriptor writer = reader;
    writer.kind = Descriptor::Kind::pipe_writer;
    add(std::move(reader), written ? pair.parts[0] : pair);
    add(std::move(writer), written ? pair.parts[1] : pair);
    return Reply::ok(0);
}

/// Both ends are tried in small steps, so that what the sink can't take stays in the source.
Reply Calls::splice(CallState& state, Arguments& arguments) {
    Descriptor* source = find(arguments.fd(0));
    Descriptor* sink = find(arguments.fd(2));
    const std::size_t wanted = arguments.size(4);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (source == nullptr || sink == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (source->kind != Descriptor::Kind::pipe_reader &&
        sink->kind != Descriptor::Kind::pipe_writer) {
        return Reply::failed(kEinval);
    }
    std::size_t room = wanted;
    if (sink->kind == Descriptor::Kind::pipe_writer) {
        room = std::min(room, kPipeBytes - std::min(kPipeBytes, sink->pipe->bytes.size()));
    }
    if (source->kind == Descriptor::Kind::pipe_reader && sink->is_socket()) {
        // As much as the socket takes leaves the pipe.
        std::vector<std::byte>& held = source->pipe->bytes;
        const Bytes bytes = Bytes(held).first(std::min(room, held.size()));
        Reply sent = transmit_stream(state, *sink, {}, bytes);
        if (sent.kind == Reply::Kind::done && sent.value > 0) {
            held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(sent.value));
        }
        return sent;
    }
    std::vector<std::byte> bytes;
    Reply got = receive_stream(state, *source, {}, room, bytes);
    if (got.kind != Reply::Kind::done || got.value <= 0) {
        return got;
    }
    return write_other(*sink, bytes);
}

Reply Calls::sendfile(CallState& state, Arguments& arguments) {
    Descriptor* sink = find(arguments.fd(0));
    Descriptor* source = find(arguments.fd(1));
    const std::size_t wanted = arguments.size(3);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (source == nullptr || sink == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (source->kind != Descriptor::Kind::file || sink->kind != Descriptor::Kind::stream) {
        return Reply::failed(kEinval);
    }
    const Expression& offset = pointee(arguments.at(2));
    const bool own =
        offset.is(Expression::Kind::integer) && arguments.at(2).is(Expression::Kind::array);
    const std::vector<std::byte>& file = *source->file;
    const std::size_t from =
        std::min(own ? static_cast<std::size_t>(std::max<std::int64_t>(0, offset.integer))
                     : source->position,
                 file.size());
    const std::size_t size = std::min(wanted, file.size() - from);
    Reply sent = transmit_stream(state, *sink, {}, Bytes(file).subspan(from, size));
    if (!own && sent.kind == Reply::Kind::done && sent.value > 0) {
        source->position = from + static_cast<std::size_t>(sent.value);
    }
    return sent;
}

}  // namespace runnel::drill
