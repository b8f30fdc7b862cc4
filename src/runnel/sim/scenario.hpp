// A scenario: everything that a run of the simulated world is made from, as a plain value that can be
// compared, written down, read back and shrunk. Parts name each other by ids, and a name that leads
// nowhere is ignored by the run: so every scenario from which any part has been taken away is valid.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"

namespace runnel::sim {

/// Hosts and routers share one space of ids: 0..kMaxNodes-1, each at most once.
using NodeId = std::uint8_t;
inline constexpr NodeId kMaxNodes = 32;
inline constexpr NodeId kNoNode = 0xff;
/// Most links and faults that a run takes; further ones are ignored.
inline constexpr std::size_t kMaxLinks = 64;
inline constexpr std::size_t kMaxFaults = 256;
inline constexpr std::size_t kMaxFlows = 256;

/// One value of a host's TCP configuration, by a name of tcp::config_names(), whose text it shares. A value
/// that is refused is ignored.
struct Knob {
    std::string_view name;
    std::uint64_t value = 0;
    bool operator==(const Knob&) const = default;
};

struct HostSpec {
    NodeId id = 0;
    tcp::Profile profile = tcp::Profile::modern;
    std::vector<Knob> knobs = {};
    Duration clock_offset = {};      ///< its clock minus the world's
    std::int32_t clock_skew = 0;     ///< ppm, of the whole run; |skew| <= 100,000
    std::uint32_t memory = 4 << 20;  ///< bytes of packet buffers; at least 256 KB are given
    std::uint16_t ring = 1024;       ///< packets that wait for it; what comes then is lost
    std::uint16_t batch = 1;         ///< packets handed over at once, 1..256
    Duration batch_wait = {};        ///< how long an unfull batch waits
    bool operator==(const HostSpec&) const = default;
};

struct RouterSpec {
    NodeId id = 0;
    bool silent = false;  ///< sends no ICMP errors
    bool operator==(const RouterSpec&) const = default;
};

enum class QueueKind : std::uint8_t { drop_tail, codel };

struct WaySpec {
    std::uint64_t rate = 0;  ///< bytes a second; 0: as fast as packets come
    Duration delay = milliseconds(1);
    Duration jitter = {};  ///< up to so much more, without reordering
    QueueKind queue = QueueKind::drop_tail;
    bool ecn = false;  ///< CoDel marks what can be marked, and drops the rest
    std::uint32_t queue_bytes = 1 << 20;
    bool operator==(const WaySpec&) const = default;
};

struct LinkSpec {
    std::uint8_t id = 0;
    NodeId a = 0, b = 0;
    std::uint32_t mtu = 1500;  ///< bytes of IP packet, 576..65,535; below 1280 it carries no IPv6
    std::array<WaySpec, 2> way = {};  ///< [0]: from a to b, [1]: back
    bool operator==(const LinkSpec&) const = default;
};

enum class FaultKind : std::uint8_t {
#define RUNNEL_FAULT(name, place, suspends, sentence, parameters) name,
#include "runnel/sim/fault_kinds.def"
#undef RUNNEL_FAULT
    count_,
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::count_);

enum class FaultPlace : std::uint8_t { link, host, flow };
enum class Ways : std::uint8_t { forth, back, both };  ///< a to b, b to a

struct Fault {
    FaultKind kind{};
    std::uint8_t where = 0;       ///< the id of a link, host or flow, as the kind says
    Ways ways = Ways::both;       ///< of a link
    Duration from = {};           ///< since the run's beginning
    Duration until = {};          ///< it has healed by then
    std::uint32_t intensity = 0;  ///< ppm; see fault_kinds.def, also for a and b
    std::int64_t a = 0;
    std::int64_t b = 0;
    /// Its own chance: a fault does the same whatever others are taken away.
    std::uint64_t seed = 0;
    bool operator==(const Fault&) const = default;
};

enum class FlowKind : std::uint8_t {
    bulk,              ///< `up` octets there, `down` back, at once
    request_response,  ///< `count` times: `up` there, then `down` back
    one_byte_writes,   ///< `up` octets, each a write of its own
    slow_reader,       ///< `down` octets back, read `call` at a time every `pause`
    never_reader,  ///< `down` octets back, which nobody reads until `pause` has passed; then aborts
    half_close,    ///< `up` there and the end; only then `down` back
    abort,         ///< bulk that the client aborts after `pause`
    many_short,    ///< `count` connections one after the other, `up` and `down` each
    idle,  ///< connects, says `up` octets, says nothing for `pause`, says `up` again, closes
    count_,
};

struct Flow {
    std::uint8_t id = 0;  ///< the server listens on port kFirstPort + id
    FlowKind kind = FlowKind::bulk;
    NodeId client = 0, server = 1;
    bool v6 = false;
    tcp::CongestionControl congestion_control = tcp::CongestionControl::new_reno;
    std::uint64_t up = 0, down = 0;  ///< octets
    std::uint32_t call = 16 * 1024;  ///< greatest octets of one call
    std::uint32_t count = 1;
    Duration start = {};
    Duration pause = {};
    std::uint64_t seed = 0;  ///< of contents and the sizes of calls
    bool operator==(const Flow&) const = default;
};
inline constexpr std::uint16_t kFirstPort = 5'000;

struct Scenario {
    std::uint64_t seed = 0;           ///< of secrets (ISNs, ports), jitter and nothing else
    Duration limit = seconds(3'600);  ///< virtual time after which the run is broken off
    bool open_ended = false;  ///< the limit is meant: what has not ended by then is no failure
    std::vector<HostSpec> hosts;
    std::vector<RouterSpec> routers;
    std::vector<LinkSpec> links;
    std::vector<Fault> faults;
    std::vector<Flow> flows;
    bool operator==(const Scenario&) const = default;
};

}  // namespace runnel::sim
