#include "runnel/tcp/congestion/hystart.hpp"

#include <algorithm>

namespace runnel::tcp {

std::uint32_t HyStart::late_from() const {
    return last_round_ == kNone ? kNone
                                : last_round_ + static_cast<std::uint32_t>(rise(last_round_, 1));
}

bool HyStart::rises(std::uint32_t sample, bool paced) {
    if (!paced) {
        baseline_ = this_round_;
        return samples_ >= kSamples && this_round_ >= late_from();
    }
    if (sample < late_from()) {
        late_ = 0;
        return false;
    }
    baseline_ = late_ == 0 ? sample : std::min(baseline_, sample);
    return ++late_ >= kSamples;
}

void HyStart::enter(const PathView& path) {
    slow_round_ = 1;  // the round in which it begins counts
    late_ = 0;
    if (path.paced) {
        // What has left already can't tell whether sending less fast changes anything.
        begin_round(path);
    }
}

void HyStart::begin_round(const PathView& path) {
    this_round_ = kNone;
    samples_ = 0;
    round_end_ = path.nxt;
}

bool HyStart::take_sample(std::uint32_t sample, const PathView& path) {
    this_round_ = std::min(this_round_, sample);
    samples_ = static_cast<std::uint8_t>(std::min<std::uint32_t>(samples_ + 1U, kSamples));
    if (!conservative()) {
        if (rises(sample, path.paced)) {
            enter(path);
        }
        return false;
    }
    const bool sent_before = path.paced && slow_round_ == 1;
    if (samples_ < kSamples || sent_before) {
        return false;
    }
    if (this_round_ < baseline_) {
        // RFC 9406 §4.2: the round trip has fallen again, so that it was no queue of ours.
        slow_round_ = 0;
        return false;
    }
    return path.paced;  // sending less fast has not brought it down
}

bool HyStart::observe(const AckSummary& ack, const PathView& path) {
    if (round_end_.value == 0) {
        round_end_ = path.nxt;
    }
    if (ack.rtt.ns > 0) {
        const auto micros = std::min<std::int64_t>(ack.rtt.micros(), std::int64_t{kNone} / 2);
        if (take_sample(static_cast<std::uint32_t>(micros), path)) {
            return true;
        }
    }
    // Something sent since has arrived, be it before what is still missing.
    const bool overtaken = ack.first_original >= round_end_ && ack.first_original < path.nxt;
    if (path.una < round_end_ && !overtaken) {
        return false;
    }
    last_round_ = this_round_;
    begin_round(path);
    return conservative() && ++slow_round_ > kRounds;
}

void HyStart::grow(CongestionWindow& window, std::uint32_t acked, bool paced) const {
    if (conservative()) {
        window.grow_by_credit(paced ? kSlowerPaced : kSlower, acked);
    } else {
        window.grow_slow_start(acked);
    }
}

}  // namespace runnel::tcp
