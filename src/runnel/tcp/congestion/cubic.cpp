#include "runnel/tcp/congestion/cubic.hpp"

#include <algorithm>

#include "runnel/base/mul_div.hpp"

namespace runnel::tcp {

namespace {

constexpr unsigned kFractionBits = 10;                                     // kUnit
constexpr std::uint64_t kCubed = std::uint64_t{1} << (4 * kFractionBits);  // of C and a time cubed

// The curve is read again after so long even when the window has not changed, and never more than once a
// millisecond: it hardly changes, and it costs a few divisions.
constexpr Duration kReadEvery = seconds(1) / 32;
constexpr std::int64_t kTick = 1'000'000;

/// 1024ths of a second.
std::uint64_t in_units(Duration time) {
    return time.ns <= 0 ? 0
                        : mul_div(static_cast<std::uint64_t>(time.ns), Cubic::kUnit, 1'000'000'000);
}

/// A queue stands, as HyStart++ would see it: the line is full.
bool shows_queue(const AckSummary& ack, const PathView& path) {
    const std::int64_t least = path.min_rtt.ns;
    return ack.rtt.ns > 0 && least > 0 && ack.rtt.ns >= least + HyStart::rise(least, 1'000);
}

/// C * (time from the plateau)^3 in segments (RFC 9438 equation 1).
std::uint32_t curve_height(std::uint64_t from_plateau) {
    const std::uint64_t time = std::min<std::uint64_t>(from_plateau, 1U << 20);
    const std::uint64_t height = mul_div(time * time * time, Cubic::kC, kCubed);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(height, kMaxWindowSegments));
}

}  // namespace

std::uint32_t cube_root(std::uint64_t n) {
    std::uint64_t root = 0;
    for (std::uint64_t bit = std::uint64_t{1} << 21; bit > 0; bit >>= 1) {
        const std::uint64_t next = root | bit;
        if (next <= 2'642'245 && next * next * next <= n) {  // the cube root of 2^64
            root = next;
        }
    }
    return static_cast<std::uint32_t>(root);
}

bool Cubic::is_fresh() const {
    return curve_ == Curve{} && undo_ == Curve{} && read_window_ == 0;
}

void Cubic::observe(CongestionWindow& window, const AckSummary& ack, const PathView& path) {
    if (path.app_limited && !path.window_limited && !path.recovering && !curve_.epoch.is_never()) {
        // RFC 9438 §5.8: else the window would jump when there is something to send again.
        curve_.epoch = std::min(curve_.epoch + (path.now - seen_), path.now);
    }
    seen_ = path.now;
    // RFC 9406 §4.3: only the first slow start knows no threshold.
    if (hystart_.on() && window.threshold >= kUnknownThreshold && !path.recovering &&
        hystart_.observe(ack, path)) {
        window.threshold = std::max(window.segments, 2U);
        window.credit = 0;
        curve_.prior = window.segments;  // RFC 9438 §4.10
    }
}

void Cubic::on_ack(CongestionWindow& window, const AckSummary& ack, const PathView& path) {
    std::uint32_t acked = ack.segments_acked;
    if (window.in_slow_start()) {
        if (hystart_.on() && window.threshold >= kUnknownThreshold) {
            hystart_.grow(window, acked, path.paced);
            return;
        }
        acked = window.grow_slow_start(acked);
    }
    if (acked > 0) {
        update_count(window, acked, path);
        if (curve_.w_max == 0 && !shows_queue(ack, path)) {
            // Linux; RFC 9438 §4.10 has the curve alone, which would take minutes where slow start was left too early.
            count_ = std::min(count_, kFirstCount);
        }
        window.grow_by_credit(count_, acked);
    }
}

void Cubic::begin_epoch(const CongestionWindow& window, std::uint32_t acked, Instant now) {
    curve_.epoch = now;
    curve_.w_est = window.segments;
    curve_.reno_acked = acked;
    if (curve_.w_max <= window.segments) {
        curve_.k = 0;
        curve_.origin = window.segments;
    } else {
        // RFC 9438 §4.2, equation 2.
        curve_.k = cube_root(kCubed / kC * (curve_.w_max - window.segments));
        curve_.origin = curve_.w_max;
    }
}

void Cubic::read_curve(const CongestionWindow& window, const PathView& path) {
    // Where the curve will be a round trip from now (RFC 9438 §4.2).
    const std::uint64_t at = in_units(path.now - curve_.epoch + path.min_rtt);
    const bool before = at < curve_.k;
    const std::uint32_t height = curve_height(before ? curve_.k - at : at - curve_.k);
    const std::uint32_t target =
        before ? curve_.origin - std::min(height, curve_.origin) : curve_.origin + height;
    count_ = target > window.segments ? window.segments / (target - window.segments)
                                      : 100 * window.segments;
}

void Cubic::be_friendly(const CongestionWindow& window) {
    // RFC 9438 §4.3: alpha is 3 (1 - beta) / (1 + beta) up to cwnd_prior, then 1. In eighths, 15, as Linux has it.
    constexpr std::uint32_t kEighths = 8 * (kUnit + kBeta) / 3 / (kUnit - kBeta);
    const std::uint32_t for_each =
        curve_.w_est >= curve_.prior ? window.segments : window.segments * kEighths / 8;
    if (curve_.reno_acked > for_each) {
        const std::uint32_t steps = (curve_.reno_acked - 1) / for_each;
        curve_.reno_acked -= steps * for_each;
        curve_.w_est = std::min(curve_.w_est + steps, kMaxWindowSegments);
    }
    if (curve_.w_est > window.segments) {
        count_ = std::min(count_, window.segments / (curve_.w_est - window.segments));
    }
}

void Cubic::update_count(const CongestionWindow& window, std::uint32_t acked,
                         const PathView& path) {
    const bool running = !curve_.epoch.is_never();
    curve_.reno_acked += acked;
    if (running && read_window_ == window.segments && path.now - read_at_ <= kReadEvery) {
        return;
    }
    if (!running || path.now.ns / kTick != read_at_.ns / kTick) {
        if (!running) {
            begin_epoch(window, acked, path.now);
        }
        read_window_ = window.segments;
        read_at_ = path.now;
        read_curve(window, path);
    }
    be_friendly(window);
    count_ = std::max(count_, kLeastCount);
}

std::uint32_t Cubic::threshold_after(CongestionEvent, const CongestionWindow& window,
                                     const PathView&) {
    undo_ = curve_;
    curve_.epoch = Instant::never();
    curve_.prior = window.segments;
    // RFC 9438 §4.7, fast convergence: a flow that could not come back to where it was makes room for others.
    const bool falling = window.segments < curve_.w_max;
    curve_.w_max = falling ? static_cast<std::uint32_t>(std::uint64_t{window.segments} *
                                                        (kUnit + kBeta) / (2 * kUnit))
                           : window.segments;
    // RFC 9438 §4.6. Of the window, not of what is in flight: it grows only while it is made use of.
    const std::uint64_t reduced = std::uint64_t{window.segments} * kBeta / kUnit;
    return std::max(static_cast<std::uint32_t>(reduced), 2U);
}

void Cubic::on_timeout(CongestionWindow&, std::uint32_t, const PathView&) {
    const std::uint32_t prior = curve_.prior;
    curve_ = Curve{};
    curve_.prior = prior;
}

void Cubic::on_undo(CongestionWindow&, bool restored) {
    if (restored) {
        curve_ = undo_;
    }
}

void Cubic::on_restart(CongestionWindow&, Instant now, Duration idle) {
    if (!curve_.epoch.is_never()) {
        curve_.epoch = std::min(curve_.epoch + idle, now);
    }
    // An ACK for all that was out is no pause: only where nothing was heard for another round trip are rounds forgotten.
    if (now - seen_ >= idle / 2) {
        hystart_.restart();
    }
    seen_ = now;
}

}  // namespace runnel::tcp
