// One coroutine accepts, one a client reads its line and writes the answer piece by piece. A client that is
// slow, silent or one too many is cut off; nothing is ever kept for it beyond one piece.
#include "runnel/cli/control/server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <time.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <list>
#include <optional>

#include "runnel/cli/control/answers.hpp"
#include "runnel/cli/control/directory.hpp"

namespace runnel::control {

namespace net = boost::asio;
using net::local::stream_protocol;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMaxClients = 16;
/// For the request to come, and for each piece of an answer to be taken.
constexpr auto kPatience = std::chrono::seconds(10);
/// How often a trace looks for what is new.
constexpr auto kTraceInterval = std::chrono::milliseconds(20);

/// Ends a wait by closing the socket when its time is over.
class Watchdog {
public:
    Watchdog(const net::any_io_executor& executor, stream_protocol::socket& socket)
        : timer_(executor), watched_(std::make_shared<Watched>(Watched{&socket})) {}
    ~Watchdog() { watched_->socket = nullptr; }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    void begin() {
        timer_.expires_after(kPatience);
        // A timer that is due already calls its handler whatever happens meanwhile.
        timer_.async_wait(
            [watched = watched_, wait = ++watched_->wait](const boost::system::error_code& error) {
                if (!error && watched->socket != nullptr && watched->wait == wait) {
                    boost::system::error_code ignored;
                    watched->socket->close(ignored);
                }
            });
    }
    void end() {
        ++watched_->wait;
        timer_.cancel();
    }

private:
    struct Watched {
        stream_protocol::socket* socket;
        std::uint64_t wait = 0;
    };
    net::steady_timer timer_;
    std::shared_ptr<Watched> watched_;
};

/// The other end is gone. One that only sends nothing more is still there.
bool has_hung_up(stream_protocol::socket& socket) {
    pollfd entry{socket.native_handle(), 0, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

/// Reads on a little first: a socket closed with something unread resets, and the sentence is lost.
void refuse_long_request(stream_protocol::socket& socket) {
    boost::system::error_code error;
    char rest[4096];
    for (int i = 0; i < 16 && !error; ++i) {
        socket.read_some(net::buffer(rest), error);
    }
    const std::string refusal =
        error_line(fmt::format("a request has at most {} bytes", kMaxRequest));
    socket.write_some(net::buffer(refusal), error);
}

}  // namespace

struct ControlServer::State {
    explicit State(net::io_context& io) : acceptor(io) {}

    bool closed = false;
    std::size_t clients = 0;
    Watched watched;
    std::optional<ListeningSocket> listening;
    stream_protocol::acceptor acceptor;
    std::list<stream_protocol::socket*> sockets;

    static net::awaitable<void> accept(std::shared_ptr<State> state);
    static net::awaitable<void> serve(std::shared_ptr<State> state, stream_protocol::socket socket);
    static net::awaitable<void> answer(State& state, stream_protocol::socket& socket);
};

net::awaitable<void> ControlServer::State::accept(std::shared_ptr<State> state) {
    while (!state->closed) {
        boost::system::error_code error;
        stream_protocol::socket socket =
            co_await state->acceptor.async_accept(net::redirect_error(net::use_awaitable, error));
        if (state->closed) {
            co_return;
        }
        if (error) {
            // Out of descriptors, say: it passes.
            net::steady_timer pause(state->acceptor.get_executor(), std::chrono::seconds(1));
            co_await pause.async_wait(net::redirect_error(net::use_awaitable, error));
            continue;
        }
        net::co_spawn(state->acceptor.get_executor(), serve(state, std::move(socket)),
                      net::detached);
    }
}

net::awaitable<void> ControlServer::State::serve(std::shared_ptr<State> state,
                                                 stream_protocol::socket socket) {
    boost::system::error_code ignored;
    std::string refusal;
    if (!same_user(socket.native_handle())) {
        refusal = error_line("only the user whose process this is may ask");
    } else if (state->clients >= kMaxClients) {
        refusal = error_line(fmt::format("{} others are asking already", kMaxClients));
    }
    socket.non_blocking(true, ignored);
    if (!refusal.empty()) {
        socket.write_some(net::buffer(refusal), ignored);
        co_return;
    }
    // Coroutines of this io_context end with it, also in the middle: what they count must follow.
    struct Place {
        State& state;
        std::list<stream_protocol::socket*>::iterator at;
        Place(State& owner, stream_protocol::socket& one)
            : state(owner), at(owner.sockets.insert(owner.sockets.end(), &one)) {
            ++state.clients;
        }
        ~Place() {
            state.sockets.erase(at);
            --state.clients;
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
    } place(*state, socket);
    co_await answer(*state, socket);
}

net::awaitable<void> ControlServer::State::answer(State& state, stream_protocol::socket& socket) {
    boost::system::error_code error;
    Watchdog watchdog(socket.get_executor(), socket);
    std::string request;
    watchdog.begin();
    std::size_t size =
        co_await net::async_read_until(socket, net::dynamic_buffer(request, kMaxRequest), '\n',
                                       net::redirect_error(net::use_awaitable, error));
    watchdog.end();
    if (state.closed) {
        co_return;
    }
    if (error == net::error::not_found) {
        refuse_long_request(socket);
        co_return;
    }
    if (error) {
        co_return;
    }
    request.resize(size - 1);
    if (request.ends_with('\r')) {
        request.pop_back();
    }
    auto made = make_answer(state.watched, request);
    std::string lines = made ? header_line(state.watched) : error_line(made.error());
    Step step = made ? Step::more : Step::end;
    net::steady_timer pause(socket.get_executor());
    while (true) {
        if (!lines.empty()) {
            watchdog.begin();
            co_await net::async_write(socket, net::buffer(lines),
                                      net::redirect_error(net::use_awaitable, error));
            watchdog.end();
            lines.clear();
        }
        if (error || state.closed || step == Step::end) {
            co_return;
        }
        if (step == Step::idle && has_hung_up(socket)) {
            co_return;
        }
        const auto begin = Clock::now();
        step = (*made)->next(lines);
        // As long as the piece took, the hosts come first.
        const auto rest =
            step == Step::idle ? Clock::duration(kTraceInterval) : Clock::now() - begin;
        pause.expires_after(rest);
        boost::system::error_code ignored;
        co_await pause.async_wait(net::redirect_error(net::use_awaitable, ignored));
        if (state.closed) {
            co_return;
        }
    }
}

ControlServer::ControlServer(net::io_context& io, std::string command)
    : state_(std::make_shared<State>(io)) {
    state_->watched.command = std::move(command);
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    state_->watched.unix_epoch_ns =
        std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec -
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
            .count();
    auto listening = ListeningSocket::open();
    boost::system::error_code error;
    if (listening) {
        state_->listening.emplace(std::move(*listening));
        state_->acceptor.assign(stream_protocol(), state_->listening->release(), error);
    }
    if (!listening || error) {
        fmt::print(stderr, "runnel: no control socket, so `runnel ss` won't see this: {}\n",
                   listening ? error.message() : listening.error());
        return;
    }
    net::co_spawn(io, State::accept(state_), net::detached);
}

ControlServer::~ControlServer() {
    state_->closed = true;
    state_->listening.reset();
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
    for (stream_protocol::socket* socket : state_->sockets) {
        socket->close(ignored);
    }
    state_->watched.hosts.clear();
}

void ControlServer::watch(Driver& driver, std::string name) {
    state_->watched.hosts.push_back(
        {std::move(name), &driver.host(), [&driver] { return driver.now(); }});
}

}  // namespace runnel::control
