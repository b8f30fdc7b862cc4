#include "runnel/base/checksum.hpp"

#include <bit>
#include <cstring>

#include "runnel/base/check.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// All sums inside this file are over words as the machine loads them. One's complement addition doesn't
// mind the byte order (RFC 1071 §2 (B)): the folded sum is swapped once at the end.

namespace runnel {

namespace {

// From here on the vector version wins over the scalar one.
constexpr std::size_t kVectorThreshold = 128;

constexpr std::uint64_t add_with_carry(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t sum = a + b;
    return sum + (sum < b ? 1 : 0);
}

template <class Word>
std::uint64_t load(const std::byte* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

// A last byte on its own counts as the first of a 16-bit word whose second is zero.
std::uint64_t load_last(const std::byte* from) {
    const auto byte = std::to_integer<std::uint64_t>(*from);
    return std::endian::native == std::endian::little ? byte : byte << 8;
}

std::uint64_t sum_scalar(const std::byte* from, std::size_t size) {
    std::uint64_t even = 0;
    std::uint64_t odd = 0;
    for (; size >= 16; from += 16, size -= 16) {
        even = add_with_carry(even, load<std::uint64_t>(from));
        odd = add_with_carry(odd, load<std::uint64_t>(from + 8));
    }
    std::uint64_t sum = add_with_carry(even, odd);
    if ((size & 8) != 0) {
        sum = add_with_carry(sum, load<std::uint64_t>(from));
        from += 8;
    }
    if ((size & 4) != 0) {
        sum = add_with_carry(sum, load<std::uint32_t>(from));
        from += 4;
    }
    if ((size & 2) != 0) {
        sum = add_with_carry(sum, load<std::uint16_t>(from));
        from += 2;
    }
    if ((size & 1) != 0) {
        sum = add_with_carry(sum, load_last(from));
    }
    return sum;
}

constexpr std::uint16_t to_host_order(std::uint64_t native_sum) {
    const std::uint16_t sum = fold_checksum(native_sum);
    if constexpr (std::endian::native == std::endian::little) {
        return static_cast<std::uint16_t>((sum << 8) | (sum >> 8));
    }
    return sum;
}

#if defined(__x86_64__)

// Two 32-bit words of each 64-bit lane are added to 64-bit sums, which can't overflow below 2^38 bytes.
__attribute__((target("avx2"))) inline __m256i add_words(__m256i sums, __m256i words) {
    const __m256i low = _mm256_and_si256(words, _mm256_set1_epi64x(0xffff'ffff));
    const __m256i high = _mm256_srli_epi64(words, 32);
    return _mm256_add_epi64(sums, _mm256_add_epi64(low, high));
}

// The 32 bytes at `at`, copied on the way when `kCopy`.
template <bool kCopy>
__attribute__((target("avx2"))) inline __m256i take_words(std::byte* to, const std::byte* from,
                                                          std::size_t at) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at));
    if constexpr (kCopy) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), words);
    }
    return words;
}

// Sums `size` bytes, a multiple of 128, and copies them on the way when `kCopy`.
template <bool kCopy>
__attribute__((target("avx2"))) std::uint64_t sum_blocks_avx2(std::byte* to, const std::byte* from,
                                                              std::size_t size) {
    __m256i a = _mm256_setzero_si256();
    __m256i b = a;
    __m256i c = a;
    __m256i d = a;
    for (std::size_t at = 0; at < size; at += 128) {
        a = add_words(a, take_words<kCopy>(to, from, at));
        b = add_words(b, take_words<kCopy>(to, from, at + 32));
        c = add_words(c, take_words<kCopy>(to, from, at + 64));
        d = add_words(d, take_words<kCopy>(to, from, at + 96));
    }
    const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    alignas(32) std::uint64_t lanes[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum);
    return add_with_carry(add_with_carry(lanes[0], lanes[1]), add_with_carry(lanes[2], lanes[3]));
}

// Asked once. Whoever sums before this is initialised gets the scalar version and the same number.
const bool have_avx2 = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}();

#endif

}  // namespace

std::uint16_t ones_complement_sum(Bytes bytes) {
    std::uint64_t sum = 0;
#if defined(__x86_64__)
    if (bytes.size() >= kVectorThreshold && have_avx2) {
        const std::size_t blocks = bytes.size() & ~std::size_t{127};
        sum = sum_blocks_avx2<false>(nullptr, bytes.data(), blocks);
        bytes = bytes.subspan(blocks);
    }
#endif
    return to_host_order(add_with_carry(sum, sum_scalar(bytes.data(), bytes.size())));
}

std::uint16_t copy_and_sum(MutableBytes destination, Bytes source) {
    RUNNEL_CHECK(destination.size() >= source.size());
    std::uint64_t sum = 0;
#if defined(__x86_64__)
    if (source.size() >= kVectorThreshold && have_avx2) {
        const std::size_t blocks = source.size() & ~std::size_t{127};
        sum = sum_blocks_avx2<true>(destination.data(), source.data(), blocks);
        source = source.subspan(blocks);
        destination = destination.subspan(blocks);
    }
#endif
    if (source.empty()) {
        return to_host_order(sum);
    }
    std::memcpy(destination.data(), source.data(), source.size());
    return to_host_order(add_with_carry(sum, sum_scalar(source.data(), source.size())));
}

}  // namespace runnel
