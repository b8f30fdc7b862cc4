#include "runnel/base/buffer.hpp"

#include <new>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {
// The head is padded to a cache line, so that a chunk's bytes start on one.
constexpr std::size_t kHead = 64;
static_assert(sizeof(Chunk) <= kHead);
constexpr std::uint32_t kSizes[] = {kSmallChunk, kLargeChunk};
}  // namespace

std::byte* Chunk::data() {
    return reinterpret_cast<std::byte*>(this) + kHead;
}
const std::byte* Chunk::data() const {
    return reinterpret_cast<const std::byte*>(this) + kHead;
}

BufferPool::BufferPool(std::size_t limit) : limit_(limit) {}

BufferPool::~BufferPool() {
    // Every slice must be gone before its pool: a leak here would be a use after free later.
    RUNNEL_CHECK(in_use_ == 0);
    for (Chunk* chunk : free_) {
        while (chunk != nullptr) {
            Chunk* next = chunk->next_free;
            ::operator delete(chunk, std::align_val_t{kHead});
            chunk = next;
        }
    }
}

bool BufferPool::refused_now() {
    if (--refuse_in_ != 0) {
        return false;
    }
    refuse_in_ = refuse_period_;
    if (refuse_bounded_ && --refuse_left_ == 0) {
        refuse_period_ = 0;
    }
    return true;
}

ChunkRef BufferPool::allocate(std::size_t size) {
    RUNNEL_CHECK(size <= kLargeChunk);
    const std::uint32_t size_class = size <= kSmallChunk ? 0 : 1;
    const std::uint32_t capacity = kSizes[size_class];
    if (in_use_ + capacity > limit_ || (refuse_period_ != 0 && refused_now())) [[unlikely]] {
        ++refusals_;
        return {};
    }
    Chunk* chunk = free_[size_class];
    if (chunk != nullptr) {
        free_[size_class] = chunk->next_free;
    } else {
        void* memory = ::operator new(kHead + capacity, std::align_val_t{kHead});
        chunk = new (memory) Chunk{this, nullptr, 0, capacity, size_class};
    }
    chunk->references = 1;
    chunk->next_free = nullptr;
    in_use_ += capacity;
    return ChunkRef(chunk);
}

Slice BufferPool::copy(Bytes bytes) {
    if (bytes.empty()) {
        return {};
    }
    ChunkRef chunk = allocate(bytes.size());
    if (!chunk) {
        return {};
    }
    std::memcpy(chunk.data(), bytes.data(), bytes.size());
    return {std::move(chunk), 0, static_cast<std::uint32_t>(bytes.size())};
}

void BufferPool::release(Chunk* chunk) {
    in_use_ -= chunk->capacity;
    chunk->next_free = free_[chunk->size_class];
    free_[chunk->size_class] = chunk;
}

Slice Slice::subslice(std::size_t offset, std::size_t count) const {
    RUNNEL_CHECK(offset <= size_ && count <= size_ - offset);
    if (count == 0) {
        return {};
    }
    return {chunk_, begin_ + static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(count)};
}

void Slice::remove_prefix(std::size_t count) {
    RUNNEL_CHECK(count <= size_);
    begin_ += static_cast<std::uint32_t>(count);
    size_ -= static_cast<std::uint32_t>(count);
    if (size_ == 0) {
        chunk_.reset();
    }
}

void Slice::truncate(std::size_t count) {
    RUNNEL_CHECK(count <= size_);
    size_ = static_cast<std::uint32_t>(count);
    if (size_ == 0) {
        chunk_.reset();
    }
}

void Slice::extend(std::size_t count) {
    RUNNEL_CHECK(chunk_ && begin_ + size_ + count <= chunk_.capacity());
    size_ += static_cast<std::uint32_t>(count);
}

}  // namespace runnel
