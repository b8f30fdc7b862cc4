// Readiness: poll and epoll over what SocketLayer says, in Linux's bits. Edges are the news that the layer tells.
#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEexist = 17, kEinval = 22, kEnoent = 2;
constexpr std::uint32_t kIn = 0x1, kOut = 0x4, kErr = 0x8, kHup = 0x10, kNval = 0x20,
                        kRdnorm = 0x40, kWrnorm = 0x100, kOneshot = 0x40000000, kEdge = 0x80000000u;

/// When a call that began at `started` with this timeout in milliseconds gives up; never() for a negative one.
Instant deadline(Instant started, std::int64_t timeout) {
    return timeout < 0 ? Instant::never() : started + milliseconds(timeout);
}

}  // namespace

std::uint32_t Calls::events_of(const Descriptor& descriptor) const {
    if (descriptor.kind == Descriptor::Kind::pipe_reader) {
        return (descriptor.pipe->bytes.empty() ? 0 : kIn | kRdnorm) |
               (descriptor.pipe->writer_gone ? kHup : 0);
    }
    if (descriptor.kind == Descriptor::Kind::pipe_writer) {
        return (descriptor.pipe->bytes.size() < kPipeBytes ? kOut | kWrnorm : 0) |
               (descriptor.pipe->reader_gone ? kErr : 0);
    }
    if (!descriptor.is_socket()) {
        return kIn | kRdnorm | kOut | kWrnorm;
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
        const std::uint32_t got =
            found == descriptors_.end() ? kNval : events_of(found->second) & (asked | kErr | kHup);
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
    if (watcher == nullptr || find(fd) == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (watcher->kind != Descriptor::Kind::epoll) {
        return Reply::failed(kEinval);
    }
    const bool watched = watcher->interests.contains(fd);
    if (operation == kDelete) {
        return watcher->interests.erase(fd) == 0 ? Reply::failed(kEnoent) : Reply::ok(0);
    }
    if (operation != kAdd && operation != kModify) {
        return Reply::failed(kEinval);
    }
    if (watched == (operation == kAdd)) {
        return Reply::failed(watched ? kEexist : kEnoent);
    }
    const Expression& event = pointee(arguments.at(3));
    const Expression* events = field_of(event, "events", 0);
    const Expression* data = data_of(event);
    if (events == nullptr) {
        return Reply::wrong("epoll_ctl() wants {events=…, fd=…}");
    }
    Interest interest;
    interest.events = static_cast<std::uint32_t>(arguments.number_of(*events));
    interest.data = data == nullptr ? static_cast<std::uint64_t>(fd)
                                    : static_cast<std::uint64_t>(arguments.number_of(*data));
    watcher->interests[fd] = interest;
    return Reply::ok(0);
}

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
    Reply reply;
    const Expression& written = arguments.at(1);
    for (auto& [fd, interest] : watcher->interests) {
        const auto found = descriptors_.find(fd);
        if (found == descriptors_.end() || reply.value == most || interest.events == 0) {
            continue;
        }
        const std::uint32_t got = events_of(found->second) & (interest.events | kErr | kHup);
        if (got == 0 || ((interest.events & kEdge) != 0 && !interest.edge)) {
            continue;
        }
        const auto place = static_cast<std::size_t>(reply.value);
        const Expression* event = nullptr;
        if (written.is(Expression::Kind::array) && place < written.parts.size()) {
            event = &written.parts[place];
        } else if (written.is(Expression::Kind::structure) && place == 0) {
            event = &written;
        }
        const Expression* events = event == nullptr ? nullptr : field_of(*event, "events", 0);
        if (events != nullptr && !events->is(Expression::Kind::ellipsis)) {
            const auto wanted = static_cast<std::uint32_t>(arguments.number_of(*events));
            if (wanted != got) {
                reply.mismatches.push_back(fmt::format("events: expected {}, got {}",
                                                       flags_text(SymbolGroup::epoll_event, wanted),
                                                       flags_text(SymbolGroup::epoll_event, got)));
            }
        }
        const Expression* data = event == nullptr ? nullptr : data_of(*event);
        if (data != nullptr && !data->is(Expression::Kind::ellipsis) &&
            static_cast<std::uint64_t>(arguments.number_of(*data)) != interest.data) {
            reply.mismatches.push_back(fmt::format("data: got {}", interest.data));
        }
        interest.edge = false;
        interest.events = (interest.events & kOneshot) != 0 ? 0 : interest.events;
        ++reply.value;
    }
    if (reply.value == 0 && machine_.now() < deadline(state.started, timeout)) {
        return Reply::blocks(deadline(state.started, timeout));
    }
    return reply;
}

}  // namespace runnel::drill
