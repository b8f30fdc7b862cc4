// Each kind of flow does what its name says, and its oracle knows how much must have come.
#include <gtest/gtest.h>

#include "runnel/sim/check/checkers.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim {
namespace {

FlowResult play(const Flow& flow, std::vector<Fault> faults = {}) {
    Scenario scenario;
    scenario.faults = std::move(faults);
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.links = {{.id = 0, .a = 0, .b = 1}};
    scenario.flows = {flow};
    RunMemory memory;
    Checkers checkers;
    Simulation run(scenario, memory);
    run.watch(checkers);
    const RunResult& result = run.run();
    EXPECT_EQ(result.outcome, RunOutcome::rest) << to_string(flow.kind);
    if (result.violation) {
        ADD_FAILURE() << to_string(flow.kind) << ": " << result.violation->text;
    }
    EXPECT_TRUE(result.flows[0].over) << to_string(flow.kind);
    return result.flows[0];
}

void expect_received(const FlowResult& result, std::uint64_t client, std::uint64_t server) {
    EXPECT_EQ(result.received[0], client);
    EXPECT_EQ(result.received[1], server);
    EXPECT_EQ(result.error[0], Errc::ok);
    EXPECT_EQ(result.error[1], Errc::ok);
}

TEST(Workload, Bulk) {
    expect_received(play({.kind = FlowKind::bulk, .up = 70'000, .down = 30'000}), 30'000, 70'000);
}
TEST(Workload, RequestResponse) {
    expect_received(
        play({.kind = FlowKind::request_response, .up = 100, .down = 2'000, .count = 7}), 14'000,
        700);
}
/// Whoever is left alone in the middle of it comes to an end too.
TEST(Workload, RequestResponseThatOneEndBreaksOff) {
    for (std::uint64_t seed = 1; seed < 40; ++seed) {
        for (const std::int64_t aborts : {0, 1}) {
            const FlowResult result =
                play({.kind = FlowKind::request_response, .up = 100, .down = 2'000, .count = 7},
                     {{.kind = FaultKind::close_in_callback,
                       .until = seconds(100),
                       .intensity = 100'000,
                       .a = aborts,
                       .seed = seed}});
            EXPECT_TRUE(result.over) << seed;
        }
    }
}
TEST(Workload, OneByteWrites) {
    expect_received(play({.kind = FlowKind::one_byte_writes, .up = 50}), 0, 50);
}
TEST(Workload, SlowReader) {
    const FlowResult result =
        play({.kind = FlowKind::slow_reader, .down = 200'000, .call = 10'000, .pause = seconds(1)});
    expect_received(result, 200'000, 0);
    EXPECT_GE((result.ended - result.began).seconds(), 19);
}
TEST(Workload, NeverReader) {
    const FlowResult result =
        play({.kind = FlowKind::never_reader, .down = 9'000'000, .pause = seconds(30)});
    EXPECT_EQ(result.received[0], 0u);
    EXPECT_LT(result.sent[1], 9'000'000u);  // the window closed
    EXPECT_TRUE(result.cut);
    EXPECT_EQ(result.error[1], Errc::connection_reset);
}
TEST(Workload, HalfClose) {
    expect_received(play({.kind = FlowKind::half_close, .up = 5'000, .down = 50'000}), 50'000,
                    5'000);
}
TEST(Workload, Abort) {
    const FlowResult result =
        play({.kind = FlowKind::abort, .up = 90'000'000, .down = 1'000, .pause = milliseconds(10)});
    EXPECT_TRUE(result.cut);
    EXPECT_EQ(result.error[1], Errc::connection_reset);
}
TEST(Workload, ManyShort) {
    const FlowResult result =
        play({.kind = FlowKind::many_short, .up = 1'000, .down = 3'000, .count = 9});
    expect_received(result, 27'000, 9'000);
    EXPECT_EQ(result.connections, 9u);
}
TEST(Workload, Idle) {
    const FlowResult result =
        play({.kind = FlowKind::idle, .up = 400, .down = 10, .pause = seconds(600)});
    expect_received(result, 10, 800);
    EXPECT_GE((result.ended - result.began).seconds(), 600);
}

}  // namespace
}  // namespace runnel::sim
