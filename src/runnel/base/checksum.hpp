// The internet checksum (RFC 1071): the 16-bit one's complement sum, over bytes that may come in pieces
// of any length, fused into a copy where one is made anyway, and updated in place (RFC 1624). Every sum
// here is a number in host order: written with ByteWriter::u16 it stands on the wire as it should.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runnel/base/bytes.hpp"

namespace runnel {

/// Folds a sum of 16-bit words to 16 bits, carries added back in (RFC 1071 §2 (A)). 0 only for 0.
[[nodiscard]] constexpr std::uint16_t fold_checksum(std::uint64_t sum) {
    sum = (sum & 0xffff'ffff) + (sum >> 32);
    sum = (sum & 0xffff'ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

/// The one's complement sum of `bytes`, not inverted; an odd last byte counts as padded with a zero
/// (RFC 1071 §1). Chooses AVX2 by itself where the processor has it.
[[nodiscard]] std::uint16_t ones_complement_sum(Bytes bytes);

/// Copies `source` to the start of `destination` and returns the sum of the bytes, in one pass over
/// memory. `destination` must not overlap `source` and must be at least as long (checked).
std::uint16_t copy_and_sum(MutableBytes destination, Bytes source);

/// The checksum field for `bytes`: the inverted sum. Over bytes that hold a right checksum it is 0.
[[nodiscard]] inline std::uint16_t internet_checksum(Bytes bytes) {
    return static_cast<std::uint16_t>(~ones_complement_sum(bytes));
}

/// A checksum after one 16-bit word of what it covers changed from `before` to `after`
/// (RFC 1624 §3, equation 3). `checksum` is the field as it stands in the header.
[[nodiscard]] constexpr std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t before,
                                                      std::uint16_t after) {
    const std::uint32_t sum = (~static_cast<std::uint32_t>(checksum) & 0xffff) +
                              (~static_cast<std::uint32_t>(before) & 0xffff) + after;
    return static_cast<std::uint16_t>(~fold_checksum(sum));
}
/// The same for a 32-bit field on a 16-bit boundary.
[[nodiscard]] constexpr std::uint16_t update_checksum_u32(std::uint16_t checksum,
                                                          std::uint32_t before,
                                                          std::uint32_t after) {
    checksum = update_checksum(checksum, static_cast<std::uint16_t>(before >> 16),
                               static_cast<std::uint16_t>(after >> 16));
    return update_checksum(checksum, static_cast<std::uint16_t>(before & 0xffff),
                           static_cast<std::uint16_t>(after & 0xffff));
}

/// A sum over pieces as if they stood one behind the other. A piece of odd length shifts what follows by
/// one byte, so that slices of a payload may end anywhere.
class ChecksumAccumulator {
public:
    constexpr ChecksumAccumulator() = default;
    /// Begins from a sum already made, e.g. a pseudo-header's.
    constexpr explicit ChecksumAccumulator(std::uint16_t sum) : sum_(sum) {}

    void add(Bytes bytes) { add_sum(ones_complement_sum(bytes), bytes.size()); }
    /// A field of two or four bytes in network order, given as a number.
    constexpr void add_u16(std::uint16_t value) { add_sum(value, 2); }
    constexpr void add_u32(std::uint32_t value) {
        add_sum(fold_checksum((value >> 16) + (value & 0xffff)), 4);
    }
    /// The next `length` bytes, whose own sum is `sum` (as from copy_and_sum).
    constexpr void add_sum(std::uint16_t sum, std::size_t length) {
        sum_ += odd_ ? swapped(sum) : sum;
        odd_ = odd_ != ((length & 1) != 0);
    }

    /// The sum, not inverted; 0xffff when what was added includes its own right checksum.
    [[nodiscard]] constexpr std::uint16_t folded() const { return fold_checksum(sum_); }
    /// The checksum field: the inverted sum.
    [[nodiscard]] constexpr std::uint16_t finish() const {
        return static_cast<std::uint16_t>(~folded());
    }

private:
    static constexpr std::uint64_t swapped(std::uint16_t sum) {
        return ((std::uint64_t{sum} << 8) | (std::uint64_t{sum} >> 8)) & 0xffff;
    }

    std::uint64_t sum_ = 0;
    bool odd_ = false;
};

}  // namespace runnel
