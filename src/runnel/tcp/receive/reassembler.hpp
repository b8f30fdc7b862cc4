// Octets that have arrived beyond a gap (RFC 9293 §3.10.7.4, SHLD-31: held, not dropped) and the
// SACK blocks that tell of them (RFC 2018 §4). Of octets that arrive twice the first are kept.
//
// All is bounded: ranges, pieces, memory held, work for a segment. There is room for the window of a long fat
// path (64 MB of full-sized segments, each second one lost), as what is thrown away here looks like congestion
// to the sender. Who sends tiny segments doesn't get that room: a range or piece costs us some memory however
// little it holds (some 100 bytes), so of those below kShort octets there are only few, and all others bring
// more than twice as many octets as they cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/container/static_vector.hpp>

#include "runnel/base/buffer.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/wire/frame.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::tcp {

enum class InsertResult : std::uint8_t {
    inserted,   ///< some of it was new, and all that was new is held
    duplicate,  ///< all of it had been held before
    no_room,    ///< a limit was reached: nothing of it was taken
};

class Reassembler {
public:
    using SackBlocks = boost::container::static_vector<SackBlock, 4>;

    /// Most disjoint ranges; a segment beyond them gets no_room.
    static constexpr std::size_t kMaxRanges = 32'768;
    /// Most pieces (slices) over all ranges.
    static constexpr std::size_t kMaxPieces = 65'536;
    /// Ranges and pieces of fewer octets are short; so many of each may be added.
    static constexpr std::size_t kShort = 256;
    static constexpr std::size_t kMaxShortRanges = 512;
    static constexpr std::size_t kMaxShortPieces = 8192;
    /// Most ranges that a segment of 64 KB can touch (the last two are those it only overlaps in part): what
    /// bounds the work for it, beside searches.
    static constexpr std::size_t kMaxTouched = kMaxShortRanges + 65'536 / kShort + 2;
    /// Most memory held, in bytes, unless the caller gives a lower limit.
    static constexpr std::size_t kMaxPinned = std::size_t{64} << 20;
    /// Out-of-order octets leave this part of the pool (one in 2^n) to octets in order.
    static constexpr unsigned kReserveShift = 3;

    Reassembler();
    ~Reassembler();
    Reassembler(Reassembler&&) noexcept;
    Reassembler& operator=(Reassembler&&) noexcept;

    /// Holds those octets of [seq, seq + payload) that are not held yet, all or none of them.
    /// `max_pinned` bounds pinned(). The caller has cut off what lies before RCV.NXT or beyond the
    /// window.
    InsertResult insert(BufferPool& pool, Seq64 seq, SliceList&& payload,
                        std::size_t max_pinned = kMaxPinned);

    /// Moves the octets that are now contiguous with `rcv_nxt` out, in order, to
    /// `deliver(Slice&&)`, and returns the new RCV.NXT. Octets below `rcv_nxt` are forgotten.
    /// `deliver` may return a bool: false means that it left the slice alone, which then stays
    /// here, and the walk ends before it.
    template <class F>
    Seq64 extract(Seq64 rcv_nxt, F&& deliver) {
        while (Slice* piece = front_at(rcv_nxt)) {
            const std::size_t size = piece->size();
            if constexpr (std::is_void_v<std::invoke_result_t<F&, Slice&&>>) {
                deliver(std::move(*piece));
            } else if (!deliver(std::move(*piece))) {
                break;
            }
            pop_front(size);
            rcv_nxt += size;
        }
        return rcv_nxt;
    }

    /// Appends SACK blocks to `out`, the one with the most recently received segment first, then by
    /// the time of their last segment (RFC 2018 §4), until `out` holds `max`. A D-SACK block that
    /// the caller has put first stays first (RFC 2883 §4).
    void sack_blocks(SackBlocks& out, std::size_t max) const;

    /// The first part of [begin, end) that is held, for a D-SACK (RFC 2883 §4.1); empty when none
    /// is.
    struct Part {
        Seq64 begin;
        Seq64 end;
        [[nodiscard]] bool empty() const { return begin == end; }
    };
    [[nodiscard]] Part first_held(Seq64 begin, Seq64 end) const;

    /// Drops octets, those with the highest numbers first, until pinned() <= `max_pinned`; returns
    /// how many octets. RFC 2018 §8 allows it: the sender keeps what is not acknowledged
    /// cumulatively.
    std::size_t prune(std::size_t max_pinned);

    [[nodiscard]] bool empty() const { return state_ == nullptr; }
    /// Octets held.
    [[nodiscard]] std::size_t bytes() const;
    /// Bytes of pool memory that they hold.
    [[nodiscard]] std::size_t pinned() const;
    /// Disjoint ranges; adjacent octets are one range.
    [[nodiscard]] std::size_t ranges() const;
    /// The number after the highest octet held; 0 when empty.
    [[nodiscard]] Seq64 highest() const;
    void clear();

private:
    struct State;

    [[nodiscard]] Slice* front_at(Seq64 rcv_nxt);
    void pop_front(std::size_t size);

    std::unique_ptr<State> state_;  ///< only while something is held
};
static_assert(sizeof(Reassembler) == 8);

}  // namespace runnel::tcp
