#include "runnel/sim/run.hpp"

#include <algorithm>
#include <utility>

#include "runnel/base/check.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim {

namespace {
/// So often may a host's time pass at one instant without anything being sent before it counts as stuck.
constexpr std::uint32_t kMaxTimeoutsInARow = 64;
/// Frames that one call of poll_transmit gives.
constexpr std::size_t kTransmitBudget = 64;

std::uint64_t mixed(std::uint64_t digest, std::uint64_t word) {
    digest = (digest ^ word) * 0x9e37'79b9'7f4a'7c15;
    return digest ^ (digest >> 29);
}

std::uint64_t mixed(std::uint64_t digest, Bytes bytes) {
    ByteReader reader(bytes);
    while (reader.remaining() >= 8) {
        digest = mixed(digest, reader.u64());
    }
    while (reader.remaining() > 0) {
        digest = mixed(digest, reader.u8());
    }
    return digest;
}
}  // namespace

unsigned RunResult::fault_kinds() const {
    return static_cast<unsigned>(
        std::count_if(faults.begin(), faults.end(), [](std::uint64_t n) { return n != 0; }));
}

Simulation::Simulation(const Scenario& scenario, RunMemory& memory, const RunOptions& options)
    : scenario_(scenario),
      memory_(memory),
      options_(options),
      faults_(scenario.faults.begin(),
              scenario.faults.begin() +
                  static_cast<std::ptrdiff_t>(std::min(scenario.faults.size(), kMaxFaults))),
      network_(scenario, schedule_, memory.packets, faults_),
      workload_(*this) {
    build();
}

Simulation::~Simulation() {
    for (const Happening& waiting : schedule_.waiting()) {
        if (waiting.packet != nullptr) {
            memory_.packets.give_back(waiting.packet);
        }
    }
    for (const NodeId id : hosts_) {
        for (const RingedPacket& ringed : machines_[id]->ring) {
            memory_.packets.give_back(ringed.packet);
        }
    }
    for (const FaultState& fault : faults_) {
        for (const HeldPacket& held : fault.held) {
            memory_.packets.give_back(held.packet);
        }
    }
    network_.give_back_queued();
}

// --- building ------------------------------------------------------------------------------------------

void Simulation::build() {
    for (const HostSpec& spec : scenario_.hosts) {
        if (spec.id >= kMaxNodes || machines_[spec.id] != nullptr) {
            continue;
        }
        machines_[spec.id] = std::make_unique<Machine>(spec, kStart);
        hosts_.push_back(spec.id);
        plug(*machines_[spec.id]);
    }
    std::sort(hosts_.begin(), hosts_.end());
    suspensions_.resize(scenario_.flows.size());
    for (std::size_t i = 0; i < faults_.size(); ++i) {
        const Fault& fault = *faults_[i].spec;
        if (fault.until > fault.from) {
            const auto index = static_cast<std::uint16_t>(i);
            schedule_.push(
                {.at = kStart + fault.from, .kind = HappeningKind::fault_begin, .index = index});
            schedule_.push(
                {.at = kStart + fault.until, .kind = HappeningKind::fault_end, .index = index});
        }
    }
    for (std::size_t i = 0; i < std::min(scenario_.flows.size(), kMaxFlows); ++i) {
        const Flow& flow = scenario_.flows[i];
        if (has_host(flow.client) && has_host(flow.server) && flow.client != flow.server) {
            schedule_.push({.at = kStart + flow.start,
                            .kind = HappeningKind::start,
                            .index = static_cast<std::uint16_t>(i)});
        }
    }
}

/// A host comes to life: interfaces on its links, addresses, routes to whoever can be reached.
void Simulation::plug(Machine& machine) {
    const NodeId id = machine.spec->id;
    machine.life.emplace(
        host_config(scenario_, *machine.spec, machine.incarnation, options_.recorder_capacity));
    machine.link_of_interface.clear();
    machine.known = {};
    Host& host = machine.host();
    const Instant local = machine.clock.local(now_);
    for (const std::uint8_t link : network_.links_of(id)) {
        InterfaceConfig config;
        config.capabilities.layer = LinkLayer::raw_ip;
        config.capabilities.mtu = scenario_.links[link].mtu;
        const std::uint8_t interface = host.add_interface(config);
        machine.link_of_interface.push_back(link);
        for (const Family family : {Family::ipv4, Family::ipv6}) {
            const auto bits = static_cast<std::uint8_t>(family == Family::ipv4 ? 32 : 128);
            // One interface has the host's address, the others borrow it. A link below IPv6's least MTU is
            // refused an address of that family.
            if (!host.ip().is_local(node_address(id, family))) {
                (void)host.add_address(interface, {node_address(id, family), bits}, local);
            }
            for (NodeId other = 0; other < kMaxNodes; ++other) {
                if (other != id && network_.towards(id, other) == link) {
                    Route route;
                    route.destination = {node_address(other, family), bits};
                    route.interface = interface;
                    (void)host.add_route(route);
                }
            }
        }
    }
    update_deadline(machine);
}

// --- time ------------------------------------------------------------------------------------------------

const RunResult& Simulation::run() {
    for (Observer* observer : observers_) {
        observer->on_begin(*this);
    }
    while (step()) {
    }
    Event rest{.kind = EventKind::rest};
    tell(rest);
    if (result_.violation) {
        result_.outcome = RunOutcome::violation;
    }
    result_.ended = now_;
    result_.network = network_.counters();
    result_.flows = workload_.results();
    for (const FaultState& fault : faults_) {
        result_.faults[static_cast<std::size_t>(fault.spec->kind)] += fault.times;
    }
    for (Observer* observer : observers_) {
        observer->on_end(*this);
    }
    return result_;
}

void Simulation::finish(RunOutcome outcome) {
    result_.outcome = outcome;
}

/// One thing more; false when the run is over.
bool Simulation::step() {
    if (result_.violation) {
        return false;
    }
    if (result_.events >= options_.event_limit) {
        finish(RunOutcome::event_limit);
        return false;
    }
    Instant next = schedule_.next();
    NodeId whose = kNoNode;
    for (const NodeId id : hosts_) {
        if (machines_[id]->deadline < next) {  // at one instant what arrives goes before who waits
            next = machines_[id]->deadline;
            whose = id;
        }
    }
    if (next.is_never()) {
        finish(RunOutcome::rest);
        return false;
    }
    if (next > kStart + scenario_.limit) {
        now_ = kStart + scenario_.limit;
        finish(RunOutcome::limit);
        return false;
    }
    if (next > now_) {
        now_ = next;
        for (const NodeId id : hosts_) {
            machines_[id]->timeouts_in_a_row = 0;
        }
    }
    if (whose != kNoNode) {
        pass_time(whose);
    } else {
        handle(schedule_.pop());
    }
    if (!network_.lost().empty()) {
        drain_losses();
    }
    return true;
}

void Simulation::handle(const Happening& happening) {
    switch (happening.kind) {
        case HappeningKind::arrival: return arrive(happening);
        case HappeningKind::departure: return network_.on_departure(happening.way, now_);
        case HappeningKind::release:
            return network_.on_release(happening.index, happening.token, happening.way, now_);
        case HappeningKind::service: return service(happening.node);
        case HappeningKind::fault_begin: return begin_fault(happening.index);
        case HappeningKind::fault_end: return end_fault(happening.index);
        case HappeningKind::start:
        case HappeningKind::wake: return act(happening);
    }
}

/// An application acts: at once, or when its host can.
void Simulation::act(const Happening& happening) {
    const Flow& flow = scenario_.flows[happening.index];
    for (const NodeId id : {flow.client, flow.server}) {
        if (machines_[id]->paused != 0) {
            machines_[id]->postponed.push_back(happening);
            return;
        }
    }
    if (happening.kind == HappeningKind::start) {
        workload_.start(happening.index);
    } else {
        workload_.on_wake(happening.index, happening.token);
    }
    settle(flow.server);
    settle(flow.client);
}

void Simulation::pass_time(NodeId id) {
    Machine& machine = *machines_[id];
    Host& host = machine.host();
    Event event{.kind = EventKind::timeout, .host = id};
    event.first_record = host.recorder().next_number();
    host.on_timeout(machine.clock.local(now_));
    event.end_record = host.recorder().next_number();
    if (now_ != machine.last_timeout) {
        machine.last_timeout = now_;
        machine.timeouts_in_a_row = 0;
    }
    if (++machine.timeouts_in_a_row > kMaxTimeoutsInARow) {
        finish(RunOutcome::stuck);
        result_.violation = Violation{.check = Check::timeout_progress,
                                      .text = "time passes and passes at one instant",
                                      .at = now_,
                                      .host = id};
    }
    tell(event);
    settle(id);
}

void Simulation::update_deadline(Machine& machine) {
    if (machine.paused != 0) {
        machine.deadline = Instant::never();
        return;
    }
    const Instant next = machine.host().next_timeout();
    machine.deadline = machine.clock.world(next);
    if (machine.late != kNoFault && !next.is_never()) {
        if (next != machine.late_deadline) {
            FaultState& fault = faults_[machine.late];
            machine.late_deadline = next;
            machine.late_by = fault.up_to(fault.spec->a);
            ++fault.times;
        }
        machine.deadline = machine.deadline + machine.late_by;
    }
}

// --- packets in -----------------------------------------------------------------------------------------

void Simulation::arrive(const Happening& happening) {
    Packet* packet = happening.packet;
    if (network_.is_router(happening.node)) {
        return network_.forward(happening.node, packet, now_);
    }
    Machine& machine = *machines_[happening.node];
    const std::uint8_t link = happening.way / 2;
    const auto plug =
        std::find(machine.link_of_interface.begin(), machine.link_of_interface.end(), link);
    RUNNEL_CHECK(plug != machine.link_of_interface.end());
    std::size_t places = machine.down != 0 ? 0 : machine.spec->ring;
    if (machine.short_rings != kNoFault) {
        FaultState& fault = faults_[machine.short_rings];
        places =
            std::min(places, static_cast<std::size_t>(std::max<std::int64_t>(fault.spec->a, 1)));
        fault.times += machine.ring.size() >= places ? 1U : 0U;
    }
    if (machine.ring.size() >= places) {
        return lose(packet, Loss::ring, happening.node);
    }
    machine.ring.push_back(
        {packet, static_cast<std::uint8_t>(plug - machine.link_of_interface.begin())});
    if (machine.paused == 0) {
        plan_service(happening.node, machine);
    }
}

/// A full batch, or one that need not wait, is taken at once.
void Simulation::plan_service(NodeId id, Machine& machine) {
    const bool full = machine.ring.size() >= std::max<std::size_t>(machine.spec->batch, 1);
    const Duration wait = machine.short_rings != kNoFault
                              ? Duration{faults_[machine.short_rings].spec->b}
                          : full ? Duration{}
                                 : machine.spec->batch_wait;
    if (wait.ns <= 0) {
        return service(id);
    }
    if (!machine.service_planned) {
        machine.service_planned = true;
        schedule_.push({.at = now_ + wait, .kind = HappeningKind::service, .node = id});
    }
}

void Simulation::service(NodeId id) {
    Machine& machine = *machines_[id];
    machine.service_planned = false;
    if (machine.paused != 0) {
        return;
    }
    taken_.swap(machine.ring);
    for (RingedPacket& ringed : taken_) {
        deliver(id, machine, ringed);
    }
    taken_.clear();
    settle(id);
}

void Simulation::deliver(NodeId id, Machine& machine, RingedPacket& ringed) {
    Packet& packet = *ringed.packet;
    Host& host = machine.host();
    Slice slice = host.pool().copy(packet.bytes);
    if (slice.empty()) {
        return lose(&packet, Loss::memory, id);
    }
    Frame& frame = batch_.emplace_back();
    frame.body.push_back(std::move(slice));
    Event event{.kind = EventKind::delivered, .host = id};
    event.link = scenario_.links[machine.link_of_interface[ringed.interface]].id;
    event.packet = &packet;
    event.first_record = host.recorder().next_number();
    host.on_frames(ringed.interface, batch_, machine.clock.local(now_));
    event.end_record = host.recorder().next_number();
    if (packet.is_tcp) {
        result_.segments_delivered += packet.damaged ? 0 : 1;
        connection_of(event, {packet.tuple.remote, packet.tuple.local});
    }
    tell(event);
    memory_.packets.give_back(&packet);
}

// --- packets out ----------------------------------------------------------------------------------------

/// Lets the host's applications and the host say what they have to say now.
void Simulation::settle(NodeId id) {
    Machine& machine = *machines_[id];
    if (machine.paused != 0) {
        return;
    }
    // A short ring takes only so many at a time.
    const std::size_t budget = machine.short_rings != kNoFault
                                   ? static_cast<std::size_t>(std::max<std::int64_t>(
                                         faults_[machine.short_rings].spec->a, 1))
                                   : kTransmitBudget;
    // Each round lets the applications see what the last one brought about (packets to itself).
    for (bool more = true; more && !result_.violation;) {
        more = workload_.on_ready(id);
        const bool said = machine.host().poll_transmit(machine.clock.local(now_), batch_, budget);
        more = more || said || !batch_.empty();
        transmit(id, machine);
        if (said && machine.short_rings != kNoFault) {
            plan_service(id, machine);
            return update_deadline(machine);
        }
    }
    update_deadline(machine);
    for (Observer* observer : observers_) {
        observer->on_settled(*this, id);
    }
}

void Simulation::transmit(NodeId id, Machine& machine) {
    for (Frame& frame : batch_) {
        machine.timeouts_in_a_row = 0;
        Packet* packet = memory_.packets.take();
        packet->bytes.insert(packet->bytes.end(), frame.head().begin(), frame.head().end());
        for (const Slice& slice : frame.body) {
            packet->bytes.insert(packet->bytes.end(), slice.bytes().begin(), slice.bytes().end());
        }
        packet->sent = now_;
        packet->number = ++packet_number_;
        read_packet(*packet);
        ++result_.packets_sent;
        const std::uint8_t link = machine.link_of_interface[frame.interface];
        Event event{.kind = EventKind::transmitted, .host = id};
        event.link = scenario_.links[link].id;
        event.reason = static_cast<Decision>(frame.reason);
        event.packet = packet;
        event.first_record = event.end_record = machine.host().recorder().next_number();
        if (packet->is_tcp) {
            connection_of(event, packet->tuple);
        }
        tell(event);
        network_.send(id, link, packet, now_);
    }
    batch_.clear();
}

// --- losses -----------------------------------------------------------------------------------------------

void Simulation::lose(Packet* packet, Loss loss, NodeId host) {
    Event event{.kind = EventKind::dropped, .loss = loss, .host = host};
    event.packet = packet;
    tell(event);
    memory_.packets.give_back(packet);
}

void Simulation::drain_losses() {
    std::vector<LostPacket>& lost = network_.lost();
    for (std::size_t i = 0; i < lost.size(); ++i) {
        const LostPacket one = lost[i];
        Event event{.kind = EventKind::dropped, .loss = one.loss};
        event.link = one.link;
        event.way = one.way;
        event.fault = one.fault;
        event.packet = one.packet;
        tell(event);
        memory_.packets.give_back(one.packet);
    }
    lost.clear();
}

// --- those who watch ----------------------------------------------------------------------------------------

void Simulation::connection_of(Event& event, const FourTuple& tuple) {
    Machine& machine = *machines_[event.host];
    const tcp::Inspection& window = machine.life->window;
    Machine::Known& known = machine.known_place(tuple);
    if (same(known.tuple, tuple)) {
        const tcp::Tcb* tcb = window.awake(known.handle);
        if (tcb != nullptr && !tcb->detached) {
            event.connection = known.handle.packed();
            event.tcb = tcb;
            return;
        }
    }
    if (const auto handle = window.find(tuple)) {
        event.connection = handle->packed();
        event.tcb = window.awake(*handle);
        known = {tuple, *handle};
    }
}

void Simulation::tell(Event& event) {
    event.at = now_;
    event.number = result_.events++;
    if (event.host != kNoNode) {
        event.local = machines_[event.host]->clock.local(now_);
    }
    std::uint64_t word = static_cast<std::uint64_t>(event.kind) << 8 | event.host;
    if (event.packet != nullptr) {
        const std::size_t flow = event.packet->is_tcp ? event.packet->flow() : kMaxFlows;
        word |= event.packet->number << 16;
        if (flow < kMaxFlows) {
            event.flow = workload_.index_of(static_cast<std::uint8_t>(flow));
        }
        if (event.kind == EventKind::transmitted) {
            const std::size_t head =
                event.packet->is_tcp ? event.packet->payload_at() : event.packet->bytes.size();
            result_.digest = mixed(result_.digest, Bytes(event.packet->bytes).first(head));
        }
    }
    result_.digest = mixed(mixed(result_.digest, static_cast<std::uint64_t>(now_.ns)), word);
    for (Observer* observer : observers_) {
        observer->on_event(*this, event);
    }
}

void Simulation::violate(Violation violation) {
    if (!result_.violation) {
        result_.violation = std::move(violation);
    }
}

void Simulation::called(std::uint16_t flow, NodeId host, const FourTuple& tuple) {
    Event event{.kind = EventKind::call, .host = host};
    event.flow = flow;
    event.first_record = event.end_record = machines_[host]->life->host.recorder().next_number();
    if (tuple.local.port != 0) {
        connection_of(event, tuple);
    }
    tell(event);
}

void Simulation::tell_call(const Call& call) {
    for (Observer* observer : observers_) {
        observer->on_call(*this, call);
    }
}

void Simulation::wake_at(Instant at, std::uint16_t flow, std::uint64_t token) {
    Happening happening{.at = std::max(at, now_), .kind = HappeningKind::wake};
    happening.token = token;
    happening.index = flow;
    schedule_.push(happening);
}

bool Simulation::suspended(Check check, std::size_t flow) const {
    return flow < suspensions_.size() && suspensions_[flow][static_cast<std::size_t>(check)];
}

}  // namespace runnel::sim
