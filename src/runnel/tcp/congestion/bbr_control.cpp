// What BBR does with its model: how fast and how much to send (draft-ietf-ccwg-bbr-06 §5.6), and the cycle of
// probing for bandwidth and for the round trip (§5.3.2 to §5.3.4).
#include <algorithm>

#include "runnel/tcp/congestion/bbr_units.hpp"

namespace runnel::tcp {

using bbr::percent;
using bbr::volume;

namespace {
constexpr std::uint64_t kMostQuantum = 64 * 1024;
}  // namespace

// ---- rate and window

std::uint64_t BbrModel::pacing_gain() const {
    switch (state_) {
        case BbrState::startup: return kStartupPacingGain;
        case BbrState::drain: return kDrainPacingGain;
        case BbrState::probe_down: return kDownPacingGain;
        case BbrState::probe_up: return kUpPacingGain;
        case BbrState::probe_cruise:
        case BbrState::probe_refill:
        case BbrState::probe_rtt: break;
    }
    return 100;
}

std::uint64_t BbrModel::cwnd_gain() const {
    if (state_ == BbrState::probe_up) {
        return kUpCwndGain;
    }
    return state_ == BbrState::probe_rtt ? kProbeRttCwndGain : kCwndGain;
}

/// §5.6.2: until the pipe has been full the rate only rises. The margin is there to keep queues from standing: where the
/// round trip shows that none does, a cruise with it would leave the path idle for a hundredth of the time.
void BbrModel::set_pacing_rate(std::uint64_t gain) {
    const bool level = state_ == BbrState::probe_cruise || state_ == BbrState::probe_refill;
    const std::uint64_t margin = level && !queued_ ? 0 : kPacingMargin;
    const std::uint64_t rate = percent(percent(bw_, gain), 100 - margin);
    if (rate > 0 && (full_bw_reached_ || rate > pacing_rate_)) {
        pacing_rate_ = rate;
    }
}

std::uint64_t BbrModel::send_quantum() const {  // §5.6.3
    return std::max(std::min(pacing_rate_ / 1000, kMostQuantum), 2 * mss_);
}

std::uint64_t BbrModel::bdp(std::uint64_t gain) const {
    return min_rtt_.ns <= 0 ? initial_cwnd_ : percent(volume(bw_, min_rtt_), gain);
}

/// §5.6.4.2: enough for offloads and delayed ACKs, whatever the path.
std::uint64_t BbrModel::quantize(std::uint64_t inflight) const {
    inflight = std::max({inflight, 3 * send_quantum(), kMinPipe * mss_});
    return state_ == BbrState::probe_up ? inflight + 2 * mss_ : inflight;
}

/// What is in flight when the queue is gone: a volume for the round trip and what counts as none above it. Down to the
/// last octet any delay of a timer, here or there, would find the path idle.
std::uint64_t BbrModel::drained_inflight(std::uint64_t rate) const {
    return quantize(min_rtt_.ns <= 0 ? initial_cwnd_ : volume(rate, min_rtt_ + slack(min_rtt_)));
}

std::uint64_t BbrModel::max_inflight() const {
    return quantize(bdp(cwnd_gain()) + extra_acked_.get());
}

std::uint64_t BbrModel::probe_rtt_cwnd() const {
    return std::max(bdp(kProbeRttCwndGain), kMinPipe * mss_);
}

/// §5.6.4.6, SetCwnd.
void BbrModel::set_cwnd() {
    const std::uint64_t most = max_inflight();
    if (full_bw_reached_) {
        cwnd_ = std::min(cwnd_ + now_.newly_acked, most);
    } else if (cwnd_ < most || now_.delivered < initial_cwnd_) {
        cwnd_ += now_.newly_acked;
    }
    cwnd_ = std::max(cwnd_, kMinPipe * mss_);
    bound_cwnd();
}

/// §5.6.4.5, BoundCwndForProbeRTT, and §5.6.4.7, BoundCwndForModel.
void BbrModel::bound_cwnd() {
    if (state_ == BbrState::probe_rtt) {
        cwnd_ = std::min(cwnd_, probe_rtt_cwnd());
    }
    std::uint64_t cap = kInfinity;
    if (state_ == BbrState::probe_rtt || state_ == BbrState::probe_cruise) {
        cap = headroom_inflight();
    } else if (in_probe_bw()) {
        cap = state_ == BbrState::probe_down ? inflight_longterm_
                                             : std::min(probe_limit_, inflight_longterm_);
    }
    cap = std::max(std::min(cap, inflight_shortterm_), kMinPipe * mss_);
    cwnd_ = std::min({cwnd_, cap, std::uint64_t{kMaxWindowSegments} * mss_});
}

std::uint32_t BbrModel::window_segments() const {
    // A last part of a segment may go too: the octets decide, and they are bounded above.
    return static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>((cwnd_ + mss_ - 1) / mss_, 1, kMaxWindowSegments));
}

std::uint64_t BbrModel::headroom_inflight() const {
    if (inflight_longterm_ == kInfinity) {
        return kInfinity;
    }
    const std::uint64_t room = std::max(mss_, percent(inflight_longterm_, kHeadroom));
    return std::max(inflight_longterm_ - std::min(room, inflight_longterm_), kMinPipe * mss_);
}

// ---- the machine of states

bool BbrModel::in_probe_bw() const {
    return state_ == BbrState::probe_down || state_ == BbrState::probe_cruise ||
           state_ == BbrState::probe_refill || state_ == BbrState::probe_up;
}

bool BbrModel::probing_bw() const {
    return state_ == BbrState::startup || state_ == BbrState::probe_refill ||
           state_ == BbrState::probe_up;
}

void BbrModel::reset_full_bw() {
    full_bw_ = 0;
    full_bw_count_ = 0;
    full_bw_now_ = false;
}

void BbrModel::reset_short_term() {
    bw_shortterm_ = kInfinity;
    inflight_shortterm_ = kInfinity;
}

void BbrModel::check_drain_done() {  // §5.3.2
    if (state_ == BbrState::drain &&
        (now_.inflight <= drained_inflight(bw_) || round_count_ > drain_start_round_ + 3)) {
        start_down(now_.time);
    }
}

/// The next of a sequence that begins with the connection's own secret number (splitmix64): no two flows probe
/// in step for long.
std::uint64_t BbrModel::draw() {
    seed_ += 0x9e37'79b9'7f4a'7c15;
    std::uint64_t x = seed_;
    x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
    x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
    return x ^ (x >> 31);
}

/// §5.3.3.8: two to three seconds, and up to one round less than the bound.
void BbrModel::pick_probe_wait() {
    rounds_since_probe_up_ = draw() & 1;
    const std::uint64_t wait = draw() % 1'000'000;
    bw_probe_wait_ = seconds(2) + microseconds(static_cast<std::int64_t>(wait));
}

void BbrModel::start_down(Instant now) {
    stop_probing();
    pick_probe_wait();
    cycle_stamp_ = now;
    state_ = BbrState::probe_down;
}

/// What arrives from the next round on was sent without a probe.
void BbrModel::stop_probing() {
    forget_losses();
    bw_latest_ = 0;
    inflight_latest_ = 0;
    probe_up_acked_per_inc_ = kInfinity;
    probe_stopping_ = true;
    start_round();
}

void BbrModel::start_refill() {
    reset_short_term();
    bw_probe_up_rounds_ = 0;
    bw_probe_up_acked_ = 0;
    probe_limit_ = headroom_inflight();
    probe_stopping_ = false;
    start_round();
    state_ = BbrState::probe_refill;
}

void BbrModel::start_up() {
    start_round();
    reset_full_bw();
    full_bw_ = now_.delivery_rate;
    state_ = BbrState::probe_up;
    raise_longterm_slope();
}

/// §5.3.3.9, UpdateProbeBWCyclePhase.
void BbrModel::update_probe_bw() {
    if (!full_bw_reached_) {
        return;
    }
    adapt_long_term();
    switch (state_) {
        case BbrState::probe_down:
            if (!time_to_probe() && time_to_cruise()) {
                state_ = BbrState::probe_cruise;
            }
            break;
        case BbrState::probe_cruise: (void)time_to_probe(); break;
        case BbrState::probe_refill:
            if (round_start_) {
                bw_probe_sample_ = true;
                start_up();
            }
            break;
        case BbrState::probe_up:
            if (time_to_go_down()) {
                end_probe();
                start_down(now_.time);
            }
            break;
        default: break;
    }
}

/// §5.3.3.9, AdaptLongTermModel.
void BbrModel::adapt_long_term() {
    if (probe_stopping_ && round_start_) {
        bw_probe_sample_ = false;
        probe_stopping_ = false;
        if (in_probe_bw() && !now_.rate.app_limited && bw_slots_[1] > 0) {
            bw_slots_ = {bw_slots_[1], 0};  // AdvanceMaxBwFilter
        }
    }
    if (inflight_longterm_ == kInfinity || too_high(now_.rate.lost, now_.rate.tx_in_flight)) {
        return;
    }
    if (state_ == BbrState::probe_up) {
        probe_longterm_upward();
    }
    inflight_longterm_ = std::max(inflight_longterm_, now_.rate.tx_in_flight);
}

void BbrModel::raise_longterm_slope() {
    const std::uint64_t growth = std::uint64_t{1} << bw_probe_up_rounds_;
    bw_probe_up_rounds_ = static_cast<std::uint8_t>(std::min(bw_probe_up_rounds_ + 1, 30));
    probe_up_acked_per_inc_ = std::max(cwnd_ / growth, mss_);
}

void BbrModel::probe_longterm_upward() {
    if (!now_.window_limited || cwnd_ < probe_limit_) {
        return;  // it isn't made full use of
    }
    bw_probe_up_acked_ += now_.newly_acked;
    if (bw_probe_up_acked_ >= probe_up_acked_per_inc_) {
        const std::uint64_t delta = bw_probe_up_acked_ / probe_up_acked_per_inc_;
        bw_probe_up_acked_ -= delta * probe_up_acked_per_inc_;
        probe_limit_ += delta * mss_;
        inflight_longterm_ = std::max(inflight_longterm_, probe_limit_);
    }
    if (round_start_) {
        raise_longterm_slope();
    }
}

/// §5.3.3.8: after two to three seconds, or as often as Reno would lose a segment.
bool BbrModel::time_to_probe() {
    const std::uint64_t reno_rounds =
        std::clamp(target_inflight() / mss_, kMinPipe, kMostRenoRounds);
    const bool waited =
        now_.time > cycle_stamp_ + bw_probe_wait_ || rounds_since_probe_up_ >= reno_rounds;
    if (waited && now_.time >= probe_from_) {
        start_refill();
        return true;
    }
    return false;
}

bool BbrModel::time_to_cruise() const {
    return now_.inflight <= std::min(headroom_inflight(), drained_inflight(max_bw()));
}

bool BbrModel::time_to_go_down() {
    if (now_.window_limited && cwnd_ >= probe_limit_) {
        reset_full_bw();  // not the path, the bound limits
        full_bw_ = now_.delivery_rate;
        return false;
    }
    return full_bw_now_;
}

// ---- ProbeRTT, §5.3.4

void BbrModel::check_probe_rtt() {
    if (state_ != BbrState::probe_rtt && probe_rtt_expired_ && !idle_restart_) {
        save_cwnd();
        state_ = BbrState::probe_rtt;
        probe_rtt_done_ = Instant::never();
        probe_stopping_ = true;
        start_round();
    }
    if (state_ == BbrState::probe_rtt) {
        handle_probe_rtt();
    }
    if (now_.rate.delivered > 0) {
        idle_restart_ = false;
    }
}

void BbrModel::handle_probe_rtt() {
    mark_app_limited();
    if (probe_rtt_done_.is_never()) {
        if (now_.inflight <= probe_rtt_cwnd()) {
            probe_rtt_done_ = now_.time + kProbeRttDuration;
            probe_rtt_round_done_ = false;
            start_round();
        }
        return;
    }
    probe_rtt_round_done_ = probe_rtt_round_done_ || round_start_;
    if (probe_rtt_round_done_) {
        check_probe_rtt_done(now_.time);
    }
}

void BbrModel::check_probe_rtt_done(Instant now) {
    if (probe_rtt_done_.is_never() || now <= probe_rtt_done_) {
        return;
    }
    probe_rtt_min_stamp_ = now;
    restore_cwnd();
    reset_short_term();
    if (full_bw_reached_) {
        // Unlike §5.3.4.5 the cycle goes on. Where a queue stands this happens every five seconds: a wait that began
        // anew would halve the probes, by which flows come to equal shares. But all who share the path have looked
        // together, and are not to probe together, and the path is to fill first.
        stop_probing();
        const auto round = static_cast<std::uint64_t>(min_rtt_.ns);
        const std::uint64_t pause = kProbeRttPause * round + draw() % (kProbeRttPause * round + 1);
        probe_from_ = now + Duration{static_cast<std::int64_t>(pause)};
        state_ = BbrState::probe_cruise;
    } else {
        enter_startup();
    }
}

}  // namespace runnel::tcp
