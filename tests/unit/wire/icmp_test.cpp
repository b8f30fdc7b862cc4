// ICMP of both families, UDP, and the datagrams that errors quote.
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/quoted_datagram.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"
#include "wire_test.hpp"

namespace runnel {
namespace {

TEST(Icmpv4, EchoAsAKernelSentIt) {
    const auto bytes = payload4_of(kernel_frame::kEchoRequest4);
    const Icmpv4Parse parse = parse_icmpv4(bytes);
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.message.type, Icmpv4Message::Type::echo_request);
    EXPECT_EQ(parse.message.identifier(), 0x1234);
    EXPECT_EQ(parse.message.sequence(), 1);
    EXPECT_EQ(exact_copy(parse.message.body), hex("6162636465666768"));
    EXPECT_FALSE(parse.message.is_error());

    const auto reply =
        Icmpv4Message::echo(Icmpv4Message::Type::echo_reply, 0x1234, 1, parse.message.body);
    std::vector<std::byte> out(bytes.size());
    EXPECT_EQ(emit_icmpv4(reply, out), out.size());
    EXPECT_EQ(out, payload4_of(kernel_frame::kEchoReply4));
    EXPECT_EQ(emit_icmpv4(reply, MutableBytes(out).first(out.size() - 1)), 0U);
}

TEST(Icmpv4, TruncationsAndFlippedBits) {
    const auto bytes = payload4_of(kernel_frame::kEchoRequest4);
    for (std::size_t size = 0; size < kIcmpHeaderSize; ++size) {
        EXPECT_EQ(parse_icmpv4(exact_copy(Bytes(bytes).first(size))).error,
                  IcmpParseError::truncated);
    }
    for (std::size_t size = kIcmpHeaderSize; size < bytes.size(); ++size) {
        EXPECT_EQ(parse_icmpv4(exact_copy(Bytes(bytes).first(size))).error,
                  IcmpParseError::bad_checksum);
    }
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        auto flipped = bytes;
        flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        EXPECT_EQ(parse_icmpv4(flipped).error, IcmpParseError::bad_checksum) << bit;
    }
}

TEST(Icmpv4, ErrorsQuoteADatagram) {
    const auto bytes = payload4_of(kernel_frame::kPortUnreachable4);
    const Icmpv4Parse parse = parse_icmpv4(bytes);
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.message.type, Icmpv4Message::Type::destination_unreachable);
    EXPECT_EQ(parse.message.code, Icmpv4Message::port_unreachable);
    EXPECT_TRUE(parse.message.is_error());
    const auto quoted = parse_quoted_ipv4(parse.message.body);
    ASSERT_TRUE(quoted);
    EXPECT_EQ(quoted->source, ip("10.9.0.1"));
    EXPECT_EQ(quoted->destination, ip("10.9.0.2"));
    EXPECT_EQ(quoted->protocol, kProtocolUdp);
    EXPECT_EQ(quoted->total_length, 33U);
    const auto udp = parse_quoted_udp(*quoted);
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->source_port, 33546);
    EXPECT_EQ(udp->destination_port, 9);
    EXPECT_FALSE(parse_quoted_tcp(*quoted)) << "it isn't TCP";
    std::vector<std::byte> out(bytes.size());
    emit_icmpv4(Icmpv4Message::unreachable(Icmpv4Message::port_unreachable, parse.message.body),
                out);
    EXPECT_EQ(out, bytes);
}

TEST(Icmpv4, FieldsOfErrors) {
    EXPECT_EQ(
        Icmpv4Message::unreachable(Icmpv4Message::fragmentation_needed, {}, 1400).next_hop_mtu(),
        1400);
    EXPECT_EQ(Icmpv4Message::problem(0, 21, {}).pointer(), 21);
    Icmpv4Message unknown;
    unknown.type = static_cast<Icmpv4Message::Type>(200);
    EXPECT_FALSE(unknown.is_error());
}

TEST(Icmpv6, EchoAsAKernelSentIt) {
    const auto bytes = payload6_of(kernel_frame::kEchoRequest6);
    const Icmpv6Parse parse = parse_icmpv6(bytes, ip("fd00::1"), ip("fd00::2"));
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.message.type, Icmpv6Message::Type::echo_request);
    EXPECT_EQ(parse.message.identifier(), 0x1234);
    EXPECT_FALSE(parse.message.is_error());
    std::vector<std::byte> out(bytes.size());
    EXPECT_EQ(emit_icmpv6(parse.message, ip("fd00::1"), ip("fd00::2"), out), out.size());
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(parse_icmpv6(bytes, ip("fd00::1"), ip("fd00::3")).error, IcmpParseError::bad_checksum)
        << "the pseudo-header counts";
    for (std::size_t size = 0; size < kIcmpHeaderSize; ++size) {
        const auto cut = exact_copy(Bytes(bytes).first(size));
        EXPECT_EQ(parse_icmpv6(cut, ip("fd00::1"), ip("fd00::2")).error, IcmpParseError::truncated);
    }
}

TEST(Icmpv6, ErrorsQuoteADatagram) {
    const auto bytes = payload6_of(kernel_frame::kPortUnreachable6);
    const Icmpv6Parse parse = parse_icmpv6(bytes, ip("fd00::2"), ip("fd00::1"));
    ASSERT_FALSE(parse.error);
    EXPECT_TRUE(parse.message.is_error());
    EXPECT_EQ(parse.message.code, Icmpv6Message::port_unreachable);
    const auto quoted = parse_quoted_ipv6(parse.message.body);
    ASSERT_TRUE(quoted);
    EXPECT_EQ(quoted->source, ip("fd00::1"));
    EXPECT_EQ(quoted->total_length, 53U);
    ASSERT_TRUE(parse_quoted_udp(*quoted));
    EXPECT_EQ(parse_quoted_udp(*quoted)->source_port, 55119);

    const auto too_big = Icmpv6Message::error(Icmpv6Message::Type::packet_too_big, 0, 1300, {});
    EXPECT_EQ(too_big.mtu(), 1300U);
    EXPECT_TRUE(too_big.is_error());
}

TEST(QuotedDatagram, TcpWithItsSequenceNumber) {
    const auto packet4 = packet_of(kernel_frame::kData4);
    const auto cut4 = exact_copy(Bytes(packet4).first(28));
    const auto quoted4 = parse_quoted_ipv4(cut4);
    ASSERT_TRUE(quoted4);
    const auto tcp4 = parse_quoted_tcp(*quoted4);
    ASSERT_TRUE(tcp4) << "eight bytes are enough (RFC 792)";
    EXPECT_EQ(tcp4->source_port, 57642);
    EXPECT_EQ(tcp4->destination_port, 7777);
    EXPECT_EQ(tcp4->seq, SeqNum{0x41d2'6943});
    const auto packet6 = packet_of(kernel_frame::kSyn6);
    const auto cut6 = exact_copy(Bytes(packet6).first(48));
    const auto quoted6 = parse_quoted_ipv6(cut6);
    ASSERT_TRUE(quoted6);
    EXPECT_EQ(quoted6->payload.size(), 8U);
    EXPECT_TRUE(parse_quoted_tcp(*quoted6));
}

TEST(QuotedDatagram, EveryTruncation) {
    const auto packet4 = packet_of(kernel_frame::kData4);
    for (std::size_t size = 0; size < 28; ++size) {
        const auto cut = exact_copy(Bytes(packet4).first(size));
        const auto quoted = parse_quoted_ipv4(cut);
        EXPECT_EQ(quoted.has_value(), size >= 20) << size;
        if (quoted) {
            EXPECT_FALSE(parse_quoted_tcp(*quoted)) << size;
        }
    }
    const auto packet6 = packet_of(kernel_frame::kSyn6);
    for (std::size_t size = 0; size < 48; ++size) {
        const auto cut = exact_copy(Bytes(packet6).first(size));
        const auto quoted = parse_quoted_ipv6(cut);
        EXPECT_EQ(quoted.has_value(), size >= 40) << size;
        if (quoted) {
            EXPECT_FALSE(parse_quoted_tcp(*quoted)) << size;
        }
    }
}

TEST(QuotedDatagram, WrongVersionsAndHeaderLengths) {
    auto packet = packet_of(kernel_frame::kData4);
    EXPECT_FALSE(parse_quoted_ipv6(packet));
    packet[0] = std::byte{0x44};
    EXPECT_FALSE(parse_quoted_ipv4(packet));
    packet[0] = std::byte{0x4f};
    EXPECT_FALSE(parse_quoted_ipv4(exact_copy(Bytes(packet).first(56)))) << "options past the end";
    EXPECT_FALSE(parse_quoted_ipv4(packet_of(kernel_frame::kSyn6)));
}

TEST(QuotedDatagram, LaterFragmentsHoldNoHeader) {
    auto packet = packet_of(kernel_frame::kData4);
    packet[7] = std::byte{1};
    const auto quoted = parse_quoted_ipv4(packet);
    ASSERT_TRUE(quoted);
    EXPECT_EQ(quoted->fragment_offset, 8);
    EXPECT_FALSE(parse_quoted_tcp(*quoted));

    // A first fragment of IPv6, its quote cut to eight bytes of TCP.
    const auto first =
        hex("60000000 0500 2c40 fd000000000000000000000000000001"
            "fd000000000000000000000000000002 06000001c6503af6 e12a1e6141d26943");
    const auto quoted_first = parse_quoted_ipv6(first);
    ASSERT_TRUE(quoted_first);
    ASSERT_TRUE(parse_quoted_tcp(*quoted_first));
    EXPECT_EQ(parse_quoted_tcp(*quoted_first)->seq, SeqNum{0x41d2'6943});
    auto later = first;
    later[43] = std::byte{0x09};
    ASSERT_TRUE(parse_quoted_ipv6(later));
    EXPECT_FALSE(parse_quoted_tcp(*parse_quoted_ipv6(later)));
}

TEST(Udp, AKernelsDatagrams) {
    const auto bytes = payload4_of(kernel_frame::kUdp4);
    const auto header = parse_udp(bytes);
    ASSERT_TRUE(header);
    const UdpHeader expected{33546, 9, 13, 0x24da};
    EXPECT_EQ(*header, expected);
    EXPECT_EQ(header->payload_length(), 5);
    std::vector<std::byte> out(kUdpHeaderSize);
    EXPECT_EQ(emit_udp(*header, out), kUdpHeaderSize);
    EXPECT_EQ(out, exact_copy(Bytes(bytes).first(8)));
    EXPECT_EQ(emit_udp(*header, MutableBytes(out).first(7)), 0U);

    ChecksumAccumulator sum(pseudo_header_sum(ip("10.9.0.1"), ip("10.9.0.2"), kProtocolUdp, 13));
    sum.add(bytes);
    EXPECT_EQ(sum.finish(), 0);
    const auto bytes6 = payload6_of(kernel_frame::kUdp6);
    ChecksumAccumulator sum6(pseudo_header_sum(ip("fd00::1"), ip("fd00::2"), kProtocolUdp, 13));
    sum6.add(bytes6);
    EXPECT_EQ(sum6.finish(), 0);
    EXPECT_EQ(udp_checksum_field(0), 0xffff);
    EXPECT_EQ(udp_checksum_field(7), 7);
}

TEST(Udp, TruncationsAndBadLengths) {
    const auto bytes = payload4_of(kernel_frame::kUdp4);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_udp(exact_copy(Bytes(bytes).first(size)))) << size;
    }
    for (const unsigned length : {0U, 7U, 14U}) {
        auto bad = bytes;
        bad[5] = static_cast<std::byte>(length);
        EXPECT_FALSE(parse_udp(bad)) << length;
    }
    auto padded = bytes;
    padded.resize(padded.size() + 3);
    EXPECT_TRUE(parse_udp(padded));
}

RC_GTEST_PROP(Icmp, RoundTrip, (std::uint8_t type, std::uint8_t code, std::uint32_t rest)) {
    const auto raw = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    const Bytes body = std::as_bytes(std::span(raw));
    std::vector<std::byte> out(kIcmpHeaderSize + body.size());
    const Icmpv4Message message4{static_cast<Icmpv4Message::Type>(type), code, rest, body};
    RC_ASSERT(emit_icmpv4(message4, out) == out.size());
    const Icmpv4Parse parse4 = parse_icmpv4(out);
    RC_ASSERT(!parse4.error && parse4.message.type == message4.type && parse4.message.code == code);
    RC_ASSERT(parse4.message.rest == rest && exact_copy(parse4.message.body) == exact_copy(body));

    const Icmpv6Message message6{static_cast<Icmpv6Message::Type>(type), code, rest, body};
    RC_ASSERT(emit_icmpv6(message6, ip("fe80::1"), ip("ff02::1"), out) == out.size());
    const Icmpv6Parse parse6 = parse_icmpv6(out, ip("fe80::1"), ip("ff02::1"));
    RC_ASSERT(!parse6.error && parse6.message.type == message6.type && parse6.message.rest == rest);
}

}  // namespace
}  // namespace runnel
