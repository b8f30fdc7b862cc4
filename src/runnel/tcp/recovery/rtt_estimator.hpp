// Round-trip time and the retransmission timeout computed from it (RFC 6298 §2; several samples a
// round trip as RFC 7323 appendix G says; the floor and the treatment of falling times as in
// Linux). The caller keeps Karn's rule: a segment that was retransmitted gives a sample only with
// timestamps.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

class RttEstimator {
public:
    /// The minimum is forgotten after this long without a sample as low (Linux: tcp_min_rtt_wlen,
    /// 300 s).
    static constexpr Duration kMinimumWindow = seconds(300);
    /// G of RFC 6298 §2: what our clock can tell apart.
    static constexpr Duration kClockGranularity = milliseconds(1);

    /// A measured round trip; below 1 ns it counts as 1 ns.
    struct Sample {
        Duration rtt;
        Instant now;
        /// When the measured one was acknowledged; about half of them are going to give a sample (RFC 7323 appendix G).
        std::uint32_t flight_segments = 1;
        Seq64 una = {}, nxt = {};  ///< after the ACK
    };
    void take(const Sample& sample, const TcpConfig& config);

    /// The timeout before any backoff, from `config.rto_min` to `config.rto_max`; `rto_initial`
    /// without a sample (RFC 6298 §2.1).
    [[nodiscard]] Duration rto(const TcpConfig& config) const;

    [[nodiscard]] bool has_sample() const { return smoothed_ != 0; }
    [[nodiscard]] Duration smoothed() const { return {smoothed_ >> kFractionBits}; }    ///< SRTT
    [[nodiscard]] Duration variation() const { return {variation_ >> kFractionBits}; }  ///< RTTVAR
    /// The lowest sample of the last kMinimumWindow; 0 without a sample.
    [[nodiscard]] Duration min_rtt() const { return minimum_; }
    /// Forgets everything: the path has changed, or has been silent (RFC 6298 §5).
    void reset() { *this = RttEstimator(); }

private:
    void widen_margin(const Sample& sample, const TcpConfig& config, bool first);

    /// Small gains need more digits than a nanosecond. 2^63 / 2^16 ns is 39 hours.
    static constexpr int kFractionBits = 16;

    std::int64_t smoothed_ = 0;   ///< nanoseconds * 2^kFractionBits; 0: no sample
    std::int64_t variation_ = 0;  ///< nanoseconds * 2^kFractionBits
    Duration minimum_ = {};
    Instant minimum_at_;
    // Linux's part of the timeout, microseconds: four times the variation, the most of a flight, which falls by a quarter of
    // the difference with each flight; and the most of this flight, whose end is at `flight_end_`.
    std::uint32_t margin_ = 0, flight_margin_ = 0;
    Seq64 flight_end_;
};
static_assert(sizeof(RttEstimator) <= 48);

}  // namespace runnel::tcp
