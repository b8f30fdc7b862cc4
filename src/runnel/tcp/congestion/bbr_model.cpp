// What the ACKs teach: bandwidth, round trip, aggregation, losses (draft-ietf-ccwg-bbr-06 §5.5), and whether the
// pipe is full (§5.3.1).
#include "runnel/tcp/congestion/bbr_model.hpp"

#include <algorithm>

#include "runnel/base/mul_div.hpp"
#include "runnel/tcp/congestion/bbr_units.hpp"

namespace runnel::tcp {

using bbr::percent;
using bbr::volume;

namespace {

/// Of those without growth: three count as much as one if something else than the path was in the way.
constexpr std::uint8_t kWholeRound = 3;
constexpr std::uint8_t kHeldRound = 1;

}  // namespace

std::uint64_t WindowedMax::update(std::uint64_t value, std::uint64_t at, std::uint64_t length) {
    const Sample sample{value, at};
    if (value >= best_[0].value || at - best_[2].at > length) {
        best_ = {sample, sample, sample};
        return value;
    }
    if (value >= best_[1].value) {
        best_[1] = best_[2] = sample;
    } else if (value >= best_[2].value) {
        best_[2] = sample;
    }
    // The best has grown too old, or the second and third have stood beside it for too long to follow it.
    const std::uint64_t age = at - best_[0].at;
    if (age > length) {
        best_ = {best_[1], best_[2], sample};
        if (at - best_[0].at > length) {
            best_ = {best_[1], best_[2], sample};
        }
    } else if (best_[1].at == best_[0].at && age > length / 4) {
        best_[1] = best_[2] = sample;
    } else if (best_[2].at == best_[1].at && age > length / 2) {
        best_[2] = sample;
    }
    return best_[0].value;
}

BbrModel::BbrModel(std::uint32_t window, const PathView& path)
    : mss_(std::max(path.mss, 1U)),
      initial_cwnd_(std::uint64_t{path.initial_window} * mss_),
      cwnd_(std::uint64_t{window} * mss_),
      seed_(path.una.value),
      lost_(path.lost),
      min_rtt_(path.smoothed_rtt),
      min_rtt_stamp_(path.now),
      probe_rtt_min_delay_(path.smoothed_rtt),
      probe_rtt_min_stamp_(path.now),
      extra_acked_start_(path.now),
      cycle_stamp_(path.now) {}

BbrModel::Now BbrModel::take(const AckSummary& ack, const PathView& path) {
    mss_ = std::max(path.mss, 1U);
    Now now;
    now.time = path.now;
    now.rate = ack.rate;
    now.delivery_rate = ack.rate.rate();
    now.newly_acked = ack.octets_delivered;
    now.inflight = std::uint64_t{path.in_flight} * mss_;
    now.delivered = path.delivered;
    now.rtt = ack.rtt;
    now.window_limited = path.window_limited;
    now.selective_acks = path.selective_acks;
    now.recovering = path.recovering;
    // What timers found lost since the last ACK is among it; the sample was taken before this ACK's own losses.
    now.newly_lost = path.lost - std::min(lost_, path.lost);
    lost_ = path.lost;
    now.rate.lost += path.lost - std::min(ack.rate.all_lost, path.lost);
    now.lossy = now.newly_lost > 0 || ack.ecn_echo;
    now.rate.app_limited = ack.rate.app_limited || marked_app_limited(ack.rate);
    return now;
}

void BbrModel::on_ack(const AckSummary& ack, const PathView& path) {
    now_ = take(ack, path);
    if (pacing_rate_ == 0 && path.smoothed_rtt.ns > 0) {
        // §5.6.2, InitPacingRate.
        pacing_rate_ = percent(
            mul_div(initial_cwnd_, 1'000'000'000, static_cast<std::uint64_t>(path.smoothed_rtt.ns)),
            kStartupPacingGain);
    }
    follow_recovery(path);
    if (now_.lossy) {
        handle_losses(ack);
    }
    probe_in_flight_ -= std::min(probe_in_flight_, now_.newly_acked + now_.newly_lost);
    if (ack.octets_delivered == 0) {
        bound_cwnd();
        return;
    }
    // §5.2.3, UpdateModelAndState, then UpdateControlParameters.
    update_latest_signals();
    update_congestion_signals();
    update_ack_aggregation();
    check_full_bw();
    check_startup_high_loss();
    if (state_ == BbrState::startup && full_bw_reached_) {
        end_probe();
        state_ = BbrState::drain;
        drain_start_round_ = round_count_;
    }
    check_drain_done();
    update_probe_bw();
    if (state_ == BbrState::probe_down) {
        drained_until_ = now_.delivered + now_.inflight;
    }
    update_min_rtt();
    check_probe_rtt();
    if (loss_round_start_) {  // AdvanceLatestDeliverySignals
        bw_latest_ = now_.delivery_rate;
        inflight_latest_ = now_.rate.delivered;
    }
    bw_ = std::min(max_bw(), bw_shortterm_);
    set_pacing_rate(pacing_gain());
    set_cwnd();
}

/// §5.6.4.4: recovery begins and ends.
void BbrModel::follow_recovery(const PathView& path) {
    if (path.recovering && !recovering_) {
        save_cwnd();
        save_upon_loss();
    } else if (!path.recovering && recovering_) {
        restore_cwnd();
    }
    recovering_ = path.recovering;
}

void BbrModel::on_timeout(std::uint32_t allowed, const PathView& path) {
    mss_ = std::max(path.mss, 1U);
    now_.delivered = path.delivered;
    save_cwnd();
    save_upon_loss();
    recovering_ = true;
    lost_ = path.lost;
    if (bw_probe_sample_) {
        // Judged here, by what was in flight: the next sample is of what goes out now.
        now_.time = path.now;
        now_.inflight = 0;
        handle_too_high(std::uint64_t{path.in_flight} * mss_, now_.rate.app_limited);
    }
    if (!loss_in_round_) {
        loss_round_delivered_ = path.delivered;
        losses_from_ = path.delivered;
        loss_in_round_ = true;
    }
    grave_in_round_ = true;
    cwnd_ = std::uint64_t{std::max(allowed, 1U)} * mss_;
}

/// §5.5.11.2, HandleSpuriousLossDetection.
void BbrModel::on_undo() {
    restore_cwnd();
    forget_losses();
    reset_full_bw();
    bw_shortterm_ = std::max(bw_shortterm_, undo_bw_shortterm_);
    inflight_shortterm_ = std::max(inflight_shortterm_, undo_inflight_shortterm_);
    inflight_longterm_ = std::max(inflight_longterm_, undo_inflight_longterm_);
    probe_limit_ = std::max(probe_limit_, headroom_inflight());
    if (undo_ == Undo::startup && state_ != BbrState::startup) {
        full_bw_reached_ = false;
        if (state_ != BbrState::probe_rtt) {
            enter_startup();
        }
    } else if (undo_ == Undo::probe_up && state_ != BbrState::probe_up &&
               state_ != BbrState::probe_rtt) {
        start_refill();
    }
    undo_ = Undo::none;
    bound_cwnd();
}

/// §5.4.1, HandleRestartFromIdle.
void BbrModel::on_restart(Instant now) {
    idle_restart_ = true;
    extra_acked_start_ = now;
    extra_acked_delivered_ = 0;  // what came before the pause did not come in it
    if (in_probe_bw()) {
        set_pacing_rate(100);
    } else if (state_ == BbrState::probe_rtt) {
        check_probe_rtt_done(now);
        bound_cwnd();
    }
}

void BbrModel::save_cwnd() {
    prior_cwnd_ =
        !recovering_ && state_ != BbrState::probe_rtt ? cwnd_ : std::max(prior_cwnd_, cwnd_);
}

/// §5.5.11.1.
void BbrModel::save_upon_loss() {
    undo_ = Undo::none;
    undo_bw_shortterm_ = bw_shortterm_;
    undo_inflight_shortterm_ = inflight_shortterm_;
    undo_inflight_longterm_ = inflight_longterm_;
}

bool BbrModel::marked_app_limited(const RateSample& rate) const {
    return rate.prior_delivered >= app_limited_from_ && rate.prior_delivered <= app_limited_until_;
}

/// What is sent from now on, until what is in flight has arrived, says nothing about the path.
void BbrModel::mark_app_limited() {
    if (app_limited_from_ == kInfinity || now_.delivered > app_limited_until_) {
        app_limited_from_ = now_.delivered;
    }
    app_limited_until_ = now_.delivered + now_.inflight;
}

/// §5.5.10.3, UpdateLatestDeliverySignals.
void BbrModel::update_latest_signals() {
    loss_round_start_ = false;
    bw_latest_ = std::max(bw_latest_, now_.delivery_rate);
    inflight_latest_ = std::max(inflight_latest_, now_.rate.delivered);
    if (loss_in_round_ && now_.rtt.ns > 0 &&
        (least_rtt_in_round_.ns == 0 || now_.rtt < least_rtt_in_round_)) {
        least_rtt_in_round_ = now_.rtt;
    }
    if (now_.rate.prior_delivered >= loss_round_delivered_) {
        loss_round_delivered_ = now_.delivered;
        loss_round_start_ = true;
    }
}

void BbrModel::update_congestion_signals() {
    update_max_bw();
    if (!loss_round_start_) {
        return;
    }
    adapt_lower_bounds();
}

/// §5.5.1, UpdateRound.
void BbrModel::update_round() {
    round_start_ = now_.rate.prior_delivered >= next_round_delivered_;
    if (round_start_) {
        start_round();
        ++round_count_;
        ++rounds_since_probe_up_;
    }
}

/// §5.5.5: a sample that the application held back counts only where it shows that there is more.
void BbrModel::update_max_bw() {
    update_round();
    const std::uint64_t rate = now_.delivery_rate;
    if (rate > 0 && (rate >= max_bw() || !now_.rate.app_limited)) {
        bw_slots_[1] = std::max(bw_slots_[1], rate);
    }
}

/// §5.5.10.3: where bandwidth isn't probed, once a round with losses, down towards what is delivered.
void BbrModel::adapt_lower_bounds() {
    if (!probing_bw() && loss_in_round_ && losses_tell_of_congestion()) {
        if (bw_shortterm_ == kInfinity) {
            bw_shortterm_ = max_bw();
        }
        if (inflight_shortterm_ == kInfinity) {
            inflight_shortterm_ = cwnd_;
        }
        // What was sent at nine tenths, to drain a queue, did not arrive faster: that tells of us, not of the path.
        const std::uint64_t gain = losses_from_ < drained_until_ ? kDownPacingGain : 100;
        const std::uint64_t sustained = mul_div(bw_latest_, 100, gain);
        bw_shortterm_ = std::max(sustained, percent(bw_shortterm_, kBeta));
        inflight_shortterm_ = std::max(inflight_latest_, percent(inflight_shortterm_, kBeta));
    }
    forget_losses();
}

/// The draft slows down after any loss, by what was lost: a path that loses one percent by chance then leaves a flow
/// with two thirds of its rate. Here it takes more than LossThresh, a mark, a timeout, or a queue that never went away
/// while the losses came though ours has been drained: where others fill it, the losses are theirs and ours.
bool BbrModel::losses_tell_of_congestion() const {
    const std::uint64_t sent = now_.delivered - losses_from_ + lost_in_round_;
    const Duration standing = std::max(Duration{min_rtt_.ns / 4}, kLeastQueue);
    const bool queue = least_rtt_in_round_.ns == 0 || least_rtt_in_round_ - min_rtt_ > standing;
    return grave_in_round_ || (queue && state_ == BbrState::probe_cruise) ||
           too_high(lost_in_round_, sent);
}

void BbrModel::forget_losses() {
    loss_in_round_ = false;
    grave_in_round_ = false;
    lost_in_round_ = 0;
    least_rtt_in_round_ = {};
}

/// §5.5.9: what was acknowledged beyond what the bandwidth explains.
void BbrModel::update_ack_aggregation() {
    std::uint64_t expected = volume(bw_, now_.time - extra_acked_start_);
    if (extra_acked_delivered_ <= expected) {
        extra_acked_delivered_ = 0;
        extra_acked_start_ = now_.time;
        expected = 0;
    }
    extra_acked_delivered_ += now_.newly_acked;
    const std::uint64_t extra = std::min(extra_acked_delivered_ - expected, cwnd_);
    extra_acked_.update(extra, round_count_, full_bw_reached_ ? kExtraAckedRounds : 1);
}

/// §5.3.1.2: three rounds without a quarter more. They are to give the receiver the chance to grow its window; where one
/// is slow to (a loss keeps its reader waiting), what is in flight falls behind a window that grows on, and it gets more.
void BbrModel::check_full_bw() {
    if (full_bw_now_ || !round_start_ || now_.rate.app_limited) {
        return;
    }
    if (now_.delivery_rate >= percent(full_bw_, 125)) {
        reset_full_bw();
        full_bw_ = now_.delivery_rate;
        return;
    }
    const bool held = state_ == BbrState::startup && 2 * now_.inflight < cwnd_;
    full_bw_count_ = static_cast<std::uint8_t>(full_bw_count_ + (held ? kHeldRound : kWholeRound));
    full_bw_now_ = full_bw_count_ >= 3 * kWholeRound;
    full_bw_reached_ = full_bw_reached_ || full_bw_now_;
}

/// §5.3.1.3: a full round in recovery, more than 2 % lost, in at least six places.
void BbrModel::check_startup_high_loss() {
    const std::uint32_t enough = now_.selective_acks ? kStartupFullLosses : 1;
    const bool lossy = loss_events_ >= enough && now_.recovering &&
                       too_high(now_.rate.lost, now_.rate.tx_in_flight);
    if (state_ == BbrState::startup && !full_bw_reached_ && loss_round_start_ &&
        (lossy || marked_in_round_)) {
        full_bw_reached_ = true;
        inflight_longterm_ = std::max(bdp(100), inflight_latest_);
        undo_ = Undo::startup;
    }
    if (loss_round_start_) {
        loss_events_ = 0;
        marked_in_round_ = false;
    }
}

/// §5.3.4.3, UpdateMinRTT. §5.3.4.2: what low rates show by the way needs no ProbeRTT; here a round trip as short as the
/// least one does too, but for the slack.
void BbrModel::update_min_rtt() {
    probe_rtt_expired_ = now_.time > probe_rtt_min_stamp_ + kProbeRttInterval;
    if (now_.rtt.ns > 0 &&
        (probe_rtt_min_delay_.ns == 0 || now_.rtt < probe_rtt_min_delay_ || probe_rtt_expired_)) {
        probe_rtt_min_delay_ = now_.rtt;
        probe_rtt_min_stamp_ = now_.time;
    } else if (now_.rtt.ns > 0 && now_.rtt - probe_rtt_min_delay_ <= slack(probe_rtt_min_delay_)) {
        probe_rtt_min_stamp_ = now_.time;
    }
    const bool expired = now_.time > min_rtt_stamp_ + kMinRttFilter;
    if (probe_rtt_min_delay_.ns > 0 &&
        (min_rtt_.ns == 0 || probe_rtt_min_delay_ < min_rtt_ || expired)) {
        min_rtt_ = probe_rtt_min_delay_;
        min_rtt_stamp_ = probe_rtt_min_stamp_;
    }
    if (now_.rtt.ns > 0) {
        queued_ = now_.rtt - min_rtt_ > slack(min_rtt_);
    }
}

/// What a round trip may be longer than the least without a queue that counts: a thirty-second of it, or what the path's
/// bottleneck takes for what is sent at once, which is part of each.
Duration BbrModel::slack(Duration least) const {
    const std::uint64_t ns = max_bw() == 0 ? 0 : mul_div(send_quantum(), 1'000'000'000, max_bw());
    const Duration quantum{static_cast<std::int64_t>(std::min<std::uint64_t>(ns, 1'000'000'000))};
    return std::max(Duration{least.ns / 32}, quantum);
}

void BbrModel::note_loss() {
    if (!loss_in_round_ && !recovering_) {
        // Else the episode goes on: what an undo needs was saved when it began.
        save_cwnd();
        save_upon_loss();
    }
    if (probe_in_flight_ > 0) {
        return;
    }
    if (!loss_in_round_) {
        loss_round_delivered_ = now_.delivered;
        losses_from_ = now_.delivered;
    }
    loss_in_round_ = true;
    lost_in_round_ += now_.newly_lost;
}

/// §5.5.10.2, IsInflightTooHigh. But so few segments are in flight on many paths that a loss rate which is well within
/// bounds takes 2 % of them every other round by chance: it counts as more only where chance explains no more: two
/// standard deviations (of a Poisson distribution, the square root of its mean) and one segment above.
bool BbrModel::too_high(std::uint64_t lost, std::uint64_t tx_in_flight) const {
    if (lost == 0 || !now_.selective_acks) {
        return lost > 0;
    }
    const std::uint64_t borne = percent(tx_in_flight, kLossThresh);
    if (lost <= borne + mss_) {
        return false;
    }
    // In sixteenths of a segment; 2^28 segments are beyond any chance.
    const std::uint64_t beyond = mul_div(lost - borne - mss_, 16, mss_);
    return beyond > kInfinity >> 32U || beyond * beyond > mul_div(borne, 4 * 16 * 16, mss_);
}

/// §5.5.10.2, HandleLostPacket, for all that one ACK showed to be lost; and §3.7: a mark is congestion.
void BbrModel::handle_losses(const AckSummary& ack) {
    note_loss();
    loss_events_ = static_cast<std::uint8_t>(std::min(loss_events_ + 1, 15));
    marked_in_round_ = marked_in_round_ || ack.ecn_echo;
    grave_in_round_ = grave_in_round_ || ack.ecn_echo;
    if (!bw_probe_sample_) {
        return;
    }
    // What is lost was sent about when the newest delivered was: its sample stands for both.
    const std::uint64_t tx_in_flight = now_.rate.tx_in_flight;
    const std::uint64_t all = now_.rate.lost;
    const bool app_limited = now_.rate.app_limited;
    if (too_high(all, tx_in_flight)) {
        // InflightAtLoss: where among what was lost did it become too much?
        const std::uint64_t size = std::min({now_.newly_lost, tx_in_flight, all});
        const std::uint64_t before = tx_in_flight - size;
        const std::uint64_t tolerated = percent(before, kLossThresh);
        const std::uint64_t lost_before = all - size;
        const std::uint64_t prefix =
            tolerated > lost_before ? mul_div(tolerated - lost_before, 100, 100 - kLossThresh) : 0;
        handle_too_high(before + prefix, app_limited);
    } else if (ack.ecn_echo) {
        handle_too_high(tx_in_flight, app_limited);
    }
}

/// The bandwidth has been probed: what is lost of what is in flight now has had its answer.
void BbrModel::end_probe() {
    probe_in_flight_ = now_.inflight;
    forget_losses();
}

void BbrModel::handle_too_high(std::uint64_t tx_in_flight, bool app_limited) {
    bw_probe_sample_ = false;  // once a probe
    if (!app_limited) {
        // The draft takes what was in flight as it is, so that who had more keeps it. Here all give the headroom up for
        // good, but for what fills the path with headroom left, and then grow alike: so flows come to equal shares.
        const std::uint64_t less = percent(tx_in_flight, 100 - kHeadroom);
        const std::uint64_t full = std::min(tx_in_flight, bdp(kFullWithHeadroom));
        inflight_longterm_ = std::max({less, full, percent(target_inflight(), kBeta)});
    }
    if (state_ == BbrState::probe_up) {
        undo_ = Undo::probe_up;
        end_probe();
        start_down(now_.time);
    }
}

}  // namespace runnel::tcp
