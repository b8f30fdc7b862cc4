#include "runnel/sim/world.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "runnel/base/check.hpp"

namespace runnel::sim {

namespace {
/// Frames handed to a host in one batch.
constexpr std::size_t kMaxBatch = 64;
/// A timer wheel may call a little early a few times; a host that asks for more than this makes no progress.
constexpr unsigned kMaxTimeoutsInARow = 16;

MacAddress mac_of(HostId host, std::uint8_t interface) {
    MacAddress mac;
    mac.bytes = {std::byte{0x02},
                 std::byte{0},
                 static_cast<std::byte>(host >> 16),
                 static_cast<std::byte>((host >> 8) & 0xff),
                 static_cast<std::byte>(host & 0xff),
                 static_cast<std::byte>(interface)};
    return mac;
}
}  // namespace

World::World(const WorldConfig& config) : config_(config), now_(config.start) {}

HostId World::add_host(const HostConfig& config, Duration clock_offset) {
    machines_.push_back(std::make_unique<Machine>(config, clock_offset));
    return static_cast<HostId>(machines_.size() - 1);
}

WireId World::connect(HostId a, HostId b, const WireConfig& config) {
    const auto id = static_cast<WireId>(links_.size());
    // Wires of one world draw from different streams.
    Random seeds(config_.seed + id);
    links_.push_back(std::make_unique<Link>(config, seeds.next()));
    Link& link = *links_.back();
    link.wire.set_digest(config_.digest);
    const std::array ends{a, b};
    for (unsigned side = 0; side < 2; ++side) {
        Machine& machine = *machines_[ends[side]];
        const auto index = static_cast<std::uint8_t>(machine.plugs.size());
        InterfaceConfig interface;
        interface.name = "wire" + std::to_string(id);
        interface.capabilities = link.wire.capabilities();
        interface.mac = mac_of(ends[side], index);
        link.host[side] = ends[side];
        link.interface[side] = machine.host.add_interface(interface);
        RUNNEL_CHECK(link.interface[side] == index);
        machine.plugs.emplace_back(id, side);
    }
    return id;
}

std::uint8_t World::interface_of(WireId wire, unsigned side) const {
    return links_[wire]->interface[side];
}

void World::add_address(HostId id, std::uint8_t interface, std::string_view cidr) {
    const auto parsed = parse_cidr(cidr);
    RUNNEL_CHECK(parsed.has_value());
    RUNNEL_CHECK(host(id).add_address(interface, *parsed, now(id)).has_value());
}

// --- time --------------------------------------------------------------------------------------------

bool World::step() {
    return step_before(Instant::never());
}

/// A step that doesn't lead beyond `deadline`; false when the next one would, or when there is none.
bool World::step_before(Instant deadline) {
    // What calls have set off comes first, and its makers get to look before time moves on.
    if (flush()) {
        ++events_;
        return true;
    }
    Instant next = arrivals_.empty() ? Instant::never() : arrivals_.front().parcel.arrival;
    const HostId nobody = static_cast<HostId>(machines_.size());
    HostId whose = nobody;
    for (HostId id = 0; id < nobody; ++id) {
        const Machine& machine = *machines_[id];
        const Instant timeout = machine.host.next_timeout() - machine.clock_offset;
        if (timeout < next) {  // at one instant what arrives goes before who waits
            next = timeout;
            whose = id;
        }
    }
    if (next.is_never() || next > deadline) {
        return false;
    }
    if (next > now_) {
        now_ = next;
        for (const auto& machine : machines_) {
            machine->timeouts_in_a_row = 0;
        }
    }
    if (whose == nobody) {
        deliver_batch();
    } else {
        pass_time(whose);
    }
    flush();
    ++events_;
    return true;
}

void World::pass_time(HostId id) {
    Machine& machine = *machines_[id];
    machine.host.on_timeout(now(id));
    if (++machine.timeouts_in_a_row > kMaxTimeoutsInARow) {
        ++idle_timeouts_;
    }
}

/// Hands over what arrives now at the host and interface of the earliest parcel.
void World::deliver_batch() {
    const WireId wire = arrivals_.front().wire;
    const unsigned side = arrivals_.front().side;
    const Instant when = arrivals_.front().parcel.arrival;
    Link& link = *links_[wire];
    Host& receiver = host(link.host[side]);
    batch_.clear();
    while (!arrivals_.empty() && batch_.size() < kMaxBatch) {
        const Arrival& first = arrivals_.front();
        if (first.parcel.arrival != when || first.wire != wire || first.side != side) {
            break;
        }
        std::pop_heap(arrivals_.begin(), arrivals_.end(), Later{});
        Parcel parcel = std::move(arrivals_.back().parcel);
        arrivals_.pop_back();
        if (!append_frame(receiver, parcel)) {
            ++lost_for_memory_;
        }
        link.wire.recycle(std::move(parcel));
    }
    receiver.on_frames(link.interface[side], batch_, now(link.host[side]));
}

bool World::append_frame(Host& host, const Parcel& parcel) {
    Slice slice = host.pool().copy(parcel.bytes);
    if (slice.empty()) {
        return false;
    }
    Frame& frame = batch_.emplace_back();
    frame.offload = parcel.offload;
    frame.body.push_back(std::move(slice));
    return true;
}

void World::inject(HostId id, std::uint8_t interface, Bytes packet) {
    Parcel parcel;
    parcel.bytes.assign(packet.begin(), packet.end());
    batch_.clear();
    if (append_frame(host(id), parcel)) {
        host(id).on_frames(interface, batch_, now(id));
    }
}

// --- what hosts have to say ----------------------------------------------------------------------------

/// Every host's frames onto their wires; true when there were any.
bool World::flush() {
    bool any = false;
    for (HostId id = 0; id < machines_.size(); ++id) {
        any = flush_host(id) || any;
    }
    return any;
}

bool World::flush_host(HostId id) {
    Machine& machine = *machines_[id];
    batch_.clear();
    // One round: a host that has more to say is asked again at the next step, at the same instant.
    const bool more = machine.host.poll_transmit(now(id), batch_);
    for (const Frame& frame : batch_) {
        RUNNEL_CHECK(frame.interface < machine.plugs.size());
        const auto [wire, side] = machine.plugs[frame.interface];
        parcels_.clear();
        links_[wire]->wire.transmit(side, frame, now_, parcels_);
        for (Parcel& parcel : parcels_) {
            const auto there = static_cast<std::uint8_t>(1 - side);
            arrivals_.push_back({std::move(parcel), insertions_++, wire, there});
            std::push_heap(arrivals_.begin(), arrivals_.end(), Later{});
        }
    }
    if (machine.writer) {
        write_capture(machine);
    }
    const bool any = more || !batch_.empty();
    if (any) {
        machine.timeouts_in_a_row = 0;
    }
    batch_.clear();
    return any;
}

void World::capture(HostId id, std::vector<std::byte>& sink) {
    Machine& machine = *machines_[id];
    machine.writer = std::make_unique<report::PcapngWriter>(sink, report::PcapngOptions{});
    for (const auto& [wire, side] : machine.plugs) {
        machine.writer->add_interface(machine.host.config().name + std::to_string(wire),
                                      links_[wire]->wire.config().layer);
    }
    machine.host.set_capture(true);
}

void World::write_capture(Machine& machine) {
    machine.host.take_captured(captured_);
    for (const CapturedFrame& frame : captured_) {
        machine.writer->write(frame);
    }
    captured_.clear();  // what it holds belongs to that host's pool
}

std::uint64_t World::digest() const {
    std::uint64_t sum = 0;
    for (const auto& link : links_) {
        sum = sum * 0x9e37'79b9'7f4a'7c15 + link->wire.digest();
    }
    return sum;
}

}  // namespace runnel::sim
