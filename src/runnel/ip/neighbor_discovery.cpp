// Neighbor Solicitations and Advertisements as they arrive (RFC 4861 §7.2.3 to §7.2.5), and what they say
// about addresses that are still being checked (RFC 4862 §5.4.3, §5.4.4).
#include "runnel/ip/neighbor_discovery.hpp"

#include <array>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"

namespace runnel {

namespace {

bool being_checked(const LocalAddress& address) {
    return address.state == AddressState::tentative || address.state == AddressState::optimistic;
}

bool is_bad_mac(const std::optional<MacAddress>& mac) {
    return mac && mac->is_group();
}

void send_advertisement(IpState& ip, const LocalAddress& own, const IpAddress& to, Instant now) {
    NeighborAdvertisement advertisement;
    advertisement.target = own.address();
    advertisement.solicited = !to.is_multicast();
    // RFC 4429 §3.3: an address being checked never overrides what others know.
    advertisement.override = own.state == AddressState::preferred;
    advertisement.target_mac = ip.interfaces[own.interface].config.mac;
    std::array<std::byte, 32> message{};
    const std::size_t size = emit_ndp(advertisement, own.address(), to, message);
    send_icmpv6_message(ip, Bytes(message).first(size), IpAddress(own.address()), to, kNdpHopLimit,
                        own.interface, Decision::ndp_transmit_advertisement, now);
}

/// Another station checks whether it may use `target` (its packet comes from the unspecified address).
Decision duplicate_check_input(IpState& ip, const Datagram& datagram,
                               const NeighborSolicitation& solicitation, LocalAddress* own,
                               Instant now) {
    // RFC 4861 §7.1.1: to the solicited-node group, without a source link-layer address.
    if (datagram.destination != solicited_node_multicast(solicitation.target) ||
        solicitation.source_mac) {
        return Decision::ndp_drop_malformed;
    }
    if (own == nullptr || own->state == AddressState::duplicate) {
        return Decision::ndp_drop_not_for_us;
    }
    if (being_checked(*own)) {
        give_up_address(ip, *own, now);  // RFC 4862 §5.4.3: both wanted it
    } else {
        send_advertisement(ip, *own, all_nodes_multicast(), now);
    }
    return Decision::ip_transmit;
}

Decision solicitation_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message,
                            Instant now) {
    const auto solicitation = parse_neighbor_solicitation(message);
    if (!solicitation || is_bad_mac(solicitation->source_mac)) {
        return Decision::ndp_drop_malformed;
    }
    LocalAddress* own = ip.addresses.find(solicitation->target);
    if (own != nullptr && own->interface != datagram.interface) {
        own = nullptr;
    }
    if (datagram.source.is_unspecified()) {
        return duplicate_check_input(ip, datagram, *solicitation, own, now);
    }
    if (own == nullptr || !own->usable()) {
        return Decision::ndp_drop_not_for_us;
    }
    if (solicitation->source_mac) {
        const auto resolved =
            ip.neighbors.learn(datagram.interface, datagram.source, *solicitation->source_mac, now);
        if (resolved) {
            release_held(ip, *resolved, now);
        }
    }
    send_advertisement(ip, *own, datagram.source, now);
    return Decision::ip_transmit;
}

Decision advertisement_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message,
                             Instant now) {
    const auto advertisement = parse_neighbor_advertisement(message);
    if (!advertisement || is_bad_mac(advertisement->target_mac)) {
        return Decision::ndp_drop_malformed;
    }
    // RFC 4861 §7.1.2: an answer to one station isn't sent to all.
    if (advertisement->solicited && datagram.destination.is_multicast()) {
        return Decision::ndp_drop_malformed;
    }
    LocalAddress* own = ip.addresses.find(advertisement->target);
    if (own != nullptr && own->interface == datagram.interface) {
        if (!being_checked(*own)) {
            return Decision::ndp_note_conflict;  // RFC 4862 §5.4.4
        }
        give_up_address(ip, *own, now);
        return Decision::ip_transmit;
    }
    NeighborCache::Advertisement heard;
    heard.mac = advertisement->target_mac;
    heard.solicited = advertisement->solicited;
    heard.override_mac = advertisement->override;
    heard.is_router = advertisement->router;
    const auto result =
        ip.neighbors.advertised(datagram.interface, advertisement->target, heard, now);
    if (!result.known) {
        return Decision::ndp_drop_unsolicited;
    }
    // RFC 4861 §7.2.5: a router that became a host is no default router any more.
    if (result.stopped_routing) {
        forget_router(ip, datagram.interface, advertisement->target);
    }
    if (result.resolved) {
        release_held(ip, *result.resolved, now);
    }
    return Decision::ndp_accept_advertisement;
}

}  // namespace

void ndp_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message, Instant now) {
    Decision decision = Decision::ndp_drop_redirect;
    switch (message.type) {
        case Icmpv6Message::Type::neighbor_solicitation:
            decision = solicitation_input(ip, datagram, message, now);
            break;
        case Icmpv6Message::Type::neighbor_advertisement:
            decision = advertisement_input(ip, datagram, message, now);
            break;
        case Icmpv6Message::Type::router_advertisement:
            router_advertisement_input(ip, datagram, message, now);
            return;
        case Icmpv6Message::Type::router_solicitation:
            decision = Decision::ndp_drop_router_solicitation;
            break;
        default: break;
    }
    // ip_transmit: an answer or a given up address was recorded already.
    if (decision != Decision::ip_transmit) {
        ip.note_in(decision, now, datagram.payload_size);
    }
}

}  // namespace runnel
