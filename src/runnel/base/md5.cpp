#include "runnel/base/md5.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace runnel {

namespace {

// RFC 1321 §3.4: floor(2^32 * abs(sin(i + 1))).
constexpr std::array<std::uint32_t, 64> kSines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr std::array<std::array<int, 4>, 4> kShifts = {
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

std::uint32_t little_endian(const std::byte* bytes) {
    return std::to_integer<std::uint32_t>(bytes[0]) |
           std::to_integer<std::uint32_t>(bytes[1]) << 8 |
           std::to_integer<std::uint32_t>(bytes[2]) << 16 |
           std::to_integer<std::uint32_t>(bytes[3]) << 24;
}

}  // namespace

void Md5::block(const std::byte* bytes) {
    auto [a, b, c, d] = state_;
    for (unsigned i = 0; i < 64; ++i) {
        const unsigned round = i / 16;
        std::uint32_t mixed = 0;
        unsigned word = 0;
        switch (round) {
            case 0:
                mixed = (b & c) | (~b & d);
                word = i;
                break;
            case 1:
                mixed = (d & b) | (~d & c);
                word = (5 * i + 1) % 16;
                break;
            case 2:
                mixed = b ^ c ^ d;
                word = (3 * i + 5) % 16;
                break;
            default:
                mixed = c ^ (b | ~d);
                word = 7 * i % 16;
                break;
        }
        const std::uint32_t sum =
            a + mixed + kSines[i] + little_endian(bytes + std::size_t{4} * word);
        a = d;
        d = c;
        c = b;
        b += std::rotl(sum, kShifts[round][i % 4]);
    }
    state_[0] += a;
    state_[1] += b;
    state_[2] += c;
    state_[3] += d;
}

void Md5::update(Bytes bytes) {
    while (!bytes.empty()) {
        const std::size_t used = length_ % buffer_.size();
        if (used == 0 && bytes.size() >= buffer_.size()) {
            block(bytes.data());
            length_ += buffer_.size();
            bytes = bytes.subspan(buffer_.size());
            continue;
        }
        const std::size_t count = std::min(bytes.size(), buffer_.size() - used);
        std::memcpy(buffer_.data() + used, bytes.data(), count);
        length_ += count;
        bytes = bytes.subspan(count);
        if (used + count == buffer_.size()) {
            block(buffer_.data());
        }
    }
}

Md5Digest Md5::finish() {
    const std::uint64_t bits = length_ * 8;
    static constexpr std::array<std::byte, 64> kPadding = {std::byte{0x80}};
    const std::size_t used = length_ % 64;
    update(Bytes(kPadding).first(used < 56 ? 56 - used : 120 - used));
    std::array<std::byte, 8> length;
    for (std::size_t i = 0; i < length.size(); ++i) {
        length[i] = static_cast<std::byte>(bits >> 8 * i);
    }
    update(length);
    Md5Digest digest;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        digest[i] = static_cast<std::byte>(state_[i / 4] >> 8 * (i % 4));
    }
    return digest;
}

}  // namespace runnel
