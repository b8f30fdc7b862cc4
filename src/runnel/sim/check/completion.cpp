// Liveness: every transfer ends, or its user is told why not, within a stated time after the last fault has
// healed.
#include <algorithm>

#include "runnel/sim/check/look.hpp"
#include "runnel/sim/workload/kinds.hpp"

namespace runnel::sim::check {

namespace {
/// The longest that an end goes on without an answer: R2 of RFC 9293 §3.8.3 is 15 tries in our profiles,
/// 924.6 s with Linux's RTO, of which the last may begin a greatest RTO late; then the other end, if it has
/// nothing to say, learns it from keep-alive (workload/flows.cpp) after 240 s.
constexpr Duration kPatience = seconds(925 + 120 + 240);
/// With a floor of 1 s (profile rfc) the tries take longer.
constexpr Duration kPatienceRfc = seconds(1'207 + 120 + 240);
/// A connection with the slowest RTO may sit through one more before it notices that all is well.
constexpr Duration kGreatestRto = seconds(120);

/// Nobody waits longer than this; nor does a Duration hold much more.
constexpr double kForever = 4e9;

double in_seconds(Duration duration) {
    return static_cast<double>(duration.ns) / 1e9;
}
double on_line(double octets, std::uint64_t rate) {
    return rate == 0 ? 0 : octets / static_cast<double>(rate);
}

/// What a flow takes when all is well, in seconds; `round` over all links with their queues full.
double time_of(const Flow& flow, double round, std::uint64_t slowest, bool scale_lost) {
    const double connections = std::clamp<std::uint32_t>(flow.count, 1, Workload::kMaxSessions);
    const double octets =
        static_cast<double>(octets_of(flow, 0)) + static_cast<double>(octets_of(flow, 1));
    // Each segment may need a round trip and a delayed ACK; where the window scale got lost halfway each two
    // octets: a window of 3,000 then looks like one of 2.
    double rounds = octets / (scale_lost ? 2 : 500) + 20;
    if (flow.kind == FlowKind::one_byte_writes) {
        rounds += static_cast<double>(flow.up);
    }
    const double pauses = static_cast<double>(pauses_of(flow)) * 2;
    return in_seconds(flow.start) + in_seconds(std::max(flow.pause, milliseconds(1))) * pauses +
           ((round + 0.2) * rounds + on_line(octets * 8, slowest)) * connections;
}
}  // namespace

Duration liveness_bound(const Scenario& scenario) {
    Duration healed = {};
    bool scale_lost = false;
    for (const Fault& fault : scenario.faults) {
        healed = std::max(healed, fault.until);
        scale_lost = scale_lost || fault.kind == FaultKind::strip_window_scale;
    }
    double round = 0.001;
    std::uint64_t slowest = 0;
    for (const LinkSpec& link : scenario.links) {
        for (const WaySpec& way : link.way) {
            round += in_seconds(way.delay + way.jitter) + on_line(way.queue_bytes, way.rate);
            slowest = way.rate != 0 && (slowest == 0 || way.rate < slowest) ? way.rate : slowest;
        }
    }
    Duration longest = {};
    for (const HostSpec& host : scenario.hosts) {
        longest = std::max(longest, host.profile == tcp::Profile::rfc ? kPatienceRfc : kPatience);
    }
    double bound = in_seconds(healed + longest + kGreatestRto);
    for (const Flow& flow : scenario.flows) {
        bound += time_of(flow, round, slowest, scale_lost);
    }
    return Duration{static_cast<std::int64_t>(std::min(bound, kForever) * 1e9)};
}

void completion(Simulation& run) {
    const Scenario& scenario = run.scenario();
    const bool rests = run.result().outcome == RunOutcome::rest;
    const Instant bound = Simulation::kStart + liveness_bound(scenario);
    for (std::uint16_t i = 0; i < scenario.flows.size(); ++i) {
        const FlowResult& result = run.workload().results()[i];
        if (!result.started) {
            continue;
        }
        if (!result.over && (rests || (run.now() >= bound && !scenario.open_ended))) {
            report(run, Check::completion, kNoNode, i,
                   rests ? "a flow is not over, and nothing will ever happen again"
                         : "a flow is not over long after everything has healed",
                   {{"flow", scenario.flows[i].id},
                    {"read by the client", result.received[0]},
                    {"read by the server", result.received[1]}});
        } else if (result.over && result.ended > bound) {
            report(run, Check::completion, kNoNode, i, "a flow took too long to end",
                   {{"flow", scenario.flows[i].id},
                    {"seconds",
                     static_cast<std::uint64_t>((result.ended - Simulation::kStart).seconds())}});
        }
    }
}

}  // namespace runnel::sim::check
