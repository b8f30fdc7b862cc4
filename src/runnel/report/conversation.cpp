#include "runnel/report/conversation.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

namespace runnel::report {

namespace {

constexpr std::uint8_t kMaxWindowScale = 14;  // RFC 7323 §2.3

// Where a packet was taken: the capture's interface, and where the link type tells them the machine's and
// whether it came or went (a packet that a machine forwards is captured twice).
struct Place {
    std::uint32_t interface = 0;
    std::uint32_t machine_interface = 0;
    PacketDirection direction = PacketDirection::unknown;
    bool operator==(const Place&) const = default;
};

// A conversation while packets are added. Its ends are numbered by who was first seen; `finish` turns them.
struct Growing {
    Conversation conversation;  // left: the sender of the first packet
    std::array<std::optional<Place>, 2> place;
    bool reset = false;
    std::array<bool, 2> fin = {};
    bool answered = false;  // something other than SYN and RST was seen
};

class Sorter {
public:
    explicit Sorter(const Capture& capture) : capture_(capture) {}

    Conversations sort() {
        for (std::size_t i = 0; i < capture_.packets.size(); ++i) {
            add(i);
        }
        for (Growing& growing : growing_) {
            found_.list.push_back(std::move(growing.conversation));
        }
        return std::move(found_);
    }

private:
    void add(std::size_t number) {
        const CapturedPacket& packet = capture_.packets[number];
        DecodedPacket decoded = decode_packet(packet);
        using Kind = DecodedPacket::Kind;
        switch (decoded.kind) {
            case Kind::tcp:
                add_tcp(number, *decoded.tcp,
                        {packet.interface, decoded.interface_index, decoded.direction});
                break;
            case Kind::icmp_error: add_icmp(number, *decoded.icmp_error); break;
            case Kind::fragment: ++found_.others.fragments; break;
            case Kind::udp: ++found_.others.udp; break;
            case Kind::icmp: ++found_.others.icmp; break;
            case Kind::arp: ++found_.others.arp; break;
            case Kind::other: ++found_.others.other; break;
            case Kind::unreadable: ++found_.others.unreadable; break;
        }
    }

    // The same key for both directions.
    static FourTuple key(const Endpoint& a, const Endpoint& b) {
        return a < b ? FourTuple{a, b} : FourTuple{b, a};
    }

    Growing* find(const Endpoint& a, const Endpoint& b) {
        const auto found = newest_.find(key(a, b));
        return found == newest_.end() ? nullptr : &growing_[found->second];
    }

    void add_tcp(std::size_t number, const DecodedTcp& tcp, Place place) {
        Growing* growing = find(tcp.source, tcp.destination);
        if (growing == nullptr || opens_anew(*growing, tcp)) {
            newest_[key(tcp.source, tcp.destination)] = growing_.size();
            growing = &growing_.emplace_back();
            growing->conversation.number = growing_.size();
            growing->conversation.left = tcp.source;
            growing->conversation.right = tcp.destination;
        }
        Conversation& conversation = growing->conversation;
        const End from = tcp.source == conversation.left ? End::left : End::right;
        std::optional<Place>& home = growing->place[index_of(from)];
        if (!home) {
            home = place;
        }
        if (*home != place) {
            ++conversation.seen_elsewhere;
            return;
        }
        SeenSegment& segment = conversation.segments.emplace_back();
        segment.packet = number;
        segment.time_ns = capture_.packets[number].time_ns;
        segment.from = from;
        segment.header = tcp.header;
        segment.other_options = tcp.other_options;
        segment.options_malformed = tcp.options_malformed;
        segment.payload_size = tcp.payload_size;
        segment.checksum = tcp.checksum;
        segment.ecn = tcp.ecn;
        segment.bytes = tcp.bytes;
        segment.direction = place.direction != PacketDirection::unknown
                                ? place.direction
                                : capture_.packets[number].direction;
        note(*growing, segment);
    }

    static bool opens_anew(const Growing& growing, const DecodedTcp& tcp) {
        const TcpFlags flags = tcp.header.flags;
        if (!flags.syn() || flags.ack() || flags.rst() || tcp.checksum == ChecksumState::wrong) {
            return false;
        }
        const Conversation& conversation = growing.conversation;
        const End from = tcp.source == conversation.left ? End::left : End::right;
        const std::optional<SeqNum>& iss = conversation.iss[index_of(from)];
        const bool over = growing.reset || (growing.fin[0] && growing.fin[1]);
        // Of an end that has not sent a SYN yet, with the handshake open, it is a simultaneous open.
        return iss ? *iss != tcp.header.seq && (over || !growing.answered)
                   : over || growing.answered;
    }

    static void note(Growing& growing, const SeenSegment& segment) {
        if (segment.checksum == ChecksumState::wrong) {
            return;
        }
        const TcpFlags flags = segment.header.flags;
        std::optional<SeqNum>& iss = growing.conversation.iss[index_of(segment.from)];
        if (flags.syn() && !iss) {
            iss = segment.header.seq;
        }
        growing.reset |= flags.rst();
        growing.fin[index_of(segment.from)] |= flags.fin();
        growing.answered |= !flags.syn() && !flags.rst();
    }

    void add_icmp(std::size_t number, DecodedIcmpError& error) {
        Growing* growing = find(error.quoted_source, error.quoted_destination);
        if (growing == nullptr) {
            ++found_.others.icmp;
            return;
        }
        Conversation& conversation = growing->conversation;
        SeenIcmpError& seen = conversation.icmp_errors.emplace_back();
        seen.packet = number;
        seen.time_ns = capture_.packets[number].time_ns;
        seen.about = error.quoted_source == conversation.left ? End::left : End::right;
        seen.reporter = error.reporter;
        seen.seq = static_cast<std::int64_t>(error.quoted_seq.value);  // made relative in the end
        seen.meaning = std::move(error.meaning);
    }

    const Capture& capture_;
    Conversations found_;
    std::vector<Growing> growing_;
    std::map<FourTuple, std::size_t> newest_;
};

void turn_round(Conversation& conversation) {
    std::swap(conversation.left, conversation.right);
    std::swap(conversation.iss[0], conversation.iss[1]);
    for (SeenSegment& segment : conversation.segments) {
        segment.from = other(segment.from);
    }
    for (SeenIcmpError& error : conversation.icmp_errors) {
        error.about = other(error.about);
    }
}

void choose_left(Conversation& conversation) {
    for (const SeenSegment& segment : conversation.segments) {
        if (segment.header.flags.syn() && segment.checksum != ChecksumState::wrong) {
            const End opener = segment.header.flags.ack() ? other(segment.from) : segment.from;
            if (opener == End::right) {
                turn_round(conversation);
            }
            return;
        }
    }
}

// The numbers of one direction: relative to a base, unwrapped near the latest one.
class Unwrapper {
public:
    [[nodiscard]] bool has_base() const { return has_base_; }
    void set_base(SeqNum base) {
        base_ = base;
        has_base_ = true;
    }
    std::int64_t relative(SeqNum number) {
        const SeqNum latest =
            base_ + static_cast<std::uint32_t>(static_cast<std::uint64_t>(latest_));
        return latest_ + number.offset_from(latest);
    }
    void advance(std::int64_t number) { latest_ = std::max(latest_, number); }

private:
    bool has_base_ = false;
    SeqNum base_;
    std::int64_t latest_ = 0;
};

constexpr SeqNum before(SeqNum number) {
    return number + 0xffff'ffff;
}

void make_relative(Conversation& conversation) {
    std::array<Unwrapper, 2> unwrap;
    for (const End end : {End::left, End::right}) {
        if (const auto iss = conversation.iss[index_of(end)]) {
            unwrap[index_of(end)].set_base(*iss);
        }
    }
    auto icmp = conversation.icmp_errors.begin();
    const auto take_icmp_before = [&](std::int64_t time_ns) {
        for (; icmp != conversation.icmp_errors.end() && icmp->time_ns <= time_ns; ++icmp) {
            Unwrapper& numbers = unwrap[index_of(icmp->about)];
            icmp->seq = numbers.relative(SeqNum{static_cast<std::uint32_t>(icmp->seq)});
        }
    };
    for (SeenSegment& segment : conversation.segments) {
        take_icmp_before(segment.time_ns - 1);
        Unwrapper& own = unwrap[index_of(segment.from)];
        Unwrapper& peer = unwrap[index_of(other(segment.from))];
        const TcpFlags flags = segment.header.flags;
        if (!own.has_base()) {
            own.set_base(flags.rst() ? segment.header.seq : before(segment.header.seq));
        }
        segment.seq = own.relative(segment.header.seq);
        // The numbers of a reset, of a broken segment and of a stray SYN may come from anywhere.
        const std::optional<SeqNum>& iss = conversation.iss[index_of(segment.from)];
        const bool stray_syn = flags.syn() && iss && *iss != segment.header.seq;
        const bool trusted = segment.checksum != ChecksumState::wrong && !flags.rst() && !stray_syn;
        if (trusted) {
            own.advance(segment.end());
        }
        if (flags.ack()) {
            if (!peer.has_base()) {
                peer.set_base(before(segment.header.ack));
            }
            segment.ack = peer.relative(segment.header.ack);
            if (trusted) {
                peer.advance(segment.ack);
            }
        }
    }
    take_icmp_before(std::numeric_limits<std::int64_t>::max());
}

// RFC 7323 §2.2: windows are scaled when both SYNs carried the option, and never in a SYN itself.
void scale_windows(Conversation& conversation) {
    std::array<std::optional<std::uint8_t>, 2> shift;
    for (const SeenSegment& segment : conversation.segments) {
        const std::optional<SeqNum>& iss = conversation.iss[index_of(segment.from)];
        if (segment.header.flags.syn() && segment.header.seq == iss &&
            segment.checksum != ChecksumState::wrong) {
            shift[index_of(segment.from)] = segment.header.options.window_scale;
        }
    }
    conversation.scales_known = conversation.iss[0] && conversation.iss[1];
    const bool scaled = conversation.scales_known && shift[0] && shift[1];
    for (SeenSegment& segment : conversation.segments) {
        segment.window = segment.header.window;
        if (scaled && !segment.header.flags.syn()) {
            segment.window <<= std::min(*shift[index_of(segment.from)], kMaxWindowScale);
        }
    }
}

}  // namespace

std::int64_t Conversation::start_ns() const {
    return segments.empty() ? 0 : segments.front().time_ns;
}

std::int64_t Conversation::end_ns() const {
    const std::int64_t last = segments.empty() ? 0 : segments.back().time_ns;
    return icmp_errors.empty() ? last : std::max(last, icmp_errors.back().time_ns);
}

Conversations find_conversations(const Capture& capture) {
    Conversations conversations = Sorter(capture).sort();
    for (Conversation& conversation : conversations.list) {
        choose_left(conversation);
        make_relative(conversation);
        scale_windows(conversation);
    }
    return conversations;
}

}  // namespace runnel::report
