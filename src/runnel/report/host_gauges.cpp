#include "runnel/report/host_gauges.hpp"

#include <fmt/format.h>

#include "runnel/wire/address.hpp"

namespace runnel::report {

namespace {

/// All decisions of one kind whose name begins so.
std::uint64_t sum(const FlightRecorder& recorder, std::string_view prefix) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const auto decision = static_cast<Decision>(i);
        total += describe(decision).name.starts_with(prefix) ? recorder.count(decision) : 0;
    }
    return total;
}

void add_interfaces(const Host& host, std::vector<Gauge>& out) {
    for (const InterfaceStatus& interface : host.ip().interfaces()) {
        const InterfaceCounters& counters = interface.counters;
        const std::string prefix = "interface_" + interface.config.name;
        out.push_back({prefix + "_frames_in", counters.frames_in, 0, true, "Frames received."});
        out.push_back({prefix + "_bytes_in", counters.bytes_in, 0, true, "Their bytes."});
        out.push_back({prefix + "_frames_out", counters.frames_out, 0, true, "Frames sent."});
        out.push_back({prefix + "_bytes_out", counters.bytes_out, 0, true, "Their bytes."});
    }
}

}  // namespace

std::vector<Gauge> host_gauges(const Host& host) {
    const tcp::TableSizes sizes = host.tcp().sizes();
    const FlightRecorder& recorder = host.recorder();
    std::vector<Gauge> out = {
        {"tcp_connections", sizes.connections, sizes.max_connections, false,
         "Connections, embryos too; listeners and TIME-WAIT are not among them."},
        {"tcp_orphans", sizes.orphans, sizes.max_orphans, false,
         "Connections whose user has let go of them."},
        {"tcp_time_wait", sizes.time_wait, sizes.max_time_wait, false, "Entries in TIME-WAIT."},
        {"tcp_listeners", sizes.listeners, sizes.max_listeners, false, "Listeners."},
        {"tcp_ready", sizes.ready, 0, false,
         "Connections in the round of those that may have something to send."},
        {"tcp_segments_sent", sum(recorder, "tcp_transmit_") + sum(recorder, "tcp_retransmit_"), 0,
         true, "Segments sent; a super-segment counts once."},
        {"tcp_segments_retransmitted", sum(recorder, "tcp_retransmit_"), 0, true,
         "Of these, the ones sent again."},
        {"tcp_segments_dropped", sum(recorder, "tcp_drop_"), 0, true,
         "Arriving segments, or parts of them, that were thrown away."},
        {"udp_sockets", host.udp().size(), 0, false, "UDP sockets."},
        {"buffer_bytes", host.pool().bytes_in_use(), host.pool().limit(), false,
         "Bytes of packet buffers in use."},
        {"recorder_records", recorder.next_number() - 1, 0, true,
         "Decisions recorded; the flight recorder keeps the last ones."},
        {"capture_lost", host.captured_dropped(), 0, true,
         "Frames that the capture could not keep."},
    };
    add_interfaces(host, out);
    return out;
}

}  // namespace runnel::report
