#include "runnel/tcp/receive/reassembler.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>

#include <boost/container/small_vector.hpp>

#include "runnel/base/check.hpp"
#include "runnel/base/work.hpp"
#include "runnel/tcp/receive/held_ranges.hpp"
#include "runnel/tcp/receive/receive_buffer.hpp"

namespace runnel::tcp {

namespace {

using held::Chain;
using held::EndsBefore;
using held::kNone;
using held::Range;
using held::RangeList;
using held::RangePlaces;
using held::Ranges;

/// From this many octets held on, small payloads are packed into large chunks.
constexpr std::size_t kPackLargeFrom = 32 * 1024;
/// A slice may hold a chunk of at most this many times its size. Stricter than for what waits in order: there
/// can be a whole window of it, and what pins twice its size halves how much of one can be held.
constexpr std::size_t kMaxHeldPinRatio = 2;

/// What the peer must pay for with octets: see kShort.
std::uint32_t is_short(std::size_t octets) {
    return octets < Reassembler::kShort ? 1 : 0;
}

/// A slice that is held, linked to its neighbours in its range.
struct Piece {
    Slice slice;
    std::uint32_t next = kNone;  ///< also links the free places
    std::uint32_t previous = kNone;
    std::uint32_t pack = kNone;  ///< the pack it was copied into; kNone: held by reference
    std::uint32_t charge =
        0;  ///< bytes that it alone adds to pinned(): its chunk, when by reference
};

/// A chunk into which small payloads of whatever range are copied one behind the other; it goes
/// when the last piece in it goes, and is charged whole until then.
struct Pack {
    ChunkRef chunk;
    std::uint32_t used = 0;  ///< bytes written; links the free places when there is no chunk
    std::uint32_t pieces = 0;
};

/// Walks the octets of a payload once, front to back.
struct PayloadCursor {
    const SliceList& slices;
    std::size_t index = 0;
    std::size_t offset = 0;

    /// The rest of the present slice, at most `count` octets of it.
    [[nodiscard]] Slice next(std::size_t count) {
        const Slice& slice = slices[index];
        count = std::min(count, slice.size() - offset);
        Slice part = slice.subslice(offset, count);
        skip(count);
        return part;
    }
    void skip(std::size_t count) {
        while (count > 0) {
            const std::size_t here = std::min(count, slices[index].size() - offset);
            offset += here;
            count -= here;
            if (offset == slices[index].size()) {
                ++index;
                offset = 0;
            }
        }
    }
};

}  // namespace

// One block of memory holds a connection's usual disorder: a few ranges, pieces and packs.
struct Reassembler::State {
    using Iterator = Ranges::iterator;

    RangePlaces places;
    Ranges ranges;
    RangeList heard;  ///< the same, that into which a segment has fallen last first
    boost::container::small_vector<Piece, 8> pieces;
    boost::container::small_vector<Pack, 2> packs;
    boost::container::small_vector<Chain, 4> gaps;  ///< what the present segment fills
    std::uint32_t free_piece = kNone;
    std::uint32_t free_pack = kNone;
    std::uint32_t open_pack = kNone;  ///< the one that is being filled
    std::uint32_t live_pieces = 0;
    std::uint32_t short_pieces = 0;
    std::uint32_t short_ranges = 0;
    std::size_t bytes = 0;
    std::size_t pinned = 0;

    [[nodiscard]] Iterator first_ending_at_or_after(Seq64 seq) {
        // Most segments lie beyond all others: no search for them.
        if (ranges.empty() || EndsBefore{}(*ranges.rbegin(), seq)) {
            return ranges.end();
        }
        return ranges.lower_bound(seq, EndsBefore{});
    }
    /// Whether a range of so many octets may be added.
    [[nodiscard]] bool has_room(std::size_t octets) const {
        return ranges.size() < kMaxRanges &&
               (is_short(octets) == 0 || short_ranges < kMaxShortRanges);
    }
    /// Into the sums over all ranges, and out of them before one changes.
    void count(const Range& range) {
        const std::size_t octets = distance(range.begin, range.end);
        bytes += octets;
        short_ranges += is_short(octets);
    }
    void uncount(const Range& range) {
        const std::size_t octets = distance(range.begin, range.end);
        bytes -= octets;
        short_ranges -= is_short(octets);
    }
    /// The first or last piece has been taken off, after the range was uncounted: it stays, counted anew, or
    /// goes with its last one.
    void keep_rest(Range& range) {
        if (range.chain.first != kNone) {
            count(range);
        } else {
            forget(range);
        }
    }
    /// A segment has fallen into it.
    void hear(Range& range) { heard.splice(heard.begin(), heard, heard.iterator_to(range)); }
    void forget(Range& range) {
        ranges.erase(ranges.iterator_to(range));
        heard.erase(heard.iterator_to(range));
        places.give_back(range);
    }
    bool add_piece(Slice slice, std::uint32_t pack, std::uint32_t charge, Chain& chain);
    void drop_piece(std::uint32_t index, std::size_t octets);
    void resized(std::size_t from, std::size_t to) {
        short_pieces += is_short(to);
        short_pieces -= is_short(from);
    }
    void drop_chain(Chain chain);
    void drop_first(Range& range, std::size_t octets);
    void drop_last(Range& range, std::size_t octets);
    bool open_new_pack(BufferPool& pool, std::size_t max_pinned);
    void close_pack(std::uint32_t index);
    bool hold_copy(BufferPool& pool, Bytes bytes, std::size_t max_pinned, Chain& chain);
    bool hold(BufferPool& pool, PayloadCursor& payload, std::size_t count, std::size_t max_pinned,
              Chain& chain);
    bool hold_gaps(BufferPool& pool, Seq64 seq, Seq64 end, Iterator first, Iterator last,
                   const SliceList& payload, std::size_t max_pinned);
    void join(Chain& front, Chain back);
    void merge(Seq64 seq, Seq64 end, Iterator first, Iterator last);
};

bool Reassembler::State::add_piece(Slice slice, std::uint32_t pack, std::uint32_t charge,
                                   Chain& chain) {
    const std::uint32_t is_one_short = is_short(slice.size());
    if (live_pieces == kMaxPieces || (is_one_short != 0 && short_pieces >= kMaxShortPieces)) {
        return false;
    }
    std::uint32_t index = free_piece;
    if (index == kNone) {
        index = static_cast<std::uint32_t>(pieces.size());
        pieces.emplace_back();
    } else {
        free_piece = pieces[index].next;
    }
    pieces[index] = Piece{std::move(slice), kNone, chain.last, pack, charge};
    if (chain.last == kNone) {
        chain.first = index;
    } else {
        pieces[chain.last].next = index;
    }
    chain.last = index;
    ++live_pieces;
    short_pieces += is_one_short;
    pinned += charge;
    if (pack != kNone) {
        ++packs[pack].pieces;
    }
    return true;
}

/// Frees a piece of `octets`, which may have been moved out of it; its neighbours' links are the caller's.
void Reassembler::State::drop_piece(std::uint32_t index, std::size_t octets) {
    Piece& piece = pieces[index];
    pinned -= piece.charge;
    const std::uint32_t pack = piece.pack;
    piece = Piece{};
    piece.next = free_piece;
    free_piece = index;
    --live_pieces;
    short_pieces -= is_short(octets);
    if (pack != kNone && --packs[pack].pieces == 0) {
        close_pack(pack);
    }
}

void Reassembler::State::drop_chain(Chain chain) {
    while (chain.first != kNone) {
        ++work.nodes;
        const std::uint32_t next = pieces[chain.first].next;
        drop_piece(chain.first, pieces[chain.first].slice.size());
        chain.first = next;
    }
}

void Reassembler::State::drop_first(Range& range, std::size_t octets) {
    const std::uint32_t next = pieces[range.chain.first].next;
    drop_piece(range.chain.first, octets);
    range.chain.first = next;
    (next == kNone ? range.chain.last : pieces[next].previous) = kNone;
}

void Reassembler::State::drop_last(Range& range, std::size_t octets) {
    const std::uint32_t previous = pieces[range.chain.last].previous;
    drop_piece(range.chain.last, octets);
    range.chain.last = previous;
    (previous == kNone ? range.chain.first : pieces[previous].next) = kNone;
}

bool Reassembler::State::open_new_pack(BufferPool& pool, std::size_t max_pinned) {
    const auto take = [&](std::size_t size) {
        return pinned + size <= max_pinned ? pool.allocate(size) : ChunkRef{};
    };
    ChunkRef chunk;
    if (bytes >= kPackLargeFrom) {
        chunk = take(kLargeChunk);
    }
    if (!chunk) {
        chunk = take(kSmallChunk);
    }
    if (!chunk) {
        return false;
    }
    std::uint32_t index = free_pack;
    if (index == kNone) {
        index = static_cast<std::uint32_t>(packs.size());
        packs.emplace_back();
    } else {
        free_pack = packs[index].used;
    }
    pinned += chunk.capacity();
    packs[index] = Pack{std::move(chunk), 0, 0};
    open_pack = index;
    return true;
}

void Reassembler::State::close_pack(std::uint32_t index) {
    pinned -= packs[index].chunk.capacity();
    packs[index] = Pack{{}, free_pack, 0};
    free_pack = index;
    if (open_pack == index) {
        open_pack = kNone;
    }
}

bool Reassembler::State::hold_copy(BufferPool& pool, Bytes source, std::size_t max_pinned,
                                   Chain& chain) {
    work.octets += source.size();
    while (!source.empty()) {
        if (open_pack == kNone || packs[open_pack].used == packs[open_pack].chunk.capacity()) {
            if (!open_new_pack(pool, max_pinned)) {
                return false;
            }
        }
        Pack& pack = packs[open_pack];
        const std::size_t count =
            std::min<std::size_t>(source.size(), pack.chunk.capacity() - pack.used);
        std::memcpy(pack.chunk.data() + pack.used, source.data(), count);
        // A chain is made in one go: where its last piece lies in this pack, it lies at its end.
        if (chain.last != kNone && pieces[chain.last].pack == open_pack) {
            Slice& last = pieces[chain.last].slice;
            resized(last.size(), last.size() + count);
            last.extend(count);
            pack.used += static_cast<std::uint32_t>(count);
            source = source.subspan(count);
            continue;
        }
        Slice slice(pack.chunk, pack.used, static_cast<std::uint32_t>(count));
        if (!add_piece(std::move(slice), open_pack, 0, chain)) {
            if (pack.pieces == 0) {
                close_pack(open_pack);
            }
            return false;
        }
        pack.used += static_cast<std::uint32_t>(count);
        source = source.subspan(count);
    }
    return true;
}

/// Appends the next `count` octets of the payload to `chain`, by reference or as a copy (law 5).
bool Reassembler::State::hold(BufferPool& pool, PayloadCursor& payload, std::size_t count,
                              std::size_t max_pinned, Chain& chain) {
    while (count > 0) {
        Slice part = payload.next(count);
        count -= part.size();
        if (must_copy(part, kMaxHeldPinRatio)) {
            if (!hold_copy(pool, part.bytes(), max_pinned, chain)) {
                return false;
            }
            continue;
        }
        const std::uint32_t capacity = part.chunk().capacity();
        if (pinned + capacity > max_pinned || !add_piece(std::move(part), kNone, capacity, chain)) {
            return false;
        }
    }
    return true;
}

/// Takes those octets of [seq, end) that lie between and around the ranges [first, last): a chain
/// for each gap, in order. When one can't be had, all that were had are dropped.
bool Reassembler::State::hold_gaps(BufferPool& pool, Seq64 seq, Seq64 end, Iterator first,
                                   Iterator last, const SliceList& payload,
                                   std::size_t max_pinned) {
    gaps.clear();
    PayloadCursor cursor{payload};
    Seq64 at = seq;
    const auto take_until = [&](Seq64 gap_end) {
        if (gap_end <= at) {
            return true;
        }
        gaps.emplace_back();
        const std::size_t count = distance(at, gap_end);
        at = gap_end;
        return hold(pool, cursor, count, max_pinned, gaps.back());
    };
    bool held = true;
    for (Iterator range = first; range != last && held; ++range) {
        ++work.nodes;
        held = take_until(std::min(range->begin, end));
        if (held && range->end > at) {
            const Seq64 behind = std::min(range->end, end);
            cursor.skip(distance(at, behind));
            at = behind;
        }
    }
    held = held && take_until(end);
    if (!held) {
        for (const Chain& chain : gaps) {
            drop_chain(chain);
        }
    }
    return held;
}

/// Appends `back` to `front`. Where the two meet inside one chunk their pieces become one.
void Reassembler::State::join(Chain& front, Chain back) {
    if (front.first == kNone) {
        front = back;
        return;
    }
    Piece& a = pieces[front.last];
    Piece& b = pieces[back.first];
    if (a.pack == b.pack && a.slice.chunk() == b.slice.chunk() &&
        a.slice.begin() + a.slice.size() == b.slice.begin()) {
        resized(a.slice.size(), a.slice.size() + b.slice.size());
        a.slice.extend(b.slice.size());
        const std::uint32_t behind = b.next;
        drop_piece(back.first, b.slice.size());
        if (behind == kNone) {
            return;
        }
        back.first = behind;
    }
    pieces[front.last].next = back.first;
    pieces[back.first].previous = front.last;
    front.last = back.last;
}

/// Makes one range of the ranges [first, last), which [seq, end) overlaps or touches, and the new
/// chains in `gaps`.
void Reassembler::State::merge(Seq64 seq, Seq64 end, Iterator first, Iterator last) {
    Chain chain;
    Seq64 begin = seq;
    Seq64 at = seq;
    auto gap = gaps.begin();
    for (Iterator range = first; range != last; ++range) {
        ++work.nodes;
        if (range->begin > at) {
            join(chain, *gap++);
        }
        join(chain, range->chain);
        begin = std::min(begin, range->begin);
        at = range->end;
        uncount(*range);
    }
    if (at < end) {
        join(chain, *gap);
    }
    if (first == last) {
        Range& fresh = places.take();
        fresh.begin = begin;
        first = ranges.insert_before(last, fresh);
        heard.push_front(fresh);
    } else {
        for (Iterator range = std::next(first); range != last;) {
            Range& swallowed = *range++;
            forget(swallowed);
        }
        hear(*first);
    }
    first->begin = begin;
    first->end = std::max(end, at);
    first->chain = chain;
    count(*first);
}

Reassembler::Reassembler() = default;
Reassembler::~Reassembler() = default;
Reassembler::Reassembler(Reassembler&&) noexcept = default;
Reassembler& Reassembler::operator=(Reassembler&&) noexcept = default;

InsertResult Reassembler::insert(BufferPool& pool, Seq64 seq, SliceList&& payload,
                                 std::size_t max_pinned) {
    std::size_t length = 0;
    for (const Slice& slice : payload) {
        length += slice.size();
    }
    if (length == 0) {
        return InsertResult::duplicate;
    }
    const Seq64 end = seq + length;
    if (state_ == nullptr) {
        state_ = std::make_unique<State>();
    }
    State& s = *state_;
    // The ranges [first, last) overlap or touch the segment.
    const State::Iterator first = s.first_ending_at_or_after(seq);
    State::Iterator last = first;
    while (last != s.ranges.end() && last->begin <= end) {
        ++work.nodes;
        ++last;
    }
    if (first != last && first->begin <= seq && first->end >= end) {
        s.hear(*first);
        return InsertResult::duplicate;
    }
    const bool crowded = first == last && !s.has_room(length);
    const bool reserved =
        pool.bytes_in_use() + length > pool.limit() - (pool.limit() >> kReserveShift);
    if (crowded || reserved || !s.hold_gaps(pool, seq, end, first, last, payload, max_pinned)) {
        if (s.ranges.empty()) {
            state_.reset();
        }
        return InsertResult::no_room;
    }
    s.merge(seq, end, first, last);
    payload.clear();
    return InsertResult::inserted;
}

Slice* Reassembler::front_at(Seq64 rcv_nxt) {
    while (state_ != nullptr) {
        State& s = *state_;
        Range& range = *s.ranges.begin();
        if (range.begin > rcv_nxt) {
            return nullptr;
        }
        Slice& slice = s.pieces[range.chain.first].slice;
        if (range.begin == rcv_nxt) {
            return &slice;
        }
        // Octets that arrived again in order meanwhile.
        const std::size_t stale = distance(range.begin, rcv_nxt);
        if (stale < slice.size()) {
            s.resized(slice.size(), slice.size() - stale);
            slice.remove_prefix(stale);
            s.uncount(range);
            range.begin += stale;
            s.count(range);
        } else {
            pop_front(slice.size());
        }
    }
    return nullptr;
}

/// Removes the first piece, whose `size` octets may have been moved out of it.
void Reassembler::pop_front(std::size_t size) {
    State& s = *state_;
    Range& range = *s.ranges.begin();
    s.uncount(range);
    range.begin += size;
    s.drop_first(range, size);
    s.keep_rest(range);
    if (s.ranges.empty()) {
        state_.reset();
    }
}

void Reassembler::sack_blocks(SackBlocks& out, std::size_t max) const {
    max = std::min(max, out.capacity());
    if (state_ == nullptr) {
        return;
    }
    // RFC 2018 §4, 2018-M3: first the block with the segment that made us send this ACK, then those most recently
    // reported, which is the order in which segments last fell into them; 2018-M6: and none that is not held.
    for (const Range& range : state_->heard) {
        if (out.size() >= max) {
            break;
        }
        ++work.nodes;
        out.push_back({range.begin.wire(), range.end.wire()});
    }
}

Reassembler::Part Reassembler::first_held(Seq64 begin, Seq64 end) const {
    if (state_ != nullptr && begin < end) {
        const State::Iterator range = state_->first_ending_at_or_after(begin + 1);
        if (range != state_->ranges.end() && range->begin < end) {
            return {std::max(begin, range->begin), std::min(end, range->end)};
        }
    }
    return {begin, begin};
}

std::size_t Reassembler::prune(std::size_t max_pinned) {
    std::size_t dropped = 0;
    while (state_ != nullptr && state_->pinned > max_pinned) {
        State& s = *state_;
        Range& range = *s.ranges.rbegin();
        const std::size_t size = s.pieces[range.chain.last].slice.size();
        s.uncount(range);
        range.end = range.end - size;
        s.drop_last(range, size);
        dropped += size;
        s.keep_rest(range);
        if (s.ranges.empty()) {
            state_.reset();
        }
    }
    return dropped;
}

std::size_t Reassembler::bytes() const {
    return state_ == nullptr ? 0 : state_->bytes;
}
std::size_t Reassembler::pinned() const {
    return state_ == nullptr ? 0 : state_->pinned;
}
std::size_t Reassembler::ranges() const {
    return state_ == nullptr ? 0 : state_->ranges.size();
}
Seq64 Reassembler::highest() const {
    return state_ == nullptr ? Seq64{} : state_->ranges.rbegin()->end;
}
void Reassembler::clear() {
    state_.reset();
}

}  // namespace runnel::tcp
