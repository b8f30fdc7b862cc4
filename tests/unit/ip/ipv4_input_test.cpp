// IPv4 packets as they arrive: what is taken, and under which name the rest is dropped.
#include "bench.hpp"
#include "runnel/base/checksum.hpp"

namespace runnel::test {
namespace {

constexpr std::uint8_t kTcp = kProtocolTcp;

Packet good(const Packet& payload = pattern(40)) {
    return ipv4("10.0.0.9", "10.0.0.1", kTcp, payload);
}
void fix_checksum(Packet& packet, std::size_t header_length = 20) {
    MutableBytes bytes(packet);
    ByteWriter(bytes.subspan(10, 2)).u16(0);
    ByteWriter(bytes.subspan(10, 2)).u16(internet_checksum(bytes.first(header_length)));
}
/// The packet with these options (a multiple of four bytes) in its header.
Packet with_options(const Packet& packet, const Packet& options) {
    Packet made = part(packet, 0, 20) + options + part(packet, 20, packet.size() - 20);
    made[0] = static_cast<std::byte>(0x45 + options.size() / 4);
    ByteWriter(MutableBytes(made).subspan(2, 2)).u16(static_cast<std::uint16_t>(made.size()));
    fix_checksum(made, 20 + options.size());
    return made;
}
Packet octets(std::initializer_list<unsigned> values) {
    Packet bytes;
    for (const unsigned value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

TEST(Ipv4Input, ADatagramForUsGoesToItsTransportUncopied) {
    Bench bench;
    Ipv4Header header;
    header.source = ip("10.0.0.9");
    header.destination = ip("10.0.0.1");
    header.protocol = kTcp;
    header.ttl = 1;  // RFC 1122 §3.2.1.7: taken whatever is left of it
    header.traffic_class = 0xb9;
    Frame frame = bench.frame_of(ipv4(header, pattern(100)));
    const ChunkRef chunk = frame.body[0].chunk();
    const InputResult result = bench.layer.input(std::move(frame), bench.now);
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(datagram.source, ip("10.0.0.9"));
    EXPECT_EQ(datagram.destination, ip("10.0.0.1"));
    EXPECT_EQ(datagram.protocol, kTcp);
    EXPECT_EQ(datagram.hop_limit, 1);
    EXPECT_EQ(datagram.traffic_class, 0xb9);
    EXPECT_EQ(datagram.ecn(), 1);
    EXPECT_TRUE(datagram.to_unicast);
    EXPECT_EQ(datagram.payload_size, 100U);
    EXPECT_EQ(bytes_of(datagram.payload), pattern(100));
    EXPECT_EQ(datagram.payload[0].chunk(), chunk) << "a view of the frame, not a copy";
    EXPECT_TRUE(bench.decisions().empty()) << "TCP records its own segments";
}

TEST(Ipv4Input, LinkPaddingIsCutOff) {
    Bench bench;
    const InputResult result = bench.input(good(pattern(10)) + Packet(16));
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), pattern(10));
}

TEST(Ipv4Input, OffloadOffsetsCountFromTheTransportHeader) {
    Bench bench;
    Offload offload;
    offload.gso = Offload::Gso::tcp_ipv4;
    offload.gso_size = 1448;
    offload.header_length = 52;
    offload.needs_checksum = true;
    offload.csum_start = 20;
    offload.csum_offset = 16;
    const InputResult result = bench.input(good(pattern(32 + 4000)), offload);
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(datagram.offload.csum_start, 0);
    EXPECT_EQ(datagram.offload.csum_offset, 16);
    EXPECT_EQ(datagram.offload.header_length, 32);
    EXPECT_EQ(datagram.offload.gso_size, 1448);
    EXPECT_TRUE(verify_transport_checksum(datagram)) << "partial: the sender is on this machine";
}

TEST(Ipv4Input, SlicesOfAnySizeGiveTheSameDatagram) {
    const Packet packet = with_options(good(pattern(300)), octets({1, 1, 1, 0}));
    for (std::size_t first = 1; first < 70; ++first) {
        Bench bench;
        const InputResult result = bench.input_in_slices(packet, {first, 7, 90});
        ASSERT_TRUE(std::holds_alternative<Datagram>(result)) << first;
        EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), pattern(300)) << first;
    }
}

TEST(Ipv4Input, BrokenHeadersAreDroppedByName) {
    Bench bench;
    const Packet packet = good();
    EXPECT_TRUE(nothing(bench.input({})));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_truncated);
    EXPECT_TRUE(nothing(bench.input(part(packet, 0, 19))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_truncated);
    EXPECT_TRUE(nothing(bench.input(part(packet, 0, 59))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_truncated);

    Packet broken = packet;
    broken[0] = std::byte{0x55};
    EXPECT_TRUE(nothing(bench.input(broken)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_version);
    broken = packet;
    broken[0] = std::byte{0x44};
    EXPECT_TRUE(nothing(bench.input(broken)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_header_length);
    broken = packet;
    broken[15] ^= std::byte{1};
    EXPECT_TRUE(nothing(bench.input(broken)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_checksum);
    broken = packet;
    ByteWriter(MutableBytes(broken).subspan(2, 2)).u16(19);
    fix_checksum(broken);
    EXPECT_TRUE(nothing(bench.input(broken)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_total_length);
    EXPECT_TRUE(bench.take().empty()) << "none of these is answered";
}

// Proves: MUST-50
TEST(Ipv4Input, OptionsAreSkippedButSourceRoutesRefused) {
    Bench bench;
    const Packet timestamp = octets({68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    const InputResult result = bench.input(with_options(good(), timestamp));
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), pattern(40));
    for (const unsigned route : {131U, 137U}) {
        const Packet options = octets({route, 7, 4, 10, 0, 0, 5, 0});
        EXPECT_TRUE(nothing(bench.input(with_options(good(), options))));
        EXPECT_EQ(bench.decision(), Decision::ip_drop_source_route);
    }
    EXPECT_TRUE(bench.take().empty());
}

TEST(Ipv4Input, ABadOptionIsToldWithItsPlace) {  // RFC 1122 §3.2.2.5
    Bench bench;
    EXPECT_TRUE(nothing(bench.input(with_options(good(), octets({1, 68, 1, 0})))));
    EXPECT_EQ(bench.decisions(),
              (std::vector{Decision::icmp_transmit_error, Decision::ip_drop_bad_option}));
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    const auto message = parse_icmpv4(Bytes(sent[0]).subspan(20));
    ASSERT_FALSE(message.error);
    EXPECT_EQ(message.message.type, Icmpv4Message::Type::parameter_problem);
    EXPECT_EQ(message.message.pointer(), 22);
}

TEST(Ipv4Input, AnOwnSourceIsLetInWhereLocalOnesAreAccepted) {  // net.ipv4.conf.all.accept_local
    IpConfig config = Bench::quiet();
    config.accept_local = true;
    Bench bench(Bench::raw(), config);
    EXPECT_FALSE(nothing(bench.input(ipv4("10.0.0.1", "10.0.0.1", kTcp, pattern(20)))));
}

// Proves: MUST-63
TEST(Ipv4Input, MartianSourcesAreDropped) {  // RFC 1122 §3.2.1.3
    Bench bench;
    for (const char* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "239.1.1.1",
                               "240.0.0.1", "255.255.255.255", "10.0.0.255"}) {
        EXPECT_TRUE(nothing(bench.input(ipv4(source, "10.0.0.1", kTcp, pattern(20)))));
        EXPECT_EQ(bench.decision(), Decision::ip_drop_martian_source) << source;
    }
    EXPECT_TRUE(nothing(bench.input(ipv4("10.0.0.1", "10.0.0.1", kTcp, pattern(20)))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_own_source);
    EXPECT_TRUE(nothing(bench.input(ipv4("10.0.0.9", "127.0.0.1", kTcp, pattern(20)))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_martian_destination);
}

TEST(Ipv4Input, PacketsForOthersAreNotForwarded) {
    Bench bench;
    for (const char* destination : {"10.0.0.2", "8.8.8.8", "224.0.0.251", "10.1.255.255"}) {
        EXPECT_TRUE(nothing(bench.input(ipv4("10.0.0.9", destination, kTcp, pattern(20)))));
        EXPECT_EQ(bench.decision(), Decision::ip_drop_not_for_us) << destination;
    }
    EXPECT_TRUE(bench.take().empty());
}

TEST(Ipv4Input, BroadcastAndAllHostsArriveMarkedAsSuch) {
    Bench bench;
    for (const char* destination : {"255.255.255.255", "10.0.0.255", "224.0.0.1"}) {
        const InputResult result =
            bench.input(ipv4("10.0.0.9", destination, kProtocolUdp, pattern(20)));
        ASSERT_TRUE(std::holds_alternative<Datagram>(result)) << destination;
        EXPECT_FALSE(std::get<Datagram>(result).to_unicast) << destination;
    }
}

TEST(Ipv4Input, AnUnknownInterfaceIsNoReasonToCrash) {
    Bench bench;
    Frame frame = bench.frame_of(good());
    frame.interface = 9;
    EXPECT_TRUE(nothing(bench.layer.input(std::move(frame), bench.now)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_unknown_interface);
}

TEST(Ipv4Input, TheTransportChecksumIsCheckedUnlessTheLinkVouchesForIt) {
    Bench bench;
    const Packet right = udp("10.0.0.9", "10.0.0.1", pattern(33));
    InputResult result = bench.input(ipv4("10.0.0.9", "10.0.0.1", kProtocolUdp, right));
    EXPECT_TRUE(verify_transport_checksum(std::get<Datagram>(result)));
    Packet wrong = right;
    wrong.back() ^= std::byte{4};
    result = bench.input(ipv4("10.0.0.9", "10.0.0.1", kProtocolUdp, wrong));
    EXPECT_FALSE(verify_transport_checksum(std::get<Datagram>(result)));
    Offload vouched;
    vouched.checksum_valid = true;
    result = bench.input(ipv4("10.0.0.9", "10.0.0.1", kProtocolUdp, wrong), vouched);
    EXPECT_TRUE(verify_transport_checksum(std::get<Datagram>(result)));
    result = bench.input_in_slices(ipv4("10.0.0.9", "10.0.0.1", kProtocolUdp, right), {28, 3, 5});
    EXPECT_TRUE(verify_transport_checksum(std::get<Datagram>(result))) << "odd slices";
}

}  // namespace
}  // namespace runnel::test
