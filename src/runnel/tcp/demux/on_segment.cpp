// Whose segment is it: connection, then TIME-WAIT, then listener, else nobody's (RFC 9293 §3.10.7.1,
// §3.10.7.2). From here a segment goes to the one function that knows what to do with it.
#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/close/reset.hpp"
#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

Segment unwrap_segment(const Tcb& tcb, ArrivingSegment& arriving) {
    const TcpHeader& header = arriving.header;
    const bool syn = header.flags.syn();
    return {
        header, arriving.payload, arriving.tuple, unwrap(header.seq, tcb.rcv.nxt),
        // Near SND.UNA, so that an ACK of anything in flight and one from long ago both fall right.
        unwrap(header.ack, tcb.snd.una), arriving.payload_size,
        // RFC 9293 §3.1, MUST-1 and REC-1: the window has no sign, and more than 32 bits of room.
        // RFC 7323 §2.3, 7323-M5; 7323-M3: the window of a SYN is never scaled.
        std::uint64_t{header.window} << (syn ? 0U : unsigned{tcb.options.send_scale}),
        arriving.gso_size, header.flags.fin(),
        static_cast<std::uint8_t>(arriving.traffic_class & 3)};
}

void StackState::record(Decision decision, const ArrivingSegment& segment, Instant now) {
    EventRecord entry;
    entry.time = now;
    entry.decision = decision;
    entry.seq = segment.header.seq.value;
    entry.ack = segment.header.ack.value;
    entry.flags = segment.header.flags.bits;
    entry.window = segment.header.window;
    entry.length = segment.payload_size;
    entry.inbound = 1;
    recorder_.record(entry);
}

Connection* StackState::find_connection(const FourTuple& tuple, Instant now) {
    const std::optional<std::uint32_t> value = demux_.find(tuple);
    if (!value || (*value & kTimeWait) != 0) {
        return nullptr;
    }
    Connection* connection = connections_.find(connections_.handle_at(*value), now);
    return connection->tcb.tuple == tuple ? connection : nullptr;
}

std::optional<ConnectionHandle> StackState::handle_of(const FourTuple& tuple) {
    const std::optional<std::uint32_t> value = demux_.find(tuple);
    if (!value || (*value & kTimeWait) != 0) {
        return std::nullopt;
    }
    const ConnectionHandle handle = connections_.handle_at(*value);
    bool same = false;
    connections_.look(handle, [&](const Tcb& tcb) { same = tcb.tuple == tuple; });
    return same ? std::optional(handle) : std::nullopt;
}

bool StackState::on_segment(ArrivingSegment&& segment, Instant now) {
    // A batch is mostly of one connection: ask for the last one before hashing.
    if (segment.tuple == last_tuple_) {
        Connection* connection = connections_.find(last_connection_, now);
        if (connection != nullptr && !connection->tcb.detached) {
            return on_connection(*connection, segment, now);
        }
    }
    if (const std::optional<std::uint32_t> value = demux_.find(segment.tuple)) {
        if ((*value & kTimeWait) != 0) {
            const std::uint32_t index = *value - kTimeWait;
            if (time_wait_.at(index).tuple == segment.tuple) {
                on_time_wait(index, segment, now);
                return false;
            }
        } else {
            const ConnectionHandle handle = connections_.handle_at(*value);
            Connection* connection = connections_.find(handle, now);
            if (connection->tcb.tuple == segment.tuple) {
                last_connection_ = handle;
                last_tuple_ = segment.tuple;
                return on_connection(*connection, segment, now);
            }
        }
    }
    const ListenerHandle listener = listeners_.lookup(segment.tuple.local);
    if (!listener.is_none()) {
        on_listener(listener, segment, SeqNum{}, false, now);
    } else {
        on_nobody(segment, now);
    }
    return false;
}

/// True when the segment acknowledged something new.
bool StackState::on_connection(Connection& connection, ArrivingSegment& arriving, Instant now) {
    const Md5Key* md5 = connection.tcb.md5.get();
    if ((md5 != nullptr || arriving.header.options.md5) && wrongly_signed(arriving, md5, now)) {
        return false;
    }
    Segment segment = unwrap_segment(connection.tcb, arriving);
    Effects effects(context_, now);
    // An accept queue that is full lets no handshake end (Linux): the peer will repeat its ACK or data.
    if (connection.tcb.embryo && connection.tcb.state == State::syn_received &&
        segment.flags().ack() && !segment.flags().rst()) {
        const auto handle = ListenerHandle::from_packed(connection.tcb.listener);
        const Listener* listener = listeners_.find(handle);
        if (listener != nullptr && listener->full()) {
            effects.decide(connection.tcb, Decision::tcp_drop_accept_queue_full, segment);
            if (config_.abort_on_overflow) {
                effects.reply(make_reset(arriving.tuple, segment.header, segment.length,
                                         Decision::tcp_transmit_rst_overflow));
                effects.end(connection.tcb, Errc::ok);
            }
            finish(connection, effects, false);
            return false;
        }
    }
    segment_arrives(connection.tcb, segment, effects);
    finish(connection, effects, true);
    return effects.progress;
}

void StackState::on_time_wait(std::uint32_t index, ArrivingSegment& segment, Instant now) {
    TimeWaitEntry& entry = time_wait_.at(index);
    if (wrongly_signed(segment, entry.md5.get(), now)) {
        return;
    }
    // Only a SYN needs to know who listens.
    const ListenerHandle listener =
        segment.header.flags.syn() ? listeners_.lookup(segment.tuple.local) : ListenerHandle{};
    const TimeWaitVerdict verdict = time_wait_arrives(entry, segment.header, segment.payload_size,
                                                      !listener.is_none(), config_, now);
    record(verdict.decision, segment, now);
    if (verdict.reopen) {
        const SeqNum beyond = entry.snd_nxt + kBeyondOldIncarnation;
        (void)demux_.erase(entry.tuple);
        time_wait_.erase(index);
        on_listener(listener, segment, beyond, true, now);
        return;
    }
    if (verdict.remove) {
        (void)demux_.erase(entry.tuple);
        time_wait_.erase(index);
        return;
    }
    if (verdict.remember) {
        entry.ts_recent = segment.header.options.timestamps->value;
    }
    if (verdict.answer && segment.to_unicast) {
        if (segment.payload_size == 0 && !segment.header.flags.fin()) {
            entry.last_answer = now;  // data and FINs neither count nor are limited
        }
        const ControlSegment answer = time_wait_ack(entry, now);
        // The second of two could come when the peer is gone, and be answered by a RST.
        if (!control_.empty() && same_ack(control_.back(), answer)) {
            record(Decision::tcp_hold_repeated_ack, segment, now);
        } else {
            push_control(answer, now);
        }
    }
    if (verdict.restart) {
        time_wait_.restart(index, now + config_.msl * 2);
    }
}

/// RFC 2385 §2.0: such a segment is dropped before anything of it is believed, and not answered.
bool StackState::wrongly_signed(const ArrivingSegment& segment, const Md5Key* key, Instant now) {
    const auto reason = check_signature(segment.tuple, segment.header, segment.payload, key);
    if (reason) {
        record(*reason, segment, now);
    }
    return reason.has_value();
}

void StackState::on_nobody(const ArrivingSegment& segment, Instant now) {
    // §3.10.7.1: everything but a RST is answered by one; nothing that came to a group address is.
    if (segment.header.flags.rst()) {
        record(Decision::tcp_drop_rst_no_connection, segment, now);
        return;
    }
    if (!segment.to_unicast) {
        // RFC 9293 §3.9.2.3, MUST-57.
        record(Decision::tcp_drop_group_address, segment, now);
        return;
    }
    record(Decision::tcp_drop_no_connection, segment, now);
    if (segment.header.options.md5) {
        return;  // its sender would not believe an unsigned reset
    }
    push_control(make_reset(segment.tuple, segment.header, segment.payload_size,
                            Decision::tcp_transmit_rst_no_connection),
                 now);
}

bool StackState::on_icmp(const IcmpReport& report, Instant now) {
    Connection* connection = find_connection(report.tuple, now);
    if (connection == nullptr || connection->tcb.detached) {
        return false;
    }
    Tcb& tcb = connection->tcb;
    // RFC 5927 §4.1: only about something that is in flight.
    const Seq64 quoted = unwrap(report.quoted_seq, tcb.snd.una);
    if (quoted < tcb.snd.una || quoted >= tcb.snd.nxt) {
        return false;
    }
    bool believed = true;
    event(*connection, now, [&](Tcb& t, Effects& effects) {
        if (report.packet_too_big) {
            believed = on_packet_too_big(t, quoted, report, effects);
            if (believed) {
                t.timers.cancel(Timer::pacing);  // at once: an ACK that is owed was lost with them
                if (report.local && is_synchronized(t.state)) {
                    // Though the congestion window may hold back the data again (MUST-40).
                    t.ack.need_now(Decision::tcp_transmit_ack_delayed, false);
                }
            }
            return;
        }
        // RFC 9293 §3.9.2.2, SHLD-26. Once the handshake is over only profile rfc lets a stranger's word end what
        // the peer's acknowledgements may prove alive (RFC 5927 §5.2).
        const bool opening = !is_synchronized(t.state);
        if (report.hard && (opening || config_.icmp_aborts)) {
            effects.decide(t, Decision::tcp_accept_icmp_hard);
            effects.end(t, report.error);
            return;
        }
        if (opening && config_.icmp_aborts_opening) {
            effects.decide(t, Decision::tcp_accept_icmp_opening);
            effects.end(t, report.error);
            return;
        }
        // RFC 9293 §3.9.2.2, MUST-56, SHLD-25: soft errors abort nothing; RFC 5927 §4.2: nor do hard ones later.
        effects.decide(t, Decision::tcp_note_icmp_soft);
        t.soft_error = report.error;
        effects.report(t, ErrorReport::Reason::icmp);
        if (t.user.receive_errors && is_synchronized(t.state)) {
            t.error = report.error;  // Linux: the next call fails with it, the connection goes on
            effects.wake_reader();
        }
    });
    return believed;
}

}  // namespace runnel::tcp
