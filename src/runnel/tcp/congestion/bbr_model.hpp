// What BBR knows and decides (draft-ietf-ccwg-bbr-06 §5), with the draft's names. Volumes are octets, rates octets
// a second; gains are percents.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

/// The greatest value of the last `length` ticks of some clock, from its three best (KN_FILTER of the draft).
class WindowedMax {
public:
    [[nodiscard]] std::uint64_t get() const { return best_[0].value; }
    std::uint64_t update(std::uint64_t value, std::uint64_t at, std::uint64_t length);

private:
    struct Sample {
        std::uint64_t value = 0;
        std::uint64_t at = 0;
    };
    std::array<Sample, 3> best_;
};

enum class BbrState : std::uint8_t {
    startup,
    drain,
    probe_down,
    probe_cruise,
    probe_refill,
    probe_up,
    probe_rtt,
};

class BbrModel {
public:
    static constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();
    static constexpr std::uint64_t kStartupPacingGain = 277;
    static constexpr std::uint64_t kDrainPacingGain = 50;
    static constexpr std::uint64_t kDownPacingGain = 90;
    static constexpr std::uint64_t kUpPacingGain = 125;
    static constexpr std::uint64_t kCwndGain = 200;
    static constexpr std::uint64_t kUpCwndGain = 225;
    static constexpr std::uint64_t kProbeRttCwndGain = 50;
    static constexpr std::uint64_t kPacingMargin = 1;  ///< percent below the bandwidth
    static constexpr std::uint64_t kLossThresh = 2;    ///< percent
    static constexpr std::uint64_t kBeta = 70;
    static constexpr std::uint64_t kHeadroom = 15;
    static constexpr std::uint64_t kFullWithHeadroom = 118;  ///< less the headroom, a BDP
    static constexpr std::uint64_t kMinPipe = 4;             ///< segments
    static constexpr std::uint32_t kStartupFullLosses = 6;
    static constexpr Duration kMinRttFilter = seconds(10);
    static constexpr Duration kProbeRttInterval = seconds(5);
    static constexpr Duration kProbeRttDuration = milliseconds(200);
    static constexpr std::uint64_t kProbeRttPause =
        6;  ///< round trips, to twice as many, before a probe
    static constexpr std::uint64_t kExtraAckedRounds = 10;
    static constexpr std::uint64_t kMostRenoRounds = 63;
    static constexpr Duration kLeastQueue = milliseconds(1);  ///< that counts as standing

    BbrModel(std::uint32_t window, const PathView& path);

    void on_ack(const AckSummary& ack, const PathView& path);
    /// `allowed`: segments in flight from now on.
    void on_timeout(std::uint32_t allowed, const PathView& path);
    void on_undo();
    void on_restart(Instant now);

    [[nodiscard]] std::uint32_t window_segments() const;
    [[nodiscard]] std::uint64_t pacing_rate() const { return pacing_rate_; }
    [[nodiscard]] BbrState state() const { return state_; }
    [[nodiscard]] std::uint64_t bw() const { return bw_; }
    [[nodiscard]] std::uint64_t max_bw() const { return std::max(bw_slots_[0], bw_slots_[1]); }
    [[nodiscard]] Duration min_rtt() const { return min_rtt_; }
    [[nodiscard]] std::uint64_t cwnd() const { return cwnd_; }
    [[nodiscard]] std::uint64_t inflight_longterm() const { return inflight_longterm_; }
    [[nodiscard]] std::uint64_t inflight_shortterm() const { return inflight_shortterm_; }
    [[nodiscard]] std::uint64_t bw_shortterm() const { return bw_shortterm_; }
    [[nodiscard]] std::uint64_t extra_acked() const { return extra_acked_.get(); }
    [[nodiscard]] bool full_bw_reached() const { return full_bw_reached_; }
    [[nodiscard]] std::uint64_t max_inflight() const;
    [[nodiscard]] std::uint64_t rounds() const { return round_count_; }
    [[nodiscard]] Duration probe_wait() const { return bw_probe_wait_; }

private:
    enum class Undo : std::uint8_t { none, startup, probe_up };

    /// The sample at hand, with what the draft keeps in RS and C.
    struct Now {
        Instant time;
        RateSample rate;
        std::uint64_t delivery_rate = 0;
        std::uint64_t newly_acked = 0;
        std::uint64_t newly_lost = 0;
        std::uint64_t inflight = 0;
        std::uint64_t delivered = 0;  ///< in all
        Duration rtt = {};
        bool window_limited = false;
        bool selective_acks = true;
        bool recovering = false;
        bool lossy = false;  ///< something was lost, or marked
    };

    // bbr_model.cpp: the model of the path
    [[nodiscard]] Now take(const AckSummary& ack, const PathView& path);
    void follow_recovery(const PathView& path);
    void update_latest_signals();
    void update_congestion_signals();
    void update_round();
    void update_max_bw();
    void adapt_lower_bounds();
    [[nodiscard]] bool losses_tell_of_congestion() const;
    void forget_losses();
    void update_ack_aggregation();
    void check_full_bw();
    void check_startup_high_loss();
    void update_min_rtt();
    [[nodiscard]] Duration slack(Duration least) const;
    void note_loss();
    void handle_losses(const AckSummary& ack);
    [[nodiscard]] bool too_high(std::uint64_t lost, std::uint64_t tx_in_flight) const;
    void end_probe();
    void handle_too_high(std::uint64_t tx_in_flight, bool app_limited);
    void save_cwnd();
    void save_upon_loss();
    void restore_cwnd() { cwnd_ = std::max(cwnd_, prior_cwnd_); }
    [[nodiscard]] bool marked_app_limited(const RateSample& rate) const;
    void mark_app_limited();
    // bbr_control.cpp: rate, window, and the machine of states
    void set_pacing_rate(std::uint64_t gain);
    void set_cwnd();
    void bound_cwnd();
    [[nodiscard]] std::uint64_t pacing_gain() const;
    [[nodiscard]] std::uint64_t cwnd_gain() const;
    [[nodiscard]] std::uint64_t bdp(std::uint64_t gain) const;
    [[nodiscard]] std::uint64_t send_quantum() const;
    [[nodiscard]] std::uint64_t quantize(std::uint64_t inflight) const;
    [[nodiscard]] std::uint64_t drained_inflight(std::uint64_t rate) const;
    [[nodiscard]] std::uint64_t probe_rtt_cwnd() const;
    [[nodiscard]] std::uint64_t headroom_inflight() const;
    [[nodiscard]] std::uint64_t target_inflight() const { return std::min(bdp(100), cwnd_); }
    [[nodiscard]] bool probing_bw() const;
    [[nodiscard]] bool in_probe_bw() const;
    void enter_startup() { state_ = BbrState::startup; }
    void check_drain_done();
    void start_down(Instant now);
    void stop_probing();
    void start_refill();
    void start_up();
    void start_round() { next_round_delivered_ = now_.delivered; }
    void reset_full_bw();
    void reset_short_term();
    void update_probe_bw();
    void adapt_long_term();
    void raise_longterm_slope();
    void probe_longterm_upward();
    [[nodiscard]] bool time_to_probe();
    [[nodiscard]] bool time_to_cruise() const;
    [[nodiscard]] bool time_to_go_down();
    void pick_probe_wait();
    void check_probe_rtt();
    void handle_probe_rtt();
    void check_probe_rtt_done(Instant now);
    [[nodiscard]] std::uint64_t draw();

    Now now_;  ///< of the ACK at hand
    std::uint64_t mss_;
    std::uint64_t initial_cwnd_;
    std::uint64_t cwnd_;
    std::uint64_t prior_cwnd_ = 0;
    std::uint64_t pacing_rate_ = 0;
    std::uint64_t seed_;
    std::uint64_t lost_;  ///< in all, at the last ACK
    // The model
    std::array<std::uint64_t, 2> bw_slots_{};  ///< of the last cycle, and of this one
    std::uint64_t bw_ = 0;
    std::uint64_t bw_shortterm_ = kInfinity;
    std::uint64_t inflight_shortterm_ = kInfinity;
    std::uint64_t inflight_longterm_ = kInfinity;
    std::uint64_t bw_latest_ = 0;
    std::uint64_t inflight_latest_ = 0;
    Duration min_rtt_;  ///< 0: none yet
    Instant min_rtt_stamp_;
    Duration probe_rtt_min_delay_;  ///< 0: none yet
    Instant probe_rtt_min_stamp_;
    WindowedMax extra_acked_;
    Instant extra_acked_start_;
    std::uint64_t extra_acked_delivered_ = 0;
    // Rounds
    std::uint64_t next_round_delivered_ = 0;
    std::uint64_t round_count_ = 0;
    std::uint64_t loss_round_delivered_ = 0;
    std::uint64_t losses_from_ = 0;     ///< all delivered at the first loss of the round
    std::uint64_t lost_in_round_ = 0;   ///< octets since
    Duration least_rtt_in_round_ = {};  ///< since; 0: no sample
    std::uint64_t drain_start_round_ = 0;
    std::uint64_t drained_until_ =
        0;  ///< all delivered when the last that was sent in ProbeBW_DOWN has arrived
    std::uint64_t app_limited_from_ = kInfinity;  ///< samples of what was sent between these are
    std::uint64_t app_limited_until_ = 0;         ///< limited by ourselves
    // Has the pipe been filled?
    std::uint64_t full_bw_ = 0;
    // Probing
    std::uint64_t probe_limit_ =
        kInfinity;  ///< of what is in flight while bandwidth is probed: begins as in the cruise
    std::uint64_t probe_up_acked_per_inc_ = kInfinity;
    std::uint64_t bw_probe_up_acked_ = 0;
    std::uint64_t rounds_since_probe_up_ = 0;
    std::uint64_t probe_in_flight_ =
        0;  ///< of what was sent until the last probe (or startup) ended
    Duration bw_probe_wait_;
    Instant probe_from_;  ///< not before
    Instant cycle_stamp_;
    Instant probe_rtt_done_ = Instant::never();  ///< never: not yet drained
    // Undo
    std::uint64_t undo_bw_shortterm_ = kInfinity;
    std::uint64_t undo_inflight_shortterm_ = kInfinity;
    std::uint64_t undo_inflight_longterm_ = kInfinity;

    std::uint8_t bw_probe_up_rounds_ = 0;
    std::uint8_t full_bw_count_ = 0;
    std::uint8_t loss_events_ = 0;  ///< ACKs of this round that brought losses
    BbrState state_ = BbrState::startup;
    Undo undo_ = Undo::none;
    bool full_bw_now_ = false;
    bool full_bw_reached_ = false;
    bool round_start_ = false;
    bool loss_round_start_ = false;
    bool loss_in_round_ = false;
    bool marked_in_round_ = false;
    bool grave_in_round_ = false;  ///< a mark or a timeout
    bool bw_probe_sample_ = false;
    bool probe_stopping_ = false;  ///< ACKS_PROBE_STOPPING: the last round of a probe still arrives
    bool probe_rtt_expired_ = false;
    bool probe_rtt_round_done_ = false;
    bool idle_restart_ = false;
    bool recovering_ = false;
    bool queued_ = false;  ///< as the newest round trip has it
};

}  // namespace runnel::tcp
