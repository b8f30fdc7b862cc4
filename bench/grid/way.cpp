#include "grid/way.hpp"

#include <algorithm>

namespace runnel::bench {

namespace {
__extension__ typedef unsigned __int128 Wide;  // not ISO C++, which -Wpedantic would say
constexpr std::uint64_t kBillion = 1'000'000'000;
}  // namespace

bool Way::chance(double share) {
    constexpr double kWhole = 4294967296.0;
    return static_cast<double>(random_.below(std::uint64_t{1} << 32)) < share * kWhole;
}

/// Gilbert's two states: in the bad one everything is lost. With a mean length of 1 each packet stands alone.
bool Way::draw_loss() {
    const double loss = std::min(config_.loss, 0.99);
    const double burst = std::max(config_.burst, 1.0);
    if (burst <= 1.0) {
        return chance(loss);
    }
    const double leave = 1 / burst;
    const double enter = loss / (burst * (1 - loss));
    losing_ = losing_ ? !chance(leave) : chance(enter);
    return losing_;
}

std::uint64_t Way::backlog(Instant now) const {
    if (busy_until_ <= now) {
        return 0;
    }
    const auto waiting = static_cast<std::uint64_t>((busy_until_ - now).ns);
    return static_cast<std::uint64_t>(Wide{waiting} * config_.bits_per_second / (8 * kBillion));
}

/// When the line can begin what it would begin at `start`.
Instant Way::after_stall(Instant start) {
    if (config_.stall_every.ns == 0) {
        return start;
    }
    if (next_stall_ == Instant{}) {
        next_stall_ = start + config_.stall_every;
    }
    while (next_stall_ + config_.stall <= start) {
        next_stall_ = next_stall_ + config_.stall_every;
    }
    return start < next_stall_ ? start : next_stall_ + config_.stall;
}

Verdict Way::enter(std::uint32_t size, Instant now) {
    Verdict verdict;
    ++counters_.packets;
    counters_.bytes += size;
    // All is drawn for every packet, so that what befalls the next one does not hang on this one's luck.
    const bool lost = draw_loss();
    verdict.held_back = chance(config_.reorder);
    const std::uint64_t held = random_.below(
        static_cast<std::uint64_t>(std::max<std::int64_t>(config_.reorder_delay.ns, 1)));

    const std::uint64_t before = backlog(now);
    counters_.backlog_sum += before;
    counters_.backlog_max = std::max(counters_.backlog_max, before);
    if (before + size > config_.queue_bytes) {
        ++counters_.overflowed;
        verdict.fate = Fate::queue_full;
        return verdict;
    }
    const auto takes =
        static_cast<std::int64_t>(Wide{size} * 8 * kBillion / config_.bits_per_second);
    busy_until_ = after_stall(std::max(busy_until_, now)) + nanoseconds(takes);
    verdict.departs = busy_until_;
    verdict.arrives = busy_until_ + config_.delay;
    if (lost) {
        ++counters_.lost;
        verdict.fate = Fate::lost;
        return verdict;
    }
    if (verdict.held_back) {
        ++counters_.held_back;
        verdict.arrives = verdict.arrives + nanoseconds(static_cast<std::int64_t>(held) + 1);
    }
    return verdict;
}

}  // namespace runnel::bench
