#include "runnel/tcp/receive/receive_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/container/static_vector.hpp>

#include "runnel/base/work.hpp"

namespace runnel::tcp {

namespace {

/// The most that is ever copied at once, and the chunks it can need.
constexpr std::size_t kMaxCopied = std::max(kCopyBelow, std::size_t{kLargeChunk} / kMaxPinRatio);
constexpr std::size_t kMaxNewChunks = kMaxCopied / kSmallChunk + 1;
/// From this many octets in the queue on, small payloads are packed into large chunks.
constexpr std::size_t kPackLargeFrom = 32 * 1024;

}  // namespace

void ReceiveBuffer::push(Slice slice) {
    size_ += static_cast<std::uint32_t>(slice.size());
    if (front_.empty()) {
        pinned_ += slice.chunk().capacity();
        front_ = std::move(slice);
        return;
    }
    if (!(last().chunk() == slice.chunk())) {
        pinned_ += slice.chunk().capacity();
    }
    rest_.push_back(std::move(slice));
}

Slice ReceiveBuffer::pop() {
    const bool shared = !rest_.empty() && rest_.front().chunk() == front_.chunk();
    if (!shared) {
        pinned_ -= front_.chunk().capacity();
    }
    size_ -= static_cast<std::uint32_t>(front_.size());
    Slice popped = std::move(front_);
    front_ = {};
    if (!rest_.empty()) {
        front_ = std::move(rest_.front());
        rest_.pop_front();
    }
    if (empty()) {
        tail_is_ours_ = false;
    }
    return popped;
}

bool ReceiveBuffer::append(BufferPool& pool, Slice&& slice) {
    if (slice.empty()) {
        return true;
    }
    if (slice.size() > kMaxSize - size_) {
        return false;
    }
    if (must_copy(slice)) {
        if (!append_copy(pool, slice.bytes())) {
            return false;
        }
        slice = {};
        return true;
    }
    push(std::exchange(slice, {}));
    tail_is_ours_ = false;
    return true;
}

bool ReceiveBuffer::append_copy(BufferPool& pool, Bytes bytes) {
    work.octets += bytes.size();
    std::size_t in_tail = 0;
    if (tail_is_ours_) {
        const Slice& tail = last();
        in_tail = std::min(bytes.size(), tail.chunk().capacity() - tail.begin() - tail.size());
    }
    // All memory first, so that what can't be taken whole is not taken at all.
    boost::container::static_vector<ChunkRef, kMaxNewChunks> chunks;
    for (std::size_t missing = bytes.size() - in_tail; missing > 0;) {
        ChunkRef chunk;
        if (size_ >= kPackLargeFrom) {
            chunk = pool.allocate(kLargeChunk);
        }
        if (!chunk) {
            chunk = pool.allocate(kSmallChunk);
        }
        if (!chunk) {
            return false;
        }
        missing -= std::min<std::size_t>(missing, chunk.capacity());
        chunks.push_back(std::move(chunk));
    }
    if (in_tail > 0) {
        Slice& tail = last();
        std::memcpy(tail.chunk().data() + tail.begin() + tail.size(), bytes.data(), in_tail);
        tail.extend(in_tail);
        size_ += static_cast<std::uint32_t>(in_tail);
        bytes = bytes.subspan(in_tail);
    }
    for (ChunkRef& chunk : chunks) {
        const std::size_t count = std::min<std::size_t>(bytes.size(), chunk.capacity());
        std::memcpy(chunk.data(), bytes.data(), count);
        push(Slice(std::move(chunk), 0, static_cast<std::uint32_t>(count)));
        tail_is_ours_ = true;
        bytes = bytes.subspan(count);
    }
    return true;
}

std::size_t ReceiveBuffer::read(MutableBytes into) {
    std::size_t done = 0;
    while (done < into.size() && !empty()) {
        const std::size_t count = std::min(into.size() - done, front_.size());
        std::memcpy(into.data() + done, front_.data(), count);
        discard(count);
        done += count;
    }
    return done;
}

std::size_t ReceiveBuffer::peek(MutableBytes into, std::size_t offset) const {
    std::size_t done = 0;
    for (std::size_t i = 0; i < pieces() && done < into.size(); ++i) {
        const Slice& slice = piece(i);
        if (offset >= slice.size()) {
            offset -= slice.size();
            continue;
        }
        const std::size_t count = std::min(into.size() - done, slice.size() - offset);
        std::memcpy(into.data() + done, slice.data() + offset, count);
        done += count;
        offset = 0;
    }
    return done;
}

std::size_t ReceiveBuffer::take(std::size_t limit, SliceList& out) {
    std::size_t done = 0;
    while (done < limit && !empty() && out.size() < out.capacity()) {
        const std::size_t count = std::min(limit - done, front_.size());
        if (count == front_.size()) {
            out.push_back(pop());
        } else {
            out.push_back(front_.subslice(0, count));
            discard(count);
        }
        done += count;
    }
    return done;
}

std::size_t ReceiveBuffer::discard(std::size_t count) {
    count = std::min<std::size_t>(count, size_);
    for (std::size_t left = count; left > 0;) {
        if (left < front_.size()) {
            front_.remove_prefix(left);
            size_ -= static_cast<std::uint32_t>(left);
            break;
        }
        left -= front_.size();
        pop();
    }
    return count;
}

void ReceiveBuffer::clear() {
    discard(size_);
}

}  // namespace runnel::tcp
