// Neighbour Discovery: a kernel's messages both ways, each option malformed, truncations and round trips.
#include "runnel/wire/ndp.hpp"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire_test.hpp"

namespace runnel {
namespace {

using Type = Icmpv6Message::Type;

/// The ICMPv6 message in a kernel's frame; `storage` keeps its bytes.
Icmpv6Message message_of(std::string_view frame, std::vector<std::byte>& storage) {
    const auto packet = packet_of(frame);
    storage = payload6_of(frame);
    const Icmpv6Parse parse =
        parse_icmpv6(storage, IpAddress::from_bytes(Bytes(packet).subspan(8, 16)),
                     IpAddress::from_bytes(Bytes(packet).subspan(24, 16)));
    EXPECT_FALSE(parse.error);
    return parse.message;
}

template <class Value>
std::vector<std::byte> emitted(const Value& value, const char* source, const char* destination) {
    std::vector<std::byte> out(400);
    out.resize(emit_ndp(value, ip(source), ip(destination), out));
    EXPECT_FALSE(out.empty());
    std::vector<std::byte> too_short(out.size() - 1);
    EXPECT_EQ(emit_ndp(value, ip(source), ip(destination), too_short), 0U);
    return out;
}

TEST(Ndp, ReadsAndWritesAKernelsMessages) {
    std::vector<std::byte> storage;
    const auto solicitation =
        parse_neighbor_solicitation(message_of(kernel_frame::kNeighborSolicitation, storage));
    ASSERT_TRUE(solicitation);
    EXPECT_EQ(solicitation->target, ip("fd00::2"));
    EXPECT_EQ(solicitation->source_mac, mac("02000000000a"));
    EXPECT_EQ(emitted(*solicitation, "fd00::1", "ff02::1:ff00:2"), storage);

    const auto advertisement =
        parse_neighbor_advertisement(message_of(kernel_frame::kNeighborAdvertisement, storage));
    ASSERT_TRUE(advertisement);
    EXPECT_FALSE(advertisement->router);
    EXPECT_TRUE(advertisement->solicited);
    EXPECT_TRUE(advertisement->override);
    EXPECT_EQ(advertisement->target, ip("fd00::2"));
    EXPECT_EQ(advertisement->target_mac, mac("02000000000b"));
    EXPECT_EQ(emitted(*advertisement, "fd00::2", "fd00::1"), storage);

    const auto router =
        parse_router_solicitation(message_of(kernel_frame::kRouterSolicitation, storage));
    ASSERT_TRUE(router);
    EXPECT_EQ(router->source_mac, mac("02000000000a"));
    EXPECT_EQ(emitted(*router, "fe80::ff:fe00:a", "ff02::2"), storage);

    // Its nonce option (RFC 3971 §5.3.2) is unknown here and skipped.
    const auto probe =
        parse_neighbor_solicitation(message_of(kernel_frame::kDuplicateAddressProbe, storage));
    ASSERT_TRUE(probe);
    EXPECT_EQ(probe->target, ip("fd00::2"));
    EXPECT_FALSE(probe->source_mac);
}

TEST(Ndp, RouterAdvertisement) {
    // Made by hand from RFC 4861 §4.2 and §4.6.
    const auto body =
        hex("00007530 000003e8"
            "0101 020000000001"
            "0501 0000 000005dc"
            "0304 40 c0 00278d00 00093a80 00000000 20010db8000000000000000000000000"
            "1901 000000000000");
    const Icmpv6Message message{Type::router_advertisement, 0, 0x40c0'0708, body};
    const auto value = parse_router_advertisement(message);
    ASSERT_TRUE(value);
    EXPECT_EQ(value->hop_limit, 64);
    EXPECT_TRUE(value->managed);
    EXPECT_TRUE(value->other_config);
    EXPECT_EQ(value->router_lifetime, 1800);
    EXPECT_EQ(value->reachable_time, 30'000U);
    EXPECT_EQ(value->retransmit_timer, 1000U);
    EXPECT_EQ(value->source_mac, mac("020000000001"));
    EXPECT_EQ(value->mtu, 1500U);
    ASSERT_EQ(value->prefixes.size(), 1U);
    const PrefixInformation expected{ip("2001:db8::"), 64, true, true, 2'592'000, 604'800};
    EXPECT_EQ(value->prefixes[0], expected);
}

TEST(Ndp, PrefixesAreBounded) {
    RouterAdvertisement value;
    for (std::size_t i = 0; i < kMaxNdpPrefixes; ++i) {
        value.prefixes.push_back(
            {ip("2001:db8::"), static_cast<std::uint8_t>(i), true, false, 1, 1});
    }
    auto bytes = emitted(value, "fe80::1", "ff02::1");
    const auto body_at = static_cast<std::ptrdiff_t>(kIcmpHeaderSize);
    std::vector<std::byte> body(bytes.begin() + body_at, bytes.end());
    const std::vector<std::byte> one_more(body.end() - 32, body.end());
    body.insert(body.end(), one_more.begin(), one_more.end());
    const auto parsed = parse_router_advertisement({Type::router_advertisement, 0, 0, body});
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->prefixes, value.prefixes);
}

TEST(Ndp, SenselessPrefixesAreLeftOut) {
    const auto with_prefix = [](const char* length, const char* prefix) {
        const auto body = hex(std::string("00000000 00000000 0304") + length +
                              "c0 00000001 00000001 00000000" + prefix);
        const auto value = parse_router_advertisement({Type::router_advertisement, 0, 0, body});
        return value ? value->prefixes.size() : 99;
    };
    EXPECT_EQ(with_prefix("80", "20010db8000000000000000000000000"), 1U);
    EXPECT_EQ(with_prefix("81", "20010db8000000000000000000000000"), 0U);
    EXPECT_EQ(with_prefix("60", "00000000000000000000ffff00000000"), 0U);
}

// RFC 4861 §7.1.1, §7.1.2, §6.1: what makes a message invalid.
TEST(Ndp, InvalidMessages) {
    const auto good = hex("fd000000000000000000000000000002 0101 02000000000a");
    const auto valid = [](Type type, std::uint8_t code, const std::vector<std::byte>& body) {
        return parse_neighbor_solicitation({type, code, 0, body}).has_value();
    };
    EXPECT_TRUE(valid(Type::neighbor_solicitation, 0, good));
    EXPECT_FALSE(valid(Type::neighbor_advertisement, 0, good));
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 1, good));
    auto bad = good;
    bad[0] = std::byte{0xff};
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 0, bad)) << "a multicast target";
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 0,
                       hex("00000000000000000000ffff0a090001 0101 02000000000a")))
        << "an IPv4-mapped target";
    bad = good;
    bad[17] = std::byte{0};
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 0, bad)) << "an option of length 0";
    bad[17] = std::byte{2};
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 0, bad)) << "an option past the end";
    bad = good;
    for (std::size_t i = 0; i < kMaxNdpOptions; ++i) {
        const auto option = hex("fd01 000000000000");
        bad.insert(bad.end(), option.begin(), option.end());
    }
    EXPECT_FALSE(valid(Type::neighbor_solicitation, 0, bad)) << "too many options";
}

TEST(Ndp, OptionsOfAnotherLengthAreIgnored) {
    const auto body = hex("fd000000000000000000000000000002 0102 0200000000000000 000000000000");
    const auto value = parse_neighbor_solicitation({Type::neighbor_solicitation, 0, 0, body});
    ASSERT_TRUE(value);
    EXPECT_FALSE(value->source_mac);
    const auto router =
        hex("00000000 00000000 0502 0000000005dc 0000000000000000"
            "0301 40c000000000");
    const auto advertisement =
        parse_router_advertisement({Type::router_advertisement, 0, 0, router});
    ASSERT_TRUE(advertisement);
    EXPECT_FALSE(advertisement->mtu);
    EXPECT_TRUE(advertisement->prefixes.empty());
}

TEST(Ndp, EveryTruncation) {
    // Whole messages are those that end before or behind the option.
    const auto body = hex("fd000000000000000000000000000002 0201 02000000000a");
    for (std::size_t size = 0; size <= body.size(); ++size) {
        const auto cut = exact_copy(Bytes(body).first(size));
        const bool whole = size == 16 || size == 24;
        EXPECT_EQ(parse_neighbor_solicitation({Type::neighbor_solicitation, 0, 0, cut}).has_value(),
                  whole);
        EXPECT_EQ(
            parse_neighbor_advertisement({Type::neighbor_advertisement, 0, 0, cut}).has_value(),
            whole);
    }
    const auto redirect =
        hex("fe800000000000000000000000000001 20010db8000000000000000000000001"
            "0201 02000000000a");
    for (std::size_t size = 0; size <= redirect.size(); ++size) {
        const auto cut = exact_copy(Bytes(redirect).first(size));
        EXPECT_EQ(parse_redirect({Type::redirect, 0, 0, cut}).has_value(), size == 32 || size == 40)
            << size;
    }
    const auto router = hex("00000000 00000000 0101 020000000001");
    for (std::size_t size = 0; size <= router.size(); ++size) {
        const auto cut = exact_copy(Bytes(router).first(size));
        EXPECT_EQ(parse_router_advertisement({Type::router_advertisement, 0, 0, cut}).has_value(),
                  size == 8 || size == 16)
            << size;
    }
}

std::optional<MacAddress> any_mac() {
    if (*rc::gen::arbitrary<bool>()) {
        return std::nullopt;
    }
    MacAddress address;
    for (std::byte& byte : address.bytes) {
        byte = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    }
    return address;
}

IpAddress any_unicast() {
    std::array<std::byte, 16> bytes{};
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    }
    bytes[0] = std::byte{0xfd};
    return IpAddress::v6(bytes);
}

/// Emits, parses as ICMPv6 and gives the message to `parse`.
template <class Value, class Parse>
void round_trip(const Value& value, Parse&& parse) {
    std::vector<std::byte> out(400);
    out.resize(emit_ndp(value, ip("fe80::1"), ip("ff02::1"), out));
    const Icmpv6Parse message = parse_icmpv6(out, ip("fe80::1"), ip("ff02::1"));
    RC_ASSERT(!message.error);
    RC_ASSERT(parse(message.message) == value);
}

RC_GTEST_PROP(Ndp, RoundTrip, (bool a, bool b, bool c, std::uint32_t number)) {
    round_trip(RouterSolicitation{any_mac()}, parse_router_solicitation);
    round_trip(NeighborSolicitation{any_unicast(), any_mac()}, parse_neighbor_solicitation);
    round_trip(NeighborAdvertisement{a, b, c, any_unicast(), any_mac()},
               parse_neighbor_advertisement);
    round_trip(Redirect{any_unicast(), any_unicast(), any_mac()}, parse_redirect);
    RouterAdvertisement router;
    router.hop_limit = static_cast<std::uint8_t>(number);
    router.managed = a;
    router.other_config = b;
    router.router_lifetime = static_cast<std::uint16_t>(number >> 8);
    router.reachable_time = number;
    router.retransmit_timer = ~number;
    router.source_mac = any_mac();
    if (c) {
        router.mtu = number;
    }
    for (std::size_t i = number % (kMaxNdpPrefixes + 1); i > 0; --i) {
        router.prefixes.push_back(
            {any_unicast(), static_cast<std::uint8_t>(i * 16), a, b, number, number / 2});
    }
    round_trip(router, parse_router_advertisement);
}

}  // namespace
}  // namespace runnel
