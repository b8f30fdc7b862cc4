#include "runnel/report/packet_decoder.hpp"

#include <gtest/gtest.h>

#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;
using Kind = DecodedPacket::Kind;

const Endpoint kLeft{IpAddress::v4(0x0a090001), 40000}, kRight{IpAddress::v4(0x0a090002), 80};
const Endpoint kLeft6{*parse_ip_address("fd00::1"), 40000},
    kRight6{*parse_ip_address("fd00::2"), 80};

DecodedPacket decode(std::uint16_t link_type, const Octets& bytes) {
    CapturedPacket packet;
    packet.link_type = link_type;
    packet.bytes = bytes;
    packet.original_length = static_cast<std::uint32_t>(bytes.size());
    return decode_packet(packet);
}

TcpHeader header(std::uint16_t flags = TcpFlags::kAck) {
    TcpHeader header;
    header.seq.value = 7;
    header.flags.bits = flags;
    return header;
}

Octets segment(std::size_t size = 5) {
    return tcp_packet(kLeft, kRight, header(), size);
}
Octets segment6(std::size_t size = 5) {
    return tcp_packet(kLeft6, kRight6, header(), size);
}

TEST(PacketDecoder, FindsTcpBehindEveryLinkType) {
    const Octets cooked = octets({0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x08, 0x00});
    const Octets cooked2 =
        octets({0x08, 0x00, 0, 0, 0, 0, 0, 7, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0});
    struct Case {
        const char* name;
        std::uint16_t link_type;
        Octets bytes;
    };
    const Case cases[] = {
        {"raw", kLinkRaw, segment()},
        {"raw 12", kLinkRawBsd, segment()},
        {"raw 14", kLinkRawOpenBsd, segment()},
        {"ipv4", kLinkIpv4, segment()},
        {"ethernet", kLinkEthernet, in_ethernet(segment())},
        {"vlan", kLinkEthernet,
         in_ethernet(joined({octets({0, 5, 0x08, 0x00}), segment()}), 0x8100)},
        {"cooked", kLinkLinuxCooked, joined({cooked, segment()})},
        {"cooked 2", kLinkLinuxCooked2, joined({cooked2, segment()})},
        {"null little", kLinkNull, joined({octets({2, 0, 0, 0}), segment()})},
        {"null big", kLinkNull, joined({octets({0, 0, 0, 2}), segment()})},
        {"loop", kLinkLoop, joined({octets({0, 0, 0, 2}), segment()})},
    };
    for (const Case& c : cases) {
        const DecodedPacket packet = decode(c.link_type, c.bytes);
        ASSERT_EQ(packet.kind, Kind::tcp) << c.name;
        EXPECT_EQ(packet.tcp->source, kLeft) << c.name;
        EXPECT_EQ(packet.tcp->destination, kRight) << c.name;
        EXPECT_EQ(packet.tcp->payload_size, 5U) << c.name;
        EXPECT_EQ(packet.tcp->checksum, ChecksumState::right) << c.name;
        EXPECT_TRUE(knows_link_type(c.link_type));
    }
    for (const auto& [link_type, front] : {std::pair{kLinkRaw, Octets{}},
                                           {kLinkIpv6, Octets{}},
                                           {kLinkNull, octets({30, 0, 0, 0})},
                                           {kLinkNull, octets({24, 0, 0, 0})},
                                           {kLinkNull, octets({0, 0, 0, 28})},
                                           {kLinkNull, octets({10, 0, 0, 0})}}) {
        EXPECT_EQ(decode(link_type, joined({front, segment6()})).tcp->source, kLeft6);
    }
    EXPECT_EQ(decode(147, segment()).kind, Kind::unreadable);
    EXPECT_FALSE(knows_link_type(147));
}

TEST(PacketDecoder, TellsInterfaceAndDirectionOfCookedPackets) {
    Octets front = octets({0x08, 0x00, 0, 0, 0, 0, 1, 7, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0});
    auto payload = link_payload(kLinkLinuxCooked2, joined({front, segment()}));
    EXPECT_EQ(payload->interface_index, 0x107U);
    EXPECT_EQ(payload->direction, PacketDirection::outbound);
    front[10] = std::byte{0};
    payload = link_payload(kLinkLinuxCooked2, joined({front, segment()}));
    EXPECT_EQ(payload->direction, PacketDirection::inbound);
}

TEST(PacketDecoder, NoCutIsReadPastItsEnd) {
    const std::pair<std::uint16_t, Octets> whole[] = {
        {kLinkEthernet, in_ethernet(segment())},      {kLinkRaw, segment6()},
        {kLinkLinuxCooked, Octets(60, std::byte{0})}, {kLinkLinuxCooked2, Octets(60, std::byte{0})},
        {kLinkNull, Octets(3, std::byte{0})},
    };
    for (const auto& [link_type, bytes] : whole) {
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            (void)decode(link_type, Octets(bytes.begin(), bytes.begin() + static_cast<long>(size)));
        }
    }
}

TEST(PacketDecoder, ACutSegmentKeepsItsLengthAndHasNoChecksumToJudge) {
    TcpHeader with_options = header(TcpFlags::kSyn);
    with_options.options.mss = 1460;
    with_options.options.timestamps = TcpTimestamps{1, 2};
    Octets packet = tcp_packet(kLeft, kRight, with_options, 1000);
    packet.resize(20 + 36 + 10);
    DecodedPacket decoded = decode(kLinkRaw, packet);
    EXPECT_EQ(decoded.tcp->payload_size, 1000U);
    EXPECT_EQ(decoded.tcp->checksum, ChecksumState::unknown);
    EXPECT_EQ(decoded.tcp->header.options.mss, 1460);
    packet.resize(20 + 25);  // within the options
    decoded = decode(kLinkRaw, packet);
    ASSERT_EQ(decoded.kind, Kind::tcp);
    EXPECT_TRUE(decoded.tcp->options_malformed);
    EXPECT_EQ(decoded.tcp->header.seq.value, 7U);
    EXPECT_EQ(decoded.tcp->payload_size, 1000U);
    packet.resize(20 + 19);  // within the fixed header
    EXPECT_EQ(decode(kLinkRaw, packet).kind, Kind::unreadable);
}

TEST(PacketDecoder, LinkPaddingIsNotPayload) {
    Octets padded = segment(0);
    padded.resize(60);
    const DecodedPacket decoded = decode(kLinkRaw, padded);
    EXPECT_EQ(decoded.tcp->payload_size, 0U);
    EXPECT_EQ(decoded.tcp->checksum, ChecksumState::right);
}

TEST(PacketDecoder, ALengthOfZeroMeansAllThereIs) {
    Octets v4 = segment(40);
    v4[2] = v4[3] = std::byte{0};
    EXPECT_EQ(decode(kLinkRaw, v4).tcp->payload_size, 40U);
    Octets v6 = segment6(40);
    v6[4] = v6[5] = std::byte{0};
    EXPECT_EQ(decode(kLinkRaw, v6).tcp->payload_size, 40U);
}

TEST(PacketDecoder, TellsWrongChecksumsFromThoseLeftToADevice) {
    Octets packet = segment();
    packet[20 + 16] ^= std::byte{1};
    EXPECT_EQ(decode(kLinkRaw, packet).tcp->checksum, ChecksumState::wrong);
    const std::uint16_t pseudo = pseudo_header_sum(kLeft.address, kRight.address, kProtocolTcp, 25);
    ByteWriter(MutableBytes(packet).subspan(36)).u16(pseudo);
    EXPECT_EQ(decode(kLinkRaw, packet).tcp->checksum, ChecksumState::offloaded);
    ByteWriter(MutableBytes(packet).subspan(36)).u16(0);
    EXPECT_EQ(decode(kLinkRaw, packet).tcp->checksum, ChecksumState::offloaded);
}

TEST(PacketDecoder, NamesOptionsThatTheEngineDoesNotKnow) {
    TcpHeader syn = header(TcpFlags::kSyn);
    syn.options.timestamps = TcpTimestamps{1, 2};  // room of twelve bytes to write over
    Octets packet = tcp_packet(kLeft, kRight, syn, 0);
    const Octets options = octets({34, 2, 1, 30, 4, 0, 0, 2, 4, 5, 0xb4, 0});
    std::copy(options.begin(), options.end(), packet.begin() + 40);
    const auto tcp = decode(kLinkRaw, packet).tcp;
    EXPECT_EQ(std::vector<int>(tcp->other_options.begin(), tcp->other_options.end()),
              (std::vector<int>{34, 30}));
    EXPECT_EQ(tcp->header.options.mss, 1460);
}

TEST(PacketDecoder, FragmentsAreCountedNotRead) {
    Octets v4 = segment(40);
    v4[6] = std::byte{0x20};  // more fragments
    EXPECT_EQ(decode(kLinkRaw, v4).kind, Kind::fragment);
    v4[6] = std::byte{0x00};
    v4[7] = std::byte{0x02};  // offset 16
    EXPECT_EQ(decode(kLinkRaw, v4).kind, Kind::fragment);
    const Octets first = ip_packet(kLeft6.address, kRight6.address, kProtocolFragment,
                                   joined({octets({6, 0, 0, 1, 0, 0, 0, 1}), Octets(24)}));
    EXPECT_EQ(decode(kLinkRaw, first).kind, Kind::fragment);
}

TEST(PacketDecoder, TellsOtherPacketsApart) {
    const Octets four(24, std::byte{0});
    const auto ip = [&](std::uint8_t protocol) {
        return ip_packet(kLeft.address, kRight.address, protocol, four);
    };
    EXPECT_EQ(decode(kLinkRaw, ip(kProtocolUdp)).kind, Kind::udp);
    EXPECT_EQ(decode(kLinkRaw, ip(kProtocolIcmpv4)).kind, Kind::icmp);
    EXPECT_EQ(decode(kLinkRaw, ip(47)).kind, Kind::other);
    EXPECT_EQ(decode(kLinkEthernet, in_ethernet(four, 0x0806)).kind, Kind::arp);
    EXPECT_EQ(decode(kLinkEthernet, in_ethernet(four, 0x88cc)).kind, Kind::other);
    EXPECT_EQ(decode(kLinkRaw, octets({0x45, 0})).kind, Kind::unreadable);
}

TEST(PacketDecoder, UnderstandsIcmpErrorsAboutTcp) {
    Scene v4;
    v4.left({.flags = "S"}).icmp_error(IpAddress::v4(0x0a0000fe), 3, 4, 1400, 0);
    auto error = decode(kLinkRaw, v4.packets()[1]).icmp_error;
    ASSERT_TRUE(error);
    EXPECT_EQ(error->meaning, "fragmentation needed, MTU 1400");
    EXPECT_EQ(error->quoted_source, kLeft);
    EXPECT_EQ(error->quoted_destination, kRight);
    EXPECT_EQ(error->quoted_seq.value, kLeftIss);
    EXPECT_EQ(to_string(error->reporter), "10.0.0.254");

    Scene v6(kLeft6, kRight6);
    v6.left({.flags = "S"}).icmp_error(*parse_ip_address("fd00::fe"), 2, 0, 1280, 0);
    error = decode(kLinkRaw, v6.packets()[1]).icmp_error;
    ASSERT_TRUE(error);
    EXPECT_EQ(error->meaning, "packet too big, MTU 1280");
    EXPECT_EQ(error->quoted_source, kLeft6);
}

}  // namespace
}  // namespace runnel::report
