#include "runnel/tcp/send/send_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runnel/base/check.hpp"

namespace runnel::tcp {

namespace {

// A large chunk is taken where at least a quarter of it is going to be used (kMaxPinRatio of law
// 5), or where so much is queued already that its empty rest does not matter.
constexpr std::size_t kLargeFrom = 16 * 1024;
constexpr std::size_t kLargeQueue = 32 * 1024;

}  // namespace

void SendBuffer::start(Seq64 first) {
    RUNNEL_CHECK(empty());
    begin_ = first;
}

void SendBuffer::push(Slice slice) {
    const Seq64 at = end();
    size_ += static_cast<std::uint32_t>(slice.size());
    if (front_.empty()) {
        front_ = std::move(slice);
    } else {
        rest_.push_back({std::move(slice), at});
    }
}

std::size_t SendBuffer::fill_tail(Bytes bytes) {
    if (!tail_is_ours_) {
        return 0;
    }
    Slice& tail = last();
    const std::size_t used = tail.begin() + tail.size();
    const std::size_t count = std::min(bytes.size(), tail.chunk().capacity() - used);
    if (count > 0) {
        // Segments on their way share this chunk, but none of them reaches behind the end of the
        // tail.
        std::memcpy(tail.chunk().data() + used, bytes.data(), count);
        tail.extend(count);
        size_ += static_cast<std::uint32_t>(count);
    }
    return count;
}

ChunkRef SendBuffer::new_chunk(BufferPool& pool, std::size_t waiting) const {
    const std::size_t ceiling = pool.limit() - (pool.limit() >> kReserveShift);
    const auto take = [&](std::size_t size) {
        return pool.bytes_in_use() + size <= ceiling ? pool.allocate(size) : ChunkRef{};
    };
    if (waiting >= kLargeFrom || size_ >= kLargeQueue) {
        if (ChunkRef chunk = take(kLargeChunk)) {
            return chunk;
        }
    }
    return take(kSmallChunk);
}

std::size_t SendBuffer::append(BufferPool& pool, Bytes bytes, std::size_t limit) {
    limit = std::min(limit, kMaxSize);
    bytes = bytes.first(std::min(bytes.size(), limit - std::min<std::size_t>(limit, size_)));
    std::size_t taken = fill_tail(bytes);
    while (taken < bytes.size() && slices() < kMaxSlices) {
        ChunkRef chunk = new_chunk(pool, bytes.size() - taken);
        if (!chunk) {
            break;
        }
        const std::size_t count = std::min<std::size_t>(chunk.capacity(), bytes.size() - taken);
        std::memcpy(chunk.data(), bytes.data() + taken, count);
        push(Slice(std::move(chunk), 0, static_cast<std::uint32_t>(count)));
        tail_is_ours_ = true;
        taken += count;
    }
    return taken;
}

std::size_t SendBuffer::append(std::span<const Slice> slices, std::size_t limit) {
    limit = std::min(limit, kMaxSize);
    std::size_t room = limit - std::min<std::size_t>(limit, size_);
    std::size_t taken = 0;
    for (const Slice& slice : slices) {
        const std::size_t count = std::min(slice.size(), room);
        if (count == 0) {
            continue;
        }
        Slice* tail = empty() ? nullptr : &last();
        if (tail != nullptr && tail->chunk() == slice.chunk() &&
            tail->begin() + tail->size() == slice.begin()) {
            tail->extend(count);
            size_ += static_cast<std::uint32_t>(count);
        } else if (this->slices() < kMaxSlices) {
            push(slice.subslice(0, count));
        } else {
            break;
        }
        tail_is_ours_ = false;
        room -= count;
        taken += count;
    }
    return taken;
}

void SendBuffer::release_until(Seq64 una) {
    std::size_t count = std::min<std::uint64_t>(distance(begin_, una), size_);
    begin_ += count;
    size_ -= static_cast<std::uint32_t>(count);
    while (count > 0) {
        if (count < front_.size()) {
            front_.remove_prefix(count);
            return;
        }
        count -= front_.size();
        if (rest_.empty()) {
            front_ = {};
        } else {
            front_ = std::move(rest_.front().slice);
            rest_.pop_front();
        }
    }
    if (empty()) {
        tail_is_ours_ = false;
    }
}

std::size_t SendBuffer::gather(Seq64 from, std::size_t max, SliceList& out) const {
    if (from < begin_ || from >= end()) {
        return 0;
    }
    // Piece 0 is front_, piece i is rest_[i - 1]: the last one that begins at or before `from`.
    std::size_t index = 0;
    std::size_t offset = distance(begin_, from);
    if (offset >= front_.size()) {
        std::size_t low = 0;
        std::size_t high = rest_.size();
        while (high - low > 1) {
            const std::size_t middle = low + (high - low) / 2;
            (rest_[middle].begin <= from ? low : high) = middle;
        }
        index = low + 1;
        offset = distance(rest_[low].begin, from);
    }
    max = std::min<std::uint64_t>(max, distance(from, end()));
    std::size_t gathered = 0;
    while (gathered < max && out.size() < out.capacity()) {
        const Slice& slice = index == 0 ? front_ : rest_[index - 1].slice;
        const std::size_t count = std::min(max - gathered, slice.size() - offset);
        out.push_back(slice.subslice(offset, count));
        gathered += count;
        offset = 0;
        ++index;
    }
    return gathered;
}

void SendBuffer::clear() {
    front_ = {};
    rest_.clear();
    size_ = 0;
    tail_is_ours_ = false;
}

}  // namespace runnel::tcp
