#include "runnel/tcp/recovery/rtt_estimator.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// A longer round trip than this is taken as this; it keeps the fixed-point numbers in 64 bits.
constexpr Duration kLongestRoundTrip = seconds(3600);

}  // namespace

/// Linux: a deviation counts at once, but for a whole flight, and is forgotten by quarters; it never counts for less than
/// the least timeout.
void RttEstimator::widen_margin(const Sample& sample, const TcpConfig& config, bool first) {
    const auto micros = [](Duration time) {
        return static_cast<std::uint32_t>(std::min<std::int64_t>(time.ns / 1'000, 0xffff'ffff));
    };
    const std::uint32_t margin = micros(variation() * 4);
    const std::uint32_t least = micros(config.rto_min);
    if (first) {
        margin_ = flight_margin_ = std::max(margin, least);
        flight_end_ = sample.nxt;
        return;
    }
    if (margin > flight_margin_) {
        flight_margin_ = margin;
        margin_ = std::max(margin_, margin);
    }
    if (sample.una > flight_end_) {
        margin_ -= (margin_ - std::min(flight_margin_, margin_)) / 4;
        flight_end_ = sample.nxt;
        flight_margin_ = least;
    }
}

void RttEstimator::take(const Sample& sample, const TcpConfig& config) {
    const Duration rtt = std::clamp(sample.rtt, nanoseconds(1), kLongestRoundTrip);
    if (minimum_.ns == 0 || rtt <= minimum_ || sample.now - minimum_at_ > kMinimumWindow) {
        minimum_ = rtt;
        minimum_at_ = sample.now;
    }
    const std::int64_t measured = rtt.ns << kFractionBits;
    if (!has_sample()) {
        // RFC 6298 §2.2, 6298-M1: SRTT = R, RTTVAR = R / 2.
        smoothed_ = measured;
        variation_ = measured / 2;
        widen_margin(sample, config, true);
        return;
    }
    // RFC 7323 appendix G: ExpectedSamples = ceil(FlightSize / (SMSS * 2)); the gains 1/8 and 1/4
    // are those of one sample a round trip and are shared out among so many.
    const std::int64_t samples =
        config.rtt_gain_by_flight
            ? std::max<std::int64_t>((std::int64_t{sample.flight_segments} + 1) / 2, 1)
            : 1;
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
    widen_margin(sample, config, false);
}

Duration RttEstimator::rto(const TcpConfig& config) const {
    Duration timeout = config.rto_initial;  // RFC 6298 §2.1
    if (has_sample()) {
        // RFC 6298 §2.3, 6298-M5: SRTT + max(G, K * RTTVAR), K = 4; Linux has the least timeout in G's place, and the
        // most of a flight for the variation.
        timeout = smoothed() + (config.linux_rto ? microseconds(margin_)
                                                 : std::max(kClockGranularity, variation() * 4));
    }
    // RFC 6298 §2.4 and §2.5.
    return std::min(std::max(timeout, config.rto_min), config.rto_max);
}

}  // namespace runnel::tcp
