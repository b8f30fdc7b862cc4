// Numbered requirements of RFC 9293 that only a whole host can show: addresses, ICMP, what IP is told.
#include <gtest/gtest.h>

#include "runnel/socket/socket_layer.hpp"
#include "support/one_host.hpp"

namespace runnel::test {
namespace {

struct Requirements : ::testing::Test {
    OneHost machine;
    SocketLayer sockets{machine.host};

    SocketId stream(Family family = Family::ipv4) {
        return *sockets.open(family, SocketType::stream);
    }
    /// A socket that has begun to connect to 10.0.0.2:80, and its SYN.
    SocketId connecting(std::vector<std::byte>& syn, Family family = Family::ipv4) {
        const SocketId id = stream(family);
        const char* to = family == Family::ipv4 ? "10.0.0.2" : "fd00::2";
        EXPECT_EQ(sockets.connect(id, endpoint(to, 80), machine.now).error(), Errc::in_progress);
        machine.run();
        syn = machine.sent.at(0);
        machine.sent.clear();
        return id;
    }
    /// The peer answers the SYN that was sent.
    void answer(Bytes syn) {
        const auto ours = view_segment(syn);
        TcpHeader header;
        header.flags.bits = TcpFlags::kSyn | TcpFlags::kAck;
        header.seq = {7'000};
        header.ack = ours->header.seq + 1;
        header.window = 65'535;
        machine.receive(make_segment({ours->tuple.remote, ours->tuple.local}, header));
    }
    /// An ICMPv4 message about `quoted`, or an ICMPv6 one.
    void icmp(std::uint8_t type, std::uint8_t code, Bytes quoted) {
        std::vector<std::byte> message(8);
        message[0] = static_cast<std::byte>(type);
        message[1] = static_cast<std::byte>(code);
        message.insert(message.end(), quoted.begin(), quoted.end());
        const bool v4 = std::to_integer<unsigned>(quoted[0]) >> 4 == 4;
        const IpAddress from = *parse_ip_address(v4 ? "10.0.0.254" : "fd00::254");
        const IpAddress to = *parse_ip_address(v4 ? "10.0.0.1" : "fd00::1");
        std::vector<std::byte> packet =
            make_packet(from, to, v4 ? kProtocolIcmpv4 : kProtocolIcmpv6, message, 2);
        if (v4) {  // no pseudo-header
            const std::uint16_t sum = internet_checksum(message);
            packet[22] = static_cast<std::byte>(sum >> 8);
            packet[23] = static_cast<std::byte>(sum & 0xff);
        }
        machine.receive(packet);
    }
    tcp::State state(SocketId id) { return sockets.tcp_info(id)->state; }
};

// Proves: MUST-44, MUST-45, MUST-43
TEST_F(Requirements, TheRouteChoosesTheSourceUnlessTheUserHas) {
    machine.add_address("10.9.0.1/16");
    std::vector<std::byte> syn;
    const SocketId asked = connecting(syn);
    EXPECT_EQ(view_segment(syn)->tuple.local.address, *parse_ip_address("10.0.0.1"));
    answer(syn);
    machine.take_segments();
    EXPECT_TRUE(sockets.send(asked, as_bytes("x"), {}, machine.now).has_value());
    machine.run();
    EXPECT_EQ(machine.take_segments().at(0).tuple.local.address, *parse_ip_address("10.0.0.1"));

    const SocketId bound = stream();
    EXPECT_TRUE(sockets.bind(bound, endpoint("10.9.0.1", 0), machine.now).has_value());
    EXPECT_EQ(sockets.connect(bound, endpoint("10.0.0.2", 80), machine.now).error(),
              Errc::in_progress);
    machine.run();
    EXPECT_EQ(machine.take_segments().at(0).tuple.local.address, *parse_ip_address("10.9.0.1"));

    // A passive OPEN answers from the address that the SYN was for.
    const SocketId listener = stream();
    EXPECT_TRUE(sockets.bind(listener, endpoint("0.0.0.0", 99), machine.now).has_value());
    EXPECT_TRUE(sockets.listen(listener, 4, machine.now).has_value());
    TcpHeader header;
    header.flags.bits = TcpFlags::kSyn;
    machine.receive(make_segment({endpoint("10.0.0.7", 5), endpoint("10.9.0.1", 99)}, header));
    EXPECT_EQ(machine.take_segments().at(0).tuple.local.address, *parse_ip_address("10.9.0.1"));
}

// Proves: MUST-43
TEST_F(Requirements, AListenerMayBeOfOneAddressOnly) {
    machine.add_address("10.9.0.1/16");
    const SocketId listener = stream();
    EXPECT_TRUE(sockets.bind(listener, endpoint("10.9.0.1", 99), machine.now).has_value());
    EXPECT_TRUE(sockets.listen(listener, 4, machine.now).has_value());
    TcpHeader header;
    header.flags.bits = TcpFlags::kSyn;
    machine.receive(make_segment({endpoint("10.0.0.7", 5), endpoint("10.0.0.1", 99)}, header));
    EXPECT_TRUE(machine.take_segments().at(0).header.flags.rst());
    machine.receive(make_segment({endpoint("10.0.0.7", 5), endpoint("10.9.0.1", 99)}, header));
    EXPECT_FALSE(machine.take_segments().at(0).header.flags.rst());
}

// Proves: MUST-46
TEST_F(Requirements, NoConnectionToAGroupOrABroadcastAddress) {
    for (const char* address : {"224.0.0.5", "255.255.255.255", "10.0.0.255"}) {
        EXPECT_EQ(sockets.connect(stream(), endpoint(address, 80), machine.now).error(),
                  Errc::network_unreachable)
            << address;
    }
    EXPECT_EQ(sockets.connect(stream(Family::ipv6), endpoint("ff02::1", 80), machine.now).error(),
              Errc::network_unreachable);
    machine.run();
    EXPECT_TRUE(machine.sent.empty());
}

// Proves: MUST-49, MUST-48, SHLD-22
TEST_F(Requirements, IpCarriesTheHopLimitAndDiffservOfTheSocket) {
    const SocketId id = stream();
    EXPECT_TRUE(sockets.set_option(id, SocketOption::hop_limit, 5, machine.now).has_value());
    EXPECT_TRUE(sockets.set_option(id, SocketOption::traffic_class, 0xb8, machine.now).has_value());
    (void)sockets.connect(id, endpoint("10.0.0.2", 80), machine.now);
    machine.run();
    const Ipv4Parse parse = parse_ipv4(machine.sent.at(0));
    EXPECT_EQ(parse.header.ttl, 5);
    EXPECT_EQ(parse.header.traffic_class, 0xb8);
}

// Proves: MUST-56, MUST-54, SHLD-25
TEST_F(Requirements, SoftIcmpErrorsOfBothFamiliesAbortNothing) {
    struct Soft {
        Family family;
        int type, code;
    };
    const Soft table[] = {{Family::ipv4, 3, 0},  {Family::ipv4, 3, 1},  {Family::ipv4, 3, 5},
                          {Family::ipv4, 11, 0}, {Family::ipv4, 11, 1}, {Family::ipv4, 12, 0},
                          {Family::ipv6, 1, 0},  {Family::ipv6, 1, 3},  {Family::ipv6, 3, 0},
                          {Family::ipv6, 3, 1},  {Family::ipv6, 4, 0},  {Family::ipv6, 4, 1},
                          {Family::ipv6, 4, 2}};
    for (const Soft& soft : table) {
        std::vector<std::byte> syn;
        const SocketId id = connecting(syn, soft.family);
        icmp(static_cast<std::uint8_t>(soft.type), static_cast<std::uint8_t>(soft.code), syn);
        EXPECT_EQ(state(id), tcp::State::syn_sent) << soft.type << ' ' << soft.code;
        const auto report = sockets.take_report(id);
        ASSERT_TRUE(report.has_value());
        EXPECT_EQ(report->reason, tcp::ErrorReport::Reason::icmp);
        answer(syn);
        EXPECT_EQ(state(id), tcp::State::established);
        machine.sent.clear();
    }
}

// Proves: MUST-55
TEST_F(Requirements, SourceQuenchMovesNothing) {
    std::vector<std::byte> syn;
    const SocketId id = connecting(syn);
    answer(syn);
    const auto before = *sockets.tcp_info(id);
    machine.take_segments();
    EXPECT_TRUE(sockets.send(id, as_bytes("hello"), {}, machine.now).has_value());
    machine.run();
    const std::vector<std::byte> data = machine.sent.at(0);
    machine.sent.clear();
    icmp(4, 0, data);
    EXPECT_TRUE(machine.sent.empty());
    const auto after = *sockets.tcp_info(id);
    EXPECT_EQ(after.cwnd_segments, before.cwnd_segments);
    EXPECT_EQ(after.ssthresh_segments, before.ssthresh_segments);
    EXPECT_EQ(after.state, tcp::State::established);
    EXPECT_EQ(sockets.take_report(id)->reason, tcp::ErrorReport::Reason::none);
}

// Proves: SHLD-20, MUST-47
TEST_F(Requirements, ReportsCanBeSwitchedOffAtTheSocket) {
    std::vector<std::byte> syn;
    const SocketId id = connecting(syn);
    EXPECT_EQ(*sockets.get_option(id, SocketOption::error_reports), 1);
    EXPECT_TRUE(sockets.set_option(id, SocketOption::error_reports, 0, machine.now).has_value());
    icmp(3, 1, syn);
    EXPECT_EQ(sockets.take_report(id)->reason, tcp::ErrorReport::Reason::none);
    EXPECT_TRUE(sockets.set_option(id, SocketOption::error_reports, 1, machine.now).has_value());
    icmp(3, 1, syn);
    EXPECT_EQ(sockets.take_report(id)->error, Errc::host_unreachable);
}

// Proves: MUST-63
TEST_F(Requirements, ASynFromNoHostIsIgnored) {
    const SocketId four = stream();
    EXPECT_TRUE(sockets.bind(four, endpoint("0.0.0.0", 99), machine.now).has_value());
    EXPECT_TRUE(sockets.listen(four, 4, machine.now).has_value());
    const SocketId six = stream(Family::ipv6);
    EXPECT_TRUE(sockets.set_option(six, SocketOption::v6_only, 1, machine.now).has_value());
    EXPECT_TRUE(sockets.bind(six, endpoint("::", 99), machine.now).has_value());
    EXPECT_TRUE(sockets.listen(six, 4, machine.now).has_value());
    TcpHeader header;
    header.flags.bits = TcpFlags::kSyn;
    for (const char* from : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.255",
                             "240.0.0.1", "10.0.0.1"}) {
        machine.receive(make_segment({endpoint(from, 5), endpoint("10.0.0.1", 99)}, header));
        EXPECT_TRUE(machine.sent.empty()) << from;
    }
    for (const char* from : {"::", "::1", "ff02::1", "fd00::1"}) {
        machine.receive(make_segment({endpoint(from, 5), endpoint("fd00::1", 99)}, header));
        EXPECT_TRUE(machine.sent.empty()) << from;
    }
    std::vector<tcp::ConnectionStatus> rows;
    machine.host.tcp().snapshot(rows, machine.now);
    EXPECT_EQ(rows.size(), 2u) << "the listeners alone";
}

}  // namespace
}  // namespace runnel::test
