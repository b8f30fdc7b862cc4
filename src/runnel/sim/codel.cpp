#include "runnel/sim/codel.hpp"

namespace runnel::sim {

namespace {
/// The integer square root: no floating point, whose last bit compilers may see differently.
std::uint64_t root(std::uint64_t value) {
    std::uint64_t result = 0;
    for (std::uint64_t bit = std::uint64_t{1} << 62; bit != 0; bit >>= 2) {
        if (value >= result + bit) {
            value -= result + bit;
            result = (result >> 1) + bit;
        } else {
            result >>= 1;
        }
    }
    return result;
}
}  // namespace

/// interval / sqrt(count), with ten binary places (§5.4).
Instant Codel::control_law(Instant from, std::uint32_t count) {
    const auto scaled = static_cast<std::int64_t>(root(std::uint64_t{count} << 20));
    return from + Duration{kInterval.ns * 1024 / scaled};
}

bool Codel::above_target(Instant now, Duration sojourn, std::uint64_t backlog, std::uint32_t mtu) {
    if (sojourn < kTarget || backlog <= mtu) {
        first_above_ = {};
        return false;
    }
    if (first_above_ == Instant{}) {
        first_above_ = now + kInterval;
        return false;
    }
    return now >= first_above_;
}

bool Codel::on_dequeue(Instant now, Duration sojourn, std::uint64_t backlog, std::uint32_t mtu) {
    const bool above = above_target(now, sojourn, backlog, mtu);
    if (dropping_) {
        if (!above) {
            dropping_ = false;
            return false;
        }
        if (now < drop_next_) {
            return false;
        }
        ++count_;
        drop_next_ = control_law(drop_next_, count_);
        return true;
    }
    if (!above) {
        return false;
    }
    dropping_ = true;
    // §5.4: soon after the last dropping state its pace is taken up again.
    const std::uint32_t delta = count_ - last_count_;
    count_ = delta > 1 && now - drop_next_ < kInterval * 16 ? delta : 1;
    drop_next_ = control_law(now, count_);
    last_count_ = count_;
    return true;
}

}  // namespace runnel::sim
