// STATUS (RFC 9293 §3.10.6): one connection, and all there is, as plain values.
#include <algorithm>

#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

namespace {

Limit limit_of(const Tcb& tcb, const TcpConfig& config) {
    if (tcb.retransmission.empty() && tcb.unsent() == 0) {
        return Limit::application;
    }
    switch (plan_next_segment(tcb, config).reason) {
        case Decision::tcp_hold_congestion_window: return Limit::congestion_window;
        case Decision::tcp_hold_zero_window:
        case Decision::tcp_hold_silly_window: return Limit::receive_window;
        case Decision::tcp_hold_nagle: return Limit::nagle;
        case Decision::tcp_hold_cork: return Limit::cork;
        default: return tcb.unsent() == 0 ? Limit::application : Limit::none;
    }
}

void fill_telemetry(const Tcb& tcb, const TcpConfig& config, ConnectionStatus& s) {
    const Telemetry& t = tcb.telemetry;
    s.syn_data = tcb.syn_data_acked;
    s.fast_open_failure = tcb.fast_open_failure;
    s.passive = tcb.passive;
    s.syn_acked = tcb.snd.una > tcb.snd.iss;
    s.fin_acked = tcb.fin_acked();
    s.syn_transmissions = tcb.syn_transmissions;
    s.reno_sacked = tcb.options.sack ? 0U : tcb.recovery.duplicate_acks;
    s.ack_delay = tcb.ack.adapted_delay(config);
    s.receive_rtt = tcb.window.rtt();
    s.receive_space = tcb.window.space();
    s.interactive = tcb.ack.interactive();
    s.data_segments_sent = t.data_segments_sent;
    s.data_segments_received = t.data_segments_received;
    s.delivered = t.delivered;
    s.duplicates_reported = t.duplicates_reported;
    s.reorderings = tcb.rack.seen();
    s.reordering = tcb.rack.threshold(config);
    s.timeouts_total = t.timeouts;
    s.probes_sent = t.tail_probes;
    s.undone = t.undone;
    s.recoveries = t.recoveries;
    s.lost_total = t.lost;
    s.pacing_rate = tcb.pacer.rate();
    s.delivery_rate = tcb.rate.last_rate();
    s.delivery_app_limited = tcb.rate.last_app_limited();
    s.reordering_window = tcb.rack.window(tcb.rtt.min_rtt(), tcb.rtt.smoothed(), false, 0, config);
    s.out_of_order_received = t.out_of_order_received;
    s.spent = t.spent;
    s.busy_kind = t.kind;
    s.busy_since = t.since;
}

void fill_ecn(const Tcb& tcb, ConnectionStatus& s) {
    if (tcb.ecn == nullptr) {
        return;
    }
    const Ecn& ecn = *tcb.ecn;
    s.has_ecn = ecn.mode != EcnMode::none;
    s.has_accecn = ecn.accurate();
    s.ecn_seen = ecn.seen;
    s.accecn_option_seen = ecn.option_seen;
    s.delivered_marked = ecn.delivered_marked;
    s.received_marked = ecn.received_marked;
    s.octets_received = ecn.received;
    s.octets_delivered = ecn.delivered;
}

}  // namespace

ConnectionStatus status_of(const Tcb& tcb, const TcpConfig& config) {
    ConnectionStatus s;
    fill_ecn(tcb, s);
    s.tuple = tcb.tuple;
    s.state = tcb.state;
    s.handle = tcb.handle;
    s.receive_queue = tcb.receive.size();
    s.send_queue = tcb.send.size();
    s.timer = tcb.timers.earliest_timer();
    s.timer_deadline = tcb.timers.earliest();
    for (unsigned i = 0; i < static_cast<unsigned>(Timer::time_wait); ++i) {
        if (tcb.timers.armed(static_cast<Timer>(i))) {
            s.timers = static_cast<std::uint16_t>(s.timers | (1U << i));
        }
    }
    s.iss = tcb.snd.iss.wire().value;
    s.irs = tcb.rcv.irs.wire().value;
    s.snd_una = tcb.snd.una.wire().value;
    s.snd_nxt = tcb.snd.nxt.wire().value;
    s.rcv_nxt = tcb.rcv.nxt.wire().value;
    s.snd_wnd = tcb.snd.wnd;
    s.rcv_wnd = tcb.rcv.wnd();
    s.snd_wscale = tcb.options.send_scale;
    s.rcv_wscale = tcb.options.receive_scale;
    s.has_window_scale = tcb.options.window_scale;
    s.has_sack = tcb.options.sack;
    s.has_timestamps = tcb.options.timestamps;
    s.snd_mss = tcb.send_mss(config);
    s.rcv_mss = tcb.ack.segment_size();
    s.advertised_mss = tcb.options.local_mss;
    s.path_mtu = tcb.path_mtu;
    s.cwnd_segments = tcb.controller.window();
    s.ssthresh_segments = tcb.controller.threshold();
    s.segments_out = tcb.retransmission.segments_out();
    s.segments_sacked = tcb.retransmission.segments_sacked();
    s.segments_lost = tcb.retransmission.segments_lost();
    s.segments_retransmitted_out = tcb.retransmission.segments_retransmitted();
    s.rtt = tcb.rtt.smoothed();
    s.rtt_variance = tcb.rtt.variation();
    s.rtt_min = tcb.rtt.min_rtt();
    s.rto = tcb.rto(config);
    s.backoff = tcb.recovery.backoff;
    s.retransmits = tcb.recovery.timeouts;
    s.probes = tcb.probes_out;
    s.bytes_sent = tcb.counters.bytes_acked + distance(tcb.send.begin(), tcb.data_nxt());
    s.bytes_acked = tcb.counters.bytes_acked;
    s.bytes_received = tcb.counters.bytes_received;
    s.bytes_retransmitted = tcb.counters.bytes_retransmitted;
    s.segments_sent = tcb.counters.segments_sent;
    s.segments_received = tcb.counters.segments_received;
    s.total_retransmissions = tcb.counters.retransmissions;
    s.last_data_sent = tcb.last_data_sent;
    s.last_data_received = tcb.ack.last_data();
    s.last_ack_received = tcb.last_received;
    s.congestion_control = tcb.controller.name();
    s.recovery_state = to_string(tcb.recovery.state);
    s.limited_by = limit_of(tcb, config);
    s.orphan = tcb.orphan;
    s.last_event = tcb.last_event;
    s.unsent = tcb.unsent();
    s.plan = plan_next_segment(tcb, config).reason;
    s.peer_closed = tcb.fin_received;
    s.sending_over = tcb.fin_queued;
    fill_telemetry(tcb, config, s);
    s.out_of_order = tcb.reassembler.bytes();
    s.send_buffer = tcb.send_limit(config);
    s.receive_buffer = tcb.receive_limit;
    s.pinned = tcb.receive.pinned() + tcb.reassembler.pinned();
    return s;
}

namespace {

ConnectionStatus status_of(const Listener& listener) {
    ConnectionStatus s;
    s.state = State::listen;
    s.tuple.local = listener.local;
    s.tuple.remote.address = IpAddress::any(listener.local.address.family());
    s.receive_queue = listener.accept_queue.size();
    s.send_queue = listener.backlog;
    s.embryos = listener.embryos;
    return s;
}

ConnectionStatus status_of(const TimeWaitEntry& entry) {
    ConnectionStatus s;
    s.state = State::time_wait;
    s.tuple = entry.tuple;
    s.timer = Timer::time_wait;
    s.timer_deadline = entry.expires;
    s.timers = static_cast<std::uint16_t>(1U << static_cast<unsigned>(Timer::time_wait));
    s.snd_nxt = s.snd_una = entry.snd_nxt.value;
    s.rcv_nxt = entry.rcv_nxt.value;
    return s;
}

}  // namespace

bool StackState::snapshot_page(SnapshotCursor& cursor, std::uint32_t places,
                               std::vector<ConnectionStatus>& out) {
    using Table = SnapshotCursor::Table;
    switch (cursor.table) {
        case Table::listeners:
            cursor.index = listeners_.all().visit(
                cursor.index, places,
                [&](auto, const Listener& listener) { out.push_back(status_of(listener)); });
            cursor.pass(cursor.index >= listeners_.all().end(), Table::connections);
            break;
        case Table::connections:
            cursor.index = connections_.look_at(cursor.index, places, [&](const Tcb& tcb) {
                if (!tcb.detached) {
                    out.push_back(status_of(tcb, config_));
                }
            });
            cursor.pass(cursor.index >= connections_.end(), Table::time_wait);
            break;
        case Table::time_wait:
            cursor.index = time_wait_.entries().visit(
                cursor.index, places,
                [&](auto, const TimeWaitEntry& entry) { out.push_back(status_of(entry)); });
            cursor.pass(cursor.index >= time_wait_.entries().end(), Table::none);
            break;
        case Table::none: break;
    }
    return cursor.table != Table::none;
}

void StackState::snapshot(std::vector<ConnectionStatus>& out) {
    out.clear();
    SnapshotCursor cursor;
    while (snapshot_page(cursor, ~std::uint32_t{0}, out)) {
    }
    std::sort(out.begin(), out.end(), [](const ConnectionStatus& a, const ConnectionStatus& b) {
        return a.tuple != b.tuple ? a.tuple < b.tuple : a.state < b.state;
    });
}

void StackState::remember_end(const Tcb& tcb) {
    const EndedConnection ended{tcb.tuple, tcb.handle, tcb.last_event, tcb.error};
    if (ended_.size() < kEndedConnections) {
        ended_.push_back(ended);
    } else {
        ended_[ended_next_ % kEndedConnections] = ended;
    }
    ++ended_next_;
}

const EndedConnection* StackState::ended(std::size_t back) const {
    return back < ended_.size() ? &ended_[(ended_next_ - 1 - back) % kEndedConnections] : nullptr;
}

TableSizes StackState::sizes() const {
    return {connections_.size(), config_.max_connections, orphans_,
            config_.max_orphans, time_wait_.size(),       config_.max_time_wait,
            listeners_.size(),   kMaxListeners,           static_cast<std::uint32_t>(ready_.size()),
            connections_.awake()};
}

}  // namespace runnel::tcp
