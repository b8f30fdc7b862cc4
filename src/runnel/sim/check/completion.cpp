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

Duration on_line(std::uint64_t octets, std::uint64_t rate) {
    return rate == 0 ? Duration{}
                     : Duration{static_cast<std::int64_t>(octets * 1'000'000 / rate) * 1'000};
}
}  // namespace

Duration liveness_bound(const Scenario& scenario) {
    Duration healed = {};
    for (const Fault& fault : scenario.faults) {
        // A jump takes its time away from everybody else's clock, and a slow clock waits longer.
        healed = std::max(healed, fault.until);
    }
    Duration round = milliseconds(1);  // over all links, queues full
    std::uint64_t slowest = 0;
    for (const LinkSpec& link : scenario.links) {
        for (const WaySpec& way : link.way) {
            round += way.delay + way.jitter + on_line(way.queue_bytes, way.rate);
            slowest = way.rate != 0 && (slowest == 0 || way.rate < slowest) ? way.rate : slowest;
        }
    }
    Duration longest = {};
    for (const HostSpec& host : scenario.hosts) {
        longest = std::max(longest, host.profile == tcp::Profile::rfc ? kPatienceRfc : kPatience);
    }
    const bool scale_lost =
        std::any_of(scenario.faults.begin(), scenario.faults.end(), [](const Fault& fault) {
            return fault.kind == FaultKind::strip_window_scale;
        });
    Duration work = {};
    for (const Flow& flow : scenario.flows) {
        const auto connections =
            static_cast<std::int64_t>(std::clamp<std::uint32_t>(flow.count, 1, 64));
        const std::int64_t pauses = static_cast<std::int64_t>(pauses_of(flow));
        const std::uint64_t octets = octets_of(flow, 0) + octets_of(flow, 1);
        // Each segment may need a round trip and a delayed ACK, where the window scale got lost halfway each two
        // octets: a window of 3,000 then looks like one of 2.
        const auto rounds =
            static_cast<std::int64_t>(octets / (scale_lost ? 2 : 500) + 20) +
            (flow.kind == FlowKind::one_byte_writes ? static_cast<std::int64_t>(flow.up) : 0);
        work += flow.start + std::max(flow.pause, milliseconds(1)) * (pauses * 2);
        work += (round + milliseconds(200)) * (rounds * connections);
        work += on_line(octets * 8, slowest) * connections;
    }
    return healed + longest + kGreatestRto + work;
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
        if (!result.over && (rests || run.now() >= bound)) {
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
