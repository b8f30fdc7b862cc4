#include "runnel/wire/quoted_datagram.hpp"

#include "runnel/wire/address_io.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

std::optional<QuotedDatagram> parse_quoted_ipv4(Bytes body) {
    ByteReader reader(body);
    QuotedDatagram quoted;
    const std::uint8_t version_and_length = reader.u8();
    reader.skip(1);
    quoted.total_length = reader.u16();
    reader.skip(2);
    quoted.fragment_offset = static_cast<std::uint16_t>((reader.u16() & 0x1fff) * 8);
    reader.skip(1);
    quoted.protocol = reader.u8();
    reader.skip(2);
    quoted.source = IpAddress::v4(reader.u32());
    quoted.destination = IpAddress::v4(reader.u32());
    const std::size_t header_length = (version_and_length & 0xfU) * 4U;
    if (!reader.ok() || version_and_length >> 4 != 4 || header_length < reader.position()) {
        return std::nullopt;
    }
    reader.skip(header_length - reader.position());
    if (!reader.ok()) {
        return std::nullopt;
    }
    quoted.payload = reader.rest();
    return quoted;
}

std::optional<QuotedDatagram> parse_quoted_ipv6(Bytes body) {
    ByteReader reader(body);
    Ipv6Header header;
    const std::uint32_t first_word = reader.u32();
    header.payload_length = reader.u16();
    header.next_header = reader.u8();
    reader.skip(1);
    header.source = read_ipv6_address(reader);
    header.destination = read_ipv6_address(reader);
    if (!reader.ok() || first_word >> 28 != 6 || header.source.is_v4() ||
        header.destination.is_v4()) {
        return std::nullopt;
    }
    const Ipv6Chain chain = walk_ipv6_chain(body, header);
    QuotedDatagram quoted;
    quoted.source = header.source;
    quoted.destination = header.destination;
    quoted.total_length = static_cast<std::uint32_t>(header.total_length());
    if (chain.fragment && chain.protocol == kProtocolFragment && !chain.fragment->atomic()) {
        // What the walk says about the fragment's length and completeness is about the quote's cut.
        quoted.protocol = chain.fragment->next_header;
        quoted.fragment_offset = chain.fragment->fragment_offset;
    } else {
        if (chain.error) {
            return std::nullopt;
        }
        quoted.protocol = chain.protocol;
    }
    quoted.payload = body.subspan(chain.offset);
    return quoted;
}

std::optional<QuotedTcp> parse_quoted_tcp(const QuotedDatagram& datagram) {
    if (datagram.protocol != kProtocolTcp || datagram.fragment_offset != 0) {
        return std::nullopt;
    }
    ByteReader reader(datagram.payload);
    QuotedTcp tcp;
    tcp.source_port = reader.u16();
    tcp.destination_port = reader.u16();
    tcp.seq.value = reader.u32();
    if (!reader.ok()) {
        return std::nullopt;
    }
    return tcp;
}

std::optional<QuotedUdp> parse_quoted_udp(const QuotedDatagram& datagram) {
    if (datagram.protocol != kProtocolUdp || datagram.fragment_offset != 0) {
        return std::nullopt;
    }
    ByteReader reader(datagram.payload);
    QuotedUdp udp;
    udp.source_port = reader.u16();
    udp.destination_port = reader.u16();
    if (!reader.ok()) {
        return std::nullopt;
    }
    return udp;
}

}  // namespace runnel
