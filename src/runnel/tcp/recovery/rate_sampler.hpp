// How fast the path delivers (draft-ietf-ccwg-bbr §4.1, delivery rate estimation): each record remembers how
// much had been delivered when it was sent; its acknowledgement says how much has been since, and in what time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

class RateSampler {
public:
    /// All delivered, cumulatively or by SACK, each octet once; all deemed lost.
    [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    [[nodiscard]] bool app_limited() const { return app_limited_until_ != 0; }
    /// The last valid sample, for observers: octets a second.
    [[nodiscard]] std::uint64_t last_rate() const { return last_rate_; }
    [[nodiscard]] bool last_app_limited() const { return last_app_limited_; }

    /// What it knows while nothing is in flight, for a connection that sleeps; `delivered` is kept by the caller.
    struct Rest {
        std::uint64_t last_rate = 0;
        std::uint32_t app_limited_for = 0;  ///< octets still, saturates
        bool last_app_limited = false;
    };
    [[nodiscard]] Rest rest() const {
        const std::uint64_t still = app_limited() ? app_limited_until_ - delivered_ + 1 : 0;
        return {last_rate_,
                static_cast<std::uint32_t>(std::min<std::uint64_t>(still, 0xffff'ffffU)),
                last_app_limited_};
    }
    void restore(std::uint64_t delivered, std::uint64_t lost, const Rest& rest) {
        delivered_ = delivered;
        lost_ = lost;
        last_rate_ = rest.last_rate;
        app_limited_until_ = rest.app_limited_for == 0 ? 0 : delivered + rest.app_limited_for - 1;
        last_app_limited_ = rest.last_app_limited;
    }
    /// Something of `octets` leaves, with `in_flight` octets in the network before it.
    RateStamp on_sent(std::uint64_t octets, std::uint64_t in_flight, Instant now) {
        if (in_flight == 0) {
            flight_began_ = now;
            delivered_at_ = now;
        }
        RateStamp stamp;
        stamp.delivered = delivered_;
        stamp.delivered_at = delivered_at_;
        stamp.flight_began = flight_began_;
        stamp.in_flight =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(in_flight + octets, 0xffff'ffffU));
        stamp.lost = static_cast<std::uint32_t>(lost_);
        stamp.app_limited = app_limited();
        return stamp;
    }
    /// The application has nothing more to send though the path would take it; `in_flight` octets.
    void on_app_limited(std::uint64_t in_flight) {
        app_limited_until_ = std::max<std::uint64_t>(delivered_ + in_flight, 1);
    }
    void on_lost(std::uint64_t octets) { lost_ += octets; }
    /// Completes `ack.rate` after all that the ACK delivered has been taken in (GenerateRateSample).
    void on_ack(AckSummary& ack, Instant now, Duration min_rtt);

private:
    std::uint64_t delivered_ = 0;
    std::uint64_t lost_ = 0;
    Instant delivered_at_;
    Instant flight_began_;
    std::uint64_t app_limited_until_ = 0;  ///< C.app_limited; 0: it isn't
    std::uint64_t last_rate_ = 0;
    bool last_app_limited_ = false;
};

}  // namespace runnel::tcp
