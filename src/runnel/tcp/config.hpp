// Configuration as a value: what Linux calls sysctls and socket options, each with its default and its
// bounds. One per host; a connection copies the few it may change. Three profiles (DESIGN §4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "runnel/base/result.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"

namespace runnel::tcp {

enum class Profile : std::uint8_t { modern, linux_like, rfc };

enum class CongestionControl : std::uint8_t { new_reno, fixed, cubic, bbr, dctcp };

/// What Fast Open cookies are made with (RFC 7413 §4.1.2): the key of new ones, and that of those given out
/// before it was changed.
struct FastOpenKeys {
    SipKey primary;
    std::optional<SipKey> backup;
};

/// Values of a host's TCP. Comments give Linux's name (settable with --set) and the unit.
struct TcpConfig {
    // Opening
    Duration syn_rto = seconds(1);  ///< first SYN timeout, RFC 6298 §2.1
    std::uint32_t syn_retries = 6;  ///< tcp_syn_retries, 0..127; Linux 6
    std::uint32_t syn_linear_timeouts =
        0;                             ///< tcp_syn_linear_timeouts: tries 1 s apart first; Linux 4
    std::uint32_t synack_retries = 5;  ///< tcp_synack_retries, 0..127
    std::uint32_t max_syn_backlog = 1024;  ///< tcp_max_syn_backlog: embryos of one listener
    std::uint8_t syn_cookies = 1;          ///< tcp_syncookies: 1 when the backlog is full, 2 always
    /// tcp_fastopen, the bits below: RFC 7413.
    std::uint32_t fast_open = kFastOpenClient;
    static constexpr std::uint32_t kFastOpenClient = 0x1, kFastOpenServer = 0x2,
                                   kFastOpenClientNoCookie = 0x4, kFastOpenServerNoCookie = 0x200,
                                   kFastOpenEveryListener = 0x400;
    /// tcp_fastopen_key; without it made of the host's secret.
    std::optional<FastOpenKeys> fast_open_keys;
    /// tcp_fastopen_blackhole_timeout_sec; Linux 0: never pause
    Duration fast_open_blackhole_timeout = seconds(3600);
    std::uint32_t somaxconn = 4096;  ///< somaxconn: greatest accept backlog
    bool abort_on_overflow = false;  ///< tcp_abort_on_overflow
    bool timestamps = true;          ///< tcp_timestamps, RFC 7323
    bool window_scaling = true;      ///< tcp_window_scaling
    bool sack = true;                ///< tcp_sack
    std::uint16_t port_low = 32768;  ///< ip_local_port_range
    std::uint16_t port_high = 60999;
    std::uint16_t minimum_mss = 48;  ///< tcp_min_snd_mss
    // Retransmission
    Duration rto_min = milliseconds(200);  ///< RFC 6298 §2.4 says 1 s; Linux 200 ms
    Duration rto_max = seconds(120);       ///< tcp_rto_max_ms
    Duration rto_initial = seconds(1);
    bool linux_rto =
        true;  ///< Linux: SRTT + max(rto_min, the most 4 RTTVAR of a flight), and a falling RTT doesn't raise it
    /// Every sample counts the less the more there are in a round trip (RFC 7323 appendix G); Linux: an eighth each.
    bool rtt_gain_by_flight = true;
    std::uint32_t retries1 = 3;                  ///< tcp_retries1: ask the path anew (R1, MUST-20)
    std::uint32_t retries2 = 15;                 ///< tcp_retries2: give up (R2, MUST-20)
    std::uint32_t orphan_retries = 8;            ///< tcp_orphan_retries (0 means 8)
    std::uint32_t initial_window_segments = 10;  ///< RFC 6928
    std::uint32_t duplicate_ack_threshold = 3;   ///< tcp_reordering
    CongestionControl congestion_control = CongestionControl::cubic;  ///< tcp_congestion_control
    bool slow_start_after_idle = true;                                ///< tcp_slow_start_after_idle
    // Recovery
    /// tcp_recovery, the bits below: RACK (RFC 8985); without it the rule of RFC 6675.
    std::uint32_t recovery = kRack;
    static constexpr std::uint32_t kRack = 0x1, kRackStaticWindow = 0x2, kRackNoThreshold = 0x4;
    bool tail_loss_probe = true;  ///< tcp_early_retrans: 3 and 4; RFC 8985 §7
    bool probe_for_rto =
        true;                 ///< a probe that would come after the RTO replaces it (RFC 8985 §7.2)
    bool frto = true;         ///< tcp_frto: RFC 5682
    bool rto_restart = true;  ///< RFC 7765; Linux has none
    /// Thresholds are of the window, not of what is in flight; the ACK that ends a repair may grow it; reordering is not learnt
    /// from a repair that was needless as a whole (Linux).
    bool linux_recovery = false;
    bool prr_by_flight = true;  ///< RecoverFS is what was in flight (RFC 9937); Linux: the window
    std::uint32_t max_reordering = 300;  ///< tcp_max_reordering, segments
    bool hystart = true;                 ///< leave slow start before losses (RFC 9406), CUBIC only
    // Pacing
    bool pacing =
        true;  ///< also for controllers that don't need it; Linux leaves that to the queue
    std::uint32_t pacing_slow_start = 200;  ///< tcp_pacing_ss_ratio, % of window / round trip
    std::uint32_t pacing_avoidance = 120;   ///< tcp_pacing_ca_ratio
    // ECN
    /// tcp_ecn: 0 off, 1 ask and accept, 2 accept; 3 ask for and accept AccECN, 4 ask for ECN, accept AccECN, 5
    /// accept AccECN
    std::uint32_t ecn = 2;
    bool ecn_fallback = true;         ///< tcp_ecn_fallback: a SYN again asks for none
    std::uint32_t accecn_option = 2;  ///< tcp_ecn_option: 0 none, 1 when needed, 2 also as beacons
    // Path MTU
    std::uint32_t mtu_probing =
        1;  ///< tcp_mtu_probing: 0 off, 1 where a black hole shows, 2 always
    std::uint32_t base_mss = 1024;       ///< tcp_base_mss: where a search begins
    std::uint32_t mtu_probe_floor = 48;  ///< tcp_mtu_probe_floor: least MSS of a search
    std::uint32_t mtu_probe_threshold =
        8;  ///< tcp_probe_threshold: a search narrower than that ends
    Duration mtu_probe_interval =
        seconds(600);  ///< tcp_probe_interval: then larger ones are tried again
    bool mtu_needs_evidence =
        true;  ///< ICMP says less than what has got through: only once that is lost (RFC 5927 §7.2)
    /// How much older the timestamp of a segment may be that others have overtaken; one from before the last wrap, 2^32
    /// octets ago, is older than 250 ms up to 137 Gbit/s. 0: RFC 7323 §5.3 to the letter, where each retransmission
    /// that fills a gap makes true losses of all that is held back behind it.
    Duration paws_tolerance = milliseconds(250);
    // Acknowledging
    Duration delayed_ack_min = milliseconds(40);
    Duration delayed_ack_max = milliseconds(200);  ///< below MUST-40's 500 ms
    std::uint32_t quick_acks = 16;                 ///< segments acknowledged at once at the start
    bool ack_on_read = true;  ///< a delayed ACK goes when all has been read, as in Linux
    std::uint32_t challenge_ack_limit =
        1000;  ///< tcp_challenge_ack_limit, a second for the host (RFC 5961 §7)
    Duration invalid_ack_interval = milliseconds(500);  ///< tcp_invalid_ratelimit
    // Buffers, bytes
    // Two windows of 300 ms at 1 Gbit/s, and as much as 16 bits scaled by 10 can offer: the unit of the window
    // stays below a segment.
    std::uint32_t send_buffer = 128u << 20;         ///< tcp_wmem, greatest
    std::uint32_t receive_buffer = 65'535u << 10;   ///< tcp_rmem, greatest
    std::uint32_t initial_send_buffer = 64 * 1024;  ///< tcp_wmem, the second: grows with the window
    std::uint32_t initial_receive_window = 64 * 1024;
    bool window_autotuning = true;       ///< tcp_moderate_rcvbuf
    bool send_buffer_autotuning = true;  ///< the send buffer grows with the congestion window
    // Idle and closing
    Duration keepalive_time = seconds(7200);  ///< tcp_keepalive_time, MUST-28
    Duration keepalive_interval = seconds(75);
    std::uint32_t keepalive_probes = 9;
    Duration fin_timeout = seconds(60);  ///< tcp_fin_timeout: FIN-WAIT-2 of an orphan
    Duration msl = seconds(30);   ///< TIME-WAIT lasts 2 MSL; RFC says 2 min, Linux 60 s for both
    bool rfc1337 = true;          ///< tcp_rfc1337: RST doesn't end TIME-WAIT
    bool time_wait_reuse = true;  ///< RFC 6191
    Duration user_timeout = {};   ///< TCP_USER_TIMEOUT, 0: by retries2
    bool icmp_aborts = false;     ///< a hard ICMP error ends established connections too (SHLD-26)
    bool icmp_aborts_opening =
        false;  ///< a soft one ends what is not established yet (Linux, RFC 5461)
    Duration sleep_after = seconds(1);  ///< a connection so long quiet is packed, to save memory
    std::uint32_t max_connections = 1u << 20;
    std::uint32_t max_time_wait = 262'144;  ///< tcp_max_tw_buckets
    std::uint32_t max_orphans = 65'536;     ///< tcp_max_orphans
    // Segments
    bool super_segments = true;  ///< up to 64 KB with a GSO size
    std::uint8_t hop_limit = 64;
};

[[nodiscard]] TcpConfig profile_config(Profile profile);

/// Sets one field by its Linux name ("tcp_syn_retries") or ours ("msl_ms"). `argument_invalid` when the
/// value is no number or out of bounds, `option_not_supported` when there is no such name.
Status set_by_name(TcpConfig& config, std::string_view name, std::string_view value);

/// Every name that `set_by_name` takes, with a sentence for --help.
struct ConfigName {
    std::string_view name;
    std::string_view sentence;
};
[[nodiscard]] std::span<const ConfigName> config_names();

}  // namespace runnel::tcp
