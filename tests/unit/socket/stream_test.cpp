// Stream sockets: what each call answers in each state, as Linux's man pages and sources have it.
#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

using tcp::Readiness;
using tcp::State;

// --- before there is a connection ------------------------------------------------------------------------

TEST_F(Sockets, DataBeforeAConnection) {
    const SocketId id = stream();
    EXPECT_EQ(send(id, "x"), Errc::broken_pipe);  // not ENOTCONN: Linux's tcp_sendmsg
    EXPECT_EQ(receive(id), "ENOTCONN");
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::both, now())), Errc::not_connected);
    EXPECT_EQ(error_of(sockets.remote_endpoint(id)), Errc::not_connected);
    EXPECT_EQ(*sockets.local_endpoint(id), (Endpoint{IpAddress::any(Family::ipv4), 0}));
    EXPECT_EQ(sockets.readiness(id).bits, Readiness::kWritable | Readiness::kHangUp);
    EXPECT_EQ(sockets.tcp_info(id)->state, State::closed);
    EXPECT_EQ(*sockets.available(id), 0u);
}

TEST_F(Sockets, AClosedIdIsNoDescriptor) {
    const SocketId id = stream();
    EXPECT_EQ(error_of(sockets.close(id, now())), Errc::ok);
    EXPECT_EQ(error_of(sockets.close(id, now())), Errc::bad_descriptor);
    EXPECT_EQ(send(id, "x"), Errc::bad_descriptor);
    EXPECT_EQ(bind(id, self4), Errc::bad_descriptor);
    const SocketId next = stream();  // takes the same place, and is another socket
    EXPECT_EQ(next.index, id.index);
    EXPECT_EQ(listen(id), Errc::bad_descriptor);
    EXPECT_EQ(sockets.open_sockets(), 1u);
}

TEST_F(Sockets, OnlySoManySockets) {
    SocketLayer few(machine.host, 2);
    EXPECT_TRUE(few.open(Family::ipv4, SocketType::stream));
    EXPECT_TRUE(few.open(Family::ipv6, SocketType::datagram));
    EXPECT_EQ(error_of(few.open(Family::ipv4, SocketType::stream)), Errc::too_many_open);
}

// --- bind ------------------------------------------------------------------------------------------------

TEST_F(Sockets, BindOnceToAnAddressOfOurs) {
    const SocketId id = stream();
    EXPECT_EQ(bind(id, endpoint("10.0.0.9", 80)), Errc::address_not_available);
    EXPECT_EQ(bind(id, endpoint("224.0.0.1", 80)), Errc::address_not_available);
    EXPECT_EQ(bind(id, endpoint("fd00::1", 80)), Errc::address_family_not_supported);
    EXPECT_EQ(bind(id, endpoint("10.0.0.1", 80)), Errc::ok);
    EXPECT_EQ(bind(id, endpoint("10.0.0.1", 81)), Errc::argument_invalid);
    EXPECT_EQ(*sockets.local_endpoint(id), endpoint("10.0.0.1", 80));
}

TEST_F(Sockets, BindToPortZeroTakesAnEphemeralOne) {
    std::vector<std::uint16_t> seen;
    for (int i = 0; i < 20; ++i) {
        const SocketId id = stream();
        EXPECT_EQ(bind(id, endpoint("0.0.0.0", 0)), Errc::ok);
        const std::uint16_t port = sockets.local_endpoint(id)->port;
        EXPECT_GE(port, 32'768);
        EXPECT_LE(port, 60'999);
        EXPECT_EQ(std::count(seen.begin(), seen.end(), port), 0);
        seen.push_back(port);
    }
}

TEST(FewPorts, ComeBackWhenSocketsClose) {
    HostConfig config = OneHost::default_config();
    config.tcp.port_low = 40'000;
    config.tcp.port_high = 40'003;
    OneHost machine(config);
    SocketLayer sockets(machine.host);
    const auto bound = [&] {
        const SocketId id = *sockets.open(Family::ipv4, SocketType::stream);
        EXPECT_TRUE(sockets.bind(id, endpoint("10.0.0.1", 0), machine.now));
        return id;
    };
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(sockets.close(bound(), machine.now));
    }
    for (int i = 0; i < 4; ++i) {
        (void)bound();
    }
    const SocketId one_more = *sockets.open(Family::ipv4, SocketType::stream);
    const Status status = sockets.bind(one_more, endpoint("10.0.0.1", 0), machine.now);
    EXPECT_FALSE(status);
    EXPECT_EQ(status.error(), Errc::address_in_use);
}

TEST_F(Sockets, AddressInUse) {
    const SocketId first = stream();
    EXPECT_EQ(bind(first, endpoint("10.0.0.1", 80)), Errc::ok);
    const SocketId second = stream();
    EXPECT_EQ(bind(second, endpoint("10.0.0.1", 80)), Errc::address_in_use);
    EXPECT_EQ(bind(second, endpoint("0.0.0.0", 80)), Errc::address_in_use);
    EXPECT_EQ(bind(second, endpoint("127.0.0.1", 80)), Errc::ok);
    EXPECT_EQ(error_of(sockets.close(first, now())), Errc::ok);
    const SocketId third = stream();
    EXPECT_EQ(bind(third, endpoint("10.0.0.1", 80)), Errc::ok) << "free again";
}

TEST_F(Sockets, ReuseAddressNeedsBothAndNoListener) {
    const SocketId first = stream(), second = stream(), third = stream();
    EXPECT_EQ(set(first, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(bind(first, endpoint("0.0.0.0", 80)), Errc::ok);
    EXPECT_EQ(bind(second, endpoint("0.0.0.0", 80)), Errc::address_in_use);
    EXPECT_EQ(set(second, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(bind(second, endpoint("0.0.0.0", 80)), Errc::ok);
    EXPECT_EQ(listen(first), Errc::ok);
    EXPECT_EQ(listen(second), Errc::address_in_use);
    EXPECT_EQ(set(third, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(bind(third, endpoint("0.0.0.0", 80)), Errc::address_in_use) << "one of them listens";
}

// Proves: MUST-41, MUST-42
TEST_F(Sockets, BindSeesConnectionsUnlessReuseIsSaid) {  // Linux; RFC 9293 §3.9.1.1 for the LISTEN
    const SocketId connecting = stream();
    EXPECT_EQ(bind(connecting, endpoint("10.0.0.1", 7)), Errc::ok);
    EXPECT_EQ(connect(connecting, endpoint("10.0.0.2", 80)), Errc::in_progress);
    const SocketId loose = stream();
    EXPECT_EQ(connect(loose, endpoint("10.0.0.2", 81)), Errc::in_progress);
    const std::uint16_t port = sockets.local_endpoint(loose)->port;
    EXPECT_EQ(bind(stream(), endpoint("10.0.0.1", port)), Errc::address_in_use);
    EXPECT_EQ(bind(stream(), endpoint("0.0.0.0", port)), Errc::address_in_use);
    EXPECT_EQ(bind(stream(), endpoint("127.0.0.1", port)), Errc::ok);
    const SocketId server = stream();
    EXPECT_EQ(set(server, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(bind(server, endpoint("10.0.0.1", port)), Errc::ok);
    EXPECT_EQ(listen(server), Errc::ok) << "a connection is no hindrance to a LISTEN";
}

TEST_F(Sockets, FamiliesShareAPortOnlyWhenOneIsV6Only) {
    const SocketId dual = stream(Family::ipv6), v4 = stream(), v6 = stream(Family::ipv6);
    EXPECT_EQ(bind(dual, endpoint("::", 80)), Errc::ok);
    EXPECT_EQ(bind(v4, endpoint("0.0.0.0", 80)), Errc::address_in_use);
    EXPECT_EQ(error_of(sockets.close(dual, now())), Errc::ok);
    EXPECT_EQ(bind(v4, endpoint("0.0.0.0", 80)), Errc::ok);
    EXPECT_EQ(set(v6, SocketOption::v6_only, 1), Errc::ok);
    EXPECT_EQ(bind(v6, endpoint("::", 80)), Errc::ok);
    EXPECT_EQ(set(v6, SocketOption::v6_only, 0), Errc::argument_invalid) << "too late";
    EXPECT_EQ(set(v4, SocketOption::v6_only, 1), Errc::option_not_supported);
}

// --- listen and accept -----------------------------------------------------------------------------------

TEST_F(Sockets, ListenWithoutBindTakesAnEphemeralPort) {
    const SocketId id = stream();
    EXPECT_EQ(error_of(sockets.accept(id, now())), Errc::argument_invalid);
    EXPECT_EQ(listen(id), Errc::ok);
    EXPECT_GE(sockets.local_endpoint(id)->port, 32'768);
    EXPECT_EQ(get(id, SocketOption::accepting), 1);
    EXPECT_EQ(sockets.tcp_info(id)->state, State::listen);
    EXPECT_EQ(error_of(sockets.accept(id, now())), Errc::would_block);
    EXPECT_EQ(listen(id, 99), Errc::ok) << "again: the backlog changes";
    EXPECT_EQ(connect(id, self4), Errc::already_connected);
    EXPECT_EQ(send(id, "x"), Errc::broken_pipe);
    EXPECT_EQ(receive(id), "ENOTCONN");
    EXPECT_EQ(error_of(sockets.available(id)), Errc::argument_invalid);
}

TEST_F(Sockets, ShutdownEndsListening) {
    const SocketId id = listener(self4);
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::send, now())), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::accepting), 1);
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::receive, now())), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::accepting), 0);
    EXPECT_EQ(error_of(sockets.accept(id, now())), Errc::argument_invalid);
    EXPECT_EQ(listen(id), Errc::ok) << "it kept its port";
    EXPECT_EQ(sockets.local_endpoint(id)->port, 80);
}

TEST_F(Sockets, AcceptedSocketsInheritAndAreReady) {
    const SocketId listening = listener(self4);
    EXPECT_EQ(set(listening, SocketOption::no_delay, 1), Errc::ok) << "even after listen";
    const SocketId client = stream();
    EXPECT_EQ(connect(client, self4), Errc::in_progress);
    run();
    std::vector<ReadyEvent> ready;
    sockets.take_ready(ready);
    ASSERT_EQ(ready.size(), 2u) << "the client and the listener";
    EXPECT_EQ(send(client, "early"), Errc::ok);
    run();
    sockets.take_ready(ready);  // nobody's yet, and not told again by the stack
    const SocketId server = *sockets.accept(listening, now());
    EXPECT_EQ(get(server, SocketOption::no_delay), 1);
    EXPECT_EQ(*sockets.local_endpoint(server), self4);
    EXPECT_EQ(*sockets.remote_endpoint(server), *sockets.local_endpoint(client));
    sockets.take_ready(ready);
    ASSERT_EQ(ready.size(), 1u) << "what came before accept is told";
    EXPECT_EQ(ready[0].socket, server);
    EXPECT_NE(ready[0].readiness.bits & Readiness::kReadable, 0);
    EXPECT_EQ(receive(server), "early");
    sockets.take_ready(ready);
    EXPECT_TRUE(ready.empty());
}

TEST_F(Sockets, DualStackTakesBothFamilies) {
    const SocketId listening = listener(endpoint("::", 80), Family::ipv6);
    const SocketId four = stream(), six = stream(Family::ipv6);
    EXPECT_EQ(connect(four, self4), Errc::in_progress);
    EXPECT_EQ(connect(six, self6), Errc::in_progress);
    run();
    const SocketId first = *sockets.accept(listening, now());
    const SocketId second = *sockets.accept(listening, now());
    EXPECT_TRUE(sockets.remote_endpoint(first)->address.is_v4());
    EXPECT_FALSE(sockets.remote_endpoint(second)->address.is_v4());
}

TEST_F(Sockets, V6OnlyRefusesTheOther) {
    const SocketId listening = stream(Family::ipv6);
    EXPECT_EQ(set(listening, SocketOption::v6_only, 1), Errc::ok);
    EXPECT_EQ(bind(listening, endpoint("127.0.0.1", 80)), Errc::argument_invalid);
    EXPECT_EQ(bind(listening, endpoint("::", 80)), Errc::ok);
    EXPECT_EQ(listen(listening), Errc::ok);
    const SocketId four = stream();
    EXPECT_EQ(connect(four, self4), Errc::in_progress);
    run();
    EXPECT_EQ(connect(four, self4), Errc::connection_refused);
    const SocketId six = stream(Family::ipv6);
    EXPECT_EQ(set(six, SocketOption::v6_only, 1), Errc::ok);
    EXPECT_EQ(connect(six, self4), Errc::network_unreachable);
}

// --- connect ---------------------------------------------------------------------------------------------

TEST_F(Sockets, ConnectTellsItsOutcomeOnce) {
    const SocketId listening = listener(self4);
    const SocketId id = stream();
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    EXPECT_EQ(connect(id, self4), Errc::connection_already_in_progress);
    EXPECT_EQ(error_of(sockets.remote_endpoint(id)), Errc::not_connected) << "not yet";
    EXPECT_EQ(send(id, "x"), Errc::would_block);
    EXPECT_EQ(receive(id), "EAGAIN");
    EXPECT_EQ(sockets.readiness(id).bits, 0);
    run();
    EXPECT_EQ(connect(id, self4), Errc::ok);
    EXPECT_EQ(connect(id, self4), Errc::already_connected);
    EXPECT_EQ(*sockets.remote_endpoint(id), self4);
    EXPECT_EQ(listen(id), Errc::argument_invalid);
    EXPECT_EQ(bind(id, self4), Errc::argument_invalid);
    EXPECT_TRUE(sockets.accept(listening, now()));
}

TEST_F(Sockets, RefusedByAClosedPortAndTriedAgain) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_NE(sockets.readiness(id).bits & Readiness::kError, 0);
    EXPECT_NE(sockets.readiness(id).bits & Readiness::kWritable, 0);
    EXPECT_EQ(connect(id, self4), Errc::connection_refused);
    EXPECT_EQ(receive(id), "ENOTCONN");
    const SocketId listening = listener(self4);
    EXPECT_EQ(connect(id, self4), Errc::in_progress) << "a new attempt";
    run();
    EXPECT_EQ(connect(id, self4), Errc::ok);
    EXPECT_TRUE(sockets.accept(listening, now()));
}

TEST_F(Sockets, TheErrorIsReadOnce) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_EQ(get(id, SocketOption::error), static_cast<std::int64_t>(Errc::connection_refused));
    EXPECT_EQ(get(id, SocketOption::error), 0);
    EXPECT_EQ(connect(id, self4), Errc::connection_aborted) << "as Linux, when it has been read";
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
}

TEST_F(Sockets, WhereNoConnectionCanBe) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, endpoint("192.0.2.1", 80)), Errc::network_unreachable);
    EXPECT_EQ(connect(id, endpoint("224.0.0.1", 80)), Errc::network_unreachable);
    EXPECT_EQ(connect(id, endpoint("255.255.255.255", 80)), Errc::network_unreachable);
    EXPECT_EQ(connect(id, endpoint("fd00::2", 80)), Errc::address_family_not_supported);
    EXPECT_EQ(connect(id, endpoint("0.0.0.0", 80)), Errc::in_progress) << "this host itself";
    run();
    EXPECT_EQ(connect(id, self4), Errc::connection_refused);
}

TEST_F(Sockets, ABoundPortIsKept) {
    const SocketId listening = listener(self4);
    const SocketId id = stream();
    EXPECT_EQ(bind(id, endpoint("127.0.0.1", 5'555)), Errc::ok);
    EXPECT_EQ(connect(id, endpoint("127.0.0.1", 81)), Errc::in_progress);
    run();
    EXPECT_EQ(connect(id, endpoint("127.0.0.1", 81)), Errc::connection_refused);
    EXPECT_EQ(sockets.local_endpoint(id)->port, 5'555);
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    const SocketId server = *sockets.accept(listening, now());
    EXPECT_EQ(sockets.remote_endpoint(server)->port, 5'555);
    const SocketId same = stream();
    EXPECT_EQ(bind(same, endpoint("127.0.0.1", 5'555)), Errc::address_in_use);
    EXPECT_EQ(set(same, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(set(id, SocketOption::reuse_address, 1), Errc::ok);
    EXPECT_EQ(bind(same, endpoint("127.0.0.1", 5'555)), Errc::ok);
    EXPECT_EQ(connect(same, self4), Errc::address_not_available) << "that four-tuple exists";
}

TEST_F(Sockets, ShutdownWhileConnectingTakesItBack) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, endpoint("10.0.0.2", 80)), Errc::in_progress);
    run();
    EXPECT_EQ(error_of(sockets.shutdown(id, ShutdownHow::send, now())), Errc::ok);
    EXPECT_EQ(sockets.tcp_info(id)->state, State::closed);
    EXPECT_EQ(connect(id, endpoint("10.0.0.2", 80)), Errc::in_progress);
}

// --- data and the end ------------------------------------------------------------------------------------

TEST_F(Sockets, DataBothWays) {
    const auto [client, server] = pair();
    EXPECT_EQ(receive(client), "EAGAIN");
    EXPECT_EQ(send(client, "request"), Errc::ok);
    run();
    EXPECT_EQ(*sockets.available(server), 7u);
    std::array<std::byte, 3> three;
    EXPECT_EQ(*sockets.receive(server, three, {.peek = true}, now()), 3u);
    EXPECT_EQ(receive(server), "request");
    Slice slice = machine.host.pool().copy(as_bytes("response"));
    EXPECT_EQ(*sockets.send_slices(server, {&slice, 1}, {}, now()), 8u);
    run();
    const auto slices = sockets.receive_slices(client, 1000, now());
    ASSERT_TRUE(slices);
    ASSERT_EQ(slices->size(), 1u);
    EXPECT_EQ(slices->front().size(), 8u);
}

TEST_F(Sockets, HalfCloseAndTheEnd) {
    const auto [client, server] = pair();
    EXPECT_EQ(error_of(sockets.shutdown(client, ShutdownHow::send, now())), Errc::ok);
    EXPECT_EQ(error_of(sockets.shutdown(client, ShutdownHow::send, now())), Errc::ok) << "again";
    EXPECT_EQ(send(client, "x"), Errc::broken_pipe);
    run();
    EXPECT_EQ(receive(server), "") << "end of stream";
    EXPECT_EQ(receive(server), "");
    EXPECT_NE(sockets.readiness(server).bits & Readiness::kPeerClosed, 0);
    EXPECT_EQ(send(server, "still here"), Errc::ok);
    run();
    EXPECT_EQ(receive(client), "still here");
    EXPECT_EQ(error_of(sockets.shutdown(server, ShutdownHow::both, now())), Errc::ok);
    run();
    EXPECT_EQ(receive(client), "");
    EXPECT_NE(sockets.readiness(client).bits & Readiness::kHangUp, 0);
    EXPECT_EQ(error_of(sockets.remote_endpoint(client)), Errc::not_connected);
    EXPECT_EQ(error_of(sockets.shutdown(client, ShutdownHow::send, now())), Errc::not_connected);
    EXPECT_EQ(connect(server, self4), Errc::already_connected);
}

TEST_F(Sockets, ShutdownOfReceiving) {
    const auto [client, server] = pair();
    EXPECT_EQ(error_of(sockets.shutdown(client, ShutdownHow::receive, now())), Errc::ok);
    EXPECT_EQ(receive(client), "");
    EXPECT_NE(sockets.readiness(client).bits & Readiness::kReadable, 0);
    EXPECT_EQ(send(client, "one way"), Errc::ok);
    run();
    EXPECT_EQ(receive(server), "one way");
}

TEST_F(Sockets, AbortResetsThePeer) {
    const auto [client, server] = pair();
    EXPECT_EQ(error_of(sockets.abort(client, now())), Errc::ok);
    EXPECT_EQ(error_of(sockets.abort(client, now())), Errc::bad_descriptor);
    run();
    EXPECT_NE(sockets.readiness(server).bits & Readiness::kError, 0);
    EXPECT_EQ(receive(server), "ECONNRESET");
    EXPECT_EQ(receive(server), "");
    EXPECT_EQ(send(server, "x"), Errc::broken_pipe);
    EXPECT_EQ(error_of(sockets.remote_endpoint(server)), Errc::not_connected);
}

TEST_F(Sockets, AFullBufferBlocksAndReadinessReturns) {
    const auto [client, server] = pair();
    const std::string block(100'000, 'x');
    std::size_t sent = 0;
    while (const auto taken = sockets.send(client, as_bytes(block), {}, now())) {
        sent += *taken;
        ASSERT_LT(sent, 100u << 20);
    }
    EXPECT_EQ(sockets.readiness(client).bits & Readiness::kWritable, 0);
    run();
    std::vector<ReadyEvent> ready;
    std::vector<std::byte> buffer(100'000);
    std::size_t received = 0;
    bool writable_again = false;
    const Instant start = now();
    while (received < sent && now() < start + seconds(60)) {
        const auto got = sockets.receive(server, buffer, {}, now());
        received += got.value_or(0);
        machine.run_to(now() + milliseconds(got ? 0 : 1));
        sockets.take_ready(ready);
        for (const ReadyEvent& event : ready) {
            writable_again = writable_again || (event.socket == client &&
                                                (event.readiness.bits & Readiness::kWritable));
        }
    }
    // With segments as long as the loopback's frames Nagle once took each one for a small one and waited
    // for its delayed acknowledgement.
    EXPECT_LT((now() - start).millis(), 40);
    EXPECT_EQ(received, sent);
    EXPECT_TRUE(writable_again);
}

TEST_F(Sockets, EventsComeOnceAndNotForClosedSockets) {
    const auto [client, server] = pair();
    std::vector<ReadyEvent> ready;
    sockets.take_ready(ready);
    EXPECT_EQ(send(client, "a"), Errc::ok);
    run();
    EXPECT_EQ(send(client, "b"), Errc::ok);
    run();
    sockets.take_ready(ready);
    EXPECT_EQ(std::count_if(ready.begin(), ready.end(),
                            [&](const ReadyEvent& event) { return event.socket == server; }),
              1);
    EXPECT_EQ(send(client, "c"), Errc::ok);
    run();
    EXPECT_EQ(error_of(sockets.close(server, now())), Errc::ok);
    sockets.take_ready(ready);
    for (const ReadyEvent& event : ready) {
        EXPECT_NE(event.socket, server);
    }
}

// --- options ---------------------------------------------------------------------------------------------

TEST_F(Sockets, OptionsKeepTheirBounds) {
    const SocketId id = stream();
    EXPECT_EQ(set(id, SocketOption::keepalive_idle, 0), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::keepalive_idle, 32'768), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::keepalive_idle, std::numeric_limits<std::int64_t>::max()),
              Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::keepalive_count, 128), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::user_timeout, -1), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::max_segment, 87), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::hop_limit, 0), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::hop_limit, 256), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::traffic_class, 256), Errc::argument_invalid);
    EXPECT_EQ(set(id, SocketOption::reuse_port, 1), Errc::option_not_supported);
    EXPECT_EQ(set(id, SocketOption::error, 1), Errc::option_not_supported);

    EXPECT_EQ(get(id, SocketOption::keepalive_idle), 7'200);
    EXPECT_EQ(get(id, SocketOption::linger), -1);
    EXPECT_EQ(get(id, SocketOption::hop_limit), 64);
    EXPECT_EQ(set(id, SocketOption::keepalive_idle, 99), Errc::ok);
    EXPECT_EQ(set(id, SocketOption::linger, 5), Errc::ok);
    EXPECT_EQ(set(id, SocketOption::send_buffer, 1), Errc::ok);
    EXPECT_EQ(set(id, SocketOption::traffic_class, 0xb8 | 3), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::keepalive_idle), 99);
    EXPECT_EQ(get(id, SocketOption::linger), 5);
    EXPECT_EQ(get(id, SocketOption::send_buffer), kMinSendBuffer);
    EXPECT_EQ(get(id, SocketOption::traffic_class), 0xb8) << "ECN is not the user's";
    EXPECT_EQ(get(id, SocketOption::type), static_cast<std::int64_t>(SocketType::stream));
}

TEST_F(Sockets, OptionsSetBeforeGoWithTheConnection) {
    const SocketId listening = listener(self4);
    const SocketId id = stream();
    EXPECT_EQ(set(id, SocketOption::no_delay, 1), Errc::ok);
    EXPECT_EQ(set(id, SocketOption::user_timeout, 1'234), Errc::ok);
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_EQ(get(id, SocketOption::no_delay), 1);
    EXPECT_EQ(get(id, SocketOption::user_timeout), 1'234);
    EXPECT_EQ(set(id, SocketOption::no_delay, 0), Errc::ok);
    EXPECT_EQ(get(id, SocketOption::no_delay), 0);
    EXPECT_EQ(get(id, SocketOption::user_timeout), 1'234);
    EXPECT_TRUE(sockets.accept(listening, now()));
}

}  // namespace
}  // namespace runnel::test
