// Datagram sockets: bind, connect, data and errors.
#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

using tcp::Readiness;

TEST_F(Sockets, DatagramsThereAndBack) {
    const SocketId server = datagram(), client = datagram();
    EXPECT_EQ(bind(server, endpoint("127.0.0.1", 53)), Errc::ok);
    EXPECT_EQ(bind(server, endpoint("127.0.0.1", 54)), Errc::argument_invalid);
    EXPECT_EQ(*sockets.local_endpoint(server), endpoint("127.0.0.1", 53));
    EXPECT_EQ(receive(server), "EAGAIN");
    EXPECT_EQ(send(client, "to whom?"), Errc::destination_address_required);
    EXPECT_EQ(*sockets.send_to(client, as_bytes("question"), endpoint("127.0.0.1", 53), now()), 8u);
    run();
    std::vector<ReadyEvent> ready;
    sockets.take_ready(ready);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_EQ(ready[0].socket, server);
    EXPECT_NE(ready[0].readiness.bits & Readiness::kReadable, 0);
    std::array<std::byte, 5> small;
    Endpoint from;
    EXPECT_EQ(*sockets.receive_from(server, small, from, now()), 5u) << "the rest is cut off";
    EXPECT_EQ(from.address, *parse_ip_address("127.0.0.1"));
    EXPECT_EQ(from.port, sockets.local_endpoint(client)->port);
    EXPECT_EQ(receive(server), "EAGAIN");
    EXPECT_EQ(*sockets.send_to(server, as_bytes("answer"), from, now()), 6u);
    run();
    EXPECT_EQ(receive(client), "answer");
}

TEST_F(Sockets, AConnectedDatagramSocketHearsOfClosedPorts) {
    const SocketId id = datagram();
    EXPECT_EQ(error_of(sockets.remote_endpoint(id)), Errc::not_connected);
    EXPECT_EQ(connect(id, endpoint("127.0.0.1", 9)), Errc::ok);
    EXPECT_EQ(*sockets.remote_endpoint(id), endpoint("127.0.0.1", 9));
    EXPECT_EQ(send(id, "hello?"), Errc::ok);
    run();
    EXPECT_EQ(receive(id), "ECONNREFUSED");
    EXPECT_EQ(receive(id), "EAGAIN");
}

TEST_F(Sockets, DualStackDatagrams) {
    const SocketId server = datagram(Family::ipv6), four = datagram(), six = datagram(Family::ipv6);
    EXPECT_EQ(bind(server, endpoint("::", 53)), Errc::ok);
    EXPECT_EQ(bind(four, endpoint("0.0.0.0", 53)), Errc::address_in_use);
    EXPECT_TRUE(sockets.send_to(four, as_bytes("4"), endpoint("127.0.0.1", 53), now()));
    EXPECT_TRUE(sockets.send_to(six, as_bytes("6"), endpoint("::1", 53), now()));
    EXPECT_TRUE(sockets.send_to(six, as_bytes("m"), endpoint("127.0.0.1", 53), now()));
    run();
    std::string got;
    for (int i = 0; i < 3; ++i) {
        got += receive(server);
    }
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, "46m");
}

TEST_F(Sockets, DatagramsHaveNoStream) {
    const SocketId id = datagram();
    EXPECT_EQ(listen(id), Errc::not_supported);
    EXPECT_EQ(error_of(sockets.accept(id, now())), Errc::not_supported);
    EXPECT_EQ(set(id, SocketOption::no_delay, 1), Errc::option_not_supported);
    EXPECT_EQ(error_of(sockets.get_option(id, SocketOption::max_segment)),
              Errc::option_not_supported);
    EXPECT_EQ(error_of(sockets.tcp_info(id)), Errc::option_not_supported);
    EXPECT_EQ(error_of(sockets.send_to(id, {}, endpoint("192.0.2.1", 53), now())),
              Errc::network_unreachable);
    const std::string large(65'508, 'x');
    EXPECT_EQ(error_of(sockets.send_to(id, as_bytes(large), endpoint("127.0.0.1", 53), now())),
              Errc::message_too_long);
}

TEST_F(Sockets, ShutDatagramSockets) {
    const SocketId other = datagram(), id = datagram();
    EXPECT_EQ(error_of(sockets.shutdown(other, ShutdownHow::both, now())), Errc::not_connected);
    EXPECT_EQ(connect(id, endpoint("127.0.0.1", 53)), Errc::ok);
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::send, now())), Errc::ok);
    EXPECT_EQ(send(id, "x"), Errc::broken_pipe);
    EXPECT_EQ(receive(id), "EAGAIN");
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::receive, now())), Errc::ok);
    EXPECT_EQ(receive(id), "");
    EXPECT_NE(sockets.readiness(id).bits & Readiness::kHangUp, 0);
}

}  // namespace
}  // namespace runnel::test
