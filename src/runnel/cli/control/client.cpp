// poll(2) over all sockets; a process that stops answering is given up alone.
#include "runnel/cli/control/client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <set>

#include "runnel/cli/exit_code.hpp"
#include "runnel/report/connection_filter.hpp"
#include "runnel/report/connection_json.hpp"
#include "runnel/report/text.hpp"

namespace runnel::control {

namespace json = boost::json;

namespace {

/// A line longer than this is no answer of ours.
constexpr std::size_t kMaxLine = 64 * 1024;

/// Names that a snapshot only points at; there are few.
const char* keep(const std::string& name) {
    static std::set<std::string> names;
    return names.insert(name).first->c_str();
}

struct FieldReader {
    const json::object& fields;

    void operator()(std::string_view name, bool& value) const { value = truth_of(fields, name); }
    template <class T>
    void operator()(std::string_view name, T& value) const {
        value = static_cast<T>(number_of(fields, name));
    }
};

Endpoint endpoint_of(const json::object& fields, std::string_view name) {
    const auto pattern = report::parse_endpoint_pattern(text_of(fields, name));
    if (!pattern || !pattern->network || !pattern->port) {
        return {};
    }
    return {pattern->network->address, *pattern->port};
}

tcp::Timer timer_named(std::string_view name) {
    for (unsigned i = 0; i < static_cast<unsigned>(tcp::Timer::count_); ++i) {
        if (name == tcp::to_string(static_cast<tcp::Timer>(i))) {
            return static_cast<tcp::Timer>(i);
        }
    }
    return tcp::Timer::count_;
}

std::uint64_t hexadecimal(const std::string& text) {
    return std::strtoull(text.c_str(), nullptr, 16);
}

}  // namespace

std::string Process::users(std::string_view host) const {
    const std::string where = hosts > 1 ? fmt::format(",host=\"{}\"", host) : "";
    return fmt::format("users:((\"runnel {}\",pid={}{}))", report::printable(command), pid, where);
}

struct Client::Peer {
    FileDescriptor socket;
    Process process;
    std::string buffer;
    bool begun = false;  ///< its header has come
    bool over = false;
    std::chrono::steady_clock::time_point heard = std::chrono::steady_clock::now();

    void leave() {
        over = process.ended = true;
        socket.reset();
    }
    void give_up(std::string_view why) {
        over = true;
        socket.reset();
        if (process.error.empty()) {
            process.error = why;
        }
    }
};

Client::Client(std::optional<int> pid) {
    std::vector<std::string> notes;
    for (Connected& one : connect_all(notes)) {
        if (pid && one.pid != *pid) {
            continue;
        }
        auto peer = std::make_unique<Peer>();
        peer->socket = std::move(one.socket);
        peer->process.pid = one.pid;
        peer->process.path = std::move(one.path);
        peers_.push_back(std::move(peer));
    }
    for (const std::string& note : notes) {
        fmt::print(stderr, "runnel: left out: {}\n", note);
    }
}

Client::~Client() = default;

bool Client::ask(std::string_view question, const OnLine& on_line,
                 std::chrono::milliseconds patience) {
    endless_ = patience.count() == 0;
    const std::string line = fmt::format("runnel/1 {}\n", question);
    for (const auto& peer : peers_) {
        // A request is smaller than any socket's buffer. Who doesn't take it may have said why.
        (void)::send(peer->socket.get(), line.data(), line.size(), MSG_NOSIGNAL);
    }
    bool stopped = false;
    std::vector<pollfd> waiting;
    std::vector<Peer*> of;
    while (!stopped) {
        waiting.clear();
        of.clear();
        const auto now = std::chrono::steady_clock::now();
        for (const auto& peer : peers_) {
            if (!peer->over && patience.count() != 0 && now - peer->heard > patience) {
                peer->give_up("it does not answer");
            }
            if (!peer->over) {
                waiting.push_back({peer->socket.get(), POLLIN, 0});
                of.push_back(peer.get());
            }
        }
        if (waiting.empty()) {
            break;
        }
        const int wait = patience.count() != 0 ? static_cast<int>(patience.count()) / 4 + 1 : -1;
        if (::poll(waiting.data(), waiting.size(), wait) < 0 && errno != EINTR) {
            break;
        }
        for (std::size_t i = 0; i < waiting.size() && !stopped; ++i) {
            if (waiting[i].revents != 0) {
                (void)drain(*of[i], on_line, stopped);
            }
        }
    }
    bool whole = true;
    for (const auto& peer : peers_) {
        if (!peer->process.error.empty()) {
            fmt::print(stderr, "runnel: process {}: {}\n", peer->process.pid,
                       report::printable(peer->process.error));
            whole = false;
        }
    }
    return whole;
}

/// Reads once and hands on the whole lines.
bool Client::drain(Peer& peer, const OnLine& on_line, bool& stopped) {
    char piece[16 * 1024];
    const ssize_t size = ::recv(peer.socket.get(), piece, sizeof(piece), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (size <= 0 && peer.begun && endless_) {
        peer.leave();
        return false;
    }
    if (size <= 0) {
        peer.give_up(peer.begun ? "it ended in the middle of its answer" : "it ended");
        return false;
    }
    peer.heard = std::chrono::steady_clock::now();
    peer.buffer.append(piece, static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = peer.buffer.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
        const std::string_view line = std::string_view(peer.buffer).substr(begin, end - begin);
        if (!take_line(peer, line, on_line, stopped) || stopped) {
            return false;
        }
    }
    peer.buffer.erase(0, begin);
    if (peer.buffer.size() > kMaxLine) {
        peer.give_up("its answer makes no sense");
    }
    return !peer.over;
}

bool Client::take_line(Peer& peer, std::string_view line, const OnLine& on_line, bool& stopped) {
    boost::system::error_code error;
    const json::value value = json::parse(json::string_view(line.data(), line.size()), error);
    if (error || !value.is_object()) {
        peer.give_up("its answer makes no sense");
        return false;
    }
    const json::object& object = value.get_object();
    if (object.contains("error")) {
        peer.give_up(text_of(object, "error"));
        return false;
    }
    if (!peer.begun) {
        peer.begun = true;
        peer.process.command = text_of(object, "command");
        peer.process.unix_epoch_ns = static_cast<std::int64_t>(number_of(object, "unix_epoch_ns"));
        const json::value* hosts = object.if_contains("hosts");
        if (hosts != nullptr && hosts->is_array()) {
            peer.process.hosts = hosts->get_array().size();
        }
        return true;
    }
    if (object.contains("end")) {
        peer.leave();
        return false;
    }
    stopped = !on_line(peer.process, object);
    return true;
}

std::string nobody_sentence(std::optional<int> pid) {
    if (pid) {
        return fmt::format(
            "process {} is no running runnel process of yours, or has no control socket", *pid);
    }
    return fmt::format("no running runnel process of yours has a control socket (looked in {})",
                       fmt::join(directories(), ", "));
}

tcp::ConnectionStatus read_connection(const json::object& fields) {
    tcp::ConnectionStatus s;
    const std::string state = text_of(fields, "state");
    for (std::size_t i = 0; i < tcp::kStateCount; ++i) {
        if (state == tcp::kStateNames[i]) {
            s.state = static_cast<tcp::State>(i);
        }
    }
    s.receive_queue = number_of(fields, "receive_queue");
    s.send_queue = number_of(fields, "send_queue");
    s.tuple = {endpoint_of(fields, "local"), endpoint_of(fields, "remote")};
    s.handle = hexadecimal(text_of(fields, "handle"));
    s.timer = timer_named(text_of(fields, "timer"));
    if (s.timer != tcp::Timer::count_) {
        s.timer_deadline =
            Instant{static_cast<std::int64_t>(number_of(fields, "timer_remaining_ns"))};
    }
    s.embryos = static_cast<std::uint32_t>(number_of(fields, "embryos"));
    s.last_event = number_of(fields, "last_event");
    report::visit_fields(s, FieldReader{fields});
    const json::value* threshold = fields.if_contains("ssthresh_segments");
    s.ssthresh_segments = threshold != nullptr && threshold->is_number()
                              ? static_cast<std::uint32_t>(number_of(fields, "ssthresh_segments"))
                              : report::kUnknownThreshold;
    s.congestion_control = keep(text_of(fields, "congestion_control"));
    s.recovery_state = keep(text_of(fields, "recovery_state"));
    const std::string limit = text_of(fields, "limited_by");
    for (unsigned i = 0; i <= static_cast<unsigned>(tcp::Limit::cork); ++i) {
        if (limit == report::limit_text(static_cast<tcp::Limit>(i))) {
            s.limited_by = static_cast<tcp::Limit>(i);
        }
    }
    s.plan = find_decision(text_of(fields, "plan")).value_or(Decision::tcp_hold_nothing_to_send);
    if (fields.contains("last_data_sent_ago_ns")) {
        s.last_data_sent =
            Instant{-static_cast<std::int64_t>(number_of(fields, "last_data_sent_ago_ns"))};
    }
    if (fields.contains("last_received_ago_ns")) {
        s.last_data_received =
            Instant{-static_cast<std::int64_t>(number_of(fields, "last_received_ago_ns"))};
    }
    return s;
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_string()
               ? std::string(value->get_string().data(), value->get_string().size())
               : std::string();
}

std::uint64_t number_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr) {
        return 0;
    }
    if (value->is_int64()) {
        return static_cast<std::uint64_t>(value->get_int64());
    }
    return value->is_uint64() ? value->get_uint64() : 0;
}

bool truth_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object* object_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace runnel::control
