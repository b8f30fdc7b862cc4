// What the buffer tests share: octets whose value tells their sequence number, slices of them in
// chunks of either size, and starts of sequence spaces, half of them just below the wrap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "runnel/base/buffer.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel::tcp::test {

/// The octet with number `seq` in the stream called `stream`.
inline char octet(Seq64 seq, std::uint64_t stream = 0) {
    std::uint64_t z = seq.value * 0x9e37'79b9'7f4a'7c15 + stream * 0xbf58'476d'1ce4'e5b9;
    z ^= z >> 29;
    return static_cast<char>(z * 0x94d0'49bb'1331'11eb >> 56);
}

/// The octets [seq, seq + size) of a stream.
inline std::string octets(Seq64 seq, std::size_t size, std::uint64_t stream = 0) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = octet(seq + i, stream);
    }
    return text;
}

inline std::string text_of(const Slice& slice) {
    return {reinterpret_cast<const char*>(slice.data()), slice.size()};
}
inline std::string text_of(const SliceList& slices) {
    std::string text;
    for (const Slice& slice : slices) {
        text += text_of(slice);
    }
    return text;
}

/// For properties: RC_ASSERT(a == b) without printing kilobytes of octets, at every step of
/// shrinking.
inline void same(const std::string& got, const std::string& expected) {
    const bool equal = got == expected;
    RC_ASSERT(got.size() == expected.size());
    RC_ASSERT(equal);
}

/// A slice with `text` somewhere in a chunk of its own; `large`: in a 64 KB one, whatever its size.
inline Slice slice_of(BufferPool& pool, const std::string& text, bool large = false,
                      std::size_t offset = 0) {
    ChunkRef chunk = pool.allocate(large ? kLargeChunk : offset + text.size());
    if (!chunk) {
        return {};
    }
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(chunk.data()) + offset);
    return {std::move(chunk), static_cast<std::uint32_t>(offset),
            static_cast<std::uint32_t>(text.size())};
}

/// Where a sequence space starts. A multiple of 2^32 is where the numbers on the wire wrap.
inline Seq64 start_of(bool near_wrap, std::uint32_t number) {
    constexpr std::uint64_t kWrap = std::uint64_t{1} << 33;
    return {near_wrap ? kWrap - number % 65'536 : (std::uint64_t{1} << 32) + number};
}

}  // namespace runnel::tcp::test
