#include "runnel/drill/tcp_info_names.hpp"

namespace runnel::drill {

namespace {

struct Member {
    std::string_view name;
    std::uint64_t (*get)(const TcpInfo&);
};

template <auto kMember>
constexpr Member member(std::string_view name) {
    return {name, [](const TcpInfo& info) { return static_cast<std::uint64_t>(info.*kMember); }};
}

constexpr Member kMembers[] = {
    member<&TcpInfo::tcpi_state>("tcpi_state"),
    member<&TcpInfo::tcpi_ca_state>("tcpi_ca_state"),
    member<&TcpInfo::tcpi_retransmits>("tcpi_retransmits"),
    member<&TcpInfo::tcpi_probes>("tcpi_probes"),
    member<&TcpInfo::tcpi_backoff>("tcpi_backoff"),
    member<&TcpInfo::tcpi_options>("tcpi_options"),
    member<&TcpInfo::tcpi_snd_wscale>("tcpi_snd_wscale"),
    member<&TcpInfo::tcpi_rcv_wscale>("tcpi_rcv_wscale"),
    member<&TcpInfo::tcpi_delivery_rate_app_limited>("tcpi_delivery_rate_app_limited"),
    member<&TcpInfo::tcpi_fastopen_client_fail>("tcpi_fastopen_client_fail"),
    member<&TcpInfo::tcpi_rto>("tcpi_rto"),
    member<&TcpInfo::tcpi_ato>("tcpi_ato"),
    member<&TcpInfo::tcpi_snd_mss>("tcpi_snd_mss"),
    member<&TcpInfo::tcpi_rcv_mss>("tcpi_rcv_mss"),
    member<&TcpInfo::tcpi_unacked>("tcpi_unacked"),
    member<&TcpInfo::tcpi_sacked>("tcpi_sacked"),
    member<&TcpInfo::tcpi_lost>("tcpi_lost"),
    member<&TcpInfo::tcpi_retrans>("tcpi_retrans"),
    member<&TcpInfo::tcpi_fackets>("tcpi_fackets"),
    member<&TcpInfo::tcpi_last_data_sent>("tcpi_last_data_sent"),
    member<&TcpInfo::tcpi_last_ack_sent>("tcpi_last_ack_sent"),
    member<&TcpInfo::tcpi_last_data_recv>("tcpi_last_data_recv"),
    member<&TcpInfo::tcpi_last_ack_recv>("tcpi_last_ack_recv"),
    member<&TcpInfo::tcpi_pmtu>("tcpi_pmtu"),
    member<&TcpInfo::tcpi_rcv_ssthresh>("tcpi_rcv_ssthresh"),
    member<&TcpInfo::tcpi_rtt>("tcpi_rtt"),
    member<&TcpInfo::tcpi_rttvar>("tcpi_rttvar"),
    member<&TcpInfo::tcpi_snd_ssthresh>("tcpi_snd_ssthresh"),
    member<&TcpInfo::tcpi_snd_cwnd>("tcpi_snd_cwnd"),
    member<&TcpInfo::tcpi_advmss>("tcpi_advmss"),
    member<&TcpInfo::tcpi_reordering>("tcpi_reordering"),
    member<&TcpInfo::tcpi_rcv_rtt>("tcpi_rcv_rtt"),
    member<&TcpInfo::tcpi_rcv_space>("tcpi_rcv_space"),
    member<&TcpInfo::tcpi_total_retrans>("tcpi_total_retrans"),
    member<&TcpInfo::tcpi_pacing_rate>("tcpi_pacing_rate"),
    member<&TcpInfo::tcpi_max_pacing_rate>("tcpi_max_pacing_rate"),
    member<&TcpInfo::tcpi_bytes_acked>("tcpi_bytes_acked"),
    member<&TcpInfo::tcpi_bytes_received>("tcpi_bytes_received"),
    member<&TcpInfo::tcpi_segs_out>("tcpi_segs_out"),
    member<&TcpInfo::tcpi_segs_in>("tcpi_segs_in"),
    member<&TcpInfo::tcpi_notsent_bytes>("tcpi_notsent_bytes"),
    member<&TcpInfo::tcpi_min_rtt>("tcpi_min_rtt"),
    member<&TcpInfo::tcpi_data_segs_in>("tcpi_data_segs_in"),
    member<&TcpInfo::tcpi_data_segs_out>("tcpi_data_segs_out"),
    member<&TcpInfo::tcpi_delivery_rate>("tcpi_delivery_rate"),
    member<&TcpInfo::tcpi_busy_time>("tcpi_busy_time"),
    member<&TcpInfo::tcpi_rwnd_limited>("tcpi_rwnd_limited"),
    member<&TcpInfo::tcpi_sndbuf_limited>("tcpi_sndbuf_limited"),
    member<&TcpInfo::tcpi_delivered>("tcpi_delivered"),
    member<&TcpInfo::tcpi_delivered_ce>("tcpi_delivered_ce"),
    member<&TcpInfo::tcpi_bytes_sent>("tcpi_bytes_sent"),
    member<&TcpInfo::tcpi_bytes_retrans>("tcpi_bytes_retrans"),
    member<&TcpInfo::tcpi_dsack_dups>("tcpi_dsack_dups"),
    member<&TcpInfo::tcpi_reord_seen>("tcpi_reord_seen"),
    member<&TcpInfo::tcpi_rcv_ooopack>("tcpi_rcv_ooopack"),
    member<&TcpInfo::tcpi_snd_wnd>("tcpi_snd_wnd"),
    member<&TcpInfo::tcpi_rcv_wnd>("tcpi_rcv_wnd"),
    member<&TcpInfo::tcpi_total_rto>("tcpi_total_rto"),
    member<&TcpInfo::tcpi_received_ce>("tcpi_received_ce"),
    member<&TcpInfo::tcpi_delivered_e1_bytes>("tcpi_delivered_e1_bytes"),
    member<&TcpInfo::tcpi_delivered_e0_bytes>("tcpi_delivered_e0_bytes"),
    member<&TcpInfo::tcpi_delivered_ce_bytes>("tcpi_delivered_ce_bytes"),
    member<&TcpInfo::tcpi_received_e1_bytes>("tcpi_received_e1_bytes"),
    member<&TcpInfo::tcpi_received_e0_bytes>("tcpi_received_e0_bytes"),
    member<&TcpInfo::tcpi_received_ce_bytes>("tcpi_received_ce_bytes"),
    member<&TcpInfo::tcpi_accecn_fail_mode>("tcpi_accecn_fail_mode"),
    member<&TcpInfo::tcpi_accecn_opt_seen>("tcpi_accecn_opt_seen"),
};

}  // namespace

std::optional<CodeValue> tcp_info_value(const TcpInfo& info, std::string_view name) {
    for (const Member& member : kMembers) {
        if (member.name == name) {
            return code_number(member.get(info));
        }
    }
    return std::nullopt;
}

}  // namespace runnel::drill
