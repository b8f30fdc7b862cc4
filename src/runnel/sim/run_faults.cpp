// Faults of a run that begin and end, and what they suspend.
#include <algorithm>

#include "runnel/sim/names.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim {

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
    faults_[index].active = true;
    switch (faults_[index].spec->kind) {
        case FaultKind::pause:
            ++faults_[index].times;
            machine.paused = true;
            update_deadline(machine);
            break;
        default: break;
    }
}

void Simulation::end_host_fault(std::uint16_t index, NodeId id) {
    Machine& machine = *machines_[id];
    faults_[index].active = false;
    switch (faults_[index].spec->kind) {
        case FaultKind::pause:
            machine.paused = false;
            resume(id);
            break;
        default: break;
    }
}

void Simulation::resume(NodeId id) {
    service(id);
}

}  // namespace runnel::sim
