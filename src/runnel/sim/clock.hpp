// A host's clock: the world's time with an offset, run fast or slow, and made to jump forward. It never
// goes back, as CLOCK_MONOTONIC never does.
#pragma once

#include "runnel/base/time.hpp"

namespace runnel::sim {

class HostClock {
public:
    /// At the world's `start` it shows `start + offset`.
    HostClock(Instant start, Duration offset, std::int32_t skew_ppm)
        : world_(start), local_(start + offset), skew_(skew_ppm) {}

    [[nodiscard]] Instant local(Instant world) const {
        const Duration passed = world - world_;
        return skew_ == 0 ? local_ + passed : local_ + scaled(passed, kMillion + skew_, kMillion);
    }
    /// The first moment of the world at which the clock shows `local` or more.
    [[nodiscard]] Instant world(Instant local) const {
        if (local.is_never()) {
            return local;
        }
        const Duration passed = local - local_;
        if (skew_ == 0) {
            return world_ + passed;
        }
        // Rounded down twice over a scale of a million: at most two nanoseconds short.
        Instant at = world_ + scaled(passed, kMillion, kMillion + skew_);
        while (this->local(at) < local) {
            at = at + nanoseconds(1);
        }
        return at;
    }
    void jump(Instant world, Duration by) {
        settle(world);
        local_ = local_ + by;
    }
    void set_skew(Instant world, std::int32_t ppm) {
        settle(world);
        skew_ = ppm;
    }
    /// `set_skew` with this stops the clock; `world` must not be asked then.
    static constexpr std::int32_t kStopped = -1'000'000;

private:
    static constexpr std::int64_t kMillion = 1'000'000;

    /// value * to / from, rounded towards zero, without leaving 64 bits.
    static Duration scaled(Duration value, std::int64_t to, std::int64_t from) {
        return Duration{value.ns / from * to + value.ns % from * to / from};
    }
    void settle(Instant world) {
        local_ = local(world);
        world_ = world;
    }

    Instant world_;
    Instant local_;
    std::int64_t skew_;
};

}  // namespace runnel::sim
