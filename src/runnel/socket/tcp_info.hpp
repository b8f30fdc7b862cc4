// getsockopt(TCP_INFO) as Linux answers it: the same names, units and meanings (include/uapi/linux/tcp.h,
// tcp_get_info), made from the engine's own snapshot. drill's scripts, asio and the C API read it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/tcp/config.hpp"
#include "runnel/tcp/status.hpp"

namespace runnel {

/// Times in microseconds unless said otherwise, windows of the sender in segments, sizes in bytes. What was
/// never measured shows what Linux shows then.
struct TcpInfo {
    std::uint8_t tcpi_state = 0;     ///< kTcpEstablished … kTcpClosing
    std::uint8_t tcpi_ca_state = 0;  ///< 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
    std::uint8_t tcpi_retransmits = 0;
    std::uint8_t tcpi_probes = 0;
    std::uint8_t tcpi_backoff = 0;
    std::uint8_t tcpi_options = 0;  ///< kTcpi…
    std::uint8_t tcpi_snd_wscale = 0;
    std::uint8_t tcpi_rcv_wscale = 0;
    bool tcpi_delivery_rate_app_limited = true;
    std::uint8_t tcpi_fastopen_client_fail = 0;

    std::uint32_t tcpi_rto = 0;
    std::uint32_t tcpi_ato = 0;
    std::uint32_t tcpi_snd_mss = 0;
    std::uint32_t tcpi_rcv_mss = 0;

    std::uint32_t tcpi_unacked = 0;  ///< of a listener: connections to be accepted
    std::uint32_t tcpi_sacked = 0;   ///< of a listener: its backlog
    std::uint32_t tcpi_lost = 0;
    std::uint32_t tcpi_retrans = 0;
    std::uint32_t tcpi_fackets = 0;

    std::uint32_t tcpi_last_data_sent = 0;  ///< milliseconds ago
    std::uint32_t tcpi_last_ack_sent = 0;   ///< not remembered, as in Linux
    std::uint32_t tcpi_last_data_recv = 0;  ///< milliseconds ago
    std::uint32_t tcpi_last_ack_recv = 0;   ///< milliseconds ago

    std::uint32_t tcpi_pmtu = 0;
    std::uint32_t tcpi_rcv_ssthresh = 0;
    std::uint32_t tcpi_rtt = 0;
    std::uint32_t tcpi_rttvar = 0;
    std::uint32_t tcpi_snd_ssthresh = 0;
    std::uint32_t tcpi_snd_cwnd = 0;
    std::uint32_t tcpi_advmss = 0;
    std::uint32_t tcpi_reordering = 0;

    std::uint32_t tcpi_rcv_rtt = 0;
    std::uint32_t tcpi_rcv_space = 0;

    std::uint32_t tcpi_total_retrans = 0;

    std::uint64_t tcpi_pacing_rate = 0;  ///< bytes a second
    std::uint64_t tcpi_max_pacing_rate = ~std::uint64_t{0};
    std::uint64_t tcpi_bytes_acked = 0;     ///< SYN (of who connected) and FIN count
    std::uint64_t tcpi_bytes_received = 0;  ///< the peer's FIN counts
    std::uint32_t tcpi_segs_out = 0;
    std::uint32_t tcpi_segs_in = 0;

    std::uint32_t tcpi_notsent_bytes = 0;
    std::uint32_t tcpi_min_rtt = 0;
    std::uint32_t tcpi_data_segs_in = 0;
    std::uint32_t tcpi_data_segs_out = 0;

    std::uint64_t tcpi_delivery_rate = 0;  ///< bytes a second

    std::uint64_t tcpi_busy_time = 0;
    std::uint64_t tcpi_rwnd_limited = 0;
    std::uint64_t tcpi_sndbuf_limited = 0;

    std::uint32_t tcpi_delivered = 0;
    std::uint32_t tcpi_delivered_ce = 0;

    std::uint64_t tcpi_bytes_sent = 0;  ///< retransmissions too
    std::uint64_t tcpi_bytes_retrans = 0;
    std::uint32_t tcpi_dsack_dups = 0;
    std::uint32_t tcpi_reord_seen = 0;

    std::uint32_t tcpi_rcv_ooopack = 0;
    std::uint32_t tcpi_snd_wnd = 0;
    std::uint32_t tcpi_rcv_wnd = 0;

    std::uint32_t tcpi_rehash = 0;     ///< no flow label is ever changed
    std::uint16_t tcpi_total_rto = 0;  ///< timeouts of the retransmission timer
    std::uint16_t tcpi_total_rto_recoveries = 0;
    std::uint32_t tcpi_total_rto_time = 0;

    std::uint32_t tcpi_received_ce = 0;  ///< segments that came marked
    std::uint32_t tcpi_delivered_e1_bytes =
        0;  ///< of ours, as the peer's AccECN options count them
    std::uint32_t tcpi_delivered_e0_bytes = 0;
    std::uint32_t tcpi_delivered_ce_bytes = 0;
    std::uint32_t tcpi_received_e1_bytes = 0;
    std::uint32_t tcpi_received_e0_bytes = 0;
    std::uint32_t tcpi_received_ce_bytes = 0;
    std::uint16_t tcpi_accecn_fail_mode = 0;
    std::uint16_t tcpi_accecn_opt_seen = 0;
};

/// Bits of tcpi_options.
inline constexpr std::uint8_t kTcpiOptTimestamps = 1;
inline constexpr std::uint8_t kTcpiOptSack = 2;
inline constexpr std::uint8_t kTcpiOptWscale = 4;
inline constexpr std::uint8_t kTcpiOptEcn = 8;
inline constexpr std::uint8_t kTcpiOptEcnSeen = 16;
inline constexpr std::uint8_t kTcpiOptSynData = 32;

/// Linux's number of a state: TCP_ESTABLISHED 1 … TCP_CLOSING 11.
[[nodiscard]] std::uint8_t linux_state(tcp::State state);

/// Octets of struct tcp_info as far as it goes here: all that Linux 6.18 has.
inline constexpr std::size_t kTcpInfoBytes = 280;
/// `info` as Linux lays it out (numbers in this machine's order).
[[nodiscard]] std::array<std::byte, kTcpInfoBytes> tcp_info_bytes(const TcpInfo& info);

/// `status` in Linux's terms. `now`: when it was taken.
[[nodiscard]] TcpInfo make_tcp_info(const tcp::ConnectionStatus& status,
                                    const tcp::TcpConfig& config, Instant now);

}  // namespace runnel
