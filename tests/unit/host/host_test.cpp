// A host seen from its links: packets in, packets out, and the decisions between.
#include "runnel/host/host.hpp"

#include <gtest/gtest.h>

#include "support/one_host.hpp"

namespace runnel::test {
namespace {

class HostTest : public testing::TestWithParam<Family> {
protected:
    OneHost machine;

    explicit HostTest(const HostConfig& config = OneHost::default_config()) : machine(config) {}

    IpAddress ours() const {
        return *parse_ip_address(GetParam() == Family::ipv4 ? "10.0.0.1" : "fd00::1");
    }
    IpAddress theirs() const {
        return *parse_ip_address(GetParam() == Family::ipv4 ? "10.0.0.2" : "fd00::2");
    }
    FourTuple tuple(std::uint16_t from = 5'000, std::uint16_t to = 80) const {
        return {{theirs(), from}, {ours(), to}};
    }
    TcpHeader syn() const {
        TcpHeader header;
        header.flags.bits = TcpFlags::kSyn;
        header.seq = {1'000};
        header.window = 65'535;
        header.options.mss = 1460;
        return header;
    }
    std::uint64_t count(Decision decision) const { return machine.host.recorder().count(decision); }
    tcp::ListenerHandle listen(std::uint16_t port = 80) {
        return *machine.host.tcp().listen({IpAddress::any(GetParam()), port}, false, 8, {});
    }
};

INSTANTIATE_TEST_SUITE_P(Families, HostTest, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) {
                             return family.param == Family::ipv4 ? "ipv4" : "ipv6";
                         });

TEST_P(HostTest, ASynToAClosedPortIsReset) {
    // RFC 9293 §3.10.7.1: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
    machine.receive(make_segment(tuple(), syn()));
    const auto segments = machine.take_segments();
    ASSERT_EQ(segments.size(), 1u);
    EXPECT_EQ(segments[0].header.flags.bits, TcpFlags::kRst | TcpFlags::kAck);
    EXPECT_EQ(segments[0].header.seq, SeqNum{0});
    EXPECT_EQ(segments[0].header.ack, SeqNum{1'001});
    EXPECT_EQ(segments[0].tuple, (FourTuple{{ours(), 80}, {theirs(), 5'000}}));
}

// Proves: MUST-67
TEST_P(HostTest, AListenerAnswers) {
    listen();
    machine.receive(make_segment(tuple(), syn()));
    const auto segments = machine.take_segments();
    ASSERT_EQ(segments.size(), 1u);
    EXPECT_EQ(segments[0].header.flags.bits, TcpFlags::kSyn | TcpFlags::kAck);
    EXPECT_EQ(segments[0].header.ack, SeqNum{1'001});
    // MUST-14, RFC 6691: the MSS is the MTU less the fixed headers.
    EXPECT_EQ(segments[0].header.options.mss, GetParam() == Family::ipv4 ? 1460 : 1440);
}

// Proves: MUST-3
TEST_P(HostTest, AWrongChecksumIsDroppedByName) {
    listen();
    auto packet = make_segment(tuple(), syn());
    packet[packet.size() - 1] ^= std::byte{0x10};
    machine.receive(packet);
    EXPECT_TRUE(machine.take_segments().empty());
    EXPECT_EQ(count(Decision::tcp_drop_checksum), 1u);
    // A device that vouches for it is believed, and so is a packet that never left this machine.
    machine.receive(packet, {.checksum_valid = true});
    EXPECT_EQ(count(Decision::tcp_drop_checksum), 1u);
    EXPECT_EQ(machine.take_segments().size(), 1u);
}

// Proves: MUST-3
TEST_P(HostTest, EverySingleBitOfASegmentIsGuarded) {
    // One flipped bit never opens a connection to anybody else, whatever it hits.
    listen();
    const auto packet = make_segment(tuple(), syn());
    const std::size_t network = GetParam() == Family::ipv4 ? 20 : 40;
    for (std::size_t bit = network * 8; bit < packet.size() * 8; ++bit) {
        auto damaged = packet;
        damaged[bit / 8] ^= std::byte{1} << (bit % 8);
        machine.receive(damaged);
    }
    EXPECT_TRUE(machine.take_segments().empty());
    EXPECT_EQ(count(Decision::tcp_drop_checksum), (packet.size() - network) * 8);
}

TEST_P(HostTest, MalformedHeadersAreDroppedByName) {
    listen();
    const std::size_t network = GetParam() == Family::ipv4 ? 20 : 40;
    const auto good = make_segment(tuple(), syn());
    for (unsigned offset = 0; offset < 16; ++offset) {
        std::vector<std::byte> transport(good.begin() + static_cast<std::ptrdiff_t>(network),
                                         good.end());
        transport[12] = static_cast<std::byte>(offset << 4);
        machine.receive(make_packet(theirs(), ours(), kProtocolTcp, transport, 16));
    }
    // 24 bytes of header: 0..4 are too small, 7..15 too large; 5 hides the option in the payload.
    EXPECT_EQ(count(Decision::tcp_drop_malformed), 14u);
    // Less than a header, and nothing at all.
    for (const std::size_t size : {19u, 18u}) {
        machine.receive(
            make_packet(theirs(), ours(), kProtocolTcp, std::vector<std::byte>(size), 16));
    }
    EXPECT_EQ(count(Decision::tcp_drop_malformed), 16u);
}

class HostWithoutQuickAcks : public HostTest {
protected:
    static HostConfig without_quick_acks() {
        HostConfig config = OneHost::default_config();
        config.tcp.quick_acks = 0;
        return config;
    }
    HostWithoutQuickAcks() : HostTest(without_quick_acks()) {}
};
INSTANTIATE_TEST_SUITE_P(Families, HostWithoutQuickAcks,
                         testing::Values(Family::ipv4, Family::ipv6));

TEST_P(HostWithoutQuickAcks, SuperSegmentsAndPartialChecksumsAreUnderstood) {
    const auto listener = listen();
    machine.receive(make_segment(tuple(), syn()));
    const auto answer = machine.take_segments().at(0).header;
    TcpHeader ack;
    ack.flags.bits = TcpFlags::kAck;
    ack.seq = {1'001};
    ack.ack = answer.seq + 1;
    ack.window = 65'535;
    const std::vector<std::byte> payload(5'000, std::byte{7});
    auto packet = make_segment(tuple(), ack, payload);
    const std::size_t network = GetParam() == Family::ipv4 ? 20 : 40;
    packet[network + 16] = packet[network + 17] =
        std::byte{0};  // partial: the device hasn't summed
    Offload offload;
    offload.gso = GetParam() == Family::ipv4 ? Offload::Gso::tcp_ipv4 : Offload::Gso::tcp_ipv6;
    offload.gso_size = 1'400;
    offload.header_length = static_cast<std::uint16_t>(network + 20);
    offload.needs_checksum = true;
    offload.csum_start = static_cast<std::uint16_t>(network);
    offload.csum_offset = 16;
    machine.receive(packet, offload);
    const auto connection = machine.host.tcp().accept(listener, machine.now);
    ASSERT_TRUE(connection);
    EXPECT_EQ(machine.host.tcp().readable(*connection), 5'000u);
    // Four segments in one: acknowledged at once, as every second one must be (RFC 9293 SHLD-19).
    const auto acknowledgements = machine.take_segments();
    ASSERT_EQ(acknowledgements.size(), 1u);
    EXPECT_EQ(acknowledgements[0].header.ack, SeqNum{1'001 + 5'000});
    machine.host.tcp().abort(*connection, machine.now);
    machine.run();
}

TEST_P(HostTest, UdpToNobodyIsAnsweredWithPortUnreachable) {
    machine.receive(make_udp(tuple(), as_bytes("anybody?")));
    ASSERT_EQ(machine.sent.size(), 1u);
    const auto view = view_packet(machine.sent[0]);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->destination, theirs());
    EXPECT_EQ(view->protocol, GetParam() == Family::ipv4 ? kProtocolIcmpv4 : kProtocolIcmpv6);
    // Destination Unreachable, port: type 3 code 3 (RFC 792), type 1 code 4 (RFC 4443 §3.1).
    EXPECT_EQ(std::to_integer<int>(view->transport[0]), GetParam() == Family::ipv4 ? 3 : 1);
    EXPECT_EQ(std::to_integer<int>(view->transport[1]), GetParam() == Family::ipv4 ? 3 : 4);
}

TEST_P(HostTest, UdpReachesItsSocketAndGoesOut) {
    const auto socket = machine.host.udp().bind({ours(), 80});
    ASSERT_TRUE(socket);
    machine.receive(make_udp(tuple(), as_bytes("hello")));
    const auto message = machine.host.udp().receive(*socket);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->size, 5u);
    EXPECT_EQ(message->source, (Endpoint{theirs(), 5'000}));
    EXPECT_TRUE(machine.host.udp().send(*socket, as_bytes("back"), message->source));
    machine.run();
    ASSERT_EQ(machine.sent.size(), 1u);
    const auto view = view_packet(machine.sent[0]);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->source, ours());
    EXPECT_EQ(view->protocol, kProtocolUdp);
    ChecksumAccumulator sum(pseudo_header_sum(view->source, view->destination, kProtocolUdp,
                                              static_cast<std::uint32_t>(view->transport.size())));
    sum.add(view->transport);
    EXPECT_EQ(sum.folded(), 0xffff) << "a right checksum";
}

// Proves: MUST-57
TEST_P(HostTest, ASynToAGroupIsNotAnswered) {
    if (GetParam() == Family::ipv6) {
        return;  // the group's datagram would have to be sent to ff02::1; the rule is the same code
    }
    FourTuple group = tuple();
    for (const char* address : {"10.0.0.255", "255.255.255.255", "224.0.0.1"}) {
        group.remote.address = *parse_ip_address(address);
        machine.receive(make_segment(group, syn()));
    }
    EXPECT_TRUE(machine.sent.empty());
}

/// The ICMP error of a router about the packet that `quoted` is, with its header and 8 octets.
std::vector<std::byte> icmp_about(Bytes quoted, const IpAddress& router, const IpAddress& to,
                                  std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
    std::vector<std::byte> icmp(8);
    icmp[0] = static_cast<std::byte>(type);
    icmp[1] = static_cast<std::byte>(code);
    for (unsigned i = 0; i < 4; ++i) {
        icmp[4 + i] = static_cast<std::byte>((rest >> (24 - 8 * i)) & 0xff);
    }
    icmp.insert(icmp.end(), quoted.begin(), quoted.end());
    if (!to.is_v4()) {
        return make_packet(router, to, kProtocolIcmpv6, icmp, 2);
    }
    // ICMPv4 has no pseudo-header: take its share out again.
    const std::uint16_t sum = internet_checksum(icmp);
    std::vector<std::byte> packet = make_packet(router, to, kProtocolIcmpv4, icmp, 2);
    packet[kIpv4HeaderSize + 2] = static_cast<std::byte>(sum >> 8);
    packet[kIpv4HeaderSize + 3] = static_cast<std::byte>(sum & 0xff);
    return packet;
}

// Proves: MUST-54
TEST_P(HostTest, PathMtuIsBelievedOnlyFromErrorsAboutWhatWasSent) {
    const bool v4 = GetParam() == Family::ipv4;
    const auto connection =
        machine.host.tcp().connect({ours(), 0}, {theirs(), 80}, 1500, {}, machine.now);
    ASSERT_TRUE(connection);
    machine.run();
    ASSERT_EQ(machine.sent.size(), 1u);
    const std::vector<std::byte> sent = machine.sent[0];
    const auto too_big = [&](Bytes quoted, std::uint32_t mtu = 1'400) {
        return v4 ? icmp_about(quoted, theirs(), ours(), 3, 4, mtu)
                  : icmp_about(quoted, theirs(), ours(), 2, 0, mtu);
    };
    // Somebody who guesses the ports but not the sequence number (RFC 5927 §4).
    std::vector<std::byte> forged = sent;
    const std::size_t network = v4 ? 20 : 40;
    forged[network + 4] ^= std::byte{0x40};
    machine.receive(too_big(forged));
    EXPECT_EQ(machine.host.ip().path_mtu(theirs()), 1'500u);
    machine.receive(too_big(sent));
    EXPECT_EQ(machine.host.ip().path_mtu(theirs()), 1'400u);
    EXPECT_EQ(machine.host.tcp().status(*connection)->path_mtu, 1'400u);
    // A path narrower than any link is a lie that would cost a header for every few octets: Linux's floor
    // for IPv4, not believed at all for IPv6 (RFC 8201 §4).
    machine.receive(too_big(sent, 100));
    EXPECT_EQ(machine.host.ip().path_mtu(theirs()), v4 ? 552u : 1'400u);
    EXPECT_EQ(machine.host.tcp().status(*connection)->path_mtu, v4 ? 552u : 1'400u);
    machine.host.tcp().abort(*connection, machine.now);
}

// Proves: MUST-54, SHLD-26
TEST_P(HostTest, APortUnreachableRefusesAConnectionThatOpens) {
    const bool v4 = GetParam() == Family::ipv4;
    const auto connection =
        machine.host.tcp().connect({ours(), 0}, {theirs(), 80}, 1500, {}, machine.now);
    machine.run();
    const std::vector<std::byte> sent = machine.sent.at(0);
    const auto unreachable = [&](Bytes quoted) {
        return v4 ? icmp_about(quoted, theirs(), ours(), 3, 3, 0)
                  : icmp_about(quoted, theirs(), ours(), 1, 4, 0);
    };
    // Somebody who guesses the ports but not the sequence number (RFC 5927 §4.1).
    std::vector<std::byte> forged = sent;
    forged[(v4 ? 20U : 40U) + 4] ^= std::byte{0x40};
    machine.receive(unreachable(forged));
    EXPECT_EQ(machine.host.tcp().status(*connection)->state, tcp::State::syn_sent);
    machine.receive(unreachable(sent));
    EXPECT_EQ(machine.host.tcp().take_error(*connection), Errc::connection_refused);
    machine.host.tcp().close(*connection, machine.now);
}

// --- what is not about one family ------------------------------------------------------------------------

TEST(Host, CapturesWhatCrossesItsInterfacesWithTheReasons) {
    OneHost machine;
    machine.host.set_capture(true);
    TcpHeader syn;
    syn.flags.bits = TcpFlags::kSyn;
    const FourTuple tuple{endpoint("10.0.0.2", 1), endpoint("10.0.0.1", 2)};
    const auto packet = make_segment(tuple, syn);
    machine.receive(packet);
    std::vector<CapturedFrame> captured;
    machine.host.take_captured(captured);
    ASSERT_EQ(captured.size(), 2u);
    EXPECT_TRUE(captured[0].inbound);
    EXPECT_EQ(captured[0].time, machine.now);
    EXPECT_EQ(frame_bytes(captured[0].frame), packet);
    EXPECT_FALSE(captured[0].decisions.empty());
    EXPECT_FALSE(captured[1].inbound);
    EXPECT_EQ(frame_bytes(captured[1].frame), machine.sent[0]);
    ASSERT_EQ(captured[1].decisions.size(), 1u);
    EXPECT_EQ(describe(captured[1].decisions[0]).kind, DecisionKind::transmit);

    // What nobody takes is bounded, and counted.
    for (std::size_t i = 0; i < kMaxCapturedFrames; ++i) {
        machine.receive(packet);
    }
    machine.host.take_captured(captured);
    EXPECT_EQ(captured.size(), kMaxCapturedFrames);
    EXPECT_EQ(machine.host.captured_dropped(), kMaxCapturedFrames);
    captured.clear();
    EXPECT_EQ(machine.host.pool().bytes_in_use(), 0u);
}

TEST(Host, UserTimersFireInOrderAndCanBeTakenBack) {
    OneHost machine;
    const Instant start = machine.now;
    machine.host.start_timer(start + seconds(3), 3);
    const auto cancelled = machine.host.start_timer(start + seconds(2), 2);
    machine.host.start_timer(start + seconds(1), 1);
    EXPECT_LE(machine.host.next_timeout(), start + seconds(1));
    machine.host.cancel_timer(cancelled);
    machine.host.cancel_timer(cancelled);
    std::vector<std::uint64_t> fired;
    machine.run_to(start + milliseconds(999));
    machine.host.take_fired_timers(fired);
    EXPECT_TRUE(fired.empty());
    machine.run_to(start + seconds(10));
    machine.host.take_fired_timers(fired);
    EXPECT_EQ(fired, (std::vector<std::uint64_t>{1, 3}));
    machine.host.take_fired_timers(fired);
    EXPECT_TRUE(fired.empty());
}

TEST(Host, PollTransmitKeepsItsBudget) {
    OneHost machine;
    std::vector<tcp::ConnectionHandle> connections;
    for (std::uint16_t port = 1; port <= 100; ++port) {
        connections.push_back(*machine.host.tcp().connect(
            endpoint("10.0.0.1", 0), endpoint("10.0.0.2", port), 1500, {}, machine.now));
    }
    FrameBatch out;
    EXPECT_TRUE(machine.host.poll_transmit(machine.now, out, 10));
    EXPECT_EQ(out.size(), 10u);
    EXPECT_TRUE(machine.host.poll_transmit(machine.now, out, 10));
    EXPECT_EQ(out.size(), 20u) << "it appends";
    std::size_t rounds = 0;
    while (machine.host.poll_transmit(machine.now, out, 10)) {
        ASSERT_LT(++rounds, 100u);
    }
    EXPECT_EQ(out.size(), 100u);
    for (const auto connection : connections) {
        machine.host.tcp().abort(connection, machine.now);
    }
}

TEST(Host, TalksToItself) {
    OneHost machine;
    tcp::Stack& tcp = machine.host.tcp();
    const Endpoint self = endpoint("10.0.0.1", 80);
    const auto listener = tcp.listen(self, false, 8, {});
    const auto client = tcp.connect(endpoint("10.0.0.1", 0), self, 65'535, {}, machine.now);
    machine.run();
    const auto server = tcp.accept(*listener, machine.now);
    ASSERT_TRUE(server);
    EXPECT_TRUE(machine.sent.empty()) << "nothing leaves the machine";
    EXPECT_TRUE(tcp.send(*client, as_bytes("to myself"), {}, machine.now));
    machine.run();
    EXPECT_EQ(tcp.readable(*server), 9u);
    tcp.abort(*client, machine.now);
    machine.run();
    tcp.close(*server, machine.now);
    machine.run();
    EXPECT_EQ(machine.host.pool().bytes_in_use(), 0u);
}

}  // namespace
}  // namespace runnel::test
