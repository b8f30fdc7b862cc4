// An echo server of Runnel's on a TUN device, to be tried with the kernel's own programs. As root, or in a
// private network:
//   unshare -rn sh -c 'example_tun_echo & sleep 1; ip link set echo0 up; ip addr add 10.9.0.1/24 dev echo0;
//                      (echo hello; sleep 1) | nc 10.9.0.2 7'
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/link/device.hpp"

namespace net = boost::asio;

namespace {

net::awaitable<void> echo(runnel::tcp::socket peer) {
    std::array<char, 65536> buffer;
    boost::system::error_code error;
    while (true) {
        const std::size_t size = co_await peer.async_read_some(
            net::buffer(buffer), net::redirect_error(net::use_awaitable, error));
        if (error) {
            break;
        }
        co_await net::async_write(peer, net::buffer(buffer.data(), size),
                                  net::redirect_error(net::use_awaitable, error));
    }
}

net::awaitable<void> listen(runnel::Driver& host) {
    runnel::tcp::acceptor listening(host, runnel::tcp::endpoint(runnel::Family::ipv4, 7));
    while (true) {
        runnel::tcp::socket peer = co_await listening.async_accept(net::use_awaitable);
        std::printf("connection from %s\n", peer.remote_endpoint().to_string().c_str());
        net::co_spawn(host.get_executor(), echo(std::move(peer)), net::detached);
    }
}

}  // namespace

int main() {
    runnel::TunOptions tun;
    tun.name = "echo0";
    auto device = runnel::Device::open_tun(tun);
    if (!device) {
        std::fprintf(stderr, "%s\n", device.error().what.c_str());
        return 77;
    }
    net::io_context io(1);
    runnel::Driver host(io, runnel::DriverOptions{});
    const std::uint8_t interface = host.add_link(std::move(*device));
    if (!host.host().add_address(interface, *runnel::parse_cidr("10.9.0.2/24"), host.now())) {
        return 1;
    }
    net::co_spawn(io, listen(host), net::detached);
    io.run();
}
