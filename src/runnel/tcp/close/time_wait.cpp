#include "runnel/tcp/close/time_wait.hpp"

#include <utility>

namespace runnel::tcp {

void TimeWaitTable::link_last(std::uint32_t index) {
    TimeWaitEntry& entry = at(index);
    entry.previous = last_;
    entry.next = kNone;
    if (last_ != kNone) {
        at(last_).next = index;
    } else {
        first_ = index;
    }
    last_ = index;
}

void TimeWaitTable::unlink(std::uint32_t index) {
    const TimeWaitEntry& entry = at(index);
    (entry.previous != kNone ? at(entry.previous).next : first_) = entry.next;
    (entry.next != kNone ? at(entry.next).previous : last_) = entry.previous;
}

std::optional<std::uint32_t> TimeWaitTable::insert(TimeWaitEntry entry) {
    const auto handle = entries_.emplace(std::move(entry));
    if (handle.is_none()) {
        return std::nullopt;
    }
    link_last(handle.index);
    return handle.index;
}

void TimeWaitTable::erase(std::uint32_t index) {
    unlink(index);
    entries_.erase(entries_.handle_at(index));
}

void TimeWaitTable::restart(std::uint32_t index, Instant expires) {
    unlink(index);
    at(index).expires = expires;
    link_last(index);
}

Instant TimeWaitTable::next_expiry() const {
    return first_ == kNone ? Instant::never() : entries_.find(entries_.handle_at(first_))->expires;
}

std::optional<std::uint32_t> TimeWaitTable::expired(Instant now) const {
    if (first_ == kNone || next_expiry() > now) {
        return std::nullopt;
    }
    return first_;
}

namespace {

/// §3.10.7.4, first: the numbers `[offset, offset + length)`, counted from RCV.NXT, against the window.
bool acceptable(const TimeWaitEntry& entry, std::int64_t offset, std::uint32_t length) {
    const std::int64_t window = std::int64_t{entry.window} << entry.window_scale;
    if (length == 0) {
        return offset >= 0 && offset <= window;  // the right edge itself as well (Linux)
    }
    return window > 0 && offset + length > 0 && offset < window;
}

}  // namespace

TimeWaitVerdict time_wait_arrives(const TimeWaitEntry& entry, const TcpHeader& header,
                                  std::uint32_t payload_size, bool listening,
                                  const TcpConfig& config, Instant now) {
    TimeWaitVerdict verdict;
    const TcpFlags flags = header.flags;
    const std::int32_t offset = header.seq.offset_from(entry.rcv_nxt);
    const std::uint32_t length = payload_size + (flags.syn() ? 1U : 0U) + (flags.fin() ? 1U : 0U);
    bool old_timestamp = false;
    bool newer_timestamp = false;
    if (entry.timestamps && header.options.timestamps) {
        const auto ahead =
            static_cast<std::int32_t>(header.options.timestamps->value - entry.ts_recent);
        old_timestamp = ahead < 0;
        newer_timestamp = ahead > 0;
    }
    if (flags.rst()) {
        // RFC 1337: a RST must not cut TIME-WAIT short, an old duplicate could then kill the next connection.
        const bool ends = !config.rfc1337 && offset == 0;
        verdict.decision = ends ? Decision::tcp_accept_rst : Decision::tcp_drop_rst_time_wait;
        verdict.remove = ends;
        return verdict;
    }
    if (flags.syn() && !flags.ack() && listening) {
        // RFC 6191 §2 and RFC 9293 §3.6.1 (MAY-2, SHLD-4): a SYN that is certainly newer opens a new connection.
        if (config.time_wait_reuse && !old_timestamp && (offset > 0 || newer_timestamp)) {
            verdict.decision = Decision::tcp_accept_time_wait_reuse;
            verdict.reopen = true;
            return verdict;
        }
    }
    const bool current = !old_timestamp && acceptable(entry, offset, length);
    verdict.remember = current && newer_timestamp && offset <= 0;
    if (current && length == 0 && flags.ack() && offset == 0) {
        verdict.decision = Decision::tcp_drop_time_wait_ack;
        return verdict;
    }
    if (current && !flags.ack() && !flags.syn()) {
        verdict.decision = Decision::tcp_drop_no_ack;  // fifth step
        return verdict;
    }
    // Everything else is answered; a retransmitted FIN begins the 2MSL anew (§3.10.7.4, eighth).
    verdict.decision =
        flags.fin() ? Decision::tcp_accept_time_wait_fin : Decision::tcp_drop_time_wait_segment;
    const bool repeated = std::int64_t{offset} + length == 0;
    verdict.restart = flags.fin() && !old_timestamp && (repeated || current);
    const bool limited = payload_size == 0 && !flags.fin() && entry.last_answer != Instant{} &&
                         now - entry.last_answer < config.invalid_ack_interval;
    verdict.answer = !limited;
    return verdict;
}

ControlSegment time_wait_ack(const TimeWaitEntry& entry, Instant now) {
    ControlSegment ack;
    ack.tuple = entry.tuple;
    ack.reason = Decision::tcp_transmit_ack_time_wait;
    ack.traffic_class = entry.traffic_class;  // RFC 9293 §3.9.1.9, SHLD-22
    ack.hop_limit = entry.hop_limit;
    ack.header.source_port = entry.tuple.local.port;
    ack.header.destination_port = entry.tuple.remote.port;
    ack.header.seq = entry.snd_nxt;
    ack.header.ack = entry.rcv_nxt;
    ack.header.flags.bits = TcpFlags::kAck;
    ack.header.window = entry.window;
    if (entry.timestamps) {
        ack.header.options.timestamps = TcpTimestamps{
            static_cast<std::uint32_t>(now.millis()) + entry.ts_offset, entry.ts_recent};
    }
    if (entry.md5 != nullptr) {
        sign(ack.tuple, ack.header, {}, *entry.md5);
    }
    return ack;
}

bool same_ack(const ControlSegment& a, const ControlSegment& b) {
    return a.reason == b.reason && a.tuple == b.tuple && a.header.seq == b.header.seq &&
           a.header.ack == b.header.ack && a.header.window == b.header.window &&
           a.header.options.timestamps == b.header.options.timestamps;
}

}  // namespace runnel::tcp
