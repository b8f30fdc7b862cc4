#include "runnel/tcp/congestion/dctcp.hpp"

#include <algorithm>

namespace runnel::tcp {

void Dctcp::note_marks(const AckSummary& ack, Seq64 una, Seq64 nxt) {
    if (ack.syn_acked) {
        return;  // SYNs are not marked: the first window is one of data
    }
    if (window_end_ == Seq64{}) {
        window_end_ = nxt;
    }
    // A receiver that follows RFC 8257 §3.2 says ECE exactly for what was marked; AccECN counts it.
    const std::uint32_t marked = ack.segments_marked > 0 ? ack.segments_marked
                                 : ack.ecn_echo          ? ack.delivered
                                                         : 0;
    acked_ += ack.delivered;
    marked_ += std::min(marked, ack.delivered);
    if (una < window_end_) {
        return;
    }
    // RFC 8257 §3.3, steps 6 and 7: alpha = alpha (1 - g) + g M.
    const std::uint64_t share =
        acked_ == 0 ? 0 : std::uint64_t{std::min(marked_, acked_)} * kOne / acked_;
    alpha_ = alpha_ - (alpha_ >> kShift) + static_cast<std::uint32_t>(share >> kShift);
    alpha_ = std::min(alpha_, kOne);
    acked_ = 0;
    marked_ = 0;
    window_end_ = nxt;
}

std::uint32_t Dctcp::threshold_after(CongestionEvent event, const CongestionWindow& window,
                                     const PathView&) const {
    const std::uint64_t cut = event == CongestionEvent::ecn
                                  ? std::uint64_t{window.segments} * alpha_ / (2 * kOne)
                                  : window.segments - window.segments / 2;
    return std::max(window.segments - static_cast<std::uint32_t>(cut), 2U);
}

}  // namespace runnel::tcp
