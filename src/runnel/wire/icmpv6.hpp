// ICMPv6 (RFC 4443): echo and the errors. Neighbour Discovery's messages are values of their own in
// ndp.hpp, made from and turned into this one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/icmpv4.hpp"

namespace runnel {

struct Icmpv6Message {
    enum class Type : std::uint8_t {
        destination_unreachable = 1,
        packet_too_big = 2,
        time_exceeded = 3,
        parameter_problem = 4,
        echo_request = 128,
        echo_reply = 129,
        router_solicitation = 133,
        router_advertisement = 134,
        neighbor_solicitation = 135,
        neighbor_advertisement = 136,
        redirect = 137,
    };
    enum UnreachableCode : std::uint8_t {
        no_route = 0,
        administratively_prohibited = 1,
        beyond_scope = 2,
        address_unreachable = 3,
        port_unreachable = 4,
        policy_failed = 5,
        route_rejected = 6,
    };
    enum TimeExceededCode : std::uint8_t { hop_limit_exceeded = 0, reassembly_exceeded = 1 };
    enum ProblemCode : std::uint8_t {
        erroneous_field = 0,
        unrecognised_next_header = 1,
        unrecognised_option = 2,
        incomplete_first_fragment = 3,  ///< RFC 7112 §6
    };

    Type type{};  ///< may hold a number not named here
    std::uint8_t code = 0;
    std::uint32_t rest = 0;  ///< the header's second word; what it means depends on the type
    Bytes body;  ///< echo data, the quoted packet, or NDP's fields; a view of the parsed bytes

    [[nodiscard]] std::uint16_t identifier() const {
        return static_cast<std::uint16_t>(rest >> 16);
    }
    [[nodiscard]] std::uint16_t sequence() const { return static_cast<std::uint16_t>(rest); }
    [[nodiscard]] std::uint32_t mtu() const { return rest; }      ///< with packet_too_big, bytes
    [[nodiscard]] std::uint32_t pointer() const { return rest; }  ///< with parameter_problem
    /// Types below 128 are errors; such must never be answered with an error (RFC 4443 §2.4 (e.1)).
    [[nodiscard]] bool is_error() const { return static_cast<std::uint8_t>(type) < 128; }

    static Icmpv6Message echo(Type type, std::uint16_t identifier, std::uint16_t sequence,
                              Bytes data);
    /// An error with the quoted packet; `rest` is the MTU or the pointer, where the type has one.
    static Icmpv6Message error(Type type, std::uint8_t code, std::uint32_t rest, Bytes quote);
};

struct Icmpv6Parse {
    Icmpv6Message message;
    std::optional<IcmpParseError> error;
};

/// Reads a message (all of the upper-layer bytes) and verifies its checksum, which covers a pseudo-header
/// with the packet's addresses (RFC 4443 §2.3).
[[nodiscard]] Icmpv6Parse parse_icmpv6(Bytes bytes, const IpAddress& source,
                                       const IpAddress& destination);

/// Writes header, body and checksum; returns the bytes written, or 0 when they don't fit.
std::size_t emit_icmpv6(const Icmpv6Message& message, const IpAddress& source,
                        const IpAddress& destination, MutableBytes out);

}  // namespace runnel
