#include "runnel/tcp/congestion/hystart.hpp"

#include <algorithm>

namespace runnel::tcp {

void HyStart::judge() {
    if (samples_ < kSamples) {
        return;
    }
    if (conservative_) {
        // RFC 9406 §4.2: the round trip has fallen again, so that it was no queue of ours.
        if (this_round_ < baseline_) {
            baseline_ = kNone;
            conservative_ = false;
        }
        return;
    }
    if (last_round_ == kNone) {
        return;
    }
    const std::uint32_t rise = std::clamp(last_round_ / kDivisor, kLeastRise, kMostRise);
    if (this_round_ >= last_round_ + rise) {
        baseline_ = this_round_;
        conservative_ = true;
        conservative_rounds_ = 0;
    }
}

bool HyStart::observe(const AckSummary& ack, const PathView& path) {
    if (round_end_.value == 0) {
        round_end_ = path.nxt;
    }
    if (ack.rtt.ns > 0) {
        const auto micros = static_cast<std::uint32_t>(
            std::min<std::int64_t>(ack.rtt.micros(), std::int64_t{kNone} / 2));
        this_round_ = std::min(this_round_, micros);
        samples_ = static_cast<std::uint8_t>(std::min<std::uint32_t>(samples_ + 1U, kSamples));
        judge();
    }
    if (path.una < round_end_) {
        return false;
    }
    // A new round. The one in which CSS began counts among its rounds.
    last_round_ = this_round_;
    this_round_ = kNone;
    samples_ = 0;
    round_end_ = path.nxt;
    return conservative_ && ++conservative_rounds_ >= kRounds;
}

void HyStart::grow(CongestionWindow& window, std::uint32_t acked) const {
    if (conservative_) {
        window.grow_by_credit(kSlower, acked);
    } else {
        window.grow_slow_start(acked);
    }
}

}  // namespace runnel::tcp
