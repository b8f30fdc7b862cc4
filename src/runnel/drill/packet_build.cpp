#include <algorithm>
#include <utility>

#include "runnel/base/checksum.hpp"
#include "runnel/drill/packet_bytes.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/transport_checksum.hpp"

namespace runnel::drill {

namespace {

constexpr std::size_t kMaxOptionBytes = 40;
constexpr std::uint16_t kFastOpenMagic =
    0xf989;  // RFC 6994, as registered for RFC 7413's experiment
constexpr std::size_t kMaxIpPayload = 65'535;

std::size_t option_size(const TcpOption& option) {
    using Kind = TcpOption::Kind;
    switch (option.kind) {
        case Kind::eol:
        case Kind::nop: return 1;
        case Kind::mss: return 4;
        case Kind::wscale: return 3;
        case Kind::sack_permitted: return 2;
        case Kind::sack: return 2 + 8 * option.blocks.size();
        case Kind::timestamp: return 10;
        case Kind::fast_open: return 2 + option.bytes.size();
        case Kind::fast_open_exp: return 4 + option.bytes.size();
        case Kind::md5: return 18;
        case Kind::accecn: return 2 + 3 * option.counters.size();
        case Kind::other: return 2 + option.bytes.size();
    }
    return 0;
}

void put_bytes(ByteWriter& out, const std::vector<std::uint8_t>& bytes) {
    for (const std::uint8_t byte : bytes) {
        out.u8(byte);
    }
}

/// RFC 9768 §3.2.3: kind 172 begins with the ECT(0) counter, kind 174 with the one of ECT(1).
std::uint8_t accecn_kind(const TcpOption& option) {
    const bool order_1 =
        !option.counters.empty() && option.counters.front().name == TcpOption::Counter::Name::e1b;
    return order_1 ? 174 : 172;
}

void put_lengthy(ByteWriter& out, const TcpOption& option) {
    const auto size = static_cast<std::uint8_t>(option_size(option));
    switch (option.kind) {
        case TcpOption::Kind::sack:
            out.u8(5);
            out.u8(size);
            for (const SackRange& block : option.blocks) {
                out.u32(block.first);
                out.u32(block.last);
            }
            break;
        case TcpOption::Kind::fast_open:
            out.u8(34);
            out.u8(size);
            put_bytes(out, option.bytes);
            break;
        case TcpOption::Kind::fast_open_exp:
            out.u8(254);
            out.u8(size);
            out.u16(kFastOpenMagic);
            put_bytes(out, option.bytes);
            break;
        case TcpOption::Kind::md5:
            out.u8(19);
            out.u8(size);
            put_bytes(out, option.bytes);
            out.zeros(16 - std::min<std::size_t>(16, option.bytes.size()));
            break;
        case TcpOption::Kind::accecn:
            out.u8(accecn_kind(option));
            out.u8(size);
            for (const TcpOption::Counter& counter : option.counters) {
                out.u8(static_cast<std::uint8_t>(counter.value >> 16));
                out.u16(static_cast<std::uint16_t>(counter.value));
            }
            break;
        default:
            out.u8(static_cast<std::uint8_t>(option.value.value_or(253)));
            out.u8(size);
            put_bytes(out, option.bytes);
            break;
    }
}

void put_option(ByteWriter& out, const TcpOption& option) {
    switch (option.kind) {
        case TcpOption::Kind::eol: out.u8(0); break;
        case TcpOption::Kind::nop: out.u8(1); break;
        case TcpOption::Kind::mss:
            out.u8(2);
            out.u8(4);
            out.u16(static_cast<std::uint16_t>(option.value.value_or(0)));
            break;
        case TcpOption::Kind::wscale:
            out.u8(3);
            out.u8(3);
            out.u8(static_cast<std::uint8_t>(option.value.value_or(0)));
            break;
        case TcpOption::Kind::sack_permitted:
            out.u8(4);
            out.u8(2);
            break;
        case TcpOption::Kind::timestamp:
            out.u8(8);
            out.u8(10);
            out.u32(option.value.value_or(0));
            out.u32(option.echo.value_or(0));
            break;
        default: put_lengthy(out, option);
    }
}

/// Writes the IP header; the place behind it is where `length` bytes of payload go.
std::size_t put_ip(const IpHead& head, std::uint8_t protocol, std::size_t length,
                   MutableBytes out) {
    if (head.source.is_v4()) {
        Ipv4Header ip;
        ip.traffic_class = head.traffic_class;
        ip.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + length);
        ip.dont_fragment = true;
        ip.ttl = head.ttl;
        ip.protocol = protocol;
        ip.source = head.source;
        ip.destination = head.destination;
        return emit_ipv4(ip, out);
    }
    Ipv6Header ip;
    ip.traffic_class = head.traffic_class;
    ip.flow_label = head.flow_label;
    ip.payload_length = static_cast<std::uint16_t>(length);
    ip.next_header = protocol;
    ip.hop_limit = head.ttl;
    ip.source = head.source;
    ip.destination = head.destination;
    return emit_ipv6(ip, out);
}

std::size_t ip_size(const IpHead& head) {
    return head.source.is_v4() ? kIpv4HeaderSize : kIpv6HeaderSize;
}

bool fits(const IpHead& head, std::size_t length) {
    return length + (head.source.is_v4() ? kIpv4HeaderSize : 0) <= kMaxIpPayload;
}

/// A packet up to its transport part, which is still to be written.
struct Begun {
    std::vector<std::byte> bytes;
    MutableBytes transport;
};

Begun begin(const IpHead& head, std::uint8_t protocol, std::size_t length) {
    Begun packet{std::vector<std::byte>(ip_size(head) + length), {}};
    const std::size_t at = put_ip(head, protocol, length, packet.bytes);
    packet.transport = MutableBytes(packet.bytes).subspan(at);
    return packet;
}

std::vector<std::byte> finish(const IpHead& head, std::uint8_t protocol, Begun packet,
                              std::size_t checksum_at) {
    write_transport_checksum(head.source, head.destination, protocol, packet.transport,
                             checksum_at);
    return std::move(packet.bytes);
}

}  // namespace

std::size_t options_size(const std::vector<TcpOption>& options) {
    std::size_t size = 0;
    for (const TcpOption& option : options) {
        size += option_size(option);
    }
    return size;
}

std::vector<std::byte> build_tcp(const IpHead& head, const Ports& ports, const TcpPacket& packet) {
    const std::size_t options = (options_size(packet.options) + 3) / 4 * 4;
    const std::size_t length = 20 + options + packet.sequence.length;
    if (options > kMaxOptionBytes || !fits(head, length)) {
        return {};
    }
    Begun begun = begin(head, kProtocolTcp, length);
    ByteWriter out(begun.transport);
    out.u16(ports.source);
    out.u16(ports.destination);
    out.u32(packet.sequence.first);
    out.u32(packet.ack.value_or(0));
    out.u16(static_cast<std::uint16_t>((5 + options / 4) << 12 | (packet.flags.bits & 0x1ff)));
    out.u16(packet.window.value_or(0));
    out.u16(0);
    out.u16(packet.urgent.value_or(0));
    for (const TcpOption& option : packet.options) {
        put_option(out, option);
    }
    return finish(head, kProtocolTcp, std::move(begun), 16);
}

void sign_tcp(const IpHead& head, std::vector<std::byte>& packet, const tcp::Md5Key& key) {
    const std::size_t at = ip_size(head);
    const MutableBytes transport = MutableBytes(packet).subspan(at);
    const TcpParse parse = parse_tcp(transport);
    if (parse.error || !parse.header.options.md5) {
        return;
    }
    BufferPool pool(1u << 20);
    SliceList payload;
    const Bytes text = Bytes(transport).subspan(parse.header.header_length);
    if (!text.empty()) {
        payload.push_back(pool.copy(text));
    }
    const Md5Digest digest = tcp::md5_signature(head.source, head.destination, parse.header,
                                                parse.header.header_length, payload, key);
    std::size_t option = 20;
    while (std::to_integer<unsigned>(transport[option]) != 19) {
        const auto kind = std::to_integer<unsigned>(transport[option]);
        option += kind <= 1 ? 1 : std::to_integer<std::size_t>(transport[option + 1]);
    }
    std::ranges::copy(digest, transport.begin() + static_cast<std::ptrdiff_t>(option) + 2);
    write_transport_checksum(head.source, head.destination, kProtocolTcp, transport, 16);
}

void spoil(const OwnMarks& own, const IpHead& head, std::vector<std::byte>& packet) {
    const MutableBytes transport = MutableBytes(packet).subspan(ip_size(head));
    if (own.data_offset) {
        const unsigned rest = std::to_integer<unsigned>(transport[12]) & 0xfU;
        transport[12] = static_cast<std::byte>(unsigned{*own.data_offset} << 4 | rest);
        write_transport_checksum(head.source, head.destination, kProtocolTcp, transport, 16);
    }
    if (own.bad_checksum) {
        transport[16] ^= std::byte{0x80};
    }
}

std::vector<std::byte> build_udp(const IpHead& head, const Ports& ports, std::uint32_t length) {
    const std::size_t size = 8 + std::size_t{length};
    if (!fits(head, size)) {
        return {};
    }
    Begun begun = begin(head, kProtocolUdp, size);
    ByteWriter out(begun.transport);
    out.u16(ports.source);
    out.u16(ports.destination);
    out.u16(static_cast<std::uint16_t>(size));
    out.u16(0);
    return finish(head, kProtocolUdp, std::move(begun), 6);
}

std::vector<std::byte> build_icmp(const IpHead& head, const IcmpOnWire& message) {
    const bool v4 = head.source.is_v4();
    const std::size_t size = 8 + message.body.size();
    Begun begun = begin(head, v4 ? kProtocolIcmpv4 : kProtocolIcmpv6, size);
    ByteWriter out(begun.transport);
    out.u8(message.type);
    out.u8(message.code);
    out.u16(0);
    out.u32(message.rest);
    out.put(message.body);
    if (!v4) {
        return finish(head, kProtocolIcmpv6, std::move(begun), 2);
    }
    const std::uint16_t field = internet_checksum(begun.transport);
    begun.transport[2] = static_cast<std::byte>(field >> 8);
    begun.transport[3] = static_cast<std::byte>(field & 0xff);
    return std::move(begun.bytes);
}

std::vector<std::byte> build_quote(const IpHead& head, std::uint8_t protocol, std::uint32_t length,
                                   Bytes first) {
    std::vector<std::byte> bytes(ip_size(head));
    put_ip(head, protocol, length, bytes);
    bytes.insert(bytes.end(), first.begin(), first.end());
    return bytes;
}

}  // namespace runnel::drill
