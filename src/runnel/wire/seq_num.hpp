// A sequence number as it stands on the wire: 32 bits, modulo 2^32 (RFC 9293 §3.4). It has equality and
// addition and on purpose no order: order exists only near a base, where it is unwrapped to 64 bits.
#pragma once

#include <cstdint>

namespace runnel {

struct SeqNum {
    std::uint32_t value = 0;

    constexpr bool operator==(const SeqNum&) const = default;
    constexpr SeqNum operator+(std::uint32_t n) const { return {value + n}; }

    /// How far this number lies after `base`, in [-2^31, 2^31). A distance of exactly 2^31 counts as behind.
    [[nodiscard]] constexpr std::int32_t offset_from(SeqNum base) const {
        return static_cast<std::int32_t>(value - base.value);
    }
};

}  // namespace runnel
