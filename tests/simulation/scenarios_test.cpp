// Scenarios as `runnel sim` draws them run as they did, to the last event: on every compiler and at every level of
// optimization, and until a change of behaviour is meant.
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

}  // namespace
}  // namespace runnel::test
