#include "runnel/tcp/congestion/bbr.hpp"

namespace runnel::tcp {

BbrModel& Bbr::model_of(const CongestionWindow& window, const PathView& path) {
    BbrModel* model = model_.get();
    return model != nullptr ? *model : model_.emplace(window.segments, path);
}

void Bbr::observe(CongestionWindow& window, const AckSummary& ack, const PathView& path) {
    if (model_.empty() && ack.octets_delivered == 0) {
        return;  // the SYN's ACK: there is nothing to model yet
    }
    BbrModel& model = model_of(window, path);
    model.on_ack(ack, path);
    window.segments = model.window_segments();
}

void Bbr::on_timeout(CongestionWindow& window, std::uint32_t allowed, const PathView& path) {
    BbrModel& model = model_of(window, path);
    model.on_timeout(allowed, path);
    window.segments = model.window_segments();
}

void Bbr::on_undo(CongestionWindow& window, bool) {
    if (BbrModel* model = model_.get(); model != nullptr) {
        model->on_undo();
        window.segments = model->window_segments();
    }
}

void Bbr::on_restart(CongestionWindow& window, Instant now, Duration) {
    if (BbrModel* model = model_.get(); model != nullptr) {
        model->on_restart(now);
        window.segments = model->window_segments();
    }
}

std::uint64_t Bbr::pacing_rate() const {
    const BbrModel* model = model_.get();
    return model == nullptr ? 0 : model->pacing_rate();
}

}  // namespace runnel::tcp
