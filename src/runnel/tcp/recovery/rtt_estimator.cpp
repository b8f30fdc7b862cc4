#include "runnel/tcp/recovery/rtt_estimator.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// A longer round trip than this is taken as this; it keeps the fixed-point numbers in 64 bits.
constexpr Duration kLongestRoundTrip = seconds(3600);

}  // namespace

void RttEstimator::sample(Duration rtt, Instant now, std::uint32_t flight_segments,
                          const TcpConfig& config) {
    rtt = std::clamp(rtt, nanoseconds(1), kLongestRoundTrip);
    if (minimum_.ns == 0 || rtt <= minimum_ || now - minimum_at_ > kMinimumWindow) {
        minimum_ = rtt;
        minimum_at_ = now;
    }
    const std::int64_t measured = rtt.ns << kFractionBits;
    if (!has_sample()) {
        // RFC 6298 §2.2, 6298-M1: SRTT = R, RTTVAR = R / 2.
        smoothed_ = measured;
        variation_ = measured / 2;
        return;
    }
    // RFC 7323 appendix G: ExpectedSamples = ceil(FlightSize / (SMSS * 2)); the gains 1/8 and 1/4
    // are those of one sample a round trip and are shared out among so many.
    const std::int64_t samples = std::max<std::int64_t>((std::int64_t{flight_segments} + 1) / 2, 1);
    const std::int64_t error = measured - smoothed_;
    const std::int64_t deviation = error < 0 ? -error : error;
    std::int64_t variation_divisor = 4 * samples;
    if (config.linux_rto && error < 0 && deviation > variation_) {
        // As in Linux (Sarolahti and Kuznetsov, 2002, §4): a round trip that becomes much shorter
        // is no reason to wait longer, so it counts an eighth.
        variation_divisor *= 8;
    }
    // RFC 6298 §2.3, 6298-M2: RTTVAR first, with the old SRTT.
    variation_ += (deviation - variation_) / variation_divisor;
    smoothed_ += error / (8 * samples);
}

Duration RttEstimator::rto(const TcpConfig& config) const {
    Duration timeout = config.rto_initial;  // RFC 6298 §2.1
    if (has_sample()) {
        // RFC 6298 §2.3, 6298-M5: SRTT + max(G, K * RTTVAR), K = 4; Linux has the least timeout in G's
        // place.
        const Duration floor = config.linux_rto ? config.rto_min : kClockGranularity;
        timeout = smoothed() + std::max(floor, variation() * 4);
    }
    // RFC 6298 §2.4 and §2.5.
    return std::min(std::max(timeout, config.rto_min), config.rto_max);
}

}  // namespace runnel::tcp
