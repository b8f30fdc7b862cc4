// Resets: RFC 9293 §3.5.2 (when one is sent, and with which number) and §3.5.3 with RFC 5961 §3 (when it is
// taken).
#include "runnel/analyse/judge.hpp"

namespace runnel::analyse {

namespace {

using report::SeenSegment;
using tcp::State;

// RFC 9293 §3.10.7.1: the reset for a segment without ACK has the number 0 and acknowledges it. Of the
// peer's segments only a reset of its own has none.
bool answers_reset(const Judge& judge) {
    const SeenSegment& s = judge.s();
    if (!s.header.flags.ack() || s.header.seq.value != 0) {
        return false;
    }
    for (std::size_t i = judge.index; i-- > 0;) {
        const SeenSegment& before = judge.conversation.segments[i];
        if (before.from == s.from || !trusted(before)) {
            continue;
        }
        return before.header.flags.rst() && !before.header.flags.ack() &&
               before.header.seq.value + before.length() == s.header.ack.value;
    }
    return false;
}

bool both_closed(const Judge& judge) {
    const Side& own = judge.own();
    const Side& peer = judge.peer();
    return own.fin_end && peer.fin_end && own.ack && *own.ack >= *peer.fin_end && peer.ack &&
           *peer.ack >= *own.fin_end;
}

// An end that has forgotten the connection answers each segment that still comes with one reset; where several
// came, the resets may be seen behind all of them.
bool answers_late_segment(const Judge& judge) {
    std::size_t resets = 1;
    for (std::size_t i = judge.index; i-- > 0;) {
        const SeenSegment& before = judge.conversation.segments[i];
        if (before.from != judge.s().from) {
            if (--resets == 0) {
                return true;
            }
        } else if (before.header.flags.rst()) {
            ++resets;
        } else {
            return false;
        }
    }
    return false;
}

}  // namespace

void judge_reset(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    Side& peer = judge.peer();
    ++own.totals.resets;
    if (answers_reset(judge)) {
        judge.add(Verdict::reset_answers_reset);
        return;
    }
    const auto peer_state = judge.state_before(other(s.from));
    const bool refuses = s.header.flags.ack() && s.ack >= 1 && s.ack <= peer.highest;
    if (peer_state == State::syn_sent && refuses) {
        judge.add(Verdict::reset_refusal);
        return;
    }
    if (both_closed(judge)) {
        judge.add(answers_late_segment(judge) ? Verdict::reset_answer : Verdict::reset_needless);
        return;
    }
    // What its receiver expects next: the latest it has acknowledged, or what has come since.
    const bool exact = (peer.ack && s.seq == *peer.ack) ||
                       (own.any && (s.seq == own.contiguous || s.seq == own.highest)) || !own.any;
    if (exact) {
        judge.add(s.header.flags.ack() || !peer.ack ? Verdict::reset : Verdict::reset_answer);
        return;
    }
    if (!peer.ack || !peer.edge_known) {
        judge.add(Verdict::reset_answer);
        return;
    }
    if (s.seq > *peer.ack && s.seq < peer.edge) {
        judge.add(Verdict::reset_in_window);
        peer.owes_challenge = true;
    } else {
        judge.add(Verdict::reset_outside);
    }
}

}  // namespace runnel::analyse
