#include "runnel/tcp/effects.hpp"

#include "runnel/base/check.hpp"

namespace runnel::tcp {

void Effects::record(Tcb& tcb, Decision decision, const Segment& segment, std::uint32_t value) {
    EventRecord entry;
    entry.time = now;
    entry.connection = tcb.handle;
    entry.previous = tcb.last_event;
    entry.decision = decision;
    entry.window = segment.header.window;
    entry.seq = segment.header.seq.value;
    entry.ack = segment.header.ack.value;
    entry.length = segment.length;
    entry.flags = segment.header.flags.bits;
    entry.state = static_cast<std::uint8_t>(tcb.state);
    entry.inbound = 1;
    entry.value = value;
    tcb.last_event = context_.recorder.record(entry);
}

void Effects::record(Tcb& tcb, Decision decision, std::uint32_t value) {
    EventRecord entry;
    entry.time = now;
    entry.connection = tcb.handle;
    entry.previous = tcb.last_event;
    entry.decision = decision;
    entry.seq = tcb.snd.nxt.wire().value;
    entry.ack = tcb.rcv.nxt.wire().value;
    entry.state = static_cast<std::uint8_t>(tcb.state);
    entry.value = value;
    tcb.last_event = context_.recorder.record(entry);
}

void Effects::record_sent(Tcb& tcb, Decision decision, const TcpHeader& header,
                          std::uint32_t length) {
    EventRecord entry;
    entry.time = now;
    entry.connection = tcb.handle;
    entry.previous = tcb.last_event;
    entry.decision = decision;
    entry.window = header.window;
    entry.seq = header.seq.value;
    entry.ack = header.ack.value;
    entry.length = length;
    entry.flags = header.flags.bits;
    entry.state = static_cast<std::uint8_t>(tcb.state);
    tcb.last_event = context_.recorder.record(entry);
}

void Effects::reply(const ControlSegment& segment) {
    if (context_.control.size() >= kMaxControlSegments) {
        EventRecord entry;
        entry.time = now;
        entry.decision = Decision::tcp_hold_control_queue_full;
        context_.recorder.record(entry);
        return;
    }
    context_.control.push_back(segment);
}

void Effects::report(Tcb& tcb, ErrorReport::Reason reason) {
    // RFC 9293 §3.9.1.8, MUST-47; SHLD-20: those who don't want it are left alone.
    if (!tcb.user.mute_reports) {
        tcb.report = reason;
        wake_ = true;
    }
}

void Effects::enter(Tcb& tcb, State state) {
    if (tcb.state == state) {
        return;
    }
    RUNNEL_CHECK(is_transition(tcb.state, state));
    tcb.state = state;
    decide(tcb, Decision::tcp_note_state, static_cast<std::uint32_t>(state));
    if (state == State::established) {
        // Linux counts both silences from here.
        tcb.last_data_sent = now;
        // Who opened has had an ACK to delay; whoever waited has not (Linux).
        tcb.ack.start(now, tcb.passive && tcb.user.ack_mode == AckMode::delayed);
        tcb.user.ack_mode = AckMode::unchanged;
    }
    if (state == State::established || state == State::close_wait) {
        established = true;
        wake_ = true;
    }
    if (state == State::time_wait) {
        fate = Fate::time_wait;
        wake_ = true;
    }
}

void Effects::end(Tcb& tcb, Errc error) {
    // RFC 9293 §3.6, MUST-12: an abort is told from an orderly end.
    if (error != Errc::ok && tcb.error == Errc::ok) {
        tcb.error = error;
    }
    tcb.telemetry.enter(BusyKind::idle, now);
    enter(tcb, State::closed);
    fate = Fate::closed;
    wake_ = true;
}

}  // namespace runnel::tcp
