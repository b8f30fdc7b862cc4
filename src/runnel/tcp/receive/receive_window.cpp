#include "runnel/tcp/receive/receive_window.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// A window grows into this part of the memory that is free (one in 2^n).
constexpr unsigned kShareShift = 2;
/// When less of the pool than this part (one in 2^n) is free, windows shrink.
constexpr unsigned kShortShift = 3;
constexpr std::uint32_t kLeastStep = 8;

bool tunes(const Tcb& tcb, const TcpConfig& config) {
    return config.window_autotuning && tcb.user.receive_buffer == 0;
}

std::size_t free_memory(const BufferPool& pool) {
    return pool.limit() - std::min(pool.limit(), pool.bytes_in_use());
}

/// Nothing that was promised is taken back (RFC 9293 §3.8.6, SHLD-14): only what comes next is less.
void shrink_when_short(Tcb& tcb, Effects& effects) {
    const std::uint32_t least =
        std::min(effects.config().initial_receive_window, effects.config().receive_buffer);
    const BufferPool& pool = effects.pool();
    if (tcb.receive_limit <= least || free_memory(pool) >= pool.limit() >> kShortShift) {
        return;
    }
    tcb.receive_limit = std::max(least, tcb.receive_limit / 2);
    tcb.window.forget(tcb.receive_limit / 4);  // so that it grows again when there is memory
    effects.decide(tcb, Decision::tcp_note_window_fitted, tcb.receive_limit);
}

}  // namespace

void measure_window(Tcb& tcb, const Segment& segment, std::uint32_t piece, Effects& effects) {
    if (!tunes(tcb, effects.config())) {
        return;
    }
    shrink_when_short(tcb, effects);
    if (!tcb.options.timestamps) {
        tcb.window.on_window(static_cast<std::uint32_t>(tcb.rcv.nxt.value),
                             static_cast<std::uint32_t>(tcb.rcv.right_edge.value),
                             tcb.rtt.min_rtt(), effects.now);
        return;
    }
    // A short segment may have waited for its sender to have something to say (Linux).
    const auto& stamps = segment.header.options.timestamps;
    if (!stamps || stamps->echo == 0 || piece < tcb.ack.segment_size()) {
        return;
    }
    if (const auto elapsed = tcb.time_since_echo(stamps->echo, effects.now)) {
        tcb.window.on_echo(stamps->echo, *elapsed);
    }
}

void grow_window(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    if (!tunes(tcb, config)) {
        return;
    }
    const std::uint64_t wanted =
        tcb.window.on_read(tcb.counters.bytes_received, tcb.receive.size(), tcb.ack.segment_size(),
                           tcb.rtt.smoothed(), effects.now);
    const std::uint64_t most =
        std::min<std::uint64_t>(config.receive_buffer, free_memory(effects.pool()) >> kShareShift);
    const std::uint64_t grown = std::min(wanted, most);
    // In steps worth a word, or the last one.
    const bool last = grown == config.receive_buffer && grown > tcb.receive_limit;
    if (!last && grown < std::uint64_t{tcb.receive_limit} + tcb.receive_limit / kLeastStep) {
        return;
    }
    tcb.receive_limit = static_cast<std::uint32_t>(grown);
    effects.decide(tcb, Decision::tcp_note_window_fitted, tcb.receive_limit);
}

}  // namespace runnel::tcp
