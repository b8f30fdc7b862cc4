// When the next segment may leave, and how long it may be, so that a window is spread over its round trip
// (draft-ietf-ccwg-bbr §5.6; Linux's fq). Rates are octets of payload a second; 0 means as fast as may be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/mul_div.hpp"
#include "runnel/base/time.hpp"

namespace runnel::tcp {

class Pacer {
public:
    /// A segment, and what a late timer may make up for, are each at most so long at the pacing rate: a burst is at
    /// most 1 ms (DESIGN §4).
    static constexpr Duration kQuantum = microseconds(500);
    /// What a timer lost that came later still is made up for by a rate so much higher, not by a burst; at most so much
    /// of it, as a host that stood still for longer has other troubles.
    static constexpr std::int64_t kCatchUp = 4;  ///< one in so many
    static constexpr Duration kMostOwed = milliseconds(10);
    /// So many segments of a connection leave at once: the initial window of RFC 6928 (Linux's fq).
    static constexpr std::uint32_t kUnpacedSegments = 10;

    void set_rate(std::uint64_t rate) { rate_ = rate; }
    [[nodiscard]] std::uint64_t rate() const { return rate_; }
    /// `octets` left at `now`.
    void on_sent(std::uint64_t octets, Instant now) {
        if (rate_ == 0) {
            return;
        }
        const std::uint64_t time = mul_div(octets, 1'000'000'000U, rate_);
        const Duration takes{static_cast<std::int64_t>(std::min(time, kLongest))};
        const Duration earlier = std::min(owed_, Duration{takes.ns / kCatchUp});
        owed_ = owed_ - earlier;
        next_ = std::max(next_, now - kQuantum) + takes - earlier;
    }
    /// What was held until next() may go only `now`.
    void on_due(Instant now) {
        if (now - next_ > kQuantum) {
            owed_ = std::min(owed_ + (now - next_ - kQuantum), kMostOwed);
        }
    }
    /// Nothing leaves before.
    [[nodiscard]] Instant next() const { return next_; }
    /// All that was sent has arrived: whatever comes next begins anew.
    void rest() {
        next_ = {};
        owed_ = {};
    }
    /// The most octets of one super-segment: two segments at least.
    [[nodiscard]] std::uint64_t burst(std::uint32_t mss) const {
        if (rate_ == 0) {
            return ~std::uint64_t{0};
        }
        const auto quantum = static_cast<std::uint64_t>(kQuantum.ns);
        return std::max<std::uint64_t>(mul_div(rate_, quantum, 1'000'000'000U),
                                       std::uint64_t{2} * mss);
    }

private:
    /// A slower rate than one segment in a second makes no one wait longer than that.
    static constexpr std::uint64_t kLongest = 1'000'000'000U;

    Instant next_;
    Duration owed_ = {};
    std::uint64_t rate_ = 0;
};

}  // namespace runnel::tcp
