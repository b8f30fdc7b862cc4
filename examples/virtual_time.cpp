// Two Runnel hosts on an in-process wire, in virtual time: an echo server and a client, written as for any
// Asio stream. The client then calls an address that nobody has; TCP gives up after two minutes, which pass
// in no time. Needs no privilege:   example_virtual_time
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <string>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/asio/wire.hpp"

namespace net = boost::asio;

namespace {

net::awaitable<void> serve(runnel::Driver& host) {
    runnel::tcp::acceptor listening(host, runnel::tcp::endpoint(runnel::Family::ipv4, 7));
    runnel::tcp::socket peer = co_await listening.async_accept(net::use_awaitable);
    char buffer[1024];
    boost::system::error_code error;
    while (true) {
        const std::size_t size = co_await peer.async_read_some(
            net::buffer(buffer), net::redirect_error(net::use_awaitable, error));
        if (error) {
            break;  // asio::error::eof at the end of the stream
        }
        co_await net::async_write(peer, net::buffer(buffer, size), net::use_awaitable);
    }
}

net::awaitable<void> call(runnel::Driver& host, bool& done) {
    runnel::tcp::socket connection(host);
    co_await connection.async_connect({*runnel::parse_ip_address("10.0.0.2"), 7},
                                      net::use_awaitable);
    const std::string hello = "hello";
    co_await net::async_write(connection, net::buffer(hello), net::use_awaitable);
    char buffer[16];
    const std::size_t size =
        co_await connection.async_read_some(net::buffer(buffer), net::use_awaitable);
    std::printf("%.*s after %lld ms\n", static_cast<int>(size), buffer,
                static_cast<long long>(host.now().millis()));
    connection.close();

    runnel::tcp::socket nobody(host);
    boost::system::error_code error;
    co_await nobody.async_connect({*runnel::parse_ip_address("10.0.0.77"), 7},
                                  net::redirect_error(net::use_awaitable, error));
    std::printf("%s after %lld ms\n", error.message().c_str(),
                static_cast<long long>(host.now().millis()));
    done = true;
}

runnel::DriverOptions options(std::uint64_t seed) {
    runnel::DriverOptions chosen;
    chosen.clock = runnel::Clock::manual;
    chosen.seed = seed;
    return chosen;
}

}  // namespace

int main() {
    net::io_context io(1);
    runnel::Driver left(io, options(1));
    runnel::Driver right(io, options(2));
    runnel::connect_wire(left, right, runnel::wire_capabilities());
    const bool added =
        left.host().add_address(0, *runnel::parse_cidr("10.0.0.1/24"), left.now()).has_value() &&
        right.host().add_address(0, *runnel::parse_cidr("10.0.0.2/24"), right.now()).has_value();
    bool done = false;
    net::co_spawn(io, serve(right), net::detached);
    net::co_spawn(io, call(left, done), net::detached);
    runnel::Driver* const hosts[] = {&left, &right};
    const bool ended =
        runnel::run_in_virtual_time(io, hosts, {runnel::seconds(600).ns}, [&] { return done; });
    return added && ended ? 0 : 1;
}
