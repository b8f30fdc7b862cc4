// What the tests of this room share: bytes from hexadecimal text, and frames that a Linux 6.18 kernel
// exchanged with itself over a veth without offloads, whose checksums tshark found right.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

/// Bytes from hexadecimal digits; blanks are skipped. On the heap and of exact size, so that the address
/// sanitizer sees every read past the end.
inline std::vector<std::byte> hex(std::string_view text) {
    std::vector<std::byte> bytes;
    unsigned value = 0;
    bool half = false;
    for (const char c : text) {
        if (c == ' ' || c == '\n') {
            continue;
        }
        const bool digit = c >= '0' && c <= '9';
        value = value << 4 | static_cast<unsigned>(digit ? c - '0' : c - 'a' + 10);
        if (half) {
            bytes.push_back(static_cast<std::byte>(value & 0xff));
        }
        half = !half;
    }
    bytes.shrink_to_fit();
    return bytes;
}

inline std::vector<std::byte> exact_copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

inline IpAddress ip(std::string_view text) {
    return parse_ip_address(text).value();
}

inline MacAddress mac(std::string_view digits) {
    MacAddress address;
    const auto bytes = hex(digits);
    for (std::size_t i = 0; i < 6; ++i) {
        address.bytes[i] = bytes.at(i);
    }
    return address;
}

namespace kernel_frame {

inline constexpr std::string_view kArpRequest =
    "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 0a090001 000000000000 0a090002";
inline constexpr std::string_view kArpReply =
    "02000000000a 02000000000b 0806 0001 0800 06 04 0002 02000000000b 0a090002 02000000000a 0a090001";
inline constexpr std::string_view kEchoRequest4 =
    "02000000000b 02000000000a 0800 4500002490cb4000400195f90a0900010a090002 0800543512340001"
    "6162636465666768";
inline constexpr std::string_view kEchoReply4 =
    "02000000000a 02000000000b 0800 45000024921f00004001d4a50a0900020a090001 00005c3512340001"
    "6162636465666768";
inline constexpr std::string_view kSyn4 =
    "02000000000b 02000000000a 0800 4500003c8cdd4000400699ca0a0900010a090002"
    "e12a1e6141d2694200000000a002faf0bb080000 020405b4 0402 080a22deb07000000000 01 03030a";
inline constexpr std::string_view kSynAck4 =
    "02000000000a 02000000000b 0800 4500003c00004000400626a80a0900020a090001"
    "1e61e12a91ee478c41d26943a012fe8881f40000 020405b4 0402 080af8f162fe22deb070 01 03030a";
inline constexpr std::string_view kData4 =
    "02000000000b 02000000000a 0800 450000388cdf4000400699cc0a0900010a090002"
    "e12a1e6141d2694391ee478d8018003fd0300000 0101 080a22deb070f8f162fe 70696e67";
inline constexpr std::string_view kUdp4 =
    "02000000000b 02000000000a 0800 45000021f895400040112e220a0900010a090002 830a0009000d24da"
    "68656c6c6f";
inline constexpr std::string_view kPortUnreachable4 =
    "02000000000a 02000000000b 0800 45c0003d923b00004001d3b00a0900020a090001 0303113000000000"
    "45000021f895400040112e220a0900010a090002 830a0009000d24da 68656c6c6f";
inline constexpr std::string_view kMldReport =
    "333300000016 02000000000a 86dd 6000000000240001 00000000000000000000000000000000"
    "ff020000000000000000000000000016 3a00050200000100 8f006f8000000001"
    "04000000ff0200000000000000000001ff00000a";
inline constexpr std::string_view kRouterSolicitation =
    "333300000002 02000000000a 86dd 6000000000103aff fe80000000000000000000fffe00000a"
    "ff020000000000000000000000000002 85007b1a00000000 010102000000000a";
inline constexpr std::string_view kDuplicateAddressProbe =
    "3333ff000002 02000000000b 86dd 6000000000203aff 00000000000000000000000000000000"
    "ff0200000000000000000001ff000002 8700b02000000000 fd000000000000000000000000000002"
    "0e017060b0099f0f";
inline constexpr std::string_view kNeighborSolicitation =
    "3333ff000002 02000000000a 86dd 6000000000203aff fd000000000000000000000000000001"
    "ff0200000000000000000001ff000002 87007d8e00000000 fd000000000000000000000000000002"
    "010102000000000a";
inline constexpr std::string_view kNeighborAdvertisement =
    "02000000000a 02000000000b 86dd 6000000000203aff fd000000000000000000000000000002"
    "fd000000000000000000000000000001 88001c9160000000 fd000000000000000000000000000002"
    "020102000000000b";
inline constexpr std::string_view kEchoRequest6 =
    "02000000000b 02000000000a 86dd 600b9fc000103a40 fd000000000000000000000000000001"
    "fd000000000000000000000000000002 8000e1e512340001 6162636465666768";
inline constexpr std::string_view kSyn6 =
    "02000000000b 02000000000a 86dd 6007ce7e00280640 fd000000000000000000000000000001"
    "fd000000000000000000000000000002 ceb21e61d88840a000000000a002fd207fd00000"
    "020405a0 0402 080a545a768400000000 01 03030a";
inline constexpr std::string_view kUdp6 =
    "02000000000b 02000000000a 86dd 60024072000d1140 fd000000000000000000000000000001"
    "fd000000000000000000000000000002 d74f0009000deaa4 68656c6c6f";
inline constexpr std::string_view kPortUnreachable6 =
    "02000000000a 02000000000b 86dd 600c16c2003d3a40 fd000000000000000000000000000002"
    "fd000000000000000000000000000001 010452dc00000000 60024072000d1140"
    "fd000000000000000000000000000001 fd000000000000000000000000000002 d74f0009000deaa4 68656c6c6f";

inline constexpr std::string_view kAll[] = {
    kArpRequest,
    kArpReply,
    kEchoRequest4,
    kEchoReply4,
    kSyn4,
    kSynAck4,
    kData4,
    kUdp4,
    kPortUnreachable4,
    kMldReport,
    kRouterSolicitation,
    kEchoRequest6,
    kSyn6,
    kUdp6,
    kPortUnreachable6,
    kNeighborSolicitation,
    kNeighborAdvertisement,
    kDuplicateAddressProbe,
};

}  // namespace kernel_frame

/// A kernel's frame without its Ethernet header.
inline std::vector<std::byte> packet_of(std::string_view frame) {
    return exact_copy(Bytes(hex(frame)).subspan(14));
}
/// Without its IPv4 (20 bytes) or IPv6 (40 bytes) header either.
inline std::vector<std::byte> payload4_of(std::string_view frame) {
    return exact_copy(Bytes(hex(frame)).subspan(34));
}
inline std::vector<std::byte> payload6_of(std::string_view frame) {
    return exact_copy(Bytes(hex(frame)).subspan(54));
}

}  // namespace runnel
