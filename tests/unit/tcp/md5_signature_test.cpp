// RFC 2385 against packets that Linux 6.18 signed: a connection over loopback with the key "secret", "hello" in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"

namespace runnel::tcp {
namespace {

constexpr std::string_view kPackets[] = {
    // SYN, SYN,ACK, ACK, data, ACK, FIN, RST
    "450000484c8d40004006f0207f0000017f000001beda13887dd581c200000000d002ffd7fe3c0000010113125e597406"
    "373a1f8138da2f5c20a8c3e60204ffd7010104020103030a",
    "450000480000400040063cae7f0000017f0000011388bedaa85657dd7dd581c3d012ffd7fe3c000001011312859430ba"
    "11c9079ef0d1f05eb3a29dae0204ffd7010104020103030a",
    "4500003c4c8e40004006f02b7f0000017f000001beda13887dd581c3a85657dea0100040fe300000010113128e3c8630"
    "8a0e660c047f2fee00a5cb2c",
    "450000414c8f40004006f0257f0000017f000001beda13887dd581c3a85657dea0180040fe350000010113126c360452"
    "960caee4fa35c1501f5ba54568656c6c6f",
    "4500003c318c400040060b2e7f0000017f0000011388bedaa85657de7dd581c8a0100040fe30000001011312a82b90ad"
    "5e0fdb9bd44fc014bd536e1c",
    "4500003c4c9040004006f0297f0000017f000001beda13887dd581c8a85657dea0110040fe30000001011312166bbfe7"
    "d302a67d28d1c1680501d88b",
    "4500003c318d400040060b2d7f0000017f0000011388bedaa85657de7dd581c9a0140040fe30000001011312a823c210"
    "b8008eac22ef053dc71d1ce7"};

std::vector<std::byte> bytes_of(std::string_view hex) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    }
    return bytes;
}

Md5Key key_of(std::string_view text) {
    Md5Key key;
    key.peer = IpAddress::v4(0x7f00'0001);
    key.prefix = 32;
    const Bytes bytes = as_bytes(text);
    key.bytes.assign(bytes.begin(), bytes.end());
    return key;
}

TEST(Md5Signature, WhatLinuxSigned) {
    BufferPool pool(1 << 20);
    const Md5Key right = key_of("secret");
    const Md5Key wrong = key_of("Secret");
    const IpAddress self = IpAddress::v4(0x7f00'0001);
    for (const std::string_view hex : kPackets) {
        const std::vector<std::byte> packet = bytes_of(hex);
        const Bytes segment = Bytes(packet).subspan(20);
        const TcpParse parse = parse_tcp(segment);
        ASSERT_FALSE(parse.error);
        const TcpHeader& header = parse.header;
        SliceList payload;
        if (segment.size() > header.header_length) {
            payload.push_back(pool.copy(segment.subspan(header.header_length)));
        }
        const FourTuple arriving{{self, header.destination_port}, {self, header.source_port}};
        EXPECT_EQ(check_signature(arriving, header, payload, &right), std::nullopt) << hex;
        EXPECT_EQ(check_signature(arriving, header, payload, &wrong), Decision::tcp_drop_md5_bad);
        EXPECT_EQ(check_signature(arriving, header, payload, nullptr),
                  Decision::tcp_drop_md5_unexpected);
        // Made by us, it would be the same to the octet.
        TcpHeader made = header;
        made.options.md5.reset();
        EXPECT_EQ(check_signature(arriving, made, payload, &right), Decision::tcp_drop_md5_missing);
        sign({arriving.remote, arriving.local}, made, payload, right);
        std::vector<std::byte> out(60);
        out.resize(emit_tcp(made, out));
        EXPECT_TRUE(std::ranges::equal(out, segment.first(header.header_length))) << hex;
    }
}

TEST(Md5Signature, APrefixCoversANetworkOfItsFamily) {
    Md5Key key = key_of("k");
    key.prefix = 8;
    EXPECT_TRUE(key.covers(IpAddress::v4(0x7f12'3456)));
    EXPECT_FALSE(key.covers(IpAddress::v4(0x0a00'0001)));
    EXPECT_FALSE(key.covers(*parse_ip_address("::1")));
    key.prefix = 0;
    EXPECT_TRUE(key.covers(IpAddress::v4(0x0a00'0001)));
    EXPECT_FALSE(key.covers(*parse_ip_address("::1")));
}

}  // namespace
}  // namespace runnel::tcp
