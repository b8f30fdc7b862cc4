// Data and FIN: what is sent for the first time and what again, whether it fits the peer's window and MSS
// (RFC 9293 §3.7.1, §3.8.6), what made its sender send it again (RFC 5681, 6298, 6675, 8985), and whether it
// is what stood under these numbers before (RFC 9293 §3.4).
#include <algorithm>

#include "runnel/analyse/judge.hpp"

namespace runnel::analyse {

namespace {

using report::ChecksumState;
using report::NoteKind;
using report::SeenSegment;

/// Pieces that one segment is compared with.
constexpr std::size_t kMostCompared = 64;
/// Signs of loss that make a fast retransmission (RFC 5681 §3.2).
constexpr std::uint64_t kDuplicateThreshold = 3;

void judge_beyond_window(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& peer = judge.peer();
    if (!peer.edge_known || !judge.conversation.scales_known || s.payload_size == 0) {
        return;
    }
    const std::int64_t beyond = s.seq + s.payload_size - peer.edge;
    if (beyond <= 0) {
        return;
    }
    if (beyond == 1 && s.payload_size == 1) {
        return;  // §3.8.6.1: a probe is one octet beyond
    }
    // The window may have been told by a segment that the capture has a little later.
    const auto& segments = judge.conversation.segments;
    const std::size_t end = std::min(segments.size(), judge.index + kLookAhead);
    for (std::size_t i = judge.index + 1; i < end; ++i) {
        const SeenSegment& later = segments[i];
        if (later.time_ns > s.time_ns + kCaptureDisorder) {
            break;
        }
        if (later.from != s.from && trusted(later) && later.header.flags.ack() &&
            later.ack + static_cast<std::int64_t>(later.window) >= s.seq + s.payload_size) {
            return;
        }
    }
    judge.add(judge.lossy() ? Verdict::maybe_beyond_window : Verdict::data_beyond_window, beyond);
}

void judge_size(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const std::size_t receiver = report::index_of(other(s.from));
    const auto& syn = judge.agreement.syn[receiver];
    if (!syn || !syn->readable || s.header.flags.syn()) {
        return;
    }
    const std::uint32_t mss = judge.agreement.mss[receiver];
    if (s.payload_size <= mss) {
        return;
    }
    ++judge.own().totals.super_segments;
    if (s.checksum == ChecksumState::offloaded) {
        judge.add(Verdict::super_segment, s.payload_size, mss);
    } else if (judge.near_sender() && judge.view.marked && s.checksum == ChecksumState::right) {
        // A device that cuts segments needs to fill in their checksums, too.
        judge.add(Verdict::too_large, s.payload_size, mss);
    } else {
        judge.add(Verdict::maybe_too_large, s.payload_size, mss);
    }
}

void judge_fin(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    if (own.fin_end) {
        if (s.header.flags.fin() && s.end() != *own.fin_end) {
            judge.add(Verdict::fin_moves, s.end() - 1, *own.fin_end - 1);
        } else if (!s.header.flags.fin() && s.end() > *own.fin_end - 1) {
            judge.add(Verdict::data_after_fin, s.end() - *own.fin_end + 1);
        }
    } else if (s.header.flags.fin() && own.data_end >= s.end() && s.seq > 0) {
        // Not by SND.NXT: the ACKs after a FIN that was lost before the capture already count it.
        judge.add(Verdict::data_after_fin, own.data_end - s.end() + 1);
    }
}

void judge_new_data(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    if (judge.has_note(NoteKind::gap)) {
        judge.add(Verdict::out_of_order_data, judge.note_value(NoteKind::gap));
    } else if (s.payload_size != 0) {
        judge.add(Verdict::in_order_data, s.payload_size);
    }
    if (s.header.flags.fin()) {
        judge.add(Verdict::fin);
    }
    if (judge.has_note(NoteKind::window_filled)) {
        judge.add(Verdict::window_full);
    }
    own.totals.bytes += s.payload_size;
}

const Sent* piece_at(const Side& side, std::int64_t seq) {
    auto at = side.sent.upper_bound(seq);
    if (at == side.sent.begin()) {
        return nullptr;
    }
    --at;
    return at->second.end > seq ? &at->second : nullptr;
}

struct Again {
    std::int64_t since = 0;
    std::uint32_t count = 1;  // transmissions before
    std::uint64_t signs = 0;  // of loss
    bool recovering = false;
    bool icmp = false;
};

Again look_back(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    const Side& peer = judge.peer();
    Again again;
    if (const Sent* piece = piece_at(own, s.seq)) {
        again.since = std::max<std::int64_t>(s.time_ns - piece->last_at, 0);
        again.count = piece->count;
    }
    const std::size_t receiver = report::index_of(other(s.from));
    const std::int64_t mss = std::max<std::int64_t>(judge.agreement.mss[receiver], 1);
    const std::int64_t sacked = (peer.sack_bytes + mss - 1) / mss;
    again.signs = std::max(peer.duplicate_acks, static_cast<std::uint64_t>(sacked));
    again.recovering = own.recovery_point && peer.ack && *peer.ack < *own.recovery_point;
    constexpr std::int64_t kRecent = 1'000'000'000;
    again.icmp = own.icmp_at > s.time_ns - kRecent && own.icmp_at <= s.time_ns;
    return again;
}

// A timer that ran out before a round trip could have passed. True when something was said.
bool judge_haste(const Judge& judge, const Again& again) {
    const RoundTrips& trips = judge.own().round_trips;
    if (trips.count == 0 || again.since >= trips.least || judge.lossy()) {
        return false;
    }
    const std::int64_t least_us = trips.least / 1000;
    // Far from the sender the round trips seen are only the near end's answers, which may be faster than copies.
    constexpr std::int64_t kDoubled = 1'000'000;
    if (again.since < (judge.near_sender() ? std::min(kDoubled, trips.least / 2 + 1) : kDoubled)) {
        judge.add(judge.near_sender() ? Verdict::sent_twice : Verdict::doubled, again.since);
    } else {
        judge.add(judge.near_sender() ? Verdict::too_early : Verdict::maybe_too_early, again.since,
                  least_us);
    }
    return true;
}

void judge_unprompted(const Judge& judge, const Again& again) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    if (judge_haste(judge, again)) {
        return;
    }
    constexpr std::int64_t kProbeMost = 1'000'000'000;
    const bool tail = s.end() >= own.highest && s.payload_size != 0;
    if (again.count > 1) {
        judge.add(Verdict::timeout_again, again.since, again.count);
        ++own.totals.timeout;
    } else if (s.payload_size == 0) {
        judge.add(Verdict::fin_again, again.since);
        ++own.totals.fin;
        return;
    } else if (tail && own.round_trips.count != 0 && again.since < kProbeMost) {
        judge.add(Verdict::loss_probe, again.since);
        ++own.totals.probes;
        return;  // it begins no recovery
    } else {
        judge.add(Verdict::timeout_retransmission, again.since);
        ++own.totals.timeout;
    }
    own.recovery_point = own.highest;
}

}  // namespace

void judge_retransmission(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    const Again again = look_back(judge);
    own.retransmitted_at = s.time_ns;
    if (judge.has_note(NoteKind::needless_retransmission)) {
        judge.add(Verdict::spurious_retransmission, again.since);
        ++own.totals.spurious;
    } else if (again.icmp) {
        judge.add(Verdict::icmp_retransmission, again.since);
        ++own.totals.recovery;
    } else if (again.recovering) {
        const RoundTrips& trips = own.round_trips;
        // Once more within a recovery: only the timer does that, unless the round trip is that long.
        const bool timer = again.count > 1 && trips.count != 0 && again.since > 2 * trips.most &&
                           again.since > 190'000'000;
        judge.add(timer ? Verdict::timeout_again : Verdict::recovery_retransmission, again.since,
                  again.count);
        ++(timer ? own.totals.timeout : own.totals.recovery);
    } else if (again.signs > 0 && s.payload_size != 0) {
        judge.add(again.signs >= kDuplicateThreshold ? Verdict::fast_retransmission
                                                     : Verdict::early_retransmission,
                  again.since, static_cast<std::int64_t>(again.signs));
        ++own.totals.fast;
        own.recovery_point = own.highest;
    } else {
        judge_unprompted(judge, again);
    }
    if (judge.has_note(NoteKind::partial_retransmission)) {
        const std::int64_t fresh = judge.note_value(NoteKind::partial_retransmission);
        judge.add(Verdict::repacked_retransmission, fresh);
        own.totals.bytes += static_cast<std::uint64_t>(fresh);
    }
}

void judge_contents(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Bytes payload = s.payload();
    if (payload.empty() || judge.probing() || s.header.flags.syn()) {
        return;
    }
    const std::int64_t begin = s.seq;
    const std::int64_t end = begin + static_cast<std::int64_t>(payload.size());
    const auto& sent = judge.own().sent;
    auto at = sent.upper_bound(begin);
    at = at == sent.begin() ? at : std::prev(at);
    for (std::size_t i = 0; i < kMostCompared && at != sent.end() && at->first < end; ++i, ++at) {
        const Sent& piece = at->second;
        const std::int64_t piece_end = at->first + static_cast<std::int64_t>(piece.payload.size());
        const std::int64_t from = std::max(begin, at->first);
        const std::int64_t to = std::min(end, piece_end);
        if (from >= to) {
            continue;
        }
        const auto size = static_cast<std::size_t>(to - from);
        const Bytes now = payload.subspan(static_cast<std::size_t>(from - begin), size);
        const Bytes then = piece.payload.subspan(static_cast<std::size_t>(from - at->first), size);
        const auto differs = std::mismatch(now.begin(), now.end(), then.begin());
        if (differs.first != now.end()) {
            judge.add(Verdict::payload_differs, from + (differs.first - now.begin()));
            return;
        }
    }
}

void judge_data(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    ++own.totals.data_segments;
    judge_fin(judge);
    judge_contents(judge);
    judge_beyond_window(judge);
    judge_size(judge);
    if (judge.has_note(NoteKind::out_of_order)) {
        judge.add(Verdict::late_data, judge.note_value(NoteKind::out_of_order));
        ++own.totals.out_of_order;
        own.totals.bytes += s.payload_size;
        if (s.header.flags.fin()) {
            judge.add(Verdict::fin);
        }
    } else if (judge.has_note(NoteKind::retransmission) ||
               judge.has_note(NoteKind::needless_retransmission) ||
               judge.has_note(NoteKind::partial_retransmission)) {
        judge_retransmission(judge);
    } else {
        judge_new_data(judge);
    }
}

}  // namespace runnel::analyse
