// Which rows a conversation's ladder has: the handshake, every SYN, FIN and RST, every change of a state, the
// first data of each end and every sign of trouble stand on their own; runs of ordinary data segments and
// ACKs between them are folded into one row with their sums.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/report/conversation.hpp"
#include "runnel/report/end_follower.hpp"
#include "runnel/report/segment_notes.hpp"

namespace runnel::report {

/// A run of fewer ordinary segments than this isn't worth folding.
inline constexpr std::size_t kShortestFold = 3;
/// Duplicate ACKs of a row of them that stand on their own: the third tells of a loss (RFC 5681 §3.2).
inline constexpr std::uint64_t kShownDuplicateAcks = 3;

/// What one end sent within a fold.
struct FoldSums {
    std::uint64_t data_segments = 0;
    std::uint64_t bytes = 0;
    std::uint64_t acks = 0;  ///< segments without data, duplicates left out
    std::uint64_t duplicate_acks = 0;
};

struct LadderRow {
    enum class Kind : std::uint8_t { segment, fold, icmp_error };
    Kind kind = Kind::segment;
    std::size_t first = 0;         ///< in Conversation::segments, or in ::icmp_errors
    std::size_t last = 0;          ///< the same as `first` but for a fold
    std::array<FoldSums, 2> sums;  ///< of each End, for a fold
};

/// The rows in the order of the packets; with `all` nothing is folded, and segments whose `kept` (empty, or
/// one a segment) is true never are.
[[nodiscard]] std::vector<LadderRow> plan_rows(const Conversation& conversation,
                                               const std::vector<Notes>& notes,
                                               const FollowedStates& states, bool all,
                                               const std::vector<bool>& kept = {});

}  // namespace runnel::report
