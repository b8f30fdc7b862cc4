// The façade: configuration and status are carried out here, the rest is handed to the functions of this
// room in the order a packet meets them.
#include "runnel/ip/ip_layer.hpp"

#include <algorithm>
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/input.hpp"
#include "runnel/ip/ip_state.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

namespace {

/// Uses of the layer's secret.
enum KeyUse : std::uint64_t {
    kNeighborKey = 1,
    kReassemblyKey = 2,
    kPathMtuKey = 3,
    kIdentificationKey = 4,
};

constexpr std::uint32_t kMinimumMtuV4 = 68;  // RFC 791 §3.2

bool is_valid_address(const Cidr& cidr) {
    const IpAddress& address = cidr.address;
    const unsigned bits = address.is_v4() ? 32 : 128;
    return cidr.prefix_length <= bits && !address.is_unspecified() && !address.is_multicast() &&
           !address.is_limited_broadcast() && !address.is_loopback();
}

Route connected_route(std::uint8_t interface, const Cidr& cidr) {
    Route route;
    route.destination = {network_of(cidr), cidr.prefix_length};
    route.interface = interface;
    return route;
}

}  // namespace

IpState::IpState(BufferPool& buffer_pool, FlightRecorder& flight_recorder,
                 const IpConfig& ip_config, const SipKey& secret)
    : pool(buffer_pool),
      recorder(flight_recorder),
      config(ip_config),
      neighbors(ip_config, derive_key(secret, kNeighborKey)),
      reassembler(buffer_pool, ip_config, derive_key(secret, kReassemblyKey)),
      path_mtus(derive_key(secret, kPathMtuKey)),
      identifications(derive_key(secret, kIdentificationKey)),
      icmp_tokens(ip_config.icmp_errors_per_second, ip_config.icmp_error_burst) {}

IpLayer::IpLayer(BufferPool& pool, FlightRecorder& recorder, const IpConfig& config,
                 const SipKey& secret)
    : state_(std::make_unique<IpState>(pool, recorder, config, secret)) {}

IpLayer::~IpLayer() = default;

// --- configuration ---------------------------------------------------------------------------------------

Result<std::uint8_t> IpLayer::add_interface(const InterfaceConfig& config) {
    if (state_->interfaces.size() >= kMaxInterfaces) {
        return fail(Errc::too_many_open);
    }
    if (config.capabilities.mtu < kMinimumMtuV4) {
        return fail(Errc::argument_invalid);
    }
    Interface interface;
    interface.config = config;
    // Both families' length fields end at 65,535 bytes.
    std::uint32_t& mtu = interface.config.capabilities.mtu;
    mtu = std::min(mtu, kLoopbackMtu);
    interface.mtu_v6 = mtu;
    state_->interfaces.push_back(std::move(interface));
    return static_cast<std::uint8_t>(state_->interfaces.size() - 1);
}

Status IpLayer::add_address(std::uint8_t interface, const Cidr& cidr, Instant now) {
    IpState& ip = *state_;
    const Interface* link = ip.interface_at(interface);
    if (link == nullptr || !is_valid_address(cidr)) {
        return fail(Errc::argument_invalid);
    }
    const bool v4 = cidr.address.is_v4();
    // RFC 8200 §5: a link that can't carry 1280 bytes has no place for IPv6.
    if (!v4 && link->config.capabilities.mtu < kIpv6MinimumMtu) {
        return fail(Errc::argument_invalid);
    }
    const auto& all = ip.addresses.all();
    const bool first_v6 =
        !v4 && std::none_of(all.begin(), all.end(), [&](const LocalAddress& present) {
            return present.interface == interface && !present.address().is_v4();
        });

    LocalAddress address;
    address.cidr = cidr;
    address.interface = interface;
    if (Status added = ip.addresses.add(address); !added) {
        return added;
    }
    if (Status routed = ip.routes.add(connected_route(interface, cidr)); !routed) {
        (void)ip.addresses.remove(interface, cidr.address);
        return routed;
    }
    ip.paths.invalidate();
    start_address(ip, *ip.addresses.find(cidr.address), now);
    if (first_v6 && ip.is_ethernet(interface)) {
        start_router_solicitation(ip, interface, now);
    }
    return {};
}

Status IpLayer::remove_address(std::uint8_t interface, const IpAddress& address) {
    IpState& ip = *state_;
    const LocalAddress* present = ip.addresses.find(address);
    if (present == nullptr) {
        return fail(Errc::address_not_available);
    }
    const Route connected = connected_route(interface, present->cidr);
    if (Status removed = ip.addresses.remove(interface, address); !removed) {
        return removed;
    }
    const auto& rest = ip.addresses.all();
    const bool still_needed = std::any_of(rest.begin(), rest.end(), [&](const LocalAddress& other) {
        return other.interface == interface &&
               connected_route(interface, other.cidr).destination == connected.destination;
    });
    if (!still_needed) {
        (void)ip.routes.remove(connected);
    }
    ip.paths.invalidate();
    return {};
}

Status IpLayer::add_route(const Route& route) {
    if (route.interface >= state_->interfaces.size()) {
        return fail(Errc::argument_invalid);
    }
    state_->paths.invalidate();
    return state_->routes.add(route);
}

Status IpLayer::remove_route(const Route& route) {
    state_->paths.invalidate();
    return state_->routes.remove(route);
}

// --- data path -------------------------------------------------------------------------------------------

InputResult IpLayer::input(Frame&& frame, Instant now) {
    return frame_input(*state_, std::move(frame), now);
}

Decision IpLayer::output(Frame&& frame, const OutgoingPacket& packet, Instant now) {
    return packet_output(*state_, std::move(frame), packet, now);
}

FrameBatch& IpLayer::pending() {
    return state_->pending;
}

bool IpLayer::has_local() const {
    return !state_->loopback.empty() || !state_->local_errors.empty();
}

InputResult IpLayer::poll_local(Instant now) {
    return next_local(*state_, now);
}

Decision IpLayer::send_icmp_error(IcmpError::Kind kind, const Datagram& offending, Instant now) {
    return runnel::send_icmp_error(*state_, kind, offending, now);
}

// --- routes and paths ------------------------------------------------------------------------------------

std::optional<RouteChoice> IpLayer::route(const IpAddress& destination,
                                          std::optional<IpAddress> source,
                                          std::uint8_t interface) const {
    const IpState& ip = *state_;
    if (source && !ip.addresses.is_local(*source)) {
        return std::nullopt;
    }
    if (interface == kAnyInterface && source && destination.is_link_local()) {
        const LocalAddress* own = ip.addresses.find(*source);
        if (own != nullptr) {
            interface = own->interface;
        }
    }
    // A peer on this host is reached over loopback whatever interface its link would have.
    const std::optional<Path> path = resolve_path(ip, destination, interface);
    if (!path) {
        return std::nullopt;
    }
    if (!source) {
        source = path->kind == PathKind::loopback
                     ? destination
                     : ip.addresses.choose_source(destination, path->interface);
    }
    if (!source) {
        return std::nullopt;
    }
    return RouteChoice{path->interface, path->next_hop, *source, path->mtu};
}

std::uint32_t IpLayer::path_mtu(const IpAddress& destination) const {
    if (const Path* cached = state_->paths.find(destination, kAnyInterface)) {
        return cached->mtu;
    }
    const std::optional<Path> path = resolve_path(*state_, destination, kAnyInterface);
    return path ? path->mtu : 0;
}

void IpLayer::update_path_mtu(const IpAddress& destination, std::uint32_t mtu, Instant now) {
    IpState& ip = *state_;
    const std::optional<Path> path = resolve_path(ip, destination, kAnyInterface);
    if (!path || path->kind == PathKind::loopback || path->kind == PathKind::group) {
        return;
    }
    const bool v4 = destination.is_v4();
    const std::uint32_t floor = v4 ? ip.config.min_path_mtu_v4 : kIpv6MinimumMtu;
    const bool below_floor = v4 && mtu < floor;
    const std::uint32_t wanted = std::max(mtu, floor);
    if (wanted >= path->mtu && !(below_floor && !path->may_fragment)) {
        return;
    }
    ip.path_mtus.set(destination, std::min(wanted, path->mtu), below_floor || path->may_fragment,
                     now + ip.config.path_mtu_lifetime);
    ip.paths.invalidate();
    ip.note_in(Decision::ip_note_path_mtu, now, 0, std::min(wanted, path->mtu));
}

void IpLayer::confirm_neighbor(const IpAddress& destination, Instant now) {
    const Path* path = state_->paths.find(destination, kAnyInterface);
    if (path != nullptr && path->kind == PathKind::neighbor) {
        state_->neighbors.confirm(path->neighbor, now);
    }
}

void IpLayer::suspect_neighbor(const IpAddress& destination, Instant now) {
    // RFC 9293 §3.8.3, MUST-20 (b).
    const Path* path = state_->paths.find(destination, kAnyInterface);
    if (path != nullptr && path->kind == PathKind::neighbor) {
        state_->neighbors.suspect(path->neighbor, now);
    }
}

bool IpLayer::is_group(const IpAddress& address) const {
    return address.is_multicast() || address.is_limited_broadcast() ||
           state_->addresses.is_directed_broadcast(address);
}

bool IpLayer::is_local(const IpAddress& address) const {
    return state_->addresses.is_local(address);
}

// --- time ------------------------------------------------------------------------------------------------

Instant IpLayer::next_timeout() const {
    const IpState& ip = *state_;
    Instant next = std::min({ip.neighbors.next_timeout(), ip.reassembler.next_timeout(),
                             ip.path_mtus.next_timeout(), next_router_timeout(ip)});
    for (const LocalAddress& address : ip.addresses.all()) {
        next = std::min(next, address.deadline);
    }
    return next;
}

void IpLayer::on_timeout(Instant now) {
    IpState& ip = *state_;
    address_timeouts(ip, now);
    router_timeouts(ip, now);
    neighbor_timeouts(ip, now);
    expire_fragments(ip, now);
    if (ip.path_mtus.on_timeout(now)) {
        ip.paths.invalidate();
        ip.note_out(Decision::ip_note_path_mtu_forgotten, now);
    }
}

// --- status ----------------------------------------------------------------------------------------------

std::vector<InterfaceStatus> IpLayer::interfaces() const {
    std::vector<InterfaceStatus> rows;
    for (std::uint8_t index = 0; index < state_->interfaces.size(); ++index) {
        const Interface& interface = state_->interfaces[index];
        InterfaceStatus row;
        row.index = index;
        row.config = interface.config;
        row.mtu_v6 = interface.mtu_v6;
        row.counters = interface.counters;
        for (const LocalAddress& address : state_->addresses.all()) {
            if (address.interface == index) {
                row.addresses.push_back({address.cidr, address.state});
            }
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::span<const Route> IpLayer::routes() const {
    return state_->routes.all();
}

std::vector<NeighborStatus> IpLayer::neighbors(Instant now) const {
    return state_->neighbors.status(now);
}

const IpConfig& IpLayer::config() const {
    return state_->config;
}

}  // namespace runnel
