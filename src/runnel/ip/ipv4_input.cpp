// An IPv4 packet's validation, in the order of RFC 1122 §3.2.1: header, addresses, options, fragments.
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/input.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel {

namespace {

constexpr std::uint32_t kAllHosts = 0xe000'0001;  // 224.0.0.1, RFC 1112 §4

Decision decision_of(Ipv4ParseError error) {
    switch (error) {
        case Ipv4ParseError::truncated: return Decision::ip_drop_truncated;
        case Ipv4ParseError::bad_version: return Decision::ip_drop_bad_version;
        case Ipv4ParseError::bad_header_length: return Decision::ip_drop_bad_header_length;
        case Ipv4ParseError::bad_total_length: return Decision::ip_drop_bad_total_length;
        case Ipv4ParseError::bad_checksum: return Decision::ip_drop_bad_checksum;
        case Ipv4ParseError::bad_option: return Decision::ip_drop_bad_option;
        case Ipv4ParseError::bad_fragment: return Decision::ip_drop_bad_fragment;
    }
    return Decision::ip_drop_truncated;
}

/// RFC 1122 §3.2.1.3: 0/8, 127/8, multicast, 240/4 with the limited broadcast, a subnet's broadcast.
bool is_martian_source(const IpState& ip, const IpAddress& source) {
    const std::uint32_t first_octet = source.v4_value() >> 24;
    return first_octet == 0 || first_octet == 127 || first_octet >= 224 ||
           ip.addresses.is_directed_broadcast(source);
}

/// ip_transmit stands for "no objection".
constexpr Decision kNoObjection = Decision::ip_transmit;

Decision check_addresses(const IpState& ip, const Ipv4Header& header, bool from_outside,
                         bool& to_unicast) {
    if (from_outside) {
        // RFC 9293 §3.9.2.3, MUST-63: nothing comes from a source that can't be.
        if (is_martian_source(ip, header.source)) {
            return Decision::ip_drop_martian_source;
        }
        if (header.destination.is_loopback()) {
            return Decision::ip_drop_martian_destination;
        }
        if (!ip.config.accept_local && ip.addresses.is_local(header.source)) {
            return Decision::ip_drop_own_source;
        }
    }
    to_unicast = ip.addresses.is_local(header.destination);
    const bool to_group = header.destination.is_limited_broadcast() ||
                          header.destination.v4_value() == kAllHosts ||
                          ip.addresses.is_directed_broadcast(header.destination);
    return to_unicast || to_group ? kNoObjection : Decision::ip_drop_not_for_us;
}

/// RFC 1122 §3.2.1.8, §3.2.2.5: the octet at fault is told.
void answer_bad_option(IpState& ip, const Ipv4Parse& parse, const Frame& frame,
                       const InputContext& context, Instant now) {
    bool to_unicast = false;
    const bool from_outside = context.interface != kLoopbackInterface;
    if (check_addresses(ip, parse.header, from_outside, to_unicast) != kNoObjection) {
        return;
    }
    if (parse.header.fragment_offset != 0) {
        return;
    }
    const Bytes packet = frame.body.front().bytes();
    OffendingPacket offending;
    offending.source = parse.header.source;
    offending.destination = parse.header.destination;
    offending.protocol = parse.header.protocol;
    offending.interface = context.interface;
    offending.to_unicast = to_unicast && !context.to_group_mac;
    offending.header = packet.first(parse.header.header_length);
    offending.payload = packet.subspan(parse.header.header_length);
    IcmpAnswer answer;
    answer.type = static_cast<std::uint8_t>(Icmpv4Message::Type::parameter_problem);
    answer.rest = std::uint32_t{parse.error_offset} << 24;
    send_icmp_answer(ip, answer, offending, now);
}

/// RFC 1858 §3.2, RFC 3128: TCP's header is never cut by an honest sender.
bool cuts_transport_header(const Ipv4Header& header) {
    if (header.protocol != kProtocolTcp) {
        return false;
    }
    if (header.fragment_offset == 0) {
        return header.payload_length() < 20;
    }
    return header.fragment_offset < 20;
}

InputResult ipv4_fragment(IpState& ip, Frame&& frame, const Ipv4Header& header,
                          const InputContext& context, bool to_unicast, Instant now) {
    if (context.reassembled) {
        ip.note_in(Decision::ip_drop_fragment_nested, now, header.total_length);
        return {};
    }
    if (cuts_transport_header(header)) {
        ip.note_in(Decision::ip_drop_fragment_tiny, now, header.total_length);
        return {};
    }
    if (!make_contiguous(ip.pool, frame.body)) {
        ip.note_in(Decision::ip_drop_no_buffer, now, header.total_length);
        return {};
    }
    ArrivedFragment fragment;
    fragment.source = header.source;
    fragment.destination = header.destination;
    fragment.identification = header.identification;
    fragment.protocol = header.protocol;
    fragment.offset = header.fragment_offset;
    fragment.more = header.more_fragments;
    fragment.ecn = header.ecn();
    fragment.interface = context.interface;
    fragment.to_unicast = to_unicast;
    fragment.packet = std::move(frame.body.front());
    fragment.header_size = header.header_length;
    fragment.data_at = header.header_length;
    return fragment_input(ip, std::move(fragment), now);
}

}  // namespace

InputResult ipv4_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now) {
    const std::size_t size = frame.body_size();
    const auto drop = [&](Decision why) {
        ip.note_in(why, now, size);
        return InputResult{};
    };
    constexpr std::size_t kMaxHeader = 60;
    if (frame.body.size() > 1 && frame.body.front().size() < kMaxHeader &&
        !pull_up(ip.pool, frame.body, kIpv4HeaderSize)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    const Bytes front = frame.body.empty() ? Bytes{} : frame.body.front().bytes();
    Ipv4Parse parse = parse_ipv4(front, size);
    const Ipv4Header& header = parse.header;
    if (parse.error == Ipv4ParseError::truncated && frame.body.size() > 1 &&
        pull_up(ip.pool, frame.body, kMaxHeader)) {
        parse = parse_ipv4(frame.body.front().bytes(), size);  // options lay in the second slice
    }
    if (parse.error) {
        if (parse.error == Ipv4ParseError::bad_option) {
            answer_bad_option(ip, parse, frame, context, now);
        }
        return drop(decision_of(*parse.error));
    }
    // RFC 1122 §3.2.1.7: a host takes packets whatever is left of their time to live.
    bool to_unicast = true;
    const std::uint32_t generation = ip.paths.generation();
    if (!ip.accepted_pairs.contains(header.source, header.destination, context.interface,
                                    generation)) {
        const bool from_outside = context.interface != kLoopbackInterface;
        const Decision objection = check_addresses(ip, header, from_outside, to_unicast);
        if (objection != kNoObjection) {
            return drop(objection);
        }
        if (to_unicast) {
            ip.accepted_pairs.add(header.source, header.destination, context.interface, generation);
        }
    }
    if (header.source_route) {
        return drop(Decision::ip_drop_source_route);
    }

    if (size > header.total_length) {
        truncate(frame.body, header.total_length);
    }
    to_unicast = to_unicast && !context.to_group_mac;
    if (header.is_fragment()) {
        return ipv4_fragment(ip, std::move(frame), header, context, to_unicast, now);
    }
    Datagram datagram;
    datagram.source = header.source;
    datagram.destination = header.destination;
    datagram.protocol = header.protocol;
    datagram.interface = context.interface;
    datagram.hop_limit = header.ttl;
    datagram.traffic_class = header.traffic_class;
    datagram.to_unicast = to_unicast;
    // RFC 9293 §3.9.2, MUST-50: IP options stay behind; TCP never sees one.
    take_payload(std::move(frame), header.header_length, datagram);
    return deliver(ip, std::move(datagram), now);
}

}  // namespace runnel
