// A path that swallows what is too large for it, in the whole world: hosts whose first hops take 1500 octets, a
// narrower link between two routers that say nothing of what they drop (RFC 2923 §2.1).
#include <gtest/gtest.h>

#include "runnel/sim/run.hpp"

namespace runnel::sim {
namespace {

Scenario narrow_path(bool silent, std::uint32_t mtu) {
    Scenario scenario;
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.routers = {{.id = 2, .silent = silent}, {.id = 3, .silent = silent}};
    scenario.links = {{.id = 0, .a = 0, .b = 2},
                      {.id = 1, .a = 2, .b = 3, .mtu = mtu},
                      {.id = 2, .a = 3, .b = 1}};
    scenario.flows = {{.id = 0, .client = 0, .server = 1, .up = 3'000'000}};
    return scenario;
}

struct Outcome {
    RunResult result;
    std::uint64_t black_holes = 0, probes = 0, told = 0;
};

Outcome play(const Scenario& scenario) {
    RunMemory memory;
    Simulation run(scenario, memory);
    Outcome outcome;
    outcome.result = run.run();
    const FlightRecorder& recorder = run.host(0).recorder();
    outcome.black_holes = recorder.count(Decision::tcp_note_mtu_black_hole);
    outcome.probes = recorder.count(Decision::tcp_transmit_mtu_probe);
    outcome.told = recorder.count(Decision::tcp_note_path_mtu);
    return outcome;
}

TEST(PathMtu, ABlackHoleIsLeftAndSearchedOut) {
    const Outcome outcome = play(narrow_path(true, 1300));
    EXPECT_EQ(outcome.result.flows[0].received[1], 3'000'000u);
    EXPECT_FALSE(outcome.result.flows[0].mismatch);
    EXPECT_EQ(outcome.black_holes, 1u);
    EXPECT_GE(outcome.probes, 3u);
    EXPECT_EQ(outcome.told, 0u);
    EXPECT_LT(outcome.result.ended, Simulation::kStart + seconds(120));
}

TEST(PathMtu, WithoutASearchItSwallowsAll) {
    Scenario scenario = narrow_path(true, 1300);
    scenario.hosts[0].knobs = {{.name = "tcp_mtu_probing", .value = 0}};
    scenario.limit = seconds(60);
    scenario.open_ended = true;
    const Outcome outcome = play(scenario);
    EXPECT_EQ(outcome.result.flows[0].received[1], 0u);
}

/// Another connection has made the host believe that the path is narrower.
class NarrowsThePath : public Observer {
public:
    void on_event(Simulation& run, const Event& event) override {
        if (event.number == 200) {
            run.host(0).ip().update_path_mtu(node_address(1, Family::ipv4), 1000, event.local);
        }
    }
};

TEST(PathMtu, WhatTheHostItselfDropsNeedsNoTimeout) {
    const Scenario scenario = narrow_path(true, 1500);
    RunMemory memory;
    Simulation run(scenario, memory);
    NarrowsThePath narrows;
    run.watch(narrows);
    const RunResult& result = run.run();
    EXPECT_EQ(result.flows[0].received[1], 3'000'000u);
    EXPECT_LT(result.flows[0].ended, Simulation::kStart + seconds(5));
    EXPECT_GE(run.host(0).recorder().count(Decision::tcp_note_path_mtu), 1u);
    EXPECT_EQ(run.host(0).recorder().count(Decision::tcp_note_retransmission_timeout), 0u);
}

TEST(PathMtu, WhereRoutersSpeakNobodySearches) {
    const Outcome outcome = play(narrow_path(false, 1300));
    EXPECT_EQ(outcome.result.flows[0].received[1], 3'000'000u);
    EXPECT_EQ(outcome.black_holes, 0u);
    EXPECT_EQ(outcome.probes, 0u);
    EXPECT_GE(outcome.told, 1u);
}

}  // namespace
}  // namespace runnel::sim
