// ICMP errors as they are sent: about which packets (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)), how often
// (§2.4 (f)), and how much of the packet is quoted (RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c)).
#include <algorithm>
#include <array>
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

namespace {

/// Greatest packet that carries an error: what every host must be able to take.
constexpr std::size_t kMaxErrorV4 = 576;
constexpr std::size_t kMaxErrorV6 = kIpv6MinimumMtu;

/// True when the offending packet is an ICMP error itself, or a redirect (RFC 4443 §2.4 (e.2)).
bool is_icmp_error(const OffendingPacket& offending) {
    if (offending.payload.empty()) {
        return false;
    }
    const auto type = std::to_integer<std::uint8_t>(offending.payload[0]);
    if (offending.protocol == kProtocolIcmpv4) {
        Icmpv4Message message;
        message.type = static_cast<Icmpv4Message::Type>(type);
        return message.is_error();
    }
    return offending.protocol == kProtocolIcmpv6 &&
           (type < 128 || type == static_cast<std::uint8_t>(Icmpv6Message::Type::redirect));
}

/// The rule that forbids the error, if one does.
std::optional<Decision> forbidden(const IpState& ip, const IcmpAnswer& answer,
                                  const OffendingPacket& offending) {
    if (is_icmp_error(offending)) {
        return Decision::icmp_hold_about_error;
    }
    const IpAddress& source = offending.source;
    if (source.is_unspecified() || source.is_multicast() || source.is_limited_broadcast() ||
        ip.addresses.is_directed_broadcast(source)) {
        return Decision::icmp_hold_bad_source;
    }
    if (!offending.to_unicast && !answer.also_about_groups) {
        return Decision::icmp_hold_about_group;
    }
    return std::nullopt;
}

std::optional<IpAddress> source_of_error(const IpState& ip, const OffendingPacket& offending) {
    if (ip.addresses.is_local(offending.destination)) {
        return offending.destination;
    }
    return ip.addresses.choose_source(offending.source, offending.interface);
}

/// The message in a pooled chunk: header, then as much of the packet as fits.
Slice make_message(IpState& ip, const IcmpAnswer& answer, const OffendingPacket& offending,
                   const IpAddress& source) {
    const bool v4 = source.is_v4();
    const std::size_t room = v4 ? kMaxErrorV4 - kIpv4HeaderSize - kIcmpHeaderSize
                                : kMaxErrorV6 - kIpv6HeaderSize - kIcmpHeaderSize;
    std::array<std::byte, kMaxErrorV6> quote;
    const Bytes header = offending.header.first(std::min(room, offending.header.size()));
    const Bytes payload =
        offending.payload.first(std::min(room - header.size(), offending.payload.size()));
    std::copy(header.begin(), header.end(), quote.begin());
    std::copy(payload.begin(), payload.end(),
              quote.begin() + static_cast<std::ptrdiff_t>(header.size()));
    const Bytes quoted = Bytes(quote).first(header.size() + payload.size());

    const std::size_t size = kIcmpHeaderSize + quoted.size();
    ChunkRef chunk = ip.pool.allocate(size);
    if (!chunk) {
        return {};
    }
    Slice message(std::move(chunk), 0, static_cast<std::uint32_t>(size));
    if (v4) {
        emit_icmpv4(
            {static_cast<Icmpv4Message::Type>(answer.type), answer.code, answer.rest, quoted},
            message.mutable_bytes());
    } else {
        emit_icmpv6(
            {static_cast<Icmpv6Message::Type>(answer.type), answer.code, answer.rest, quoted},
            source, offending.source, message.mutable_bytes());
    }
    return message;
}

/// The arrived network header: still in front of the payload, or made again from what is known of it.
Bytes network_header(const Datagram& datagram, std::array<std::byte, kIpv6HeaderSize>& made) {
    if (datagram.network_header_size != 0 && !datagram.payload.empty()) {
        const Slice& first = datagram.payload.front();
        const std::byte* begin = first.chunk().data() + first.begin();
        return {begin - datagram.network_header_size, datagram.network_header_size};
    }
    std::size_t size = 0;
    if (datagram.source.is_v4()) {
        Ipv4Header header;
        header.traffic_class = datagram.traffic_class;
        header.total_length = static_cast<std::uint16_t>(
            std::min<std::size_t>(kIpv4HeaderSize + datagram.payload_size, kIpv4MaxPacket));
        header.ttl = datagram.hop_limit;
        header.protocol = datagram.protocol;
        header.source = datagram.source;
        header.destination = datagram.destination;
        size = emit_ipv4(header, made);
    } else {
        Ipv6Header header;
        header.traffic_class = datagram.traffic_class;
        header.payload_length =
            static_cast<std::uint16_t>(std::min<std::size_t>(datagram.payload_size, 0xffff));
        header.next_header = datagram.protocol;
        header.hop_limit = datagram.hop_limit;
        header.source = datagram.source;
        header.destination = datagram.destination;
        size = emit_ipv6(header, made);
    }
    return Bytes(made).first(size);
}

/// Where the Next Header field stands that named the transport (RFC 4443 §3.4).
std::uint32_t next_header_offset(Bytes header) {
    const Ipv6Parse parse = parse_ipv6(header, kIpv6HeaderSize + 0xffffU);
    if (parse.error) {
        return 6;
    }
    return walk_ipv6_chain(header, parse.header).next_header_at;
}

IcmpAnswer answer_v4(IcmpError::Kind kind) {
    using Type = Icmpv4Message::Type;
    using Kind = IcmpError::Kind;
    const auto unreachable = [](std::uint8_t code) {
        return IcmpAnswer{static_cast<std::uint8_t>(Type::destination_unreachable), code, 0, false};
    };
    const auto exceeded = [](std::uint8_t code) {
        return IcmpAnswer{static_cast<std::uint8_t>(Type::time_exceeded), code, 0, false};
    };
    switch (kind) {
        case Kind::network_unreachable: return unreachable(Icmpv4Message::net_unreachable);
        case Kind::host_unreachable: return unreachable(Icmpv4Message::host_unreachable);
        case Kind::protocol_unreachable: return unreachable(Icmpv4Message::protocol_unreachable);
        case Kind::port_unreachable: return unreachable(Icmpv4Message::port_unreachable);
        case Kind::administratively_prohibited:
            return unreachable(Icmpv4Message::administratively_prohibited);
        case Kind::source_route_failed: return unreachable(Icmpv4Message::source_route_failed);
        case Kind::packet_too_big: return unreachable(Icmpv4Message::fragmentation_needed);
        case Kind::time_exceeded: return exceeded(Icmpv4Message::ttl_exceeded);
        case Kind::reassembly_time_exceeded: return exceeded(Icmpv4Message::reassembly_exceeded);
        case Kind::parameter_problem: break;
    }
    return {static_cast<std::uint8_t>(Type::parameter_problem), 0, 0, false};
}

IcmpAnswer answer_v6(IcmpError::Kind kind, Bytes header) {
    using Type = Icmpv6Message::Type;
    using Kind = IcmpError::Kind;
    const auto unreachable = [](std::uint8_t code) {
        return IcmpAnswer{static_cast<std::uint8_t>(Type::destination_unreachable), code, 0, false};
    };
    const auto exceeded = [](std::uint8_t code) {
        return IcmpAnswer{static_cast<std::uint8_t>(Type::time_exceeded), code, 0, false};
    };
    switch (kind) {
        case Kind::network_unreachable: return unreachable(Icmpv6Message::no_route);
        case Kind::source_route_failed:
        case Kind::host_unreachable: return unreachable(Icmpv6Message::address_unreachable);
        case Kind::port_unreachable: return unreachable(Icmpv6Message::port_unreachable);
        case Kind::administratively_prohibited:
            return unreachable(Icmpv6Message::administratively_prohibited);
        case Kind::protocol_unreachable:  // RFC 8200 §4: an unrecognised next header
            return {static_cast<std::uint8_t>(Type::parameter_problem),
                    Icmpv6Message::unrecognised_next_header, next_header_offset(header), false};
        case Kind::packet_too_big:
            return {static_cast<std::uint8_t>(Type::packet_too_big), 0, kIpv6MinimumMtu, true};
        case Kind::time_exceeded: return exceeded(Icmpv6Message::hop_limit_exceeded);
        case Kind::reassembly_time_exceeded: return exceeded(Icmpv6Message::reassembly_exceeded);
        case Kind::parameter_problem: break;
    }
    return {static_cast<std::uint8_t>(Type::parameter_problem), Icmpv6Message::erroneous_field, 0,
            false};
}

}  // namespace

Decision send_icmp_answer(IpState& ip, const IcmpAnswer& answer, const OffendingPacket& offending,
                          Instant now) {
    if (const auto why = forbidden(ip, answer, offending)) {
        return ip.note_out(*why, now);
    }
    const auto source = source_of_error(ip, offending);
    if (!source) {
        return ip.note_out(Decision::icmp_hold_not_sendable, now);
    }
    if (!ip.icmp_tokens.take(now)) {
        return ip.note_out(Decision::icmp_hold_rate_limit, now);
    }
    Slice message = make_message(ip, answer, offending, *source);
    if (message.empty()) {
        return ip.note_out(Decision::icmp_hold_not_sendable, now);
    }

    Frame frame;
    frame.reason = static_cast<std::uint16_t>(Decision::icmp_transmit_error);
    const std::size_t size = message.size();
    frame.body.push_back(std::move(message));
    OutgoingPacket packet;
    packet.source = *source;
    packet.destination = offending.source;
    packet.protocol = source->is_v4() ? kProtocolIcmpv4 : kProtocolIcmpv6;
    packet.hop_limit = ip.config.hop_limit;
    packet.dont_fragment = false;
    if (offending.source.is_link_local()) {
        packet.interface = offending.interface;
    }
    ip.note_out(Decision::icmp_transmit_error, now, size,
                std::uint32_t{answer.type} << 8 | answer.code);
    const Decision sent = packet_output(ip, std::move(frame), packet, now);
    const bool left = sent == Decision::ip_transmit || sent == Decision::ip_transmit_loopback ||
                      sent == Decision::ip_transmit_fragments ||
                      sent == Decision::ip_hold_resolution;
    return left ? Decision::icmp_transmit_error : sent;
}

Decision send_icmp_error(IpState& ip, IcmpError::Kind kind, const Datagram& offending,
                         Instant now) {
    std::array<std::byte, kIpv6HeaderSize> made;
    OffendingPacket packet;
    packet.source = offending.source;
    packet.destination = offending.destination;
    packet.protocol = offending.protocol;
    packet.interface = offending.interface;
    packet.to_unicast = offending.to_unicast;
    packet.header = network_header(offending, made);
    if (!offending.payload.empty()) {
        packet.payload = offending.payload.front().bytes();
    }
    const IcmpAnswer answer =
        offending.source.is_v4() ? answer_v4(kind) : answer_v6(kind, packet.header);
    return send_icmp_answer(ip, answer, packet, now);
}

Decision send_icmpv6_message(IpState& ip, Bytes message, const IpAddress& source,
                             const IpAddress& destination, std::uint8_t hop_limit,
                             std::uint8_t interface, Decision reason, Instant now) {
    Frame frame;
    frame.reason = static_cast<std::uint16_t>(reason);
    std::copy(message.begin(), message.end(), frame.head_space().begin());
    frame.set_head_size(message.size());
    OutgoingPacket packet;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = kProtocolIcmpv6;
    packet.hop_limit = hop_limit;
    packet.interface = interface;
    ip.note_out(reason, now, message.size());
    return packet_output(ip, std::move(frame), packet, now);
}

}  // namespace runnel
