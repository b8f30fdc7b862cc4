// ICMP for IPv4 (RFC 792, RFC 1191 §4): echo and the errors, which quote the datagram they are about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"

namespace runnel {

inline constexpr std::size_t kIcmpHeaderSize = 8;  ///< of either family

struct Icmpv4Message {
    enum class Type : std::uint8_t {
        echo_reply = 0,
        destination_unreachable = 3,
        source_quench = 4,
        redirect = 5,
        echo_request = 8,
        time_exceeded = 11,
        parameter_problem = 12,
    };
    enum UnreachableCode : std::uint8_t {
        net_unreachable = 0,
        host_unreachable = 1,
        protocol_unreachable = 2,
        port_unreachable = 3,
        fragmentation_needed = 4,
        source_route_failed = 5,
        administratively_prohibited = 13,
    };
    enum TimeExceededCode : std::uint8_t { ttl_exceeded = 0, reassembly_exceeded = 1 };

    Type type{};  ///< may hold a number not named here
    std::uint8_t code = 0;
    std::uint32_t rest = 0;  ///< the header's second word; what it means depends on the type
    Bytes body;              ///< echo data, or the quoted datagram; a view of the parsed bytes

    [[nodiscard]] std::uint16_t identifier() const {
        return static_cast<std::uint16_t>(rest >> 16);
    }
    [[nodiscard]] std::uint16_t sequence() const { return static_cast<std::uint16_t>(rest); }
    /// With fragmentation_needed: bytes; 0 from a router older than RFC 1191.
    [[nodiscard]] std::uint16_t next_hop_mtu() const { return static_cast<std::uint16_t>(rest); }
    /// With parameter_problem: the octet of the quoted datagram.
    [[nodiscard]] std::uint8_t pointer() const { return static_cast<std::uint8_t>(rest >> 24); }
    /// An error about another datagram; such must never be answered with an error (RFC 1122 §3.2.2).
    [[nodiscard]] bool is_error() const;

    static Icmpv4Message echo(Type type, std::uint16_t identifier, std::uint16_t sequence,
                              Bytes data);
    static Icmpv4Message unreachable(std::uint8_t code, Bytes quote,
                                     std::uint16_t next_hop_mtu = 0);
    static Icmpv4Message problem(std::uint8_t code, std::uint8_t pointer, Bytes quote);
};

enum class IcmpParseError : std::uint8_t { truncated, bad_checksum };

struct Icmpv4Parse {
    Icmpv4Message message;
    std::optional<IcmpParseError> error;
};

/// Reads a message (all of an IPv4 packet's payload) and verifies its checksum.
[[nodiscard]] Icmpv4Parse parse_icmpv4(Bytes bytes);

/// Writes header, body and checksum; returns the bytes written, or 0 when they don't fit.
std::size_t emit_icmpv4(const Icmpv4Message& message, MutableBytes out);

}  // namespace runnel
