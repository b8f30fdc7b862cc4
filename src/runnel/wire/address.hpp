// Addresses as values. An IpAddress holds either family in 16 bytes: an IPv4 address is kept in the
// IPv4-mapped form (RFC 4291 §2.5.5.2), which is never valid on the wire, so the two can't be confused.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/base/bytes.hpp"

namespace runnel {

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };

class IpAddress {
public:
    /// The unspecified IPv6 address `::`.
    constexpr IpAddress() = default;
    static constexpr IpAddress v4(std::uint32_t host_order) {
        IpAddress a;
        a.bytes_[10] = a.bytes_[11] = std::byte{0xff};
        for (unsigned i = 0; i < 4; ++i) {
            a.bytes_[12 + i] = static_cast<std::byte>((host_order >> (24 - 8 * i)) & 0xff);
        }
        return a;
    }
    static constexpr IpAddress v6(const std::array<std::byte, 16>& bytes) {
        IpAddress a;
        a.bytes_ = bytes;
        return a;
    }
    /// From 4 or 16 bytes in network order; any other size is a broken invariant of the caller.
    static IpAddress from_bytes(Bytes bytes);
    static constexpr IpAddress any(Family family) {
        return family == Family::ipv4 ? v4(0) : IpAddress{};
    }

    constexpr auto operator<=>(const IpAddress&) const = default;
    [[nodiscard]] bool is_v4() const {
        return std::memcmp(bytes_.data(), kMappedPrefix.data(), kMappedPrefix.size()) == 0;
    }
    [[nodiscard]] Family family() const { return is_v4() ? Family::ipv4 : Family::ipv6; }
    [[nodiscard]] std::uint32_t v4_value() const;
    /// The 4 or 16 bytes as on the wire.
    [[nodiscard]] Bytes wire_bytes() const {
        return is_v4() ? Bytes(bytes_).last(4) : Bytes(bytes_);
    }
    [[nodiscard]] const std::array<std::byte, 16>& bytes() const { return bytes_; }

    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_multicast() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_link_local() const;
    /// 255.255.255.255 only; a subnet's broadcast address is known to its interface alone.
    [[nodiscard]] bool is_limited_broadcast() const;

private:
    static constexpr std::array<std::byte, 12> kMappedPrefix = {
        std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
        std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

    std::array<std::byte, 16> bytes_{};
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;
    constexpr auto operator<=>(const Endpoint&) const = default;
};

/// A connection's name (RFC 9293 §3.3.1): local and remote socket.
struct FourTuple {
    Endpoint local;
    Endpoint remote;
    constexpr auto operator<=>(const FourTuple&) const = default;
};

/// An address with the length of its prefix, "10.9.0.2/24" or "fd00::2/64".
struct Cidr {
    IpAddress address;
    std::uint8_t prefix_length = 0;  ///< 0..32 or 0..128, by the address's family
    constexpr bool operator==(const Cidr&) const = default;
    [[nodiscard]] bool contains(const IpAddress& other) const;
};

struct MacAddress {
    std::array<std::byte, 6> bytes{};
    constexpr auto operator<=>(const MacAddress&) const = default;
    [[nodiscard]] bool is_group() const { return (bytes[0] & std::byte{1}) != std::byte{0}; }
    static constexpr MacAddress broadcast() {
        MacAddress m;
        for (auto& b : m.bytes) {
            b = std::byte{0xff};
        }
        return m;
    }
};

/// Text forms: dotted quad, RFC 5952 for IPv6; an endpoint as "1.2.3.4:80" and "[::1]:80".
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
[[nodiscard]] std::string to_string(const Cidr& cidr);
[[nodiscard]] std::string to_string(const MacAddress& mac);
/// Strict: no leading zeros in decimals, no zone, no blanks. "::ffff:1.2.3.4" names the IPv4 address.
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text);
[[nodiscard]] std::optional<Cidr> parse_cidr(std::string_view text);

}  // namespace runnel
