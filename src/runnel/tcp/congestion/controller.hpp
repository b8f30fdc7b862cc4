// Congestion control behind one variant: chosen by name, called without virtual functions. A controller
// owns the congestion window and the slow-start threshold, both in segments; recovery decides when there
// was a loss, the controller what that means.
#pragma once

#include <cstdint>
#include <variant>

#include "runnel/tcp/config.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

inline constexpr std::uint32_t kUnknownThreshold = 0x7fff'ffff;
inline constexpr std::uint32_t kMaxWindowSegments = 1u << 24;

/// RFC 5681 with the initial window of RFC 6928, counted in segments.
class NewReno {
public:
    explicit NewReno(std::uint32_t initial_window, std::uint32_t threshold = kUnknownThreshold)
        : window_(initial_window), threshold_(threshold) {}

    [[nodiscard]] std::uint32_t window() const { return window_; }
    [[nodiscard]] std::uint32_t threshold() const { return threshold_; }
    [[nodiscard]] bool in_slow_start() const { return window_ < threshold_; }

    /// New data was acknowledged outside of recovery while the window was what limited us (§3.1).
    void on_ack(const AckSummary& ack);
    /// Loss seen by duplicate ACKs or SACK (§3.2 step 2): half of what was in flight.
    void on_loss(std::uint32_t in_flight);
    /// Recovery has ended (RFC 6582 §3.2 step 3).
    void on_recovered(std::uint32_t in_flight);
    /// The retransmission timer fired (§3.1): back to one segment; the threshold once a loss.
    void on_timeout(std::uint32_t in_flight, bool first);
    /// Idle for longer than the RTO (§4.1).
    void on_idle(std::uint32_t initial_window);

private:
    std::uint32_t window_;
    std::uint32_t threshold_;
    std::uint32_t credit_ = 0;  ///< segments acknowledged towards the next increase
};

/// A window that never changes: for tests.
class FixedWindow {
public:
    explicit FixedWindow(std::uint32_t window) : window_(window) {}
    [[nodiscard]] std::uint32_t window() const { return window_; }
    [[nodiscard]] std::uint32_t threshold() const { return kUnknownThreshold; }
    [[nodiscard]] bool in_slow_start() const { return false; }
    void on_ack(const AckSummary&) {}
    void on_loss(std::uint32_t) {}
    void on_recovered(std::uint32_t) {}
    void on_timeout(std::uint32_t, bool) {}
    void on_idle(std::uint32_t) {}

private:
    std::uint32_t window_;
};

class Controller {
public:
    explicit Controller(const TcpConfig& config);

    [[nodiscard]] std::uint32_t window() const {
        return std::visit([](const auto& c) { return c.window(); }, kind_);
    }
    [[nodiscard]] std::uint32_t threshold() const {
        return std::visit([](const auto& c) { return c.threshold(); }, kind_);
    }
    [[nodiscard]] bool in_slow_start() const {
        return std::visit([](const auto& c) { return c.in_slow_start(); }, kind_);
    }
    void on_ack(const AckSummary& ack) {
        std::visit([&](auto& c) { c.on_ack(ack); }, kind_);
    }
    void on_loss(std::uint32_t in_flight) {
        std::visit([&](auto& c) { c.on_loss(in_flight); }, kind_);
    }
    void on_recovered(std::uint32_t in_flight) {
        std::visit([&](auto& c) { c.on_recovered(in_flight); }, kind_);
    }
    void on_timeout(std::uint32_t in_flight, bool first) {
        std::visit([&](auto& c) { c.on_timeout(in_flight, first); }, kind_);
    }
    void on_idle(std::uint32_t initial_window) {
        std::visit([&](auto& c) { c.on_idle(initial_window); }, kind_);
    }
    [[nodiscard]] const char* name() const;
    /// Another one takes over the window and the threshold (TCP_CONGESTION).
    void use(CongestionControl control);

private:
    std::variant<NewReno, FixedWindow> kind_;
};

}  // namespace runnel::tcp
