// The stream that all flows carry: a block that repeats with a length that no buffer divides, so that octets
// lost, doubled or misplaced show.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace runnel::bench {

class Pattern {
public:
    static constexpr std::size_t kPeriod = 65'521;
    static constexpr std::size_t kBlock = 256 * 1024;

    Pattern() : bytes_(kPeriod + kBlock) {
        std::uint32_t state = 0x2545f491;
        for (std::size_t i = 0; i < bytes_.size(); ++i) {
            state = state * 1'664'525 + 1'013'904'223;
            bytes_[i] = i < kPeriod ? static_cast<char>(state >> 24) : bytes_[i - kPeriod];
        }
    }
    /// The kBlock octets from `offset` of the stream on.
    [[nodiscard]] const char* at(std::uint64_t offset) const {
        return bytes_.data() + offset % kPeriod;
    }
    /// `size` is at most kBlock.
    [[nodiscard]] bool matches(std::uint64_t offset, const char* bytes, std::size_t size) const {
        return std::memcmp(at(offset), bytes, std::min(size, kBlock)) == 0;
    }

private:
    std::vector<char> bytes_;
};

}  // namespace runnel::bench
