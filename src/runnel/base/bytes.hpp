// Bytes from and for the network: one bounds-checked cursor for reading, one for writing, both in
// network byte order. No header is ever read through a cast (DESIGN §5).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace runnel {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// Reads big-endian fields. The first read past the end makes the cursor fail for good: it then yields
/// zeros and `ok()` is false, so that a parser checks once at the end of a group of fields.
class ByteReader {
    // First, as clang evaluates constants only through templates whose body it has seen.
    constexpr bool require(std::size_t count) {
        if (!ok_ || count > remaining()) {
            ok_ = false;
            return false;
        }
        return true;
    }
    template <class Word>
    constexpr Word number() {
        if (!require(sizeof(Word))) {
            return 0;
        }
        std::array<std::byte, sizeof(Word)> raw;
        if consteval {
            for (std::size_t i = 0; i < sizeof(Word); ++i) {
                raw[i] = bytes_[position_ + i];
            }
        } else {
            std::memcpy(raw.data(), bytes_.data() + position_, sizeof(Word));
        }
        position_ += sizeof(Word);
        const Word value = std::bit_cast<Word>(raw);
        return std::endian::native == std::endian::little ? std::byteswap(value) : value;
    }

public:
    constexpr explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

    [[nodiscard]] constexpr bool ok() const { return ok_; }
    [[nodiscard]] constexpr std::size_t remaining() const { return bytes_.size() - position_; }
    [[nodiscard]] constexpr std::size_t position() const { return position_; }

    constexpr std::uint8_t u8() { return number<std::uint8_t>(); }
    constexpr std::uint16_t u16() { return number<std::uint16_t>(); }
    constexpr std::uint32_t u32() { return number<std::uint32_t>(); }
    constexpr std::uint64_t u64() { return number<std::uint64_t>(); }

    /// The next `count` bytes, or an empty span (and failure) when there are fewer.
    constexpr Bytes take(std::size_t count) {
        if (!require(count)) {
            return {};
        }
        const Bytes taken = bytes_.subspan(position_, count);
        position_ += count;
        return taken;
    }
    constexpr void skip(std::size_t count) { (void)take(count); }
    /// All that is left, without consuming it.
    [[nodiscard]] constexpr Bytes rest() const { return bytes_.subspan(position_); }

private:
    Bytes bytes_;
    std::size_t position_ = 0;
    bool ok_ = true;
};

/// Writes big-endian fields; a write past the end is refused and makes `ok()` false.
class ByteWriter {
public:
    constexpr explicit ByteWriter(MutableBytes bytes) : bytes_(bytes) {}

    [[nodiscard]] constexpr bool ok() const { return ok_; }
    [[nodiscard]] constexpr std::size_t position() const { return position_; }
    [[nodiscard]] constexpr std::size_t remaining() const { return bytes_.size() - position_; }
    [[nodiscard]] constexpr Bytes written() const { return Bytes(bytes_).first(position_); }

    constexpr void u8(std::uint8_t value) { number(value, 1); }
    constexpr void u16(std::uint16_t value) { number(value, 2); }
    constexpr void u32(std::uint32_t value) { number(value, 4); }
    constexpr void u64(std::uint64_t value) { number(value, 8); }
    constexpr void put(Bytes source) {
        if (!require(source.size())) {
            return;
        }
        for (std::size_t i = 0; i < source.size(); ++i) {
            bytes_[position_ + i] = source[i];
        }
        position_ += source.size();
    }
    constexpr void zeros(std::size_t count) {
        if (!require(count)) {
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            bytes_[position_ + i] = std::byte{0};
        }
        position_ += count;
    }
    /// Overwrites two bytes already written (lengths, checksums). `at` must lie before `position()`.
    constexpr void patch_u16(std::size_t at, std::uint16_t value) {
        if (at + 2 > position_) {
            ok_ = false;
            return;
        }
        bytes_[at] = static_cast<std::byte>(value >> 8);
        bytes_[at + 1] = static_cast<std::byte>(value & 0xff);
    }

private:
    constexpr bool require(std::size_t count) {
        if (!ok_ || count > remaining()) {
            ok_ = false;
            return false;
        }
        return true;
    }
    constexpr void number(std::uint64_t value, std::size_t count) {
        if (!require(count)) {
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            bytes_[position_ + i] = static_cast<std::byte>((value >> (8 * (count - 1 - i))) & 0xff);
        }
        position_ += count;
    }

    MutableBytes bytes_;
    std::size_t position_ = 0;
    bool ok_ = true;
};

}  // namespace runnel
