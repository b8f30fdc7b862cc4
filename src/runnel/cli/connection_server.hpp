// Accepts connections on Runnel's endpoints and runs one coroutine for each, at most so many at once.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runnel/asio/tcp_socket.hpp"

namespace runnel {

class ConnectionServer {
public:
    using Task = std::function<boost::asio::awaitable<void>(tcp::socket)>;

    /// `task` serves one connection; what it throws ends that connection only. While `limit` connections are
    /// open, further ones wait in the backlog.
    ConnectionServer(Driver& driver, std::uint32_t limit, Task task);
    /// Stops listening; connections go on.
    ~ConnectionServer();
    ConnectionServer(const ConnectionServer&) = delete;
    ConnectionServer& operator=(const ConnectionServer&) = delete;

    /// Throws system_error when the endpoint can't be had. May be called for several endpoints.
    void listen(const Endpoint& local);
    void stop();
    /// Called after each connection's end.
    void on_end(std::function<void()> function);
    [[nodiscard]] std::uint64_t accepted() const;
    [[nodiscard]] std::uint32_t open() const;

private:
    struct State;
    static boost::asio::awaitable<void> accept_all(std::shared_ptr<State> state, std::size_t index);
    static boost::asio::awaitable<void> serve(std::shared_ptr<State> state, tcp::socket socket);
    std::shared_ptr<State> state_;
};

/// The classic services of inetd on a Runnel socket (RFC 862, 863, 864), until the peer is done.
enum class Service : std::uint8_t { echo, discard, chargen };
boost::asio::awaitable<void> run_service(Service service, tcp::socket socket);

}  // namespace runnel
