#include "runnel/wire/ipv4.hpp"

#include "runnel/base/checksum.hpp"

namespace runnel {

namespace {

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kOffsetMask = 0x1fff;

constexpr std::uint8_t kOptionEnd = 0, kOptionNop = 1, kOptionLooseRoute = 131,
                       kOptionStrictRoute = 137;

// Walks the options (RFC 791 §3.1). Notes source routes; returns the octet at fault, counted from the
// header's first, or nothing.
std::optional<std::uint8_t> read_options(Bytes options, bool& source_route) {
    ByteReader reader(options);
    while (reader.remaining() > 0) {
        const std::size_t at = reader.position();
        const std::uint8_t kind = reader.u8();
        if (kind == kOptionEnd) {
            break;
        }
        if (kind == kOptionNop) {
            continue;
        }
        const std::uint8_t length = reader.u8();
        if (length >= 2) {
            reader.skip(length - 2U);
        }
        if (!reader.ok() || length < 2) {
            return static_cast<std::uint8_t>(kIpv4HeaderSize + at + 1);
        }
        source_route = source_route || kind == kOptionLooseRoute || kind == kOptionStrictRoute;
    }
    return std::nullopt;
}

bool fragment_is_possible(const Ipv4Header& header) {
    if (header.more_fragments && header.payload_length() % 8 != 0) {
        return false;
    }
    // The reassembled datagram's header is the first fragment's, at least 20 bytes.
    return kIpv4HeaderSize + header.fragment_offset + header.payload_length() <= kIpv4MaxPacket;
}

// What is wrong with the header, once its fields have been read.
std::optional<Ipv4ParseError> validate(Bytes packet, std::size_t packet_size, std::uint8_t version,
                                       Ipv4Header& header, std::uint8_t& error_offset) {
    if (version != 4) {
        return Ipv4ParseError::bad_version;
    }
    if (header.header_length < kIpv4HeaderSize) {
        return Ipv4ParseError::bad_header_length;
    }
    if (header.header_length > packet.size()) {
        return Ipv4ParseError::truncated;
    }
    // RFC 1122 §3.2.1.2: MUST verify the checksum, and drop in silence.
    if (internet_checksum(packet.first(header.header_length)) != 0) {
        return Ipv4ParseError::bad_checksum;
    }
    if (header.total_length < header.header_length) {
        return Ipv4ParseError::bad_total_length;
    }
    if (header.total_length > packet_size) {
        return Ipv4ParseError::truncated;
    }
    if (header.is_fragment() && !fragment_is_possible(header)) {
        return Ipv4ParseError::bad_fragment;
    }
    if (header.header_length > kIpv4HeaderSize) {
        const Bytes options = packet.first(header.header_length).subspan(kIpv4HeaderSize);
        if (const auto offset = read_options(options, header.source_route)) {
            error_offset = *offset;
            return Ipv4ParseError::bad_option;
        }
    }
    return std::nullopt;
}

}  // namespace

Ipv4Parse parse_ipv4(Bytes packet) {
    return parse_ipv4(packet, packet.size());
}

Ipv4Parse parse_ipv4(Bytes packet, std::size_t packet_size) {
    Ipv4Parse parse;
    Ipv4Header& header = parse.header;
    ByteReader reader(packet);
    const std::uint8_t version_and_length = reader.u8();
    header.header_length = static_cast<std::uint8_t>((version_and_length & 0xf) * 4);
    header.traffic_class = reader.u8();
    header.total_length = reader.u16();
    header.identification = reader.u16();
    const std::uint16_t fragmentation = reader.u16();
    header.dont_fragment = (fragmentation & kDontFragment) != 0;
    header.more_fragments = (fragmentation & kMoreFragments) != 0;
    header.fragment_offset = static_cast<std::uint16_t>((fragmentation & kOffsetMask) * 8);
    header.ttl = reader.u8();
    header.protocol = reader.u8();
    header.checksum = reader.u16();
    header.source = IpAddress::v4(reader.u32());
    header.destination = IpAddress::v4(reader.u32());
    if (!reader.ok()) {
        parse.error = Ipv4ParseError::truncated;
    } else {
        parse.error =
            validate(packet, packet_size, version_and_length >> 4, header, parse.error_offset);
    }
    return parse;
}

// The checksum is made from the fields: summing bytes that have just been written would wait for them.
std::size_t emit_ipv4(const Ipv4Header& header, MutableBytes out) {
    const std::uint16_t first = static_cast<std::uint16_t>(0x4500 | header.traffic_class);
    const std::uint16_t fragmentation = static_cast<std::uint16_t>(
        (header.dont_fragment ? kDontFragment : 0) | (header.more_fragments ? kMoreFragments : 0) |
        (header.fragment_offset / 8));
    const std::uint16_t ttl_and_protocol =
        static_cast<std::uint16_t>(header.ttl << 8 | header.protocol);
    const std::uint32_t source = header.source.v4_value();
    const std::uint32_t destination = header.destination.v4_value();
    const std::uint64_t sum = std::uint64_t{source} + destination + first + header.total_length +
                              header.identification + fragmentation + ttl_and_protocol;
    ByteWriter writer(out);
    writer.u16(first);
    writer.u16(header.total_length);
    writer.u16(header.identification);
    writer.u16(fragmentation);
    writer.u16(ttl_and_protocol);
    writer.u16(static_cast<std::uint16_t>(~fold_checksum(sum)));
    writer.u32(source);
    writer.u32(destination);
    return writer.ok() ? writer.position() : 0;
}

}  // namespace runnel
