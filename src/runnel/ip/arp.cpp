// ARP (RFC 826) with the conflict rules of RFC 5227: requests for our addresses are answered, replies feed
// the neighbour cache, and whoever else uses one of our addresses is noticed.
#include <array>
#include <utility>

#include "runnel/ip/input.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel {

namespace {

constexpr Duration kDefendInterval = seconds(10);  // RFC 5227 §1.1 DEFEND_INTERVAL

/// RFC 5227 §2.1.1: a sender address of 0.0.0.0 marks a probe.
bool is_probe(const ArpPacket& packet) {
    return packet.operation == ArpPacket::Operation::request && packet.sender_ip.is_unspecified();
}

bool sender_is_plausible(const ArpPacket& packet) {
    const std::uint32_t first_octet = packet.sender_ip.v4_value() >> 24;
    if (packet.sender_mac.is_group() || packet.sender_mac == MacAddress{}) {
        return false;
    }
    return is_probe(packet) || (first_octet != 0 && first_octet != 127 && first_octet < 224);
}

void defend(IpState& ip, LocalAddress& own, Instant now) {
    // RFC 5227 §2.4 (c): a host whose address others rely on keeps it, and says so not too often.
    if (own.defended && now < own.last_defence + kDefendInterval) {
        ip.note_in(Decision::arp_note_conflict, now, kArpPacketSize, own.address().v4_value());
        return;
    }
    own.defended = true;
    own.last_defence = now;
    send_arp(ip, own.interface, ArpPacket::Operation::request, own.address(), own.address(), {},
             Decision::arp_transmit_defence, now);
}

/// True when the packet was about one of our addresses being used by another.
bool conflicts(IpState& ip, std::uint8_t interface, const ArpPacket& packet, Instant now) {
    LocalAddress* own = ip.addresses.find(is_probe(packet) ? packet.target_ip : packet.sender_ip);
    if (own == nullptr || own->interface != interface) {
        return false;
    }
    const bool being_checked =
        own->state == AddressState::tentative || own->state == AddressState::optimistic;
    if (is_probe(packet)) {
        // Two stations that check the same address at once both give it up.
        if (being_checked) {
            give_up_address(ip, *own, now);
        }
        return being_checked;
    }
    if (being_checked) {
        give_up_address(ip, *own, now);
    } else if (own->usable()) {
        defend(ip, *own, now);
    }
    return true;
}

void learn_from_request(IpState& ip, std::uint8_t interface, const ArpPacket& packet, bool create,
                        Instant now) {
    if (packet.sender_ip.is_unspecified()) {
        return;
    }
    if (!create && ip.neighbors.find(interface, packet.sender_ip) == nullptr) {
        return;
    }
    const auto resolved = ip.neighbors.learn(interface, packet.sender_ip, packet.sender_mac, now);
    if (resolved) {
        release_held(ip, *resolved, now);
    }
}

void reply_input(IpState& ip, std::uint8_t interface, const ArpPacket& packet, Instant now) {
    NeighborCache::Advertisement advertisement;
    advertisement.mac = packet.sender_mac;
    advertisement.solicited = packet.target_mac == ip.interfaces[interface].config.mac;
    advertisement.override_mac = true;  // RFC 826: the newest word counts
    const auto result = ip.neighbors.advertised(interface, packet.sender_ip, advertisement, now);
    ip.note_in(result.known ? Decision::arp_accept_reply : Decision::arp_drop_unsolicited, now,
               kArpPacketSize, packet.sender_ip.v4_value());
    if (result.resolved) {
        release_held(ip, *result.resolved, now);
    }
}

}  // namespace

void arp_input(IpState& ip, std::uint8_t interface, Bytes bytes, Instant now) {
    const auto packet = parse_arp(bytes);
    const auto drop = [&](Decision why) { ip.note_in(why, now, bytes.size()); };
    if (!packet) {
        return drop(Decision::arp_drop_malformed);
    }
    if (!sender_is_plausible(*packet)) {
        return drop(Decision::arp_drop_bad_sender);
    }
    if (packet->sender_mac == ip.interfaces[interface].config.mac) {
        return drop(Decision::eth_drop_own_frame);
    }
    if (conflicts(ip, interface, *packet, now)) {
        return;
    }
    if (packet->operation == ArpPacket::Operation::reply) {
        return reply_input(ip, interface, *packet, now);
    }
    const LocalAddress* own = ip.addresses.find(packet->target_ip);
    if (own == nullptr || own->interface != interface || !own->usable()) {
        // RFC 826's merge: who is known already is kept up to date, by announcements too.
        const bool known = ip.neighbors.find(interface, packet->sender_ip) != nullptr;
        learn_from_request(ip, interface, *packet, false, now);
        return drop(known ? Decision::arp_accept_update : Decision::arp_drop_not_for_us);
    }
    learn_from_request(ip, interface, *packet, true, now);
    send_arp(ip, interface, ArpPacket::Operation::reply, packet->target_ip, packet->sender_ip,
             packet->sender_mac, Decision::arp_transmit_reply, now);
}

void send_arp(IpState& ip, std::uint8_t interface, ArpPacket::Operation operation,
              const IpAddress& sender, const IpAddress& target,
              std::optional<MacAddress> target_mac, Decision reason, Instant now) {
    const MacAddress& own = ip.interfaces[interface].config.mac;
    ArpPacket packet;
    packet.operation = operation;
    packet.sender_mac = own;
    packet.sender_ip = sender;
    packet.target_ip = target;
    if (operation == ArpPacket::Operation::reply && target_mac) {
        packet.target_mac = *target_mac;
    }

    Frame frame;
    frame.reason = static_cast<std::uint16_t>(reason);
    frame.set_head_size(emit_arp(packet, frame.head_space()));
    EthernetHeader header;
    header.destination = target_mac.value_or(MacAddress::broadcast());
    header.source = own;
    header.ether_type = kEtherTypeArp;
    emit_ethernet(header, frame.prepend_head(kEthernetHeaderSize));
    ip.note_out(reason, now, kArpPacketSize, target.v4_value());
    append_pending(ip, std::move(frame), interface, now);
}

}  // namespace runnel
