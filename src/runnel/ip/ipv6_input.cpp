// An IPv6 packet's validation (RFC 8200 §3, §4): header, addresses, the chain of extension headers with the
// answers it asks for, fragments.
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/input.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

namespace {

/// ip_transmit stands for "no objection".
constexpr Decision kNoObjection = Decision::ip_transmit;

/// ff02::1 and ff01::1, and the solicited-node groups of the interface's addresses (RFC 4291 §2.8).
bool is_joined_group(const IpState& ip, std::uint8_t interface, const IpAddress& group) {
    if (group == all_nodes_multicast()) {
        return true;
    }
    std::array<std::byte, 16> interface_local = all_nodes_multicast().bytes();
    interface_local[1] = std::byte{0x01};
    if (group.bytes() == interface_local) {
        return true;
    }
    return ip.addresses.in_solicited_node_group(interface, group);
}

Decision check_addresses(const IpState& ip, const Ipv6Header& header, std::uint8_t interface,
                         bool& to_unicast) {
    if (interface != kLoopbackInterface) {
        if (header.source.is_multicast() || header.source.is_loopback()) {
            return Decision::ip_drop_martian_source;
        }
        if (header.destination.is_loopback() || header.destination.is_unspecified()) {
            return Decision::ip_drop_martian_destination;
        }
    }
    if (header.destination.is_multicast()) {
        to_unicast = false;
        return is_joined_group(ip, interface, header.destination) ? kNoObjection
                                                                  : Decision::ip_drop_not_for_us;
    }
    to_unicast = ip.addresses.is_local(header.destination);
    return to_unicast ? kNoObjection : Decision::ip_drop_not_for_us;
}

/// Where a packet that isn't ICMPv6 must not come from. Checks for duplicates come from nowhere or from an
/// address of ours (RFC 4862 §5.4); which messages may is icmpv6_input's to say.
Decision check_source(const IpState& ip, const Ipv6Header& header, std::uint8_t interface) {
    if (interface == kLoopbackInterface) {
        return kNoObjection;
    }
    if (header.source.is_unspecified()) {
        return Decision::ip_drop_martian_source;
    }
    return ip.addresses.find(header.source) != nullptr ? Decision::ip_drop_own_source
                                                       : kNoObjection;
}

Decision decision_of(Ipv6ParseError error) {
    switch (error) {
        case Ipv6ParseError::truncated: return Decision::ip_drop_truncated;
        case Ipv6ParseError::bad_version: return Decision::ip_drop_bad_version;
        case Ipv6ParseError::bad_address: return Decision::ip_drop_bad_address;
    }
    return Decision::ip_drop_truncated;
}

Decision decision_of(Ipv6ChainError error) {
    switch (error) {
        case Ipv6ChainError::truncated: return Decision::ip_drop_extension_truncated;
        case Ipv6ChainError::too_many: return Decision::ip_drop_extension_limit;
        case Ipv6ChainError::unrecognised_next_header: return Decision::ip_drop_next_header;
        case Ipv6ChainError::unrecognised_option: return Decision::ip_drop_option_unrecognised;
        case Ipv6ChainError::unrecognised_routing: return Decision::ip_drop_routing_header;
        case Ipv6ChainError::bad_fragment_length:
        case Ipv6ChainError::fragment_too_long: return Decision::ip_drop_bad_fragment;
        case Ipv6ChainError::incomplete_first_fragment: return Decision::ip_drop_fragment_tiny;
    }
    return Decision::ip_drop_extension_truncated;
}

void answer_chain_error(IpState& ip, const Ipv6Chain& chain, const Ipv6Header& header,
                        const Frame& frame, const InputContext& context, bool to_unicast,
                        Instant now) {
    if (chain.answer == Ipv6ChainAnswer::none) {
        return;
    }
    OffendingPacket offending;
    offending.source = header.source;
    offending.destination = header.destination;
    offending.protocol = chain.protocol;
    offending.interface = context.interface;
    offending.to_unicast = to_unicast && !context.to_group_mac;
    offending.header = frame.body.front().bytes();
    IcmpAnswer answer;
    answer.type = static_cast<std::uint8_t>(Icmpv6Message::Type::parameter_problem);
    answer.code = chain.answer_code;
    answer.rest = chain.answer_pointer;
    answer.also_about_groups = chain.answer == Ipv6ChainAnswer::always;
    send_icmp_answer(ip, answer, offending, now);
}

InputResult ipv6_fragment(IpState& ip, Frame&& frame, const Ipv6Header& header,
                          const Ipv6Chain& chain, const InputContext& context, bool to_unicast,
                          Instant now) {
    if (context.reassembled) {
        ip.note_in(Decision::ip_drop_fragment_nested, now, frame.body_size());
        return {};
    }
    const Ipv6Fragment& field = *chain.fragment;
    ArrivedFragment fragment;
    fragment.source = header.source;
    fragment.destination = header.destination;
    fragment.identification = field.identification;
    fragment.offset = field.fragment_offset;
    fragment.more = field.more_fragments;
    fragment.ecn = header.ecn();
    fragment.interface = context.interface;
    fragment.to_unicast = to_unicast;
    fragment.packet = std::move(frame.body.front());
    fragment.header_size = field.header_at;
    fragment.data_at = chain.offset;
    fragment.next_header_at = field.next_header_at;
    fragment.next_header = field.next_header;
    return fragment_input(ip, std::move(fragment), now);
}

Datagram datagram_of(const Ipv6Header& header, const Ipv6Chain& chain, const InputContext& context,
                     bool to_unicast) {
    Datagram datagram;
    datagram.source = header.source;
    datagram.destination = header.destination;
    datagram.protocol = chain.protocol;
    datagram.interface = context.interface;
    datagram.hop_limit = header.hop_limit;
    datagram.traffic_class = header.traffic_class;
    datagram.to_unicast = to_unicast;
    return datagram;
}

/// RFC 6980 §5: Neighbour Discovery that came in fragments is not to be trusted.
bool is_fragmented_discovery(const Frame& frame, const Ipv6Chain& chain,
                             const InputContext& context) {
    if (chain.protocol != kProtocolIcmpv6 || (!context.reassembled && !chain.fragment)) {
        return false;
    }
    const Bytes front = frame.body.front().bytes();
    if (front.size() <= chain.offset) {
        return false;
    }
    const auto type = std::to_integer<std::uint8_t>(front[chain.offset]);
    return type >= static_cast<std::uint8_t>(Icmpv6Message::Type::router_solicitation) &&
           type <= static_cast<std::uint8_t>(Icmpv6Message::Type::redirect);
}

bool is_upper_layer(std::uint8_t next_header) {
    return next_header == kProtocolTcp || next_header == kProtocolUdp ||
           next_header == kProtocolIcmpv6;
}

/// Walks the chain; a packet with extension headers in several slices is joined first, as they may lie
/// anywhere in it. False when there is no buffer for that.
bool find_upper_layer(IpState& ip, Frame& frame, const Ipv6Header& header, Ipv6Chain& chain) {
    if (is_upper_layer(header.next_header)) {
        chain.protocol = header.next_header;
        chain.offset = kIpv6HeaderSize;
        return true;
    }
    if (!make_contiguous(ip.pool, frame.body)) {
        return false;
    }
    chain = walk_ipv6_chain(frame.body.front().bytes(), header);
    return true;
}

}  // namespace

InputResult ipv6_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now) {
    const std::size_t size = frame.body_size();
    const auto drop = [&](Decision why) {
        ip.note_in(why, now, size);
        return InputResult{};
    };
    if (frame.body.size() > 1 && !pull_up(ip.pool, frame.body, kIpv6HeaderSize)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    const Ipv6Parse parse =
        parse_ipv6(frame.body.empty() ? Bytes{} : frame.body.front().bytes(), size);
    if (parse.error) {
        return drop(decision_of(*parse.error));
    }
    const Ipv6Header& header = parse.header;
    bool to_unicast = true;
    const std::uint32_t generation = ip.paths.generation();
    const bool known = ip.accepted_pairs.contains(header.source, header.destination,
                                                  context.interface, generation);
    if (!known) {
        const Decision objection = check_addresses(ip, header, context.interface, to_unicast);
        if (objection != kNoObjection) {
            return drop(objection);
        }
    }
    const bool unicast_address = to_unicast;
    to_unicast = to_unicast && !context.to_group_mac;

    if (size > header.total_length()) {
        truncate(frame.body, header.total_length());
    }
    Ipv6Chain chain;
    if (!find_upper_layer(ip, frame, header, chain)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    if (chain.error) {
        answer_chain_error(ip, chain, header, frame, context, to_unicast, now);
        return drop(decision_of(*chain.error));
    }
    if (!known && chain.protocol != kProtocolIcmpv6) {
        const Decision objection = check_source(ip, header, context.interface);
        if (objection != kNoObjection) {
            return drop(objection);
        }
        if (unicast_address) {
            ip.accepted_pairs.add(header.source, header.destination, context.interface, generation);
        }
    }
    if (chain.protocol == kProtocolFragment) {
        return ipv6_fragment(ip, std::move(frame), header, chain, context, to_unicast, now);
    }
    if (chain.fragment) {
        ip.note_in(Decision::ip_accept_atomic_fragment, now, size);
    }
    if (is_fragmented_discovery(frame, chain, context)) {
        return drop(Decision::ndp_drop_fragmented);
    }
    if (chain.protocol == kProtocolNoNextHeader) {
        return drop(Decision::ip_drop_no_next_header);
    }

    Datagram datagram = datagram_of(header, chain, context, to_unicast);
    take_payload(std::move(frame), chain.offset, datagram);
    return deliver(ip, std::move(datagram), now);
}

}  // namespace runnel
