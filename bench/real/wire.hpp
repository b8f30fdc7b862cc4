// The impaired path in real time: packets come from descriptors (a TUN's, or a socket pair's), are held as
// long as the Way says, and leave by the descriptor that has their destination's address. It keeps account of
// itself: a run in which it could not keep up must not count.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "grid/way.hpp"

namespace runnel::bench {

/// An end's plug. `side` 0 sends data, 1 takes it; a packet from one side goes to the other.
struct Port {
    int fd = -1;  ///< non-blocking, a packet a read
    unsigned side = 0;
    std::uint32_t address = 0;  ///< IPv4, as a number: what is for this end
};

struct WireCounters {
    std::uint64_t read = 0, delivered = 0;
    std::uint64_t nobody = 0;   ///< for no end, or not IPv4
    std::uint64_t refused = 0;  ///< the end's descriptor took no more: its owner does not read
    std::uint64_t late = 0;     ///< delivered later than `tolerance` after its time
    std::int64_t latest_ns = 0;
    std::int64_t late_sum_ns = 0;
    std::int64_t absent_ns = 0;  ///< in all, the time by which turns came later than `tolerance`
    std::uint64_t turns = 0;
};

class RealWire {
public:
    /// `seed` for both ways. `quantum`: how long packets may wait for company, in the wire and before it.
    RealWire(const WayConfig& there, const WayConfig& back, std::uint64_t seed, Duration quantum,
             Duration tolerance);

    void add(const Port& port) { ports_.push_back(port); }
    /// Carries packets until `on_turn(now)`, called at every turn and at least each 10 ms, returns false.
    void run(const std::function<bool(Instant)>& on_turn);

    [[nodiscard]] static Instant clock();
    [[nodiscard]] const Way& way(unsigned side) const { return ways_[side]; }
    [[nodiscard]] const WireCounters& counters() const { return counters_; }
    /// What befell the first packets of data, a letter each: '.' arrived, 'L' lost, 'r' held back, 'q' no room.
    [[nodiscard]] const std::string& fates() const { return fates_; }

private:
    struct Parcel {
        Instant arrives;
        std::uint64_t number = 0;
        int fd = -1;
        std::vector<std::byte> bytes;
    };
    struct Later {
        bool operator()(const Parcel& a, const Parcel& b) const {
            return a.arrives != b.arrives ? a.arrives > b.arrives : a.number > b.number;
        }
    };

    bool read_all(Instant now);
    void take(const Port& from, std::vector<std::byte>&& bytes, Instant now);
    void deliver_due();
    void wait(Instant turn_began);
    [[nodiscard]] Instant next() const;

    std::array<Way, 2> ways_;
    Duration quantum_, tolerance_;
    std::vector<Port> ports_;
    std::vector<Parcel> flying_;  ///< a heap, the earliest on top
    std::vector<std::vector<std::byte>> spare_;
    std::uint64_t numbers_ = 0;
    WireCounters counters_;
    Instant last_turn_;
    Instant wanted_ = Instant::never();  ///< when the next turn should come
    std::string fates_;
};

}  // namespace runnel::bench
