#include "runnel/cli/sim/play.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/report/decision_report.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim_command {

namespace {

using sim::Event;
using sim::EventKind;
using sim::NodeId;
using sim::Simulation;

/// Reads the counters of a flow's connections whenever an event shows one of them.
class FlowMeter : public sim::Observer {
public:
    void on_begin(Simulation& run) override {
        flows_.resize(run.scenario().flows.size());
        ends_.resize(flows_.size());
    }
    void on_event(Simulation& run, const Event& event) override {
        if (event.tcb == nullptr || event.flow >= flows_.size()) {
            return;
        }
        const tcp::Tcb& tcb = *event.tcb;
        End& end = end_of(event.flow, event.host, event.connection, run);
        end.segments = tcb.counters.segments_sent;
        end.retransmissions = tcb.counters.retransmissions;
        if (tcb.rtt.has_sample()) {
            end.rtt = tcb.rtt.smoothed();
            end.rtt_min = tcb.rtt.min_rtt();
        }
    }
    [[nodiscard]] std::vector<FlowFigures> figures(const std::vector<std::uint64_t>& timeouts) {
        for (std::size_t i = 0; i < flows_.size(); ++i) {
            std::uint64_t most = 0;
            for (const End& end : ends_[i]) {
                flows_[i].segments += end.segments;
                flows_[i].retransmissions += end.retransmissions;
                if (end.rtt.ns > 0 && end.segments >= most) {
                    most = end.segments;
                    flows_[i].rtt = end.rtt;
                    flows_[i].rtt_min = end.rtt_min;
                }
            }
            flows_[i].timeouts = timeouts[i];
        }
        return std::move(flows_);
    }

private:
    struct End {
        NodeId host = 0;
        std::uint64_t connection = 0;
        std::uint64_t segments = 0, retransmissions = 0;
        Duration rtt = {}, rtt_min = {};
    };
    End& end_of(std::size_t flow, NodeId host, std::uint64_t connection, Simulation& run) {
        // The latest stands last, so that many short connections cost nothing.
        std::vector<End>& ends = ends_[flow];
        const auto found = std::find_if(ends.rbegin(), ends.rend(), [&](const End& end) {
            return end.host == host && end.connection == connection;
        });
        if (found != ends.rend()) {
            return *found;
        }
        flows_[flow].connections += host == run.scenario().flows[flow].client ? 1U : 0U;
        return ends.emplace_back(End{.host = host, .connection = connection});
    }

    std::vector<FlowFigures> flows_;
    std::vector<std::vector<End>> ends_;
};

/// The retransmission timeouts of each flow's connections, from the decisions of every event.
class TimeoutMeter : public sim::Observer {
public:
    void on_begin(Simulation& run) override { timeouts.resize(run.scenario().flows.size()); }
    void on_event(Simulation&, const Event& event) override {
        if (event.kind == EventKind::transmitted && event.flow < timeouts.size() &&
            (event.reason == Decision::tcp_retransmit_timeout ||
             event.reason == Decision::tcp_retransmit_syn ||
             event.reason == Decision::tcp_retransmit_syn_ack)) {
            ++timeouts[event.flow];
        }
    }
    std::vector<std::uint64_t> timeouts;
};

/// Keeps what led to a violation: the last decisions about its connection, or of its host.
class Storyteller : public sim::Observer {
public:
    void on_begin(Simulation& run) override {
        for (const NodeId host : run.hosts()) {
            origins_[host] = run.local_now(host);
        }
    }
    void on_event(Simulation&, const Event&) override {}
    void on_end(Simulation& run) override {
        const auto& violation = run.result().violation;
        if (!violation || !run.has_host(violation->host)) {
            return;
        }
        const FlightRecorder& recorder = run.host(violation->host).recorder();
        for (std::uint64_t number = recorder.next_number();
             number-- > recorder.oldest_number() && lines.size() < kStoryLines;) {
            const EventRecord* record = recorder.find(number);
            if (record != nullptr &&
                (violation->connection == 0 || record->connection == violation->connection)) {
                lines.push_back(report::event_line(*record, origins_[violation->host]));
            }
        }
        std::reverse(lines.begin(), lines.end());
    }
    std::vector<std::string> lines;

private:
    std::array<Instant, sim::kMaxNodes> origins_{};
};

/// What a checker has found, or that the run never ends.
std::optional<sim::Violation> judge(const sim::Scenario& scenario, const sim::RunResult& result) {
    if (result.violation) {
        const bool meant = scenario.open_ended && result.violation->check == sim::Check::completion;
        return meant ? std::nullopt : result.violation;
    }
    if (result.outcome != sim::RunOutcome::event_limit) {
        return std::nullopt;
    }
    return sim::Violation{.check = sim::Check::completion,
                          .text = fmt::format("{} events and no end", result.events),
                          .at = result.ended,
                          .event = result.events};
}

}  // namespace

Played play(const sim::Scenario& scenario, PlayMemory& memory, const PlayOptions& options) {
    sim::RunOptions run_options;
    run_options.event_limit = options.event_limit;
    if (options.tell) {
        run_options.recorder_capacity = std::size_t{1} << 14;
    }
    Simulation run(scenario, memory.run, run_options);
    FlowMeter meter;
    TimeoutMeter timeouts;
    Storyteller storyteller;
    run.watch(memory.checkers);
    if (options.measure) {
        run.watch(meter);
        run.watch(timeouts);
    }
    if (options.tell) {
        run.watch(storyteller);
    }
    for (sim::Observer* observer : options.observers) {
        run.watch(*observer);
    }
    Played played;
    played.result = run.run();
    if (options.measure) {
        played.flows = meter.figures(timeouts.timeouts);
    }
    played.failure = judge(scenario, played.result);
    played.story = std::move(storyteller.lines);
    return played;
}

std::string instant_text(Instant at) {
    return fmt::format("{:.6f} s", static_cast<double>((at - Simulation::kStart).ns) / 1e9);
}

}  // namespace runnel::sim_command
