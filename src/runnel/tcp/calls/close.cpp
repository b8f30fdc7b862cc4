// CLOSE and ABORT (RFC 9293 §3.10.4, §3.10.5).
#include "runnel/tcp/calls/calls.hpp"

namespace runnel::tcp {

Status close_send(Tcb& tcb, Effects& effects) {
    if (tcb.detached || tcb.state == State::closed) {
        return fail(Errc::not_connected);
    }
    if (tcb.fin_queued) {
        return {};
    }
    switch (tcb.state) {
        case State::syn_sent:
            // §3.10.4: delete the TCB; there is nobody to send a FIN to.
            effects.decide(tcb, Decision::tcp_note_closed_by_user);
            effects.end(tcb, Errc::ok);
            return {};
        case State::syn_received:
            tcb.fin_queued = true;  // §3.10.4: queued for processing after ESTABLISHED
            return {};
        case State::established:
            tcb.fin_queued = true;
            effects.enter(tcb, State::fin_wait_1);
            return {};
        case State::close_wait:
            tcb.fin_queued = true;
            effects.enter(tcb, State::last_ack);
            return {};
        default: return {};
    }
}

void close_both(Tcb& tcb, Effects& effects) {
    if (tcb.detached || tcb.state == State::closed) {
        return;
    }
    // RFC 9293 §3.6.1, MAY-1: CLOSE ends both directions; SHLD-3: a RST tells of data lost by it.
    const bool unread = tcb.receive.size() > 0;
    // SO_LINGER of some seconds makes a blocking close(2) wait; here nobody blocks, and what is queued goes out in
    // the background as without it.
    const bool linger_none = tcb.user.linger_on && tcb.user.linger.ns == 0;
    if (unread || linger_none) {
        effects.decide(tcb, unread ? Decision::tcp_note_closed_with_unread
                                   : Decision::tcp_note_closed_by_user);
        abort_connection(tcb, effects);
        return;
    }
    if (tcb.state == State::fin_wait_2 && tcb.user.fin_timeout.ns < 0) {
        // TCP_LINGER2 below 0: nobody waits for the peer's FIN, and it learns so (Linux).
        effects.decide(tcb, Decision::tcp_note_closed_by_user);
        abort_connection(tcb, effects);
        return;
    }
    (void)close_send(tcb, effects);
}

void abort_connection(Tcb& tcb, Effects& effects) {
    if (tcb.detached || tcb.state == State::closed) {
        return;
    }
    tcb.receive.clear();
    // §3.10.5: no reset where there is nobody yet, or where both sides have said that they are done.
    if (tcb.state == State::syn_sent || tcb.state == State::closing ||
        tcb.state == State::last_ack) {
        effects.end(tcb, Errc::ok);
        return;
    }
    // The RST goes out at the next poll, after which the connection is gone.
    tcb.reset_due = true;
}

}  // namespace runnel::tcp
