// What the two sides know after a segment has been judged.
#include <algorithm>

#include "runnel/analyse/judge.hpp"

namespace runnel::analyse {

namespace {

using report::NoteKind;
using report::SeenSegment;

Bytes from_number(const SeenSegment& s, std::int64_t number) {
    const Bytes payload = s.payload();
    const auto skip = static_cast<std::size_t>(std::max<std::int64_t>(number - s.seq, 0));
    return payload.subspan(std::min(skip, payload.size()));
}

void forget_old(Side& side) {
    while (side.sent.size() > kMaxSent) {
        side.sent.erase(side.sent.begin());
    }
}

// New pieces of the stream, and the transmissions of those that there are.
void learn_sent(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    const Side& peer = judge.peer();
    auto at = own.sent.upper_bound(s.seq);
    at = at == own.sent.begin() ? at : std::prev(at);
    std::int64_t fresh = s.seq;
    // A segment covers few pieces; of odd captures with many only the first count.
    for (std::size_t i = 0; i < 64 && at != own.sent.end() && at->first < s.end(); ++i, ++at) {
        if (at->second.end > s.seq) {
            ++at->second.count;
            at->second.last_at = s.time_ns;
            fresh = at->first <= fresh ? std::max(fresh, at->second.end) : fresh;
        }
    }
    if (fresh >= s.end()) {
        return;
    }
    Sent piece;
    piece.end = s.end();
    piece.first_at = s.time_ns;
    piece.last_at = s.time_ns;
    piece.in_order = !own.any || fresh <= own.contiguous;
    piece.offered = !peer.edge_known || s.end() <= peer.edge;
    piece.payload = s.header.flags.syn() ? Bytes{} : from_number(s, fresh);
    own.sent.emplace(fresh, piece);
    forget_old(own);
}

void learn_sender(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    if (!own.any) {
        own.any = true;
        own.contiguous = s.seq;
        own.highest = s.seq;
    }
    if (s.length() != 0 && !judge.probing()) {
        learn_sent(judge);
        if (s.payload_size != 0) {
            own.data_end = std::max(own.data_end, s.end() - (s.header.flags.fin() ? 1 : 0));
        }
        if (s.end() > own.highest) {
            own.highest_at = s.time_ns;
        }
    }
    own.highest = std::max(own.highest, s.end());
    if (s.seq <= own.contiguous) {
        own.contiguous = std::max(own.contiguous, s.end());
        for (auto next = own.sent.lower_bound(own.contiguous);
             next != own.sent.end() && next->first <= own.contiguous; ++next) {
            own.contiguous = std::max(own.contiguous, next->second.end);
        }
    }
    if (s.header.flags.fin() && !own.fin_end) {
        own.fin_end = s.end();
    }
}

void learn_timestamps(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    Side& peer = judge.peer();
    const auto& stamps = s.header.options.timestamps;
    if (!stamps) {
        return;
    }
    if (!own.timestamp || newer(stamps->value, *own.timestamp)) {
        own.timestamp = stamps->value;
        own.timestamp_at = s.time_ns;
    }
    // RFC 7323 §4.3 (2).
    const bool in_sequence = s.seq <= own.contiguous;
    if (in_sequence && (!peer.recent || !newer(*peer.recent, stamps->value))) {
        peer.recent = stamps->value;
    }
}

void learn_receiver(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    const bool syn = s.header.flags.syn();
    if (!s.header.flags.ack() && !syn) {
        return;
    }
    if (judge.view.acks[judge.index] == AckStanding::unsent) {
        return;
    }
    const auto stamp = s.header.options.timestamps
                           ? std::optional<std::uint32_t>(s.header.options.timestamps->value)
                           : std::nullopt;
    const std::int64_t ack = s.header.flags.ack() ? s.ack : 1;
    const std::int64_t edge = ack + static_cast<std::int64_t>(s.window);
    const bool stale = own.ack && s.header.flags.ack() && s.ack < *own.ack;
    if (!own.edge_known || edge > own.edge) {
        own.edge = edge;
    }
    own.edge_known = true;
    if (stale) {
        return;
    }
    own.latest_edge = edge;
    own.edge_at = s.time_ns;
    own.edge_timestamp = stamp;
    own.window = s.window;
    if (s.header.flags.ack()) {
        own.ack = s.ack;
        own.ack_at = s.time_ns;
        own.ack_timestamp = stamp;
    }
}

// A segment that asks for a challenge ACK or an ACK at once (RFC 5961 §4.2, §5.2; RFC 9293 §3.10.7.4, first).
void learn_challenge(const Judge& judge) {
    for (const Finding& finding : *judge.findings) {
        switch (finding.verdict) {
            case Verdict::stray_syn:
            case Verdict::ack_of_unsent:
            case Verdict::old_timestamp:
            case Verdict::reset_in_window: judge.peer().owes_challenge = true; return;
            default: break;
        }
    }
}

void count(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Totals& totals = judge.own().totals;
    ++totals.segments;
    totals.pure_acks += s.pure_ack() ? 1U : 0U;
    totals.syn += s.header.flags.syn() ? 1U : 0U;
    totals.keep_alives += judge.has_note(NoteKind::keep_alive) ? 1U : 0U;
    totals.window_probes += judge.has_note(NoteKind::window_probe) ? 1U : 0U;
}

}  // namespace

void learn(const Judge& judge) {
    count(judge);
    const SeenSegment& s = judge.s();
    const bool stray = s.header.flags.syn() && s.seq != 0;
    judge.own().owes_challenge = false;
    learn_challenge(judge);
    if (stray || s.header.flags.rst()) {
        return;
    }
    learn_sender(judge);
    learn_timestamps(judge);
    learn_receiver(judge);
}

}  // namespace runnel::analyse
