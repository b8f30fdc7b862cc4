// SEGMENT ARRIVES in SYN-SENT, RFC 9293 §3.10.7.3: the second message of the handshake, or the first of
// somebody who opens at the same time.
#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

namespace {

/// Takes the peer's numbers and options out of its SYN.
void take_syn(Tcb& tcb, const Segment& segment, Effects& effects) {
    tcb.rcv.irs = first_seq(segment.header.seq);
    tcb.rcv.nxt = tcb.rcv.irs + 1;
    tcb.rcv.last_ack_sent = tcb.rcv.nxt;
    // The window in our SYN was unscaled: that is what the peer may use until the next segment.
    tcb.rcv.right_edge = tcb.rcv.nxt + std::min<std::uint64_t>(tcb.receive_limit, 65'535);
    negotiate(tcb, segment.header, effects.config(), effects.now);
    take_ecn_answer(tcb, segment, effects);
    tcb.last_received = effects.now;
}

/// RFC 7413 §4.2.1: what the SYN,ACK says about the cookie and about the data that went with our SYN.
void take_fast_open_answer(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (tcb.fast_open == nullptr) {
        return;
    }
    FastOpen& state = *tcb.fast_open;
    state.answer = segment.header.options.fast_open;
    if (state.data_end <= tcb.snd.iss + 1) {
        return;
    }
    tcb.syn_data_acked = tcb.snd.una >= state.data_end;
    if (tcb.syn_data_acked) {
        return;
    }
    // The rest at once, and without a word to congestion control: nothing says that it was lost on the way.
    effects.decide(tcb, Decision::tcp_note_fast_open_refused, segment,
                   static_cast<std::uint32_t>(distance(tcb.snd.una, state.data_end)));
    tcb.fast_open_failure =
        state.repeated ? FastOpenFailure::retransmitted : FastOpenFailure::not_acked;
    tcb.retransmission.mark_all_lost();
}

}  // namespace

void syn_sent_arrives(Tcb& tcb, Segment& segment, Effects& effects) {
    const TcpFlags flags = segment.flags();
    // First: the ACK bit.
    if (flags.ack() && (segment.ack <= tcb.snd.iss || segment.ack > tcb.snd.nxt)) {
        effects.decide(tcb, Decision::tcp_drop_bad_ack_syn_sent, segment);
        if (!flags.rst()) {
            reply_reset(tcb, segment, Decision::tcp_transmit_rst_bad_ack, effects);
        }
        return;
    }
    // Second: the RST bit.
    if (flags.rst()) {
        if (!flags.ack()) {
            effects.decide(tcb, Decision::tcp_drop_rst_without_ack, segment);
            return;
        }
        effects.decide(tcb, Decision::tcp_accept_rst, segment);
        effects.end(tcb, Errc::connection_refused);
        return;
    }
    // Third: security has gone. Fourth: the SYN bit. Fifth: neither SYN nor RST: drop.
    if (!flags.syn()) {
        effects.decide(tcb, Decision::tcp_drop_no_syn, segment);
        return;
    }
    take_syn(tcb, segment, effects);
    segment.seq = tcb.rcv.irs;
    if (!flags.ack()) {
        // Simultaneous open (§3.5, figure 7, MUST-10): our SYN goes out again, now with an ACK.
        effects.decide(tcb, Decision::tcp_accept_simultaneous_syn, segment);
        effects.enter(tcb, State::syn_received);
        tcb.rcv.last_ack_sent = tcb.rcv.irs;  // until our SYN,ACK leaves
        tcb.snd.wnd = segment.header.window;
        tcb.snd.max_wnd = tcb.snd.wnd;
        tcb.retransmission.mark_all_lost();
        return;
    }
    effects.decide(tcb, Decision::tcp_accept_syn_ack, segment);
    const bool ack_may_wait = tcb.user.defer_accept != 0 || tcb.user.ack_mode == AckMode::delayed;
    effects.enter(tcb, State::established);
    tcb.snd.wnd = segment.header.window;  // never scaled on a SYN (RFC 7323 §2.2)
    tcb.snd.max_wnd = tcb.snd.wnd;
    tcb.snd.wl1 = segment.seq;
    tcb.snd.wl2 = segment.ack;
    acknowledge(tcb, segment, true, effects);
    take_fast_open_answer(tcb, segment, effects);
    if (ack_may_wait && tcb.rcv.nxt == segment.end() && !tcb.fin_queued) {
        // Linux's TCP_DEFER_ACCEPT of one who opens, and TCP_QUICKACK off: the ACK waits for data to ride on.
        tcb.ack.need_delayed();
        tcb.timers.arm(Timer::delayed_ack, effects.now + effects.config().delayed_ack_max);
    } else {
        tcb.ack.need_now(Decision::tcp_transmit_ack_handshake, false);
    }
    if (tcb.fin_queued) {
        effects.enter(tcb, State::fin_wait_1);
    }
    // Other controls and text are looked at from the sixth step on, after the SYN's own number.
    check_urgent(tcb, segment, effects);  // its pointer counts from SEG.SEQ, which is the SYN's
    Segment rest = segment;
    rest.seq = tcb.rcv.nxt;
    if (take_text(tcb, rest, effects)) {
        check_fin(tcb, rest, effects);
    }
}

}  // namespace runnel::tcp
