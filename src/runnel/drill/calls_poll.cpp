// Readiness: poll and epoll over what SocketLayer says, in Linux's bits. Edges are the news that the layer tells.
#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

using P = PollEvents;
constexpr int kEbadf = 9, kEinval = 22, kEperm = 1;
constexpr std::size_t kMostTold = 4096;  ///< of one epoll_wait()

/// When a call that began at `started` with this timeout in milliseconds gives up; never() for a negative one.
Instant deadline(Instant started, std::int64_t timeout) {
    return timeout < 0 ? Instant::never() : started + milliseconds(timeout);
}

}  // namespace

std::uint32_t Calls::events_of(const Descriptor& descriptor) const {
    if (descriptor.kind == Descriptor::Kind::pipe_reader) {
        return (descriptor.pipe->bytes.empty() ? 0 : P::kIn | P::kReadNormal) |
               (descriptor.pipe->writer_gone ? P::kHup : 0);
    }
    if (descriptor.kind == Descriptor::Kind::pipe_writer) {
        return (descriptor.pipe->bytes.size() < kPipeBytes ? P::kOut | P::kWriteNormal : 0) |
               (descriptor.pipe->reader_gone ? P::kErr : 0);
    }
    if (!descriptor.is_socket()) {
        return P::kIn | P::kReadNormal | P::kOut | P::kWriteNormal;
    }
    return machine_.sockets().poll_events(descriptor.socket);
}

Reply Calls::poll(CallState& state, Arguments& arguments) {
    const Expression& entries = arguments.at(0);
    std::int64_t timeout = 0;
    if (state.call->name == "ppoll") {
        const Expression& limit = pointee(arguments.at(2));
        if (const Expression* whole = field_of(limit, "tv_sec", 0)) {
            const Expression* rest = field_of(limit, "tv_nsec", 1);
            timeout = arguments.number_of(*whole) * 1000 +
                      (rest == nullptr ? 0 : arguments.number_of(*rest) / 1'000'000);
        } else {
            timeout = -1;
        }
    } else {
        timeout = arguments.number(2);
    }
    Reply reply;
    for (const Expression& entry : entries.parts) {
        const Expression* number = field_of(entry, "fd", 0);
        const Expression* events = field_of(entry, "events", 1);
        if (number == nullptr || events == nullptr) {
            return Reply::wrong("poll() wants [{fd=…, events=…, revents=…}, …]");
        }
        const auto found = descriptors_.find(static_cast<int>(arguments.number_of(*number)));
        const auto asked = static_cast<std::uint32_t>(arguments.number_of(*events));
        const std::uint32_t got = found == descriptors_.end()
                                      ? P::kInvalid
                                      : events_of(found->second) & (asked | P::kAlways);
        reply.value += got != 0 ? 1 : 0;
        const Expression* expected = field_of(entry, "revents", 2);
        if (expected != nullptr && !expected->is(Expression::Kind::ellipsis)) {
            const auto wanted = static_cast<std::uint32_t>(arguments.number_of(*expected));
            if (wanted != got) {
                reply.mismatches.push_back(fmt::format("revents: expected {}, got {}",
                                                       flags_text(SymbolGroup::poll_event, wanted),
                                                       flags_text(SymbolGroup::poll_event, got)));
            }
        }
    }
    if (reply.value == 0 && machine_.now() < deadline(state.started, timeout)) {
        return Reply::blocks(deadline(state.started, timeout));
    }
    return reply;
}

Reply Calls::epoll_create(CallState& state, Arguments&) {
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::epoll;
    descriptor.epoll = &epolls_.emplace_back(machine_.sockets());
    return Reply::ok(add(std::move(descriptor), state.call->result));
}

namespace {
/// The value of epoll_event's data: {events=…, fd=4}, {events=…, u32=…}, {events=…, data=…}, or in second place.
const Expression* data_of(const Expression& event) {
    for (const char* name : {"fd", "u32", "u64", "ptr"}) {
        if (const Expression* found = event.field(name)) {
            return found;
        }
    }
    const Expression* data = field_of(event, "data", 1);
    return data != nullptr && data->is(Expression::Kind::structure) ? data_of(*data) : data;
}
}  // namespace

Reply Calls::epoll_ctl(CallState&, Arguments& arguments) {
    constexpr std::int64_t kAdd = 1, kDelete = 2, kModify = 3;
    Descriptor* watcher = find(arguments.fd(0));
    const std::int64_t operation = arguments.number(1);
    const int fd = arguments.fd(2);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    const Descriptor* watched = find(fd);
    if (watcher == nullptr || watched == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (watcher->kind != Descriptor::Kind::epoll || watched == watcher) {
        return Reply::failed(kEinval);
    }
    if (!watched->is_socket()) {
        return watched->kind == Descriptor::Kind::file ? Reply::failed(kEperm)
                                                       : Reply::skip("epoll of pipes and epolls");
    }
    EpollEvent asked;
    if (operation == kAdd || operation == kModify) {
        const Expression& event = pointee(arguments.at(3));
        const Expression* events = field_of(event, "events", 0);
        const Expression* data = data_of(event);
        if (events == nullptr) {
            return Reply::wrong("epoll_ctl() wants {events=…, fd=…}");
        }
        asked.events = static_cast<std::uint32_t>(arguments.number_of(*events));
        asked.data = data == nullptr ? static_cast<std::uint64_t>(fd)
                                     : static_cast<std::uint64_t>(arguments.number_of(*data));
    }
    int error = kEinval;
    switch (operation) {
        case kAdd: error = watcher->epoll->add(watched->socket, asked); break;
        case kModify: error = watcher->epoll->modify(watched->socket, asked); break;
        case kDelete: error = watcher->epoll->remove(watched->socket); break;
        default: break;
    }
    return error == 0 ? Reply::ok(0) : Reply::failed(error);
}

namespace {
/// The event in that place as the script writes it; nullptr where it writes none.
const Expression* event_at(const Expression& written, std::size_t place) {
    if (written.is(Expression::Kind::array)) {
        return place < written.parts.size() ? &written.parts[place] : nullptr;
    }
    return written.is(Expression::Kind::structure) && place == 0 ? &written : nullptr;
}

void compare_event(const Expression& written, const EpollEvent& got, Arguments& arguments,
                   std::vector<std::string>& mismatches) {
    const Expression* events = field_of(written, "events", 0);
    if (events != nullptr && !events->is(Expression::Kind::ellipsis)) {
        const auto wanted = static_cast<std::uint32_t>(arguments.number_of(*events));
        if (wanted != got.events) {
            mismatches.push_back(fmt::format("events: expected {}, got {}",
                                             flags_text(SymbolGroup::epoll_event, wanted),
                                             flags_text(SymbolGroup::epoll_event, got.events)));
        }
    }
    const Expression* data = data_of(written);
    if (data != nullptr && !data->is(Expression::Kind::ellipsis) &&
        static_cast<std::uint64_t>(arguments.number_of(*data)) != got.data) {
        mismatches.push_back(fmt::format("data: got {}", got.data));
    }
}
}  // namespace

Reply Calls::epoll_wait(CallState& state, Arguments& arguments) {
    Descriptor* watcher = find(arguments.fd(0));
    const std::int64_t most = arguments.number(2);
    const std::int64_t timeout = arguments.number(3);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (watcher == nullptr || watcher->kind != Descriptor::Kind::epoll || most <= 0) {
        return Reply::failed(watcher == nullptr ? kEbadf : kEinval);
    }
    note_readiness();
    std::vector<EpollEvent> told(std::min(static_cast<std::size_t>(most), kMostTold));
    told.resize(watcher->epoll->wait(told));
    if (told.empty() && machine_.now() < deadline(state.started, timeout)) {
        return Reply::blocks(deadline(state.started, timeout));
    }
    Reply reply = Reply::ok(static_cast<std::int64_t>(told.size()));
    for (std::size_t i = 0; i < told.size(); ++i) {
        if (const Expression* written = event_at(arguments.at(1), i)) {
            compare_event(*written, told[i], arguments, reply.mismatches);
        }
    }
    return reply;
}

}  // namespace runnel::drill
