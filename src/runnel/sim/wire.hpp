// A wire between two hosts in virtual time: a rate, a delay, a bounded queue and an MTU each way, and
// faults drawn from a seed. What is on its way belongs to the wire, neither to the sender nor the receiver.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel::sim {

/// Probabilities are in parts per million of the frames that enter one direction.
struct Faults {
    std::uint32_t drop = 0;
    std::uint32_t reorder = 0;  ///< held back by up to `reorder_delay`, so that others overtake it
    std::uint32_t duplicate = 0;  ///< arrives twice
    std::uint32_t flip = 0;  ///< one bit of its IP packet inverted; only on a wire without offload
    Duration reorder_delay = milliseconds(5);

    bool operator==(const Faults&) const = default;
};

struct DirectionConfig {
    std::uint64_t bytes_per_second = 0;  ///< 0: as fast as frames come
    Duration delay = milliseconds(1);
    std::uint32_t queue_bytes = 1u << 20;  ///< waiting for the rate; a frame beyond is dropped
    Faults faults;
};

struct WireConfig {
    LinkLayer layer = LinkLayer::raw_ip;
    std::uint32_t mtu = 1500;  ///< greatest IP packet, bytes
    /// Super-segments and partial checksums pass as such; without it the hosts split and sum themselves.
    bool offload = false;
    /// [0]: from the first host to the second, [1]: back.
    std::array<DirectionConfig, 2> direction;

    /// The same both ways.
    void set_both(const DirectionConfig& config) { direction = {config, config}; }
    void set_faults(const Faults& faults) {
        for (DirectionConfig& one : direction) {
            one.faults = faults;
        }
    }
};

/// A frame on its way, in one piece.
struct Parcel {
    Instant arrival;
    std::vector<std::byte> bytes;
    Offload offload;
};

/// What has happened to the frames that entered one direction.
struct WireCounters {
    std::uint64_t frames = 0, bytes = 0;
    std::uint64_t dropped = 0, reordered = 0, duplicated = 0, flipped = 0;
    std::uint64_t filtered = 0;        ///< by the filter, or because the wire was cut
    std::uint64_t queue_overflow = 0;  ///< more waited than `queue_bytes`
    std::uint64_t oversize = 0;        ///< above the MTU: the sender has a bug
};

class Wire {
public:
    /// Sees every frame in one piece before the faults do, and may change it; false drops it. `side` is
    /// the sender's.
    using Filter = std::function<bool(unsigned side, MutableBytes frame, Instant now)>;

    /// The same seed gives the same faults. A flip on a wire with offload is a broken invariant.
    Wire(const WireConfig& config, std::uint64_t seed);

    /// What a host's interface on this wire can do.
    [[nodiscard]] LinkCapabilities capabilities() const;
    /// Sends `frame` from `side` (0 or 1); appends what will arrive at the other: nothing, one or two.
    void transmit(unsigned side, const Frame& frame, Instant now, std::vector<Parcel>& out);
    /// Gives a parcel's memory back for later ones.
    void recycle(Parcel&& parcel);

    void set_faults(unsigned side, const Faults& faults);
    void set_filter(Filter filter) { filter_ = std::move(filter); }
    /// A wire that is down carries nothing; what is on its way still arrives.
    void set_up(bool up) { up_ = up; }
    [[nodiscard]] const WireCounters& counters(unsigned side) const { return ways_[side].counters; }
    [[nodiscard]] const WireConfig& config() const { return config_; }
    /// A hash of every frame that ever entered, with its time and side, when `set_digest` is on.
    void set_digest(bool on) { digesting_ = on; }
    [[nodiscard]] std::uint64_t digest() const { return digest_; }

private:
    struct Way {
        Instant busy_until;
        WireCounters counters;
    };

    [[nodiscard]] Parcel linear(const Frame& frame);
    [[nodiscard]] bool fits(const Parcel& parcel) const;
    [[nodiscard]] bool enter_queue(unsigned side, std::size_t size, Instant now);
    void flip_bit(Parcel& parcel, WireCounters& counters);

    WireConfig config_;
    Random random_;
    std::array<Way, 2> ways_;
    std::vector<std::vector<std::byte>> spare_;
    Filter filter_;
    std::uint64_t digest_ = 0;
    bool up_ = true;
    bool digesting_ = false;
};

}  // namespace runnel::sim
