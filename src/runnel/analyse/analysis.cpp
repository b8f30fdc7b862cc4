#include "runnel/analyse/analysis.hpp"

#include <algorithm>

#include "runnel/analyse/judge.hpp"

namespace runnel::analyse {

namespace {

using report::ChecksumState;
using report::Conversation;
using report::End;
using report::index_of;
using report::NoteKind;
using report::SeenSegment;

/// Stretched ACKs that show a habit, when they are half of all.
constexpr std::uint64_t kHabit = 16;
/// Segments of one end with a wrong checksum, and none with a right one, that make it a habit.
constexpr std::uint64_t kWrongHabit = 3;
/// A conversation that nobody answered and that is so old has given up its SYNs (RFC 9293 §3.8.3), ns.
constexpr std::int64_t kSynLife = 130'000'000'000;

// What arrives there is judged by its receiver with these.
Receiver receiver_of(const Judge& judge) {
    const Side& sender = judge.own();
    const Side& peer = judge.peer();
    const bool again = judge.has_note(NoteKind::retransmission) ||
                       judge.has_note(NoteKind::needless_retransmission) ||
                       judge.has_note(NoteKind::partial_retransmission);
    const bool behind = peer.duplicate_acks > 0 || peer.sack_bytes > 0 || again;
    Receiver r;
    r.next = sender.any ? sender.contiguous : judge.s().seq;
    if (peer.ack && (behind || !sender.any)) {
        r.next = *peer.ack;
    }
    r.edge_known = peer.edge_known && judge.conversation.scales_known;
    r.edge = r.edge_known ? std::max(peer.edge, r.next) : r.next + 65'535;
    r.una = sender.ack.value_or(0);
    r.has_sent = peer.any;
    r.sent = std::max(peer.highest, r.una);
    r.fin_sent = peer.fin_end.has_value();
    r.recent = peer.recent;
    r.peer_window = sender.window;
    return r;
}

void judge_segment(const Judge& judge) {
    const SeenSegment& s = judge.s();
    if (!trusted(s)) {
        ++judge.own().totals.checksums_wrong;
        judge.add(Verdict::damaged);
        return;
    }
    judge.own().totals.checksums_right += s.checksum == ChecksumState::right ? 1U : 0U;
    judge_header(judge);
    judge_options(judge);
    const TcpFlags flags = s.header.flags;
    if (flags.rst()) {
        judge_reset(judge);
    } else if (flags.syn()) {
        judge_syn(judge);
    } else if (judge.probing()) {
        judge.add(judge.has_note(NoteKind::keep_alive) ? Verdict::keep_alive
                                                       : Verdict::window_probe);
    } else if (s.length() != 0) {
        judge_data(judge);
    }
    if (flags.ack() && !flags.rst() && !(flags.syn() && s.seq != 0)) {
        judge_ack(judge);
        judge_window(judge);
    }
    if (judge.findings->empty()) {
        judge.add(Verdict::bare_ack);
    }
    learn(judge);
}

class Analyser {
public:
    Analyser(const Conversation& conversation, Analysis& analysis)
        : conversation_(conversation),
          analysis_(analysis),
          notes_(report::note_segments(conversation)),
          icmp_(conversation.icmp_errors.begin()) {}

    void run() {
        const std::size_t count = conversation_.segments.size();
        analysis_.segments.resize(count);
        analysis_.receivers.reserve(count);
        Judge judge{conversation_,  notes_,           analysis_.agreement,
                    analysis_.view, analysis_.states, analysis_.sides};
        for (std::size_t i = 0; i < count; ++i) {
            judge.index = i;
            judge.segment = &conversation_.segments[i];
            judge.findings = &analysis_.segments[i];
            take_icmp(judge.s().time_ns);
            analysis_.receivers.push_back(receiver_of(judge));
            judge_segment(judge);
        }
    }

private:
    void take_icmp(std::int64_t until) {
        for (; icmp_ != conversation_.icmp_errors.end() && icmp_->time_ns <= until; ++icmp_) {
            analysis_.sides[index_of(icmp_->about)].icmp_at = icmp_->time_ns;
        }
    }

    const Conversation& conversation_;
    Analysis& analysis_;
    std::vector<report::Notes> notes_;
    std::vector<report::SeenIcmpError>::const_iterator icmp_;
};

// Whether the round trips that were measured agree that the capture was taken next to `end`: what it sends
// takes long to be acknowledged, what it is sent does not.
bool confirmed_near(const Analysis& analysis, End end) {
    const RoundTrips& far = analysis.sides[index_of(end)].round_trips;
    const RoundTrips& near = analysis.sides[index_of(other(end))].round_trips;
    constexpr std::int64_t kClear = 1'000'000;
    return far.count != 0 && far.least > kClear && (near.count == 0 || near.least < far.least / 4);
}

void judge_ends(Analysis& analysis) {
    for (const End end : {End::left, End::right}) {
        const Totals& totals = analysis.sides[index_of(end)].totals;
        const Totals& peer = analysis.sides[index_of(other(end))].totals;
        std::vector<Finding>& findings = analysis.ends[index_of(end)];
        const bool merged = totals.super_segments + peer.super_segments != 0;
        if (!merged && analysis.view.missed == 0 && totals.stretched_acks >= kHabit &&
            2 * totals.stretched_acks >= totals.advancing_acks) {
            const std::uint64_t acks = std::max<std::uint64_t>(totals.advancing_acks, 1);
            findings.push_back({Verdict::stretched_acks,
                                static_cast<std::int64_t>(totals.full_segments_acked / acks), 0});
        }
        if (totals.checksums_wrong >= kWrongHabit && totals.checksums_right == 0) {
            findings.push_back({Verdict::checksums_wrong, 0, 0});
        }
    }
}

void tell_limits(const Conversation& conversation, Analysis& analysis) {
    const auto tell = [&](Verdict verdict, std::uint64_t count) {
        analysis.limits.push_back({verdict, static_cast<std::int64_t>(count), 0});
    };
    const bool any[2] = {analysis.sides[0].any, analysis.sides[1].any};
    if (!conversation.iss[0] && !conversation.iss[1]) {
        tell(Verdict::starts_midway, 0);
    } else if (!conversation.scales_known && any[0] && any[1]) {
        tell(Verdict::half_handshake, 0);
    }
    const Totals& left = analysis.sides[0].totals;
    const Totals& right = analysis.sides[1].totals;
    const bool one_way = left.segments + left.resets == 0 || right.segments + right.resets == 0;
    const bool only_syns = left.segments == left.syn && right.segments == right.syn;
    if (one_way && !only_syns) {
        tell(Verdict::one_sided, 0);
    }
    if (analysis.view.cut != 0) {
        tell(Verdict::cut_short, analysis.view.cut);
    }
    if (analysis.view.missed != 0) {
        tell(Verdict::lossy_capture, analysis.view.missed);
    }
    if (conversation.seen_elsewhere != 0) {
        tell(Verdict::left_out, conversation.seen_elsewhere);
    }
    const report::EndStates& last =
        analysis.states.after.empty() ? analysis.states.before : analysis.states.after.back();
    const bool over = std::all_of(std::begin(last.of), std::end(last.of), [](const auto& state) {
        return state && (*state == tcp::State::closed || *state == tcp::State::time_wait);
    });
    if (!over) {
        tell(Verdict::capture_ends, 0);
    }
}

// A SYN with another number while the one before was never answered.
bool changes_iss(const Conversation& conversation, const Conversation& earlier) {
    if (conversation.segments.empty() || earlier.segments.empty()) {
        return false;
    }
    const SeenSegment& first = conversation.segments.front();
    const bool unanswered =
        std::all_of(earlier.segments.begin(), earlier.segments.end(), [](const SeenSegment& s) {
            return s.header.flags.syn() && !s.header.flags.ack() && !s.header.flags.rst();
        });
    const bool same_end = (earlier.left == conversation.left) == (first.from == End::left);
    return unanswered && same_end && first.header.flags.syn() && !first.header.flags.ack() &&
           first.time_ns - earlier.end_ns() < kSynLife;
}

}  // namespace

bool Judge::has_note(NoteKind kind) const {
    const report::Notes& own_notes = notes[index];
    return std::any_of(own_notes.begin(), own_notes.end(),
                       [&](const report::Note& note) { return note.kind == kind; });
}

std::int64_t Judge::note_value(NoteKind kind) const {
    for (const report::Note& note : notes[index]) {
        if (note.kind == kind) {
            return static_cast<std::int64_t>(note.value);
        }
    }
    return 0;
}

bool Judge::probing() const {
    return has_note(NoteKind::keep_alive) || has_note(NoteKind::window_probe);
}

std::int64_t Judge::disorder() const {
    constexpr std::int64_t kLeast = 3'000'000;
    std::int64_t longest = kLeast;
    for (const Side& side : sides) {
        longest = std::max(longest, side.round_trips.most);
    }
    return longest;
}

Level Analysis::worst() const {
    Level worst_level = Level::ordinary;
    for (const Level level : {Level::unsure, Level::unusual, Level::violates}) {
        worst_level = count(level) != 0 ? level : worst_level;
    }
    return worst_level;
}

std::uint64_t Analysis::count(Level level) const {
    std::uint64_t found = 0;
    const auto add = [&](const auto& findings) {
        for (const Finding& finding : findings) {
            found += info(finding.verdict).level == level ? std::uint64_t{1} : std::uint64_t{0};
        }
    };
    for (const Findings& findings : segments) {
        add(findings);
    }
    add(ends[0]);
    add(ends[1]);
    add(limits);
    return found;
}

Analysis analyse(const Conversation& conversation, const Conversation* earlier) {
    Analysis analysis;
    analysis.states = report::follow_ends(conversation.segments);
    analysis.agreement = find_agreement(conversation);
    analysis.view = find_viewpoint(conversation, analysis.agreement);
    Analyser(conversation, analysis).run();
    if (analysis.view.perhaps_near && confirmed_near(analysis, *analysis.view.perhaps_near)) {
        // With what is known now, once more from the beginning.
        analysis.view.near[index_of(*analysis.view.perhaps_near)] = true;
        analysis.sides = {};
        analysis.segments.clear();
        analysis.receivers.clear();
        Analyser(conversation, analysis).run();
    }
    if (earlier != nullptr && changes_iss(conversation, *earlier)) {
        analysis.segments.front().push_back({Verdict::other_iss, 0, 0});
    }
    judge_ends(analysis);
    tell_limits(conversation, analysis);
    return analysis;
}

}  // namespace runnel::analyse
