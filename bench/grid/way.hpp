// One direction of an impaired path: a bottleneck with a rate and a bounded queue, then a delay, loss and
// reordering. It decides only when a packet arrives, if it does; the grid in virtual time (sim_grid) and the
// wire in real time (impaired_wire) both ask it, so that the same seed means the same misfortune to both.
#pragma once

#include <cstdint>

#include "runnel/base/random.hpp"
#include "runnel/base/time.hpp"

namespace runnel::bench {

/// Loss comes behind the queue, as on a radio: what is lost has taken its time on the line.
struct WayConfig {
    std::uint64_t bits_per_second = 100'000'000;  ///< of IP packets, headers included
    Duration delay = milliseconds(5);
    std::uint64_t queue_bytes = 1u << 20;  ///< waiting and being sent; a packet beyond is dropped
    double loss = 0;                       ///< share of packets, 0..1
    double burst = 1;                      ///< mean length of a row of losses; 1: independent
    double reorder = 0;                    ///< share of packets held back, 0..1
    Duration reorder_delay = {};           ///< those arrive later by up to this, drawn evenly
    Duration stall_every = {};             ///< 0: never. The line stands still each time so long …
    Duration stall = {};  ///< … for so long; nothing is lost by that but by the queue
};

enum class Fate : std::uint8_t { arrives, lost, queue_full };

struct Verdict {
    Fate fate = Fate::arrives;
    bool held_back = false;  ///< others may overtake it
    Instant departs;         ///< its last bit leaves the bottleneck
    Instant arrives;         ///< when it does
};

struct WayCounters {
    std::uint64_t packets = 0, bytes = 0;  ///< that came
    std::uint64_t lost = 0, overflowed = 0, held_back = 0;
    std::uint64_t backlog_sum = 0;  ///< bytes that each packet found before it, summed
    std::uint64_t backlog_max = 0;
};

class Way {
public:
    /// What befalls the n-th packet is a function of the seed and n alone (and of no queue), whatever
    /// comes between.
    Way(const WayConfig& config, std::uint64_t seed) : config_(config), random_(seed) {}

    /// `now` never goes back.
    Verdict enter(std::uint32_t size, Instant now);
    /// Bytes waiting at the bottleneck.
    [[nodiscard]] std::uint64_t backlog(Instant now) const;

    [[nodiscard]] const WayConfig& config() const { return config_; }
    [[nodiscard]] const WayCounters& counters() const { return counters_; }

private:
    [[nodiscard]] bool draw_loss();
    [[nodiscard]] bool chance(double share);
    [[nodiscard]] Instant after_stall(Instant start);

    WayConfig config_;
    Random random_;
    WayCounters counters_;
    Instant busy_until_;
    Instant next_stall_;  ///< zero: not yet known
    bool losing_ = false;
};

}  // namespace runnel::bench
