// What each field of TCP_INFO means in the engine's words. Where this differs from what the engine counts,
// Linux 6.18 was asked over loopback (tests/unit/socket/tcp_info_test.cpp says what it answered).
#include "runnel/socket/tcp_info.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {

using tcp::ConnectionStatus;
using tcp::State;

constexpr std::uint32_t kDefaultMss = 536;                // TCP_MSS_DEFAULT
constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};   // a pacing rate that was never computed
constexpr std::uint32_t kUnmeasured = ~std::uint32_t{0};  // min_rtt without a sample
constexpr std::uint32_t kUnknownThreshold = 0x7fff'ffff;  // TCP_INFINITE_SSTHRESH
constexpr std::uint32_t kTimestampBytes = 12;             // TCPOLEN_TSTAMP_ALIGNED
constexpr std::int64_t kUnknownVariation = 250'000;       // mdev_us of a new socket

template <class To>
To saturated(std::uint64_t value) {
    return static_cast<To>(std::min<std::uint64_t>(value, static_cast<To>(~To{0})));
}
std::uint32_t micros(Duration duration) {
    return saturated<std::uint32_t>(
        static_cast<std::uint64_t>(std::max<std::int64_t>(duration.micros(), 0)));
}
std::uint32_t millis_since(Instant then, Instant now) {
    return static_cast<std::uint32_t>((now - then).millis());
}

std::uint8_t ca_state(std::string_view name) {
    constexpr std::array<std::string_view, 5> kNames = {"open", "disorder", "cwr", "recovery",
                                                        "loss"};
    const auto at = std::find(kNames.begin(), kNames.end(), name);
    return at == kNames.end() ? std::uint8_t{0} : static_cast<std::uint8_t>(at - kNames.begin());
}

/// The rate at which we pace; where we don't, what tcp_update_pacing_rate computes all the same: twice the rate of a
/// window a round trip in slow start, 1.2 times it later.
std::uint64_t pacing_rate(const ConnectionStatus& s) {
    if (s.pacing_rate != 0) {
        return s.pacing_rate;
    }
    if (s.rtt.micros() <= 0) {
        return kUnlimited;
    }
    const std::uint64_t percent = s.cwnd_segments < s.ssthresh_segments / 2 ? 200 : 120;
    const std::uint64_t window = std::max(s.cwnd_segments, s.segments_out);
    const std::uint64_t per_second = std::uint64_t{s.snd_mss} * 1'000'000 / 100 * percent;
    return per_second * window / static_cast<std::uint64_t>(s.rtt.micros());
}

void fill_times(const ConnectionStatus& s, Instant now, TcpInfo& info) {
    info.tcpi_rto = micros(s.rto);
    info.tcpi_ato = micros(s.ack_delay);
    info.tcpi_last_data_sent = millis_since(s.last_data_sent, now);
    info.tcpi_last_data_recv = millis_since(s.last_data_received, now);
    info.tcpi_last_ack_recv = millis_since(s.last_ack_received, now);
    const bool measured = s.rtt.ns > 0;
    info.tcpi_rtt = micros(s.rtt);
    info.tcpi_rttvar = measured ? micros(s.rtt_variance) : std::uint32_t{kUnknownVariation};
    info.tcpi_min_rtt = measured ? micros(s.rtt_min) : kUnmeasured;
    // What runs is counted up to now.
    tcp::BusyTimes spent = s.spent;
    spent.account(s.busy_kind, now - s.busy_since);
    info.tcpi_busy_time = static_cast<std::uint64_t>(spent.busy.micros());
    info.tcpi_rwnd_limited = static_cast<std::uint64_t>(spent.window_limited.micros());
    info.tcpi_sndbuf_limited = static_cast<std::uint64_t>(spent.buffer_limited.micros());
}

void fill_counts(const ConnectionStatus& s, TcpInfo& info) {
    const std::uint64_t own_syn = !s.passive && s.syn_acked ? 1 : 0;
    info.tcpi_bytes_acked = s.bytes_acked + own_syn + (s.fin_acked ? 1 : 0);
    info.tcpi_bytes_received = s.bytes_received + (s.peer_closed ? 1 : 0);
    info.tcpi_bytes_sent = s.bytes_sent + s.bytes_retransmitted;
    info.tcpi_bytes_retrans = s.bytes_retransmitted;
    // Linux counts no SYN,ACK: its socket does not exist yet.
    const std::uint64_t uncounted = s.passive ? s.syn_transmissions : 0;
    info.tcpi_segs_out = static_cast<std::uint32_t>(s.segments_sent - uncounted);
    info.tcpi_segs_in = static_cast<std::uint32_t>(s.segments_received);
    info.tcpi_data_segs_out = s.data_segments_sent;
    info.tcpi_data_segs_in = s.data_segments_received;
    info.tcpi_total_retrans = static_cast<std::uint32_t>(s.total_retransmissions);
    info.tcpi_delivered = s.delivered;
    info.tcpi_total_rto = saturated<decltype(info.tcpi_total_rto)>(s.timeouts_total);
    info.tcpi_dsack_dups = s.duplicates_reported;
    info.tcpi_reord_seen = s.reorderings;
    info.tcpi_rcv_ooopack = s.out_of_order_received;
    info.tcpi_notsent_bytes = saturated<std::uint32_t>(s.unsent);
    info.tcpi_fastopen_client_fail = static_cast<std::uint8_t>(s.fast_open_failure);
}

void fill_marks(const ConnectionStatus& s, TcpInfo& info) {
    const auto low = [](std::uint64_t octets) { return static_cast<std::uint32_t>(octets); };
    info.tcpi_delivered_ce = s.delivered_marked;
    info.tcpi_received_ce = s.received_marked;
    info.tcpi_delivered_e0_bytes = low(s.octets_delivered.ect0);
    info.tcpi_delivered_e1_bytes = low(s.octets_delivered.ect1);
    info.tcpi_delivered_ce_bytes = low(s.octets_delivered.ce);
    info.tcpi_received_e0_bytes = low(s.octets_received.ect0);
    info.tcpi_received_e1_bytes = low(s.octets_received.ect1);
    info.tcpi_received_ce_bytes = low(s.octets_received.ce);
    info.tcpi_accecn_opt_seen = s.accecn_option_seen ? 1 : 0;
}

void fill_windows(const ConnectionStatus& s, TcpInfo& info) {
    info.tcpi_snd_mss = s.snd_mss != 0 ? s.snd_mss : kDefaultMss;
    info.tcpi_rcv_mss = s.rcv_mss;
    info.tcpi_pmtu = s.path_mtu;
    info.tcpi_advmss =
        s.advertised_mss - (s.has_timestamps ? std::min(s.advertised_mss, kTimestampBytes) : 0);
    info.tcpi_snd_ssthresh = s.ssthresh_segments;
    info.tcpi_unacked = s.segments_out;
    info.tcpi_sacked = s.segments_sacked + s.reno_sacked;
    info.tcpi_lost = s.segments_lost;
    info.tcpi_retrans = s.segments_retransmitted_out;
    info.tcpi_snd_wnd = saturated<std::uint32_t>(s.snd_wnd);
    info.tcpi_rcv_wnd = saturated<std::uint32_t>(s.rcv_wnd);
    info.tcpi_rcv_ssthresh = s.receive_buffer;
    // What Linux begins with, until a round trip's worth has been read.
    const std::uint32_t first =
        std::min({info.tcpi_rcv_ssthresh, info.tcpi_rcv_wnd, 10 * info.tcpi_advmss});
    info.tcpi_rcv_space = s.receive_space != 0 ? s.receive_space : first;
    info.tcpi_rcv_rtt = micros(s.receive_rtt);
}

}  // namespace

std::uint8_t linux_state(State state) {
    switch (state) {
        case State::established: return 1;
        case State::syn_sent: return 2;
        case State::syn_received: return 3;
        case State::fin_wait_1: return 4;
        case State::fin_wait_2: return 5;
        case State::time_wait: return 6;
        case State::closed: return 7;
        case State::close_wait: return 8;
        case State::last_ack: return 9;
        case State::listen: return 10;
        case State::closing: return 11;
    }
    return 7;
}

std::array<std::byte, kTcpInfoBytes> tcp_info_bytes(const TcpInfo& info) {
    std::array<std::byte, kTcpInfoBytes> bytes{};
    std::size_t at = 0;
    const auto put = [&](auto number) {
        std::memcpy(bytes.data() + at, &number, sizeof number);
        at += sizeof number;
    };
    const auto scales = static_cast<std::uint8_t>(info.tcpi_snd_wscale | info.tcpi_rcv_wscale << 4);
    const auto flags = static_cast<std::uint8_t>((info.tcpi_delivery_rate_app_limited ? 1 : 0) |
                                                 info.tcpi_fastopen_client_fail << 1);
    for (const std::uint8_t field :
         {info.tcpi_state, info.tcpi_ca_state, info.tcpi_retransmits, info.tcpi_probes,
          info.tcpi_backoff, info.tcpi_options, scales, flags}) {
        put(field);
    }
    for (const auto field : {info.tcpi_rto,           info.tcpi_ato,
                             info.tcpi_snd_mss,       info.tcpi_rcv_mss,
                             info.tcpi_unacked,       info.tcpi_sacked,
                             info.tcpi_lost,          info.tcpi_retrans,
                             info.tcpi_fackets,       info.tcpi_last_data_sent,
                             info.tcpi_last_ack_sent, info.tcpi_last_data_recv,
                             info.tcpi_last_ack_recv, info.tcpi_pmtu,
                             info.tcpi_rcv_ssthresh,  info.tcpi_rtt,
                             info.tcpi_rttvar,        info.tcpi_snd_ssthresh,
                             info.tcpi_snd_cwnd,      info.tcpi_advmss,
                             info.tcpi_reordering,    info.tcpi_rcv_rtt,
                             info.tcpi_rcv_space,     info.tcpi_total_retrans}) {
        put(field);
    }
    for (const auto field : {info.tcpi_pacing_rate, info.tcpi_max_pacing_rate,
                             info.tcpi_bytes_acked, info.tcpi_bytes_received}) {
        put(field);
    }
    for (const auto field : {info.tcpi_segs_out, info.tcpi_segs_in, info.tcpi_notsent_bytes,
                             info.tcpi_min_rtt, info.tcpi_data_segs_in, info.tcpi_data_segs_out}) {
        put(field);
    }
    for (const auto field : {info.tcpi_delivery_rate, info.tcpi_busy_time, info.tcpi_rwnd_limited,
                             info.tcpi_sndbuf_limited}) {
        put(field);
    }
    for (const auto field : {info.tcpi_delivered, info.tcpi_delivered_ce}) {
        put(field);
    }
    for (const auto field : {info.tcpi_bytes_sent, info.tcpi_bytes_retrans}) {
        put(field);
    }
    for (const auto field : {info.tcpi_dsack_dups, info.tcpi_reord_seen, info.tcpi_rcv_ooopack,
                             info.tcpi_snd_wnd, info.tcpi_rcv_wnd}) {
        put(field);
    }
    put(info.tcpi_rehash);
    put(info.tcpi_total_rto);
    put(info.tcpi_total_rto_recoveries);
    put(info.tcpi_total_rto_time);
    for (const auto field :
         {info.tcpi_received_ce, info.tcpi_delivered_e1_bytes, info.tcpi_delivered_e0_bytes,
          info.tcpi_delivered_ce_bytes, info.tcpi_received_e1_bytes, info.tcpi_received_e0_bytes,
          info.tcpi_received_ce_bytes}) {
        put(field);
    }
    put(info.tcpi_accecn_fail_mode);
    put(info.tcpi_accecn_opt_seen);
    RUNNEL_CHECK(at == bytes.size());
    return bytes;
}

TcpInfo make_tcp_info(const ConnectionStatus& s, const tcp::TcpConfig& config, Instant now) {
    TcpInfo info;
    // A socket in TIME-WAIT is CLOSED to its owner: Linux keeps what waits elsewhere.
    const bool over = s.state == State::time_wait && s.handle != 0;
    info.tcpi_state = linux_state(over ? State::closed : s.state);
    info.tcpi_pacing_rate = pacing_rate(s);
    info.tcpi_reordering = std::max(s.reordering, config.duplicate_ack_threshold);
    info.tcpi_snd_cwnd = s.cwnd_segments != 0 ? s.cwnd_segments : config.initial_window_segments;
    if (s.state == State::listen) {
        // tcp_get_info says no more of a listener.
        info.tcpi_delivery_rate_app_limited = false;
        info.tcpi_unacked = static_cast<std::uint32_t>(s.receive_queue);
        info.tcpi_sacked = static_cast<std::uint32_t>(s.send_queue);
        return info;
    }
    info.tcpi_ca_state = ca_state(s.recovery_state);
    info.tcpi_retransmits = static_cast<std::uint8_t>(s.retransmits);
    info.tcpi_probes = static_cast<std::uint8_t>(s.probes);
    info.tcpi_backoff = static_cast<std::uint8_t>(s.backoff);
    info.tcpi_options = static_cast<std::uint8_t>(
        (s.has_timestamps ? kTcpiOptTimestamps : 0) | (s.has_sack ? kTcpiOptSack : 0) |
        (s.has_window_scale ? kTcpiOptWscale : 0) | (s.has_ecn ? kTcpiOptEcn : 0) |
        (s.ecn_seen ? kTcpiOptEcnSeen : 0) | (s.syn_data ? kTcpiOptSynData : 0));
    if (s.has_window_scale) {
        info.tcpi_snd_wscale = s.snd_wscale;
        info.tcpi_rcv_wscale = s.rcv_wscale;
    }
    info.tcpi_delivery_rate = s.delivery_rate;
    info.tcpi_delivery_rate_app_limited = s.delivery_rate == 0 || s.delivery_app_limited;
    fill_times(s, now, info);
    fill_counts(s, info);
    fill_windows(s, info);
    fill_marks(s, info);
    if (s.handle == 0) {  // never opened
        info.tcpi_rto = micros(config.rto_initial);
        info.tcpi_snd_ssthresh = kUnknownThreshold;
    }
    return info;
}

}  // namespace runnel
