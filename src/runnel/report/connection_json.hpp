// A connection's snapshot as the fields of a JSON object, and back: the control socket carries them from the
// process that has the connection to the one that shows it. One list of fields serves both directions.
#pragma once

#include <string_view>

#include "runnel/report/json_writer.hpp"
#include "runnel/tcp/status.hpp"

namespace runnel::report {

/// Has sequence numbers, windows and a round-trip time of its own.
[[nodiscard]] inline bool is_full(const tcp::ConnectionStatus& connection) {
    return connection.state != tcp::State::listen && connection.state != tcp::State::closed &&
           connection.state != tcp::State::time_wait;
}

/// `field(name, member)` for every plain number, truth and duration (in nanoseconds) of a full connection.
/// `Status` is ConnectionStatus, const or not.
template <class Status, class Field>
void visit_fields(Status& s, Field&& field) {
    field("iss", s.iss);
    field("irs", s.irs);
    field("snd_una", s.snd_una);
    field("snd_nxt", s.snd_nxt);
    field("rcv_nxt", s.rcv_nxt);
    field("snd_wnd", s.snd_wnd);
    field("rcv_wnd", s.rcv_wnd);
    field("window_scale", s.has_window_scale);
    field("snd_wscale", s.snd_wscale);
    field("rcv_wscale", s.rcv_wscale);
    field("sack", s.has_sack);
    field("ecn", s.has_ecn);
    field("accurate_ecn", s.has_accecn);
    field("ecn_seen", s.ecn_seen);
    field("segments_delivered_marked", s.delivered_marked);
    field("segments_received_marked", s.received_marked);
    field("timestamps", s.has_timestamps);
    field("snd_mss", s.snd_mss);
    field("rcv_mss", s.rcv_mss);
    field("advertised_mss", s.advertised_mss);
    field("path_mtu", s.path_mtu);
    field("cwnd_segments", s.cwnd_segments);
    field("segments_out", s.segments_out);
    field("segments_sacked", s.segments_sacked);
    field("segments_lost", s.segments_lost);
    field("segments_retransmitted_out", s.segments_retransmitted_out);
    field("rtt_ns", s.rtt.ns);
    field("rtt_variance_ns", s.rtt_variance.ns);
    field("rtt_min_ns", s.rtt_min.ns);
    field("rto_ns", s.rto.ns);
    field("backoff", s.backoff);
    field("retransmits", s.retransmits);
    field("probes", s.probes);
    field("bytes_sent", s.bytes_sent);
    field("bytes_acked", s.bytes_acked);
    field("bytes_received", s.bytes_received);
    field("bytes_retransmitted", s.bytes_retransmitted);
    field("segments_sent", s.segments_sent);
    field("segments_received", s.segments_received);
    field("total_retransmissions", s.total_retransmissions);
    field("orphan", s.orphan);
    field("unsent", s.unsent);
    field("out_of_order", s.out_of_order);
    field("send_buffer", s.send_buffer);
    field("receive_buffer", s.receive_buffer);
    field("pinned", s.pinned);
    field("peer_closed", s.peer_closed);
    field("sending_over", s.sending_over);
}

/// "ssthresh not yet known" (ConnectionStatus::ssthresh_segments); null in JSON.
inline constexpr std::uint32_t kUnknownThreshold = 0x7fff'ffff;

/// "congestion window", "Nagle" …
[[nodiscard]] const char* limit_text(tcp::Limit limit);

/// Writes the fields of `connection` into the object that is open. Instants become nanoseconds until
/// (timer_remaining_ns, never negative) or since (…_ago_ns) `now`.
void write_connection(JsonWriter& json, const tcp::ConnectionStatus& connection, Instant now);

}  // namespace runnel::report
