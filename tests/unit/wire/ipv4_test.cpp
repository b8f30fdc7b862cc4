// The IPv4 header: a kernel's, every truncation, every field that validation looks at, options, and round trips.
#include "runnel/wire/ipv4.hpp"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "wire_test.hpp"

namespace runnel {
namespace {

/// Puts a right checksum into a header of `header_length` bytes.
void seal(std::vector<std::byte>& packet, std::size_t header_length = 20) {
    packet[10] = packet[11] = std::byte{0};
    const std::uint16_t sum = internet_checksum(Bytes(packet).first(header_length));
    packet[10] = static_cast<std::byte>(sum >> 8);
    packet[11] = static_cast<std::byte>(sum & 0xff);
}

/// A header with these option bytes (a multiple of four) and eight bytes of payload.
std::vector<std::byte> with_options(std::string_view options) {
    auto packet = hex("45000000 00000000 40060000 0a090001 0a090002");
    const auto extra = hex(options);
    packet.insert(packet.end(), extra.begin(), extra.end());
    const std::size_t header_length = packet.size();
    packet.resize(packet.size() + 8);
    packet[0] = static_cast<std::byte>(0x40 | header_length / 4);
    packet[3] = static_cast<std::byte>(packet.size());
    seal(packet, header_length);
    return packet;
}

TEST(Ipv4, ReadsAKernelsHeader) {
    const auto packet = packet_of(kernel_frame::kData4);
    const Ipv4Parse parse = parse_ipv4(packet);
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.header.total_length, packet.size());
    EXPECT_EQ(parse.header.header_length, 20);
    EXPECT_EQ(parse.header.identification, 0x8cdf);
    EXPECT_TRUE(parse.header.dont_fragment);
    EXPECT_FALSE(parse.header.is_fragment());
    EXPECT_EQ(parse.header.ttl, 64);
    EXPECT_EQ(parse.header.protocol, kProtocolTcp);
    EXPECT_EQ(parse.header.checksum, 0x99cc);
    EXPECT_EQ(parse.header.source, ip("10.9.0.1"));
    EXPECT_EQ(parse.header.destination, ip("10.9.0.2"));
    EXPECT_EQ(parse_ipv4(packet_of(kernel_frame::kPortUnreachable4)).header.traffic_class, 0xc0);
}

TEST(Ipv4, WritesWhatAKernelWrote) {
    for (const std::string_view frame :
         {kernel_frame::kSyn4, kernel_frame::kUdp4, kernel_frame::kEchoReply4,
          kernel_frame::kPortUnreachable4}) {
        const auto packet = packet_of(frame);
        std::vector<std::byte> out(20);
        ASSERT_EQ(emit_ipv4(parse_ipv4(packet).header, out), 20U);
        EXPECT_EQ(out, exact_copy(Bytes(packet).first(20)));
        EXPECT_EQ(emit_ipv4(parse_ipv4(packet).header, MutableBytes(out).first(19)), 0U);
    }
}

TEST(Ipv4, EveryTruncation) {
    const auto packet = with_options("94040000 01010101");
    for (std::size_t size = 0; size < packet.size(); ++size) {
        EXPECT_EQ(parse_ipv4(exact_copy(Bytes(packet).first(size))).error,
                  Ipv4ParseError::truncated)
            << size;
    }
    EXPECT_FALSE(parse_ipv4(packet).error);
}

TEST(Ipv4, LinkPaddingIsNoError) {
    auto packet = packet_of(kernel_frame::kData4);
    packet.resize(packet.size() + 6, std::byte{0xee});
    const Ipv4Parse parse = parse_ipv4(packet);
    EXPECT_FALSE(parse.error);
    EXPECT_EQ(parse.header.payload_length(), packet.size() - 6 - 20);
}

TEST(Ipv4, BadFields) {
    const auto good = packet_of(kernel_frame::kData4);
    const auto error_with = [&](std::size_t at, unsigned value) {
        auto packet = good;
        packet[at] = static_cast<std::byte>(value);
        seal(packet);
        return parse_ipv4(packet).error;
    };
    EXPECT_EQ(error_with(0, 0x65), Ipv4ParseError::bad_version);
    EXPECT_EQ(error_with(0, 0x05), Ipv4ParseError::bad_version);
    EXPECT_EQ(error_with(0, 0x44), Ipv4ParseError::bad_header_length);
    EXPECT_EQ(error_with(0, 0x40), Ipv4ParseError::bad_header_length);
    EXPECT_EQ(error_with(3, 19), Ipv4ParseError::bad_total_length);
    EXPECT_EQ(error_with(3, 0), Ipv4ParseError::bad_total_length);
    EXPECT_EQ(error_with(3, 20), std::nullopt);
    EXPECT_EQ(error_with(2, 1), Ipv4ParseError::truncated);
    for (std::size_t at = 0; at < 20; ++at) {
        auto packet = good;
        packet[at] ^= std::byte{0x20};
        EXPECT_TRUE(parse_ipv4(packet).error) << "a flipped bit in byte " << at;
    }
}

TEST(Ipv4, Fragments) {
    const auto fragment = [](unsigned flags_and_offset, std::size_t payload) {
        auto packet = hex("45000000 abcd0000 40110000 0a090001 0a090002");
        packet.resize(20 + payload);
        packet[2] = static_cast<std::byte>(packet.size() >> 8);
        packet[3] = static_cast<std::byte>(packet.size() & 0xff);
        packet[6] = static_cast<std::byte>(flags_and_offset >> 8);
        packet[7] = static_cast<std::byte>(flags_and_offset & 0xff);
        seal(packet);
        return parse_ipv4(packet);
    };
    const Ipv4Parse first = fragment(0x2000, 1480);
    EXPECT_FALSE(first.error);
    EXPECT_TRUE(first.header.is_fragment());
    const Ipv4Parse last = fragment(185, 5);
    EXPECT_FALSE(last.error);
    EXPECT_TRUE(last.header.is_fragment());
    EXPECT_EQ(last.header.fragment_offset, 1480);
    EXPECT_EQ(fragment(0x2000, 1481).error, Ipv4ParseError::bad_fragment) << "not a multiple of 8";
    EXPECT_FALSE(fragment(0x1fff - 3, 11).error) << "20 + 65,504 + 11 just fits";
    EXPECT_EQ(fragment(0x1fff - 3, 12).error, Ipv4ParseError::bad_fragment);
    EXPECT_EQ(fragment(0x1fff, 8).error, Ipv4ParseError::bad_fragment) << "the ping of death";
}

TEST(Ipv4, Options) {
    EXPECT_FALSE(parse_ipv4(with_options("94040000")).error) << "router alert";
    EXPECT_FALSE(parse_ipv4(with_options("01010100")).error);
    EXPECT_FALSE(parse_ipv4(with_options("00ff ffff")).error) << "nothing is read behind the end";
    const Ipv4Parse routed = parse_ipv4(with_options("83070400000000 00"));
    EXPECT_FALSE(routed.error);
    EXPECT_TRUE(routed.header.source_route);
    EXPECT_EQ(routed.header.header_length, 28);
    EXPECT_TRUE(parse_ipv4(with_options("01 890304")).header.source_route);
    EXPECT_FALSE(parse_ipv4(with_options("94040000")).header.source_route);

    const auto offset_of_fault = [](std::string_view options) {
        const Ipv4Parse parse = parse_ipv4(with_options(options));
        EXPECT_EQ(parse.error, Ipv4ParseError::bad_option) << options;
        return parse.error_offset;
    };
    EXPECT_EQ(offset_of_fault("94000000"), 21) << "length 0";
    EXPECT_EQ(offset_of_fault("01940100"), 22) << "length 1";
    EXPECT_EQ(offset_of_fault("94050000"), 21) << "past the end";
    EXPECT_EQ(offset_of_fault("01010194"), 24) << "no length";
}

RC_GTEST_PROP(Ipv4, RoundTrip,
              (std::uint8_t ttl, std::uint16_t id, std::uint32_t from, std::uint32_t to)) {
    Ipv4Header header;
    header.traffic_class = *rc::gen::arbitrary<std::uint8_t>();
    header.protocol = *rc::gen::arbitrary<std::uint8_t>();
    header.identification = id;
    header.ttl = ttl;
    header.dont_fragment = *rc::gen::arbitrary<bool>();
    header.more_fragments = *rc::gen::arbitrary<bool>();
    header.fragment_offset = static_cast<std::uint16_t>(*rc::gen::inRange(0, 8000) * 8);
    header.source = IpAddress::v4(from);
    header.destination = IpAddress::v4(to);
    std::vector<std::byte> out(20 + 8U * *rc::gen::inRange<std::size_t>(0, 100));
    header.total_length = static_cast<std::uint16_t>(out.size());
    emit_ipv4(header, out);
    Ipv4Parse parse = parse_ipv4(out);
    RC_ASSERT(!parse.error);
    parse.header.checksum = 0;
    RC_ASSERT(parse.header == header);
}

}  // namespace
}  // namespace runnel
