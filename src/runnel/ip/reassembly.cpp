// Pieces are kept sorted; a new one must fit into a gap exactly, or it shows an attack or a broken sender.
// A datagram that was given up keeps its place without memory, so that later fragments of it are refused.
#include "runnel/ip/reassembly.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "runnel/base/bytes.hpp"
#include "runnel/base/check.hpp"
#include "runnel/base/checksum.hpp"

namespace runnel {

namespace {

constexpr std::uint8_t kEcnCe = 3;
/// IPv4: total length, flags with offset, checksum; IPv6: payload length (RFC 791 §3.1, RFC 8200 §3).
constexpr std::size_t kTotalLengthAt = 2, kFragmentFieldAt = 6, kChecksumAt = 10;
constexpr std::size_t kPayloadLengthAt = 4;

void write_u16(MutableBytes bytes, std::size_t at, std::uint16_t value) {
    ByteWriter(bytes.subspan(at, 2)).u16(value);
}

bool same_datagram(const ArrivedFragment& a, const ArrivedFragment& b) {
    return a.identification == b.identification && a.protocol == b.protocol &&
           a.source == b.source && a.destination == b.destination;
}

/// A slice that pins more than four times its size is copied out (DESIGN §1, law 5).
constexpr std::uint32_t kPinFactor = 4;

}  // namespace

std::uint64_t Reassembler::hash_of(const ArrivedFragment& fragment) const {
    std::array<std::byte, 37> message{};
    ByteWriter writer(message);
    writer.put(fragment.source.bytes());
    writer.put(fragment.destination.bytes());
    writer.u32(fragment.identification);
    writer.u8(fragment.protocol);
    return siphash(key_, message) | 1;  // never 0, which marks a free place
}

Reassembler::Datagram* Reassembler::find(const ArrivedFragment& fragment, std::uint64_t hash) {
    for (Datagram& datagram : datagrams_) {
        if (datagram.name_hash == hash && same_datagram(datagram.name, fragment)) {
            return &datagram;
        }
    }
    return nullptr;
}

void Reassembler::release(Datagram& datagram) {
    pinned_ -= datagram.pinned;
    --used_;
    datagram.pieces.clear();
    datagram.name_hash = 0;
    datagram.pinned = 0;
    datagram.name = {};
}

void Reassembler::give_up(Datagram& datagram) {
    pinned_ -= datagram.pinned;
    datagram.pinned = 0;
    datagram.pieces.clear();
    datagram.given_up = true;
}

/// Those given up go first, then the one that has waited longest.
bool Reassembler::evict_oldest(const Datagram* keep) {
    Datagram* victim = nullptr;
    for (Datagram& datagram : datagrams_) {
        if (datagram.name_hash == 0 || &datagram == keep) {
            continue;
        }
        const bool better = victim == nullptr || (datagram.given_up != victim->given_up
                                                      ? datagram.given_up
                                                      : datagram.expires < victim->expires);
        if (better) {
            victim = &datagram;
        }
    }
    if (victim == nullptr) {
        return false;
    }
    release(*victim);
    return true;
}

Reassembler::Datagram* Reassembler::create(const ArrivedFragment& fragment, std::uint64_t hash,
                                           Instant now, std::uint32_t& evicted) {
    if (used_ == kMaxDatagrams) {
        (void)evict_oldest(nullptr);
        ++evicted;
    }
    auto place = std::find_if(datagrams_.begin(), datagrams_.end(),
                              [](const Datagram& d) { return d.name_hash == 0; });
    if (place == datagrams_.end()) {
        datagrams_.emplace_back();
        place = datagrams_.end() - 1;
    }
    Datagram& datagram = *place;
    std::vector<Piece> pieces = std::move(datagram.pieces);  // keeps its memory
    datagram = {};
    datagram.pieces = std::move(pieces);
    datagram.name_hash = hash;
    datagram.name = fragment;
    datagram.name.packet = {};
    const bool v4 = fragment.source.is_v4();
    datagram.expires = now + (v4 ? config_.reassembly_time_v4 : config_.reassembly_time_v6);
    next_expiry_ = std::min(next_expiry_, datagram.expires);
    ++used_;
    return &datagram;
}

std::uint32_t Reassembler::pinned_by(const IpAddress& source) const {
    std::uint32_t pinned = 0;
    for (const Datagram& datagram : datagrams_) {
        if (datagram.name_hash != 0 && datagram.name.source == source) {
            pinned += datagram.pinned;
        }
    }
    return pinned;
}

/// Finds where the fragment belongs among the sorted pieces; ip_hold_fragment when it fits into a gap.
Decision Reassembler::check_place(const Datagram& datagram, const ArrivedFragment& fragment,
                                  std::size_t& place) const {
    const std::uint32_t begin = fragment.offset;
    const std::uint32_t end = begin + fragment.data_size();
    const auto after =
        std::upper_bound(datagram.pieces.begin(), datagram.pieces.end(), begin,
                         [](std::uint32_t at, const Piece& piece) { return at < piece.offset; });
    place = static_cast<std::size_t>(after - datagram.pieces.begin());
    if (place > 0) {
        const Piece& before = datagram.pieces[place - 1];
        if (before.offset == begin && before.size == end - begin) {
            // RFC 8200 §4.5 lets exact duplicates be ignored; so does Linux.
            return Decision::ip_drop_fragment_duplicate;
        }
        if (before.offset + before.size > begin) {
            return Decision::ip_drop_fragment_overlap;
        }
    }
    if (after != datagram.pieces.end() && end > after->offset) {
        return Decision::ip_drop_fragment_overlap;
    }
    return Decision::ip_hold_fragment;
}

/// All fragments must agree on where the datagram ends.
Decision Reassembler::check_ends(Datagram& datagram, const ArrivedFragment& fragment) const {
    const std::uint32_t end = fragment.offset + fragment.data_size();
    if (!fragment.more) {
        const bool beyond = !datagram.pieces.empty() &&
                            datagram.pieces.back().offset + datagram.pieces.back().size > end;
        if (beyond || (datagram.has_last && datagram.total != end)) {
            return Decision::ip_drop_fragment_inconsistent;
        }
        datagram.has_last = true;
        datagram.total = end;
    } else if (datagram.has_last && end >= datagram.total) {
        return Decision::ip_drop_fragment_inconsistent;
    }
    return Decision::ip_hold_fragment;
}

Decision Reassembler::make_room(Datagram& datagram, const ArrivedFragment& fragment,
                                std::uint32_t bytes, std::uint32_t& evicted) {
    if (pinned_by(fragment.source) + bytes > config_.reassembly_bytes_per_source) {
        return Decision::ip_drop_fragment_memory;
    }
    while (pinned_ + bytes > config_.reassembly_bytes) {  // at most kMaxDatagrams times
        if (!evict_oldest(&datagram)) {
            return Decision::ip_drop_fragment_memory;
        }
        ++evicted;
    }
    return Decision::ip_hold_fragment;
}

/// What is wrong with a fragment of a known datagram, or ip_hold_fragment.
Decision Reassembler::check(Datagram& datagram, const ArrivedFragment& fragment,
                            std::size_t& place) const {
    const Decision fits = check_place(datagram, fragment, place);
    if (fits != Decision::ip_hold_fragment) {
        return fits;
    }
    const Decision ends = check_ends(datagram, fragment);
    if (ends != Decision::ip_hold_fragment) {
        return ends;
    }
    if (datagram.pieces.size() == kMaxPieces) {
        return Decision::ip_drop_fragment_too_many;
    }
    datagram.ecn_seen |= static_cast<std::uint8_t>(1U << fragment.ecn);
    constexpr std::uint8_t kNotEctAndCe = (1U << 0) | (1U << kEcnCe);
    const bool mixed = (datagram.ecn_seen & kNotEctAndCe) == kNotEctAndCe;
    return mixed ? Decision::ip_drop_fragment_ecn : Decision::ip_hold_fragment;
}

/// Puts a checked fragment among the pieces, copied out of a chunk that it would pin for little.
Decision Reassembler::keep(Datagram& datagram, const ArrivedFragment& fragment, std::size_t place,
                           std::uint32_t& evicted) {
    Slice packet = fragment.packet;
    if (packet.chunk().capacity() > kPinFactor * packet.size() &&
        packet.chunk().capacity() > kSmallChunk) {
        packet = pool_.copy(packet.bytes());
        if (packet.empty()) {
            return Decision::ip_drop_no_buffer;
        }
    }
    const std::uint32_t pins = packet.chunk().capacity();
    const Decision room = make_room(datagram, fragment, pins, evicted);
    if (room != Decision::ip_hold_fragment) {
        return room;
    }
    datagram.pinned += pins;
    pinned_ += pins;
    datagram.received += fragment.data_size();
    const auto at = datagram.pieces.begin() + static_cast<std::ptrdiff_t>(place);
    datagram.pieces.insert(at, {fragment.offset, fragment.data_size(),
                                packet.subslice(fragment.data_at, fragment.data_size())});
    if (fragment.offset == 0) {
        datagram.name = fragment;
        datagram.name.packet = std::move(packet);
        datagram.has_first = true;
    }
    return Decision::ip_hold_fragment;
}

Reassembler::Added Reassembler::add(ArrivedFragment&& fragment, Instant now) {
    Added added;
    if (fragment.data_size() == 0) {
        added.decision = Decision::ip_drop_fragment_empty;
        return added;
    }
    const std::uint64_t hash = hash_of(fragment);
    Datagram* datagram = find(fragment, hash);
    if (datagram == nullptr) {
        datagram = create(fragment, hash, now, added.evicted);
    }
    if (datagram->given_up) {
        added.decision = Decision::ip_drop_fragment_of_dropped;
        return added;
    }
    std::size_t place = 0;
    added.decision = check(*datagram, fragment, place);
    if (added.decision != Decision::ip_hold_fragment) {
        if (added.decision != Decision::ip_drop_fragment_duplicate) {
            give_up(*datagram);
        }
        return added;
    }
    added.decision = keep(*datagram, fragment, place, added.evicted);
    if (datagram->pieces.empty()) {
        release(*datagram);
        return added;
    }
    if (!datagram->has_first || !datagram->has_last || datagram->received != datagram->total) {
        return added;
    }
    if (!fits_length_field(*datagram)) {
        give_up(*datagram);
        added.decision = Decision::ip_drop_bad_fragment;
        return added;
    }
    added.whole = assemble(*datagram);
    added.decision =
        added.whole.empty() ? Decision::ip_drop_no_buffer : Decision::ip_accept_reassembled;
    release(*datagram);
    return added;
}

/// The parser has checked each fragment with its own header; the first one's may be longer.
bool Reassembler::fits_length_field(const Datagram& datagram) const {
    constexpr std::uint32_t kMaxLength = 65535;
    constexpr std::uint32_t kIpv6Header = 40;  // not counted by the payload length
    const std::uint32_t size = datagram.name.header_size + datagram.total;
    return size <= kMaxLength + (datagram.name.source.is_v4() ? 0 : kIpv6Header);
}

/// The first fragment's header without its fragment header, corrected, and all data behind it, in one chunk.
Slice Reassembler::assemble(const Datagram& datagram) {
    const ArrivedFragment& first = datagram.name;
    const std::size_t size = first.header_size + datagram.total;
    ChunkRef chunk = size <= kLargeChunk ? pool_.allocate(size) : ChunkRef{};
    if (!chunk) {
        return {};
    }
    Slice whole(std::move(chunk), 0, static_cast<std::uint32_t>(size));
    const MutableBytes bytes = whole.mutable_bytes();
    std::memcpy(bytes.data(), first.packet.data(), first.header_size);
    std::size_t at = first.header_size;
    for (const Piece& piece : datagram.pieces) {
        std::memcpy(bytes.data() + at, piece.data.data(), piece.data.size());
        at += piece.data.size();
    }
    RUNNEL_CHECK(at == size);

    const bool marked = (datagram.ecn_seen & (1U << kEcnCe)) != 0;
    const std::size_t traffic_class_low = 1;  // the byte that holds the two ECN bits, see below
    if (first.source.is_v4()) {
        if (marked) {
            bytes[traffic_class_low] |= std::byte{kEcnCe};
        }
        write_u16(bytes, kTotalLengthAt, static_cast<std::uint16_t>(size));
        write_u16(bytes, kFragmentFieldAt, 0);
        write_u16(bytes, kChecksumAt, 0);
        write_u16(bytes, kChecksumAt, internet_checksum(bytes.first(first.header_size)));
    } else {
        // The traffic class straddles the first two bytes; its low half is the second's high half.
        if (marked) {
            bytes[traffic_class_low] |= std::byte{kEcnCe << 4};
        }
        write_u16(bytes, kPayloadLengthAt, static_cast<std::uint16_t>(size - 40));
        bytes[first.next_header_at] = static_cast<std::byte>(first.next_header);
    }
    return whole;
}

void Reassembler::on_timeout(Instant now, std::vector<Expired>& expired) {
    if (now < next_expiry_) {
        return;
    }
    next_expiry_ = Instant::never();
    for (Datagram& datagram : datagrams_) {
        if (datagram.name_hash == 0) {
            continue;
        }
        if (datagram.expires > now) {
            next_expiry_ = std::min(next_expiry_, datagram.expires);
            continue;
        }
        if (!datagram.given_up) {
            expired.push_back({datagram.name, datagram.has_first});
        }
        release(datagram);
    }
}

}  // namespace runnel
