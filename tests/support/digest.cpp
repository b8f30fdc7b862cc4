#include "support/digest.hpp"

namespace runnel::test {

namespace {

void add_address(Digest& digest, const IpAddress& address) {
    digest.add(address.bytes());
}

}  // namespace

void Digest::add(const FourTuple& tuple) {
    add_address(*this, tuple.local.address);
    add_address(*this, tuple.remote.address);
    add_all({tuple.local.port, tuple.remote.port});
}

void Digest::add(const TcpHeader& header) {
    add_all({header.source_port, header.destination_port, header.seq.value, header.ack.value,
             header.flags.bits, header.window, header.checksum, header.urgent_pointer,
             header.header_length});
    const TcpOptions& options = header.options;
    add_all({options.mss.value_or(0), options.mss.has_value(), options.window_scale.value_or(0),
             options.window_scale.has_value(), options.sack_permitted});
    if (options.timestamps) {
        add_all({options.timestamps->value, options.timestamps->echo});
    }
    for (const SackBlock& block : options.sack) {
        add_all({block.left.value, block.right.value});
    }
    if (options.md5) {
        add(Bytes(*options.md5));
    }
    if (options.fast_open) {
        add_all({options.fast_open->size, options.fast_open->experimental});
        add(options.fast_open->cookie());
    }
}

void Digest::add(const tcp::OutgoingSegment& segment) {
    add(segment.tuple);
    add(segment.header);
    for (const Slice& slice : segment.payload) {
        add(slice.bytes());
    }
    add_all({segment.payload_size, segment.gso_size, segment.traffic_class, segment.hop_limit});
    add(describe(segment.reason).name);
}

void Digest::add(const EventRecord& record) {
    add(record.time);
    add(describe(record.decision).name);  // by name: a new one elsewhere changes nothing
    add_all({record.connection, record.previous, record.window, record.seq, record.ack,
             record.length, record.flags, record.state, record.inbound, record.value});
}

void Digest::add(const tcp::TableSizes& sizes) {
    add_all({sizes.connections, sizes.max_connections, sizes.orphans, sizes.max_orphans,
             sizes.time_wait, sizes.max_time_wait, sizes.listeners, sizes.max_listeners,
             sizes.ready, sizes.awake});
}

void Digest::add(const tcp::ConnectionStatus& s) {
    const auto ns = [](auto value) { return static_cast<std::uint64_t>(value.ns); };
    const auto number = [](auto value) { return static_cast<std::uint64_t>(value); };
    add(s.tuple);
    add_all({number(s.state), s.handle, s.receive_queue, s.send_queue, number(s.timer),
             ns(s.timer_deadline), s.timers});
    add_all({s.iss, s.irs, s.snd_una, s.snd_nxt, s.rcv_nxt, s.snd_wnd, s.rcv_wnd, s.snd_wscale,
             s.rcv_wscale, s.has_window_scale, s.has_sack, s.has_timestamps});
    add_all({s.snd_mss, s.rcv_mss, s.advertised_mss, s.path_mtu, s.cwnd_segments,
             s.ssthresh_segments, s.segments_out, s.segments_sacked, s.segments_lost,
             s.segments_retransmitted_out});
    add_all({ns(s.rtt), ns(s.rtt_variance), ns(s.rtt_min), ns(s.rto), s.backoff, s.retransmits,
             s.probes});
    add_all({s.bytes_sent, s.bytes_acked, s.bytes_received, s.bytes_retransmitted, s.segments_sent,
             s.segments_received, s.total_retransmissions});
    add_all({ns(s.last_data_sent), ns(s.last_data_received), ns(s.last_ack_received)});
    add(std::string_view(s.congestion_control));
    add(std::string_view(s.recovery_state));
    add(describe(s.plan).name);
    add_all({number(s.limited_by), s.orphan, s.last_event, s.unsent, s.out_of_order, s.send_buffer,
             s.receive_buffer, s.pinned, s.embryos});
    add_all({s.peer_closed, s.sending_over, s.passive, s.syn_acked, s.fin_acked, s.syn_data,
             number(s.fast_open_failure), s.syn_transmissions, s.reno_sacked, ns(s.ack_delay)});
    add_all({s.data_segments_sent, s.data_segments_received, s.delivered, s.duplicates_reported,
             s.reorderings, s.reordering, s.out_of_order_received});
    add_all({ns(s.spent.busy), ns(s.spent.window_limited), ns(s.spent.buffer_limited),
             number(s.busy_kind), ns(s.busy_since)});
}

}  // namespace runnel::test
