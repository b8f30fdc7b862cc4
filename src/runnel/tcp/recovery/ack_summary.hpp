// What one ACK taught us. Recovery, congestion control and the RTT all read this one value, so that they
// can't disagree about what the ACK said.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

struct AckSummary {
    bool advanced = false;             ///< SND.UNA has moved
    std::uint32_t segments_acked = 0;  ///< whole ones, cumulatively, with this ACK
    std::uint64_t octets_acked = 0;
    std::uint32_t delivered = 0;  ///< segments now known to have arrived, cumulatively or by SACK
    /// Lowest number sent only once that was acknowledged or sacked now and not before.
    Seq64 first_original = {~std::uint64_t{0}};
    std::uint32_t segments_lost = 0;   ///< newly deemed lost
    bool retransmitted_acked = false;  ///< some of what was acknowledged had been sent twice (Karn)
    bool is_duplicate = false;         ///< RFC 5681 §2: a duplicate ACK
    bool syn_acked = false;
    Duration rtt = {};                ///< a valid sample, or 0
    std::uint32_t flight_before = 0;  ///< segments in flight before this ACK
};

}  // namespace runnel::tcp
