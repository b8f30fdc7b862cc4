// BBR version 3 (draft-ietf-ccwg-bbr-06): a model of the path, its bandwidth and its round trip, says how fast to
// send and how much may be in flight; losses bound the model, and are no reason to halve anything.
//
// It relies on `observe` at every ACK, in recovery too, after losses have been looked for, with AckSummary's rate (of
// which `lost` does without what this ACK has shown to be lost), octets_delivered, rtt, ecn_echo; and PathView's now,
// smoothed_rtt, in_flight, mss, initial_window, delivered, lost (with what timers found), una (once, as a seed),
// window_limited, recovering, selective_acks.
#pragma once

#include "runnel/base/box.hpp"
#include "runnel/tcp/congestion/bbr_model.hpp"
#include "runnel/tcp/congestion/newreno.hpp"

namespace runnel::tcp {

class Bbr : public ControllerKind {
public:
    static constexpr const char* kName = "bbr";
    static constexpr CongestionControl kControl = CongestionControl::bbr;
    static constexpr bool kOwnsWindow = true;

    void observe(CongestionWindow& window, const AckSummary& ack, const PathView& path);
    static void on_ack(CongestionWindow&, const AckSummary&, const PathView&) {}
    /// There is no threshold.
    static std::uint32_t threshold_after(CongestionEvent, const CongestionWindow& window,
                                         const PathView&) {
        return window.threshold;
    }
    void on_timeout(CongestionWindow& window, std::uint32_t allowed, const PathView& path);
    void on_undo(CongestionWindow& window, bool restored);
    void on_restart(CongestionWindow& window, Instant now, Duration idle);
    [[nodiscard]] std::uint64_t pacing_rate() const;
    [[nodiscard]] bool is_fresh() const { return model_.empty(); }
    /// nullptr before the first ACK.
    [[nodiscard]] const BbrModel* model() const { return model_.get(); }

private:
    BbrModel& model_of(const CongestionWindow& window, const PathView& path);

    Box<BbrModel>
        model_;  ///< a few hundred octets that a connection which has sent nothing has no use for
};

}  // namespace runnel::tcp
