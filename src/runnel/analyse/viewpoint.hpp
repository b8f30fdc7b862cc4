// What the whole capture tells before its segments are judged one by one: what the handshake agreed on, next
// to which end it was taken, and whether segments passed by it uncaptured. Judgements lean on these: what an
// end can't have known yet, or what the capture may have missed, is not held against it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/report/conversation.hpp"

namespace runnel::analyse {

/// What one SYN carried.
struct SynOptions {
    TcpOptions options;
    TcpFlags flags;
    bool readable = false;  ///< the options were captured whole
};

struct Agreement {
    std::array<std::optional<SynOptions>, 2> syn;  ///< of each End, its first
    bool known = false;                            ///< both SYNs were seen with their options
    bool timestamps = false;                       ///< RFC 7323 §3.2
    bool scaled = false;                           ///< RFC 7323 §2.2
    bool ecn = false;
    bool accurate_ecn = false;  ///< of it: the flags are a counter (RFC 9768 §3.2.2)
    /// `end` may send SACK: the peer has permitted it (RFC 2018 §2).
    [[nodiscard]] bool may_sack(report::End end) const;
    /// The most payload that `end` announced to take; MUST-15's default where it said nothing.
    std::array<std::uint32_t, 2> mss = {536, 536};
    /// Bits by which `end`'s windows are shifted.
    std::array<unsigned, 2> shift = {0, 0};
};
[[nodiscard]] Agreement find_agreement(const report::Conversation& conversation);

/// How an acknowledgement stands to what the capture has of the other direction.
enum class AckStanding : std::uint8_t {
    seen,
    unseen,  ///< of data that the capture missed
    unsent,  ///< of data that its peer only sent later
};

struct Viewpoint {
    /// Next to that end: what it sends and gets is seen in the order in which it does.
    std::array<bool, 2> near = {false, false};
    /// Known from marks of the capture (directions, checksums left to the device), not from timing.
    bool marked = false;
    /// Next to that end as far as the handshake's times tell; the other round trips have to confirm it.
    std::optional<report::End> perhaps_near;
    std::uint64_t missed = 0;  ///< segments that show others to have been missed
    std::uint64_t cut = 0;     ///< segments captured in part
    std::vector<AckStanding> acks;
};
[[nodiscard]] Viewpoint find_viewpoint(const report::Conversation& conversation,
                                       const Agreement& agreement);

/// A segment that counts: whose checksum isn't wrong.
[[nodiscard]] inline bool trusted(const report::SeenSegment& segment) {
    return segment.checksum != report::ChecksumState::wrong;
}
/// Whether `value` is a later timestamp than `than` (RFC 7323 §5.3).
[[nodiscard]] constexpr bool newer(std::uint32_t value, std::uint32_t than) {
    const std::uint32_t ahead = value - than;
    return ahead != 0 && ahead < 0x8000'0000U;
}

/// Captures may swap segments that pass within this time (several queues, several processors), ns.
inline constexpr std::int64_t kCaptureDisorder = 500'000;
/// Segments that are looked at ahead for that.
inline constexpr std::size_t kLookAhead = 64;

}  // namespace runnel::analyse
