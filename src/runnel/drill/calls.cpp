#include "runnel/drill/calls.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/base/errno.hpp"
#include "runnel/drill/evaluate.hpp"

namespace runnel::drill {

Reply Reply::failed(Errc error) {
    return failed(to_errno(error));
}

const Expression& Arguments::at(std::size_t index) const {
    static const Expression kNothing;
    return index < call_.arguments.size() ? call_.arguments[index] : kNothing;
}

std::int64_t Arguments::number_of(const Expression& expression) {
    const auto value = integer_of(expression);
    if (!value) {
        fail(value.error());
        return 0;
    }
    return *value;
}

std::size_t Arguments::size_of(const Expression& expression) {
    constexpr std::int64_t kMost = 1 << 28;
    const std::int64_t value = number_of(expression);
    if (value < 0 || value > kMost) {
        fail(fmt::format("{} is no size of a buffer", value));
        return 0;
    }
    return static_cast<std::size_t>(value);
}

const Expression& pointee(const Expression& expression) {
    return expression.is(Expression::Kind::array) && expression.parts.size() == 1
               ? expression.parts.front()
               : expression;
}

const Expression* field_of(const Expression& structure, std::string_view name, std::size_t place) {
    if (const Expression* named = structure.field(name)) {
        return named;
    }
    if (structure.is(Expression::Kind::structure) && place < structure.fields.size() &&
        structure.fields[place].name.empty()) {
        return &structure.fields[place].value;
    }
    return nullptr;
}

const Calls::Entry Calls::kEntries[] = {
    {"socket", &Calls::socket},
    {"bind", &Calls::bind},
    {"listen", &Calls::listen},
    {"accept", &Calls::accept},
    {"accept4", &Calls::accept},
    {"connect", &Calls::connect},
    {"close", &Calls::close},
    {"shutdown", &Calls::shutdown},
    {"fcntl", &Calls::fcntl},
    {"ioctl", &Calls::ioctl},
    {"getsockname", &Calls::getsockname},
    {"getpeername", &Calls::getsockname},
    {"read", &Calls::recv},
    {"readv", &Calls::readv},
    {"recv", &Calls::recv},
    {"recvfrom", &Calls::recv},
    {"recvmsg", &Calls::recvmsg},
    {"write", &Calls::send},
    {"writev", &Calls::writev},
    {"send", &Calls::send},
    {"sendto", &Calls::send},
    {"sendmsg", &Calls::sendmsg},
    {"getsockopt", &Calls::getsockopt},
    {"setsockopt", &Calls::setsockopt},
    {"poll", &Calls::poll},
    {"ppoll", &Calls::poll},
    {"epoll_create", &Calls::epoll_create},
    {"epoll_create1", &Calls::epoll_create},
    {"epoll_ctl", &Calls::epoll_ctl},
    {"epoll_wait", &Calls::epoll_wait},
    {"epoll_pwait", &Calls::epoll_wait},
    {"open", &Calls::open},
    {"pipe", &Calls::pipe},
    {"pipe2", &Calls::pipe},
    {"splice", &Calls::splice},
    {"sendfile", &Calls::sendfile},
};

Calls::Calls(Machine& machine, const Settings& settings)
    : machine_(machine), settings_(settings), origin_(machine.now()) {}

Reply Calls::attempt(CallState& state) {
    const auto entry =
        std::find_if(std::begin(kEntries), std::end(kEntries),
                     [&](const Entry& candidate) { return candidate.name == state.call->name; });
    if (entry == std::end(kEntries)) {
        return Reply::skip(fmt::format("the call {}() is not supported", state.call->name));
    }
    Arguments arguments(*state.call);
    Reply reply = limited(state, arguments, (this->*entry->handler)(state, arguments));
    state.begun = true;
    return arguments.ok() ? reply : arguments.reply();
}

Calls::Descriptor* Calls::find(int fd) {
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end()) {
        return nullptr;
    }
    noticed(found->second);
    return &found->second;
}

int Calls::add(Descriptor&& descriptor, const Expression& expected) {
    int fd = 3;
    const auto wanted = integer_of(expected);
    if (wanted && *wanted >= 0 && *wanted < 1 << 20 &&
        !descriptors_.contains(static_cast<int>(*wanted))) {
        fd = static_cast<int>(*wanted);
    } else {
        while (descriptors_.contains(fd)) {
            ++fd;
        }
    }
    noticed(descriptor);
    descriptors_.emplace(fd, std::move(descriptor));
    return fd;
}

void Calls::noticed(const Descriptor& descriptor) {
    if (descriptor.kind == Descriptor::Kind::stream) {
        info_socket_ = descriptor.socket;
    } else if (descriptor.kind == Descriptor::Kind::datagram) {
        datagram_ = descriptor.socket;
    }
}

std::optional<std::pair<Endpoint, Endpoint>> Calls::datagram_names() const {
    if (!datagram_) {
        return std::nullopt;
    }
    const auto local = machine_.sockets().local_endpoint(*datagram_);
    const auto remote = machine_.sockets().remote_endpoint(*datagram_);
    if (!local) {
        return std::nullopt;
    }
    return std::pair(*local, remote ? *remote : Endpoint{});
}

Reply Calls::limited(const CallState& state, Arguments& arguments, Reply reply) {
    constexpr std::string_view kReceiving[] = {"accept", "accept4",  "read",   "readv",
                                               "recv",   "recvfrom", "recvmsg"};
    if (reply.kind != Reply::Kind::blocked || state.lingering ||
        !arguments.at(0).is(Expression::Kind::integer)) {
        return reply;
    }
    const auto found = descriptors_.find(arguments.fd(0));
    if (found == descriptors_.end() || !found->second.is_socket()) {
        return reply;
    }
    const bool receiving = std::ranges::find(kReceiving, state.call->name) != std::end(kReceiving);
    const Duration limit = receiving ? found->second.receive_timeout : found->second.send_timeout;
    if (limit.ns == 0) {
        return reply;
    }
    const Instant end = state.started + limit;
    if (machine_.now() < end) {
        reply.wake = std::min(reply.wake, end);
        return reply;
    }
    if (state.progress > 0) {
        return Reply::ok(static_cast<std::int64_t>(state.progress));
    }
    return Reply::failed(state.call->name == "connect" ? Errc::in_progress : Errc::would_block);
}

void Calls::note_readiness() {
    machine_.sockets().take_ready(ready_);
    for (const ReadyEvent& event : ready_) {
        for (auto& [fd, watcher] : descriptors_) {
            if (watcher.epoll) {
                watcher.epoll->note(event.socket);
            }
        }
    }
    note_arrivals();
}

}  // namespace runnel::drill
