// The exhaustive single-step matrix: every state, flag set, position, payload and window, one segment each;
// the engine must do one of the things that the reference model allows (RFC 9293 §3.10.7).
#pragma once

#include <array>
#include <string>

#include "bench.hpp"

namespace runnel::matrix {

inline constexpr std::size_t kFlagSets = 32, kSequences = 9, kAcknowledgements = 7, kPayloads = 4,
                             kWindows = 3;

/// One cell of a row.
struct Cell {
    std::size_t flags = 0;  ///< bits: FIN SYN RST ACK URG
    std::size_t sequence = 0;
    std::size_t acknowledgement = 0;
    std::size_t payload = 0;
    std::size_t window = 0;
};

struct Tally {
    std::size_t cases = 0;
    std::size_t single = 0;  ///< those with exactly one allowed outcome
    std::size_t wrong = 0;
    std::string first_wrong;  ///< a line each for the first ones

    Tally& operator+=(const Tally& other) {
        cases += other.cases;
        single += other.single;
        wrong += other.wrong;
        first_wrong += other.first_wrong;
        return *this;
    }
};

/// Which cells are run: every `stride`th, from `offset` on.
struct Sample {
    std::size_t stride = 1;
    std::size_t offset = 0;
};

/// Runs one row of a variant.
[[nodiscard]] Tally run_row(Row row, const Variant& variant, Sample sample = {});

/// What is wrong with `o` as an answer to this outcome, or nothing.
[[nodiscard]] std::string difference(const model::Block& before, const model::Outcome& allowed,
                                     const Observed& o);

}  // namespace runnel::matrix
