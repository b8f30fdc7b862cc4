#include "runnel/sim/draw_scenario.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>

#include "runnel/sim/draw.hpp"

namespace runnel::sim {

namespace {

void add_knob(Draw& draw, HostSpec& host, std::string_view name,
              std::initializer_list<std::uint64_t> values) {
    if (draw.one_in(4)) {
        host.knobs.push_back({name, draw.pick(values)});
    }
}

struct SenderKnob {
    std::string_view name;
    std::array<std::uint64_t, 4> values;
};

/// What a sender may be set to: recovery, pacing, path MTU, buffers. A host draws a few of them, not one by one: most
/// stay as the profile has them.
constexpr SenderKnob kSenderKnobs[] = {
    {"tcp_recovery", {0, 1, 3, 5}},
    {"tcp_early_retrans", {0, 3, 0, 4}},
    {"tcp_frto", {0, 1, 2, 0}},
    {"tcp_reordering", {1, 2, 10, 100}},
    {"tcp_max_reordering", {3, 10, 1'000, 300}},
    {"rto_restart", {0, 1, 0, 1}},
    {"prr_by_flight", {0, 1, 0, 1}},
    {"probe_for_rto", {0, 1, 0, 1}},
    {"linux_rto", {0, 1, 0, 1}},
    {"hystart", {0, 1, 0, 1}},
    {"pacing", {0, 1, 0, 1}},
    {"pacing", {0, 1, 0, 1}},
    {"tcp_mtu_probing", {0, 1, 2, 2}},
    {"tcp_mtu_probing", {0, 1, 2, 2}},
    {"tcp_base_mss", {256, 512, 1'200, 48}},
    {"tcp_probe_interval", {1, 10, 60, 0}},
    {"mtu_needs_evidence", {0, 1, 0, 1}},
    {"paws_tolerance_ms", {0, 1, 250, 1'000}},
    {"send_buffer_autotuning", {0, 1, 0, 0}},
    {"tcp_ecn_option", {0, 1, 2, 0}},
    {"tcp_ecn_fallback", {0, 1, 0, 1}},
};

void add_sender_knobs(Draw& draw, HostSpec& host) {
    for (std::uint64_t left = draw.below(6); left > 0; --left) {
        const SenderKnob& knob = kSenderKnobs[draw.below(std::size(kSenderKnobs))];
        const std::uint64_t value = knob.values[draw.below(knob.values.size())];
        const bool known = std::any_of(host.knobs.begin(), host.knobs.end(),
                                       [&](const Knob& one) { return one.name == knob.name; });
        if (!known) {
            host.knobs.push_back({knob.name, value});
        }
    }
}

HostSpec draw_host(Draw& draw, NodeId id) {
    HostSpec host;
    host.id = id;
    host.profile = draw.pick(
        {tcp::Profile::modern, tcp::Profile::modern, tcp::Profile::linux_like, tcp::Profile::rfc});
    add_knob(draw, host, "tcp_timestamps", {0, 1});
    add_knob(draw, host, "tcp_window_scaling", {0, 1});
    add_knob(draw, host, "tcp_sack", {0, 1});
    add_knob(draw, host, "super_segments", {0, 1});
    add_knob(draw, host, "tcp_moderate_rcvbuf", {0, 1});
    add_knob(draw, host, "tcp_slow_start_after_idle", {0, 1});
    add_knob(draw, host, "tcp_wmem", {5'000, 20'000, 64'000, 1'000'000});
    add_knob(draw, host, "tcp_rmem", {8'000, 70'000, 1'000'000});
    add_knob(draw, host, "initial_receive_window", {3'000, 20'000, 65'535});
    add_knob(draw, host, "tcp_init_cwnd", {1, 2, 4, 30});
    add_knob(draw, host, "quick_acks", {0, 2, 16});
    if (draw.one_in(2)) {
        host.knobs.push_back({"tcp_ecn", draw.pick<std::uint64_t>({0, 1, 1, 3, 3, 4, 5})});
    }
    add_sender_knobs(draw, host);
    host.clock_offset = Duration{static_cast<std::int64_t>(draw.below(std::uint64_t{1} << 44))};
    if (draw.one_in(4)) {
        host.clock_skew = static_cast<std::int32_t>(draw.between(0, 2'000)) - 1'000;
    }
    host.memory = draw.pick<std::uint32_t>({1 << 20, 4 << 20, 16 << 20});
    host.ring = draw.pick<std::uint16_t>({64, 256, 1024});
    if (draw.one_in(3)) {
        host.batch = static_cast<std::uint16_t>(draw.between(2, 256));
        host.batch_wait = draw.micros(10, 2'000);
    }
    return host;
}

WaySpec draw_way(Draw& draw) {
    WaySpec way;
    way.rate = draw.pick<std::uint64_t>({0, 125'000, 1'250'000, 12'500'000, 125'000'000});
    way.delay = draw.pick(
        {microseconds(50), milliseconds(1), milliseconds(10), milliseconds(30), milliseconds(150)});
    if (draw.one_in(3)) {
        way.jitter = draw.micros(10, 5'000);
    }
    way.queue_bytes = draw.pick<std::uint32_t>({20'000, 64'000, 1'000'000});
    if (draw.one_in(4)) {
        way.queue = QueueKind::codel;
        way.ecn = draw.one_in(2);
    }
    return way;
}

LinkSpec draw_link(Draw& draw, std::size_t number, NodeId a, NodeId b) {
    LinkSpec link;
    link.id = static_cast<std::uint8_t>(number);
    link.a = a;
    link.b = b;
    link.mtu = draw.pick<std::uint32_t>({576, 1280, 1500, 1500, 1500, 9000});
    link.way[0] = draw_way(draw);
    link.way[1] = draw.one_in(2) ? link.way[0] : draw_way(draw);
    return link;
}

/// Two hosts on one link, a star round one router, or two routers with a narrow line between them.
void draw_topology(Draw& draw, Scenario& scenario) {
    const auto connect = [&](NodeId a, NodeId b) {
        scenario.links.push_back(draw_link(draw, scenario.links.size(), a, b));
    };
    constexpr NodeId kLeft = 20, kRight = 21;
    const std::uint64_t shape = draw.below(4);
    const auto hosts = static_cast<NodeId>(shape < 2 ? 2 : draw.between(2, 4 + 4 * draw.below(2)));
    for (NodeId id = 0; id < hosts; ++id) {
        scenario.hosts.push_back(draw_host(draw, id));
    }
    if (shape < 2) {
        return connect(0, 1);
    }
    scenario.routers.push_back({kLeft, draw.one_in(5)});
    if (shape == 3) {
        scenario.routers.push_back({kRight, draw.one_in(5)});
        connect(kLeft, kRight);
    }
    for (NodeId id = 0; id < hosts; ++id) {
        connect(id, shape == 3 && id % 2 == 1 ? kRight : kLeft);
    }
}

bool carries_v6(const Scenario& scenario) {
    return std::all_of(scenario.links.begin(), scenario.links.end(),
                       [](const LinkSpec& link) { return link.mtu >= 1280; });
}

/// Half of the flows are bulk; the sizes of the others are such that they end in a bearable time.
void draw_kind(Draw& draw, Flow& flow) {
    if (draw.one_in(2)) {
        return;
    }
    flow.kind =
        static_cast<FlowKind>(1 + draw.below(static_cast<std::uint64_t>(FlowKind::count_) - 1));
    switch (flow.kind) {
        case FlowKind::request_response:
            flow.count = static_cast<std::uint32_t>(draw.between(1, 20));
            flow.up %= 5'000;
            flow.down %= 20'000;
            break;
        case FlowKind::one_byte_writes: flow.up %= 100; break;
        case FlowKind::many_short:
            flow.count = static_cast<std::uint32_t>(draw.between(2, 12));
            flow.up %= 5'000;
            flow.down %= 20'000;
            break;
        case FlowKind::slow_reader:
            flow.call = std::max(flow.call, static_cast<std::uint32_t>(flow.down / 40));
            flow.pause = draw.micros(1'000, 2'000'000);
            break;
        case FlowKind::never_reader:
        case FlowKind::abort: flow.pause = draw.micros(1'000, 20'000'000); break;
        case FlowKind::idle:
            flow.up %= 10'000;
            flow.pause = draw.micros(100'000, 300'000'000);
            break;
        default: break;
    }
}

tcp::CongestionControl draw_control(Draw& draw) {
    using enum tcp::CongestionControl;
    return draw.pick({new_reno, new_reno, cubic, cubic, cubic, bbr, bbr, bbr, dctcp, dctcp, fixed});
}

/// DCTCP wants a network that marks: half of its flows find one where they begin.
void mark_for_data_centers(Draw& draw, Scenario& scenario) {
    for (const Flow& flow : scenario.flows) {
        if (flow.congestion_control != tcp::CongestionControl::dctcp || draw.one_in(2)) {
            continue;
        }
        for (LinkSpec& link : scenario.links) {
            if (link.a == flow.client || link.b == flow.client) {
                for (WaySpec& way : link.way) {
                    way.queue = QueueKind::codel;
                    way.ecn = true;
                }
            }
        }
    }
}

void draw_flows(Draw& draw, Scenario& scenario) {
    const bool v6 = carries_v6(scenario);
    const std::uint64_t count = draw.between(1, 4);
    const auto hosts = static_cast<NodeId>(scenario.hosts.size());
    // Few flows are larger ones: scenarios differ in kind rather than in how long they take.
    const auto octets = [&] {
        return draw.between(
            0, draw.pick<std::uint64_t>({2'000, 66'000, 108'000, 148'000}) * 5 / (count + 1));
    };
    for (std::uint8_t id = 0; id < count; ++id) {
        Flow flow;
        flow.id = id;
        flow.kind = FlowKind::bulk;
        flow.client = static_cast<NodeId>(draw.below(hosts));
        flow.server = static_cast<NodeId>((flow.client + 1 + draw.below(hosts - 1U)) % hosts);
        flow.v6 = v6 && draw.one_in(2);
        flow.congestion_control = draw_control(draw);
        flow.up = octets();
        flow.down = octets();
        flow.call = draw.pick<std::uint32_t>({1'000, 8'000, 32'000, 64'000});
        flow.start = draw.micros(0, draw.pick<std::uint64_t>({0, 10'000, 1'000'000}));
        flow.seed = draw.seed();
        draw_kind(draw, flow);
        scenario.flows.push_back(flow);
    }
    mark_for_data_centers(draw, scenario);
}

}  // namespace

Scenario draw_scenario(std::uint64_t seed) {
    Draw draw(seed);
    Scenario scenario;
    scenario.seed = seed;
    draw_topology(draw, scenario);
    draw_flows(draw, scenario);
    draw_faults(draw, scenario);
    return scenario;
}

}  // namespace runnel::sim
