// Acknowledgements and windows: RFC 9293 §3.4, §3.8.6, §3.10.7.4; RFC 5681 §2 and §4.2; RFC 2018, RFC 2883;
// RFC 5961 §5.
#include <algorithm>

#include "runnel/analyse/judge.hpp"

namespace runnel::analyse {

namespace {

using report::End;
using report::NoteKind;
using report::SeenSegment;

/// MUST-40: an ACK waits less than half a second. Allowance for how a host schedules, ns.
constexpr std::int64_t kDelayMost = 500'000'000;
constexpr std::int64_t kScheduling = 30'000'000;

/// `same_tick`: stamped at one tick of the sender's clock; however late it comes, it was then the way that took long.
enum class Order : std::uint8_t { unknown, same_tick, older, newer };

Order by_timestamp(const SeenSegment& s, const std::optional<std::uint32_t>& than) {
    const auto& stamps = s.header.options.timestamps;
    if (!stamps || !than) {
        return Order::unknown;
    }
    if (stamps->value == *than) {
        return Order::same_tick;
    }
    return newer(stamps->value, *than) ? Order::newer : Order::older;
}

// Whether the segment was surely sent after one that was seen at `time_ns` with that timestamp.
bool surely_after(const Judge& judge, std::int64_t time_ns,
                  const std::optional<std::uint32_t>& timestamp) {
    switch (by_timestamp(judge.s(), timestamp)) {
        case Order::newer: return true;
        case Order::older: return false;
        case Order::same_tick: return judge.near_sender();
        case Order::unknown: break;
    }
    return judge.near_sender() || judge.s().time_ns - time_ns > judge.disorder();
}

void judge_retreat(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    const std::int64_t less = *own.ack - s.ack;
    if (!surely_after(judge, own.ack_at, own.ack_timestamp)) {
        judge.add(Verdict::old_ack);
        return;
    }
    const bool proven = judge.near_sender() || by_timestamp(s, own.ack_timestamp) == Order::newer;
    if (proven) {
        judge.add(Verdict::ack_retreats, less);
    } else {
        judge.add(Verdict::ack_seems_to_retreat, less, (s.time_ns - own.ack_at) / 1000);
    }
}

// How long the first data that this ACK covers had been waiting for it.
void judge_delay(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    const Side& peer = judge.peer();
    if (!own.ack || *own.ack < 1 || judge.lossy()) {
        return;
    }
    const auto piece = peer.sent.find(*own.ack);
    if (piece == peer.sent.end()) {
        return;
    }
    const Sent& sent = piece->second;
    // Lost ones are sent again; what wasn't in order or in the window had to wait.
    if (sent.count > 1 || !sent.in_order || !sent.offered || sent.end > s.ack ||
        peer.retransmitted_at >= sent.first_at || peer.round_trips.count == 0) {
        return;
    }
    const std::int64_t waited = s.time_ns - sent.first_at;
    if (waited <= kDelayMost + 2 * peer.round_trips.least + kScheduling) {
        return;
    }
    judge.add(judge.near_sender() ? Verdict::ack_late : Verdict::ack_perhaps_late, waited);
}

void measure_round_trip(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& peer = judge.peer();
    // The last piece that is now acknowledged wholly; sent once only (Karn, RFC 6298 §3).
    auto piece = peer.sent.lower_bound(s.ack);
    if (piece == peer.sent.begin()) {
        return;
    }
    --piece;
    Sent& sent = piece->second;
    if (sent.end == s.ack && sent.count == 1 && !sent.acked && s.time_ns >= sent.first_at) {
        peer.round_trips.add(s.time_ns - sent.first_at);
    }
    sent.acked = true;
}

// SHLD-19 asks for an ACK of every second full segment; MUST-59 for one of all that wait to be processed. So
// many that came over so long a time did not wait together.
bool stretched(const Judge& judge, std::int64_t full_segments) {
    constexpr std::int64_t kMany = 4, kLong = 20'000'000;
    const Side& peer = judge.peer();
    const auto piece = peer.sent.find(*judge.own().ack);
    if (full_segments < kMany || piece == peer.sent.end() || peer.round_trips.count == 0) {
        return false;
    }
    return piece->second.count == 1 && piece->second.in_order &&
           judge.s().time_ns - piece->second.first_at > kLong + 2 * peer.round_trips.least;
}

void judge_advance(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    Side& peer = judge.peer();
    const std::int64_t before = own.ack.value_or(std::min<std::int64_t>(s.ack, 0));
    const std::int64_t bytes = s.ack - before;
    if (!own.ack && s.ack == 1 && !s.header.flags.syn()) {
        judge.add(Verdict::handshake_ack);
        return;
    }
    if (s.header.flags.syn()) {
        return;
    }
    judge_delay(judge);
    if (peer.recovery_point && own.ack && *own.ack < *peer.recovery_point) {
        const bool full = s.ack >= *peer.recovery_point;
        judge.add(full ? Verdict::full_ack : Verdict::partial_ack, bytes);
    } else if (own.ack && (s.length() == 0 || bytes > 1)) {
        judge.add(Verdict::ack, bytes);
    }
    const std::size_t mine = report::index_of(s.from);
    const std::uint32_t mss = judge.agreement.mss[mine];
    if (bytes > 0 && own.ack && mss != 0) {
        ++own.totals.advancing_acks;
        own.totals.full_segments_acked += static_cast<std::uint64_t>(bytes) / mss;
        own.totals.stretched_acks += stretched(judge, bytes / mss) ? 1U : 0U;
    }
}

void judge_sack(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    const Side& peer = judge.peer();
    const auto& blocks = s.header.options.sack;
    const auto relative = [&](SeqNum n) { return s.ack + n.offset_from(s.header.ack); };
    std::int64_t bytes = 0;
    std::int64_t high = own.sack_high;
    std::int64_t beyond = 0;
    bool bad = false;
    for (const SackBlock& block : blocks) {
        const std::int64_t left = relative(block.left);
        const std::int64_t right = relative(block.right);
        bad = bad || left >= right;
        beyond = peer.any ? std::max(beyond, right - peer.highest) : beyond;
        if (left > s.ack && left < right) {
            bytes += right - left;
            high = std::max(high, right);
        }
    }
    if (judge.has_note(NoteKind::duplicate_sack)) {
        judge.add(Verdict::duplicate_sack, judge.note_value(NoteKind::duplicate_sack));
    }
    if (bad) {
        judge.add(Verdict::empty_sack);
        return;
    }
    if (beyond > 0) {
        judge.add(Verdict::sack_of_unseen, beyond);
    }
    if (bytes != 0) {
        judge.add(Verdict::selective_ack, bytes);
    } else if (blocks.empty() && own.sack_bytes != 0 && s.ack < own.sack_high && own.ack &&
               s.ack >= *own.ack && s.time_ns - own.sack_at > judge.disorder()) {
        judge.add(Verdict::sack_reneged, own.sack_high - s.ack);
    }
    if (own.ack && s.ack < *own.ack) {
        return;  // old news
    }
    own.sack_bytes = bytes;
    own.sack_high = s.ack >= high ? s.ack : high;
    own.sack_at = bytes != 0 ? s.time_ns : own.sack_at;
}

void judge_standing_still(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    if (judge.has_note(NoteKind::probe_answer)) {
        judge.add(Verdict::probe_answer);
    } else if (own.owes_challenge) {
        judge.add(Verdict::challenge_ack);
    } else if (judge.has_note(NoteKind::duplicate_ack)) {
        judge.add(Verdict::duplicate_ack, judge.note_value(NoteKind::duplicate_ack));
        own.duplicate_acks = static_cast<std::uint64_t>(judge.note_value(NoteKind::duplicate_ack));
        ++own.totals.duplicate_acks;
    } else if (judge.has_note(NoteKind::window_opened)) {
        judge.add(Verdict::window_opened, static_cast<std::int64_t>(s.window));
    } else if (judge.has_note(NoteKind::window_update)) {
        judge.add(Verdict::window_update, static_cast<std::int64_t>(s.window));
    }
}

}  // namespace

void judge_ack(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    Side& peer = judge.peer();
    const AckStanding standing = judge.view.acks[judge.index];
    if (standing == AckStanding::unsent) {
        judge.add(Verdict::ack_of_unsent, s.ack - peer.highest);
        peer.owes_challenge = true;
        return;
    }
    if (standing == AckStanding::unseen) {
        judge.add(Verdict::ack_of_unseen, s.ack - peer.contiguous);
        peer.contiguous = std::max(peer.contiguous, s.ack);
        peer.highest = std::max(peer.highest, s.ack);
    }
    if (own.ack && s.ack < *own.ack) {
        judge_retreat(judge);
        return;
    }
    judge_sack(judge);
    if (!own.ack || s.ack > *own.ack) {
        judge_advance(judge);
        measure_round_trip(judge);
        own.duplicate_acks = 0;
    } else if (s.pure_ack() && !judge.probing()) {
        judge_standing_still(judge);
    }
}

void judge_window(const Judge& judge) {
    const SeenSegment& s = judge.s();
    Side& own = judge.own();
    if (s.window == 0 && !s.header.flags.syn()) {
        judge.add(Verdict::zero_window);
        own.totals.zero_windows += own.window != 0 ? 1U : 0U;
    }
    if (!judge.conversation.scales_known || !own.edge_known || s.header.flags.syn() ||
        judge.view.acks[judge.index] == AckStanding::unsent || (own.ack && s.ack < *own.ack)) {
        return;
    }
    // A window counts in units of its scale (RFC 7323 §2.4).
    const std::int64_t unit = std::int64_t{1} << judge.agreement.shift[report::index_of(s.from)];
    const std::int64_t back = own.latest_edge - (s.ack + static_cast<std::int64_t>(s.window));
    if (back >= unit && surely_after(judge, own.edge_at, own.edge_timestamp)) {
        judge.add(Verdict::window_shrunk, back);
    }
}

}  // namespace runnel::analyse
