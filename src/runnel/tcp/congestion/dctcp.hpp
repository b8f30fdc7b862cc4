// DCTCP (RFC 8257): the window follows the share of segments that the network marks, for data centres whose
// switches mark early. Growth and the answer to losses are Reno's.
#pragma once

#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

class Dctcp : public ControllerKind {
public:
    static constexpr const char* kName = "dctcp";
    static constexpr CongestionControl kControl = CongestionControl::dctcp;
    static constexpr std::uint32_t kOne = 1u << 20;  ///< alpha is a fraction of this
    static constexpr std::uint32_t kShift = 4;       ///< g, the gain: 1/16 (§4.2)

    /// Counts what was marked; once a window alpha moves (§3.3, steps 1 to 8: before the reduction, step 9).
    void note_marks(const AckSummary& ack, Seq64 una, Seq64 nxt);
    static void on_ack(CongestionWindow& window, const AckSummary& ack, const PathView& path) {
        NewReno::on_ack(window, ack, path);
    }
    /// By alpha / 2 for marks (§3.3), half for losses (§3.5).
    [[nodiscard]] std::uint32_t threshold_after(CongestionEvent event,
                                                const CongestionWindow& window,
                                                const PathView& path) const;
    /// In 1/kOne.
    [[nodiscard]] std::uint32_t alpha() const { return alpha_; }
    [[nodiscard]] bool is_fresh() const { return window_end_ == Seq64{}; }

private:
    Seq64 window_end_;  ///< DCTCP.WindowEnd; 0: nothing seen yet
    std::uint32_t alpha_ = kOne;
    std::uint32_t acked_ = 0;   ///< segments of this window
    std::uint32_t marked_ = 0;  ///< of them
};

}  // namespace runnel::tcp
