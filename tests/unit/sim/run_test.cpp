// A run is a function of its scenario: the same twice, with or without watchers, whatever ran before; and
// any part of a scenario may be missing.
#include "runnel/sim/run.hpp"

#include <gtest/gtest.h>

#include "runnel/sim/draw_scenario.hpp"

namespace runnel::sim {
namespace {

class Counter : public Observer {
public:
    void on_event(Simulation&, const Event& event) override {
        ++events;
        ++kinds[static_cast<std::size_t>(event.kind)];
    }
    std::uint64_t events = 0;
    std::array<std::uint64_t, 16> kinds{};
};

Scenario two_hosts(std::uint64_t up) {
    Scenario scenario;
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.links = {{.id = 0, .a = 0, .b = 1}};
    scenario.flows = {{.id = 0, .client = 0, .server = 1, .up = up}};
    return scenario;
}

TEST(Simulation, ATransferArrives) {
    const Scenario scenario = two_hosts(100'000);
    RunMemory memory;
    Simulation run(scenario, memory);
    Counter counter;
    run.watch(counter);
    const RunResult& result = run.run();
    EXPECT_EQ(result.outcome, RunOutcome::rest);
    EXPECT_TRUE(result.flows[0].over);
    EXPECT_FALSE(result.flows[0].mismatch);
    EXPECT_EQ(result.flows[0].received[1], 100'000u);
    EXPECT_EQ(result.events, counter.events);
    EXPECT_GT(counter.kinds[static_cast<std::size_t>(EventKind::delivered)], 70u);
}

TEST(Simulation, GivesAllItsPacketsBack) {
    RunMemory memory;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        Simulation(scenario, memory, {.event_limit = 500}).run();
        EXPECT_EQ(memory.packets.in_use(), 0u) << seed;
    }
}

TEST(Simulation, TheSameScenarioGivesTheSameRun) {
    RunMemory memory;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        EXPECT_EQ(scenario, draw_scenario(seed));
        const RunResult first = Simulation(scenario, memory).run();
        RunMemory other;
        Simulation again(scenario, other);
        Counter counter;
        again.watch(counter);
        const RunResult& second = again.run();
        EXPECT_EQ(first.digest, second.digest) << seed;
        EXPECT_EQ(first.events, second.events) << seed;
        EXPECT_EQ(first.ended, second.ended) << seed;
    }
}

TEST(Simulation, OtherSeedsGiveOtherRuns) {
    RunMemory memory;
    const Scenario one = draw_scenario(1);
    const Scenario two = draw_scenario(2);
    EXPECT_NE(Simulation(one, memory).run().digest, Simulation(two, memory).run().digest);
}

/// What a shrinker relies on.
template <class Part>
void without_each(const Scenario& scenario, std::vector<Part> Scenario::* parts) {
    RunMemory memory;
    for (std::size_t i = 0; i < (scenario.*parts).size(); ++i) {
        Scenario smaller = scenario;
        (smaller.*parts).erase((smaller.*parts).begin() + static_cast<std::ptrdiff_t>(i));
        const RunResult result = Simulation(smaller, memory).run();
        EXPECT_NE(result.outcome, RunOutcome::stuck);
        for (const FlowResult& flow : result.flows) {
            EXPECT_FALSE(flow.mismatch);
        }
    }
}

TEST(Simulation, AnyPartMayBeMissing) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        without_each(scenario, &Scenario::hosts);
        without_each(scenario, &Scenario::routers);
        without_each(scenario, &Scenario::links);
        without_each(scenario, &Scenario::faults);
        without_each(scenario, &Scenario::flows);
    }
}

}  // namespace
}  // namespace runnel::sim
