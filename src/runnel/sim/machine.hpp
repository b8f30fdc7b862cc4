// A host of a run with what stands around it: its clock, its rings, and what faults make of them.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "runnel/host/host.hpp"
#include "runnel/sim/clock.hpp"
#include "runnel/sim/event.hpp"
#include "runnel/sim/schedule.hpp"
#include "runnel/socket/socket_layer.hpp"
#include "runnel/tcp/inspection.hpp"

namespace runnel::sim {

class Network;

struct RingedPacket {
    Packet* packet = nullptr;
    std::uint8_t interface = 0;
};

struct Machine {
    /// What a crash takes away.
    struct Life {
        Life(const HostConfig& config) : host(config), sockets(host), window(host.tcp()) {}
        Host host;
        SocketLayer sockets;
        tcp::Inspection window;
    };

    Machine(const HostSpec& host_spec, Instant start)
        : spec(&host_spec), clock(start, host_spec.clock_offset, host_spec.clock_skew) {}

    const HostSpec* spec;
    HostClock clock;
    std::optional<Life> life;
    std::vector<std::uint8_t> link_of_interface;  ///< places in Scenario::links
    std::vector<RingedPacket> ring;               ///< arrived and not yet taken
    Instant deadline = Instant::never();          ///< next_timeout on the world's clock, or later
    bool service_planned = false;
    std::uint32_t incarnation = 0;        ///< crashes so far
    std::uint32_t timeouts_in_a_row = 0;  ///< at one instant
    Instant last_timeout;
    /// Happenings of its applications that came while it could not act.
    std::vector<Happening> postponed;

    // Faults at work; several of a kind may overlap.
    std::uint32_t paused = 0;       ///< does nothing
    std::uint32_t down = 0;         ///< and loses what arrives
    std::uint16_t late = kNoFault;  ///< late_timers
    std::uint16_t short_rings = kNoFault;
    std::uint64_t refusals_before = 0;
    Instant late_deadline;  ///< the deadline for which `late_by` has been drawn
    Duration late_by = {};

    /// Connections looked for lately, by a mixture of their ports: packets come in rows.
    struct Known {
        FourTuple tuple;
        tcp::ConnectionHandle handle;
    };
    std::array<Known, 8> known;
    [[nodiscard]] Known& known_place(const FourTuple& tuple) {
        return known[(tuple.local.port ^ tuple.remote.port) % known.size()];
    }

    [[nodiscard]] Host& host() { return life->host; }
};

/// The engine's configuration of a host of a scenario; sized for many short runs.
[[nodiscard]] HostConfig host_config(const Scenario& scenario, const HostSpec& spec,
                                     std::uint32_t incarnation, std::size_t recorder_capacity);

}  // namespace runnel::sim
