// RFC 5681's congestion control, counted in segments, and a window that never changes, for tests.
#pragma once

#include "runnel/tcp/config.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

/// What every kind that leaves recovery to PRR has. A kind that wants a say hides what it wants to change.
struct ControllerKind {
    /// It sets the window itself at every ACK, also in recovery (BBR): neither PRR nor growth here.
    static constexpr bool kOwnsWindow = false;
    /// Octets a second at which to send; 0: what follows from the window and the round trip.
    [[nodiscard]] static std::uint64_t pacing_rate() { return 0; }
    /// At every ACK, before anything is reduced: which segments the network has marked. `una`, `nxt`: after the ACK.
    void note_marks(const AckSummary&, Seq64 /*una*/, Seq64 /*nxt*/) {}
    /// At every ACK, before `on_ack`: for what must be counted also while the window may not grow.
    void observe(CongestionWindow&, const AckSummary&, const PathView&) {}
    /// A retransmission timeout: what was measured of the path before says nothing any more.
    /// `allowed`: segments that may be in flight from now on.
    void on_timeout(CongestionWindow&, std::uint32_t /*allowed*/, const PathView&) {}
    /// The reduction has been a mistake; window and threshold are restored by the caller. `restored`: the window was
    /// lower than before it.
    void on_undo(CongestionWindow&, bool /*restored*/) {}
    /// Sending begins again at `now`, `idle` after the last transmission, without anything in flight.
    void on_restart(CongestionWindow&, Instant /*now*/, Duration /*idle*/) {}
    /// Nothing is known that `on_restart` would not forget.
    [[nodiscard]] static bool is_fresh() { return true; }
};

/// RFC 5681 with the initial window of RFC 6928.
class NewReno : public ControllerKind {
public:
    static constexpr const char* kName = "reno";
    static constexpr CongestionControl kControl = CongestionControl::new_reno;
    NewReno() = default;
    /// `of_window`: the threshold is half of the window, as Linux has it, instead of half of what is in flight.
    explicit NewReno(bool of_window) : of_window_(of_window) {}
    /// New data was acknowledged while the window was what limited us (§3.1).
    static void on_ack(CongestionWindow& window, const AckSummary& ack, const PathView& path);
    /// Half of what was in flight (equation 4), 2 segments at least.
    [[nodiscard]] std::uint32_t threshold_after(CongestionEvent event,
                                                const CongestionWindow& window,
                                                const PathView& path) const;

private:
    bool of_window_ = false;
};

/// A window that never changes: for tests.
class FixedWindow : public ControllerKind {
public:
    static constexpr const char* kName = "fixed";
    static constexpr CongestionControl kControl = CongestionControl::fixed;
    static constexpr bool kOwnsWindow = true;
    static void on_ack(CongestionWindow&, const AckSummary&, const PathView&) {}
    static std::uint32_t threshold_after(CongestionEvent, const CongestionWindow&,
                                         const PathView&) {
        return kUnknownThreshold;
    }
};

}  // namespace runnel::tcp
