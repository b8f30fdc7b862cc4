// Cutting and joining of slice lists, for the few arrivals whose headers don't lie where they should.
#include <algorithm>
#include <cstring>
#include <utility>

#include "runnel/ip/input.hpp"

namespace runnel {

std::size_t total_size(const SliceList& body) {
    std::size_t total = 0;
    for (const Slice& slice : body) {
        total += slice.size();
    }
    return total;
}

bool pull_up(BufferPool& pool, SliceList& body, std::size_t count) {
    const std::size_t wanted = std::min(count, total_size(body));
    if (body.empty() || body.front().size() >= wanted) {
        return true;
    }
    ChunkRef chunk = wanted <= kLargeChunk ? pool.allocate(wanted) : ChunkRef{};
    if (!chunk) {
        return false;
    }
    std::size_t copied = 0;
    std::size_t emptied = 0;
    for (Slice& slice : body) {
        const std::size_t part = std::min(wanted - copied, slice.size());
        if (part == 0) {
            break;
        }
        std::memcpy(chunk.data() + copied, slice.data(), part);
        copied += part;
        slice.remove_prefix(part);
        if (slice.empty()) {
            ++emptied;
        }
    }
    // At least the first slice was used up, so that there is room for the new one.
    body.erase(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(emptied));
    body.insert(body.begin(), Slice(std::move(chunk), 0, static_cast<std::uint32_t>(wanted)));
    return true;
}

bool make_contiguous(BufferPool& pool, SliceList& body) {
    return body.size() <= 1 || pull_up(pool, body, total_size(body));
}

void truncate(SliceList& body, std::size_t count) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < body.size(); ++i) {
        if (kept + body[i].size() >= count) {
            body[i].truncate(count - kept);
            const std::size_t last = body[i].empty() ? i : i + 1;
            body.resize(last);
            return;
        }
        kept += body[i].size();
    }
}

}  // namespace runnel
