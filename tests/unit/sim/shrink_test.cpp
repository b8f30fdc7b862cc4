// The shrinker finds the least that fails, keeps asking within its bound, and gives the same each time.
#include "runnel/sim/shrink.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "runnel/sim/draw_scenario.hpp"

namespace runnel::sim {
namespace {

Scenario large() {
    Scenario scenario = draw_scenario(3);
    for (std::uint64_t i = 0; i < 20; ++i) {
        scenario.faults.push_back({.kind = FaultKind::drop, .intensity = 1, .seed = i});
    }
    scenario.faults.push_back({.kind = FaultKind::partition, .until = seconds(64)});
    scenario.flows[0].up = 100'000;
    return scenario;
}

/// Fails as long as there is a partition of ten seconds and a flow with a thousand octets.
bool fails(const Scenario& scenario) {
    const bool cut =
        std::any_of(scenario.faults.begin(), scenario.faults.end(), [](const Fault& fault) {
            return fault.kind == FaultKind::partition && fault.until - fault.from >= seconds(10);
        });
    return cut && std::any_of(scenario.flows.begin(), scenario.flows.end(),
                              [](const Flow& flow) { return flow.up >= 1'000; });
}

TEST(Shrink, LeavesWhatTheFailureNeeds) {
    const Shrunk shrunk = shrink(large(), fails);
    EXPECT_TRUE(shrunk.finished);
    EXPECT_TRUE(fails(shrunk.scenario));
    ASSERT_EQ(shrunk.scenario.faults.size(), 1u);
    EXPECT_EQ(shrunk.scenario.faults[0].kind, FaultKind::partition);
    EXPECT_LT(shrunk.scenario.faults[0].until, seconds(20));
    EXPECT_GE(shrunk.scenario.faults[0].until, seconds(10));
    ASSERT_EQ(shrunk.scenario.flows.size(), 1u);
    EXPECT_LT(shrunk.scenario.flows[0].up, 2'000u);
    EXPECT_TRUE(shrunk.scenario.hosts.empty());
    EXPECT_TRUE(shrunk.scenario.links.empty());
}

TEST(Shrink, StopsAtItsBound) {
    std::uint32_t asked = 0;
    const Shrunk shrunk = shrink(
        large(),
        [&](const Scenario& scenario) {
            ++asked;
            return fails(scenario);
        },
        7);
    EXPECT_EQ(asked, 7u);
    EXPECT_EQ(shrunk.runs, 7u);
    EXPECT_FALSE(shrunk.finished);
    EXPECT_TRUE(fails(shrunk.scenario));
}

TEST(Shrink, GivesTheSameEachTime) {
    EXPECT_EQ(shrink(large(), fails).scenario, shrink(large(), fails).scenario);
}

TEST(Shrink, LeavesAloneWhatCantBeSmaller) {
    const Scenario scenario = large();
    const Shrunk shrunk = shrink(scenario, [&](const Scenario& one) { return one == scenario; });
    EXPECT_EQ(shrunk.scenario, scenario);
    EXPECT_TRUE(shrunk.finished);
}

}  // namespace
}  // namespace runnel::sim
