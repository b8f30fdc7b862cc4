// Faults of a run that begin and end, and what they suspend.
#include <algorithm>

#include "runnel/sim/names.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim {

namespace {
constexpr std::int64_t kMostSkew = 100'000;  // ppm
}  // namespace

void Simulation::begin_fault(std::uint16_t index) {
    const Fault& fault = *faults_[index].spec;
    find_suspensions(index);
    switch (facts(fault.kind).place) {
        case FaultPlace::link: network_.begin_fault(index); break;
        case FaultPlace::host:
            if (has_host(fault.where)) {
                begin_host_fault(index, fault.where);
            }
            break;
        case FaultPlace::flow: faults_[index].active = true; break;
    }
    Event event{.kind = EventKind::fault_began};
    event.fault = index;
    tell(event);
}

void Simulation::end_fault(std::uint16_t index) {
    const Fault& fault = *faults_[index].spec;
    switch (facts(fault.kind).place) {
        case FaultPlace::link: network_.end_fault(index, now_); break;
        case FaultPlace::host:
            if (has_host(fault.where)) {
                end_host_fault(index, fault.where);
            }
            break;
        case FaultPlace::flow: break;
    }
    faults_[index].active = false;
    Event event{.kind = EventKind::fault_ended};
    event.fault = index;
    tell(event);
}

/// Whom the fault can touch: the flows whose paths lead over its link, or that end on its host.
void Simulation::find_suspensions(std::size_t index) {
    const Fault& fault = *faults_[index].spec;
    const CheckSet checks = suspended_by(facts(fault.kind).suspends);
    if (checks.none()) {
        return;
    }
    for (std::size_t i = 0; i < suspensions_.size(); ++i) {
        const Flow& flow = scenario_.flows[i];
        bool touched = false;
        switch (facts(fault.kind).place) {
            case FaultPlace::link:
                touched = network_.passes(flow.client, flow.server, fault.where);
                break;
            case FaultPlace::host:
                touched = flow.client == fault.where || flow.server == fault.where;
                break;
            case FaultPlace::flow: touched = flow.id == fault.where; break;
        }
        if (touched) {
            suspensions_[i] |= checks;
        }
    }
}

void Simulation::begin_host_fault(std::uint16_t index, NodeId id) {
    Machine& machine = *machines_[id];
    FaultState& fault = faults_[index];
    const Fault& spec = *fault.spec;
    BufferPool& pool = machine.host().pool();
    fault.active = true;
    ++fault.times;
    switch (spec.kind) {
        case FaultKind::pause: ++machine.paused; break;
        case FaultKind::late_timers:
            machine.late = index;
            machine.late_deadline = {};
            break;
        case FaultKind::clock_jump:
            machine.clock.jump(now_, Duration{std::max<std::int64_t>(spec.a, 0)});
            break;
        case FaultKind::clock_skew:
            machine.clock.set_skew(now_, static_cast<std::int32_t>(std::clamp<std::int64_t>(
                                             spec.a, -kMostSkew, kMostSkew)));
            break;
        case FaultKind::crash: begin_crash(id, true); break;
        case FaultKind::crash_keeping_state:
            begin_crash(id, false);
            machine.clock.set_skew(now_, HostClock::kStopped);
            break;
        case FaultKind::rings_full:
            machine.short_rings = index;
            --fault.times;  // what the ring loses is counted
            break;
        case FaultKind::pool_exhausted:
            --fault.times;  // refusals are counted
            machine.refusals_before = pool.refusals();
            pool.set_limit(static_cast<std::size_t>(std::max<std::int64_t>(spec.a, 0)));
            break;
        case FaultKind::allocation_fails:
            --fault.times;
            machine.refusals_before = pool.refusals();
            pool.refuse_every(static_cast<std::uint32_t>(std::max<std::int64_t>(spec.a, 1)),
                              static_cast<std::uint32_t>(std::max<std::int64_t>(spec.b, 0)));
            break;
        default: break;
    }
    update_deadline(machine);
}

void Simulation::end_host_fault(std::uint16_t index, NodeId id) {
    Machine& machine = *machines_[id];
    FaultState& fault = faults_[index];
    BufferPool& pool = machine.host().pool();
    if (!fault.active) {
        return;
    }
    fault.active = false;
    switch (fault.spec->kind) {
        case FaultKind::pause: --machine.paused; break;
        case FaultKind::late_timers: machine.late = kNoFault; break;
        case FaultKind::clock_skew: machine.clock.set_skew(now_, machine.spec->clock_skew); break;
        case FaultKind::crash:
            --machine.paused;
            --machine.down;
            break;
        case FaultKind::crash_keeping_state:
            --machine.paused;
            --machine.down;
            machine.clock.set_skew(now_, machine.spec->clock_skew);
            break;
        case FaultKind::rings_full: machine.short_rings = kNoFault; break;
        case FaultKind::pool_exhausted:
            // After a crash meanwhile the pool is a new one, and counts anew.
            fault.times += pool.refusals() - std::min(machine.refusals_before, pool.refusals());
            pool.set_limit(machine.host().config().buffer_limit);
            break;
        case FaultKind::allocation_fails:
            fault.times += pool.refusals() - std::min(machine.refusals_before, pool.refusals());
            pool.refuse_every(0, 0);
            break;
        default: break;
    }
    update_deadline(machine);
    if (machine.paused == 0) {
        resume(id);
    }
}

/// What the rings hold is lost; and all that the host knew, if it forgets.
void Simulation::begin_crash(NodeId id, bool forget) {
    Machine& machine = *machines_[id];
    ++machine.paused;
    ++machine.down;
    for (const RingedPacket& ringed : machine.ring) {
        lose(ringed.packet, Loss::ring, id);
    }
    machine.ring.clear();
    if (forget) {
        ++machine.incarnation;
        workload_.on_crash(id);
        plug(machine);
    }
}

/// The host can act again.
void Simulation::resume(NodeId id) {
    std::vector<Happening> postponed;
    postponed.swap(machines_[id]->postponed);
    service(id);
    for (const Happening& happening : postponed) {
        act(happening);
    }
}

std::optional<bool> Simulation::close_in_callback(std::uint16_t flow) {
    for (FaultState& fault : faults_) {
        if (fault.active && fault.spec->kind == FaultKind::close_in_callback &&
            fault.spec->where == scenario_.flows[flow].id && fault.chance()) {
            ++fault.times;
            return fault.spec->a == 1;
        }
    }
    return std::nullopt;
}

}  // namespace runnel::sim
