// The IPv6 header and the walk over extension headers: where it ends, what each option and routing type has
// it answer, fragments, and that it ends at all.
#include "runnel/wire/ipv6.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/wire/ip_protocol.hpp"
#include "wire_test.hpp"

namespace runnel {
namespace {

/// A packet from fd00::1 to fd00::2 whose first next header is `first`, with these bytes behind.
std::vector<std::byte> packet(std::uint8_t first, std::string_view behind) {
    const auto payload = hex(behind);
    Ipv6Header header;
    header.next_header = first;
    header.payload_length = static_cast<std::uint16_t>(payload.size());
    header.source = ip("fd00::1");
    header.destination = ip("fd00::2");
    std::vector<std::byte> bytes(kIpv6HeaderSize);
    emit_ipv6(header, bytes);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    bytes.shrink_to_fit();
    return bytes;
}

Ipv6Chain walk(Bytes bytes) {
    const Ipv6Parse parse = parse_ipv6(bytes);
    EXPECT_FALSE(parse.error);
    return walk_ipv6_chain(bytes, parse.header);
}
Ipv6Chain walk(std::uint8_t first, std::string_view behind) {
    return walk(packet(first, behind));
}

TEST(Ipv6, ReadsAndWritesAKernelsHeader) {
    const auto bytes = packet_of(kernel_frame::kSyn6);
    const Ipv6Parse parse = parse_ipv6(bytes);
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.header.flow_label, 0x7ce7eU);
    EXPECT_EQ(parse.header.traffic_class, 0);
    EXPECT_EQ(parse.header.payload_length, 40);
    EXPECT_EQ(parse.header.next_header, kProtocolTcp);
    EXPECT_EQ(parse.header.hop_limit, 64);
    EXPECT_EQ(parse.header.source, ip("fd00::1"));
    EXPECT_EQ(parse.header.destination, ip("fd00::2"));
    std::vector<std::byte> out(kIpv6HeaderSize);
    EXPECT_EQ(emit_ipv6(parse.header, out), kIpv6HeaderSize);
    EXPECT_EQ(out, exact_copy(Bytes(bytes).first(40)));
    EXPECT_EQ(emit_ipv6(parse.header, MutableBytes(out).first(39)), 0U);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(parse_ipv6(exact_copy(Bytes(bytes).first(size))).error,
                  Ipv6ParseError::truncated);
    }
}

TEST(Ipv6, BadFields) {
    auto bytes = packet(kProtocolTcp, "00");
    bytes[0] = std::byte{0x45};
    EXPECT_EQ(parse_ipv6(bytes).error, Ipv6ParseError::bad_version);
    // ::ffff:1.2.3.4 would look like an IPv4 address to everything above.
    bytes = packet(kProtocolTcp, "00");
    const auto mapped = hex("00000000000000000000ffff01020304");
    std::copy(mapped.begin(), mapped.end(), bytes.begin() + 8);
    EXPECT_EQ(parse_ipv6(bytes).error, Ipv6ParseError::bad_address);
    bytes = packet(kProtocolTcp, "00");
    std::copy(mapped.begin(), mapped.end(), bytes.begin() + 24);
    EXPECT_EQ(parse_ipv6(bytes).error, Ipv6ParseError::bad_address);
}

TEST(Ipv6, TrafficClassAndFlowLabel) {
    auto bytes = packet(kProtocolTcp, "");
    bytes[0] = std::byte{0x6a};
    bytes[1] = std::byte{0xbc};
    bytes[2] = std::byte{0xde};
    bytes[3] = std::byte{0xf0};
    EXPECT_EQ(parse_ipv6(bytes).header.traffic_class, 0xab);
    EXPECT_EQ(parse_ipv6(bytes).header.ecn(), 3);
    EXPECT_EQ(parse_ipv6(bytes).header.flow_label, 0xcdef0U);
}

TEST(Ipv6Chain, NoExtensionHeaders) {
    const Ipv6Chain chain = walk(packet_of(kernel_frame::kSyn6));
    EXPECT_FALSE(chain.error);
    EXPECT_EQ(chain.protocol, kProtocolTcp);
    EXPECT_EQ(chain.offset, 40U);
    EXPECT_EQ(chain.next_header_at, 6U);
    EXPECT_FALSE(chain.fragment);
}

TEST(Ipv6Chain, AKernelsHopByHopHeaderWithRouterAlert) {
    const Ipv6Chain chain = walk(packet_of(kernel_frame::kMldReport));
    EXPECT_FALSE(chain.error);
    EXPECT_EQ(chain.protocol, kProtocolIcmpv6);
    EXPECT_EQ(chain.offset, 48U);
    EXPECT_EQ(chain.next_header_at, 40U);
}

TEST(Ipv6Chain, AllKindsInARow) {
    const Ipv6Chain chain =
        walk(kProtocolHopByHop,
             "3c00 010400000000"                  // hop-by-hop, PadN
             "2b01 010c000000000000000000000000"  // destination options, 16 bytes
             "3c00 0000 00000000"                 // routing, no segments left
             "0600 000000000000"                  // destination options, six Pad1
             "1234");
    EXPECT_FALSE(chain.error);
    EXPECT_EQ(chain.protocol, kProtocolTcp);
    EXPECT_EQ(chain.offset, 80U);
    EXPECT_EQ(chain.next_header_at, 72U);
}

TEST(Ipv6Chain, UnknownProtocolsAreForTheHostToAnswer) {
    const Ipv6Chain chain = walk(kProtocolDestinationOptions, "fd00 010400000000 00");
    EXPECT_FALSE(chain.error);
    EXPECT_EQ(chain.protocol, 0xfd);
    EXPECT_EQ(chain.next_header_at, 40U) << "the pointer of a code 1 Parameter Problem";
    EXPECT_EQ(walk(kProtocolNoNextHeader, "").protocol, kProtocolNoNextHeader);
}

TEST(Ipv6Chain, HopByHopOptionsElsewhere) {
    const Ipv6Chain chain =
        walk(kProtocolDestinationOptions, "0000 010400000000 0600 010400000000");
    EXPECT_EQ(chain.error, Ipv6ChainError::unrecognised_next_header);
    EXPECT_EQ(chain.answer, Ipv6ChainAnswer::unless_multicast);
    EXPECT_EQ(chain.answer_code, 1);
    EXPECT_EQ(chain.answer_pointer, 40U);
}

// RFC 8200 §4.2.
TEST(Ipv6Chain, UnknownOptionsSayWhatToDo) {
    const auto with_option = [](const char* type) {
        return walk(kProtocolDestinationOptions,
                    std::string("0601 0000 ") + type + "02 0000 010600 0000000000 1234");
    };
    EXPECT_FALSE(with_option("1e").error) << "00: skip";
    EXPECT_FALSE(with_option("3e").error);

    const Ipv6Chain silent = with_option("5e");
    EXPECT_EQ(silent.error, Ipv6ChainError::unrecognised_option);
    EXPECT_EQ(silent.answer, Ipv6ChainAnswer::none);

    const Ipv6Chain always = with_option("9e");
    EXPECT_EQ(always.error, Ipv6ChainError::unrecognised_option);
    EXPECT_EQ(always.answer, Ipv6ChainAnswer::always);
    EXPECT_EQ(always.answer_code, 2);
    EXPECT_EQ(always.answer_pointer, 44U);

    const Ipv6Chain jumbo = with_option("c2");
    EXPECT_EQ(jumbo.error, Ipv6ChainError::unrecognised_option);
    EXPECT_EQ(jumbo.answer, Ipv6ChainAnswer::unless_multicast);
    EXPECT_EQ(jumbo.answer_pointer, 44U);
}

// RFC 8200 §4.4.
TEST(Ipv6Chain, RoutingTypesWithSegmentsLeft) {
    const Ipv6Chain chain = walk(kProtocolRouting, "0600 0001 00000000 1234");
    EXPECT_EQ(chain.error, Ipv6ChainError::unrecognised_routing);
    EXPECT_EQ(chain.answer, Ipv6ChainAnswer::unless_multicast);
    EXPECT_EQ(chain.answer_code, 0);
    EXPECT_EQ(chain.answer_pointer, 42U) << "the routing type";
    EXPECT_FALSE(walk(kProtocolRouting, "0600 0400 00000000 1234").error) << "none left";
}

TEST(Ipv6Chain, Fragments) {
    const auto frame =
        hex("600710 8c 0010 2c40 fd000000000000000000000000000001"
            "fd000000000000000000000000000002 11000001c6503af6 d656000907d88943");
    const Ipv6Chain first = walk(frame);
    EXPECT_FALSE(first.error);
    ASSERT_TRUE(first.fragment);
    EXPECT_EQ(first.protocol, kProtocolFragment);
    EXPECT_EQ(first.offset, 48U);
    const Ipv6Fragment expected{0xc650'3af6, 0, true, kProtocolUdp, 40, 6};
    EXPECT_EQ(*first.fragment, expected);

    const Ipv6Chain last =
        walk(kProtocolDestinationOptions, "2c00 010400000000 1100 05a8 00000001 00");
    EXPECT_FALSE(last.error);
    ASSERT_TRUE(last.fragment);
    EXPECT_EQ(last.fragment->fragment_offset, 0x5a8);
    EXPECT_EQ(last.fragment->header_at, 48U);
    EXPECT_EQ(last.fragment->next_header_at, 40U);
    EXPECT_EQ(last.offset, 56U);

    std::vector<std::byte> out(kIpv6FragmentHeaderSize);
    EXPECT_EQ(emit_ipv6_fragment(expected, out), kIpv6FragmentHeaderSize);
    EXPECT_EQ(out, hex("11000001c6503af6"));
}

// RFC 6946.
TEST(Ipv6Chain, AnAtomicFragmentIsAWholePacket) {
    const Ipv6Chain chain = walk(kProtocolFragment, "0600 0000 00000001 1234");
    EXPECT_FALSE(chain.error);
    ASSERT_TRUE(chain.fragment);
    EXPECT_TRUE(chain.fragment->atomic());
    EXPECT_EQ(chain.protocol, kProtocolTcp);
    EXPECT_EQ(chain.offset, 48U);
}

TEST(Ipv6Chain, FragmentsThatCannotBe) {
    // RFC 8200 §4.5: an inner fragment of 9 bytes; the pointer is the Payload Length field.
    const Ipv6Chain ragged = walk(kProtocolFragment, "1100 0011 00000001 0102030405060708 09");
    EXPECT_EQ(ragged.error, Ipv6ChainError::bad_fragment_length);
    EXPECT_EQ(ragged.answer_code, 0);
    EXPECT_EQ(ragged.answer_pointer, 4U);
    // The last eight bytes would end at 65,536.
    const Ipv6Chain beyond = walk(kProtocolFragment, "1100 fff8 00000001 0102030405060708");
    EXPECT_EQ(beyond.error, Ipv6ChainError::fragment_too_long);
    EXPECT_EQ(beyond.answer_pointer, 42U) << "the Fragment Offset field";
    EXPECT_FALSE(walk(kProtocolFragment, "1100 fff8 00000001 01020304050607").error);
}

// RFC 7112 §5.
TEST(Ipv6Chain, TheFirstFragmentHoldsTheWholeChain) {
    const auto first = [](std::uint8_t next, const char* data) {
        std::string bytes = "xx00 0001 00000001 ";
        bytes[0] = "0123456789abcdef"[next >> 4];
        bytes[1] = "0123456789abcdef"[next & 15];
        return walk(kProtocolFragment, bytes + data).error;
    };
    constexpr auto kIncomplete = Ipv6ChainError::incomplete_first_fragment;
    EXPECT_EQ(first(kProtocolUdp, "0000000000000000"), std::nullopt);
    EXPECT_EQ(first(kProtocolTcp, "0000000000000000 0000000000000000"), kIncomplete);
    EXPECT_EQ(first(kProtocolTcp, "0000000000000000 0000000000000000 0000000000000000"),
              std::nullopt);
    EXPECT_EQ(first(kProtocolDestinationOptions, "1100 010400000000"), kIncomplete);
    EXPECT_EQ(first(kProtocolDestinationOptions, "1101 010400000000"), kIncomplete);
    EXPECT_EQ(first(kProtocolDestinationOptions, "1100 010400000000 0000000000000000"),
              std::nullopt);
    const Ipv6Chain chain = walk(kProtocolFragment, "0600 0001 00000001 0000000000000000");
    EXPECT_EQ(chain.answer, Ipv6ChainAnswer::unless_multicast);
    EXPECT_EQ(chain.answer_code, 3);
    EXPECT_EQ(chain.answer_pointer, 0U);
}

TEST(Ipv6Chain, EveryTruncation) {
    const std::string chain_bytes =
        "3c00 010400000000 2b01 010c000000000000000000000000 2c00 0000 00000000 0600 0000 00000001";
    const std::size_t whole = hex(chain_bytes).size();
    for (std::size_t size = 0; size < whole; ++size) {
        auto bytes = packet(kProtocolHopByHop, chain_bytes);
        bytes.resize(kIpv6HeaderSize + size);
        bytes[4] = std::byte{0};
        bytes[5] = static_cast<std::byte>(size);
        EXPECT_EQ(walk(exact_copy(bytes)).error, Ipv6ChainError::truncated) << size;
    }
    EXPECT_FALSE(walk(kProtocolHopByHop, chain_bytes).error);
}

TEST(Ipv6Chain, DoesNotReadLinkPadding) {
    auto bytes = packet(kProtocolDestinationOptions, "0600 0104");
    bytes.resize(bytes.size() + 20);
    EXPECT_EQ(walk(bytes).error, Ipv6ChainError::truncated);
}

TEST(Ipv6Chain, OptionLengthsPastTheEnd) {
    EXPECT_EQ(walk(kProtocolDestinationOptions, "0600 0105 00000000 1234").error,
              Ipv6ChainError::truncated);
    EXPECT_EQ(walk(kProtocolDestinationOptions, "0600 0102 0000 00 1e 1234").error,
              Ipv6ChainError::truncated)
        << "an option whose length byte is missing";
}

TEST(Ipv6Chain, IsBounded) {
    std::string headers;
    for (std::size_t i = 0; i < kMaxExtensionHeaders; ++i) {
        headers += "3c00 010400000000 ";
    }
    EXPECT_EQ(walk(kProtocolDestinationOptions, headers).error, Ipv6ChainError::too_many);
    headers.replace(headers.size() - 18, 2, "06");
    EXPECT_EQ(walk(kProtocolDestinationOptions, headers).protocol, kProtocolTcp);

    std::string options = "0604 ";
    for (std::size_t i = 0; i < 38; ++i) {
        options += "00";
    }
    EXPECT_EQ(walk(kProtocolDestinationOptions, options).error, Ipv6ChainError::too_many);
}

TEST(Ipv6, DerivedAddresses) {
    EXPECT_EQ(solicited_node_multicast(ip("fd00::12:3456:789a")), ip("ff02::1:ff56:789a"));
    EXPECT_EQ(link_local_address(mac("02000000000a")), ip("fe80::ff:fe00:a")) << "as the kernel's";
    EXPECT_EQ(all_nodes_multicast(), ip("ff02::1"));
    EXPECT_EQ(all_routers_multicast(), ip("ff02::2"));
}

}  // namespace
}  // namespace runnel
