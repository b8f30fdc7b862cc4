// Everything the network layer knows, as parts side by side. What happens is done by functions over it, in
// files named by purpose; IpLayer is the façade. Only the sources of this room include this header.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/ring.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/accepted_pairs.hpp"
#include "runnel/ip/addresses.hpp"
#include "runnel/ip/ip_config.hpp"
#include "runnel/ip/ip_types.hpp"
#include "runnel/ip/neighbor_cache.hpp"
#include "runnel/ip/path_mtu.hpp"
#include "runnel/ip/paths.hpp"
#include "runnel/ip/reassembly.hpp"
#include "runnel/ip/routes.hpp"
#include "runnel/ip/token_bucket.hpp"
#include "runnel/observe/flight_recorder.hpp"

namespace runnel {

/// Frames that may wait for their links, packets to ourselves, and errors that arose here.
inline constexpr std::size_t kMaxPendingFrames = 8192;
inline constexpr std::size_t kMaxLoopbackFrames = 1024;
inline constexpr std::size_t kMaxLocalErrors = 64;
/// Default routers kept from router advertisements, all interfaces together.
inline constexpr std::size_t kMaxDefaultRouters = 8;
/// On-link prefixes kept from router advertisements, all interfaces together.
inline constexpr std::size_t kMaxOnLinkPrefixes = 32;

struct Interface {
    InterfaceConfig config;
    std::uint32_t mtu_v6 = 0;
    InterfaceCounters counters;
    std::uint8_t router_solicitations_left = 0;
    Instant router_solicitation_due = Instant::never();
    Instant mld_reported{};  ///< when a query was last answered
    bool mld_answered = false;
};

/// A route with a lifetime, learnt from a router advertisement.
struct LearntRoute {
    Route route;
    Instant expires = Instant::never();
};

/// Identifications of packets that may be fragmented (RFC 6864 §4.2, RFC 7739 §5.4): counters that start
/// anywhere, one for each of many groups of destinations, so that a peer rarely sees another's.
class IdentificationSource {
public:
    explicit IdentificationSource(const SipKey& key) : key_(key) {}
    /// Which group a destination belongs to; worked out once a path.
    [[nodiscard]] std::uint32_t group_of(const IpAddress& destination) const {
        return static_cast<std::uint32_t>(siphash(key_, destination.bytes()));
    }
    /// The first of `count` consecutive identifications.
    std::uint32_t take(std::uint32_t group, std::uint32_t count) {
        std::uint32_t& counter = counters_[group % kCounters];
        const std::uint32_t first = counter + group;
        counter += count;
        return first;
    }

private:
    static constexpr std::size_t kCounters = 1024;
    SipKey key_;
    std::array<std::uint32_t, kCounters> counters_{};
};

struct IpState {
    IpState(BufferPool& buffer_pool, FlightRecorder& flight_recorder, const IpConfig& ip_config,
            const SipKey& secret);

    BufferPool& pool;
    FlightRecorder& recorder;
    IpConfig config;
    std::vector<Interface> interfaces;
    AddressTable addresses;
    RouteTable routes;
    std::vector<LearntRoute> learnt_routes;
    NeighborCache neighbors;
    Reassembler reassembler;
    PathMtuTable path_mtus;
    PathCache paths;
    AcceptedPairs accepted_pairs;
    IdentificationSource identifications;
    TokenBucket icmp_tokens;
    FrameBatch pending;
    Ring<Frame> loopback;
    Ring<IcmpError> local_errors;
    /// Working space of on_timeout, kept for its memory.
    std::vector<NeighborCache::Step> neighbor_steps;
    std::vector<Reassembler::Expired> expired_datagrams;

    [[nodiscard]] Interface* interface_at(std::uint8_t index) {
        return index < interfaces.size() ? &interfaces[index] : nullptr;
    }
    [[nodiscard]] bool is_ethernet(std::uint8_t index) const {
        return index < interfaces.size() &&
               interfaces[index].config.capabilities.layer == LinkLayer::ethernet;
    }
    /// Records a decision about an arriving packet of `length` bytes.
    Decision note_in(Decision decision, Instant now, std::size_t length, std::uint32_t value = 0) {
        return note(decision, now, length, value, 1);
    }
    /// The same about a packet to be sent, or about neither.
    Decision note_out(Decision decision, Instant now, std::size_t length = 0,
                      std::uint32_t value = 0) {
        return note(decision, now, length, value, 0);
    }

private:
    Decision note(Decision decision, Instant now, std::size_t length, std::uint32_t value,
                  std::uint8_t inbound) {
        EventRecord record;
        record.time = now;
        record.decision = decision;
        record.length = static_cast<std::uint32_t>(length);
        record.value = value;
        record.inbound = inbound;
        recorder.record(record);
        return decision;
    }
};

}  // namespace runnel
