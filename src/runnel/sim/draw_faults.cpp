// Which faults a drawn scenario has, where, when, how hard.
#include <algorithm>

#include "runnel/sim/draw.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim {

namespace {
constexpr std::uint64_t kMillion = 1'000'000;

/// Those that would hurt every connection they meet for good are rarer.
bool is_rare(FaultKind kind) {
    switch (kind) {
        case FaultKind::optimistic_acks:
        case FaultKind::on_path_segments:
        case FaultKind::crash:
        case FaultKind::close_in_callback: return true;
        default: return false;
    }
}

FaultKind draw_kind(Draw& draw) {
    for (;;) {
        const auto kind = static_cast<FaultKind>(draw.below(kFaultKinds));
        if (!is_rare(kind) || draw.one_in(4)) {
            return kind;
        }
    }
}

void draw_link_parameters(Draw& draw, Fault& fault) {
    switch (fault.kind) {
        case FaultKind::drop_bursts:
            fault.a = static_cast<std::int64_t>(draw.between(100'000, 500'000));
            fault.b = static_cast<std::int64_t>(draw.between(300'000, kMillion));
            break;
        case FaultKind::duplicate:
        case FaultKind::reorder:
        case FaultKind::delay_step: fault.a = draw.micros(100, 50'000).ns; break;
        case FaultKind::rate_change:
            fault.a = static_cast<std::int64_t>(draw.between(20'000, 2'000'000));
            break;
        case FaultKind::mtu_change:
        case FaultKind::mtu_black_hole:
            fault.a = draw.pick<std::int64_t>({576, 1'280, 1'400});
            break;
        case FaultKind::icmp_forged: fault.a = static_cast<std::int64_t>(draw.below(2)); break;
        case FaultKind::merge_segments:
        case FaultKind::thin_acks: fault.a = draw.micros(100, 20'000).ns; break;
        default: break;
    }
}

void draw_middlebox_parameters(Draw& draw, Fault& fault) {
    switch (fault.kind) {
        case FaultKind::strip_options:
            fault.a = static_cast<std::int64_t>(draw.between(1, 7));
            // Timestamps that one end believes in and the other does not stop every connection.
            fault.b = (fault.a & 4) == 0 && draw.one_in(2) ? 1 : 0;
            break;
        case FaultKind::strip_window_scale:
            fault.b = static_cast<std::int64_t>(draw.below(2));
            break;
        case FaultKind::optimistic_acks:
            fault.a = static_cast<std::int64_t>(draw.between(1, 20'000));
            break;
        case FaultKind::divided_acks:
            fault.a = static_cast<std::int64_t>(draw.between(2, 8));
            break;
        case FaultKind::shrunk_windows: fault.a = draw.pick<std::int64_t>({0, 2, 10}); break;
        case FaultKind::blind_segments:
        case FaultKind::off_path_segments:
        case FaultKind::on_path_segments:
            fault.a = static_cast<std::int64_t>(draw.between(1, 15));
            break;
        default: break;
    }
}

void draw_host_parameters(Draw& draw, Fault& fault) {
    switch (fault.kind) {
        case FaultKind::late_timers: fault.a = draw.micros(100, 500'000).ns; break;
        case FaultKind::clock_jump: fault.a = draw.micros(1'000, 100'000'000).ns; break;
        case FaultKind::clock_skew:
            fault.a = static_cast<std::int64_t>(draw.below(100'001)) - 50'000;
            break;
        case FaultKind::pool_exhausted:
            fault.a = static_cast<std::int64_t>(draw.between(0, 256 * 1024));
            break;
        case FaultKind::rings_full:
            fault.a = static_cast<std::int64_t>(draw.between(1, 16));
            fault.b = draw.micros(10, 5'000).ns;
            break;
        case FaultKind::allocation_fails:
            fault.a = static_cast<std::int64_t>(draw.between(1, 50));
            fault.b = static_cast<std::int64_t>(draw.below(20));
            break;
        case FaultKind::close_in_callback:
            fault.a = static_cast<std::int64_t>(draw.below(2));
            break;
        default: break;
    }
}

std::uint32_t draw_intensity(Draw& draw, FaultKind kind) {
    switch (kind) {
        case FaultKind::drop_syn:
        case FaultKind::drop_fin:
        case FaultKind::drop_first:
        case FaultKind::drop_last:
        case FaultKind::drop_retransmission:
        case FaultKind::strip_options:
        case FaultKind::strip_window_scale:
        case FaultKind::split_segments:
        case FaultKind::merge_segments:
        case FaultKind::thin_acks:
        case FaultKind::mark_ecn:
        case FaultKind::bleach_ecn:
            return static_cast<std::uint32_t>(draw.between(100'000, 600'000));
        case FaultKind::on_path_segments:
        case FaultKind::close_in_callback: return 5'000;
        default: return draw.pick<std::uint32_t>({5'000, 20'000, 50'000, 100'000});
    }
}

/// The greatest duration, in microseconds.
std::uint64_t longest(FaultKind kind) {
    switch (kind) {
        case FaultKind::partition:
        case FaultKind::pause:
        case FaultKind::crash:
        case FaultKind::crash_keeping_state: return 3 * kMillion;
        case FaultKind::mtu_black_hole: return 5 * kMillion;
        case FaultKind::pool_exhausted: return 10 * kMillion;
        default: return 60 * kMillion;
    }
}

std::uint8_t draw_place(Draw& draw, const Scenario& scenario, FaultKind kind) {
    const auto pick = [&](const auto& parts) {
        return parts.empty() ? std::uint8_t{0} : parts[draw.below(parts.size())].id;
    };
    // Half of them stand where the first flow's packets pass, so that most faults meet somebody.
    const bool first = draw.one_in(2) && !scenario.flows.empty();
    switch (facts(kind).place) {
        case FaultPlace::link:
            for (const LinkSpec& link : scenario.links) {
                const NodeId client = first ? scenario.flows[0].client : kNoNode;
                if (link.a == client || link.b == client) {
                    return link.id;
                }
            }
            return pick(scenario.links);
        case FaultPlace::host: return first ? scenario.flows[0].server : pick(scenario.hosts);
        case FaultPlace::flow: return pick(scenario.flows);
    }
    return 0;
}
}  // namespace

void draw_faults(Draw& draw, Scenario& scenario) {
    const std::uint64_t count = draw.between(4, 10);
    for (std::uint64_t i = 0; i < count; ++i) {
        Fault fault;
        fault.kind = draw_kind(draw);
        fault.where = draw_place(draw, scenario, fault.kind);
        fault.ways = draw.pick({Ways::forth, Ways::back, Ways::both, Ways::both});
        fault.from = draw.micros(0, draw.pick<std::uint64_t>({0, 0, 50'000, kMillion}));
        fault.until = fault.from + draw.micros(longest(fault.kind) / 100, longest(fault.kind));
        fault.intensity = draw_intensity(draw, fault.kind);
        fault.seed = draw.seed();
        switch (facts(fault.kind).place) {
            case FaultPlace::link:
                draw_link_parameters(draw, fault);
                draw_middlebox_parameters(draw, fault);
                break;
            default: draw_host_parameters(draw, fault); break;
        }
        scenario.faults.push_back(fault);
    }
}

}  // namespace runnel::sim
