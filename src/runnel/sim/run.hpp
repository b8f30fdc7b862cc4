// A scenario, run: hosts, network, faults and applications in one order of events, which is a function of
// the scenario alone. The same scenario gives the same events and the same digest, whoever compiled it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/sim/machine.hpp"
#include "runnel/sim/network.hpp"
#include "runnel/sim/workload.hpp"

namespace runnel::sim {

enum class RunOutcome : std::uint8_t {
    rest,         ///< nothing is left that will ever happen
    limit,        ///< Scenario::limit has been reached
    event_limit,  ///< somebody doesn't stop talking
    stuck,        ///< a host's `on_timeout(next_timeout())` makes no progress
    violation,    ///< an observer has found something
};

struct RunOptions {
    std::uint64_t event_limit = 2'000'000;
    std::size_t recorder_capacity = 256;  ///< records that each host's flight recorder keeps
};

struct RunResult {
    RunOutcome outcome = RunOutcome::rest;
    std::uint64_t digest = 0;  ///< of every event with its time, and of every header sent
    std::uint64_t events = 0;
    std::uint64_t packets_sent = 0;                   ///< by hosts
    std::uint64_t segments_delivered = 0;             ///< undamaged TCP segments that hosts took in
    std::array<std::uint64_t, kFaultKinds> faults{};  ///< how often each kind happened
    NetworkCounters network;
    Instant ended;
    /// How often what a checker found was no failure, because a fault had suspended it there.
    std::array<std::uint64_t, kChecks> excused{};
    std::vector<FlowResult> flows;  ///< as in Scenario::flows
    std::optional<Violation> violation;

    /// Kinds of fault that happened at least once.
    [[nodiscard]] unsigned fault_kinds() const;
};

/// Memory that one run leaves to the next: who makes many runs keeps one.
struct RunMemory {
    PacketPool packets;
};

class Simulation {
public:
    static constexpr Instant kStart = Instant{} + seconds(1'000);

    /// `scenario` and `memory` outlive the run.
    Simulation(const Scenario& scenario, RunMemory& memory, const RunOptions& options = {});
    ~Simulation();
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    /// Watchers are told in the order in which they were added; they outlive the run.
    void watch(Observer& observer) {
        observers_.push_back(&observer);
        calls_wanted_ = calls_wanted_ || observer.wants_calls();
    }
    /// Runs to the end. Once.
    const RunResult& run();

    // --- for observers and applications ---------------------------------------------------------------
    [[nodiscard]] const Scenario& scenario() const { return scenario_; }
    [[nodiscard]] Instant now() const { return now_; }
    /// Since the beginning.
    [[nodiscard]] Duration elapsed() const { return now_ - kStart; }
    [[nodiscard]] Instant local_now(NodeId host) const {
        return machines_[host]->clock.local(now_);
    }
    /// Ids of the hosts, ascending.
    [[nodiscard]] const std::vector<NodeId>& hosts() const { return hosts_; }
    [[nodiscard]] bool has_host(NodeId id) const {
        return id < kMaxNodes && machines_[id] != nullptr;
    }
    [[nodiscard]] Machine& machine(NodeId id) { return *machines_[id]; }
    [[nodiscard]] Host& host(NodeId id) { return machines_[id]->life->host; }
    [[nodiscard]] SocketLayer& sockets(NodeId id) { return machines_[id]->life->sockets; }
    /// The connections of a host.
    [[nodiscard]] const tcp::Inspection& window(NodeId id) const {
        return machines_[id]->life->window;
    }
    [[nodiscard]] const FaultState& fault(std::size_t index) const { return faults_[index]; }
    [[nodiscard]] const Workload& workload() const { return workload_; }
    [[nodiscard]] const RunResult& result() const { return result_; }

    /// Whether `check` is suspended for a flow (an index): some fault that says so has been active, at any
    /// time of the run until now, where the flow's packets pass or on one of its hosts.
    [[nodiscard]] bool suspended(Check check, std::size_t flow) const;
    /// Ends the run after this event; the first one stays.
    void violate(Violation violation);
    /// Something that would be a violation were `check` not suspended.
    void excuse(Check check) { ++result_.excused[static_cast<std::size_t>(check)]; }

    // --- for applications -------------------------------------------------------------------------------
    /// Wakes the flow once the world's clock has come so far.
    void wake_at(Instant at, std::uint16_t flow, std::uint64_t token);
    /// Whether the flow's application is to close (false) or abort (true) in the wake-up that it is in: the
    /// fault close_in_callback. Ask once a wake-up.
    [[nodiscard]] std::optional<bool> close_in_callback(std::uint16_t flow);
    /// Tells observers that an application has made a call on a connection; port 0: it has none any more.
    void called(std::uint16_t flow, NodeId host, const FourTuple& tuple);
    /// The same in full, to those who want to know.
    void calling(const Call& call) {
        if (calls_wanted_) {
            tell_call(call);
        }
    }

private:
    void build();
    void plug(Machine& machine);
    void find_suspensions(std::size_t fault);
    bool step();
    void handle(const Happening& happening);
    void arrive(const Happening& happening);
    void plan_service(NodeId host, Machine& machine);
    void service(NodeId host);
    void deliver(NodeId host, Machine& machine, RingedPacket& packet);
    void pass_time(NodeId host);
    void settle(NodeId host);
    void update_deadline(Machine& machine);
    void transmit(NodeId host, Machine& machine);
    void drain_losses();
    void lose(Packet* packet, Loss loss, NodeId host);
    void begin_fault(std::uint16_t index);
    void end_fault(std::uint16_t index);
    void begin_host_fault(std::uint16_t index, NodeId host);
    void end_host_fault(std::uint16_t index, NodeId host);
    void act(const Happening& happening);
    void begin_crash(NodeId host, bool forget);
    void resume(NodeId host);
    void tell(Event& event);
    void tell_call(const Call& call);
    void connection_of(Event& event, const FourTuple& tuple);
    void finish(RunOutcome outcome);

    const Scenario& scenario_;
    RunMemory& memory_;
    RunOptions options_;
    Instant now_ = kStart;
    Schedule schedule_;
    std::vector<FaultState> faults_;
    Network network_;
    std::array<std::unique_ptr<Machine>, kMaxNodes> machines_;
    std::vector<NodeId> hosts_;
    Workload workload_;
    std::vector<Observer*> observers_;
    bool calls_wanted_ = false;
    std::vector<CheckSet> suspensions_;  ///< by flow
    RunResult result_;
    std::uint64_t packet_number_ = 0;
    FrameBatch batch_;
    std::vector<RingedPacket> taken_;
};

}  // namespace runnel::sim
