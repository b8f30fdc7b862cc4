// What the SYNs agree on: MSS (RFC 9293 §3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018).
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/path/path_mtu.hpp"

namespace runnel::tcp {

void negotiate(Tcb& tcb, const TcpHeader& syn, const TcpConfig& config, Instant now) {
    const bool v4 = tcb.tuple.local.address.is_v4();
    // RFC 9293 §3.7.1, MUST-14: the peer's MSS; MUST-15: without the option 536 (IPv4) or 1220 (IPv6).
    const std::uint16_t without = v4 ? 536 : 1220;
    tcb.options.peer_mss =
        std::max<std::uint16_t>(syn.options.mss.value_or(without), config.minimum_mss);
    // RFC 7323 §2.2, 7323-M1.
    if (config.window_scaling && syn.options.window_scale) {
        tcb.options.window_scale = true;
        // RFC 7323 §2.3, 7323-M4: a shift above 14 is taken as 14.
        tcb.options.send_scale = std::min<std::uint8_t>(*syn.options.window_scale, 14);
    } else {
        tcb.options.window_scale = false;
        tcb.options.send_scale = 0;
        tcb.options.receive_scale = 0;
    }
    tcb.options.sack = config.sack && syn.options.sack_permitted;
    tcb.options.timestamps = config.timestamps && syn.options.timestamps.has_value() &&
                             (tcb.md5 == nullptr || !tcb.options.sack);  // no room for all (Linux)
    if (tcb.options.timestamps) {
        tcb.options.ts_recent = syn.options.timestamps->value;
        tcb.options.ts_recent_at = now;
    }
    start_mtu_search(tcb, config);
    // What the peer calls a full segment is seen from its data; until then no more than every TCP sends, and
    // no more than what fits twice into the buffer (Linux's rcv_mss).
    const std::uint32_t both = std::min<std::uint32_t>(tcb.options.local_mss, tcb.send_mss(config));
    tcb.ack.set_segment_size(std::clamp<std::uint32_t>(tcb.receive_limit / 2, 1,
                                                       std::min<std::uint32_t>(both, without)));
}

}  // namespace runnel::tcp
