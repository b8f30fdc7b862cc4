// What is counted of a connection for nobody but its observers (tcp_info, ss): Linux's names stand beside
// the fields. Nothing here decides anything.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/status.hpp"

namespace runnel::tcp {

struct Telemetry {
    BusyTimes spent;
    Instant since;                             ///< when `kind` began
    std::uint32_t data_segments_sent = 0;      ///< data_segs_out, retransmissions too
    std::uint32_t data_segments_received = 0;  ///< data_segs_in
    std::uint32_t delivered = 0;               ///< segments the peer is known to hold, each once
    std::uint32_t duplicates_reported = 0;     ///< dsack_dups
    std::uint32_t reorderings = 0;             ///< reord_seen
    std::uint32_t out_of_order_received = 0;   ///< rcv_ooopack
    std::uint16_t reordering = 0;              ///< greatest distance seen, in segments; 0: none yet
    BusyKind kind = BusyKind::idle;

    /// Linux's tcp_max_reordering.
    static constexpr std::uint64_t kMaxReordering = 300;

    /// From now on the time counts as `next`.
    void enter(BusyKind next, Instant now) {
        spent.account(kind, now - since);
        kind = next;
        since = now;
    }
    /// Something arrived `distance` octets below the highest that had (tcp_check_sack_reordering).
    void note_reordering(std::uint64_t distance, std::uint32_t mss) {
        const std::uint64_t segments = (distance + mss - 1) / mss;
        reordering =
            std::max(reordering, static_cast<std::uint16_t>(std::min(segments, kMaxReordering)));
        ++reorderings;
    }
};

}  // namespace runnel::tcp
