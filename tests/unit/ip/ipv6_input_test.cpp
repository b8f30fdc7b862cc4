// IPv6 packets as they arrive: addresses, extension headers and the answers that they ask for.
#include "bench.hpp"

namespace runnel::test {
namespace {

constexpr std::uint8_t kTcp = kProtocolTcp;

Packet octets(std::initializer_list<unsigned> values) {
    Packet bytes;
    for (const unsigned value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}
/// A hop-by-hop or destination options header of eight bytes with this option of six.
Packet options(unsigned next_header, std::initializer_list<unsigned> option) {
    return octets({next_header, 0}) + octets(option);
}
Packet packet(std::uint8_t next_header, const Packet& payload,
              std::string_view destination = "fd00::1") {
    return ipv6("fd00::9", destination, next_header, payload);
}
Icmpv6Message message_in(const Packet& sent) {
    const Ipv6Parse parse = parse_ipv6(sent);
    const auto icmp =
        parse_icmpv6(Bytes(sent).subspan(40), parse.header.source, parse.header.destination);
    EXPECT_FALSE(icmp.error);
    return icmp.message;
}

TEST(Ipv6Input, ADatagramForUsGoesToItsTransport) {
    Bench bench;
    Ipv6Header header;
    header.source = ip("fd00::9");
    header.destination = ip("fd00::1");
    header.next_header = kTcp;
    header.traffic_class = 0x2e;
    header.hop_limit = 3;
    header.flow_label = 0x12345;
    const InputResult result = bench.input(ipv6(header, pattern(64)) + Packet(5));
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(datagram.protocol, kTcp);
    EXPECT_EQ(datagram.hop_limit, 3);
    EXPECT_EQ(datagram.traffic_class, 0x2e);
    EXPECT_EQ(bytes_of(datagram.payload), pattern(64));
    EXPECT_TRUE(datagram.to_unicast);
    EXPECT_TRUE(bench.decisions().empty());
}

TEST(Ipv6Input, ExtensionHeadersAreWalked) {
    Bench bench;
    const Packet payload = options(60, {1, 4, 0, 0, 0, 0}) + options(43, {0x1e, 4, 1, 2, 3, 4}) +
                           octets({kTcp, 0, 4, 0, 0, 0, 0, 0}) + pattern(30);
    const InputResult result = bench.input(packet(0, payload));
    ASSERT_TRUE(std::holds_alternative<Datagram>(result));
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(datagram.protocol, kTcp);
    EXPECT_EQ(bytes_of(datagram.payload), pattern(30));
    EXPECT_EQ(datagram.network_header_size, 64);
}

TEST(Ipv6Input, SlicesOfAnySizeGiveTheSameDatagram) {
    const Packet whole = packet(0, options(kTcp, {1, 4, 0, 0, 0, 0}) + pattern(200));
    for (std::size_t first = 1; first < 60; ++first) {
        Bench bench;
        const InputResult result = bench.input_in_slices(whole, {first, 5, 80});
        ASSERT_TRUE(std::holds_alternative<Datagram>(result)) << first;
        EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), pattern(200)) << first;
    }
}

TEST(Ipv6Input, BrokenHeadersAreDroppedByName) {
    Bench bench;
    const Packet good = packet(kTcp, pattern(20));
    EXPECT_TRUE(nothing(bench.input(part(good, 0, 39))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_truncated);
    EXPECT_TRUE(nothing(bench.input(part(good, 0, 59))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_truncated);
    Packet mapped = good;
    for (std::size_t i = 8; i < 18; ++i) {
        mapped[i] = std::byte{0};
    }
    mapped[18] = mapped[19] = std::byte{0xff};
    EXPECT_TRUE(nothing(bench.input(mapped)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_address);
}

TEST(Ipv6Input, ImpossibleAddressesAreDropped) {
    Bench bench;
    const auto decide = [&](std::string_view source, std::string_view destination) {
        EXPECT_TRUE(nothing(bench.input(ipv6(source, destination, kTcp, pattern(20)))));
        return bench.decision();
    };
    EXPECT_EQ(decide("ff02::5", "fd00::1"), Decision::ip_drop_martian_source);
    EXPECT_EQ(decide("::1", "fd00::1"), Decision::ip_drop_martian_source);
    EXPECT_EQ(decide("::", "fd00::1"), Decision::ip_drop_martian_source);
    EXPECT_EQ(decide("fd00::9", "::1"), Decision::ip_drop_martian_destination);
    EXPECT_EQ(decide("fd00::9", "::"), Decision::ip_drop_martian_destination);
    EXPECT_EQ(decide("fd00::1", "fd00::1"), Decision::ip_drop_own_source);
    EXPECT_EQ(decide("fd00::9", "fd00::2"), Decision::ip_drop_not_for_us);
    EXPECT_EQ(decide("fd00::9", "ff02::fb"), Decision::ip_drop_not_for_us);
    EXPECT_EQ(decide("fd00::9", "ff02::1:ff00:2"), Decision::ip_drop_not_for_us);
}

TEST(Ipv6Input, OurGroupsArriveMarkedAsSuch) {
    Bench bench;
    for (const char* group : {"ff02::1", "ff01::1", "ff02::1:ff00:1"}) {
        const InputResult result = bench.input(packet(kProtocolUdp, pattern(20), group));
        ASSERT_TRUE(std::holds_alternative<Datagram>(result)) << group;
        EXPECT_FALSE(std::get<Datagram>(result).to_unicast) << group;
    }
}

TEST(Ipv6Input, UnknownOptionsAreTreatedAsTheirTwoHighestBitsSay) {  // RFC 8200 §4.2
    Bench bench;
    const auto send = [&](unsigned type, std::string_view destination) {
        const Packet payload = options(kTcp, {type, 4, 0, 0, 0, 0}) + pattern(20);
        return bench.input(packet(60, payload, destination));
    };
    EXPECT_TRUE(std::holds_alternative<Datagram>(send(0x1e, "fd00::1"))) << "00: skip";
    EXPECT_TRUE(nothing(send(0x5e, "fd00::1"))) << "01: drop";
    EXPECT_EQ(bench.decision(), Decision::ip_drop_option_unrecognised);
    EXPECT_TRUE(nothing(send(0x9e, "ff02::1"))) << "10: drop and tell, even about multicast";
    EXPECT_EQ(bench.decisions(),
              (std::vector{Decision::icmp_transmit_error, Decision::ip_drop_option_unrecognised}));
    EXPECT_TRUE(nothing(send(0xde, "ff02::1"))) << "11: drop and tell, unless multicast";
    EXPECT_EQ(bench.decisions(), (std::vector{Decision::icmp_hold_about_group,
                                              Decision::ip_drop_option_unrecognised}));
    bench.take();
    EXPECT_TRUE(nothing(send(0xde, "fd00::1")));
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    const Icmpv6Message told = message_in(sent[0]);
    EXPECT_EQ(told.type, Icmpv6Message::Type::parameter_problem);
    EXPECT_EQ(told.code, Icmpv6Message::unrecognised_option);
    EXPECT_EQ(told.pointer(), 42U);
}

TEST(Ipv6Input, RoutingHeaderType0IsRefused) {  // RFC 5095 §3
    Bench bench;
    const Packet routing = octets({kTcp, 2, 0, 1, 0, 0, 0, 0}) + Packet(16);
    EXPECT_TRUE(nothing(bench.input(packet(43, routing + pattern(20)))));
    EXPECT_EQ(bench.decisions(),
              (std::vector{Decision::icmp_transmit_error, Decision::ip_drop_routing_header}));
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(message_in(sent[0]).code, Icmpv6Message::erroneous_field);
    EXPECT_EQ(message_in(sent[0]).pointer(), 42U);
}

TEST(Ipv6Input, AnUnknownNextHeaderIsAnsweredThroughTheHost) {
    Bench bench;
    const Packet payload = options(200, {1, 4, 0, 0, 0, 0}) + pattern(20);
    const InputResult result = bench.input(packet(60, payload));
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(datagram.protocol, 200);
    EXPECT_EQ(
        bench.layer.send_icmp_error(IcmpError::Kind::protocol_unreachable, datagram, bench.now),
        Decision::icmp_transmit_error);
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    const Icmpv6Message told = message_in(sent[0]);
    EXPECT_EQ(told.type, Icmpv6Message::Type::parameter_problem);
    EXPECT_EQ(told.code, Icmpv6Message::unrecognised_next_header);
    EXPECT_EQ(told.pointer(), 40U) << "the Next Header field of the options header";
}

TEST(Ipv6Input, HopByHopOptionsStandFirstOrNowhere) {
    Bench bench;
    const Packet payload =
        options(0, {1, 4, 0, 0, 0, 0}) + options(kTcp, {1, 4, 0, 0, 0, 0}) + pattern(20);
    EXPECT_TRUE(nothing(bench.input(packet(60, payload))));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_next_header);
}

TEST(Ipv6Input, TheChainIsBounded) {
    Bench bench;
    Packet chain;
    for (int i = 0; i < 20; ++i) {
        chain = chain + options(60, {1, 4, 0, 0, 0, 0});
    }
    EXPECT_TRUE(nothing(bench.input(packet(60, chain + pattern(20)))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_extension_limit);
    EXPECT_TRUE(nothing(bench.input(packet(60, octets({kTcp, 9, 1, 4})))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_extension_truncated);
    EXPECT_TRUE(nothing(bench.input(packet(kProtocolNoNextHeader, {}))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_no_next_header);
}

}  // namespace
}  // namespace runnel::test
