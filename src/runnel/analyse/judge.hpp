// The segment that is being judged, and everything the checks look at: for the room's own files. Each check
// is a function over it, and adds findings.
#pragma once

#include "runnel/analyse/analysis.hpp"
#include "runnel/report/segment_notes.hpp"

namespace runnel::analyse {

struct Judge {
    const report::Conversation& conversation;
    const std::vector<report::Notes>& notes;
    const Agreement& agreement;
    const Viewpoint& view;
    const report::FollowedStates& states;
    std::array<Side, 2>& sides;

    std::size_t index = 0;
    const report::SeenSegment* segment = nullptr;
    Findings* findings = nullptr;

    [[nodiscard]] const report::SeenSegment& s() const { return *segment; }
    [[nodiscard]] Side& own() const { return sides[report::index_of(segment->from)]; }
    [[nodiscard]] Side& peer() const { return sides[report::index_of(other(segment->from))]; }
    [[nodiscard]] bool near_sender() const { return view.near[report::index_of(segment->from)]; }
    [[nodiscard]] bool lossy() const { return view.missed != 0; }
    [[nodiscard]] bool has_note(report::NoteKind kind) const;
    [[nodiscard]] std::int64_t note_value(report::NoteKind kind) const;
    /// The state of an end before the segment.
    [[nodiscard]] std::optional<tcp::State> state_before(report::End end) const {
        const report::EndStates& states_before =
            index == 0 ? states.before : states.after[index - 1];
        return states_before.of[report::index_of(end)];
    }
    /// A keep-alive, or a probe of a closed window.
    [[nodiscard]] bool probing() const;
    /// Time that the network may have shuffled segments by, ns.
    [[nodiscard]] std::int64_t disorder() const;
    void add(Verdict verdict, std::int64_t value = 0, std::int64_t second = 0) const {
        if (findings->size() < kMaxFindings) {
            findings->push_back({verdict, value, second});
        }
    }
};

/// Control bits that don't go together, checksum, reserved bits, ECN.
void judge_header(const Judge& judge);
/// Options against what the handshake agreed on, and the order of timestamps.
void judge_options(const Judge& judge);
void judge_syn(const Judge& judge);
void judge_reset(const Judge& judge);
/// Data and FIN: first transmissions, retransmissions, windows, sizes, contents.
void judge_data(const Judge& judge);
void judge_retransmission(const Judge& judge);
/// The octets that were sent before under the same numbers.
void judge_contents(const Judge& judge);
void judge_ack(const Judge& judge);
void judge_window(const Judge& judge);
/// What the sides know after the segment.
void learn(const Judge& judge);

}  // namespace runnel::analyse
