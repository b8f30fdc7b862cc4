// Drawn scenarios under all checkers: each is asked, each kind of fault happens, and each option of a sender is met.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/sim/check/checkers.hpp"
#include "runnel/sim/draw_scenario.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim {
namespace {

/// No fault suspends what the table does not say, and each kind of fault happens.
TEST(Checkers, DrawnScenariosHold) {
    RunMemory memory;
    Checkers checkers;
    std::array<std::uint64_t, kFaultKinds> faults{};
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        {
            Simulation run(scenario, memory);
            run.watch(checkers);
            const RunResult& result = run.run();
            ASSERT_FALSE(result.violation)
                << "seed " << seed << ": " << to_string(result.violation->check) << ": "
                << result.violation->text;
            EXPECT_LE(result.ended - Simulation::kStart,
                      std::min(scenario.limit, check::liveness_bound(scenario) + seconds(200)))
                << seed;
            for (std::size_t i = 0; i < kFaultKinds; ++i) {
                faults[i] += result.faults[i];
            }
        }
        ASSERT_EQ(memory.packets.in_use(), 0u) << seed;
    }
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        EXPECT_GT(faults[i], 0u) << to_string(static_cast<FaultKind>(i)) << " never happened";
    }
    for (std::size_t i = 0; i < kChecks; ++i) {
        EXPECT_GT(checkers.asked()[i], 0u) << to_string(static_cast<Check>(i)) << " never asked";
    }
}

TEST(DrawnScenarios, MeetEveryControllerAndSetting) {
    std::array<unsigned, 5> controls{};
    std::vector<std::string_view> names;
    unsigned marking = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        const Scenario scenario = draw_scenario(seed);
        for (const Flow& flow : scenario.flows) {
            ++controls[static_cast<std::size_t>(flow.congestion_control)];
        }
        for (const LinkSpec& link : scenario.links) {
            marking += link.way[0].ecn || link.way[1].ecn ? 1U : 0U;
        }
        for (const HostSpec& host : scenario.hosts) {
            for (std::size_t i = 0; i < host.knobs.size(); ++i) {
                const Knob& knob = host.knobs[i];
                names.push_back(knob.name);
                tcp::TcpConfig config = tcp::profile_config(host.profile);
                EXPECT_TRUE(
                    tcp::set_by_name(config, knob.name, std::to_string(knob.value)).has_value())
                    << knob.name << " = " << knob.value;
                // A scenario file has each once.
                EXPECT_TRUE(std::none_of(
                    host.knobs.begin(), host.knobs.begin() + static_cast<std::ptrdiff_t>(i),
                    [&](const Knob& other) { return other.name == knob.name; }))
                    << knob.name;
            }
        }
    }
    for (const unsigned flows : controls) {
        EXPECT_GT(flows, 10u);
    }
    EXPECT_GT(marking, 50u);
    for (const std::string_view name :
         {"tcp_recovery", "tcp_early_retrans", "tcp_frto", "tcp_reordering", "tcp_mtu_probing",
          "mtu_needs_evidence", "paws_tolerance_ms", "pacing", "tcp_slow_start_after_idle",
          "tcp_moderate_rcvbuf", "send_buffer_autotuning", "tcp_ecn"}) {
        EXPECT_GT(std::count(names.begin(), names.end(), name), 5) << name;
    }
}

}  // namespace
}  // namespace runnel::sim
