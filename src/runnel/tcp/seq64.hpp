// Sequence numbers unwrapped to 64 bits. A number is unwrapped once, at the door, to the value near the
// connection's own; below the door ordinary `<` is right and RFC 9293 §3.4's modular comparison is gone.
// IRS and ISS enter as 2^32 + their wire value, so that "just below" exists.
#pragma once

#include <compare>
#include <cstdint>

#include "runnel/wire/seq_num.hpp"

namespace runnel::tcp {

struct Seq64 {
    std::uint64_t value = 0;

    constexpr auto operator<=>(const Seq64&) const = default;
    constexpr Seq64 operator+(std::uint64_t n) const { return {value + n}; }
    constexpr Seq64 operator-(std::uint64_t n) const { return {value - n}; }
    constexpr Seq64& operator+=(std::uint64_t n) {
        value += n;
        return *this;
    }
    /// Signed distance; positive when this lies after `other`.
    constexpr std::int64_t operator-(Seq64 other) const {
        return static_cast<std::int64_t>(value - other.value);
    }
    /// The 32 bits that go on the wire.
    [[nodiscard]] constexpr SeqNum wire() const { return {static_cast<std::uint32_t>(value)}; }
};

/// The first unwrapped number of a space that starts with `initial` (ISS or IRS).
constexpr Seq64 first_seq(SeqNum initial) {
    return {(std::uint64_t{1} << 32) + initial.value};
}

/// The number with wire value `seq` nearest to `near`, in [near - 2^31, near + 2^31).
constexpr Seq64 unwrap(SeqNum seq, Seq64 near) {
    return {near.value +
            static_cast<std::uint64_t>(static_cast<std::int64_t>(seq.offset_from(near.wire())))};
}

/// `later - earlier` as a count; 0 where `later` does not lie after.
constexpr std::uint64_t distance(Seq64 earlier, Seq64 later) {
    return later > earlier ? later.value - earlier.value : 0;
}

}  // namespace runnel::tcp
