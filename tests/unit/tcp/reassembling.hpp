// What the reassembler's tests share: segments by number and size, and what it holds as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "octets.hpp"
#include "runnel/tcp/receive/reassembler.hpp"

namespace runnel::tcp::test {

using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

inline constexpr std::size_t kPool = 64U << 20;

/// One segment's payload: the octets of `stream` from `seq` on, in one small or large chunk.
inline SliceList payload(BufferPool& pool, Seq64 seq, std::size_t size, bool large = false,
                         std::uint64_t stream = 0) {
    SliceList slices;
    Slice slice = slice_of(pool, octets(seq, size, stream), large);
    if (!slice.empty()) {
        slices.push_back(std::move(slice));
    }
    return slices;
}

inline InsertResult insert(Reassembler& reassembler, BufferPool& pool, Seq64 seq, std::size_t size,
                           bool large = false) {
    return reassembler.insert(pool, seq, payload(pool, seq, size, large));
}

inline Blocks blocks(const Reassembler& reassembler, std::size_t max = 4) {
    Reassembler::SackBlocks out;
    reassembler.sack_blocks(out, max);
    Blocks pairs;
    for (const SackBlock& block : out) {
        pairs.emplace_back(block.left.value, block.right.value);
    }
    return pairs;
}

/// Takes out what is contiguous with `rcv_nxt`, which moves on.
inline std::string extract(Reassembler& reassembler, Seq64& rcv_nxt) {
    std::string text;
    rcv_nxt = reassembler.extract(rcv_nxt, [&](Slice&& slice) {
        const Slice taken = std::move(slice);
        text += text_of(taken);
    });
    return text;
}

}  // namespace runnel::tcp::test
