#include "runnel/sim/wire.hpp"

#include <algorithm>
#include <utility>

#include "runnel/base/check.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel::sim {

namespace {
constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kMaxSpareBuffers = 4096;

void append(std::vector<std::byte>& bytes, Bytes more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}
}  // namespace

Wire::Wire(const WireConfig& config, std::uint64_t seed) : config_(config), random_(seed) {
    for (const DirectionConfig& direction : config_.direction) {
        RUNNEL_CHECK(!config_.offload || direction.faults.flip == 0);
    }
}

LinkCapabilities Wire::capabilities() const {
    return {.layer = config_.layer,
            .mtu = config_.mtu,
            .checksum_offload = config_.offload,
            .tso4 = config_.offload,
            .tso6 = config_.offload};
}

void Wire::set_faults(unsigned side, const Faults& faults) {
    RUNNEL_CHECK(!config_.offload || faults.flip == 0);
    config_.direction[side].faults = faults;
}

Parcel Wire::linear(const Frame& frame) {
    Parcel parcel;
    if (!spare_.empty()) {
        parcel.bytes = std::move(spare_.back());
        spare_.pop_back();
    }
    parcel.bytes.clear();
    append(parcel.bytes, frame.head());
    for (const Slice& slice : frame.body) {
        append(parcel.bytes, slice.bytes());
    }
    parcel.offload = frame.offload;
    return parcel;
}

void Wire::recycle(Parcel&& parcel) {
    if (spare_.size() < kMaxSpareBuffers) {
        spare_.push_back(std::move(parcel.bytes));
    }
}

bool Wire::fits(const Parcel& parcel) const {
    const std::size_t link = config_.layer == LinkLayer::ethernet ? kEthernetHeaderSize : 0;
    const std::size_t size =
        parcel.offload.gso == Offload::Gso::none
            ? parcel.bytes.size()
            : std::size_t{parcel.offload.header_length} + parcel.offload.gso_size;
    return size <= link + config_.mtu;
}

/// Takes the direction's place in time; false when the queue before it is full.
bool Wire::enter_queue(unsigned side, std::size_t size, Instant now) {
    const DirectionConfig& config = config_.direction[side];
    Way& way = ways_[side];
    if (config.bytes_per_second == 0) {
        way.busy_until = now;
        return true;
    }
    const auto rate = static_cast<std::int64_t>(config.bytes_per_second);
    way.busy_until = std::max(way.busy_until, now);
    // In microseconds, so that a full second of a 100 Gbit/s line doesn't overflow.
    const std::int64_t waiting = (way.busy_until - now).micros() * (rate / 1'000'000 + 1);
    if (config.bytes_per_second != 0 && waiting > config.queue_bytes) {
        return false;
    }
    way.busy_until = way.busy_until + Duration{static_cast<std::int64_t>(size) * kSecond / rate};
    return true;
}

void Wire::transmit(unsigned side, const Frame& frame, Instant now, std::vector<Parcel>& out) {
    const DirectionConfig& config = config_.direction[side];
    const Faults& faults = config.faults;
    WireCounters& counters = ways_[side].counters;
    Parcel parcel = linear(frame);
    ++counters.frames;
    counters.bytes += parcel.bytes.size();
    if (digesting_) {
        const SipKey chain{digest_, static_cast<std::uint64_t>(now.ns) * 2 + side};
        digest_ = siphash(chain, parcel.bytes);
    }
    // Every fault is drawn for every frame, in this order, so that changing one leaves the others alone.
    const bool dropped = random_.chance(faults.drop, kMillion);
    const bool reordered = random_.chance(faults.reorder, kMillion);
    const bool duplicated = random_.chance(faults.duplicate, kMillion);
    const bool flipped = random_.chance(faults.flip, kMillion);

    const auto count_and_recycle = [&](std::uint64_t& counter) {
        ++counter;
        recycle(std::move(parcel));
    };
    if (!fits(parcel)) {
        return count_and_recycle(counters.oversize);
    }
    if (!up_ || (filter_ && !filter_(side, parcel.bytes, now))) {
        return count_and_recycle(counters.filtered);
    }
    if (dropped) {
        return count_and_recycle(counters.dropped);
    }
    if (!enter_queue(side, parcel.bytes.size(), now)) {
        return count_and_recycle(counters.queue_overflow);
    }
    parcel.arrival = ways_[side].busy_until + config.delay;
    if (reordered) {
        ++counters.reordered;
        const auto range =
            static_cast<std::uint64_t>(std::max<std::int64_t>(faults.reorder_delay.ns, 1));
        parcel.arrival =
            parcel.arrival + Duration{static_cast<std::int64_t>(random_.below(range)) + 1};
    }
    if (flipped) {
        flip_bit(parcel, counters);
    }
    if (duplicated) {
        ++counters.duplicated;
        out.push_back(parcel);
    }
    out.push_back(std::move(parcel));
}

/// An Ethernet header and ARP are spared: a real wire's frame check sequence guards them, and nothing else
/// would.
void Wire::flip_bit(Parcel& parcel, WireCounters& counters) {
    std::size_t first = 0;
    if (config_.layer == LinkLayer::ethernet) {
        const auto header = parse_ethernet(parcel.bytes);
        if (!header || header->ether_type == kEtherTypeArp) {
            return;
        }
        first = header->size();
    }
    const std::uint64_t bit = random_.below((parcel.bytes.size() - first) * 8);
    std::byte& byte = parcel.bytes[first + bit / 8];
    byte ^= std::byte{1} << static_cast<unsigned>(bit % 8);
    ++counters.flipped;
}

}  // namespace runnel::sim
