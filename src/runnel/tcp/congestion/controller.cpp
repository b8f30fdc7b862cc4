#include "runnel/tcp/congestion/controller.hpp"

#include <algorithm>

#include "runnel/tcp/names.hpp"

namespace runnel::tcp {

namespace {

std::variant<NewReno, FixedWindow> make_kind(CongestionControl control) {
    // RFC 9293 §3.8.2, MAY-18: others can stand beside NewReno; `fixed` is for tests.
    switch (control) {
        case CongestionControl::fixed: return FixedWindow();
        case CongestionControl::new_reno: break;
        case CongestionControl::cubic: break;
        case CongestionControl::bbr: break;
        case CongestionControl::dctcp: break;
    }
    return NewReno();
}

}  // namespace

Controller::Controller(const TcpConfig& config)
    : window_{config.initial_window_segments}, kind_(make_kind(config.congestion_control)) {}

void Controller::reduce(CongestionEvent event, const PathView& path) {
    prior_window_ = window_.segments;
    prior_threshold_ = window_.threshold;
    window_.threshold =
        std::visit([&](auto& c) { return c.threshold_after(event, window_, path); }, kind_);
    window_.credit = 0;
}

void Controller::finish_reduction() {
    if (!owns_window() && window_.threshold < kUnknownThreshold) {
        window_.segments = std::max(window_.threshold, 1U);
    }
}

void Controller::on_timeout(bool first, std::uint32_t window, const PathView& path) {
    if (first) {
        reduce(CongestionEvent::timeout, path);
    }
    std::visit([&](auto& c) { c.on_timeout(path); }, kind_);
    if (!owns_window()) {
        set_window(window);
    }
}

void Controller::undo() {
    window_.segments = std::max(window_.segments, prior_window_);
    window_.threshold = std::max(window_.threshold, prior_threshold_);
    std::visit([](auto& c) { c.on_undo(); }, kind_);
}

void Controller::set_window(std::uint32_t segments) {
    if (!owns_window()) {
        window_.segments = std::clamp(segments, 1U, kMaxWindowSegments);
        window_.credit = 0;
    }
}

void Controller::limit_window(std::uint32_t segments) {
    if (!owns_window()) {
        window_.segments = std::min(window_.segments, segments);
    }
}

void Controller::use(CongestionControl control) {
    kind_ = make_kind(control);
    if (control == CongestionControl::fixed) {
        window_.threshold = kUnknownThreshold;
    }
}

const char* Controller::name() const {
    return std::holds_alternative<NewReno>(kind_) ? "newreno" : "fixed";
}

}  // namespace runnel::tcp
