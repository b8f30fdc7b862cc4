#include "runnel/sim/network.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"

namespace runnel::sim {

namespace {
constexpr std::int64_t kSecond = 1'000'000'000;
/// Jitter is the only thing that the network itself draws.
constexpr std::uint64_t kJitterUse = 0x6a69'7474'6572;

/// How long a line of `rate` takes for `size` bytes. No product of ours leaves 64 bits: size is below 2^17.
Duration time_on_line(std::size_t size, std::uint64_t rate) {
    return rate == 0 ? Duration{}
                     : Duration{static_cast<std::int64_t>(size) * kSecond /
                                static_cast<std::int64_t>(rate)};
}
}  // namespace

Network::Network(const Scenario& scenario, Schedule& schedule, PacketPool& pool,
                 std::vector<FaultState>& faults)
    : scenario_(scenario),
      schedule_(schedule),
      pool_(pool),
      faults_(faults),
      random_(scenario.seed ^ kJitterUse) {
    for (const HostSpec& host : scenario.hosts) {
        if (host.id < kMaxNodes) {
            nodes_[host.id].exists = true;
        }
    }
    for (const RouterSpec& router : scenario.routers) {
        if (router.id < kMaxNodes && !nodes_[router.id].exists) {
            nodes_[router.id].exists = true;
            nodes_[router.id].router = &router;
        }
    }
    const std::size_t count = std::min(scenario.links.size(), kMaxLinks);
    links_.resize(count);
    for (std::uint8_t i = 0; i < count; ++i) {
        const LinkSpec& spec = scenario.links[i];
        Link& link = links_[i];
        link.spec = &spec;
        link.mtu = spec.mtu;
        link.way[0].to = spec.b;
        link.way[1].to = spec.a;
        for (unsigned way = 0; way < 2; ++way) {
            link.way[way].spec = &spec.way[way];
            link.way[way].rate = spec.way[way].rate;
        }
        if (spec.a != spec.b && spec.a < kMaxNodes && spec.b < kMaxNodes && nodes_[spec.a].exists &&
            nodes_[spec.b].exists) {
            nodes_[spec.a].links.push_back(i);
            nodes_[spec.b].links.push_back(i);
        }
    }
    find_paths();
}

/// From every destination outwards; hosts don't forward. Among equal paths the one over the link that
/// stands first wins, in both directions alike where there is only one.
void Network::find_paths() {
    for (Node& node : nodes_) {
        node.next.fill(kNoLink);
    }
    for (NodeId destination = 0; destination < kMaxNodes; ++destination) {
        if (!nodes_[destination].exists) {
            continue;
        }
        std::array<NodeId, kMaxNodes> todo;
        std::size_t count = 0;
        todo[count++] = destination;
        for (std::size_t i = 0; i < count; ++i) {
            const NodeId here = todo[i];
            if (here != destination && nodes_[here].router == nullptr) {
                continue;
            }
            for (const std::uint8_t number : nodes_[here].links) {
                const LinkSpec& link = *links_[number].spec;
                const NodeId there = link.a == here ? link.b : link.a;
                if (there != destination && nodes_[there].next[destination] == kNoLink) {
                    nodes_[there].next[destination] = number;
                    todo[count++] = there;
                }
            }
        }
    }
}

bool Network::passes(NodeId a, NodeId b, std::uint8_t link_id) const {
    const auto one_way = [&](NodeId from, NodeId to) {
        // A shortest path has fewer steps than there are nodes.
        for (NodeId steps = 0; steps < kMaxNodes && from != to; ++steps) {
            const std::uint8_t link = nodes_[from].next[to];
            if (link == kNoLink) {
                return false;
            }
            if (links_[link].spec->id == link_id) {
                return true;
            }
            from = links_[link].spec->a == from ? links_[link].spec->b : links_[link].spec->a;
        }
        return false;
    };
    return a < kMaxNodes && b < kMaxNodes && (one_way(a, b) || one_way(b, a));
}

void Network::give_back_queued() {
    for (Link& link : links_) {
        for (Way& way : link.way) {
            for (; !way.queue.empty(); way.queue.pop_front()) {
                pool_.give_back(way.queue.front());
            }
        }
    }
    for (const LostPacket& lost : lost_) {
        pool_.give_back(lost.packet);
    }
    lost_.clear();
}

void Network::lose(Packet* packet, Loss loss, std::uint8_t link, unsigned way,
                   std::uint16_t fault) {
    const std::uint8_t id = link == kNoLink ? kNoLink : links_[link].spec->id;
    lost_.push_back({packet, loss, fault, id, static_cast<std::uint8_t>(way)});
}

void Network::send(NodeId from, std::uint8_t link, Packet* packet, Instant now) {
    const unsigned way = links_[link].spec->a == from ? 0 : 1;
    pass_from(link, way, packet, 0, {}, now);
}

/// Shows the packet to the way's faults from the `first`th on, and puts it on the line.
void Network::pass_from(std::uint8_t link, unsigned way, Packet* packet, std::size_t first,
                        Duration later, Instant now) {
    const std::vector<std::uint16_t>& faults = links_[link].way[way].faults;
    // A packet that is too big makes its router send another while this one's extras wait: each passage
    // has its own, one upon the other.
    const std::size_t mine = extras_.size();
    Passage passage{.packet = packet, .way = way, .now = now, .pool = pool_, .extras = extras_};
    passage.mtu = links_[link].mtu;
    passage.later = later;
    for (std::size_t i = first; i < faults.size(); ++i) {
        FaultState& fault = faults_[faults[i]];
        const Verdict verdict = pass_fault(fault, passage);
        if (verdict == Verdict::drop) {
            lose(passage.packet, Loss::fault, link, way, faults[i]);
            passage.packet = nullptr;
        } else if (verdict == Verdict::held) {
            Happening release{.at = now + passage.release_in, .kind = HappeningKind::release};
            release.token = fault.held.back().token;
            release.way = number_of(link, way);
            release.index = faults[i];
            schedule_.push(release);
            passage.packet = nullptr;
        }
        if (passage.packet == nullptr) {
            break;
        }
    }
    if (passage.packet != nullptr) {
        enter(link, way, passage.packet, passage.later, now);
    }
    for (std::size_t i = mine; i < extras_.size(); ++i) {
        const Extra extra = extras_[i];
        enter(link, extra.backwards ? 1 - way : way, extra.packet, extra.later, now);
    }
    extras_.resize(mine);
}

void Network::on_release(std::uint16_t fault, std::uint64_t token, std::uint8_t way_number,
                         Instant now) {
    if (Packet* packet = release_held(faults_[fault], token)) {
        enter(way_number / 2, way_number % 2, packet, {}, now);
    }
}

void Network::enter(std::uint8_t number, unsigned side, Packet* packet, Duration later,
                    Instant now) {
    Link& link = links_[number];
    Way& way = link.way[side];
    const std::size_t size = packet->bytes.size();
    if (size > link.mtu) {
        // Hosts and routers look at the link's own MTU; this is a fault's, which only a router can know.
        return too_big(side == 0 ? link.spec->a : link.spec->b, number, side, packet, now);
    }
    if (way.spec->queue == QueueKind::codel && way.rate != 0) {
        if (way.queued_bytes + size > way.spec->queue_bytes) {
            ++counters_.queue_drops;
            return lose(packet, Loss::queue, number, side);
        }
        if (later != Duration{}) {  // held back by a fault: it has left the queue's order
            return fly(number, side, packet, now + time_on_line(size, way.rate), later);
        }
        packet->queued = now;
        way.queued_bytes += size;
        way.queue.push_back(packet);
        if (!way.sending) {
            start_sending(number, side, now);
        }
        return;
    }
    if (way.rate == 0) {
        return fly(number, side, packet, now, later);
    }
    way.busy_until = std::max(way.busy_until, now);
    // In parts, so that no product leaves 64 bits.
    const std::int64_t ahead = (way.busy_until - now).ns;
    const auto rate = static_cast<std::int64_t>(way.rate);
    const std::int64_t waiting =
        ahead / kSecond * rate + ahead % kSecond / 1'000 * rate / 1'000'000;
    if (waiting > way.spec->queue_bytes) {
        ++counters_.queue_drops;
        return lose(packet, Loss::queue, number, side);
    }
    way.busy_until = way.busy_until + time_on_line(size, way.rate);
    fly(number, side, packet, way.busy_until, later);
}

void Network::fly(std::uint8_t number, unsigned side, Packet* packet, Instant departs,
                  Duration later) {
    Way& way = links_[number].way[side];
    Instant arrives = departs + way.spec->delay;
    if (way.spec->jitter.ns > 0) {
        arrives = arrives + Duration{static_cast<std::int64_t>(
                                random_.below(static_cast<std::uint64_t>(way.spec->jitter.ns)))};
        arrives = way.last_arrival = std::max(arrives, way.last_arrival);
    }
    Happening arrival{.at = arrives + later, .packet = packet, .kind = HappeningKind::arrival};
    arrival.node = way.to;
    arrival.way = number_of(number, side);
    schedule_.push(arrival);
}

// --- CoDel ---------------------------------------------------------------------------------------------

void Network::start_sending(std::uint8_t number, unsigned side, Instant now) {
    Link& link = links_[number];
    Way& way = link.way[side];
    while (!way.queue.empty()) {
        Packet* packet = way.queue.front();
        way.queue.pop_front();
        way.queued_bytes -= packet->bytes.size();
        if (way.codel.on_dequeue(now, now - packet->queued, way.queued_bytes, link.mtu)) {
            if (!way.spec->ecn || !mark_congestion(*packet)) {
                ++counters_.aqm_drops;
                lose(packet, Loss::aqm, number, side);
                continue;
            }
            ++counters_.ecn_marks;
        }
        const Instant departs = now + time_on_line(packet->bytes.size(), way.rate);
        fly(number, side, packet, departs, {});
        Happening departure{.at = departs, .kind = HappeningKind::departure};
        departure.way = number_of(number, side);
        schedule_.push(departure);
        way.sending = true;
        return;
    }
    way.sending = false;
}

void Network::on_departure(std::uint8_t way_number, Instant now) {
    start_sending(way_number / 2, way_number % 2, now);
}

// --- faults of whole links -------------------------------------------------------------------------------

void Network::begin_fault(std::uint16_t index) {
    FaultState& fault = faults_[index];
    const Fault& spec = *fault.spec;
    for (Link& link : links_) {
        if (link.spec->id != spec.where) {
            continue;
        }
        fault.active = true;
        for (unsigned side = 0; side < 2; ++side) {
            // Who shifts numbers must see both ways.
            if (spec.ways != Ways::both && static_cast<unsigned>(spec.ways) != side &&
                spec.kind != FaultKind::rewrite_sequence) {
                continue;
            }
            Way& way = link.way[side];
            if (acts_on_packets(spec.kind)) {
                way.faults.push_back(index);
            } else if (spec.kind == FaultKind::rate_change) {
                ++fault.times;
                way.rate = static_cast<std::uint64_t>(std::max<std::int64_t>(spec.a, 1'000));
            }
        }
        if (spec.kind == FaultKind::mtu_change || spec.kind == FaultKind::mtu_black_hole) {
            ++fault.times;
            link.mtu =
                static_cast<std::uint32_t>(std::clamp<std::int64_t>(spec.a, 576, link.spec->mtu));
            link.black_hole = spec.kind == FaultKind::mtu_black_hole;
        }
    }
}

void Network::end_fault(std::uint16_t index, Instant now) {
    FaultState& fault = faults_[index];
    const Fault& spec = *fault.spec;
    fault.active = false;
    for (std::uint8_t number = 0; number < links_.size(); ++number) {
        Link& link = links_[number];
        if (link.spec->id != spec.where) {
            continue;
        }
        for (Way& way : link.way) {
            if (spec.kind != FaultKind::rewrite_sequence) {  // what it has begun goes on
                std::erase(way.faults, index);
            }
            if (spec.kind == FaultKind::rate_change) {
                way.rate = way.spec->rate;
            }
        }
        if (spec.kind == FaultKind::mtu_change || spec.kind == FaultKind::mtu_black_hole) {
            link.mtu = link.spec->mtu;
            link.black_hole = false;
        }
        for (const HeldPacket& held : fault.held) {
            enter(held.way / 2, held.way % 2, held.packet, {}, now);
        }
        fault.held.clear();
    }
}

}  // namespace runnel::sim
