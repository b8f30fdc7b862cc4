#include "runnel/sim/pattern.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace runnel::sim {

namespace {
constexpr std::size_t kWords = 512;  ///< of a page of the pattern

/// splitmix64's output function.
constexpr std::uint64_t scattered(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

/// As it lies in memory: the lowest octet first, whatever the machine.
constexpr std::uint64_t as_little_endian(std::uint64_t word) {
    return std::endian::native == std::endian::little ? word : std::byteswap(word);
}

/// One page of words, the same for all streams. What makes a page of a stream its own is a key, by which each
/// word is altered: simulated applications spend much of their time here.
constexpr std::array<std::uint64_t, kWords> make_page() {
    std::array<std::uint64_t, kWords> page{};
    for (std::size_t i = 0; i < kWords; ++i) {
        page[i] = as_little_endian(scattered((i + 1) * 0x9e37'79b9'7f4a'7c15));
    }
    return page;
}
constexpr std::array<std::uint64_t, kWords> kPage = make_page();

std::uint64_t key_of(std::uint64_t seed, std::uint64_t page) {
    return as_little_endian(
        scattered((seed + 1) * 0xd605'0fa0'1c37'a1cd + page * 0x9e37'79b9'7f4a'7c15));
}

/// `f(index in the octets, word)` for each word that [offset, offset + size) touches; the first may begin
/// before it. Ends early when `f` returns false.
template <class F>
void each_word(std::uint64_t seed, std::uint64_t offset, std::size_t size, F&& f) {
    for (std::uint64_t word = offset / 8; word * 8 < offset + size;) {
        const std::uint64_t key = key_of(seed, word / kWords);
        const std::uint64_t end = std::min((word / kWords + 1) * kWords, (offset + size + 7) / 8);
        for (; word < end; ++word) {
            if (!f(static_cast<std::ptrdiff_t>(word * 8 - offset), kPage[word % kWords] ^ key)) {
                return;
            }
        }
    }
}
}  // namespace

void fill_pattern(std::uint64_t seed, std::uint64_t offset, MutableBytes out) {
    const auto size = static_cast<std::ptrdiff_t>(out.size());
    each_word(seed, offset, out.size(), [&](std::ptrdiff_t at, std::uint64_t word) {
        if (at >= 0 && at + 8 <= size) {
            std::memcpy(out.data() + at, &word, 8);
            return true;
        }
        const auto octets = std::bit_cast<std::array<std::byte, 8>>(word);
        for (std::ptrdiff_t k = std::max<std::ptrdiff_t>(-at, 0); k < 8 && at + k < size; ++k) {
            out[static_cast<std::size_t>(at + k)] = octets[static_cast<std::size_t>(k)];
        }
        return true;
    });
}

std::size_t compare_pattern(std::uint64_t seed, std::uint64_t offset, Bytes bytes) {
    const auto size = static_cast<std::ptrdiff_t>(bytes.size());
    std::size_t wrong = bytes.size();
    each_word(seed, offset, bytes.size(), [&](std::ptrdiff_t at, std::uint64_t word) {
        if (at >= 0 && at + 8 <= size && std::memcmp(bytes.data() + at, &word, 8) == 0) {
            return true;
        }
        const auto octets = std::bit_cast<std::array<std::byte, 8>>(word);
        for (std::ptrdiff_t k = std::max<std::ptrdiff_t>(-at, 0); k < 8 && at + k < size; ++k) {
            if (bytes[static_cast<std::size_t>(at + k)] != octets[static_cast<std::size_t>(k)]) {
                wrong = static_cast<std::size_t>(at + k);
                return false;
            }
        }
        return true;
    });
    return wrong;
}

}  // namespace runnel::sim
