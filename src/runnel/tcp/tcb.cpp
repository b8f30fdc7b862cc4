#include "runnel/tcp/tcb.hpp"

#include <algorithm>

#include "runnel/tcp/output/plan.hpp"

namespace runnel::tcp {

std::uint32_t Tcb::send_mss(const TcpConfig& config) const {
    const std::uint32_t headers = tuple.local.address.is_v4() ? 20 + 20 : 40 + 20;
    const std::uint32_t by_path = path_mtu > headers ? path_mtu - headers : 0;
    // RFC 9293 §3.7.1, MUST-16: SendMSS and the path bound the segment, options come out of it (RFC 6691).
    std::uint32_t mss = std::min<std::uint32_t>(options.peer_mss, by_path);
    if (user.maximum_segment != 0) {
        mss = std::min<std::uint32_t>(mss, user.maximum_segment);
    }
    // Over a path of 64 KB a segment is as long as one frame can be; longer ones would all be "small".
    mss = std::min<std::uint32_t>(mss, kMaxSuperSegment + option_bytes());
    mss = std::max<std::uint32_t>(mss, config.minimum_mss);
    return mss - std::min(option_bytes(), mss - 1);
}

std::uint32_t Tcb::option_bytes() const {
    std::uint32_t size = options.timestamps ? 12 : 0;
    if (md5 != nullptr) {
        size += kMd5OptionBytes;
    }
    const std::size_t most = most_sack_blocks();
    if (options.sack && most > 0 && (duplicate_pending || !reassembler.empty())) {
        const std::size_t blocks =
            std::min(reassembler.ranges() + (duplicate_pending ? 1U : 0U), most);
        size += 4 + 8 * static_cast<std::uint32_t>(blocks);
    }
    if (ecn != nullptr && ecn->must_send_option()) {
        size += std::min<std::uint32_t>(12, 40 - size);  // three counters, or those that fit
    }
    return size;
}

std::optional<SackBlock> Tcb::duplicate_to_tell() const {
    if (!duplicate_pending) {
        return {};
    }
    const Seq64 left = unwrap(duplicate.left, rcv.nxt);
    const Seq64 right = unwrap(duplicate.right, rcv.nxt);
    if (left < rcv.nxt) {
        return SackBlock{left.wire(), std::min(right, rcv.nxt).wire()};
    }
    if (reassembler.empty()) {
        return {};
    }
    const Reassembler::Part held = reassembler.first_held(left, right);
    return held.empty() ? std::nullopt
                        : std::optional(SackBlock{held.begin.wire(), held.end.wire()});
}

std::uint64_t Tcb::window_free() const {
    const std::uint64_t used = receive.size();
    std::uint64_t free = receive_limit > used ? receive_limit - used : 0;
    if (user.window_clamp != 0) {
        free = std::min<std::uint64_t>(free, user.window_clamp);
    }
    return std::min(free, std::uint64_t{65'535} << options.receive_scale);
}

std::uint64_t Tcb::window_to_offer() const {
    return std::max(window_free(), rcv.wnd());  // what has been promised stays promised
}

Duration Tcb::rto(const TcpConfig& config) const {
    // RFC 6298 §5.7, 6298-M8: where the SYN had to be sent again and gave no sample, data starts with 3 s.
    const bool lost_syn = is_synchronized(state) && syn_transmissions > 1;
    Duration unknown = lost_syn ? std::max(seconds(3), config.rto_initial) : config.rto_initial;
    if (snd.una == snd.iss) {
        unknown = config.syn_rto;  // RFC 6298 §2.1, for SYN and SYN,ACK
    }
    const Duration base = rtt.has_sample() ? rtt.rto(config) : unknown;
    const std::int64_t factor = std::int64_t{1} << std::min<int>(recovery.backoff, 30);
    return base.ns > config.rto_max.ns / factor ? config.rto_max : base * factor;
}

PathView Tcb::path_view(const TcpConfig& config, Instant now) const {
    PathView path;
    path.now = now;
    path.smoothed_rtt = rtt.smoothed();
    path.min_rtt = rtt.min_rtt();
    path.in_flight = in_flight();
    path.outstanding = retransmission.segments_out();
    path.mss = send_mss(config);
    path.initial_window = config.initial_window_segments;
    path.selective_acks = options.sack;
    path.una = snd.una;
    path.nxt = snd.nxt;
    path.delivered = rate.delivered();
    path.lost = rate.lost();
    // Who owns the window has no slow start to which half of it in use would do (draft-ietf-ccwg-bbr §2.2, Linux).
    path.window_limited = controller.owns_window()
                              ? window_use.limited()
                              : window_use.limited(controller.window(), controller.in_slow_start());
    path.app_limited = rate.app_limited();
    path.paced = pacer.rate() != 0;
    path.recovering = recovery.state >= RecoveryState::recovery;
    return path;
}

void Tcb::update_pacing(const TcpConfig& config) {
    if (const std::uint64_t own = controller.pacing_rate(); own != 0) {
        pacer.set_rate(own);
        return;
    }
    const auto round_trip = static_cast<std::uint64_t>(rtt.smoothed().ns);
    if (!config.pacing || round_trip == 0) {
        pacer.set_rate(0);
        return;
    }
    // Faster than the window by so much that the window fills all the same, and doubles in slow start (Linux).
    const std::uint32_t cwnd = std::max(controller.window(), in_flight());
    const bool early = controller.window() < controller.threshold() / 2;
    const std::uint64_t octets = std::uint64_t{cwnd} * send_mss(config) *
                                 (early ? config.pacing_slow_start : config.pacing_avoidance);
    pacer.set_rate(mul_div(octets, 10'000'000U, round_trip));
}

std::uint32_t Tcb::in_flight() const {
    const std::uint32_t pipe = retransmission.in_flight();
    // 5681-M9: without SACK each duplicate ACK stands for a segment that has arrived (RFC 6582's inflation, seen
    // from the other side).
    if (options.sack) {
        return pipe;
    }
    return pipe > recovery.duplicate_acks ? pipe - recovery.duplicate_acks : 0;
}

}  // namespace runnel::tcp
