// Pooled, reference-counted memory for packets. A Chunk is one block of a pool; a Slice is a counted
// view of some of its bytes. Counting is not atomic: a host and all its buffers live on one thread.
// After start-up nothing on the data path allocates: chunks come from and return to free lists (law 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runnel/base/bytes.hpp"

namespace runnel {

class BufferPool;

/// The head of a block; the block's bytes follow it in the same allocation. Use through ChunkRef.
struct Chunk {
    BufferPool* pool;
    Chunk* next_free;
    std::uint32_t references;
    std::uint32_t capacity;
    std::uint32_t size_class;

    [[nodiscard]] std::byte* data();
    [[nodiscard]] const std::byte* data() const;
};

/// A counted reference to a chunk, or none.
class ChunkRef {
public:
    ChunkRef() = default;
    ChunkRef(const ChunkRef& other) : chunk_(other.chunk_) {
        if (chunk_ != nullptr) {
            ++chunk_->references;
        }
    }
    ChunkRef(ChunkRef&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
    ChunkRef& operator=(ChunkRef other) noexcept {
        std::swap(chunk_, other.chunk_);
        return *this;
    }
    ~ChunkRef() { reset(); }

    void reset();
    explicit operator bool() const { return chunk_ != nullptr; }
    bool operator==(const ChunkRef& other) const { return chunk_ == other.chunk_; }
    [[nodiscard]] std::byte* data() const { return chunk_->data(); }
    [[nodiscard]] std::uint32_t capacity() const {
        return chunk_ == nullptr ? 0 : chunk_->capacity;
    }
    [[nodiscard]] bool unique() const { return chunk_ != nullptr && chunk_->references == 1; }

private:
    friend class BufferPool;
    explicit ChunkRef(Chunk* adopted) : chunk_(adopted) {}
    Chunk* chunk_ = nullptr;
};

/// A counted view of `size()` bytes in a chunk. Cheap to copy and to cut.
class Slice {
public:
    Slice() = default;
    Slice(ChunkRef chunk, std::uint32_t begin, std::uint32_t size)
        : chunk_(std::move(chunk)), begin_(begin), size_(size) {}

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] const std::byte* data() const {
        return size_ == 0 ? nullptr : chunk_.data() + begin_;
    }
    [[nodiscard]] Bytes bytes() const { return {data(), size_}; }
    /// Writable bytes: only for whoever has just filled or owns the chunk alone (links, test corruption).
    [[nodiscard]] MutableBytes mutable_bytes() const {
        return size_ == 0 ? MutableBytes{} : MutableBytes{chunk_.data() + begin_, size_};
    }
    [[nodiscard]] const ChunkRef& chunk() const { return chunk_; }
    [[nodiscard]] std::uint32_t begin() const { return begin_; }

    /// A view of `[offset, offset + count)` of this one; both must lie inside.
    [[nodiscard]] Slice subslice(std::size_t offset, std::size_t count) const;
    void remove_prefix(std::size_t count);
    void truncate(std::size_t count);
    /// Grows the view by `count` bytes when `[begin, begin+size+count)` still lies in the chunk (appending).
    void extend(std::size_t count);

private:
    ChunkRef chunk_;
    std::uint32_t begin_ = 0;
    std::uint32_t size_ = 0;
};

inline constexpr std::uint32_t kSmallChunk = 4 * 1024;
/// A whole 64 KB super-frame with its Ethernet, IP and virtio headers.
inline constexpr std::uint32_t kLargeChunk = 64 * 1024 + 512;

/// Two size classes of chunks with free lists, and a limit on the bytes handed out.
class BufferPool {
public:
    /// `limit` bounds the bytes of all chunks handed out at once, in bytes.
    explicit BufferPool(std::size_t limit);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    /// A chunk of at least `size` bytes (at most kLargeChunk), or none when the limit is reached.
    [[nodiscard]] ChunkRef allocate(std::size_t size);
    /// A chunk with a copy of `bytes` (at most kLargeChunk), or an empty slice when the limit is reached.
    [[nodiscard]] Slice copy(Bytes bytes);

    [[nodiscard]] std::size_t bytes_in_use() const { return in_use_; }
    [[nodiscard]] std::size_t limit() const { return limit_; }

    // --- for simulations of a machine that is short of memory ---------------------------------------------
    /// A new bound; what is handed out beyond it stays so and nothing more is given until enough is back.
    void set_limit(std::size_t limit) { limit_ = limit; }
    /// From now on refuses every `period`th allocation, `times` of them (0: without end); a period of 0 ends
    /// that.
    void refuse_every(std::uint32_t period, std::uint32_t times) {
        refuse_period_ = refuse_in_ = period;
        refuse_left_ = times;
        refuse_bounded_ = times != 0;
    }
    /// Allocations refused so far, for whatever reason.
    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

private:
    friend class ChunkRef;
    [[nodiscard]] bool refused_now();
    static constexpr std::size_t kClasses = 2;
    void release(Chunk* chunk);

    std::size_t limit_;
    std::size_t in_use_ = 0;
    std::uint64_t refusals_ = 0;
    std::uint32_t refuse_period_ = 0;
    std::uint32_t refuse_in_ = 0;
    std::uint32_t refuse_left_ = 0;
    bool refuse_bounded_ = false;
    Chunk* free_[kClasses] = {};
};

inline void ChunkRef::reset() {
    if (chunk_ != nullptr && --chunk_->references == 0) {
        chunk_->pool->release(chunk_);
    }
    chunk_ = nullptr;
}

}  // namespace runnel
