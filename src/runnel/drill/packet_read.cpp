#include "runnel/base/checksum.hpp"
#include "runnel/drill/packet_bytes.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/transport_checksum.hpp"

namespace runnel::drill {

namespace {

std::vector<std::uint8_t> bytes_of(Bytes bytes) {
    std::vector<std::uint8_t> out;
    out.reserve(bytes.size());
    for (const std::byte byte : bytes) {
        out.push_back(std::to_integer<std::uint8_t>(byte));
    }
    return out;
}

/// RFC 9768 §3.2.3: three counters, of which later ones may be left out.
void read_accecn(bool order_1, ByteReader body, TcpOption& option) {
    using Name = TcpOption::Counter::Name;
    option.kind = TcpOption::Kind::accecn;
    const Name names[3] = {order_1 ? Name::e1b : Name::e0b, Name::ceb,
                           order_1 ? Name::e0b : Name::e1b};
    for (const Name name : names) {
        if (body.remaining() < 3) {
            break;
        }
        const std::uint32_t high = body.u8();
        option.counters.push_back({name, high << 16 | body.u16()});
    }
}

/// An option with a length; false: kind and length don't go together, it is shown as bytes.
bool read_known(std::uint8_t kind, ByteReader body, TcpOption& option) {
    using Kind = TcpOption::Kind;
    const std::size_t size = body.remaining();
    switch (kind) {
        case 2:
            option.kind = Kind::mss;
            option.value = body.u16();
            return size == 2;
        case 3:
            option.kind = Kind::wscale;
            option.value = body.u8();
            return size == 1;
        case 4: option.kind = Kind::sack_permitted; return size == 0;
        case 5:
            option.kind = Kind::sack;
            while (body.remaining() >= 8) {
                const std::uint32_t first = body.u32();
                option.blocks.push_back({first, body.u32()});
            }
            return body.remaining() == 0;
        case 8:
            option.kind = Kind::timestamp;
            option.value = body.u32();
            option.echo = body.u32();
            return size == 8;
        case 19:
            option.kind = Kind::md5;
            option.bytes = bytes_of(body.rest());
            return size == 16;
        case 34:
            option.kind = Kind::fast_open;
            option.bytes = bytes_of(body.rest());
            return true;
        case 172:
        case 174: read_accecn(kind == 174, body, option); return size % 3 == 0;
        case 254:
            if (size < 2 || body.u16() != 0xf989) {
                return false;
            }
            option.kind = Kind::fast_open_exp;
            option.bytes = bytes_of(body.rest());
            return true;
        default: return false;
    }
}

bool read_options(ByteReader in, std::vector<TcpOption>& out) {
    while (in.remaining() > 0) {
        TcpOption option;
        const std::uint8_t kind = in.u8();
        if (kind <= 1) {
            option.kind = kind == 0 ? TcpOption::Kind::eol : TcpOption::Kind::nop;
            out.push_back(option);
            if (kind == 0) {
                return true;  // padding follows
            }
            continue;
        }
        const std::uint8_t length = in.u8();
        const Bytes body = length < 2 ? Bytes{} : in.take(length - 2u);
        if (!in.ok() || length < 2) {
            return false;
        }
        if (!read_known(kind, ByteReader(body), option)) {
            option = {};
            option.kind = TcpOption::Kind::other;
            option.value = kind;
            option.bytes = bytes_of(body);
        }
        out.push_back(std::move(option));
    }
    return true;
}

bool checksum_right(const SeenPacket& seen, std::uint8_t protocol, Bytes transport) {
    return transport_checksum(seen.head.source, seen.head.destination, protocol, transport) == 0;
}

void read_tcp(Bytes transport, SeenPacket& seen) {
    ByteReader in(transport);
    TcpPacket packet;
    seen.ports.source = in.u16();
    seen.ports.destination = in.u16();
    packet.sequence.first = in.u32();
    const std::uint32_t ack = in.u32();
    const std::uint16_t offset_flags = in.u16();
    packet.flags.bits = offset_flags & 0x1ff;
    packet.window = in.u16();
    in.skip(2);
    const std::uint16_t urgent = in.u16();
    const std::size_t header = std::size_t{offset_flags} >> 12 << 2;
    if (!in.ok() || header < 20 || header > transport.size()) {
        seen.trouble = "its TCP header is cut short";
        return;
    }
    if (packet.flags.ack()) {
        packet.ack = ack;
    }
    if (packet.flags.urg()) {
        packet.urgent = urgent;
    }
    if (!read_options(ByteReader(in.take(header - 20)), packet.options)) {
        seen.trouble = "its TCP options are malformed";
    }
    if (!packet.options.empty()) {
        packet.options_are = TcpPacket::Options::list;
    }
    packet.sequence.length = static_cast<std::uint32_t>(transport.size() - header);
    packet.sequence.last = packet.sequence.first + packet.sequence.length;
    if (!checksum_right(seen, kProtocolTcp, transport)) {
        seen.trouble = "its TCP checksum is wrong";
    }
    seen.what = std::move(packet);
}

void read_udp(Bytes transport, SeenPacket& seen) {
    ByteReader in(transport);
    seen.ports.source = in.u16();
    seen.ports.destination = in.u16();
    const std::uint16_t length = in.u16();
    const std::uint16_t checksum = in.u16();
    if (!in.ok() || length != transport.size()) {
        seen.trouble = "its UDP length is wrong";
        return;
    }
    if (!(checksum == 0 && seen.head.source.is_v4()) &&
        !checksum_right(seen, kProtocolUdp, transport)) {
        seen.trouble = "its UDP checksum is wrong";
    }
    seen.what = UdpPacket{static_cast<std::uint32_t>(length - 8)};
}

void read_icmp(Bytes transport, bool v4, SeenPacket& seen) {
    ByteReader in(transport);
    IcmpOnWire message;
    message.type = in.u8();
    message.code = in.u8();
    in.skip(2);
    message.rest = in.u32();
    if (!in.ok()) {
        seen.trouble = "its ICMP header is cut short";
        return;
    }
    const Bytes body = in.rest();
    message.body.assign(body.begin(), body.end());
    const bool right =
        v4 ? internet_checksum(transport) == 0 : checksum_right(seen, kProtocolIcmpv6, transport);
    if (!right) {
        seen.trouble = "its ICMP checksum is wrong";
    }
    seen.what = std::move(message);
}

void read_transport(std::uint8_t protocol, Bytes transport, SeenPacket& seen) {
    if (protocol == kProtocolTcp) {
        read_tcp(transport, seen);
    } else if (protocol == kProtocolUdp) {
        read_udp(transport, seen);
    } else if (protocol == kProtocolIcmpv4 || protocol == kProtocolIcmpv6) {
        read_icmp(transport, protocol == kProtocolIcmpv4, seen);
    } else {
        seen.trouble = "it is neither TCP, UDP nor ICMP";
    }
}

}  // namespace

SeenPacket read_packet(Bytes packet) {
    SeenPacket seen;
    if (!packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 == 6) {
        const Ipv6Parse parse = parse_ipv6(packet);
        if (parse.error) {
            seen.trouble = "its IPv6 header is malformed";
            return seen;
        }
        const Ipv6Header& ip = parse.header;
        seen.head = {ip.source, ip.destination, ip.traffic_class, ip.hop_limit, ip.flow_label};
        const Ipv6Chain chain = walk_ipv6_chain(packet, ip);
        read_transport(chain.protocol,
                       packet.subspan(chain.offset, ip.total_length() - chain.offset), seen);
        return seen;
    }
    const Ipv4Parse parse = parse_ipv4(packet);
    if (parse.error) {
        seen.trouble = parse.error == Ipv4ParseError::bad_checksum ? "its IPv4 checksum is wrong"
                                                                   : "its IPv4 header is malformed";
        return seen;
    }
    const Ipv4Header& ip = parse.header;
    seen.head = {ip.source, ip.destination, ip.traffic_class, ip.ttl, 0};
    read_transport(ip.protocol, packet.subspan(ip.header_length, ip.payload_length()), seen);
    return seen;
}

}  // namespace runnel::drill
