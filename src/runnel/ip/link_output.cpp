// The last step down: a packet's neighbour is known, or it waits behind the resolution (RFC 4861 §7.2.2,
// RFC 1122 §2.3.2.2), and the frame joins those that its link will take.
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"

namespace runnel {

namespace {

Decision hold_frame(IpState& ip, NeighborCache::Ref ref, Frame&& frame, Instant now) {
    const std::size_t size = frame.size();
    switch (ip.neighbors.hold(ref, std::move(frame))) {
        case NeighborCache::Held::kept: break;
        case NeighborCache::Held::displaced_oldest:
            ip.note_out(Decision::ip_drop_neighbor_queue, now);
            break;
        case NeighborCache::Held::refused:
            return ip.note_out(Decision::ip_drop_neighbor_table, now, size);
    }
    return ip.note_out(Decision::ip_hold_resolution, now, size);
}

void send_neighbor_solicitation(IpState& ip, const NeighborCache::Entry& entry, bool unicast,
                                Instant now) {
    const auto source = ip.addresses.choose_source(entry.address, entry.interface);
    if (!source) {
        return;
    }
    NeighborSolicitation solicitation;
    solicitation.target = entry.address;
    // RFC 4429 §3.3: an address that is still being checked must not change others' caches.
    const LocalAddress* own = ip.addresses.find(*source);
    if (own != nullptr && own->state == AddressState::preferred) {
        solicitation.source_mac = ip.interfaces[entry.interface].config.mac;
    }
    const IpAddress destination = unicast ? entry.address : solicited_node_multicast(entry.address);
    std::array<std::byte, 32> message{};
    const std::size_t size = emit_ndp(solicitation, *source, destination, message);
    send_icmpv6_message(
        ip, Bytes(message).first(size), *source, destination, kNdpHopLimit, entry.interface,
        unicast ? Decision::ndp_transmit_probe : Decision::ndp_transmit_solicitation, now);
}

}  // namespace

Decision append_pending(IpState& ip, Frame&& frame, std::uint8_t interface, Instant now) {
    if (ip.pending.size() >= kMaxPendingFrames) {
        return ip.note_out(Decision::ip_drop_pending_full, now, frame.size());
    }
    frame.interface = interface;
    InterfaceCounters& counters = ip.interfaces[interface].counters;
    ++counters.frames_out;
    counters.bytes_out += frame.size();
    ip.pending.push_back(std::move(frame));
    return Decision::ip_transmit;
}

Decision send_ethernet(IpState& ip, Frame&& frame, std::uint8_t interface,
                       const MacAddress& destination, Instant now) {
    EthernetHeader header;
    header.destination = destination;
    header.source = ip.interfaces[interface].config.mac;
    const unsigned version = std::to_integer<unsigned>(frame.head()[0]) >> 4;
    header.ether_type = version == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
    emit_ethernet(header, frame.prepend_head(kEthernetHeaderSize));
    if (frame.offload.needs_checksum) {
        frame.offload.csum_start =
            static_cast<std::uint16_t>(frame.offload.csum_start + kEthernetHeaderSize);
    }
    if (frame.offload.gso != Offload::Gso::none) {
        frame.offload.header_length =
            static_cast<std::uint16_t>(frame.offload.header_length + kEthernetHeaderSize);
    }
    return append_pending(ip, std::move(frame), interface, now);
}

Decision send_to_link(IpState& ip, Frame&& frame, Path& path, Instant now) {
    if (path.kind == PathKind::direct) {
        return append_pending(ip, std::move(frame), path.interface, now);
    }
    if (path.kind == PathKind::group) {
        return send_ethernet(ip, std::move(frame), path.interface, path.group_mac, now);
    }
    if (const MacAddress* mac = ip.neighbors.reachable(path.neighbor, now)) {
        return send_ethernet(ip, std::move(frame), path.interface, *mac, now);
    }
    const std::uint8_t interface = path.interface;
    const NeighborCache::Resolution resolution = ip.neighbors.use(interface, path.next_hop, now);
    path.neighbor = resolution.ref;
    if (resolution.ref.index == NeighborCache::kNone) {
        return ip.note_out(Decision::ip_drop_neighbor_table, now, frame.size());
    }
    if (resolution.resolved) {
        return send_ethernet(ip, std::move(frame), interface, resolution.mac, now);
    }
    const Decision held = hold_frame(ip, resolution.ref, std::move(frame), now);
    // Last, because what it sends may take this path's place in the cache.
    if (resolution.solicit) {
        solicit_neighbor(ip, resolution.ref, false, now);
    }
    return held;
}

void remember_neighbor(IpState& ip, const Path& path) {
    if (Path* cached = ip.paths.find(path.destination, path.asked_interface)) {
        cached->neighbor = path.neighbor;
    }
}

void solicit_neighbor(IpState& ip, NeighborCache::Ref ref, bool unicast, Instant now) {
    const NeighborCache::Entry* entry = ip.neighbors.find(ref);
    if (entry == nullptr) {
        return;
    }
    if (!entry->address.is_v4()) {
        send_neighbor_solicitation(ip, NeighborCache::Entry(*entry), unicast, now);
        return;
    }
    const auto source = ip.addresses.choose_source(entry->address, entry->interface);
    if (!source) {
        return;
    }
    send_arp(ip, entry->interface, ArpPacket::Operation::request, *source, entry->address,
             unicast ? std::optional<MacAddress>(entry->mac) : std::nullopt,
             Decision::arp_transmit_request, now);
}

void release_held(IpState& ip, NeighborCache::Ref ref, Instant now) {
    while (std::optional<Frame> frame = ip.neighbors.take_held(ref)) {
        const NeighborCache::Entry* entry = ip.neighbors.find(ref);
        send_ethernet(ip, std::move(*frame), entry->interface, entry->mac, now);
    }
}

void neighbor_timeouts(IpState& ip, Instant now) {
    ip.neighbor_steps.clear();
    ip.neighbors.on_timeout(now, ip.neighbor_steps);
    for (const NeighborCache::Step& step : ip.neighbor_steps) {
        if (step.kind != NeighborCache::Step::Kind::unreachable) {
            solicit_neighbor(ip, step.ref, step.kind == NeighborCache::Step::Kind::solicit_unicast,
                             now);
            continue;
        }
        while (const std::optional<Frame> frame = ip.neighbors.take_held(step.ref)) {
            ip.note_out(Decision::ip_drop_neighbor_unreachable, now, frame->size());
            report_local_error(ip, IcmpError::Kind::host_unreachable, frame->head(), 0);
        }
        ip.neighbors.remove(step.ref);
    }
}

}  // namespace runnel
