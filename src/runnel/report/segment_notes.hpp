// What is remarkable about each segment of a conversation, told from outside: retransmissions, segments out
// of order, duplicate ACKs (RFC 5681 §2), zero windows and probes (RFC 9293 §3.8.6.1), keep-alives
// (RFC 9293 §3.8.4), D-SACK (RFC 2883). All of it is as seen where the capture was taken.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/static_vector.hpp>

#include "runnel/report/conversation.hpp"

namespace runnel::report {

enum class NoteKind : std::uint8_t {
    retransmission,           ///< value: nanoseconds since it was last sent
    needless_retransmission,  ///< of what the peer had already acknowledged; value as above
    partial_retransmission,   ///< some of it was sent before; value: new bytes
    out_of_order,             ///< value: nanoseconds since what should follow it was seen
    gap,                      ///< before it; value: bytes not seen
    duplicate_ack,            ///< value: how many in a row
    zero_window,
    window_opened,  ///< it was zero
    window_update,
    window_filled,  ///< it reaches the right edge of the peer's window
    window_probe,
    keep_alive,
    probe_answer,    ///< the ACK that a keep-alive or window probe asked for
    duplicate_sack,  ///< value: bytes the receiver got twice
    congestion_experienced,
    bad_checksum,
    malformed_options,
};

struct Note {
    NoteKind kind{};
    std::uint64_t value = 0;
    bool operator==(const Note&) const = default;
};

/// Notes that one segment can have; further ones are left out.
inline constexpr std::size_t kMaxNotes = 6;
using Notes = boost::container::static_vector<Note, kMaxNotes>;

/// "retransmission", "duplicate ACK", "zero window" … as in JSON.
[[nodiscard]] std::string_view name(NoteKind kind);
/// The same with its figure, for people: "retransmission after 204 ms", "duplicate ACK 3".
[[nodiscard]] std::string note_text(const Note& note);
/// A sign of loss, of a fault, of a closed window or of an idle peer, never folded away; the others are
/// part of an undisturbed transfer.
[[nodiscard]] bool is_event(const Note& note);

/// The notes of each segment, in order.
[[nodiscard]] std::vector<Notes> note_segments(const Conversation& conversation);

}  // namespace runnel::report
