// Addresses: text both ways (RFC 4291 §2.2, RFC 5952), kinds, prefixes.
#include "runnel/wire/address.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire_test.hpp"

namespace runnel {
namespace {

TEST(Address, Ipv4Text) {
    EXPECT_EQ(to_string(IpAddress::v4(0x0a09'0002)), "10.9.0.2");
    EXPECT_EQ(parse_ip_address("255.255.255.255"), IpAddress::v4(0xffff'ffff));
    EXPECT_EQ(parse_ip_address("0.0.0.0"), IpAddress::any(Family::ipv4));
    for (const char* wrong : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04",
                              "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4",
                              "1.2.3.+4", "0x1.2.3.4", "1.2.3.1000", "1.2.3.4/24"}) {
        EXPECT_FALSE(parse_ip_address(wrong)) << wrong;
    }
}

TEST(Address, Ipv6TextIsThatOfRfc5952) {
    const std::pair<const char*, const char*> cases[] = {
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::00A", "2001:db8::a"},
        {"2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // §4.2.2: one group is not shortened
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // §4.2.3: the longest run
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // §4.2.3: the first of equals
        {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"::ffff:10.9.0.2", "10.9.0.2"},  // the IPv4-mapped form names the IPv4 address
        {"::ffff:a09:2", "10.9.0.2"},
    };
    for (const auto& [text, canonical] : cases) {
        const auto address = parse_ip_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(to_string(*address), canonical) << text;
    }
}

TEST(Address, Ipv6TextThatIsWrong) {
    for (const char* wrong : {":",
                              ":::",
                              "1:",
                              ":1",
                              "1::2::3",
                              "::1::",
                              "1:2:3:4:5:6:7",
                              "1:2:3:4:5:6:7:8:9",
                              "1:2:3:4:5:6:7:8::",
                              "::1:2:3:4:5:6:7:8",
                              "12345::",
                              "g::",
                              "::1%eth0",
                              "::1.2.3",
                              "1.2.3.4::",
                              "::1.2.3.4:5",
                              "1:2:3:4:5:6:7:1.2.3.4",
                              "::1.2.3.256",
                              "1:2:3:4:5:1.2.3.4",
                              "::1:2:3:4:5:6:1.2.3.4",
                              "[::1]",
                              "::1 ",
                              " ::1",
                              "1:::2",
                              "0::0::0"}) {
        EXPECT_FALSE(parse_ip_address(wrong)) << wrong;
    }
}

RC_GTEST_PROP(Address, TextGoesBothWays, (const std::array<std::uint16_t, 8>& groups)) {
    std::array<std::byte, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i) {
        const unsigned group =
            *rc::gen::element<unsigned>(0, 0, 1, groups[i]);  // runs of zeros too
        bytes[2 * i] = static_cast<std::byte>(group >> 8);
        bytes[2 * i + 1] = static_cast<std::byte>(group & 0xff);
    }
    const IpAddress address = IpAddress::v6(bytes);
    RC_ASSERT(parse_ip_address(to_string(address)) == address);
}

RC_GTEST_PROP(Address, ParsingAnythingIsSafe, (const std::string& noise)) {
    std::string text;
    for (const char c : noise) {
        text += "0123abF:::..%/ "[static_cast<unsigned char>(c) % 15];
    }
    const auto address = parse_ip_address(text);
    if (address) {
        RC_ASSERT(parse_ip_address(to_string(*address)) == address);
    }
    (void)parse_cidr(text);
}

TEST(Address, Kinds) {
    EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
    EXPECT_TRUE(ip("::").is_unspecified());
    EXPECT_FALSE(ip("::1").is_unspecified());
    EXPECT_TRUE(ip("224.0.0.1").is_multicast());
    EXPECT_TRUE(ip("239.255.255.255").is_multicast());
    EXPECT_FALSE(ip("240.0.0.1").is_multicast());
    EXPECT_TRUE(ip("ff02::1").is_multicast());
    EXPECT_TRUE(ip("127.8.8.8").is_loopback());
    EXPECT_TRUE(ip("::1").is_loopback());
    EXPECT_FALSE(ip("1::1").is_loopback());
    EXPECT_TRUE(ip("169.254.1.1").is_link_local());
    EXPECT_TRUE(ip("fe80::1").is_link_local());
    EXPECT_TRUE(ip("febf::1").is_link_local());
    EXPECT_FALSE(ip("fec0::1").is_link_local());
    EXPECT_TRUE(ip("255.255.255.255").is_limited_broadcast());
    EXPECT_FALSE(ip("10.9.0.255").is_limited_broadcast());
    EXPECT_EQ(ip("10.9.0.1").wire_bytes().size(), 4U);
    EXPECT_EQ(ip("fd00::1").wire_bytes().size(), 16U);
    EXPECT_EQ(IpAddress::from_bytes(ip("10.9.0.1").wire_bytes()), ip("10.9.0.1"));
    EXPECT_EQ(IpAddress::from_bytes(ip("fd00::1").wire_bytes()), ip("fd00::1"));
}

TEST(Address, Prefixes) {
    const auto inside = [](const char* cidr, const char* address) {
        return parse_cidr(cidr).value().contains(ip(address));
    };
    EXPECT_TRUE(inside("10.9.0.2/24", "10.9.0.255"));
    EXPECT_FALSE(inside("10.9.0.2/24", "10.9.1.2"));
    EXPECT_TRUE(inside("10.9.0.2/23", "10.9.1.2"));
    EXPECT_TRUE(inside("10.9.0.2/32", "10.9.0.2"));
    EXPECT_FALSE(inside("10.9.0.2/32", "10.9.0.3"));
    EXPECT_TRUE(inside("0.0.0.0/0", "192.0.2.1"));
    EXPECT_FALSE(inside("0.0.0.0/0", "::1"));
    EXPECT_TRUE(inside("fd00::2/64", "fd00::ffff"));
    EXPECT_FALSE(inside("fd00::2/64", "fd00:0:0:1::2"));
    EXPECT_TRUE(inside("::/0", "fd00::1"));
    EXPECT_FALSE(inside("::/0", "10.9.0.1"));
    EXPECT_TRUE(inside("fd00::1/127", "fd00::"));
    EXPECT_FALSE(inside("fd00::1/128", "fd00::"));
    EXPECT_EQ(to_string(parse_cidr("fd00::2/64").value()), "fd00::2/64");
    for (const char* wrong : {"10.9.0.2", "10.9.0.2/", "10.9.0.2/33", "10.9.0.2/024", "fd00::/129",
                              "10.9.0.2/8/8", "/8", "10.9.0.2/-1", "::ffff:10.9.0.2/96"}) {
        EXPECT_FALSE(parse_cidr(wrong)) << wrong;
    }
}

TEST(Address, EndpointsAndMacs) {
    EXPECT_EQ(to_string(Endpoint{ip("10.9.0.2"), 80}), "10.9.0.2:80");
    EXPECT_EQ(to_string(Endpoint{ip("::1"), 65535}), "[::1]:65535");
    EXPECT_EQ(to_string(mac("02000000ab0f")), "02:00:00:00:ab:0f");
    EXPECT_TRUE(MacAddress::broadcast().is_group());
    EXPECT_FALSE(mac("02000000000a").is_group());
}

}  // namespace
}  // namespace runnel
