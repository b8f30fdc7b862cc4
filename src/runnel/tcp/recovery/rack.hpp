// Losses seen by time (RFC 8985 §6): what was sent before something that has arrived is lost when a reordering
// window has passed. The window adapts: it is nothing as long as no reordering has been seen and enough has arrived
// out of order, a part of the round trip otherwise, and more when D-SACKs show that it was too short.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

class Rack {
public:
    /// Recoveries for which a window that D-SACKs have widened stays (RFC 8985 §6.2 step 4).
    static constexpr std::uint8_t kPersistence = 16;

    /// Step 2: what the ACK newly delivered. Whether it told anything.
    bool on_delivered(const AckSummary& ack, Duration min_rtt, Instant now) {
        // The ACK of a retransmission that comes too soon is that of the original; but what else it covers counts.
        const bool too_soon = ack.newest.retransmitted && now - ack.newest.at < min_rtt;
        const AckSummary::Sent& newest = too_soon ? ack.newest_once : ack.newest;
        if (!newest.known) {
            return false;
        }
        rtt_ = now - newest.at;
        if (sent_ < newest.at || (sent_ == newest.at && end_ < newest.end)) {
            sent_ = newest.at;
            end_ = newest.end;
        }
        return true;
    }
    /// Step 3: something never sent twice arrived `octets` below the highest that had.
    void on_reordering(std::uint64_t octets, std::uint32_t mss, const TcpConfig& config) {
        const std::uint64_t segments = (octets + mss - 1) / mss;
        learnt_.degree =
            std::max(learnt_.degree, static_cast<std::uint16_t>(std::min<std::uint64_t>(
                                         segments, std::min(config.max_reordering, 65'535U))));
        ++learnt_.seen;
    }
    /// Step 4: an ACK of `una` with a D-SACK, while `nxt` comes next: the window was too short. Once a round trip.
    void on_duplicate(Seq64 una, Seq64 nxt) {
        if (una < duplicate_round_) {
            return;
        }
        duplicate_round_ = nxt;
        learnt_.steps = static_cast<std::uint8_t>(std::min(learnt_.steps + 1, 255));
        learnt_.persistence = kPersistence;
    }
    /// Step 4: a recovery has ended.
    void on_recovered() {
        if (learnt_.persistence > 0 && --learnt_.persistence == 0) {
            learnt_.steps = 1;
        }
    }
    /// What it has learnt, for a connection that sleeps.
    struct Lessons {
        std::uint32_t seen = 0;
        std::uint16_t degree = 0;
        std::uint8_t steps = 1;
        std::uint8_t persistence = 0;
        auto operator<=>(const Lessons&) const = default;
    };
    [[nodiscard]] const Lessons& lessons() const { return learnt_; }
    void restore(const Lessons& lessons) { learnt_ = lessons; }
    /// Linux: a timeout after many duplicates says that the order was less bad than thought.
    void forget_degree() { learnt_.degree = 0; }

    /// Step 4: the reordering window now. `recovering`: in fast recovery or after a timeout; `sacked`: segments.
    [[nodiscard]] Duration window(Duration min_rtt, Duration smoothed, bool recovering,
                                  std::uint32_t sacked, const TcpConfig& config) const {
        if (learnt_.seen == 0) {
            const bool counts = (config.recovery & TcpConfig::kRackNoThreshold) == 0;
            if (recovering || (counts && sacked >= threshold(config))) {
                return {};
            }
        }
        const bool fixed = (config.recovery & TcpConfig::kRackStaticWindow) != 0;
        return std::min(min_rtt / 4 * (fixed ? 1 : learnt_.steps), smoothed);
    }
    /// Segments out of order that mean a loss: DupThresh, more where more reordering has been seen.
    [[nodiscard]] std::uint32_t threshold(const TcpConfig& config) const {
        return std::max<std::uint32_t>(learnt_.degree, config.duplicate_ack_threshold);
    }

    /// RACK.xmit_ts and RACK.end_seq of the segment sent last among those delivered; RACK.rtt.
    [[nodiscard]] Instant sent() const { return sent_; }
    [[nodiscard]] Seq64 end() const { return end_; }
    [[nodiscard]] Duration rtt() const { return rtt_; }
    /// How often reordering has been seen (Linux's reord_seen), and its greatest extent, segments; 0: none.
    [[nodiscard]] std::uint32_t seen() const { return learnt_.seen; }
    [[nodiscard]] std::uint32_t degree() const { return learnt_.degree; }

private:
    Instant sent_;
    Seq64 end_;
    Duration rtt_ = {};
    Seq64 duplicate_round_;
    Lessons learnt_;
};

}  // namespace runnel::tcp
