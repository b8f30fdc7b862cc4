#include "runnel/report/ladder_plan.hpp"

#include <algorithm>

namespace runnel::report {

namespace {

bool is_remarkable(const SeenSegment& segment, const Notes& notes) {
    constexpr std::uint16_t kAlways =
        TcpFlags::kSyn | TcpFlags::kFin | TcpFlags::kRst | TcpFlags::kUrg;
    if ((segment.header.flags.bits & kAlways) != 0) {
        return true;
    }
    return std::any_of(notes.begin(), notes.end(), [](const Note& note) {
        return is_event(note) &&
               !(note.kind == NoteKind::duplicate_ack && note.value > kShownDuplicateAcks);
    });
}

bool is_retransmission(const Notes& notes) {
    return std::any_of(notes.begin(), notes.end(), [](const Note& note) {
        return note.kind == NoteKind::retransmission ||
               note.kind == NoteKind::partial_retransmission;
    });
}

std::vector<bool> shown_segments(const Conversation& conversation, const std::vector<Notes>& notes,
                                 const FollowedStates& states) {
    const std::vector<SeenSegment>& segments = conversation.segments;
    std::vector<bool> shown(segments.size());
    bool data_seen[2] = {false, false};
    // After a retransmission: the peer's ACK beyond this number shows that it healed the loss.
    std::int64_t healing_beyond[2] = {};
    bool awaiting_healing[2] = {false, false};
    std::int64_t latest_ack[2] = {};
    EndStates before = states.before;
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const SeenSegment& segment = segments[i];
        const std::size_t from = index_of(segment.from);
        const std::size_t to = index_of(other(segment.from));
        bool show = is_remarkable(segment, notes[i]) || states.after[i] != before;
        before = states.after[i];
        if (segment.payload_size != 0 && !data_seen[from]) {
            data_seen[from] = true;
            show = true;
        }
        if (segment.header.flags.ack()) {
            if (awaiting_healing[from] && segment.ack > healing_beyond[from]) {
                awaiting_healing[from] = false;
                show = true;
            }
            latest_ack[from] = segment.ack;
        }
        if (is_retransmission(notes[i])) {
            awaiting_healing[to] = true;
            healing_beyond[to] = latest_ack[to];
        }
        shown[i] = show;
    }
    return shown;
}

void add_to_fold(LadderRow& fold, const SeenSegment& segment, const Notes& notes) {
    FoldSums& sums = fold.sums[index_of(segment.from)];
    const bool duplicate = std::any_of(notes.begin(), notes.end(), [](const Note& note) {
        return note.kind == NoteKind::duplicate_ack;
    });
    if (segment.payload_size != 0) {
        ++sums.data_segments;
        sums.bytes += segment.payload_size;
    } else if (duplicate) {
        ++sums.duplicate_acks;
    } else {
        ++sums.acks;
    }
}

}  // namespace

std::vector<LadderRow> plan_rows(const Conversation& conversation, const std::vector<Notes>& notes,
                                 const FollowedStates& states, bool all,
                                 const std::vector<bool>& kept) {
    const std::vector<SeenSegment>& segments = conversation.segments;
    const std::vector<SeenIcmpError>& errors = conversation.icmp_errors;
    std::vector<bool> shown(segments.size(), true);
    if (!all) {
        shown = shown_segments(conversation, notes, states);
        for (std::size_t i = 0; i < kept.size(); ++i) {
            shown[i] = shown[i] || kept[i];
        }
    }
    std::vector<LadderRow> rows;
    std::size_t error = 0;
    const auto add_errors_before = [&](std::size_t packet) {
        for (; error < errors.size() && errors[error].packet < packet; ++error) {
            rows.push_back({LadderRow::Kind::icmp_error, error, error, {}});
        }
    };
    std::size_t i = 0;
    while (i < segments.size()) {
        add_errors_before(segments[i].packet);
        std::size_t end = i;
        while (end < segments.size() && !shown[end] &&
               (error == errors.size() || segments[end].packet < errors[error].packet)) {
            ++end;
        }
        if (end - i < kShortestFold) {
            rows.push_back({LadderRow::Kind::segment, i, i, {}});
            ++i;
            continue;
        }
        LadderRow fold{LadderRow::Kind::fold, i, end - 1, {}};
        for (; i < end; ++i) {
            add_to_fold(fold, segments[i], notes[i]);
        }
        rows.push_back(fold);
    }
    while (error < errors.size()) {
        rows.push_back({LadderRow::Kind::icmp_error, error, error, {}});
        ++error;
    }
    return rows;
}

}  // namespace runnel::report
