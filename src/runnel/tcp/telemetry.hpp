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
    std::uint32_t timeouts = 0;                ///< of the retransmission timer
    std::uint32_t tail_probes = 0;             ///< tail-loss probes sent
    std::uint32_t recoveries = 0;              ///< fast recoveries
    std::uint32_t undone = 0;                  ///< reductions taken back
    std::uint32_t lost = 0;                    ///< segments deemed lost
    std::uint32_t out_of_order_received = 0;   ///< rcv_ooopack
    BusyKind kind = BusyKind::idle;

    /// From now on the time counts as `next`.
    void enter(BusyKind next, Instant now) {
        spent.account(kind, now - since);
        kind = next;
        since = now;
    }
};

}  // namespace runnel::tcp
