// Scenarios as `runnel sim` draws them run as they did, to the last event: on every compiler and at every level of
// optimization, and until a change of behaviour is meant.
#include "runnel/sim/check/checkers.hpp"
#include "runnel/sim/draw_scenario.hpp"
#include "runnel/sim/run.hpp"
#include "support/digest.hpp"

namespace runnel::test {
namespace {

TEST(Scenarios, RunAsTheyDid) {
    DigestFile digests("tests/simulation/scenarios.txt",
                       "simulation_tests --gtest_filter='Scenarios.*'");
    sim::RunMemory memory;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const sim::Scenario scenario = sim::draw_scenario(seed);
        sim::Simulation run(scenario, memory);
        digests.add(seed, run.run().digest);
    }
}

/// Seeds with which something was wrong once. What they draw may have changed since: what each found has a test of its
/// own, named here.
TEST(Scenarios, ThatFailedOnce) {
    const std::uint64_t seeds[] = {
        1'172'309,  1'247'930, 1'494'952,  // DuplicateSack.SaysNothingOfWhatWasLetGo
        1'447'782,                         // tests/drill/errors/frto_too_big.pkt
        2'005'677,                         // PathMtu.TheHostItselfIsBelievedAtOnce
        97'383,                            // PathMtu.AnAckThatWasLostWithItGoesByItself
        2'342'072,                         // the checker of CUBIC: several ACKs at one instant
        2'040'002,                         // EcnStory.ATailLossProbeDoesNotEndTheReduction
        6'058'914,  6'033'144,             // BBR: segments got smaller while it probed
        6'959,      // the checker of PAWS: an ACK that a mark in the same batch let out
        299'571,    // a tail-loss probe longer than what it repeats was too large for the path
        7'419'959,  // CUBIC: slow start left at a window of one
        7'774'334,  7'827'617,  // the checker of CUBIC: all that was out at once; segments that are resized
        7'969'564,  // the checker of what is in flight: a path that was too small for a while
        9'601'877,  // the checker of ECN: an ACK of the connection in TIME-WAIT that a SYN has just ended
        10'550'910,  // the checker of CUBIC: a recovery that begins when another is over
        11'549'896,  // the checker of work: it counted what it looked at itself
    };
    sim::RunMemory memory;
    sim::Checkers checkers;
    for (const std::uint64_t seed : seeds) {
        const sim::Scenario scenario = sim::draw_scenario(seed);
        sim::Simulation run(scenario, memory);
        run.watch(checkers);
        const sim::RunResult& result = run.run();
        EXPECT_FALSE(result.violation) << "runnel sim --seed " << seed;
        EXPECT_EQ(result.outcome, sim::RunOutcome::rest) << "runnel sim --seed " << seed;
    }
}

}  // namespace
}  // namespace runnel::test
