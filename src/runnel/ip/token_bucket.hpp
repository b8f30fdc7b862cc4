// A token bucket in whole tokens and nanoseconds: how fast a host may send ICMP errors (RFC 1812 §4.3.2.8,
// RFC 4443 §2.4 (f)).
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel {

class TokenBucket {
public:
    /// `per_second` tokens arrive each second up to `burst` in store; a rate of 0 means no limit.
    TokenBucket(std::uint32_t per_second, std::uint32_t burst)
        : interval_ns_(per_second == 0 ? 0 : 1'000'000'000 / static_cast<std::int64_t>(per_second)),
          burst_(burst) {}

    /// Takes a token if there is one.
    bool take(Instant now) {
        if (interval_ns_ == 0) {
            return true;
        }
        // The store is kept as the time at which it would be full.
        const std::int64_t full = interval_ns_ * static_cast<std::int64_t>(burst_);
        const std::int64_t used = used_ ? std::max<std::int64_t>(full_at_.ns - now.ns, 0) : 0;
        if (used + interval_ns_ > full) {
            return false;
        }
        full_at_ = Instant{now.ns + used + interval_ns_};
        used_ = true;
        return true;
    }

private:
    std::int64_t interval_ns_;
    std::uint32_t burst_;
    Instant full_at_{};
    bool used_ = false;
};

}  // namespace runnel
