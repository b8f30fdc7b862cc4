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

}  // namespace

ConnectionStatus status_of(const Tcb& tcb, const TcpConfig& config) {
    ConnectionStatus s;
    s.tuple = tcb.tuple;
    s.state = tcb.state;
    s.handle = tcb.handle;
    s.receive_queue = tcb.receive.size();
    s.send_queue = tcb.send.size();
    s.timer = tcb.timers.earliest_timer();
    s.timer_deadline = tcb.timers.earliest();
    for (unsigned i = 0; i < static_cast<unsigned>(Timer::time_wait); ++i) {
        if (tcb.timers.armed(static_cast<Timer>(i))) {
            s.timers = static_cast<std::uint8_t>(s.timers | (1U << i));
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
    s.bytes_sent = tcb.counters.bytes_acked + distance(tcb.snd.una, tcb.snd.nxt);
    s.bytes_acked = tcb.counters.bytes_acked;
    s.bytes_received = tcb.counters.bytes_received;
    s.bytes_retransmitted = tcb.counters.bytes_retransmitted;
    s.segments_sent = tcb.counters.segments_sent;
    s.segments_received = tcb.counters.segments_received;
    s.total_retransmissions = tcb.counters.retransmissions;
    s.last_data_sent = tcb.last_data_sent;
    s.last_data_received = tcb.last_received;
    s.last_ack_received = tcb.last_received;
    s.congestion_control = tcb.controller.name();
    s.recovery_state = to_string(tcb.recovery.state);
    s.limited_by = limit_of(tcb, config);
    s.orphan = tcb.orphan;
    s.last_event = tcb.last_event;
    return s;
}

void StackState::snapshot(std::vector<ConnectionStatus>& out) {
    out.clear();
    listeners_.for_each([&](ListenerHandle, Listener& listener) {
        ConnectionStatus s;
        s.state = State::listen;
        s.tuple.local = listener.local;
        s.tuple.remote.address = IpAddress::any(listener.local.address.family());
        s.receive_queue = listener.accept_queue.size();
        s.send_queue = listener.backlog;
        out.push_back(s);
    });
    connections_.for_each([&](ConnectionHandle, Connection& connection) {
        if (!connection.tcb.detached) {
            out.push_back(status_of(connection.tcb, config_));
        }
    });
    time_wait_.for_each([&](std::uint32_t, TimeWaitEntry& entry) {
        ConnectionStatus s;
        s.state = State::time_wait;
        s.tuple = entry.tuple;
        s.timer = Timer::time_wait;
        s.timer_deadline = entry.expires;
        s.timers = static_cast<std::uint8_t>(1U << static_cast<unsigned>(Timer::time_wait));
        s.snd_nxt = s.snd_una = entry.snd_nxt.value;
        s.rcv_nxt = entry.rcv_nxt.value;
        out.push_back(s);
    });
    std::sort(out.begin(), out.end(), [](const ConnectionStatus& a, const ConnectionStatus& b) {
        return a.tuple != b.tuple ? a.tuple < b.tuple : a.state < b.state;
    });
}

}  // namespace runnel::tcp
