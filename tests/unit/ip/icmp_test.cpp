// ICMP of both families: echo, errors that concern us, and errors that we may or may not send.
#include "bench.hpp"

namespace runnel::test {
namespace {

using V4 = Icmpv4Message;
using V6 = Icmpv6Message;
using Kind = IcmpError::Kind;

Packet tcp_front() {  // ports 0x1234 and 0x0050, sequence number 0xdeadbeef
    Packet bytes = pattern(20, 3);
    ByteWriter writer(bytes);
    writer.u16(0x1234);
    writer.u16(0x0050);
    writer.u32(0xdead'beef);
    return bytes;
}
Packet ours_v4() {
    return ipv4("10.0.0.1", "10.0.0.9", kProtocolTcp, tcp_front());
}
Packet ours_v6() {
    return ipv6("fd00::1", "fd00::9", kProtocolTcp, tcp_front());
}
Packet error_v4(V4::Type type, std::uint8_t code, std::uint32_t rest, const Packet& quote,
                std::string_view from = "10.0.0.254") {
    return ipv4(from, "10.0.0.1", kProtocolIcmpv4, icmpv4(type, code, rest, quote));
}
Packet error_v6(V6::Type type, std::uint8_t code, std::uint32_t rest, const Packet& quote) {
    return ipv6("fd00::fe", "fd00::1", kProtocolIcmpv6,
                icmpv6(type, code, rest, quote, "fd00::fe", "fd00::1"));
}

// --- echo ------------------------------------------------------------------------------------------------

TEST(Echo, IsAnsweredWithTheSameBytes) {
    Bench bench;
    for (const std::size_t size : {0U, 1U, 56U, 1400U}) {
        const Packet data = pattern(size);
        EXPECT_TRUE(nothing(bench.input(
            ipv4("10.0.0.9", "10.0.0.1", 1, icmpv4(V4::Type::echo_request, 0, 0x12345678, data)))));
        EXPECT_EQ(bench.decision(), Decision::icmp_transmit_echo_reply);
        auto sent = bench.take();
        ASSERT_EQ(sent.size(), 1U);
        const auto header = parse_ipv4(sent[0]);
        ASSERT_FALSE(header.error);
        EXPECT_EQ(header.header.source, ip("10.0.0.1"));
        EXPECT_EQ(header.header.destination, ip("10.0.0.9"));
        EXPECT_EQ(part(sent[0], 20, sent[0].size() - 20),
                  icmpv4(V4::Type::echo_reply, 0, 0x12345678, data));

        EXPECT_TRUE(nothing(bench.input(
            ipv6("fd00::9", "fd00::1", kProtocolIcmpv6,
                 icmpv6(V6::Type::echo_request, 0, 0x12345678, data, "fd00::9", "fd00::1")))));
        EXPECT_EQ(bench.decision(), Decision::icmp_transmit_echo_reply);
        sent = bench.take();
        ASSERT_EQ(sent.size(), 1U);
        EXPECT_EQ(part(sent[0], 40, sent[0].size() - 40),
                  icmpv6(V6::Type::echo_reply, 0, 0x12345678, data, "fd00::1", "fd00::9"));
    }
    EXPECT_EQ(bench.pool.bytes_in_use(), 0U);
}

TEST(Echo, LargerThanTheLinkIsAnsweredInFragments) {
    Bench big(Bench::raw(9000));
    Bench bench;
    Packet request = icmpv4(V4::Type::echo_request, 0, 7, pattern(4000));
    Ipv4Header header;
    header.source = ip("10.0.0.9");
    header.destination = ip("10.0.0.1");
    header.protocol = 1;
    for (std::size_t offset = 0; offset < request.size(); offset += 1480) {
        header.fragment_offset = static_cast<std::uint16_t>(offset);
        header.more_fragments = offset + 1480 < request.size();
        bench.input(ipv4(
            header, part(request, offset, std::min<std::size_t>(1480, request.size() - offset))));
    }
    Packet reply;
    for (const Packet& piece : bench.take()) {
        EXPECT_LE(piece.size(), 1500U);
        reply = reply + part(piece, 20, piece.size() - 20);
    }
    EXPECT_EQ(reply, icmpv4(V4::Type::echo_reply, 0, 7, pattern(4000)));
}

TEST(Echo, ToBroadcastIsNotAnsweredOverIpv4) {  // RFC 1122 §3.2.2.6
    Bench bench;
    for (const char* to : {"10.0.0.255", "255.255.255.255", "224.0.0.1"}) {
        bench.input(ipv4("10.0.0.9", to, 1, icmpv4(V4::Type::echo_request, 0, 1, {})));
        EXPECT_EQ(bench.decision(), Decision::icmp_drop_echo_group) << to;
    }
    EXPECT_TRUE(bench.take().empty());
}

TEST(Echo, ToAllNodesIsAnsweredFromAUnicastAddress) {  // RFC 4443 §4.2
    Bench bench;
    bench.input(ipv6("fd00::9", "ff02::1", kProtocolIcmpv6,
                     icmpv6(V6::Type::echo_request, 0, 1, {}, "fd00::9", "ff02::1")));
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(parse_ipv6(sent[0]).header.source, ip("fd00::1"));
}

TEST(Echo, CanBeTurnedOff) {
    IpConfig config = Bench::quiet();
    config.answer_echo = false;
    Bench bench(Bench::raw(), config);
    bench.input(ipv4("10.0.0.9", "10.0.0.1", 1, icmpv4(V4::Type::echo_request, 0, 1, {})));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_echo_disabled);
    EXPECT_TRUE(bench.take().empty());
}

TEST(Icmp, DamageIsDroppedByName) {
    Bench bench;
    Packet message = icmpv4(V4::Type::echo_request, 0, 1, pattern(9));
    message[9] ^= std::byte{1};
    bench.input(ipv4("10.0.0.9", "10.0.0.1", 1, message));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_bad_checksum);
    bench.input(ipv4("10.0.0.9", "10.0.0.1", 1, pattern(7)));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_truncated);
    bench.input(ipv4("10.0.0.9", "10.0.0.1", 1, {}));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_truncated);
    // A checksum made for another destination: the pseudo-header is covered.
    bench.input(ipv6("fd00::9", "fd00::1", kProtocolIcmpv6,
                     icmpv6(V6::Type::echo_request, 0, 1, {}, "fd00::9", "fd00::2")));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_bad_checksum);
    EXPECT_TRUE(bench.take().empty());
}

// Proves: MUST-55
TEST(Icmp, WhatNobodyAskedForIsDroppedByName) {
    Bench bench;
    const auto decide = [&](V4::Type type, const Packet& body) {
        bench.input(error_v4(type, 0, 0, body));
        return bench.decision();
    };
    EXPECT_EQ(decide(V4::Type::echo_reply, {}), Decision::icmp_drop_echo_reply);
    EXPECT_EQ(decide(V4::Type::source_quench, ours_v4()), Decision::icmp_drop_source_quench);
    EXPECT_EQ(decide(V4::Type::redirect, ours_v4()), Decision::icmp_drop_redirect);
    EXPECT_EQ(decide(static_cast<V4::Type>(13), Packet(12)), Decision::icmp_drop_unknown_type);
    EXPECT_TRUE(bench.take().empty());
}

// --- errors in -------------------------------------------------------------------------------------------

TEST(IcmpErrors, AboutOurPacketsGoToTheTransport) {
    Bench bench;
    const std::vector<std::tuple<V4::Type, int, Kind>> table = {
        {V4::Type::destination_unreachable, 0, Kind::network_unreachable},
        {V4::Type::destination_unreachable, 1, Kind::host_unreachable},
        {V4::Type::destination_unreachable, 2, Kind::protocol_unreachable},
        {V4::Type::destination_unreachable, 3, Kind::port_unreachable},
        {V4::Type::destination_unreachable, 5, Kind::source_route_failed},
        {V4::Type::destination_unreachable, 13, Kind::administratively_prohibited},
        {V4::Type::time_exceeded, 0, Kind::time_exceeded},
        {V4::Type::time_exceeded, 1, Kind::reassembly_time_exceeded},
        {V4::Type::parameter_problem, 0, Kind::parameter_problem}};
    for (const auto& [type, code, kind] : table) {
        const InputResult result =
            bench.input(error_v4(type, static_cast<std::uint8_t>(code), 0, ours_v4()));
        const IcmpError& error = std::get<IcmpError>(result);
        EXPECT_EQ(error.kind, kind);
        EXPECT_EQ(error.quoted_source, ip("10.0.0.1"));
        EXPECT_EQ(error.quoted_destination, ip("10.0.0.9"));
        EXPECT_EQ(error.protocol, kProtocolTcp);
        EXPECT_EQ(error.reporter, ip("10.0.0.254"));
        EXPECT_EQ(Packet(error.transport_bytes().begin(), error.transport_bytes().end()),
                  tcp_front());
        EXPECT_EQ(bench.decision(), Decision::icmp_accept_error);
    }
}

TEST(IcmpErrors, OfIpv6GoToTheTransport) {
    Bench bench;
    const std::vector<std::tuple<V6::Type, int, Kind>> table = {
        {V6::Type::destination_unreachable, 0, Kind::network_unreachable},
        {V6::Type::destination_unreachable, 1, Kind::administratively_prohibited},
        {V6::Type::destination_unreachable, 3, Kind::host_unreachable},
        {V6::Type::destination_unreachable, 4, Kind::port_unreachable},
        {V6::Type::time_exceeded, 0, Kind::time_exceeded},
        {V6::Type::parameter_problem, 1, Kind::protocol_unreachable},
        {V6::Type::parameter_problem, 0, Kind::parameter_problem}};
    for (const auto& [type, code, kind] : table) {
        const InputResult result =
            bench.input(error_v6(type, static_cast<std::uint8_t>(code), 0, ours_v6()));
        ASSERT_TRUE(std::holds_alternative<IcmpError>(result));
        EXPECT_EQ(std::get<IcmpError>(result).kind, kind);
        EXPECT_EQ(std::get<IcmpError>(result).quoted_source, ip("fd00::1"));
    }
}

TEST(IcmpErrors, MayQuoteAsLittleAsEightBytes) {
    Bench bench;
    const InputResult result =
        bench.input(error_v4(V4::Type::destination_unreachable, 3, 0, part(ours_v4(), 0, 28)));
    EXPECT_EQ(std::get<IcmpError>(result).transport_size, 8);
}

TEST(IcmpErrors, AboutPacketsOfOthersAreDropped) {
    Bench bench;
    const auto decide = [&](const Packet& quote) {
        EXPECT_TRUE(nothing(bench.input(error_v4(V4::Type::destination_unreachable, 3, 0, quote))));
        return bench.decision();
    };
    EXPECT_EQ(decide(ipv4("10.0.0.2", "10.0.0.9", 6, tcp_front())),
              Decision::icmp_drop_error_not_ours);
    EXPECT_EQ(decide(part(ours_v4(), 0, 19)), Decision::icmp_drop_error_bad_quote);
    EXPECT_EQ(decide({}), Decision::icmp_drop_error_bad_quote);
    Ipv4Header fragment;
    fragment.source = ip("10.0.0.1");
    fragment.destination = ip("10.0.0.9");
    fragment.fragment_offset = 80;
    EXPECT_EQ(decide(ipv4(fragment, tcp_front())), Decision::icmp_drop_error_fragment);
}

TEST(IcmpErrors, PacketTooBigCarriesThePathMtu) {
    Bench bench;
    InputResult result =
        bench.input(error_v4(V4::Type::destination_unreachable, 4, 1400, ours_v4()));
    EXPECT_EQ(std::get<IcmpError>(result).kind, Kind::packet_too_big);
    EXPECT_EQ(std::get<IcmpError>(result).mtu, 1400U);
    result = bench.input(error_v6(V6::Type::packet_too_big, 0, 1400, ours_v6()));
    EXPECT_EQ(std::get<IcmpError>(result).kind, Kind::packet_too_big);
    EXPECT_EQ(std::get<IcmpError>(result).mtu, 1400U);
}

TEST(IcmpErrors, AnOldRoutersZeroMeansThePlateauBelow) {  // RFC 1191 §7.1
    Bench bench;
    Packet quote = ours_v4();
    ByteWriter(MutableBytes(quote).subspan(2, 2)).u16(1500);
    const InputResult result =
        bench.input(error_v4(V4::Type::destination_unreachable, 4, 0, quote));
    EXPECT_EQ(std::get<IcmpError>(result).mtu, 1492U);
}

TEST(IcmpErrors, AnMtuThatEveryPathExceedsIsALie) {
    Bench bench;
    EXPECT_TRUE(nothing(bench.input(error_v6(V6::Type::packet_too_big, 0, 1279, ours_v6()))));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_error_mtu);  // RFC 8201 §4
    EXPECT_TRUE(
        nothing(bench.input(error_v4(V4::Type::destination_unreachable, 4, 67, ours_v4()))));
    EXPECT_EQ(bench.decision(), Decision::icmp_drop_error_mtu);
}

// --- path MTU --------------------------------------------------------------------------------------------

TEST(PathMtu, IsLoweredForThatDestinationAndForgottenInTime) {
    Bench bench;
    const Instant start = bench.now;
    bench.layer.update_path_mtu(ip("10.0.0.9"), 1400, bench.now);
    EXPECT_EQ(bench.decision(), Decision::ip_note_path_mtu);
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.9")), 1400U);
    EXPECT_EQ(bench.layer.route(ip("10.0.0.9"))->mtu, 1400U);
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.8")), 1500U);
    bench.layer.update_path_mtu(ip("10.0.0.9"), 1450, bench.now);
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.9")), 1400U) << "errors only lower it";
    EXPECT_TRUE(bench.decisions().empty()) << "and otherwise change nothing, its lifetime included";
    bench.run_to(start + seconds(599));
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.9")), 1400U);
    bench.run_to(start + seconds(600));
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.9")), 1500U);
    EXPECT_TRUE(bench.decided(Decision::ip_note_path_mtu_forgotten));
}

TEST(PathMtu, HasAFloorBelowWhichFragmentsAreAllowed) {  // Linux: min_pmtu
    Bench bench;
    bench.layer.update_path_mtu(ip("10.0.0.9"), 100, bench.now);
    EXPECT_EQ(bench.layer.path_mtu(ip("10.0.0.9")), 552U);
    bench.layer.update_path_mtu(ip("fd00::9"), 1280, bench.now);
    EXPECT_EQ(bench.layer.path_mtu(ip("fd00::9")), 1280U);
    OutgoingPacket packet;
    packet.source = ip("10.0.0.1");
    packet.destination = ip("10.0.0.9");
    packet.protocol = kProtocolTcp;
    packet.checksum_offset = 16;
    EXPECT_EQ(bench.output(packet, pattern(20), pattern(400)), Decision::ip_transmit);
    EXPECT_FALSE(parse_ipv4(bench.take().at(0)).header.dont_fragment)
        << "a router must be able to cut it";
}

TEST(PathMtu, RemembersManyButABoundedNumber) {
    Bench bench(Bench::raw(), Bench::quiet(), {"10.0.0.1/8"});
    for (std::uint32_t i = 1; i <= 5000; ++i) {
        bench.layer.update_path_mtu(IpAddress::v4(0x0a010000 + i), 1400, bench.now);
    }
    std::size_t known = 0;
    for (std::uint32_t i = 1; i <= 5000; ++i) {
        known += bench.layer.path_mtu(IpAddress::v4(0x0a010000 + i)) == 1400 ? 1U : 0U;
    }
    EXPECT_GT(known, 900U);
    EXPECT_LE(known, 1024U);
    EXPECT_EQ(bench.layer.path_mtu(IpAddress::v4(0x0a010000 + 5000)), 1400U) << "the newest stays";
}

// --- errors out ------------------------------------------------------------------------------------------

/// Lets a datagram arrive and asks for an error about it.
Decision complain(Bench& bench, const Packet& packet, Kind kind = Kind::port_unreachable) {
    const InputResult result = bench.input(packet);
    EXPECT_TRUE(std::holds_alternative<Datagram>(result));
    return bench.layer.send_icmp_error(kind, std::get<Datagram>(result), bench.now);
}

TEST(IcmpErrorsSent, QuoteThePacketAsItArrived) {
    Bench bench;
    Ipv4Header header;
    header.source = ip("10.0.0.9");
    header.destination = ip("10.0.0.1");
    header.protocol = kProtocolUdp;
    header.identification = 0x4711;
    header.ttl = 17;
    const Packet packet = ipv4(header, udp("10.0.0.9", "10.0.0.1", pattern(100)));
    EXPECT_EQ(complain(bench, packet), Decision::icmp_transmit_error);
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(parse_ipv4(sent[0]).header.source, ip("10.0.0.1"));
    EXPECT_EQ(parse_ipv4(sent[0]).header.destination, ip("10.0.0.9"));
    EXPECT_EQ(part(sent[0], 20, sent[0].size() - 20),
              icmpv4(V4::Type::destination_unreachable, 3, 0, packet));
}

TEST(IcmpErrorsSent, QuoteAsMuchAsEveryHostCanTake) {
    Bench bench;
    EXPECT_EQ(complain(bench, ipv4("10.0.0.9", "10.0.0.1", 17,
                                   udp("10.0.0.9", "10.0.0.1", pattern(1400)))),
              Decision::icmp_transmit_error);
    EXPECT_EQ(
        complain(bench, ipv6("fd00::9", "fd00::1", 17, udp("fd00::9", "fd00::1", pattern(1400)))),
        Decision::icmp_transmit_error);
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[0].size(), 576U);
    EXPECT_EQ(sent[1].size(), 1280U);
    const auto v6 = parse_icmpv6(Bytes(sent[1]).subspan(40), ip("fd00::1"), ip("fd00::9"));
    EXPECT_FALSE(v6.error);
    EXPECT_EQ(v6.message.type, V6::Type::destination_unreachable);
    EXPECT_EQ(v6.message.code, V6::port_unreachable);
}

TEST(IcmpErrorsSent, NeverAboutGroupsOrErrors) {  // RFC 1122 §3.2.2, RFC 4443 §2.4 (e)
    Bench bench;
    EXPECT_EQ(complain(bench, ipv4("10.0.0.9", "10.0.0.255", 17, pattern(20))),
              Decision::icmp_hold_about_group);
    EXPECT_EQ(complain(bench, ipv6("fd00::9", "ff02::1", 17, pattern(20))),
              Decision::icmp_hold_about_group);
    // An ICMPv4 error where IPv6 is spoken is an unknown protocol; the other way round as well.
    Datagram error;
    error.source = ip("10.0.0.9");
    error.destination = ip("10.0.0.1");
    error.protocol = kProtocolIcmpv4;
    error.payload.push_back(bench.pool.copy(icmpv4(V4::Type::time_exceeded, 0, 0, ours_v4())));
    error.payload_size = 28;
    EXPECT_EQ(bench.layer.send_icmp_error(Kind::port_unreachable, error, bench.now),
              Decision::icmp_hold_about_error);
    error.protocol = kProtocolUdp;
    error.source = ip("0.0.0.0");
    EXPECT_EQ(bench.layer.send_icmp_error(Kind::port_unreachable, error, bench.now),
              Decision::icmp_hold_bad_source);
    EXPECT_TRUE(bench.take().empty());
}

TEST(IcmpErrorsSent, NeverAboutPacketsInGroupFrames) {
    Bench bench(Bench::ethernet_link());
    const InputResult result = bench.input_ethernet(
        ipv4("10.0.0.9", "10.0.0.1", 17, udp("10.0.0.9", "10.0.0.1", {})), MacAddress::broadcast());
    EXPECT_FALSE(std::get<Datagram>(result).to_unicast);
    EXPECT_EQ(
        bench.layer.send_icmp_error(Kind::port_unreachable, std::get<Datagram>(result), bench.now),
        Decision::icmp_hold_about_group);
}

TEST(IcmpErrorsSent, NoFasterThanTheRate) {
    IpConfig config = Bench::quiet();
    config.icmp_errors_per_second = 10;
    config.icmp_error_burst = 5;
    Bench bench(Bench::raw(), config);
    const Packet packet = ipv4("10.0.0.9", "10.0.0.1", 17, udp("10.0.0.9", "10.0.0.1", {}));
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(complain(bench, packet), Decision::icmp_transmit_error);
    }
    EXPECT_EQ(complain(bench, packet), Decision::icmp_hold_rate_limit);
    bench.now = bench.now + milliseconds(100);
    EXPECT_EQ(complain(bench, packet), Decision::icmp_transmit_error);
    EXPECT_EQ(complain(bench, packet), Decision::icmp_hold_rate_limit);
    EXPECT_EQ(bench.take().size(), 6U);
}

}  // namespace
}  // namespace runnel::test
