// Router discovery as a host does it (RFC 4861 §6.3): a few solicitations when an interface comes up, and
// from advertisements default routes, on-link prefixes, the link's MTU and the neighbour timers.
#include <algorithm>
#include <array>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"

namespace runnel {

namespace {

constexpr Duration kSolicitationInterval = seconds(4);  // RFC 4861 §10 RTR_SOLICITATION_INTERVAL
constexpr std::uint32_t kLearntDefaultMetric = 1024;    // behind configured routes, as in Linux
constexpr std::uint32_t kLearntPrefixMetric = 256;
constexpr std::uint32_t kForEver = 0xffff'ffff;
constexpr std::uint32_t kMaxReachableMillis = 3'600'000;  // RFC 4861 §6.2.1
/// A router may not make us solicit in a frenzy, or never.
constexpr std::uint32_t kMinRetransmitMillis = 100, kMaxRetransmitMillis = 60'000;

bool same_route(const Route& a, const Route& b) {
    return a.destination == b.destination && a.gateway == b.gateway && a.interface == b.interface;
}

/// Adds, prolongs or (with a lifetime of 0) removes a learnt route.
void keep_route(IpState& ip, const Route& route, std::uint32_t lifetime_seconds, std::size_t limit,
                Instant now) {
    const auto present =
        std::find_if(ip.learnt_routes.begin(), ip.learnt_routes.end(),
                     [&](const LearntRoute& learnt) { return same_route(learnt.route, route); });
    const Instant expires = lifetime_seconds == kForEver
                                ? Instant::never()
                                : now + seconds(static_cast<std::int64_t>(lifetime_seconds));
    if (present != ip.learnt_routes.end()) {
        if (lifetime_seconds != 0) {
            present->expires = expires;
            return;
        }
        (void)ip.routes.remove(route);
        ip.learnt_routes.erase(present);
        ip.paths.invalidate();
        return;
    }
    const auto of_this_kind = static_cast<std::size_t>(std::count_if(
        ip.learnt_routes.begin(), ip.learnt_routes.end(), [&](const LearntRoute& learnt) {
            return learnt.route.gateway.has_value() == route.gateway.has_value();
        }));
    if (lifetime_seconds == 0 || of_this_kind >= limit || !ip.routes.add(route)) {
        return;
    }
    ip.learnt_routes.push_back({route, expires});
    ip.paths.invalidate();
}

Route default_route(std::uint8_t interface, const IpAddress& router) {
    Route route;
    route.destination = {IpAddress{}, 0};
    route.gateway = router;
    route.interface = interface;
    route.metric = kLearntDefaultMetric;
    return route;
}

void apply_prefixes(IpState& ip, std::uint8_t interface, const RouterAdvertisement& heard,
                    Instant now) {
    for (const PrefixInformation& prefix : heard.prefixes) {
        if (!prefix.on_link || prefix.prefix.is_link_local() || prefix.prefix.is_multicast() ||
            prefix.prefix_length == 0) {
            continue;
        }
        Route route;
        route.destination = {network_of({prefix.prefix, prefix.prefix_length}),
                             prefix.prefix_length};
        route.interface = interface;
        route.metric = kLearntPrefixMetric;
        keep_route(ip, route, prefix.valid_lifetime, kMaxOnLinkPrefixes, now);
    }
}

void apply_link_values(IpState& ip, std::uint8_t index, const RouterAdvertisement& heard) {
    Interface& interface = ip.interfaces[index];
    // RFC 4861 §6.3.4: never above the link's own MTU nor below IPv6's minimum.
    if (heard.mtu && *heard.mtu >= kIpv6MinimumMtu &&
        *heard.mtu <= interface.config.capabilities.mtu && *heard.mtu != interface.mtu_v6) {
        interface.mtu_v6 = *heard.mtu;
        ip.paths.invalidate();
    }
    Duration retransmit{};
    if (heard.retransmit_timer != 0) {
        retransmit = milliseconds(
            std::clamp(heard.retransmit_timer, kMinRetransmitMillis, kMaxRetransmitMillis));
    }
    const Duration reachable = milliseconds(std::min(heard.reachable_time, kMaxReachableMillis));
    ip.neighbors.set_timers(index, reachable, retransmit);
}

/// RFC 4861 §6.3.7: from a link-local address, or from nowhere as long as there is none.
void send_router_solicitation(IpState& ip, std::uint8_t interface, Instant now) {
    IpAddress source;
    RouterSolicitation solicitation;
    for (const LocalAddress& address : ip.addresses.all()) {
        if (address.interface != interface || !address.usable()) {
            continue;
        }
        if (address.address().is_v4() || !address.address().is_link_local()) {
            continue;
        }
        source = address.address();
        if (address.state == AddressState::preferred) {
            solicitation.source_mac = ip.interfaces[interface].config.mac;
        }
    }
    std::array<std::byte, 16> message{};
    const IpAddress routers = all_routers_multicast();
    const std::size_t size = emit_ndp(solicitation, source, routers, message);
    send_icmpv6_message(ip, Bytes(message).first(size), source, routers, kNdpHopLimit, interface,
                        Decision::ndp_transmit_router_solicitation, now);
}

}  // namespace

void start_router_solicitation(IpState& ip, std::uint8_t index, Instant now) {
    Interface& interface = ip.interfaces[index];
    if (!ip.config.accept_router_advertisements || ip.config.router_solicitations == 0) {
        return;
    }
    if (!interface.router_solicitation_due.is_never()) {
        return;
    }
    interface.router_solicitations_left = ip.config.router_solicitations;
    interface.router_solicitation_due = now;
}

void router_advertisement_input(IpState& ip, const Datagram& datagram, const Icmpv6Message& message,
                                Instant now) {
    const auto drop = [&](Decision why) { ip.note_in(why, now, datagram.payload_size); };
    // RFC 4861 §6.1.2: from a link-local address, because routers are known by these.
    if (!datagram.source.is_link_local()) {
        return drop(Decision::ndp_drop_bad_source);
    }
    const auto heard = parse_router_advertisement(message);
    if (!heard || (heard->source_mac && heard->source_mac->is_group())) {
        return drop(Decision::ndp_drop_malformed);
    }
    if (!ip.config.accept_router_advertisements) {
        return drop(Decision::ndp_drop_router_advertisement);
    }
    const std::uint8_t interface = datagram.interface;
    ip.note_in(Decision::ndp_accept_router_advertisement, now, datagram.payload_size,
               heard->router_lifetime);
    if (heard->source_mac) {
        const auto resolved =
            ip.neighbors.learn(interface, datagram.source, *heard->source_mac, now);
        if (resolved) {
            release_held(ip, *resolved, now);
        }
    }
    ip.neighbors.set_router(interface, datagram.source, true);
    keep_route(ip, default_route(interface, datagram.source), heard->router_lifetime,
               kMaxDefaultRouters, now);
    apply_prefixes(ip, interface, *heard, now);
    apply_link_values(ip, interface, *heard);
    // RFC 4861 §6.3.7: a router has answered, no more needs to be asked.
    if (heard->router_lifetime != 0) {
        ip.interfaces[interface].router_solicitations_left = 0;
        ip.interfaces[interface].router_solicitation_due = Instant::never();
    }
}

void forget_router(IpState& ip, std::uint8_t interface, const IpAddress& router) {
    keep_route(ip, default_route(interface, router), 0, 0, Instant{});
}

void router_timeouts(IpState& ip, Instant now) {
    for (std::size_t i = ip.learnt_routes.size(); i-- > 0;) {
        const LearntRoute learnt = ip.learnt_routes[i];
        if (learnt.expires > now) {
            continue;
        }
        if (learnt.route.gateway) {
            ip.note_out(Decision::ndp_note_router_expired, now);
        }
        (void)ip.routes.remove(learnt.route);
        ip.learnt_routes.erase(ip.learnt_routes.begin() + static_cast<std::ptrdiff_t>(i));
        ip.paths.invalidate();
    }
    for (std::uint8_t index = 0; index < ip.interfaces.size(); ++index) {
        Interface& interface = ip.interfaces[index];
        if (interface.router_solicitation_due > now) {
            continue;
        }
        if (interface.router_solicitations_left > 0) {
            --interface.router_solicitations_left;
        }
        interface.router_solicitation_due = interface.router_solicitations_left > 0
                                                ? now + kSolicitationInterval
                                                : Instant::never();
        send_router_solicitation(ip, index, now);
    }
}

Instant next_router_timeout(const IpState& ip) {
    Instant next = Instant::never();
    for (const LearntRoute& learnt : ip.learnt_routes) {
        next = std::min(next, learnt.expires);
    }
    for (const Interface& interface : ip.interfaces) {
        next = std::min(next, interface.router_solicitation_due);
    }
    return next;
}

}  // namespace runnel
