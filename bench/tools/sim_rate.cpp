// How many drawn scenarios a second one core runs, and what they are like: the medians of segments
// delivered and of kinds of fault met, events a second, and how often each fault happened.
//   sim_rate [SCENARIOS [FIRST_SEED [unchecked]]]
// Unless it says unchecked, all checkers watch, and what they find is printed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "runnel/sim/check/checkers.hpp"
#include "runnel/sim/draw_scenario.hpp"
#include "runnel/sim/names.hpp"
#include "runnel/sim/run.hpp"

namespace {
std::uint64_t median(std::vector<std::uint64_t>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void print_violation(std::uint64_t seed, const runnel::sim::RunResult& result) {
    using namespace runnel::sim;
    if (result.violation) {
        std::printf("seed %llu: %.*s: %s (host %u, event %llu, %.6f s)\n",
                    static_cast<unsigned long long>(seed),
                    static_cast<int>(to_string(result.violation->check).size()),
                    to_string(result.violation->check).data(), result.violation->text.c_str(),
                    unsigned{result.violation->host},
                    static_cast<unsigned long long>(result.events),
                    static_cast<double>((result.ended - Simulation::kStart).ns) / 1e9);
    }
}
}  // namespace

int main(int argc, char** argv) {
    using namespace runnel::sim;
    const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const bool checked = argc <= 3;
    RunMemory memory;
    Checkers checkers;
    std::vector<std::uint64_t> segments, kinds, events;
    std::array<std::uint64_t, kFaultKinds> faults{};
    std::array<std::uint64_t, 8> outcomes{};
    std::uint64_t all_events = 0, digest = 0, over = 0, flows = 0, mismatches = 0;
    const std::clock_t begin = std::clock();
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        Simulation run(scenario, memory);
        if (checked) {
            run.watch(checkers);
        }
        const RunResult& result = run.run();
        print_violation(seed, result);
        segments.push_back(result.segments_delivered);
        kinds.push_back(result.fault_kinds());
        events.push_back(result.events);
        all_events += result.events;
        digest = digest * 31 + result.digest;
        ++outcomes[static_cast<std::size_t>(result.outcome)];
        if (result.outcome != RunOutcome::rest || result.events > 100'000) {
            std::printf("seed %llu: outcome %u, %llu events\n",
                        static_cast<unsigned long long>(seed),
                        static_cast<unsigned>(result.outcome),
                        static_cast<unsigned long long>(result.events));
        }
        for (std::size_t i = 0; i < kFaultKinds; ++i) {
            faults[i] += result.faults[i];
        }
        for (const FlowResult& flow : result.flows) {
            flows += flow.started ? 1 : 0;
            over += flow.over ? 1 : 0;
            if (flow.mismatch) {
                ++mismatches;
                std::printf("seed %llu: mismatch\n", static_cast<unsigned long long>(seed));
            }
        }
    }
    // Of the processor, not of the clock on the wall: other work on this machine must not count.
    const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        std::printf("%-22s %llu\n", to_string(static_cast<FaultKind>(i)).data(),
                    static_cast<unsigned long long>(faults[i]));
    }
    std::printf(
        "%.0f scenarios/s, %.0f events/s; medians: %llu segments, %llu kinds, %llu events\n",
        static_cast<double>(count) / took, static_cast<double>(all_events) / took,
        static_cast<unsigned long long>(median(segments)),
        static_cast<unsigned long long>(median(kinds)),
        static_cast<unsigned long long>(median(events)));
    std::printf(
        "rest %llu limit %llu event_limit %llu stuck %llu; flows %llu over %llu; mismatches %llu; digest %016llx\n",
        static_cast<unsigned long long>(outcomes[0]), static_cast<unsigned long long>(outcomes[1]),
        static_cast<unsigned long long>(outcomes[2]), static_cast<unsigned long long>(outcomes[3]),
        static_cast<unsigned long long>(flows), static_cast<unsigned long long>(over),
        static_cast<unsigned long long>(mismatches), static_cast<unsigned long long>(digest));
    return 0;
}
