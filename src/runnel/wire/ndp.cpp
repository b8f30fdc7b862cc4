#include "runnel/wire/ndp.hpp"

#include <array>

#include "runnel/wire/address_io.hpp"

namespace runnel {

namespace {

using Type = Icmpv6Message::Type;

// RFC 4861 §4.6. Lengths count units of eight bytes, type and length included.
constexpr std::uint8_t kSourceMac = 1, kTargetMac = 2, kPrefix = 3, kMtu = 5;
constexpr std::uint8_t kMacUnits = 1, kPrefixUnits = 4, kMtuUnits = 1;

// The longest message: an advertisement with all its options.
constexpr std::size_t kMaxBody = 8 + 8 + 8 + kMaxNdpPrefixes * 32;

// Calls visit(type, units, body) for each option; false when one has length 0 or runs past the end (the
// message is invalid then: RFC 4861 §6.1.1 and on), or there are too many.
template <class F>
bool for_each_option(Bytes bytes, F&& visit) {
    ByteReader reader(bytes);
    for (std::size_t count = 0; reader.remaining() > 0; ++count) {
        const std::uint8_t type = reader.u8();
        const std::uint8_t units = reader.u8();
        if (units == 0 || count == kMaxNdpOptions) {
            return false;
        }
        const Bytes body = reader.take(units * 8U - 2U);
        if (!reader.ok()) {
            return false;
        }
        visit(type, units, body);
    }
    return true;
}

// The one option that most messages have; others are ignored (RFC 4861 §4.6), as is one whose length is
// not that of an Ethernet address.
bool read_mac_option(Bytes options, std::uint8_t wanted, std::optional<MacAddress>& mac) {
    return for_each_option(options, [&](std::uint8_t type, std::uint8_t units, Bytes body) {
        ByteReader reader(body);
        if (type == wanted && units == kMacUnits && !mac) {
            mac = read_mac(reader);
        }
    });
}

bool is_valid(const Icmpv6Message& message, Type type) {
    return message.type == type && message.code == 0;
}

void write_mac_option(ByteWriter& writer, std::uint8_t type, const std::optional<MacAddress>& mac) {
    if (!mac) {
        return;
    }
    writer.u8(type);
    writer.u8(kMacUnits);
    writer.put(mac->bytes);
}

void read_prefix(ByteReader reader, RouterAdvertisement& value) {
    PrefixInformation prefix;
    prefix.prefix_length = reader.u8();
    const std::uint8_t flags = reader.u8();
    prefix.on_link = (flags & 0x80) != 0;
    prefix.autonomous = (flags & 0x40) != 0;
    prefix.valid_lifetime = reader.u32();
    prefix.preferred_lifetime = reader.u32();
    reader.skip(4);
    prefix.prefix = read_ipv6_address(reader);
    if (prefix.prefix_length > 128 || prefix.prefix.is_v4()) {
        return;
    }
    if (value.prefixes.size() < value.prefixes.capacity()) {
        value.prefixes.push_back(prefix);
    }
}

void write_prefix(ByteWriter& writer, const PrefixInformation& prefix) {
    writer.u8(kPrefix);
    writer.u8(kPrefixUnits);
    writer.u8(prefix.prefix_length);
    writer.u8(
        static_cast<std::uint8_t>((prefix.on_link ? 0x80 : 0) | (prefix.autonomous ? 0x40 : 0)));
    writer.u32(prefix.valid_lifetime);
    writer.u32(prefix.preferred_lifetime);
    writer.u32(0);
    writer.put(prefix.prefix.bytes());
}

std::size_t emit(Type type, std::uint32_t rest, const ByteWriter& body, const IpAddress& source,
                 const IpAddress& destination, MutableBytes out) {
    return emit_icmpv6({type, 0, rest, body.written()}, source, destination, out);
}

}  // namespace

std::optional<RouterSolicitation> parse_router_solicitation(const Icmpv6Message& message) {
    RouterSolicitation value;
    if (!is_valid(message, Type::router_solicitation)) {
        return std::nullopt;
    }
    if (!read_mac_option(message.body, kSourceMac, value.source_mac)) {
        return std::nullopt;
    }
    return value;
}

std::optional<RouterAdvertisement> parse_router_advertisement(const Icmpv6Message& message) {
    RouterAdvertisement value;
    if (!is_valid(message, Type::router_advertisement)) {
        return std::nullopt;
    }
    value.hop_limit = static_cast<std::uint8_t>(message.rest >> 24);
    value.managed = (message.rest & 0x0080'0000) != 0;
    value.other_config = (message.rest & 0x0040'0000) != 0;
    value.router_lifetime = static_cast<std::uint16_t>(message.rest);
    ByteReader reader(message.body);
    value.reachable_time = reader.u32();
    value.retransmit_timer = reader.u32();
    if (!reader.ok()) {
        return std::nullopt;
    }
    const bool options_valid =
        for_each_option(reader.rest(), [&](std::uint8_t type, std::uint8_t units, Bytes body) {
            ByteReader option(body);
            if (type == kSourceMac && units == kMacUnits && !value.source_mac) {
                value.source_mac = read_mac(option);
            } else if (type == kMtu && units == kMtuUnits) {
                option.skip(2);
                value.mtu = option.u32();
            } else if (type == kPrefix && units == kPrefixUnits) {
                read_prefix(option, value);
            }
        });
    if (!options_valid) {
        return std::nullopt;
    }
    return value;
}

std::optional<NeighborSolicitation> parse_neighbor_solicitation(const Icmpv6Message& message) {
    NeighborSolicitation value;
    if (!is_valid(message, Type::neighbor_solicitation)) {
        return std::nullopt;
    }
    ByteReader reader(message.body);
    value.target = read_ipv6_address(reader);
    if (!reader.ok() || value.target.is_v4() || value.target.is_multicast()) {
        return std::nullopt;
    }
    if (!read_mac_option(reader.rest(), kSourceMac, value.source_mac)) {
        return std::nullopt;
    }
    return value;
}

std::optional<NeighborAdvertisement> parse_neighbor_advertisement(const Icmpv6Message& message) {
    NeighborAdvertisement value;
    if (!is_valid(message, Type::neighbor_advertisement)) {
        return std::nullopt;
    }
    value.router = (message.rest & 0x8000'0000) != 0;
    value.solicited = (message.rest & 0x4000'0000) != 0;
    value.override = (message.rest & 0x2000'0000) != 0;
    ByteReader reader(message.body);
    value.target = read_ipv6_address(reader);
    if (!reader.ok() || value.target.is_v4() || value.target.is_multicast()) {
        return std::nullopt;
    }
    if (!read_mac_option(reader.rest(), kTargetMac, value.target_mac)) {
        return std::nullopt;
    }
    return value;
}

std::optional<Redirect> parse_redirect(const Icmpv6Message& message) {
    Redirect value;
    if (!is_valid(message, Type::redirect)) {
        return std::nullopt;
    }
    ByteReader reader(message.body);
    value.target = read_ipv6_address(reader);
    value.destination = read_ipv6_address(reader);
    if (!reader.ok() || value.target.is_v4() || value.target.is_multicast() ||
        value.destination.is_v4() || value.destination.is_multicast()) {
        return std::nullopt;
    }
    if (!read_mac_option(reader.rest(), kTargetMac, value.target_mac)) {
        return std::nullopt;
    }
    return value;
}

std::size_t emit_ndp(const RouterSolicitation& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out) {
    std::array<std::byte, kMaxBody> storage;
    ByteWriter body(storage);
    write_mac_option(body, kSourceMac, value.source_mac);
    return emit(Type::router_solicitation, 0, body, source, destination, out);
}

std::size_t emit_ndp(const RouterAdvertisement& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out) {
    std::array<std::byte, kMaxBody> storage;
    ByteWriter body(storage);
    body.u32(value.reachable_time);
    body.u32(value.retransmit_timer);
    write_mac_option(body, kSourceMac, value.source_mac);
    if (value.mtu) {
        body.u8(kMtu);
        body.u8(kMtuUnits);
        body.u16(0);
        body.u32(*value.mtu);
    }
    for (const PrefixInformation& prefix : value.prefixes) {
        write_prefix(body, prefix);
    }
    const std::uint32_t rest = std::uint32_t{value.hop_limit} << 24 |
                               (value.managed ? 0x0080'0000U : 0U) |
                               (value.other_config ? 0x0040'0000U : 0U) | value.router_lifetime;
    return emit(Type::router_advertisement, rest, body, source, destination, out);
}

std::size_t emit_ndp(const NeighborSolicitation& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out) {
    std::array<std::byte, kMaxBody> storage;
    ByteWriter body(storage);
    body.put(value.target.bytes());
    write_mac_option(body, kSourceMac, value.source_mac);
    return emit(Type::neighbor_solicitation, 0, body, source, destination, out);
}

std::size_t emit_ndp(const NeighborAdvertisement& value, const IpAddress& source,
                     const IpAddress& destination, MutableBytes out) {
    std::array<std::byte, kMaxBody> storage;
    ByteWriter body(storage);
    body.put(value.target.bytes());
    write_mac_option(body, kTargetMac, value.target_mac);
    const std::uint32_t rest = (value.router ? 0x8000'0000U : 0U) |
                               (value.solicited ? 0x4000'0000U : 0U) |
                               (value.override ? 0x2000'0000U : 0U);
    return emit(Type::neighbor_advertisement, rest, body, source, destination, out);
}

std::size_t emit_ndp(const Redirect& value, const IpAddress& source, const IpAddress& destination,
                     MutableBytes out) {
    std::array<std::byte, kMaxBody> storage;
    ByteWriter body(storage);
    body.put(value.target.bytes());
    body.put(value.destination.bytes());
    write_mac_option(body, kTargetMac, value.target_mac);
    return emit(Type::redirect, 0, body, source, destination, out);
}

}  // namespace runnel
