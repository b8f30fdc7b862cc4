// The accept loop, and echo, discard and chargen (RFC 862, 863, 864) on slices, without a copy.
#include "runnel/cli/connection_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "runnel/cli/file_sender.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {
constexpr std::size_t kTake = 256 * 1024;
/// Characters of a chargen line, and how many different lines there are (RFC 864).
constexpr unsigned kLineLength = 72;
constexpr unsigned kLines = 95;
constexpr unsigned kPatternRepeats = 9;  // 63,270 bytes: one chunk
}  // namespace

struct ConnectionServer::State {
    State(Driver& owner, std::uint32_t most, Task each)
        : driver(owner), limit(most), task(std::move(each)), room(owner.context()) {
        room.expires_at(net::steady_timer::time_point::max());
    }
    Driver& driver;
    std::uint32_t limit;
    Task task;
    net::steady_timer room;  ///< never expires; cancelled when a connection has ended
    std::vector<tcp::acceptor> acceptors;
    std::function<void()> on_end;
    std::uint64_t accepted = 0;
    std::uint32_t open = 0;
    bool stopped = false;
};

ConnectionServer::ConnectionServer(Driver& driver, std::uint32_t limit, Task task)
    : state_(std::make_shared<State>(driver, limit, std::move(task))) {}

ConnectionServer::~ConnectionServer() {
    stop();
}

void ConnectionServer::listen(const Endpoint& local) {
    state_->acceptors.emplace_back(state_->driver, tcp::endpoint(local));
    net::co_spawn(state_->driver.get_executor(), accept_all(state_, state_->acceptors.size() - 1),
                  net::detached);
}

void ConnectionServer::stop() {
    state_->stopped = true;
    for (tcp::acceptor& acceptor : state_->acceptors) {
        boost::system::error_code ignored;
        acceptor.close(ignored);
    }
    state_->room.cancel();
}

void ConnectionServer::on_end(std::function<void()> function) {
    state_->on_end = std::move(function);
}
std::uint64_t ConnectionServer::accepted() const {
    return state_->accepted;
}
std::uint32_t ConnectionServer::open() const {
    return state_->open;
}

net::awaitable<void> ConnectionServer::accept_all(std::shared_ptr<State> state, std::size_t index) {
    while (!state->stopped) {
        if (state->open >= state->limit) {
            co_await state->room.async_wait(net::as_tuple(net::use_awaitable));
            continue;
        }
        auto [error, socket] =
            co_await state->acceptors[index].async_accept(net::as_tuple(net::use_awaitable));
        if (error) {
            if (!state->acceptors[index].is_open()) {
                co_return;
            }
            continue;  // of one connection, which ended before it was taken
        }
        // A client that dies without a word is noticed, as inetd's are (RFC 9293 §3.8.4).
        boost::system::error_code ignored;
        socket.set_option(net::socket_base::keep_alive(true), ignored);
        ++state->accepted;
        ++state->open;
        net::co_spawn(state->driver.get_executor(), serve(state, std::move(socket)), net::detached);
    }
}

net::awaitable<void> ConnectionServer::serve(std::shared_ptr<State> state, tcp::socket socket) {
    try {
        co_await state->task(std::move(socket));
    } catch (const boost::system::system_error&) {
        // The peer has gone or broken the rules: this connection is over, the others are not.
    }
    --state->open;
    state->room.cancel();
    if (state->on_end) {
        state->on_end();
    }
}

// --- services -------------------------------------------------------------------------------------------

namespace {

std::string chargen_pattern() {
    std::string lines;
    for (unsigned line = 0; line < kLines; ++line) {
        for (unsigned column = 0; column < kLineLength; ++column) {
            lines += static_cast<char>(' ' + (line + column) % kLines);
        }
        lines += "\r\n";
    }
    std::string pattern;
    for (unsigned i = 0; i < kPatternRepeats; ++i) {
        pattern += lines;
    }
    return pattern;
}

net::awaitable<void> receive_all(tcp::socket& socket, bool send_back) {
    while (true) {
        auto [error, slices] =
            co_await socket.async_read_slices(kTake, net::as_tuple(net::use_awaitable));
        if (error == net::error::eof) {
            break;
        }
        if (error) {
            throw boost::system::system_error(error);
        }
        if (send_back) {
            co_await socket.async_write_slices(std::move(slices), net::use_awaitable);
        }
    }
}

}  // namespace

net::awaitable<void> run_service(Service service, tcp::socket socket) {
    if (service == Service::chargen) {
        const std::string pattern = chargen_pattern();
        co_await send_forever(socket, as_bytes(pattern));
        co_return;
    }
    co_await receive_all(socket, service == Service::echo);
    boost::system::error_code ignored;
    socket.shutdown(net::socket_base::shutdown_send, ignored);
}

}  // namespace runnel
