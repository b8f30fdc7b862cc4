// ICMP as it arrives (RFC 792, RFC 4443): echo is answered, errors about our packets go to the transport
// that sent them, Neighbour Discovery to its own files, and all else is dropped with a name.
#include <algorithm>
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/input.hpp"
#include "runnel/ip/ip_layer.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/quoted_datagram.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel {

namespace {

constexpr std::uint8_t kMldQuery = 130, kMldv1Report = 131, kMldv1Done = 132, kMldv2Report = 143;
constexpr std::uint32_t kIpv4MinimumMtu = 68;  // RFC 791 §3.2

using Kind = IcmpError::Kind;

std::optional<Kind> error_kind(const Icmpv4Message& message) {
    using Type = Icmpv4Message::Type;
    if (message.type == Type::time_exceeded) {
        return message.code == 0 ? Kind::time_exceeded : Kind::reassembly_time_exceeded;
    }
    if (message.type == Type::parameter_problem) {
        return Kind::parameter_problem;
    }
    if (message.type != Type::destination_unreachable) {
        return std::nullopt;
    }
    switch (message.code) {  // RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1
        case 0:
        case 6:
        case 11: return Kind::network_unreachable;
        case 1:
        case 7:
        case 8:
        case 12:
        case 14:
        case 15: return Kind::host_unreachable;
        case 2: return Kind::protocol_unreachable;
        case 3: return Kind::port_unreachable;
        case 4: return Kind::packet_too_big;
        case 5: return Kind::source_route_failed;
        case 9:
        case 10:
        case 13: return Kind::administratively_prohibited;
        default: return std::nullopt;
    }
}

std::optional<Kind> error_kind(const Icmpv6Message& message) {
    using Type = Icmpv6Message::Type;
    switch (message.type) {
        case Type::packet_too_big: return Kind::packet_too_big;
        case Type::time_exceeded:
            return message.code == 0 ? Kind::time_exceeded : Kind::reassembly_time_exceeded;
        case Type::parameter_problem:
            return message.code == 1 ? Kind::protocol_unreachable : Kind::parameter_problem;
        case Type::destination_unreachable: break;
        default: return std::nullopt;
    }
    switch (message.code) {  // RFC 4443 §3.1
        case 0: return Kind::network_unreachable;
        case 1:
        case 5:
        case 6: return Kind::administratively_prohibited;
        case 2:
        case 3: return Kind::host_unreachable;
        case 4: return Kind::port_unreachable;
        default: return std::nullopt;
    }
}

/// The error for the transport, once the quote has been found to be about a packet of ours.
InputResult quoted_error(IpState& ip, Kind kind, const std::optional<QuotedDatagram>& quoted,
                         std::uint32_t mtu, const Datagram& datagram, Instant now) {
    const auto drop = [&](Decision why, std::uint32_t value = 0) {
        ip.note_in(why, now, datagram.payload_size, value);
        return InputResult{};
    };
    if (!quoted) {
        return drop(Decision::icmp_drop_error_bad_quote);
    }
    if (!ip.addresses.is_local(quoted->source)) {
        return drop(Decision::icmp_drop_error_not_ours);
    }
    if (quoted->fragment_offset != 0) {
        return drop(Decision::icmp_drop_error_fragment);
    }
    if (kind == Kind::packet_too_big) {
        const bool v4 = quoted->source.is_v4();
        // RFC 1191 §5: a router older than that RFC reports 0, and the plateau below is tried.
        if (v4 && mtu == 0) {
            mtu = mtu_plateau_below(quoted->total_length);
        }
        // RFC 8201 §4: less than the minimum must be discarded (it once meant atomic fragments).
        if (mtu < (v4 ? kIpv4MinimumMtu : kIpv6MinimumMtu)) {
            return drop(Decision::icmp_drop_error_mtu, mtu);
        }
    }
    IcmpError error;
    error.kind = kind;
    error.quoted_source = quoted->source;
    error.quoted_destination = quoted->destination;
    error.protocol = quoted->protocol;
    error.mtu = kind == Kind::packet_too_big ? mtu : 0;
    error.reporter = datagram.source;
    const std::size_t size = std::min(quoted->payload.size(), error.transport.size());
    std::copy_n(quoted->payload.begin(), size, error.transport.begin());
    error.transport_size = static_cast<std::uint8_t>(size);
    ip.note_in(Decision::icmp_accept_error, now, datagram.payload_size);
    return InputResult(error);
}

/// Answers an echo request with its own bytes: only the header is written anew.
void answer_echo(IpState& ip, Datagram&& datagram, std::uint32_t identifier_and_sequence,
                 const IpAddress& source, Instant now) {
    const bool v4 = source.is_v4();
    Frame frame;
    frame.reason = static_cast<std::uint16_t>(Decision::icmp_transmit_echo_reply);
    frame.body = std::move(datagram.payload);
    Slice& first = frame.body.front();
    first.remove_prefix(kIcmpHeaderSize);
    if (first.empty()) {
        frame.body.erase(frame.body.begin());
    }

    ByteWriter writer(frame.head_space().first(kIcmpHeaderSize));
    writer.u8(v4 ? static_cast<std::uint8_t>(Icmpv4Message::Type::echo_reply)
                 : static_cast<std::uint8_t>(Icmpv6Message::Type::echo_reply));
    writer.u8(0);
    writer.u16(0);
    writer.u32(identifier_and_sequence);
    frame.set_head_size(kIcmpHeaderSize);
    const auto size = static_cast<std::uint32_t>(frame.size());
    const std::uint16_t pseudo =
        v4 ? std::uint16_t{0} : pseudo_header_sum(source, datagram.source, kProtocolIcmpv6, size);
    writer.patch_u16(2, complete_checksum(pseudo, frame.head(), frame.body));

    OutgoingPacket packet;
    packet.source = source;
    packet.destination = datagram.source;
    packet.protocol = datagram.protocol;
    packet.hop_limit = ip.config.hop_limit;
    packet.traffic_class =
        datagram.traffic_class & 0xfc;  // RFC 1122 §3.2.2.6: the same TOS; no ECN
    packet.dont_fragment = false;
    if (datagram.source.is_link_local()) {
        packet.interface = datagram.interface;
    }
    ip.note_out(Decision::icmp_transmit_echo_reply, now, size);
    packet_output(ip, std::move(frame), packet, now);
}

/// The link vouches for the checksum, which may not even be complete.
bool trusted(const Datagram& datagram) {
    return datagram.offload.needs_checksum || datagram.offload.checksum_valid;
}

/// What makes an ICMP message unfit to be looked at.
std::optional<Decision> unfit(const std::optional<IcmpParseError>& error,
                              const Datagram& datagram) {
    if (error == IcmpParseError::truncated) {
        return Decision::icmp_drop_truncated;
    }
    if (error == IcmpParseError::bad_checksum && !trusted(datagram)) {
        return Decision::icmp_drop_bad_checksum;
    }
    return std::nullopt;
}

bool is_neighbor_discovery(Icmpv6Message::Type type) {
    return type >= Icmpv6Message::Type::router_solicitation &&
           type <= Icmpv6Message::Type::redirect;
}

/// RFC 4861: only a check for duplicates comes from nowhere, and only its owner's answer from an address
/// that we think is ours.
bool source_may_send(const IpState& ip, const Datagram& datagram, Icmpv6Message::Type type) {
    if (datagram.interface == kLoopbackInterface) {
        return true;
    }
    if (datagram.source.is_unspecified()) {
        return type == Icmpv6Message::Type::neighbor_solicitation ||
               type == Icmpv6Message::Type::router_solicitation;
    }
    return ip.addresses.find(datagram.source) == nullptr ||
           type == Icmpv6Message::Type::neighbor_advertisement;
}

InputResult icmpv6_echo_request(IpState& ip, Datagram&& datagram, const Icmpv6Message& message,
                                Instant now) {
    if (!ip.config.answer_echo) {
        ip.note_in(Decision::icmp_drop_echo_disabled, now, datagram.payload_size);
        return {};
    }
    // RFC 4443 §4.2: an echo to a group is answered from a unicast address of the interface.
    IpAddress source = datagram.destination;
    if (source.is_multicast()) {
        const auto chosen = ip.addresses.choose_source(datagram.source, datagram.interface);
        if (!chosen) {
            ip.note_in(Decision::icmp_drop_echo_group, now, datagram.payload_size);
            return {};
        }
        source = *chosen;
    }
    answer_echo(ip, std::move(datagram), message.rest, source, now);
    return {};
}

}  // namespace

InputResult icmpv4_input(IpState& ip, Datagram&& datagram, Instant now) {
    const auto drop = [&](Decision why) {
        ip.note_in(why, now, datagram.payload_size);
        return InputResult{};
    };
    if (!make_contiguous(ip.pool, datagram.payload)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    const Icmpv4Parse parse =
        parse_icmpv4(datagram.payload.empty() ? Bytes{} : datagram.payload.front().bytes());
    if (const auto why = unfit(parse.error, datagram)) {
        return drop(*why);
    }
    const Icmpv4Message& message = parse.message;
    switch (message.type) {
        case Icmpv4Message::Type::echo_request:
            if (!ip.config.answer_echo) {
                return drop(Decision::icmp_drop_echo_disabled);
            }
            // RFC 1122 §3.2.2.6 lets a broadcast echo go unanswered: it only amplifies.
            if (!datagram.to_unicast) {
                return drop(Decision::icmp_drop_echo_group);
            }
            answer_echo(ip, std::move(datagram), message.rest, IpAddress(datagram.destination),
                        now);
            return {};
        case Icmpv4Message::Type::echo_reply: return drop(Decision::icmp_drop_echo_reply);
        // RFC 9293 §3.9.2.2, MUST-55.
        case Icmpv4Message::Type::source_quench: return drop(Decision::icmp_drop_source_quench);
        case Icmpv4Message::Type::redirect: return drop(Decision::icmp_drop_redirect);
        default: break;
    }
    const std::optional<Kind> kind = error_kind(message);
    if (!kind) {
        return drop(Decision::icmp_drop_unknown_type);
    }
    return quoted_error(ip, *kind, parse_quoted_ipv4(message.body), message.next_hop_mtu(),
                        datagram, now);
}

InputResult icmpv6_input(IpState& ip, Datagram&& datagram, Instant now) {
    const auto drop = [&](Decision why) {
        ip.note_in(why, now, datagram.payload_size);
        return InputResult{};
    };
    if (!make_contiguous(ip.pool, datagram.payload)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    const Icmpv6Parse parse =
        parse_icmpv6(datagram.payload.empty() ? Bytes{} : datagram.payload.front().bytes(),
                     datagram.source, datagram.destination);
    if (const auto why = unfit(parse.error, datagram)) {
        return drop(*why);
    }
    const Icmpv6Message& message = parse.message;
    if (!source_may_send(ip, datagram, message.type)) {
        return drop(datagram.source.is_unspecified() ? Decision::ip_drop_martian_source
                                                     : Decision::ip_drop_own_source);
    }
    if (is_neighbor_discovery(message.type)) {
        // RFC 4861 §6.1, §7.1: none of these has crossed a router.
        if (datagram.hop_limit != 255) {
            return drop(Decision::ndp_drop_hop_limit);
        }
        if (!ip.is_ethernet(datagram.interface)) {
            return drop(Decision::icmp_drop_unknown_type);
        }
        ndp_input(ip, datagram, message, now);
        return {};
    }
    if (message.type == Icmpv6Message::Type::echo_request) {
        return icmpv6_echo_request(ip, std::move(datagram), message, now);
    }
    if (message.type == Icmpv6Message::Type::echo_reply) {
        return drop(Decision::icmp_drop_echo_reply);
    }
    const auto number = static_cast<std::uint8_t>(message.type);
    if (number == kMldQuery) {
        mld_query_input(ip, datagram.interface, now);
        return {};
    }
    if (number == kMldv1Report || number == kMldv1Done || number == kMldv2Report) {
        return drop(Decision::ndp_drop_mld);
    }
    const std::optional<Kind> kind = error_kind(message);
    if (!kind) {
        return drop(Decision::icmp_drop_unknown_type);
    }
    return quoted_error(ip, *kind, parse_quoted_ipv6(message.body), message.mtu(), datagram, now);
}

}  // namespace runnel
