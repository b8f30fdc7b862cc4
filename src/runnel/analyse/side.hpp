// What can be told from outside about one end, up to the segment that is being judged: as the sender of its
// segments, and as the receiver that its acknowledgements and windows show.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>

#include "runnel/base/bytes.hpp"

namespace runnel::analyse {

/// A piece of the stream as it was first sent.
struct Sent {
    std::int64_t end = 0;
    std::int64_t first_at = 0;
    std::int64_t last_at = 0;
    std::uint32_t count = 1;  ///< transmissions
    bool in_order = false;    ///< nothing before it was missing then
    bool offered = false;     ///< it lay within the peer's window, as far as that was known
    Bytes payload;            ///< what was captured of it
    bool acked = false;       ///< its first acknowledgement has been seen
};

/// Pieces of one direction that are remembered. Older ones are forgotten.
inline constexpr std::size_t kMaxSent = 4096;

struct RoundTrips {
    std::uint64_t count = 0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    double sum = 0;
    void add(std::int64_t ns) {
        ++count;
        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
        sum += static_cast<double>(ns);
    }
};

/// Sums for the summary.
struct Totals {
    std::uint64_t segments = 0, bytes = 0, data_segments = 0, pure_acks = 0;
    std::uint64_t fast = 0, recovery = 0, timeout = 0, probes = 0, spurious = 0, syn = 0, fin = 0;
    std::uint64_t out_of_order = 0, duplicate_acks = 0, zero_windows = 0, keep_alives = 0,
                  window_probes = 0, resets = 0;
    std::uint64_t checksums_wrong = 0, checksums_right = 0, super_segments = 0;
    std::uint64_t full_segments_acked = 0, advancing_acks = 0;  ///< by this end, of the peer's
    std::uint64_t stretched_acks = 0;  ///< of many full segments, the first of which waited long
};

struct Side {
    // --- as a sender
    bool any = false;
    std::int64_t highest = 0;  ///< SND.NXT, from outside
    std::int64_t highest_at = 0;
    std::int64_t data_end = 0;  ///< past the last octet seen; `highest` may count a lost FIN
    std::int64_t contiguous = 0;
    std::optional<std::int64_t> fin_end;
    std::optional<std::uint32_t> timestamp;  ///< the latest TSval
    std::int64_t timestamp_at = 0;
    std::map<std::int64_t, Sent> sent;  ///< by first number
    std::optional<std::int64_t> recovery_point;
    std::int64_t retransmitted_at = std::numeric_limits<std::int64_t>::min();
    std::int64_t icmp_at = std::numeric_limits<std::int64_t>::min();  ///< of an error about it
    RoundTrips round_trips;

    // --- as a receiver
    std::optional<std::int64_t> ack;  ///< the highest it sent
    std::int64_t ack_at = 0;
    std::optional<std::uint32_t> ack_timestamp;
    bool edge_known = false;
    std::int64_t edge = 0;         ///< the highest right edge it offered
    std::int64_t latest_edge = 0;  ///< with its latest acknowledgement
    std::int64_t edge_at = 0;      ///< when that was seen
    std::optional<std::uint32_t> edge_timestamp;
    std::uint64_t window = 0;
    std::uint64_t duplicate_acks = 0;  ///< since its ACK advanced
    std::int64_t sack_bytes = 0;       ///< told beyond the ACK, in its latest segment
    std::int64_t sack_high = 0;        ///< the highest number it has acknowledged selectively
    std::int64_t sack_at = 0;
    std::optional<std::uint32_t> recent;  ///< TS.Recent
    bool owes_challenge = false;          ///< what it got last asks for a challenge ACK

    Totals totals;
};

}  // namespace runnel::analyse
