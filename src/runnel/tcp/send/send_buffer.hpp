// The octets from SND.UNA on that wait for their first transmission or their acknowledgement (RFC
// 9293 §3.3.1, §3.9.1.2). They lie in counted slices of pooled chunks: what the user wrote is
// copied once, and segments, retransmissions included, are made of references into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/buffer.hpp"
#include "runnel/base/bytes.hpp"
#include "runnel/base/ring.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel::tcp {

class SendBuffer {
public:
    /// Most octets it holds, whatever limit the caller gives.
    static constexpr std::size_t kMaxSize = std::size_t{1} << 30;
    /// Most slices it holds: who appends a great many tiny ones by reference is told that it is
    /// full.
    static constexpr std::size_t kMaxSlices = 16'384;
    /// What users send leaves this part of the pool (one in 2^n) to what arrives, or else no ACK
    /// could come in that frees what was sent.
    static constexpr unsigned kReserveShift = 2;

    /// The sequence number of the first octet, ISS + 1. Only while empty.
    void start(Seq64 first);

    /// Copies octets behind the last one; `limit` is the greatest size() this may lead to. Returns
    /// how many were taken: fewer than given when it is full or the pool has run out, 0 when
    /// nothing was taken.
    std::size_t append(BufferPool& pool, Bytes bytes, std::size_t limit);
    /// Takes whole slices and a cut of the last one that fits, by reference; returns the octets
    /// taken.
    std::size_t append(std::span<const Slice> slices, std::size_t limit);

    /// Forgets what lies before `una`: it is acknowledged. Numbers outside of [begin(), end()]
    /// (SYN, FIN) count as the nearer end. Empty, it holds no chunk.
    void release_until(Seq64 una);

    [[nodiscard]] Seq64 begin() const { return begin_; }
    [[nodiscard]] Seq64 end() const { return begin_ + size_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    /// Appends slices for the octets [from, from + n) to `out` and returns n: `max`, or less where
    /// the buffer or the room in `out` ends before; 0 when `from` lies outside of [begin(), end()).
    /// O(log slices()) to find the first.
    std::size_t gather(Seq64 from, std::size_t max, SliceList& out) const;

    /// Forgets everything; end() becomes begin().
    void clear();
    /// The list of slices keeps its storage, so that a busy connection doesn't allocate; who sees that the
    /// connection is quiet gives it back.
    void release_idle_storage() {
        if (empty()) {
            rest_.release();
        }
    }

    [[nodiscard]] std::size_t slices() const { return front_.empty() ? 0 : 1 + rest_.size(); }

private:
    struct Piece {
        Slice slice;
        Seq64 begin;  ///< sequence number of its first octet
    };

    [[nodiscard]] Slice& last() { return rest_.empty() ? front_ : rest_.back().slice; }
    void push(Slice slice);
    std::size_t fill_tail(Bytes bytes);
    [[nodiscard]] ChunkRef new_chunk(BufferPool& pool, std::size_t waiting) const;

    Seq64 begin_;
    std::uint32_t size_ = 0;
    /// The last slice lies in a chunk that we allocated, and no one but us writes behind its end.
    bool tail_is_ours_ = false;
    /// The first slice stands in place, so that an exchange of small messages never allocates.
    Slice front_;
    Ring<Piece> rest_;
};
static_assert(sizeof(SendBuffer) <= 56);

}  // namespace runnel::tcp
