// What the faults of whole links and hosts do to a run: they show while they last, and when they have
// healed the transfer ends as if nothing had been.
#include <gtest/gtest.h>

#include "runnel/sim/run.hpp"

namespace runnel::sim {
namespace {

/// Two hosts with a router between them; 200 KB go up over some 100 ms and more.
Scenario through_router() {
    Scenario scenario;
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.routers = {{.id = 20}};
    scenario.links = {{.id = 0, .a = 0, .b = 20}, {.id = 1, .a = 20, .b = 1}};
    for (LinkSpec& link : scenario.links) {
        link.way[0].rate = link.way[1].rate = 2'000'000;
        link.way[0].delay = link.way[1].delay = milliseconds(5);
    }
    scenario.flows = {{.id = 0, .client = 0, .server = 1, .up = 200'000, .seed = 3}};
    return scenario;
}

Fault fault_at(FaultKind kind, std::uint8_t where, std::int64_t a = 0, std::int64_t b = 0) {
    Fault fault;
    fault.kind = kind;
    fault.where = where;
    fault.from = milliseconds(60);
    fault.until = milliseconds(400);
    fault.a = a;
    fault.b = b;
    fault.seed = 5;
    return fault;
}

class Watcher : public Observer {
public:
    void on_event(Simulation& run, const Event& event) override {
        const bool during = run.elapsed() > milliseconds(60) && run.elapsed() < milliseconds(400);
        if (event.kind == EventKind::delivered && event.host == 1 && during) {
            ++delivered_during;
        }
        if (event.kind == EventKind::dropped) {
            ++losses[static_cast<std::size_t>(event.loss)];
        }
        if (event.host == 1) {
            clock_error = event.local - event.at;
        }
    }
    std::uint64_t delivered_during = 0;
    std::array<std::uint64_t, 16> losses{};
    Duration clock_error = {};
};

struct Played {
    RunResult result;
    Watcher watcher;

    explicit Played(const Scenario& scenario) {
        RunMemory memory;
        Simulation run(scenario, memory);
        run.watch(watcher);
        result = run.run();
    }
    explicit Played(const Fault& fault) : Played(with(fault)) {}
    static Scenario with(const Fault& fault) {
        Scenario scenario = through_router();
        scenario.faults = {fault};
        return scenario;
    }
    [[nodiscard]] bool exact() const {
        const FlowResult& flow = result.flows[0];
        return result.outcome == RunOutcome::rest && flow.over && !flow.mismatch &&
               flow.received[1] == 200'000 && flow.error[0] == Errc::ok;
    }
    [[nodiscard]] std::uint64_t times(FaultKind kind) const {
        return result.faults[static_cast<std::size_t>(kind)];
    }
    [[nodiscard]] std::uint64_t lost(Loss loss) const {
        return watcher.losses[static_cast<std::size_t>(loss)];
    }
};

TEST(WorldFaults, WithoutOneNothingIsLost) {
    const Played played(through_router());
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.watcher.delivered_during, 100u);
    EXPECT_GT(played.result.network.forwarded, 140u);
}

TEST(WorldFaults, APartitionHeals) {
    const Played played(fault_at(FaultKind::partition, 1));
    EXPECT_TRUE(played.exact());
    EXPECT_LT(played.watcher.delivered_during, 10u);
    EXPECT_GT(played.times(FaultKind::partition), 5u);
    EXPECT_EQ(played.lost(Loss::fault), played.times(FaultKind::partition));
}

TEST(WorldFaults, ASlowerLineTakesLonger) {
    const Played played(fault_at(FaultKind::rate_change, 1, 20'000));
    EXPECT_TRUE(played.exact());
    EXPECT_LT(played.watcher.delivered_during, 20u);
    EXPECT_EQ(played.times(FaultKind::rate_change), 2u);  // both ways
}

TEST(WorldFaults, ANarrowerPathIsLearntFromTheRouter) {
    const Played played(fault_at(FaultKind::mtu_change, 1, 900));
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.result.network.icmp_sent, 0u);
    EXPECT_GT(played.watcher.delivered_during, 50u);
}

TEST(WorldFaults, ABlackHoleSaysNothing) {
    const Played played(fault_at(FaultKind::mtu_black_hole, 1, 900));
    EXPECT_TRUE(played.exact());
    EXPECT_EQ(played.result.network.icmp_sent, 0u);
    EXPECT_GT(played.lost(Loss::too_big), 0u);
}

TEST(WorldFaults, APausedHostTakesNothing) {
    const Played played(fault_at(FaultKind::pause, 1));
    EXPECT_TRUE(played.exact());
    EXPECT_EQ(played.watcher.delivered_during, 0u);
    EXPECT_EQ(played.times(FaultKind::pause), 1u);
}

TEST(WorldFaults, LateTimersAreLate) {
    Scenario scenario = Played::with(fault_at(FaultKind::late_timers, 0, 50'000'000));
    scenario.faults.push_back(fault_at(FaultKind::partition, 1));
    const Played played(scenario);
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.times(FaultKind::late_timers), 0u);
}

TEST(WorldFaults, AClockJumps) {
    const Played played(fault_at(FaultKind::clock_jump, 1, seconds(40).ns));
    EXPECT_TRUE(played.exact());
    EXPECT_EQ(played.watcher.clock_error, seconds(40));
}

TEST(WorldFaults, AClockRunsFast) {
    const Played played(fault_at(FaultKind::clock_skew, 1, 50'000));
    EXPECT_TRUE(played.exact());
    EXPECT_EQ(played.watcher.clock_error, microseconds(340'000 / 20));
}

TEST(WorldFaults, ACrashForgets) {
    Scenario scenario = Played::with(fault_at(FaultKind::crash, 1));
    scenario.flows[0].down = 200'000;  // its end has not come when the host forgets
    const Played played(scenario);
    const FlowResult& flow = played.result.flows[0];
    EXPECT_TRUE(flow.over);
    EXPECT_EQ(flow.error[0], Errc::connection_reset);  // by the host that knows nothing of it
    EXPECT_LT(flow.received[1], 200'000u);
    EXPECT_GT(played.lost(Loss::ring), 0u);
    EXPECT_EQ(played.watcher.delivered_during, 0u);
}

TEST(WorldFaults, AStandstillForgetsNothing) {
    const Played played(fault_at(FaultKind::crash_keeping_state, 1));
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.lost(Loss::ring), 0u);
    EXPECT_EQ(played.watcher.delivered_during, 0u);
    EXPECT_EQ(played.watcher.clock_error, Duration{} - milliseconds(340));
}

TEST(WorldFaults, APoolRunsDry) {
    const Played played(fault_at(FaultKind::pool_exhausted, 1, 0));
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.lost(Loss::memory), 0u);
    EXPECT_GE(played.times(FaultKind::pool_exhausted), played.lost(Loss::memory));
}

TEST(WorldFaults, ShortRingsLose) {
    const Played played(fault_at(FaultKind::rings_full, 1, 2, 5'000'000));
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.lost(Loss::ring), 0u);
    EXPECT_EQ(played.times(FaultKind::rings_full), played.lost(Loss::ring));
}

/// The sweep: each allocation in turn is the one that fails, on either side.
TEST(WorldFaults, AnyAllocationMayFail) {
    for (const std::uint8_t host : {std::uint8_t{0}, std::uint8_t{1}}) {
        for (std::int64_t k = 1; k <= 60; ++k) {
            Scenario scenario = through_router();
            scenario.flows[0].up = 200'000;
            Fault fault = fault_at(FaultKind::allocation_fails, host, k, 1);
            fault.from = {};
            fault.until = seconds(100);
            scenario.faults = {fault};
            const Played played(scenario);
            EXPECT_TRUE(played.exact()) << "host " << int{host} << " allocation " << k;
            EXPECT_EQ(played.times(FaultKind::allocation_fails), 1u);
        }
    }
}

TEST(WorldFaults, EverythingArrivesInBatchesToo) {
    for (const std::uint16_t batch : std::initializer_list<std::uint16_t>{1, 2, 16, 256}) {
        Scenario scenario = through_router();
        for (HostSpec& host : scenario.hosts) {
            host.batch = batch;
            host.batch_wait = milliseconds(1);
        }
        EXPECT_TRUE(Played(scenario).exact());
    }
}

/// RFC 8289: a queue that stands is thinned out before it is full.
TEST(WorldFaults, CodelDropsFromAStandingQueue) {
    Scenario scenario = through_router();
    scenario.links[1].way[0].rate = 200'000;
    scenario.links[1].way[0].queue = QueueKind::codel;
    const Played played(scenario);
    EXPECT_TRUE(played.exact());
    EXPECT_GT(played.result.network.aqm_drops, 0u);
    EXPECT_EQ(played.result.network.queue_drops, 0u);
}

TEST(HostClock, TheWorldsTimeOfALocalOneIsTheFirstThatShowsIt) {
    for (const std::int32_t skew : {-50'000, -1, 0, 3, 99'999}) {
        HostClock clock(Instant{} + seconds(1'000), milliseconds(7), skew);
        for (std::int64_t ns : {0, 1, 999'999, 1'000'001, 123'456'789}) {
            const Instant local = Instant{} + seconds(1'003) + Duration{ns};
            const Instant world = clock.world(local);
            EXPECT_GE(clock.local(world), local);
            EXPECT_LT(clock.local(world - nanoseconds(2)), local);
        }
    }
}

}  // namespace
}  // namespace runnel::sim
