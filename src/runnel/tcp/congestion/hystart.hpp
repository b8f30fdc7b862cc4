// HyStart++ (RFC 9406): slow start is left when the round trip grows, before the queue overflows, by way of
// Conservative Slow Start, which can still find out that it was a mistake. Without its limit L of segments an ACK:
// we pace, and where we don't we follow Linux, which has none and whose receivers acknowledge many at once.
//
// Where we pace it departs from the RFC, which thinks of windows that leave in a burst, whose first samples show the
// queue. A paced window begins on an empty line and ends at twice its mean rate: the first samples of a round show
// nothing until a round trip later, when two windows more are out. So eight samples in a row anywhere in the round
// count, and slow start is over as soon as eight of what was sent since have come back as late: five rounds of a
// quarter are three times the window, which no queue holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

class HyStart {
public:
    static constexpr std::uint32_t kSamples = 8;       ///< N_RTT_SAMPLE
    static constexpr std::int64_t kLeastRise = 4'000;  ///< MIN_RTT_THRESH, µs
    static constexpr std::int64_t kMostRise = 16'000;  ///< MAX_RTT_THRESH, µs
    static constexpr std::int64_t kDivisor = 8;        ///< MIN_RTT_DIVISOR
    static constexpr std::uint32_t kSlower = 4;        ///< CSS_GROWTH_DIVISOR, as recommended
    static constexpr std::uint32_t kSlowerPaced = 8;   ///< and where we pace; it is at least 2
    static constexpr std::uint8_t kRounds = 5;         ///< CSS_ROUNDS

    /// RttThresh of RFC 9406 §4.2: by how much more than `least` a round trip shows a queue. In units of which a microsecond
    /// has `in_micro`.
    static constexpr std::int64_t rise(std::int64_t least, std::int64_t in_micro) {
        return std::clamp(least / kDivisor, kLeastRise * in_micro, kMostRise * in_micro);
    }

    explicit HyStart(bool on) : on_(on) {}

    [[nodiscard]] bool on() const { return on_; }
    /// In Conservative Slow Start.
    [[nodiscard]] bool conservative() const { return slow_round_ != 0; }
    /// Takes an ACK of the initial slow start in; whether slow start is over now.
    [[nodiscard]] bool observe(const AckSummary& ack, const PathView& path);
    /// Grows the window for `acked` segments of the initial slow start.
    void grow(CongestionWindow& window, std::uint32_t acked, bool paced) const;
    /// Rounds begin anew: what was measured before a pause says nothing about what follows.
    void restart() { *this = HyStart(on_); }

private:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

    /// The least sample that shows a rise, µs.
    [[nodiscard]] std::uint32_t late_from() const;
    [[nodiscard]] bool rises(std::uint32_t sample, bool paced);
    void enter(const PathView& path);
    void begin_round(const PathView& path);
    /// Whether slow start is over now.
    [[nodiscard]] bool take_sample(std::uint32_t sample, const PathView& path);

    Seq64 round_end_;  ///< the round is over when this is acknowledged; 0: none yet
    std::uint32_t last_round_ = kNone;  ///< least RTT of the round before, µs
    std::uint32_t this_round_ = kNone;  ///< least RTT of this round, µs
    std::uint32_t baseline_ = kNone;    ///< of the round in which CSS began, µs
    std::uint8_t samples_ = 0;          ///< in this round, up to kSamples
    std::uint8_t late_ = 0;             ///< samples in a row that show the rise, where we pace
    std::uint8_t slow_round_ = 0;       ///< of Conservative Slow Start, from 1; 0: not in it
    bool on_;
};

}  // namespace runnel::tcp
