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

}  // namespace

Ipv4Parse parse_ipv4(Bytes packet) {
    Ipv4Parse parse;
    Ipv4Header& header = parse.header;
    const auto failed = [&](Ipv4ParseError error) {
        parse.error = error;
        return parse;
    };
    ByteReader reader(packet);
    const std::uint8_t version_and_length = reader.u8();
    header.traffic_class = reader.u8();
    header.total_length = reader.u16();
    header.identification = reader.u16();
    const std::uint16_t fragmentation = reader.u16();
    header.ttl = reader.u8();
    header.protocol = reader.u8();
    header.checksum = reader.u16();
    header.source = IpAddress::v4(reader.u32());
    header.destination = IpAddress::v4(reader.u32());
    if (!packet.empty() && version_and_length >> 4 != 4) {
        return failed(Ipv4ParseError::bad_version);
    }
    if (!reader.ok()) {
        return failed(Ipv4ParseError::truncated);
    }

    header.header_length = static_cast<std::uint8_t>((version_and_length & 0xf) * 4);
    if (header.header_length < kIpv4HeaderSize) {
        return failed(Ipv4ParseError::bad_header_length);
    }
    if (header.header_length > packet.size()) {
        return failed(Ipv4ParseError::truncated);
    }
    // RFC 1122 §3.2.1.2: MUST verify the checksum, and drop in silence.
    if (internet_checksum(packet.first(header.header_length)) != 0) {
        return failed(Ipv4ParseError::bad_checksum);
    }
    if (header.total_length < header.header_length) {
        return failed(Ipv4ParseError::bad_total_length);
    }
    if (header.total_length > packet.size()) {
        return failed(Ipv4ParseError::truncated);
    }

    header.dont_fragment = (fragmentation & kDontFragment) != 0;
    header.more_fragments = (fragmentation & kMoreFragments) != 0;
    header.fragment_offset = static_cast<std::uint16_t>((fragmentation & kOffsetMask) * 8);
    if (header.is_fragment() && !fragment_is_possible(header)) {
        return failed(Ipv4ParseError::bad_fragment);
    }

    if (header.header_length > kIpv4HeaderSize) {
        const Bytes options = packet.first(header.header_length).subspan(kIpv4HeaderSize);
        if (const auto offset = read_options(options, header.source_route)) {
            parse.error_offset = *offset;
            return failed(Ipv4ParseError::bad_option);
        }
    }
    return parse;
}

std::size_t emit_ipv4(const Ipv4Header& header, MutableBytes out) {
    ByteWriter writer(out);
    writer.u8(0x45);
    writer.u8(header.traffic_class);
    writer.u16(header.total_length);
    writer.u16(header.identification);
    writer.u16(static_cast<std::uint16_t>((header.dont_fragment ? kDontFragment : 0) |
                                          (header.more_fragments ? kMoreFragments : 0) |
                                          (header.fragment_offset / 8)));
    writer.u8(header.ttl);
    writer.u8(header.protocol);
    writer.u16(0);
    writer.u32(header.source.v4_value());
    writer.u32(header.destination.v4_value());
    if (!writer.ok()) {
        return 0;
    }
    writer.patch_u16(10, internet_checksum(writer.written()));
    return writer.position();
}

}  // namespace runnel
