// CUBIC (RFC 9438): the window follows a cubic curve of the time since the last loss, so that it doesn't matter
// how often a round trip comes. Where Linux's integers decide (time in 1024ths of a second, windows in whole
// segments, a count of acknowledged segments for each step), these are the same.
#pragma once

#include "runnel/tcp/congestion/hystart.hpp"
#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

/// The greatest root with root^3 <= n.
[[nodiscard]] std::uint32_t cube_root(std::uint64_t n);

class Cubic : public ControllerKind {
public:
    static constexpr const char* kName = "cubic";
    static constexpr CongestionControl kControl = CongestionControl::cubic;
    static constexpr std::uint32_t kUnit = 1024;      ///< of fractions, and of a second
    static constexpr std::uint32_t kBeta = 717;       ///< beta_cubic, 0.7
    static constexpr std::uint32_t kC = 410;          ///< C, 0.4 segments a second cubed
    static constexpr std::uint32_t kLeastCount = 2;   ///< target at most 1.5 windows (§4.2)
    static constexpr std::uint32_t kFirstCount = 20;  ///< before the first loss: 5 % a round trip

    explicit Cubic(bool hystart) : hystart_(hystart) {}

    void observe(CongestionWindow& window, const AckSummary& ack, const PathView& path);
    void on_ack(CongestionWindow& window, const AckSummary& ack, const PathView& path);
    std::uint32_t threshold_after(CongestionEvent event, const CongestionWindow& window,
                                  const PathView& path);
    /// §4.8: the curve begins anew where slow start will end.
    void on_timeout(CongestionWindow& window, std::uint32_t allowed, const PathView& path);
    /// §4.9.2; `restored`: the window was lower than before the reduction.
    void on_undo(CongestionWindow& window, bool restored);
    /// §5.8: what was not sent in takes no part in the curve.
    void on_restart(CongestionWindow& window, Instant now, Duration idle);

    [[nodiscard]] std::uint32_t w_max() const { return curve_.w_max; }
    /// K in 1024ths of a second.
    [[nodiscard]] std::uint32_t k() const { return curve_.k; }
    [[nodiscard]] std::uint32_t w_est() const { return curve_.w_est; }
    /// Acknowledged segments for each further one in the window, as last computed.
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] const HyStart& hystart() const { return hystart_; }
    [[nodiscard]] bool is_fresh() const;

private:
    /// What RFC 9438 §4.9.2 wants restored.
    struct Curve {
        Instant epoch = Instant::never();  ///< congestion avoidance began; never: not yet
        std::uint32_t w_max = 0;           ///< 0: no loss yet (or a timeout)
        std::uint32_t k = 0;
        std::uint32_t origin = 0;      ///< the window at `epoch` + `k`
        std::uint32_t prior = 0;       ///< cwnd_prior
        std::uint32_t w_est = 0;       ///< where Reno would be
        std::uint32_t reno_acked = 0;  ///< towards the next of `w_est`
        auto operator<=>(const Curve&) const = default;
    };

    void begin_epoch(const CongestionWindow& window, std::uint32_t acked, Instant now);
    void read_curve(const CongestionWindow& window, const PathView& path);
    void be_friendly(const CongestionWindow& window);
    void update_count(const CongestionWindow& window, std::uint32_t acked, const PathView& path);

    Curve curve_;
    Curve undo_;
    Instant read_at_;  ///< when the curve was last read
    Instant seen_;     ///< the last ACK
    std::uint32_t read_window_ = 0;
    std::uint32_t count_ = 0;
    HyStart hystart_;
};

}  // namespace runnel::tcp
