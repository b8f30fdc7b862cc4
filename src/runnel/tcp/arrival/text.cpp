// Sixth to eighth step of SEGMENT ARRIVES: urgent pointer, text and FIN. RFC 9293 §3.10.7.4.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/receive/receive_window.hpp"

namespace runnel::tcp {

namespace {

void remove_prefix(SliceList& payload, std::size_t count) {
    while (count > 0 && !payload.empty()) {
        Slice& first = payload.front();
        if (first.size() > count) {
            first.remove_prefix(count);
            return;
        }
        count -= first.size();
        payload.erase(payload.begin());
    }
}

void truncate(SliceList& payload, std::size_t size) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < payload.size(); ++i) {
        if (kept + payload[i].size() > size) {
            payload[i].truncate(size - kept);
            payload.resize(payload[i].empty() ? i : i + 1);
            return;
        }
        kept += payload[i].size();
    }
}

/// Cuts the segment to what is new and inside the window; notes what came twice.
void trim(Tcb& tcb, Segment& segment) {
    if (segment.seq < tcb.rcv.nxt) {
        const std::uint64_t old =
            std::min<std::uint64_t>(distance(segment.seq, tcb.rcv.nxt), segment.length);
        note_duplicate(tcb, segment);
        remove_prefix(segment.payload, old);
        segment.seq += old;
        segment.length -= static_cast<std::uint32_t>(old);
    }
    Seq64 edge = tcb.rcv.right_edge;
    if (tcb.fin_known) {
        edge = std::min(edge, tcb.fin_seq);  // nothing follows a FIN
    }
    if (segment.seq + segment.length > edge) {
        const std::uint64_t room = distance(segment.seq, edge);
        truncate(segment.payload, room);
        segment.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(room, segment.length));
        segment.fin = false;
    }
}

/// Octets of one segment on the wire.
std::uint32_t wire_segment(const Segment& segment) {
    return segment.gso_size != 0 ? std::uint32_t{segment.gso_size} : segment.length;
}

/// RFC 2883 §4.2: the part of the segment that is held already has come twice.
void note_held(Tcb& tcb, const Segment& segment) {
    if (!tcb.options.sack || tcb.reassembler.empty()) {
        return;
    }
    const auto held = tcb.reassembler.first_held(segment.seq, segment.seq + segment.length);
    note_twice(tcb, held.begin, held.end);
}

/// Data in sequence: to the reader, then whatever had waited behind the gap it closes. False when memory
/// ran out for the segment; what was not taken is not acknowledged.
bool take_in_order(Tcb& tcb, Segment& segment, Effects& effects) {
    bool complete = true;
    const auto deliver = [&](Slice&& slice) {
        const std::uint32_t size = static_cast<std::uint32_t>(slice.size());
        if (!complete) {
            return false;
        }
        if (tcb.receive_shutdown || tcb.receive.append(effects.pool(), std::move(slice))) {
            tcb.counters.bytes_received += size;
            return true;
        }
        complete = false;
        return false;
    };
    for (Slice& slice : segment.payload) {
        const std::size_t size = slice.size();
        if (!deliver(std::move(slice))) {
            break;
        }
        tcb.rcv.nxt += size;
    }
    const bool taken = complete;
    if (taken && !tcb.reassembler.empty()) {
        tcb.rcv.nxt = tcb.reassembler.extract(tcb.rcv.nxt, deliver);
    }
    return taken;
}

/// The most octets of a segment that the peer should send: what our MSS option said, less its timestamps.
std::uint32_t full_segment(const Tcb& tcb) {
    return tcb.options.local_mss - (tcb.options.timestamps ? 12U : 0U);
}

/// Now or a little later (§3.8.6.3, SHLD-18; 5681-M12: one for a segment; SHLD-19: at least every second full-sized segment).
void schedule_ack(Tcb& tcb, bool gap_before, Effects& effects) {
    const std::uint64_t unacknowledged = distance(tcb.rcv.last_ack_sent, tcb.rcv.nxt);
    if (gap_before) {
        // RFC 5681 §4.2: a gap filled in part or wholly is news for the sender's recovery.
        tcb.ack.need_now(Decision::tcp_transmit_ack_gap, false);
    } else if (tcb.ack.quick()) {
        tcb.ack.need_now(Decision::tcp_transmit_ack_quick, false);
    } else if (unacknowledged > tcb.ack.segment_size()) {
        tcb.ack.need_now(Decision::tcp_transmit_ack_second_segment, false);
    } else {
        tcb.ack.need_delayed();
        effects.decide(tcb, Decision::tcp_hold_delayed_ack);
    }
}

/// The orphan's peer still sends: nobody will ever read it (RFC 9293 §3.10.7.4 seventh; RFC 1122
/// §4.2.2.13, SHLD-3).
bool refuse_after_close(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (!tcb.orphan || segment.seq + segment.length <= tcb.rcv.nxt) {
        return false;
    }
    effects.decide(tcb, Decision::tcp_drop_data_after_close, segment);
    // With the segment's numbers, as Linux: what the orphan has still to send doesn't count any more.
    reply_reset(tcb, segment, Decision::tcp_transmit_rst_abort, effects);
    effects.end(tcb, Errc::ok);
    return true;
}

/// Trimmed to the window, nothing of the text is left.
void answer_nothing_new(Tcb& tcb, const Segment& segment, Effects& effects) {
    // MAY-8: the window may stay closed for as long as the reader likes.
    const bool closed = tcb.rcv.wnd() == 0;
    const bool after_fin = tcb.fin_known && segment.seq >= tcb.fin_seq;
    effects.decide(tcb,
                   after_fin ? Decision::tcp_drop_text_after_fin
                   : closed  ? Decision::tcp_drop_window_closed
                             : Decision::tcp_drop_old_duplicate,
                   segment);
    tcb.ack.enter_quick(tcb.rcv.wnd(), effects.config());
    tcb.ack.need_now(
        closed ? Decision::tcp_transmit_ack_window_closed : Decision::tcp_transmit_ack_unacceptable,
        true);
}

}  // namespace

void check_urgent(Tcb& tcb, const Segment& segment, Effects& effects) {
    // RFC 9293 §3.8.5, MUST-30; MUST-66: whatever the window.
    if (!segment.flags().urg() || segment.header.urgent_pointer == 0 || !receives_data(tcb.state)) {
        return;
    }
    // RFC 9293 §3.8.5, MUST-62: the pointer names the octet after the urgent data.
    const Seq64 urgent = segment.seq + segment.header.urgent_pointer - 1;
    const bool newer = tcb.urgent_mark == UrgentMark::none || urgent > tcb.rcv.urgent;
    if (urgent < tcb.rcv.nxt || !newer) {
        return;
    }
    tcb.rcv.urgent = urgent;
    tcb.urgent_mark = UrgentMark::announced;
    effects.decide(tcb, Decision::tcp_accept_urgent, segment);
    effects.wake_reader();  // MUST-32, MUST-47: tell the user
}

bool take_text(Tcb& tcb, Segment& segment, Effects& effects) {
    if (segment.length == 0) {
        return true;
    }
    if (!receives_data(tcb.state)) {
        // After the peer's FIN there is no text (§3.10.7.4, seventh: CLOSE-WAIT and later ignore it).
        effects.decide(tcb, Decision::tcp_drop_text_after_fin, segment);
        return false;
    }
    if (refuse_after_close(tcb, segment, effects)) {
        return false;
    }
    const std::uint32_t piece = wire_segment(segment);
    const bool begins_below = segment.seq < tcb.rcv.nxt;
    trim(tcb, segment);
    if (segment.length == 0) {
        answer_nothing_new(tcb, segment, effects);
        return true;
    }
    if (!begins_below) {
        note_held(
            tcb,
            segment);  // else it has been noted what came twice first, and one block tells of one
    }
    if (segment.seq > tcb.rcv.nxt) {
        // RFC 9293 §3.10.7.4, SHLD-31: kept until the gap is filled.
        tcb.telemetry.out_of_order_received += segment.pieces();
        const auto result =
            tcb.reassembler.insert(effects.pool(), segment.seq, std::move(segment.payload));
        const bool taken = result == InsertResult::inserted;
        effects.decide(tcb,
                       taken                               ? Decision::tcp_accept_out_of_order
                       : result == InsertResult::duplicate ? Decision::tcp_drop_old_duplicate
                                                           : Decision::tcp_drop_no_memory,
                       segment);
        // RFC 5681 §4.2 (MAY-13): an immediate duplicate ACK for each, so that the sender can tell a loss; of a
        // batch no more than tell anything.
        tcb.ack.need_now(Decision::tcp_transmit_ack_out_of_order, true,
                         tcb.options.sack ? AckPolicy::kMaxOwedWithSack : AckPolicy::kMaxOwed);
        return true;
    }
    const Seq64 nxt = tcb.rcv.nxt;
    const bool gap_before = !tcb.reassembler.empty();
    const bool taken = take_in_order(tcb, segment, effects);
    if (tcb.rcv.nxt > nxt) {
        effects.wake_reader();
        if (tcb.urgent_mark == UrgentMark::announced && tcb.rcv.urgent < tcb.rcv.nxt) {
            tcb.urgent_mark = UrgentMark::waiting;
        }
    }
    if (!taken) {
        effects.decide(tcb, Decision::tcp_drop_no_memory, segment);
        tcb.ack.need_now(Decision::tcp_transmit_ack_unacceptable, true);
        return false;
    }
    effects.decide(tcb, Decision::tcp_accept_in_order, segment);
    measure_window(tcb, segment, piece, effects);
    tcb.ack.fold();
    // More than was asked for is no more than full.
    tcb.ack.on_data(std::min(piece, full_segment(tcb)), segment.flags().psh(), tcb.rcv.wnd(),
                    tcb.rto(effects.config()), effects.config(), effects.now);
    schedule_ack(tcb, gap_before, effects);
    return true;
}

void take_syn_text(Tcb& tcb, Segment& segment, Effects& effects) {
    if (segment.length == 0) {
        return;
    }
    const std::uint32_t arrived = segment.length;
    trim(tcb, segment);
    if (!take_in_order(tcb, segment, effects) || tcb.rcv.nxt == segment.seq) {
        effects.decide(tcb, Decision::tcp_drop_no_memory, segment);
        return;  // what is not acknowledged comes again
    }
    tcb.syn_data_acked = true;
    ++tcb.telemetry.data_segments_received;
    tcb.ack.on_data(arrived, segment.flags().psh(), tcb.rcv.wnd(), tcb.rto(effects.config()),
                    effects.config(), effects.now);
}

void check_fin(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (segment.fin && !tcb.fin_received && receives_data(tcb.state)) {
        const Seq64 fin_seq = segment.seq + segment.length;
        // Beyond a gap the first word counts, and none that contradicts what is held. A FIN at RCV.NXT is
        // taken in any case, or one forged octet far ahead would keep the connection open for ever.
        const bool beyond_gap = fin_seq > tcb.rcv.nxt;
        const bool last = fin_seq == tcb.rcv.nxt ||
                          (beyond_gap && !tcb.fin_known && fin_seq >= tcb.reassembler.highest());
        if (last && fin_seq <= tcb.rcv.right_edge) {
            tcb.fin_known = true;
            tcb.fin_seq = fin_seq;
        }
        // RFC 5681 §4.2: out of order, so an ACK at once, each time; text has had its own.
        if (beyond_gap && segment.length == 0) {
            effects.decide(tcb, Decision::tcp_accept_out_of_order, segment);
            tcb.ack.need_now(Decision::tcp_transmit_ack_out_of_order, true);
        }
    }
    if (!tcb.fin_known || tcb.fin_received || tcb.rcv.nxt != tcb.fin_seq) {
        return;
    }
    effects.decide(tcb, Decision::tcp_accept_fin, segment);
    tcb.rcv.nxt += 1;
    tcb.rcv.right_edge = std::max(tcb.rcv.right_edge, tcb.rcv.nxt);
    tcb.fin_received = true;
    tcb.reassembler.clear();
    tcb.ack.need_now(Decision::tcp_transmit_ack_fin, false);
    effects.wake_reader();
    switch (tcb.state) {
        case State::syn_received:
        case State::established: effects.enter(tcb, State::close_wait); break;
        // Not acknowledged: an ACK of our FIN has led to FIN-WAIT-2 in the fifth step.
        case State::fin_wait_1: effects.enter(tcb, State::closing); break;
        case State::fin_wait_2: effects.enter(tcb, State::time_wait); break;
        default: break;
    }
}

}  // namespace runnel::tcp
