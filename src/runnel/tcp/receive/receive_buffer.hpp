// The octets that have arrived in order and wait for the user's RECEIVE (RFC 9293 §3.9.1.3). Large
// slices are kept by reference; small ones, and those that would pin far more memory than they use,
// are copied into packed chunks (law 5), so that the memory held stays near the octets held.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runnel/base/buffer.hpp"
#include "runnel/base/bytes.hpp"
#include "runnel/base/ring.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel::tcp {

/// Payloads below this are copied into packed chunks.
inline constexpr std::size_t kCopyBelow = kSmallChunk;
/// A slice may hold a chunk of at most this many times its size.
inline constexpr std::size_t kMaxPinRatio = 4;

/// Whether keeping `slice` by reference would break law 5.
[[nodiscard]] inline bool must_copy(const Slice& slice, std::size_t most = kMaxPinRatio) {
    return slice.size() < kCopyBelow || slice.chunk().capacity() > most * slice.size();
}

class ReceiveBuffer {
public:
    /// Most octets it holds; the window that the caller offers lies far below.
    static constexpr std::size_t kMaxSize = std::size_t{1} << 30;

    /// Appends the octets of `slice`, all or none. False when the pool has run out (or kMaxSize
    /// would be passed): the slice is untouched, and the caller does not acknowledge it.
    [[nodiscard]] bool append(BufferPool& pool, Slice&& slice);

    /// Moves octets out; returns how many.
    std::size_t read(MutableBytes into);
    /// Copies octets from `offset` on and leaves them; returns how many.
    std::size_t peek(MutableBytes into, std::size_t offset = 0) const;
    /// Moves up to `limit` octets out as slices, as many as fit in `out`; returns how many octets.
    std::size_t take(std::size_t limit, SliceList& out);
    /// Throws away up to `count` octets; returns how many.
    std::size_t discard(std::size_t count);

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    /// Bytes of pool memory that the octets hold.
    [[nodiscard]] std::size_t pinned() const { return pinned_; }
    void clear();
    /// The list of slices keeps its storage, so that a busy connection doesn't allocate; who sees that the
    /// connection is quiet gives it back.
    void release_idle_storage() {
        if (empty()) {
            rest_.release();
        }
    }

private:
    [[nodiscard]] std::size_t pieces() const { return front_.empty() ? 0 : 1 + rest_.size(); }
    [[nodiscard]] const Slice& piece(std::size_t i) const { return i == 0 ? front_ : rest_[i - 1]; }
    [[nodiscard]] Slice& last() { return rest_.empty() ? front_ : rest_.back(); }
    [[nodiscard]] bool append_copy(BufferPool& pool, Bytes bytes);
    void push(Slice slice);
    Slice pop();

    std::size_t pinned_ = 0;
    std::uint32_t size_ = 0;
    /// The last slice lies in a chunk that we allocated, and no one but us writes behind its end.
    bool tail_is_ours_ = false;
    /// The first slice stands in place, so that an exchange of small messages never allocates.
    Slice front_;
    Ring<Slice> rest_;
};
static_assert(sizeof(ReceiveBuffer) <= 56);

}  // namespace runnel::tcp
