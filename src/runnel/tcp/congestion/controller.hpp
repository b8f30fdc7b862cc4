// Congestion control behind one variant: chosen by name, called without virtual functions. Recovery decides
// when there was a loss, the controller what that means for the window and the threshold.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "runnel/tcp/config.hpp"
#include "runnel/tcp/congestion/bbr.hpp"
#include "runnel/tcp/congestion/cubic.hpp"
#include "runnel/tcp/congestion/dctcp.hpp"
#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"

namespace runnel::tcp {

class Controller {
public:
    using Kind = std::variant<NewReno, FixedWindow, Cubic, Dctcp, Bbr>;

    explicit Controller(const TcpConfig& config);

    [[nodiscard]] std::uint32_t window() const { return window_.segments; }
    [[nodiscard]] std::uint32_t threshold() const { return window_.threshold; }
    [[nodiscard]] bool in_slow_start() const { return window_.in_slow_start(); }
    /// It sets the window itself also while losses are repaired (BBR); else PRR does then.
    [[nodiscard]] bool owns_window() const {
        return std::visit([](const auto& c) { return c.kOwnsWindow; }, kind_);
    }

    /// At every ACK, before `reduce`: what a reduction by marks depends on.
    void note_marks(const AckSummary& ack, Seq64 una, Seq64 nxt) {
        std::visit([&](auto& c) { c.note_marks(ack, una, nxt); }, kind_);
    }
    /// At every ACK: what must be counted even while the window may not grow. A kind that owns the window sets it
    /// here.
    void observe(const AckSummary& ack, const PathView& path) {
        std::visit([&](auto& c) { c.observe(window_, ack, path); }, kind_);
    }
    /// New data was acknowledged outside of recovery while the window was what limited us (RFC 5681 §3.1).
    void on_ack(const AckSummary& ack, const PathView& path) {
        std::visit([&](auto& c) { c.on_ack(window_, ack, path); }, kind_);
    }
    /// Congestion: remembers where the window stood (for `undo`), and sets the threshold. The window follows ACK
    /// by ACK (PRR), at once with `finish_reduction`.
    void reduce(CongestionEvent event, const PathView& path);
    /// The reduction is over: the window is the threshold (RFC 9937 §6).
    void finish_reduction();
    /// A retransmission timeout (RFC 5681 §3.1); `first`: the first of this loss, which alone moves the threshold.
    /// `window`: what may be in flight from now on, segments.
    void on_timeout(bool first, std::uint32_t window, const PathView& path);
    /// The last reduction was a mistake (RFC 4015, RFC 3708): everything as it was before.
    void undo();
    /// While losses are repaired the window is what PRR says.
    void set_window(std::uint32_t segments);
    /// Before the window falls without a loss: three quarters of it are where slow start may go back to (RFC 2861 §3.1).
    void remember_window();
    /// RFC 5681 §4.1 and for what the handshake has shown: not more than `segments`.
    void limit_window(std::uint32_t segments);
    /// Sending begins again at `now`, `idle` after the last transmission, without anything in flight.
    void on_restart(Instant now, Duration idle) {
        std::visit([&](auto& c) { c.on_restart(window_, now, idle); }, kind_);
    }
    /// Octets a second at which to send; 0: what follows from the window and the round trip.
    [[nodiscard]] std::uint64_t pacing_rate() const {
        return std::visit([](const auto& c) { return c.pacing_rate(); }, kind_);
    }
    /// As it stood before the last reduction; for PRR and observers.
    [[nodiscard]] std::uint32_t prior_window() const { return prior_window_; }

    /// The BBR behind it, or nullptr; for observers.
    [[nodiscard]] const BbrModel* bbr() const {
        const Bbr* bbr = std::get_if<Bbr>(&kind_);
        return bbr == nullptr ? nullptr : bbr->model();
    }
    [[nodiscard]] CongestionControl control() const {
        return std::visit([](const auto& c) { return c.kControl; }, kind_);
    }
    [[nodiscard]] const char* name() const {
        return std::visit([](const auto& c) { return c.kName; }, kind_);
    }
    /// Another one takes over the window and the threshold (TCP_CONGESTION).
    void use(CongestionControl control, const TcpConfig& config);

private:
    friend class DormantController;

    /// Nothing is known but window and threshold, and what `on_restart` forgets.
    [[nodiscard]] bool is_fresh() const;

    CongestionWindow window_;
    std::uint32_t prior_window_ = 0;
    std::uint32_t prior_threshold_ = 0;
    Kind kind_;
};

/// A controller while nothing is in flight: two numbers, as long as nothing else is known. The rest lies out of
/// line. Waking it up makes no difference to one that never slept, as sending begins again with `on_restart`.
class DormantController {
public:
    void put_to_sleep(const Controller& controller);
    [[nodiscard]] Controller awake(const TcpConfig& config) const;

private:
    std::uint32_t window_ = 0;
    std::uint32_t threshold_ = 0;
    CongestionControl control_ = CongestionControl::new_reno;
    std::unique_ptr<const Controller> whole_;
};

}  // namespace runnel::tcp
