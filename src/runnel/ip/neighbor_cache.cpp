// The states of RFC 4861 §7.3.2 (INCOMPLETE, REACHABLE, STALE, DELAY, PROBE) and their changes. A REACHABLE
// entry becomes STALE by looking at it after its time, so that idle neighbours cost no timer.
#include "runnel/ip/neighbor_cache.hpp"

#include <algorithm>
#include <utility>

#include "runnel/base/bytes.hpp"
#include "runnel/base/check.hpp"

namespace runnel {

NeighborCache::NeighborCache(const IpConfig& config, const SipKey& key)
    : config_(config), key_(key) {
    buckets_.fill(kNone);
    timers_.fill({config.reachable_time, config.retransmit_time});
}

std::size_t NeighborCache::bucket_of(std::uint8_t interface, const IpAddress& address) const {
    std::array<std::byte, 17> message{};
    std::copy(address.bytes().begin(), address.bytes().end(), message.begin());
    message[16] = static_cast<std::byte>(interface);
    return static_cast<std::size_t>(siphash(key_, message) % kBuckets);
}

std::uint16_t NeighborCache::lookup(std::uint8_t interface, const IpAddress& address) const {
    std::uint16_t index = buckets_[bucket_of(interface, address)];
    while (index != kNone) {
        const Entry& entry = entries_[index];
        if (entry.interface == interface && entry.address == address) {
            return index;
        }
        index = entry.next_in_bucket;
    }
    return kNone;
}

const NeighborCache::Entry* NeighborCache::find(Ref ref) const {
    if (ref.index >= entries_.size()) {
        return nullptr;
    }
    const Entry& entry = entries_[ref.index];
    return entry.in_use && entry.generation == ref.generation ? &entry : nullptr;
}

const NeighborCache::Entry* NeighborCache::find(std::uint8_t interface,
                                                const IpAddress& address) const {
    const std::uint16_t index = lookup(interface, address);
    return index == kNone ? nullptr : &entries_[index];
}

NeighborCache::Ref NeighborCache::ref_of(std::uint8_t interface, const IpAddress& address) const {
    const std::uint16_t index = lookup(interface, address);
    return index == kNone ? Ref{} : ref(index);
}

/// RFC 4861 §6.3.2: uniform between 0.5 and 1.5 times the base, so that hosts don't probe in step.
Duration NeighborCache::random_reachable_time(std::uint8_t interface) {
    std::array<std::byte, 8> message{};
    ByteWriter(message).u64(++draws_);
    const auto thousandths = static_cast<std::int64_t>(siphash(key_, message) % 1001);
    return timers_[interface].reachable * (500 + thousandths) / 1000;
}

void NeighborCache::become(Entry& entry, NeighborState state, Instant now) {
    entry.state = state;
    entry.solicitations = 0;
    switch (state) {
        case NeighborState::reachable:
            entry.deadline = now + random_reachable_time(entry.interface);
            return;  // needs no timer
        case NeighborState::stale: entry.deadline = Instant::never(); return;
        case NeighborState::delay: entry.deadline = now + config_.delay_first_probe; break;
        case NeighborState::probe: entry.deadline = now; break;
        case NeighborState::incomplete:
            entry.solicitations = 1;  // the caller sends the first
            entry.deadline = now + timers_[entry.interface].retransmit;
            break;
    }
    next_deadline_ = std::min(next_deadline_, entry.deadline);
}

void NeighborCache::refresh_state(Entry& entry, Instant now) const {
    if (entry.state == NeighborState::reachable && entry.deadline <= now) {
        entry.state = NeighborState::stale;
        entry.deadline = Instant::never();
    }
}

/// Looks at a few entries after the clock hand and takes the longest unused one that is not being resolved,
/// so that a full cache costs a bounded look.
std::uint16_t NeighborCache::find_victim(Instant now) {
    constexpr std::uint16_t kLook = 32;
    std::uint16_t victim = kNone;
    for (std::uint16_t i = 0; i < kLook; ++i) {
        const std::uint16_t index = hand_;
        hand_ = static_cast<std::uint16_t>((hand_ + 1) % kCapacity);
        Entry& entry = entries_[index];
        refresh_state(entry, now);
        if (entry.held != 0) {
            continue;
        }
        if (victim == kNone) {
            victim = index;
            continue;
        }
        const Entry& best = entries_[victim];
        const bool entry_idle = entry.state == NeighborState::stale;
        const bool best_idle = best.state == NeighborState::stale;
        if (entry_idle != best_idle ? entry_idle : entry.last_used < best.last_used) {
            victim = index;
        }
    }
    return victim;
}

std::uint16_t NeighborCache::create(std::uint8_t interface, const IpAddress& address, Instant now) {
    if (free_.empty()) {
        if (entries_.size() < kCapacity) {
            entries_.emplace_back();
            free_.push_back(static_cast<std::uint16_t>(entries_.size() - 1));
        } else {
            const std::uint16_t victim = find_victim(now);
            if (victim == kNone) {
                return kNone;
            }
            remove(ref(victim));
        }
    }
    const std::uint16_t index = free_.back();
    free_.pop_back();
    Entry& entry = entries_[index];
    const std::uint32_t generation = entry.generation;
    entry = {};
    entry.generation = generation;
    entry.in_use = true;
    entry.address = address;
    entry.interface = interface;
    entry.last_used = now;
    std::uint16_t& head = buckets_[bucket_of(interface, address)];
    entry.next_in_bucket = head;
    head = index;
    return index;
}

void NeighborCache::remove(Ref ref) {
    if (find(ref) == nullptr) {
        return;
    }
    while (take_held(ref)) {
    }
    Entry& entry = entries_[ref.index];
    std::uint16_t* link = &buckets_[bucket_of(entry.interface, entry.address)];
    while (*link != ref.index) {
        link = &entries_[*link].next_in_bucket;
    }
    *link = entry.next_in_bucket;
    entry.in_use = false;
    entry.state = NeighborState::incomplete;
    ++entry.generation;
    free_.push_back(ref.index);
}

NeighborCache::Resolution NeighborCache::use(std::uint8_t interface, const IpAddress& address,
                                             Instant now) {
    std::uint16_t index = lookup(interface, address);
    Resolution result;
    if (index == kNone) {
        index = create(interface, address, now);
        if (index == kNone) {
            return result;
        }
        become(entries_[index], NeighborState::incomplete, now);
        result.ref = ref(index);
        result.solicit = true;
        return result;
    }
    Entry& entry = entries_[index];
    entry.last_used = now;
    refresh_state(entry, now);
    // RFC 4861 §7.3.3: the first packet to a STALE neighbour starts DELAY; it goes out all the same.
    if (entry.state == NeighborState::stale) {
        become(entry, NeighborState::delay, now);
    }
    result.ref = ref(index);
    result.resolved = entry.state != NeighborState::incomplete;
    result.mac = entry.mac;
    return result;
}

NeighborCache::Held NeighborCache::hold(Ref ref, Frame&& frame) {
    if (find(ref) == nullptr) {
        return Held::refused;
    }
    Entry& entry = entries_[ref.index];
    Held outcome = Held::kept;
    const bool full = free_held_.empty() && held_.size() >= kHeldFrames;
    if (entry.held >= config_.neighbor_queue || (full && entry.held != 0)) {
        (void)take_held(ref);
        outcome = Held::displaced_oldest;
    } else if (full) {
        return Held::refused;
    }
    if (free_held_.empty()) {
        held_.emplace_back();
        free_held_.push_back(static_cast<std::uint16_t>(held_.size() - 1));
    }
    const std::uint16_t place = free_held_.back();
    free_held_.pop_back();
    held_[place].frame = std::move(frame);
    held_[place].next = kNone;
    if (entry.held == 0) {
        entry.first_held = place;
    } else {
        held_[entry.last_held].next = place;
    }
    entry.last_held = place;
    ++entry.held;
    ++held_total_;
    return outcome;
}

std::optional<Frame> NeighborCache::take_held(Ref ref) {
    if (find(ref) == nullptr) {
        return std::nullopt;
    }
    Entry& entry = entries_[ref.index];
    if (entry.held == 0) {
        return std::nullopt;
    }
    const std::uint16_t place = entry.first_held;
    entry.first_held = held_[place].next;
    --entry.held;
    --held_total_;
    if (entry.held == 0) {
        entry.first_held = entry.last_held = kNone;
    }
    free_held_.push_back(place);
    std::optional<Frame> frame(std::move(held_[place].frame));
    held_[place].frame.body.clear();
    return frame;
}

std::optional<NeighborCache::Ref> NeighborCache::learn(std::uint8_t interface,
                                                       const IpAddress& address,
                                                       const MacAddress& mac, Instant now) {
    std::uint16_t index = lookup(interface, address);
    if (index == kNone) {
        index = create(interface, address, now);
        if (index == kNone) {
            return std::nullopt;
        }
        entries_[index].mac = mac;
        become(entries_[index], NeighborState::stale, now);
        return std::nullopt;
    }
    Entry& entry = entries_[index];
    const bool was_incomplete = entry.state == NeighborState::incomplete;
    if (was_incomplete || entry.mac != mac) {
        entry.mac = mac;
        become(entry, NeighborState::stale, now);
        if (entry.held != 0) {
            become(entry, NeighborState::delay, now);
        }
    }
    return was_incomplete ? std::optional<Ref>(ref(index)) : std::nullopt;
}

NeighborCache::AdvertisementResult NeighborCache::advertised(std::uint8_t interface,
                                                             const IpAddress& address,
                                                             const Advertisement& advertisement,
                                                             Instant now) {
    AdvertisementResult result;
    const std::uint16_t index = lookup(interface, address);
    if (index == kNone) {
        return result;  // RFC 4861 §7.2.5: no entry, silently discard
    }
    result.known = true;
    Entry& entry = entries_[index];
    refresh_state(entry, now);
    if (entry.state == NeighborState::incomplete) {
        if (!advertisement.mac) {
            return result;
        }
        entry.mac = *advertisement.mac;
        entry.is_router = advertisement.is_router.value_or(entry.is_router);
        become(entry, advertisement.solicited ? NeighborState::reachable : NeighborState::stale,
               now);
        result.resolved = ref(index);
        return result;
    }
    const bool other_mac = advertisement.mac && *advertisement.mac != entry.mac;
    if (other_mac && !advertisement.override_mac) {
        // Somebody else claims it without authority: believe neither fully.
        if (entry.state == NeighborState::reachable) {
            become(entry, NeighborState::stale, now);
        }
        return result;
    }
    if (other_mac) {
        entry.mac = *advertisement.mac;
    }
    if (advertisement.solicited) {
        become(entry, NeighborState::reachable, now);
    } else if (other_mac) {
        become(entry, NeighborState::stale, now);
    }
    if (advertisement.is_router) {
        result.stopped_routing = entry.is_router && !*advertisement.is_router;
        entry.is_router = *advertisement.is_router;
    }
    return result;
}

void NeighborCache::confirm(Ref ref, Instant now) {
    if (find(ref) == nullptr) {
        return;
    }
    Entry& entry = entries_[ref.index];
    if (entry.state == NeighborState::incomplete) {
        return;  // no address that could be confirmed
    }
    // Refreshed at most every half of the shortest reachable time, to keep this off the data path.
    if (entry.state == NeighborState::reachable &&
        now + timers_[entry.interface].reachable / 4 < entry.deadline) {
        return;
    }
    become(entry, NeighborState::reachable, now);
}

void NeighborCache::suspect(Ref ref, Instant now) {
    if (find(ref) == nullptr) {
        return;
    }
    Entry& entry = entries_[ref.index];
    // One that is being asked already gets no more questions for it.
    if (entry.state != NeighborState::incomplete && entry.state != NeighborState::probe) {
        become(entry, NeighborState::probe, now);
    }
}

void NeighborCache::set_router(std::uint8_t interface, const IpAddress& address, bool is_router) {
    const std::uint16_t index = lookup(interface, address);
    if (index != kNone) {
        entries_[index].is_router = is_router;
    }
}

void NeighborCache::on_timeout(Instant now, std::vector<Step>& steps) {
    if (now < next_deadline_) {
        return;
    }
    next_deadline_ = Instant::never();
    for (std::uint16_t index = 0; index < entries_.size(); ++index) {
        Entry& entry = entries_[index];
        if (!entry.in_use) {
            continue;
        }
        if (entry.state == NeighborState::reachable || entry.state == NeighborState::stale) {
            continue;
        }
        if (entry.deadline <= now) {
            if (entry.state == NeighborState::delay) {
                become(entry, NeighborState::probe, now);
            }
            const bool probing = entry.state == NeighborState::probe;
            const std::uint8_t limit =
                probing ? config_.unicast_solicitations : config_.multicast_solicitations;
            if (entry.solicitations >= limit) {
                steps.push_back({Step::Kind::unreachable, ref(index)});
                continue;
            }
            ++entry.solicitations;
            entry.deadline = now + timers_[entry.interface].retransmit;
            steps.push_back(
                {probing ? Step::Kind::solicit_unicast : Step::Kind::solicit_group, ref(index)});
        }
        next_deadline_ = std::min(next_deadline_, entry.deadline);
    }
}

void NeighborCache::set_timers(std::uint8_t interface, Duration reachable_time,
                               Duration retransmit_time) {
    if (reachable_time > Duration{}) {
        timers_[interface].reachable = reachable_time;
    }
    if (retransmit_time > Duration{}) {
        timers_[interface].retransmit = retransmit_time;
    }
}

std::vector<NeighborStatus> NeighborCache::status(Instant now) const {
    std::vector<NeighborStatus> rows;
    for (const Entry& entry : entries_) {
        if (!entry.in_use) {
            continue;
        }
        Entry shown = entry;
        refresh_state(shown, now);
        rows.push_back(
            {shown.interface, shown.address, shown.mac, shown.state, shown.is_router, shown.held});
    }
    return rows;
}

}  // namespace runnel
