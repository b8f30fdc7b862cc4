#include "runnel/model/calls.hpp"

#include "runnel/model/run.hpp"

namespace runnel::model {

namespace {

bool over(State state) {
    return state == State::closing || state == State::last_ack || state == State::time_wait;
}

/// §3.10.1.
void open_active(Run& run) {
    Block& b = run.b;
    // In LISTEN the connection changes "from passive to active"; a socket's listener stays beside it.
    if (b.state != State::closed && b.state != State::listen) {
        run.out.signal = Signal::exists;
        return;
    }
    b.iss = first_number(b.next_iss);
    b.una = b.iss;
    b.nxt = b.iss + 1;
    b.state = State::syn_sent;
    Reply syn;
    syn.flags = TcpFlags::kSyn;
    syn.seq = b.next_iss;
    run.out.replies.push_back(syn);
    run.out.signal = Signal::ok;
}

void open_passive(Run& run) {
    Block& b = run.b;
    if (b.listening) {
        run.out.signal = Signal::exists;
        return;
    }
    // Other connections of the same local socket are no hindrance (MUST-42).
    if (b.state == State::closed) {
        b.state = State::listen;
    }
    b.listening = true;
    run.out.signal = Signal::ok;
}

/// §3.10.2.
void send(Run& run, std::string_view text) {
    Block& b = run.b;
    switch (b.state) {
        case State::closed: run.out.signal = Signal::no_connection; return;
        case State::syn_sent:
        case State::syn_received:
        case State::established:
        case State::close_wait:
            b.unsent += text;
            run.out.signal = Signal::ok;
            return;
        default: run.out.signal = Signal::closing; return;
    }
}

/// §3.10.3.
void receive(Run& run) {
    Block& b = run.b;
    if (b.state == State::closed) {
        run.out.signal = Signal::no_connection;
        return;
    }
    const bool late =
        over(b.state) && !run.choices.take("Sockets: what has arrived is read before the end");
    if (!b.unread.empty() && !late) {
        // §3.8.6.2.2: the window moves on by a segment or half of the buffer: tell the peer.
        const bool was_closed = b.edge == b.rcv_nxt;
        if (was_closed && takes_text(b.state)) {
            b.edge += static_cast<Number>(b.unread.size());
            run.owe_ack();
        }
        b.unread.clear();
        run.out.signal = Signal::ok;
        return;
    }
    run.out.signal = b.fin_received ? Signal::closing : Signal::waits;
}

/// §3.10.5.
void abort(Run& run) {
    Block& b = run.b;
    const State before = b.state;
    if (before == State::closed) {
        run.out.signal = Signal::no_connection;
        return;
    }
    if (before == State::time_wait &&
        run.choices.take("RFC 9293 §3.6.1, MUST-13: TIME-WAIT outlives its user")) {
        run.out.signal = Signal::ok;
        return;
    }
    if (before != State::listen && before != State::syn_sent && !over(before)) {
        const bool with_ack = run.choices.take("Linux: a RST of a known connection carries an ACK");
        const unsigned flags = TcpFlags::kRst | (with_ack ? TcpFlags::kAck : 0U);
        run.reply(static_cast<std::uint16_t>(flags), b.nxt, 0);
    }
    run.end(Signal::ok);
}

/// §3.10.4.
void close(Run& run, bool both) {
    Block& b = run.b;
    b.user_gone = both;
    if (both && !b.unread.empty() && b.state != State::closed) {
        abort(run);  // RFC 2525 §2.17: the peer must learn that text was lost
        return;
    }
    run.out.signal = Signal::ok;
    switch (b.state) {
        case State::closed: run.out.signal = Signal::no_connection; break;
        case State::listen:
        case State::syn_sent: run.end(Signal::ok); break;
        case State::syn_received:
            // "If no SENDs have been issued and there is no pending data to send, then form a FIN segment
            // and send it, and enter FIN-WAIT-1 state; otherwise, queue."
            b.fin_wanted = true;
            if (!run.choices.take("RFC 9293 §3.10.4: queued until ESTABLISHED")) {
                b.state = State::fin_wait_1;
                run.reply(TcpFlags::kFin | TcpFlags::kAck, b.nxt, 0);
                b.nxt += 1;
                b.fin_sent = true;
            }
            break;
        case State::established:
            b.fin_wanted = true;
            b.state = State::fin_wait_1;
            break;
        case State::close_wait:
            b.fin_wanted = true;
            b.state = State::last_ack;
            break;
        default: run.out.signal = Signal::closing; break;
    }
}

}  // namespace

std::string_view name_of(Call call) {
    switch (call) {
        case Call::open_active: return "active OPEN";
        case Call::open_passive: return "passive OPEN";
        case Call::send: return "SEND";
        case Call::receive: return "RECEIVE";
        case Call::close: return "CLOSE";
        case Call::close_both: return "CLOSE of both halves";
        case Call::abort: return "ABORT";
        case Call::status: return "STATUS";
        case Call::count_: break;
    }
    return "";
}

Outcomes user_calls(const Block& block, Call call, std::string_view text) {
    return explore([&](Choices& choices) {
        Run run(block, choices);
        switch (call) {
            case Call::open_active: open_active(run); break;
            case Call::open_passive: open_passive(run); break;
            case Call::send: send(run, text); break;
            case Call::receive: receive(run); break;
            case Call::close: close(run, false); break;
            case Call::close_both: close(run, true); break;
            case Call::abort: abort(run); break;
            default:
                // §3.10.6: the state, and nothing changes.
                run.out.signal = run.b.state == State::closed ? Signal::no_connection : Signal::ok;
                break;
        }
        return run.finish();
    });
}

}  // namespace runnel::model
