// The congestion window and the slow-start threshold, which a controller steers, and what it may know when
// it does. Both count segments (DESIGN §4).
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

inline constexpr std::uint32_t kUnknownThreshold = 0x7fff'ffff;
inline constexpr std::uint32_t kMaxWindowSegments = 1u << 24;

struct CongestionWindow {
    std::uint32_t segments = 10;
    std::uint32_t threshold = kUnknownThreshold;
    std::uint32_t credit = 0;  ///< segments acknowledged towards the next increase

    [[nodiscard]] bool in_slow_start() const { return segments < threshold; }
    /// Slow start: one segment for each acknowledged, exactly up to the threshold. What is left over.
    std::uint32_t grow_slow_start(std::uint32_t acked) {
        if (!in_slow_start()) {
            return acked;
        }
        const std::uint32_t grow = std::min(acked, threshold - segments);
        segments = std::min(segments + grow, kMaxWindowSegments);
        return acked - grow;
    }
    /// One segment more for every `each` acknowledged, at least 1.
    void grow_by_credit(std::uint32_t each, std::uint32_t acked) {
        each = std::max(each, 1U);
        if (credit >= each) {
            // Saved while a step cost more: worth one step, not many at once.
            credit = 0;
            segments = std::min(segments + 1, kMaxWindowSegments);
        }
        credit += acked;
        if (credit >= each) {
            const std::uint32_t steps = credit / each;
            credit -= steps * each;
            segments = std::min(segments + steps, kMaxWindowSegments);
        }
    }
};

/// What tells of congestion.
enum class CongestionEvent : std::uint8_t {
    loss,     ///< seen by SACK, duplicates or RACK (RFC 5681 §3.2)
    ecn,      ///< ECE (RFC 3168 §6.1.2)
    tail,     ///< a tail-loss probe repaired a loss (RFC 8985 §7.4.2)
    timeout,  ///< RFC 5681 §3.1
};

/// A connection as its controller sees it at an ACK, after the ACK has been taken in.
struct PathView {
    Instant now;
    Duration smoothed_rtt = {};   ///< 0 without a sample
    Duration min_rtt = {};        ///< 0 without a sample
    std::uint32_t in_flight = 0;  ///< segments (RFC 6675's pipe)
    std::uint32_t outstanding =
        0;                     ///< segments sent and not cumulatively acknowledged (FlightSize)
    std::uint32_t mss = 1460;  ///< octets of payload in a full segment
    std::uint32_t initial_window = 10;  ///< segments
    std::uint64_t delivered = 0;        ///< octets delivered in all
    std::uint64_t lost = 0;             ///< octets deemed lost in all
    Seq64 una;
    Seq64 nxt;
    bool window_limited = false;  ///< the congestion window is what has held us back
    bool app_limited = false;     ///< the application is
    bool recovering = false;      ///< in recovery or loss
    bool selective_acks = true;   ///< more than one loss a round trip can be seen
    bool paced = false;           ///< what is sent is spread over time
};

}  // namespace runnel::tcp
