// A frame's first steps: which interface, which station, which protocol (RFC 894, RFC 2464), and the way of
// fragments and of whole datagrams from there.
#include <algorithm>
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/input.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel {

namespace {

/// A frame without a VLAN, or with a priority tag only (802.1Q: VLAN number 0 means none).
bool belongs_to_no_vlan(const EthernetHeader& header) {
    const bool third_tag =
        header.ether_type == kEtherTypeVlan || header.ether_type == kEtherTypeServiceVlan;
    const bool all_zero = std::all_of(header.tags.begin(), header.tags.end(),
                                      [](const VlanTag& tag) { return tag.vlan() == 0; });
    return !third_tag && header.tags.size() <= 1 && all_zero;
}

std::uint16_t subtract_or_zero(std::uint16_t value, std::size_t count) {
    return static_cast<std::uint16_t>(value > count ? value - count : 0);
}

void strip_front(Frame& frame, std::size_t count) {
    frame.body.front().remove_prefix(count);
    if (frame.body.front().empty()) {
        frame.body.erase(frame.body.begin());
    }
    frame.offload.csum_start = subtract_or_zero(frame.offload.csum_start, count);
    frame.offload.header_length = subtract_or_zero(frame.offload.header_length, count);
}

InputResult ethernet_input(IpState& ip, Frame&& frame, Instant now) {
    const std::size_t size = frame.body_size();
    const auto drop = [&](Decision why) {
        ip.note_in(why, now, size);
        return InputResult{};
    };
    if (!pull_up(ip.pool, frame.body, kEthernetHeaderSize + kVlanTagSize)) {
        return drop(Decision::ip_drop_no_buffer);
    }
    if (frame.body.empty()) {
        return drop(Decision::eth_drop_truncated);
    }
    const auto header = parse_ethernet(frame.body.front().bytes());
    if (!header) {
        return drop(Decision::eth_drop_truncated);
    }
    const MacAddress& own = ip.interfaces[frame.interface].config.mac;
    if (header->source == own) {
        return drop(Decision::eth_drop_own_frame);
    }
    if (!header->destination.is_group() && header->destination != own) {
        return drop(Decision::eth_drop_not_for_us);
    }
    if (!belongs_to_no_vlan(*header)) {
        return drop(Decision::eth_drop_vlan);
    }

    InputContext context;
    context.interface = frame.interface;
    context.to_group_mac = header->destination.is_group();
    strip_front(frame, header->size());
    if (header->ether_type == kEtherTypeArp) {
        if (!make_contiguous(ip.pool, frame.body)) {
            return drop(Decision::ip_drop_no_buffer);
        }
        const Bytes packet = frame.body.empty() ? Bytes{} : frame.body.front().bytes();
        arp_input(ip, context.interface, packet, now);
        return {};
    }
    if (header->ether_type == kEtherTypeIpv4) {
        return ipv4_input(ip, std::move(frame), context, now);
    }
    if (header->ether_type == kEtherTypeIpv6) {
        return ipv6_input(ip, std::move(frame), context, now);
    }
    return drop(Decision::eth_drop_unknown_type);
}

}  // namespace

InputResult frame_input(IpState& ip, Frame&& frame, Instant now) {
    Interface* interface = ip.interface_at(frame.interface);
    const std::size_t size = frame.body_size();
    if (interface == nullptr) {
        ip.note_in(Decision::ip_drop_unknown_interface, now, size);
        return {};
    }
    ++interface->counters.frames_in;
    interface->counters.bytes_in += size;
    if (interface->config.capabilities.layer == LinkLayer::ethernet) {
        return ethernet_input(ip, std::move(frame), now);
    }
    InputContext context;
    context.interface = frame.interface;
    return packet_input(ip, std::move(frame), context, now);
}

InputResult packet_input(IpState& ip, Frame&& frame, const InputContext& context, Instant now) {
    const unsigned version =
        frame.body.empty() ? 0 : std::to_integer<unsigned>(*frame.body.front().data()) >> 4;
    if (version == 4) {
        return ipv4_input(ip, std::move(frame), context, now);
    }
    if (version == 6) {
        return ipv6_input(ip, std::move(frame), context, now);
    }
    ip.note_in(frame.body.empty() ? Decision::ip_drop_truncated : Decision::ip_drop_bad_version,
               now, frame.body_size());
    return {};
}

void take_payload(Frame&& frame, std::size_t header_size, Datagram& datagram) {
    strip_front(frame, header_size);
    const bool header_before = !frame.body.empty() && frame.body.front().begin() >= header_size;
    datagram.network_header_size = static_cast<std::uint16_t>(header_before ? header_size : 0);
    datagram.offload = frame.offload;
    datagram.payload = std::move(frame.body);
    datagram.payload_size = static_cast<std::uint32_t>(total_size(datagram.payload));
}

InputResult deliver(IpState& ip, Datagram&& datagram, Instant now) {
    const bool v4 = datagram.source.is_v4();
    if (datagram.protocol == kProtocolIcmpv4 && v4) {
        return icmpv4_input(ip, std::move(datagram), now);
    }
    if (datagram.protocol == kProtocolIcmpv6 && !v4) {
        return icmpv6_input(ip, std::move(datagram), now);
    }
    return InputResult(std::move(datagram));
}

InputResult fragment_input(IpState& ip, ArrivedFragment&& fragment, Instant now) {
    const std::size_t size = fragment.packet.size();
    InputContext context;
    context.interface = fragment.interface;
    context.to_group_mac = !fragment.to_unicast;
    context.reassembled = true;
    Reassembler::Added added = ip.reassembler.add(std::move(fragment), now);
    for (std::uint32_t i = 0; i < added.evicted; ++i) {
        ip.note_in(Decision::ip_drop_fragment_evicted, now, 0);
    }
    ip.note_in(added.decision, now, size);
    if (added.decision != Decision::ip_accept_reassembled) {
        return {};
    }
    Frame whole;
    whole.interface = context.interface;
    whole.body.push_back(std::move(added.whole));
    return packet_input(ip, std::move(whole), context, now);
}

void expire_fragments(IpState& ip, Instant now) {
    ip.expired_datagrams.clear();
    ip.reassembler.on_timeout(now, ip.expired_datagrams);
    for (const Reassembler::Expired& expired : ip.expired_datagrams) {
        const ArrivedFragment& first = expired.first;
        ip.note_in(Decision::ip_drop_fragment_timeout, now, first.packet.size());
        if (!expired.has_first) {
            continue;  // RFC 1122 §3.3.2, RFC 8200 §4.5: else nothing is sent
        }
        const bool v4 = first.source.is_v4();
        OffendingPacket offending;
        offending.source = first.source;
        offending.destination = first.destination;
        offending.protocol = v4 ? first.protocol : first.next_header;
        offending.interface = first.interface;
        offending.to_unicast = first.to_unicast;
        offending.header = first.packet.bytes().first(first.data_at);
        offending.payload = first.packet.bytes().subspan(first.data_at);
        IcmpAnswer answer;
        answer.type = v4 ? static_cast<std::uint8_t>(Icmpv4Message::Type::time_exceeded)
                         : static_cast<std::uint8_t>(Icmpv6Message::Type::time_exceeded);
        answer.code = 1;  // reassembly, in both families
        send_icmp_answer(ip, answer, offending, now);
    }
    ip.expired_datagrams.clear();
}

}  // namespace runnel
