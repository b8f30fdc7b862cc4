#include "runnel/tcp/recovery/rate_sampler.hpp"

namespace runnel::tcp {

void RateSampler::on_ack(AckSummary& ack, Instant now, Duration min_rtt) {
    if (ack.octets_delivered > 0) {
        delivered_ += ack.octets_delivered;
        delivered_at_ = now;
    }
    if (app_limited_until_ != 0 && delivered_ > app_limited_until_) {
        app_limited_until_ = 0;
    }
    ack.rate.all_lost = lost_;
    if (!ack.newest.known) {
        return;
    }
    const RateStamp& stamp = ack.newest.stamp;
    RateSample& sample = ack.rate;
    sample.prior_delivered = stamp.delivered;
    sample.tx_in_flight = stamp.in_flight;
    sample.app_limited = stamp.app_limited;
    sample.lost = static_cast<std::uint32_t>(static_cast<std::uint32_t>(lost_) - stamp.lost);
    sample.delivered = delivered_ - stamp.delivered;
    // The longer of the two: neither ACKs that come in a bunch nor a burst of ours make the path look faster.
    sample.interval = std::max(ack.newest.at - stamp.flight_began, now - stamp.delivered_at);
    flight_began_ = ack.newest.at;  // the sending time of what is sent from now on counts from here
    if (sample.interval < min_rtt) {
        sample.interval = {};  // shorter than the path's least round trip: no sample
        return;
    }
    if (sample.valid() &&
        (!sample.app_limited || last_app_limited_ || sample.rate() >= last_rate_)) {
        last_rate_ = sample.rate();
        last_app_limited_ = sample.app_limited;
    }
}

}  // namespace runnel::tcp
