#include "runnel/report/segment_notes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "runnel/base/interval_set.hpp"
#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

/// Holes in what was seen of one direction that are told apart; beyond, a late segment counts as a
/// retransmission.
constexpr std::size_t kMaxSeenRanges = 1024;
/// A segment that fills a hole this soon after the hole showed was overtaken on its way; later, it was sent
/// again. A sender needs a round trip to learn of a loss, so the handshake's is taken when it is longer.
constexpr std::int64_t kReorderingTime = 3'000'000;

/// Relative sequence numbers may be negative (old duplicates); as keys of the set they are shifted.
std::uint64_t key(std::int64_t seq) {
    return static_cast<std::uint64_t>(seq) + (std::uint64_t{1} << 63);
}

// One direction of the conversation.
struct Direction {
    IntervalSet<kMaxSeenRanges> seen;
    std::map<std::int64_t, std::int64_t> sent_at;  // what is not acknowledged: seq → latest time
    bool any = false;
    std::int64_t highest = 0;         // the number after the highest seen
    std::int64_t highest_at = 0;      // when that was seen
    std::optional<std::int64_t> ack;  // the latest it sent
    std::uint64_t window = 0;         // the latest it announced
    bool window_known = false;
    std::uint64_t duplicate_acks = 0;
    bool kept_alive = false;  // the peer's latest segment was a keep-alive or a window probe
};

class Annotator {
public:
    explicit Annotator(const Conversation& conversation) : conversation_(conversation) {
        reordering_time_ = std::max(kReorderingTime, handshake_time() / 2);
    }

    std::vector<Notes> annotate() {
        std::vector<Notes> all;
        all.reserve(conversation_.segments.size());
        for (const SeenSegment& segment : conversation_.segments) {
            notes_.clear();
            look_at(segment);
            all.push_back(notes_);
        }
        return all;
    }

private:
    void add(NoteKind kind, std::uint64_t value = 0) {
        if (notes_.size() < notes_.capacity()) {
            notes_.push_back({kind, value});
        }
    }

    // SYN to SYN,ACK: a round trip from where the capture was taken to the right end, or to the left one.
    std::int64_t handshake_time() const {
        const std::vector<SeenSegment>& segments = conversation_.segments;
        std::optional<std::int64_t> syn_at;
        for (std::size_t i = 0; i < std::min<std::size_t>(segments.size(), 16); ++i) {
            const TcpFlags flags = segments[i].header.flags;
            if (flags.syn() && !flags.ack()) {
                syn_at = segments[i].time_ns;
            } else if (flags.syn() && syn_at) {
                return segments[i].time_ns - *syn_at;
            }
        }
        return 0;
    }

    void look_at(const SeenSegment& segment) {
        if (segment.ecn == 3) {
            add(NoteKind::congestion_experienced);
        }
        if (segment.options_malformed) {
            add(NoteKind::malformed_options);
        }
        if (segment.checksum == ChecksumState::wrong) {
            add(NoteKind::bad_checksum);
            return;
        }
        Direction& own = directions_[index_of(segment.from)];
        Direction& peer = directions_[index_of(other(segment.from))];
        // The numbers of a reset may come from anywhere, and so may those of a forged or old SYN.
        const std::optional<SeqNum>& iss = conversation_.iss[index_of(segment.from)];
        if (segment.header.flags.rst() ||
            (segment.header.flags.syn() && iss && *iss != segment.header.seq)) {
            return;
        }
        const bool probing = look_at_probe(segment, own, peer);
        if (!probing && segment.length() != 0) {
            look_at_data(segment, own, peer);
        }
        if (segment.header.flags.ack()) {
            look_at_ack(segment, own, peer, probing);
        }
        peer.kept_alive = probing;
        own.window = segment.window;
        own.window_known = true;
        own.any = true;
    }

    // RFC 9293 §3.8.4 keep-alive: SEG.SEQ = SND.NXT-1, with no data or one octet of garbage. Linux probes a
    // closed window in the same way; others send the next octet (§3.8.6.1).
    bool look_at_probe(const SeenSegment& segment, const Direction& own, const Direction& peer) {
        const TcpFlags flags = segment.header.flags;
        if (flags.syn() || flags.fin() || !own.any || segment.payload_size > 1) {
            return false;
        }
        const bool acknowledged = peer.ack && *peer.ack > segment.seq;
        const bool peer_closed = peer.window_known && peer.window == 0;
        if (segment.seq == own.highest - 1 && (acknowledged || peer_closed)) {
            add(peer_closed ? NoteKind::window_probe : NoteKind::keep_alive);
            return true;
        }
        if (peer_closed && segment.payload_size == 1 && peer.ack && segment.seq == *peer.ack) {
            add(NoteKind::window_probe);
            return true;
        }
        return false;
    }

    void look_at_data(const SeenSegment& segment, Direction& own, const Direction& peer) {
        const std::int64_t begin = segment.seq;
        const std::int64_t end = segment.end();
        if (own.any && begin > own.highest) {
            add(NoteKind::gap, static_cast<std::uint64_t>(begin - own.highest));
        } else if (own.any && begin < own.highest) {
            look_at_old_data(segment, own, peer);
        }
        own.seen.insert(key(begin), key(end));  // beyond its limit it forgets, see kMaxSeenRanges
        if (!own.any || end > own.highest) {
            own.highest = end;
            own.highest_at = segment.time_ns;
        }
        own.sent_at[begin] = segment.time_ns;
        const bool syn = segment.header.flags.syn();
        if (!syn && conversation_.scales_known && peer.window_known && peer.ack &&
            peer.window != 0 && segment.payload_size != 0 &&
            end >= *peer.ack + static_cast<std::int64_t>(peer.window)) {
            add(NoteKind::window_filled);
        }
    }

    void look_at_old_data(const SeenSegment& segment, const Direction& own, const Direction& peer) {
        const std::int64_t begin = segment.seq;
        const std::int64_t end = segment.end();
        const bool seen_before = own.seen.overlaps(key(begin), key(end));
        if (!seen_before && segment.time_ns - own.highest_at < reordering_time_ &&
            !(peer.ack && *peer.ack >= end)) {
            add(NoteKind::out_of_order, static_cast<std::uint64_t>(std::max<std::int64_t>(
                                            segment.time_ns - own.highest_at, 0)));
            return;
        }
        if (end > own.highest) {
            add(NoteKind::partial_retransmission, static_cast<std::uint64_t>(end - own.highest));
            return;
        }
        const bool needless = peer.ack && *peer.ack >= end;
        add(needless ? NoteKind::needless_retransmission : NoteKind::retransmission,
            since_sent(segment, own));
    }

    // Nanoseconds since the octet at the segment's front was last sent; 0 when that wasn't seen.
    static std::uint64_t since_sent(const SeenSegment& segment, const Direction& own) {
        auto record = own.sent_at.upper_bound(segment.seq);
        if (record == own.sent_at.begin()) {
            return 0;
        }
        --record;
        return static_cast<std::uint64_t>(
            std::max<std::int64_t>(segment.time_ns - record->second, 0));
    }

    void look_at_ack(const SeenSegment& segment, Direction& own, Direction& peer, bool probing) {
        look_at_duplicate_sack(segment);
        const bool bare = segment.pure_ack() && !probing;
        if (bare && own.ack && segment.ack == *own.ack && own.any) {
            look_at_repeated_ack(segment, own, peer);
        }
        if (segment.window == 0 && !segment.header.flags.syn()) {
            add(NoteKind::zero_window);
        }
        if (!own.ack || segment.ack > *own.ack) {
            own.duplicate_acks = 0;
            own.ack = segment.ack;
            // Records that an ACK has passed serve only for needless retransmissions: one is kept.
            auto passed = peer.sent_at.lower_bound(segment.ack);
            if (passed != peer.sent_at.begin()) {
                peer.sent_at.erase(peer.sent_at.begin(), std::prev(passed));
            }
        }
    }

    // RFC 5681 §2: a duplicate ACK has no data, neither SYN nor FIN, acknowledges what the latest ACK did
    // while data are outstanding, and announces the same window. With SACK blocks the window doesn't
    // matter (RFC 6675 §2).
    void look_at_repeated_ack(const SeenSegment& segment, Direction& own, const Direction& peer) {
        const bool outstanding = peer.any && peer.highest > segment.ack;
        const bool same_window = own.window_known && segment.window == own.window;
        if (own.window_known && own.window == 0 && segment.window != 0) {
            add(NoteKind::window_opened);
        } else if (own.kept_alive && !outstanding) {
            add(NoteKind::probe_answer);
        } else if (outstanding && (same_window || !segment.header.options.sack.empty())) {
            add(NoteKind::duplicate_ack, ++own.duplicate_acks);
        } else if (own.window_known && segment.window > own.window) {
            add(NoteKind::window_update);
        }
    }

    // RFC 2883 §4: the first block tells of duplicates when it lies below the ACK or within the second.
    void look_at_duplicate_sack(const SeenSegment& segment) {
        const auto& blocks = segment.header.options.sack;
        if (blocks.empty()) {
            return;
        }
        const SackBlock& first = blocks.front();
        const std::int32_t size = first.right.offset_from(first.left);
        const bool below = first.right.offset_from(segment.header.ack) <= 0;
        const bool within = blocks.size() > 1 && first.left.offset_from(blocks[1].left) >= 0 &&
                            first.right.offset_from(blocks[1].right) <= 0;
        if (size > 0 && (below || within)) {
            add(NoteKind::duplicate_sack, static_cast<std::uint64_t>(size));
        }
    }

    const Conversation& conversation_;
    std::int64_t reordering_time_ = kReorderingTime;
    std::array<Direction, 2> directions_;
    Notes notes_;
};

std::string since(std::uint64_t ns) {
    return duration_text(
        {static_cast<std::int64_t>(std::min<std::uint64_t>(ns, std::uint64_t{INT64_MAX}))});
}

}  // namespace

std::string_view name(NoteKind kind) {
    switch (kind) {
        case NoteKind::retransmission: return "retransmission";
        case NoteKind::needless_retransmission: return "needless retransmission";
        case NoteKind::partial_retransmission: return "partial retransmission";
        case NoteKind::out_of_order: return "out of order";
        case NoteKind::gap: return "gap";
        case NoteKind::duplicate_ack: return "duplicate ACK";
        case NoteKind::zero_window: return "zero window";
        case NoteKind::window_opened: return "window opened";
        case NoteKind::window_update: return "window update";
        case NoteKind::window_filled: return "window filled";
        case NoteKind::window_probe: return "window probe";
        case NoteKind::keep_alive: return "keep-alive";
        case NoteKind::probe_answer: return "probe answer";
        case NoteKind::duplicate_sack: return "D-SACK";
        case NoteKind::congestion_experienced: return "congestion experienced";
        case NoteKind::bad_checksum: return "bad checksum";
        case NoteKind::malformed_options: return "malformed options";
    }
    return "";
}

std::string note_text(const Note& note) {
    const std::string_view word = name(note.kind);
    switch (note.kind) {
        case NoteKind::retransmission:
            return note.value == 0 ? std::string(word)
                                   : fmt::format("{} after {}", word, since(note.value));
        case NoteKind::needless_retransmission:
            return fmt::format("{}: already acknowledged", word);
        case NoteKind::partial_retransmission:
            return fmt::format("{}, {} new", word, bytes_text(note.value));
        case NoteKind::out_of_order:
            return fmt::format("{}: overtaken {} ago", word, since(note.value));
        case NoteKind::gap: return fmt::format("{} before it not seen", bytes_text(note.value));
        case NoteKind::duplicate_ack: return fmt::format("{} {}", word, note.value);
        case NoteKind::window_filled: return "fills the peer's window";
        case NoteKind::duplicate_sack:
            return fmt::format("{}: {} received twice", word, bytes_text(note.value));
        case NoteKind::congestion_experienced: return "congestion experienced (CE)";
        case NoteKind::malformed_options: return "options malformed or cut short";
        default: return std::string(word);
    }
}

bool is_event(const Note& note) {
    switch (note.kind) {
        case NoteKind::window_update:
        case NoteKind::window_filled:
        case NoteKind::congestion_experienced: return false;
        default: return true;
    }
}

std::vector<Notes> note_segments(const Conversation& conversation) {
    return Annotator(conversation).annotate();
}

}  // namespace runnel::report
