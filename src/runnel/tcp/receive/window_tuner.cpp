#include "runnel/tcp/receive/window_tuner.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// The segments that a sender may begin with (RFC 6928): what needs no larger window.
constexpr std::uint32_t kFirstSegments = 10;
/// Room for what comes a little unevenly, in segments.
constexpr std::uint32_t kSlackSegments = 16;
/// Timestamps count whole milliseconds: a round trip may be nearly one longer than what they show.
constexpr Duration kGrain = milliseconds(1);
constexpr std::int64_t kMostMicros = 60'000'000;

std::uint32_t tick(Instant now) {
    const auto low = static_cast<std::uint32_t>(static_cast<std::uint64_t>(now.ns) >> 10);
    return low == 0 ? 1 : low;
}

}  // namespace

/// A shorter one is nearer to the truth, because whatever comes between (a pause of the sender, a delayed
/// ACK) makes it longer. A longer one counts little by little, and never more than double.
void WindowTuner::sample(Duration elapsed) {
    const std::int64_t taken = std::clamp<std::int64_t>(elapsed.micros(), 1, kMostMicros);
    const std::int64_t old = rtt_us_;
    if (old == 0 || taken <= old) {
        rtt_us_ = static_cast<std::uint32_t>(taken);
        return;
    }
    const std::int64_t bounded = std::min(taken, 2 * old);
    rtt_us_ = static_cast<std::uint32_t>(old + std::max<std::int64_t>((bounded - old) / 8, 1));
}

void WindowTuner::on_echo(std::uint32_t echo, Duration elapsed) {
    if (echo == mark_) {
        return;  // not the first data that this ACK has let go
    }
    mark_ = echo;
    sample(std::max(elapsed, kGrain));
}

void WindowTuner::on_window(std::uint32_t nxt, std::uint32_t edge, Duration least, Instant now) {
    if (mark_time_ != 0) {
        if (static_cast<std::int32_t>(nxt - mark_) < 0) {
            return;
        }
        const std::int64_t ns = std::int64_t{tick(now) - mark_time_} << 10;
        const Duration elapsed = std::max(Duration{ns}, least);
        // Only less counts: a window's worth takes long also when the sender has little to say.
        if (rtt_us_ == 0 || elapsed < rtt()) {
            sample(elapsed);
        }
    }
    mark_ = edge;
    mark_time_ = tick(now);
}

std::uint64_t WindowTuner::on_read(std::uint64_t arrived, std::uint64_t unread,
                                   std::uint32_t segment, Duration other_rtt, Instant now) {
    const Duration known = rtt_us_ != 0 ? rtt() : other_rtt;
    if (known.ns <= 0) {
        return 0;
    }
    const Duration round = known + kGrain;
    space_ = std::max(space_, kFirstSegments * segment);
    const auto come = static_cast<std::uint32_t>(arrived);
    const auto taken = static_cast<std::uint32_t>(arrived - unread);
    // What has come and been taken: a reader who takes at once what has waited for long is none the faster.
    std::uint64_t octets = std::min(come - arrived_, taken - taken_);
    const Duration elapsed = now - since_;
    const bool over = elapsed >= round;
    if (over) {
        // More than a round trip: as much of it as one has brought. In microseconds nothing overflows.
        octets = octets * static_cast<std::uint64_t>(round.micros()) /
                 static_cast<std::uint64_t>(elapsed.micros());
        since_ = now;
        arrived_ = come;
        taken_ = taken;
    }
    if (octets <= space_) {
        return 0;
    }
    // Before the round trip is over it is known already that it brings more than the last one: no need to
    // wait, and in slow start no time.
    const std::uint64_t window = 2 * octets + std::uint64_t{kSlackSegments} * segment;
    const std::uint64_t growth = std::min(window, window * (octets - space_) / space_);
    if (over) {
        space_ = static_cast<std::uint32_t>(octets);
    }
    return window + growth;
}

}  // namespace runnel::tcp
