#include "runnel/cli/sim/summary.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/cli/sim/units.hpp"
#include "runnel/sim/names.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel::sim_command {

namespace {

using report::count_text;
using report::counted;
using report::Ink;
using report::Paint;
using sim::FaultPlace;
using sim::Scenario;

double in_seconds(Duration duration) {
    return static_cast<double>(duration.ns) / 1e9;
}

std::string node_name(const Scenario& scenario, sim::NodeId id) {
    const bool router = std::any_of(scenario.routers.begin(), scenario.routers.end(),
                                    [&](const sim::RouterSpec& one) { return one.id == id; });
    return fmt::format("{} {}", router ? "router" : "host", id);
}

std::string way_text(const sim::WaySpec& way) {
    std::string text =
        fmt::format("{}, {}", way.rate == 0 ? "any rate" : rate_text(static_cast<double>(way.rate)),
                    report::duration_text(way.delay));
    if (way.jitter.ns > 0) {
        text += fmt::format(" + up to {}", report::duration_text(way.jitter));
    }
    if (way.rate != 0) {
        text += fmt::format(", {} of {} kB",
                            way.queue == sim::QueueKind::drop_tail ? "queue"
                            : way.ecn                              ? "CoDel queue with ECN"
                                                                   : "CoDel queue",
                            (way.queue_bytes + 999) / 1'000);
    }
    return text;
}

void add_topology(std::string& out, const Scenario& scenario) {
    for (const sim::HostSpec& host : scenario.hosts) {
        out += fmt::format("  host {}: {}", host.id, tcp::name_of(host.profile));
        for (const sim::Knob& knob : host.knobs) {
            out += fmt::format(", {}={}", knob.name, knob.value);
        }
        if (host.batch > 1) {
            out += fmt::format(", batches of {}", host.batch);
        }
        if (host.clock_skew != 0) {
            out += fmt::format(", clock {:+} ppm", host.clock_skew);
        }
        out += '\n';
    }
    for (const sim::LinkSpec& link : scenario.links) {
        out += fmt::format("  link {}: {} ─ {}, MTU {}: {}", link.id, node_name(scenario, link.a),
                           node_name(scenario, link.b), link.mtu, way_text(link.way[0]));
        if (link.way[1] != link.way[0]) {
            out += fmt::format("; back {}", way_text(link.way[1]));
        }
        out += '\n';
    }
}

struct FlowRow {
    std::string name, ends, octets, goodput, retransmissions, rtt, ended;
};

/// Octets that arrived a second, of the flow's whole life.
double goodput(const sim::FlowResult& result, Instant run_ended) {
    const Duration life = (result.ended > result.began ? result.ended : run_ended) - result.began;
    const auto octets = static_cast<double>(result.received[0] + result.received[1]);
    return life.ns > 0 ? octets / in_seconds(life) : 0;
}

std::string ending(const sim::FlowResult& result) {
    if (!result.started) {
        return "not begun";
    }
    std::string errors;
    for (const unsigned side : {0U, 1U}) {
        if (result.error[side] != Errc::ok) {
            errors += fmt::format("{}{}: {}", errors.empty() ? "" : ", ",
                                  side == 0 ? "client" : "server", message(result.error[side]));
        }
    }
    if (!errors.empty()) {
        return errors;
    }
    return result.over
               ? fmt::format("over after {}", report::duration_text(result.ended - result.began))
               : "not over";
}

FlowRow flow_row(const Scenario& scenario, const Played& played, std::size_t i) {
    const sim::Flow& flow = scenario.flows[i];
    const sim::FlowResult& result = played.result.flows[i];
    const FlowFigures figures = i < played.flows.size() ? played.flows[i] : FlowFigures{};
    FlowRow row;
    row.name = fmt::format("flow {} {}", flow.id, to_string(flow.kind));
    row.ends = fmt::format("{} → {} {}", flow.client, flow.server, flow.v6 ? "IPv6" : "IPv4");
    row.octets =
        fmt::format("{} ↑ {} ↓", count_text(result.received[1]), count_text(result.received[0]));
    row.goodput = rate_text(goodput(result, played.result.ended));
    row.retransmissions = fmt::format("{} of {} again", count_text(figures.retransmissions),
                                      count_text(figures.segments));
    row.rtt = figures.rtt.ns > 0 ? "RTT " + report::duration_text(figures.rtt) : "no RTT";
    row.ended = ending(result);
    return row;
}

void add_flows(std::string& out, const Scenario& scenario, const Played& played) {
    std::vector<FlowRow> rows;
    for (std::size_t i = 0; i < std::min(scenario.flows.size(), played.result.flows.size()); ++i) {
        rows.push_back(flow_row(scenario, played, i));
    }
    const auto width = [&](std::string FlowRow::* cell) {
        std::size_t most = 0;
        for (const FlowRow& row : rows) {
            most = std::max(most, report::columns(row.*cell));
        }
        return most;
    };
    const std::size_t name = width(&FlowRow::name), ends = width(&FlowRow::ends),
                      octets = width(&FlowRow::octets), rate = width(&FlowRow::goodput),
                      again = width(&FlowRow::retransmissions), rtt = width(&FlowRow::rtt);
    for (const FlowRow& row : rows) {
        out += fmt::format("  {}  {}  {}  {}  {}  {}  {}\n", report::pad_right(row.name, name),
                           report::pad_right(row.ends, ends), report::pad_left(row.octets, octets),
                           report::pad_left(row.goodput, rate),
                           report::pad_left(row.retransmissions, again),
                           report::pad_left(row.rtt, rtt), row.ended);
    }
}

std::string_view place_name(FaultPlace place) {
    switch (place) {
        case FaultPlace::link: return "link";
        case FaultPlace::host: return "host";
        case FaultPlace::flow: return "flow";
    }
    return "";
}

void add_faults(std::string& out, const Scenario& scenario, const Played& played, Paint paint) {
    std::size_t width = 0;
    for (const sim::Fault& fault : scenario.faults) {
        width = std::max(width, to_string(fault.kind).size());
    }
    std::array<bool, sim::kFaultKinds> shown{};
    for (const sim::Fault& fault : scenario.faults) {
        const sim::FaultFacts& facts = sim::facts(fault.kind);
        const auto kind = static_cast<std::size_t>(fault.kind);
        // How often is counted by kind: the first of a kind shows it.
        const std::string times =
            shown[kind] ? "″" : count_text(played.result.faults[kind]) + " times";
        shown[kind] = true;
        out +=
            fmt::format("  {}  {} {}, {} to {}  {}  {}\n", report::pad_right(facts.name, width),
                        place_name(facts.place), fault.where, report::duration_text(fault.from),
                        report::duration_text(fault.until), times, paint(Ink::dim, facts.sentence));
    }
}

std::string heading(Paint paint, std::string_view text) {
    return paint(Ink::bold, text) + '\n';
}

}  // namespace

std::string_view outcome_name(sim::RunOutcome outcome) {
    switch (outcome) {
        case sim::RunOutcome::rest: return "rest";
        case sim::RunOutcome::limit: return "limit";
        case sim::RunOutcome::event_limit: return "event_limit";
        case sim::RunOutcome::stuck: return "stuck";
        case sim::RunOutcome::violation: return "violation";
    }
    return "";
}

std::string summary(const Replay& replay, const Scenario& scenario, const Played& played,
                    Paint paint) {
    const sim::RunResult& result = played.result;
    std::string out = heading(
        paint,
        fmt::format("{}: {}, {}, {}, {}, {}", replay.title, counted(scenario.hosts.size(), "host"),
                    counted(scenario.routers.size(), "router"),
                    counted(scenario.links.size(), "link"), counted(scenario.flows.size(), "flow"),
                    counted(scenario.faults.size(), "fault")));
    add_topology(out, scenario);
    out += heading(paint, "flows (octets to the server and to the client)");
    add_flows(out, scenario, played);
    if (!scenario.faults.empty()) {
        out += heading(paint, "faults");
        add_faults(out, scenario, played, paint);
    }
    out += heading(paint, "run");
    const sim::NetworkCounters& network = result.network;
    if (network.queue_drops + network.aqm_drops + network.ecn_marks + network.fragmented +
            network.icmp_sent !=
        0) {
        out += fmt::format(
            "  queues: {} dropped, {} by CoDel, {} marked; routers: {} cut up, {} ICMP errors\n",
            network.queue_drops, network.aqm_drops, network.ecn_marks, network.fragmented,
            network.icmp_sent);
    }
    out += fmt::format("  {}, {} sent, {} delivered, in {} of virtual time\n",
                       counted(result.events, "event"), counted(result.packets_sent, "packet"),
                       counted(result.segments_delivered, "segment"),
                       report::duration_text(result.ended - sim::Simulation::kStart));
    out += fmt::format("  digest {:016x}\n", result.digest);
    out += played.failure ? failure_text(replay, scenario, played, paint)
                          : paint(Ink::good, "ok") + '\n';
    return out;
}

std::string failure_text(const Replay& replay, const Scenario& scenario, const Played& played,
                         Paint paint) {
    if (!played.failure) {
        return "";
    }
    const sim::Violation& failure = *played.failure;
    std::string out =
        paint(Ink::alarm, fmt::format("FAILED {}: {}", replay.title, to_string(failure.check))) +
        fmt::format(" ({})\n  {}\n  at {}, event {}", sentence(failure.check), failure.text,
                    instant_text(failure.at), count_text(failure.event));
    if (failure.host != sim::kNoNode) {
        out += ", " + node_name(scenario, failure.host);
    }
    if (failure.connection != 0) {
        out += fmt::format(", connection #{}", failure.connection & 0xffff'ffff);
    }
    out += '\n';
    if (!played.story.empty()) {
        out += failure.connection != 0 ? "  its last decisions, by the host's clock:\n"
                                       : "  the host's last decisions, by its clock:\n";
        for (const std::string& line : played.story) {
            out += "  " + line + '\n';
        }
    }
    return out + fmt::format("  again: {}\n", paint(Ink::bold, replay.command));
}

void write_failure(report::JsonWriter& json, std::string_view name, const Played& played) {
    if (!played.failure) {
        return json.null(name);
    }
    const sim::Violation& failure = *played.failure;
    json.begin_object(name);
    json.text("checker", to_string(failure.check));
    json.text("text", failure.text);
    json.number("at_s", in_seconds(failure.at - sim::Simulation::kStart));
    json.number("event", failure.event);
    if (failure.host != sim::kNoNode) {
        json.number("host", failure.host);
    }
    if (failure.connection != 0) {
        json.number("connection", failure.connection & 0xffff'ffff);
    }
    json.begin_array("story");
    for (const std::string& line : played.story) {
        json.text("", line);
    }
    json.end_array();
    json.end_object();
}

namespace {

void write_flow(report::JsonWriter& json, const Scenario& scenario, const Played& played,
                std::size_t i) {
    const sim::Flow& flow = scenario.flows[i];
    const sim::FlowResult& result = played.result.flows[i];
    const FlowFigures figures = i < played.flows.size() ? played.flows[i] : FlowFigures{};
    json.begin_object();
    json.number("id", flow.id);
    json.text("kind", to_string(flow.kind));
    json.number("client", flow.client);
    json.number("server", flow.server);
    json.boolean("v6", flow.v6);
    json.boolean("started", result.started);
    json.boolean("over", result.over);
    json.number("octets_up", result.received[1]);
    json.number("octets_down", result.received[0]);
    json.number("seconds",
                in_seconds((result.ended > result.began ? result.ended : played.result.ended) -
                           result.began));
    json.number("goodput_bits_per_second", goodput(result, played.result.ended) * 8);
    json.number("connections", figures.connections);
    json.number("segments", figures.segments);
    json.number("retransmissions", figures.retransmissions);
    json.number("timeouts", figures.timeouts);
    json.number("rtt_ns", figures.rtt.ns);
    json.number("rtt_min_ns", figures.rtt_min.ns);
    json.text("client_error", result.error[0] == Errc::ok ? "" : errno_name(result.error[0]));
    json.text("server_error", result.error[1] == Errc::ok ? "" : errno_name(result.error[1]));
    json.end_object();
}

}  // namespace

std::string summary_json(const Replay& replay, const Scenario& scenario, const Played& played) {
    const sim::RunResult& result = played.result;
    std::string out;
    report::JsonWriter json(out);
    json.begin_object();
    json.text("name", replay.title);
    json.boolean("ok", !played.failure);
    json.text("outcome", outcome_name(result.outcome));
    json.text("digest", fmt::format("{:016x}", result.digest));
    json.number("events", result.events);
    json.number("packets_sent", result.packets_sent);
    json.number("segments_delivered", result.segments_delivered);
    json.number("virtual_seconds", in_seconds(result.ended - sim::Simulation::kStart));
    json.number("fault_kinds", result.fault_kinds());
    json.begin_object("faults");
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        if (result.faults[i] != 0) {
            json.number(to_string(static_cast<sim::FaultKind>(i)), result.faults[i]);
        }
    }
    json.end_object();
    json.begin_array("flows");
    for (std::size_t i = 0; i < std::min(scenario.flows.size(), result.flows.size()); ++i) {
        write_flow(json, scenario, played, i);
    }
    json.end_array();
    write_failure(json, "failure", played);
    json.text("replay", replay.command);
    json.end_object();
    return out + '\n';
}

}  // namespace runnel::sim_command
