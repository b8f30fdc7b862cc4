// SEGMENT ARRIVES where there is no RCV.NXT yet: CLOSED, LISTEN and SYN-SENT (RFC 9293 §3.10.7.1 to .3).
#include <algorithm>

#include "runnel/model/arrival.hpp"

namespace runnel::model {

namespace {

/// What a SYN's options agree to: the timestamps (RFC 7323 §3.2), as far as both want them.
void take_options(Block& b, const TcpHeader& syn) {
    b.timestamps = b.timestamps && syn.options.timestamps.has_value();
    if (b.timestamps) {
        b.ts_recent = syn.options.timestamps->value;
    }
    b.send_scale = std::min<unsigned>(syn.options.window_scale.value_or(0), 14);
}

}  // namespace

void arrives_closed(Run& run, const Segment& segment) {
    // "An incoming segment containing a RST is discarded. An incoming segment not containing a RST causes a
    // RST to be sent in response."
    if (!segment.header.flags.rst()) {
        run.reply_reset(segment);
    }
}

void arrives_listen(Run& run, const Segment& segment) {
    const TcpHeader& h = segment.header;
    Block& b = run.b;
    // First, a RST.
    if (h.flags.rst()) {
        return;
    }
    // Second, an ACK.
    if (h.flags.ack()) {
        run.reply_reset(segment);
        return;
    }
    // Third, a SYN. Text and FIN that come with it are for later; left unacknowledged they come again.
    if (h.flags.syn()) {
        b.irs = first_number(h.seq.value);
        b.rcv_nxt = b.irs + 1;
        b.edge = std::max(b.edge, b.rcv_nxt);
        take_options(b, h);
        b.iss = first_number(b.next_iss);
        b.una = b.iss;
        b.nxt = b.iss + 1;
        b.wnd = b.max_wnd = h.window;
        b.wl1 = b.irs;
        b.wl2 = b.iss;
        b.state = State::syn_received;
        b.passive = true;
        run.reply(TcpFlags::kSyn | TcpFlags::kAck, b.iss, 0);
    }
    // Fourth, anything else: drop.
}

void arrives_syn_sent(Run& run, const Segment& segment) {
    const TcpHeader& h = segment.header;
    Block& b = run.b;
    const Number ack = unwrap_number(h.ack.value, b.una);
    // First, the ACK bit.
    if (h.flags.ack() && (ack <= b.iss || ack > b.nxt)) {
        if (!h.flags.rst()) {
            run.reply_reset(segment);
        }
        return;
    }
    // Second, the RST bit: it counts with an acceptable ACK only.
    if (h.flags.rst()) {
        if (h.flags.ack()) {
            run.end(Signal::reset);
        }
        return;
    }
    // Third, security. Fourth, the SYN bit. Fifth, neither SYN nor RST: drop.
    if (!h.flags.syn()) {
        return;
    }
    b.irs = first_number(h.seq.value);
    b.edge = b.irs + 1 + (b.edge - b.rcv_nxt);  // the window that our SYN offered
    b.rcv_nxt = b.irs + 1;
    b.last_ack_sent = b.rcv_nxt;
    take_options(b, h);
    b.wnd = h.window;  // a SYN's is never scaled (RFC 7323 §2.2)
    b.max_wnd = std::max(b.max_wnd, b.wnd);
    b.wl1 = b.irs;
    if (!h.flags.ack()) {
        // Simultaneous open (§3.5, MUST-10). Text is for later, and comes again.
        b.wl2 = b.una;
        b.state = State::syn_received;
        run.reply(TcpFlags::kSyn | TcpFlags::kAck, b.iss, 0);
        return;
    }
    b.una = ack;
    b.wl2 = ack;
    b.state = b.fin_wanted ? State::fin_wait_1 : State::established;
    Arrived rest{h, b.rcv_nxt, ack, segment.text, false, h.flags.fin(), b.irs};
    // "Some TCP implementations suppress sending this segment when the received segment contains data that
    // will anyways generate an acknowledgment": a single one says it all.
    const bool more = !rest.text.empty() || rest.fin;
    if (more && !run.choices.take("RFC 9293 §3.10.7.3: one ACK for SYN and text")) {
        run.reply(TcpFlags::kAck, b.nxt, 0);
    } else {
        run.owe_ack();
    }
    const Owed before = run.owed;
    take_urgent(run, rest);
    if (take_text(run, rest)) {
        take_fin(run, rest);
    }
    if (before == Owed::now && run.b.state != State::closed) {
        run.owe_ack();
    }
}

}  // namespace runnel::model
