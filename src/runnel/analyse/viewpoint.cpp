#include "runnel/analyse/viewpoint.hpp"

#include <algorithm>

#include "runnel/base/interval_set.hpp"

namespace runnel::analyse {

namespace {

using report::ChecksumState;
using report::Conversation;
using report::End;
using report::index_of;
using report::PacketDirection;
using report::SeenSegment;

/// Holes of one direction that are told apart.
constexpr std::size_t kMaxHoles = 1024;
/// How far is looked ahead for what an end sends next after an acknowledgement of what wasn't seen.
constexpr std::size_t kEvidenceAhead = 256;

std::uint64_t key(std::int64_t seq) {
    return static_cast<std::uint64_t>(seq) + (std::uint64_t{1} << 63);
}

// What was seen of one direction.
struct Seen {
    bool any = false;
    std::int64_t highest = 0;
    std::int64_t contiguous = 0;
    IntervalSet<kMaxHoles> beyond;  // a gap
    std::optional<std::uint32_t> timestamp;

    void add(const SeenSegment& segment) {
        if (!any) {
            any = true;
            contiguous = segment.seq;
            highest = segment.end();
        }
        highest = std::max(highest, segment.end());
        if (segment.length() == 0) {
            return;
        }
        if (segment.seq > contiguous) {
            beyond.insert(key(segment.seq), key(segment.end()));
            return;
        }
        reach(segment.end());
    }
    void reach(std::int64_t end) {
        contiguous = std::max(contiguous, end);
        highest = std::max(highest, contiguous);
        while (!beyond.empty() && beyond.begin()->begin <= key(contiguous)) {
            contiguous = std::max(contiguous, static_cast<std::int64_t>(beyond.begin()->end -
                                                                        (std::uint64_t{1} << 63)));
            beyond.erase_below(key(contiguous));
        }
    }
};

class Finder {
public:
    Finder(const Conversation& conversation, const Agreement& agreement)
        : segments_(conversation.segments), agreement_(agreement) {}

    void find(Viewpoint& view) {
        view.acks.assign(segments_.size(), AckStanding::seen);
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            const SeenSegment& segment = segments_[i];
            view.cut += segment.cut_short() ? 1U : 0U;
            if (!trusted(segment) || segment.header.flags.rst() || is_stray(segment)) {
                continue;
            }
            Seen& own = seen_[index_of(segment.from)];
            own.add(segment);
            const bool missed_stamp = note_timestamps(i, own);
            if (segment.header.flags.ack()) {
                view.acks[i] = standing(i);
            }
            view.missed += missed_stamp || view.acks[i] == AckStanding::unseen ? 1U : 0U;
        }
    }

private:
    // A SYN within the connection, with a number of its own.
    static bool is_stray(const SeenSegment& segment) {
        return segment.header.flags.syn() && segment.seq != 0;
    }

    // An echo of a timestamp that was never seen: what carried it was missed.
    bool note_timestamps(std::size_t i, Seen& own) {
        const SeenSegment& segment = segments_[i];
        const auto& stamps = segment.header.options.timestamps;
        if (!agreement_.timestamps || !stamps) {
            return false;
        }
        if (!own.timestamp || newer(stamps->value, *own.timestamp)) {
            own.timestamp = stamps->value;
        }
        std::optional<std::uint32_t>& peer = seen_[index_of(other(segment.from))].timestamp;
        if (!segment.header.flags.ack() || !peer || !newer(stamps->echo, *peer)) {
            return false;
        }
        const bool soon = within_disorder(i, [&](const SeenSegment& s) {
            return s.from != segment.from && s.header.options.timestamps &&
                   !newer(stamps->echo, s.header.options.timestamps->value);
        });
        if (!soon) {
            peer = stamps->echo;
        }
        return !soon;
    }

    template <class F>
    bool within_disorder(std::size_t i, F&& holds) const {
        const std::int64_t limit = segments_[i].time_ns + kCaptureDisorder;
        const std::size_t end = std::min(segments_.size(), i + kLookAhead);
        for (std::size_t j = i + 1; j < end && segments_[j].time_ns <= limit; ++j) {
            if (trusted(segments_[j]) && holds(segments_[j])) {
                return true;
            }
        }
        return false;
    }

    AckStanding standing(std::size_t i) {
        const SeenSegment& segment = segments_[i];
        Seen& peer = seen_[index_of(other(segment.from))];
        if (!peer.any || segment.ack <= peer.contiguous) {
            return AckStanding::seen;
        }
        if (within_disorder(i, [&](const SeenSegment& s) {
                return s.from != segment.from && s.seq <= peer.contiguous &&
                       s.end() > peer.contiguous && !s.header.flags.rst();
            })) {
            return AckStanding::seen;
        }
        if (segment.ack > peer.highest && only_sent_later(i, peer.highest)) {
            return AckStanding::unsent;
        }
        peer.reach(segment.ack);
        return AckStanding::unseen;
    }

    // What the peer sends next shows its SND.NXT: new data, or an ACK, that begins right behind what was
    // seen of it. Behind what was acknowledged it would be had the capture missed something.
    bool only_sent_later(std::size_t i, std::int64_t highest) const {
        const End peer = other(segments_[i].from);
        const std::size_t end = std::min(segments_.size(), i + kEvidenceAhead);
        for (std::size_t j = i + 1; j < end; ++j) {
            const SeenSegment& s = segments_[j];
            if (s.from != peer || !trusted(s) || s.header.flags.rst() || is_stray(s)) {
                continue;
            }
            if (s.seq > highest) {
                return false;
            }
            if (s.seq == highest) {
                return true;
            }
        }
        return false;
    }

    const std::vector<SeenSegment>& segments_;
    const Agreement& agreement_;
    std::array<Seen, 2> seen_;
};

// Marks of the capture: the direction of packets, or checksums that only one end's device had yet to fill in.
bool near_by_marks(const Conversation& conversation, Viewpoint& view) {
    std::array<std::uint64_t, 2> out{}, in{}, offloaded{}, whole{};
    for (const SeenSegment& segment : conversation.segments) {
        const std::size_t from = index_of(segment.from);
        out[from] += segment.direction == PacketDirection::outbound ? 1U : 0U;
        in[from] += segment.direction == PacketDirection::inbound ? 1U : 0U;
        offloaded[from] += segment.checksum == ChecksumState::offloaded ? 1U : 0U;
        whole[from] += segment.checksum == ChecksumState::right ? 1U : 0U;
    }
    for (const End end : {End::left, End::right}) {
        const std::size_t e = index_of(end);
        const std::size_t p = index_of(other(end));
        const bool by_direction = out[e] != 0 && in[e] == 0 && in[p] != 0 && out[p] == 0;
        const bool by_checksum = offloaded[e] != 0 && whole[p] != 0 && offloaded[p] == 0;
        view.near[e] = by_direction || by_checksum;
    }
    return view.near[0] || view.near[1];
}

// In the handshake: who answers at once is near, if the other takes longer.
void near_by_timing(const Conversation& conversation, Viewpoint& view) {
    std::optional<std::int64_t> syn, syn_ack;
    for (const SeenSegment& segment : conversation.segments) {
        const TcpFlags flags = segment.header.flags;
        if (!trusted(segment)) {
            continue;
        }
        if (flags.syn() && !flags.ack()) {
            if (syn || segment.from == End::right) {
                return;  // sent again, or a simultaneous open: no clean measure
            }
            syn = segment.time_ns;
        } else if (flags.syn()) {
            if (syn_ack || !syn) {
                return;
            }
            syn_ack = segment.time_ns;
        } else {
            if (!syn_ack || segment.from == End::right || flags.rst()) {
                return;
            }
            const std::int64_t right = *syn_ack - *syn;
            const std::int64_t left = segment.time_ns - *syn_ack;
            constexpr std::int64_t kClear = 1'000'000;
            if (left >= 0 && right > kClear && right / 4 > left) {
                view.perhaps_near = End::left;
            } else if (right >= 0 && left > kClear && left / 4 > right) {
                view.perhaps_near = End::right;
            }
            return;
        }
    }
}

}  // namespace

bool Agreement::may_sack(End end) const {
    const auto& peer = syn[index_of(other(end))];
    return !peer || !peer->readable || peer->options.sack_permitted;
}

Agreement find_agreement(const Conversation& conversation) {
    Agreement found;
    for (const SeenSegment& segment : conversation.segments) {
        std::optional<SynOptions>& syn = found.syn[index_of(segment.from)];
        if (segment.header.flags.syn() && trusted(segment) && segment.seq == 0 &&
            !segment.header.flags.rst()) {
            // The last one counts, as with the windows: a SYN,ACK may follow an own SYN.
            syn = SynOptions{segment.header.options, segment.header.flags,
                             !segment.options_malformed};
        }
    }
    const std::uint32_t least = conversation.left.address.is_v4() ? 536 : 1220;
    for (const End end : {End::left, End::right}) {
        const auto& syn = found.syn[index_of(end)];
        found.mss[index_of(end)] = syn && syn->options.mss ? *syn->options.mss : least;
    }
    const auto& a = found.syn[0];
    const auto& b = found.syn[1];
    found.known = a && b && a->readable && b->readable;
    if (found.known) {
        found.timestamps = a->options.timestamps && b->options.timestamps;
        found.scaled = a->options.window_scale && b->options.window_scale;
        constexpr unsigned kEcn = TcpFlags::kEce | TcpFlags::kCwr | TcpFlags::kAe;
        found.ecn = (a->flags.bits & kEcn) != 0 && (b->flags.bits & kEcn) != 0;
        // RFC 9768 §3.1.2, Table 2: all three bits ask for it; of the answers 001 and 101 are RFC 3168's.
        const SynOptions& asks = a->flags.ack() ? *b : *a;
        const SynOptions& answers = a->flags.ack() ? *a : *b;
        const unsigned answer = answers.flags.bits & kEcn;
        found.accurate_ecn = found.ecn && (asks.flags.bits & kEcn) == kEcn && answer != kEcn &&
                             answer != TcpFlags::kEce && answer != (TcpFlags::kEce | TcpFlags::kAe);
        if (found.scaled) {
            found.shift = {std::min<unsigned>(*a->options.window_scale, 14),
                           std::min<unsigned>(*b->options.window_scale, 14)};
        }
    }
    return found;
}

Viewpoint find_viewpoint(const Conversation& conversation, const Agreement& agreement) {
    Viewpoint view;
    Finder(conversation, agreement).find(view);
    view.marked = near_by_marks(conversation, view);
    if (!view.marked) {
        near_by_timing(conversation, view);
    }
    return view;
}

}  // namespace runnel::analyse
