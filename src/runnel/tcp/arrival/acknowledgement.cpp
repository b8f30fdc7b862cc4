// Fifth step of SEGMENT ARRIVES: the ACK field. RFC 9293 §3.10.7.4 with RFC 5961 §5.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/close/reset.hpp"
#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/send/send_room.hpp"

namespace runnel::tcp {

namespace {

/// SYN-RECEIVED: the third message of the handshake.
bool complete_handshake(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (segment.ack <= tcb.snd.una || segment.ack > tcb.snd.nxt) {
        effects.decide(tcb, Decision::tcp_drop_bad_ack_syn_received, segment);
        reply_reset(tcb, segment, Decision::tcp_transmit_rst_bad_ack, effects);
        return false;
    }
    if (tcb.embryo && tcb.recovery.timeouts < tcb.user.defer_accept &&
        segment.sequence_length() == 0) {
        // Linux's TCP_DEFER_ACCEPT: the user wants to hear of it when there is something to read.
        effects.decide(tcb, Decision::tcp_drop_deferred_ack, segment);
        tcb.ack_deferred = true;
        return false;
    }
    effects.decide(tcb, Decision::tcp_accept_handshake_ack, segment);
    tcb.ack_deferred = false;
    take_ecn_third(tcb, segment, effects);
    if (tcb.fast_open != nullptr && !tcb.passive) {
        // RFC 7413 §4.2.1: a simultaneous open has thrown the data of our SYN away.
        tcb.retransmission.mark_all_lost();
    }
    effects.enter(tcb, State::established);
    tcb.snd.wnd = segment.window;
    tcb.snd.max_wnd = std::max(tcb.snd.max_wnd, tcb.snd.wnd);
    // SND.WL1 and SND.WL2 follow in update_send_window: before ESTABLISHED nothing has set them.
    // The peer's SYN,ACK of a simultaneous open may come before our own has left: its SYN still wants its ACK.
    if (tcb.rcv.last_ack_sent < tcb.rcv.nxt) {
        tcb.ack.need_now(Decision::tcp_transmit_ack_handshake, false);
    }
    if (tcb.fin_queued) {
        effects.enter(tcb, State::fin_wait_1);
    }
    return true;
}

void note_bare_ack(Tcb& tcb, const Segment& segment, bool advances, bool window_changed,
                   Effects& effects) {
    if (advances) {
        effects.decide(tcb, Decision::tcp_accept_ack, segment);
    } else if (window_changed) {
        effects.decide(tcb, Decision::tcp_accept_window_update, segment);
    } else if (tcb.retransmission.empty()) {
        effects.decide(tcb, Decision::tcp_accept_nothing_new, segment);
    }
}

/// What follows for the state once our FIN has been acknowledged.
bool fin_acknowledged(Tcb& tcb, const Segment& segment, Effects& effects) {
    switch (tcb.state) {
        case State::fin_wait_1:
            effects.enter(tcb, State::fin_wait_2);
            if (tcb.orphan && tcb.user.fin_timeout.ns < 0) {
                effects.decide(tcb, Decision::tcp_note_fin_wait_2_gave_up);
                effects.end(tcb, Errc::ok);
                return false;
            }
            return true;
        case State::closing: effects.enter(tcb, State::time_wait); return false;
        case State::last_ack:
            effects.decide(tcb, Decision::tcp_accept_last_ack, segment);
            effects.end(tcb, Errc::ok);
            return false;
        default: return true;
    }
}

}  // namespace

void reply_reset(const Tcb& tcb, const Segment& segment, Decision reason, Effects& effects) {
    ControlSegment reset = make_reset(tcb.tuple, segment.header, segment.length, reason);
    reset.traffic_class = tcb.user.traffic_class;  // RFC 9293 §3.9.1.9, SHLD-22
    reset.hop_limit = tcb.user.hop_limit;
    if (tcb.md5 != nullptr) {
        sign(reset.tuple, reset.header, {}, *tcb.md5);
    }
    effects.reply(reset);
}

void update_send_window(Tcb& tcb, const Segment& segment, Effects& effects) {
    // Whoever acknowledges more than ever before speaks later than ever before, though its segment be one
    // that is sent again. Its window must count: SND.WND is an offset from SND.UNA, and an old one would let
    // us send beyond any right edge that the peer has offered (SHLD-15, RFC 9293 §3.8.6).
    const bool newer = tcb.snd.una < segment.ack || tcb.snd.wl1 < segment.seq ||
                       (tcb.snd.wl1 == segment.seq && tcb.snd.wl2 <= segment.ack);
    if (!newer) {
        return;
    }
    const bool was_closed = tcb.snd.wnd == 0;
    tcb.snd.wnd = segment.window;
    tcb.snd.max_wnd = std::max(tcb.snd.max_wnd, tcb.snd.wnd);
    tcb.snd.wl1 = segment.seq;
    tcb.snd.wl2 = segment.ack;
    if (was_closed && tcb.snd.wnd > 0) {
        effects.decide(tcb, Decision::tcp_note_window_opened, segment);
        tcb.timers.cancel(Timer::persist);
        tcb.recovery.backoff = 0;
    }
}

bool check_acknowledgement(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (!segment.flags().ack()) {
        effects.decide(tcb, Decision::tcp_drop_no_ack, segment);
        return false;
    }
    const bool handshake = tcb.state == State::syn_received;
    if (handshake && !complete_handshake(tcb, segment, effects)) {
        return false;
    }
    if (segment.ack > tcb.snd.nxt) {
        // §3.10.7.4: it acknowledges something not yet sent: send an ACK, drop (RFC 5961 §5.2, 5961-M4).
        challenge(tcb, segment, Decision::tcp_drop_ack_beyond_sent, effects);
        return false;
    }
    if (segment.ack + tcb.snd.max_wnd < tcb.snd.una) {
        challenge(tcb, segment, Decision::tcp_drop_ack_too_old,
                  effects);  // RFC 5961 §5.2, MAY-12
        return false;
    }
    if (segment.ack < tcb.snd.una) {
        // Old news, but the segment's text may still be new.
        effects.decide(tcb, Decision::tcp_accept_old_ack, segment);
        if (!segment.header.options.sack.empty()) {
            acknowledge(tcb, segment, false,
                        effects);  // what was overtaken may still tell of losses
        }
        return true;
    }
    const std::uint64_t window_before = tcb.snd.wnd;
    const bool advances = segment.ack > tcb.snd.una;
    update_send_window(tcb, segment, effects);
    const bool window_changed = tcb.snd.wnd != window_before;
    // A segment with text, SYN or FIN is named for that; a bare ACK for what it tells.
    if (segment.sequence_length() == 0 && !handshake) {
        note_bare_ack(tcb, segment, advances, window_changed, effects);
    }
    note_sizes_acked(tcb, segment.ack, effects);
    acknowledge(tcb, segment, window_changed, effects);
    grow_send_room(tcb, effects);
    if (tcb.fin_acked()) {
        return fin_acknowledged(tcb, segment, effects);
    }
    return true;
}

}  // namespace runnel::tcp
