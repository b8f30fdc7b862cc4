#include "runnel/tcp/congestion/controller.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {
std::uint32_t half_of(std::uint32_t in_flight) {
    return std::max(in_flight / 2, 2U);
}

std::variant<NewReno, FixedWindow> make_controller(const TcpConfig& config) {
    // RFC 9293 §3.8.2, MAY-18: others can stand beside NewReno; `fixed` is for tests.
    if (config.congestion_control == CongestionControl::fixed) {
        return FixedWindow(config.initial_window_segments);
    }
    return NewReno(config.initial_window_segments);
}
}  // namespace

void NewReno::on_ack(const AckSummary& ack) {
    std::uint32_t acked = ack.segments_acked;
    if (in_slow_start()) {
        // RFC 9293 §3.8.2, MUST-19.
        // RFC 5681 §3.1 equation 2 by segments acknowledged, so that stretched ACKs don't slow it down;
        // it stops exactly at the threshold.
        const std::uint32_t grow = std::min(acked, threshold_ - window_);
        window_ = std::min(window_ + grow, kMaxWindowSegments);
        acked -= grow;
    }
    if (acked == 0) {
        return;
    }
    // RFC 5681 §3.1, 5681-M5.
    // Equation 3: one segment a window's worth of acknowledged segments.
    credit_ += acked;
    if (credit_ >= window_) {
        credit_ -= window_;
        window_ = std::min(window_ + 1, kMaxWindowSegments);
    }
}

void NewReno::on_loss(std::uint32_t in_flight) {
    threshold_ = half_of(in_flight);  // RFC 5681 equation 4, 5681-M8
    window_ = threshold_;
    credit_ = 0;
}

void NewReno::on_recovered(std::uint32_t in_flight) {
    // 5681-M10; RFC 6582 §3.2 step 3, first choice: no burst of what the pipe has lost meanwhile.
    window_ = std::min(threshold_, std::max(in_flight, 1U) + 1);
    credit_ = 0;
}

void NewReno::on_timeout(std::uint32_t in_flight, bool first) {
    if (first) {
        threshold_ = half_of(in_flight);  // RFC 5681 §3.1, 5681-M6
    }
    window_ = 1;  // the loss window of RFC 5681 §3.1, 5681-M7, 5681-M13
    credit_ = 0;
}

void NewReno::on_idle(std::uint32_t initial_window) {
    window_ = std::min(window_, initial_window);
}

Controller::Controller(const TcpConfig& config) : kind_(make_controller(config)) {}

void Controller::use(CongestionControl control) {
    if (control == CongestionControl::fixed) {
        kind_ = FixedWindow(window());
    } else {
        kind_ = NewReno(window(), threshold());
    }
}

const char* Controller::name() const {
    return std::holds_alternative<NewReno>(kind_) ? "newreno" : "fixed";
}

}  // namespace runnel::tcp
