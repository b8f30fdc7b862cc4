#include "runnel/tcp/congestion/controller.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

Controller::Kind make_kind(CongestionControl control, const TcpConfig& config) {
    // RFC 9293 §3.8.2, MAY-18: others can stand beside NewReno; `fixed` is for tests.
    switch (control) {
        case CongestionControl::fixed: return FixedWindow();
        case CongestionControl::new_reno: return NewReno(config.linux_recovery);
        case CongestionControl::cubic: return Cubic(config.hystart);
        case CongestionControl::bbr: return Bbr();
        case CongestionControl::dctcp: return Dctcp();
    }
    return FixedWindow();
}

/// Of whole segments, as Linux has it.
std::uint32_t three_quarters(std::uint32_t segments) {
    return segments / 2 + segments / 4;
}

}  // namespace

Controller::Controller(const TcpConfig& config)
    : window_{config.initial_window_segments},
      kind_(make_kind(config.congestion_control, config)) {}

void Controller::reduce(CongestionEvent event, const PathView& path) {
    prior_window_ = window_.segments;
    // An undo finds it where a flow that had come so far would have it at least (Linux, tcp_current_ssthresh).
    prior_threshold_ = owns_window() || path.recovering
                           ? window_.threshold
                           : std::max(window_.threshold, three_quarters(window_.segments));
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
    std::visit([&](auto& c) { c.on_timeout(window_, window, path); }, kind_);
    if (!owns_window()) {
        set_window(window);  // the loss window of RFC 5681 §3.1, 5681-M7, 5681-M13
    }
}

void Controller::undo() {
    const bool restored = window_.segments < prior_window_;
    window_.segments = std::max(window_.segments, prior_window_);
    window_.threshold = std::max(window_.threshold, prior_threshold_);
    std::visit([&](auto& c) { c.on_undo(window_, restored); }, kind_);
}

void Controller::set_window(std::uint32_t segments) {
    if (!owns_window()) {
        window_.segments = std::clamp(segments, 1U, kMaxWindowSegments);
        window_.credit = 0;
    }
}

void Controller::remember_window() {
    if (!owns_window()) {
        window_.threshold = std::max(window_.threshold, three_quarters(window_.segments));
    }
}

void Controller::limit_window(std::uint32_t segments) {
    // BBR knows better than anyone what the path carries, once it knows anything.
    if (!owns_window() || (control() == CongestionControl::bbr && is_fresh())) {
        window_.segments = std::min(window_.segments, segments);
    }
}

void Controller::use(CongestionControl control, const TcpConfig& config) {
    kind_ = make_kind(control, config);
    if (control == CongestionControl::fixed) {
        window_.threshold = kUnknownThreshold;
    }
}

bool Controller::is_fresh() const {
    return window_.credit == 0 && prior_window_ == 0 && prior_threshold_ == 0 &&
           std::visit([](const auto& c) { return c.is_fresh(); }, kind_);
}

void DormantController::put_to_sleep(const Controller& controller) {
    if (!controller.is_fresh()) {
        whole_ = std::make_unique<const Controller>(controller);
        return;
    }
    whole_ = nullptr;
    window_ = controller.window();
    threshold_ = controller.threshold();
    control_ = controller.control();
}

Controller DormantController::awake(const TcpConfig& config) const {
    if (whole_ != nullptr) {
        return *whole_;
    }
    Controller controller(config);
    controller.window_ = {.segments = window_, .threshold = threshold_};
    controller.kind_ = make_kind(control_, config);
    return controller;
}

}  // namespace runnel::tcp
