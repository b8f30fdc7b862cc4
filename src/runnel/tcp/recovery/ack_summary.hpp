// What one ACK taught us. Recovery, congestion control, pacing and the RTT all read this one value, so that
// they can't disagree about what the ACK said.
#pragma once

#include <cstdint>

#include "runnel/base/mul_div.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

/// What a record remembers of the moment it was sent. Octets.
struct RateStamp {
    std::uint64_t delivered = 0;  ///< P.delivered
    Instant delivered_at;         ///< P.delivered_time
    Instant flight_began;         ///< P.first_send_time
    std::uint32_t in_flight = 0;  ///< P.tx_in_flight, with the record itself; saturates
    std::uint32_t lost = 0;       ///< P.lost, modulo 2^32
    bool app_limited = false;     ///< P.is_app_limited
};

/// How fast the path delivered between two points of time (draft-ietf-ccwg-bbr §4.1, "delivery rate
/// estimation"). Octets and nanoseconds.
struct RateSample {
    std::uint64_t delivered = 0;        ///< octets delivered over `interval`; 0: no sample
    Duration interval = {};             ///< the longer of the sending and the acknowledging time
    std::uint64_t prior_delivered = 0;  ///< all delivered when the newest acknowledged was sent
    std::uint64_t tx_in_flight = 0;     ///< octets in flight just after it was sent, with it
    std::uint64_t lost =
        0;  ///< octets lost between its sending and this ACK, without what this ACK shows
    std::uint64_t all_lost = 0;  ///< all lost until then
    bool app_limited = false;    ///< the application held the rate back: a lower bound only
    bool any = false;            ///< something was newly acknowledged or sacked

    [[nodiscard]] bool valid() const { return delivered > 0 && interval.ns > 0; }
    /// Octets a second.
    [[nodiscard]] std::uint64_t rate() const {
        return valid() ? mul_div(delivered, 1'000'000'000U, static_cast<std::uint64_t>(interval.ns))
                       : 0;
    }
};

struct AckSummary {
    bool advanced = false;             ///< SND.UNA has moved
    std::uint32_t segments_acked = 0;  ///< whole ones, cumulatively, with this ACK
    std::uint64_t octets_acked = 0;
    std::uint32_t delivered = 0;  ///< segments now known to have arrived, cumulatively or by SACK
    std::uint64_t octets_delivered = 0;
    std::uint32_t segments_sacked = 0;  ///< of `delivered`: by SACK
    /// Lowest number sent only once that was acknowledged or sacked now and not before.
    Seq64 first_original = {~std::uint64_t{0}};
    std::uint32_t segments_lost = 0;   ///< newly deemed lost
    bool retransmitted_acked = false;  ///< some of what was acknowledged had been sent twice (Karn)
    bool is_duplicate = false;         ///< RFC 5681 §2: a duplicate ACK
    bool duplicate_sack = false;       ///< a D-SACK (RFC 2883) of what was sent again
    bool syn_acked = false;
    bool ecn_echo = false;              ///< RFC 3168 §6.1.2: ECE, or AccECN's counter has moved
    std::uint32_t segments_marked = 0;  ///< segments newly known to have been marked CE
    Duration rtt = {};                  ///< a valid sample, or 0
    std::uint32_t flight_before = 0;    ///< segments in flight before this ACK
    RateSample rate;

    struct Sent {
        bool known = false;
        Instant at;
        Seq64 end;
    };
    /// The record sent last among those newly delivered (RFC 8985's RACK.segment).
    struct Newest : Sent {
        bool retransmitted = false;
        RateStamp stamp;
    } newest;
    /// The same among those that were sent only once.
    Sent newest_once;
};

}  // namespace runnel::tcp
