// Reading fields in the byte order of whoever wrote a capture, on top of the bounds-checked ByteReader,
// and turning ticks of any resolution into nanoseconds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "runnel/base/bytes.hpp"

namespace runnel::report {

enum class FileOrder : std::uint8_t { big, little };

/// A ByteReader whose fields may be little endian.
class OrderedReader {
public:
    OrderedReader(Bytes bytes, FileOrder order) : reader_(bytes), order_(order) {}

    [[nodiscard]] bool ok() const { return reader_.ok(); }
    [[nodiscard]] std::size_t remaining() const { return reader_.remaining(); }
    [[nodiscard]] std::size_t position() const { return reader_.position(); }
    std::uint8_t u8() { return reader_.u8(); }
    std::uint16_t u16() { return ordered(reader_.u16()); }
    std::uint32_t u32() { return ordered(reader_.u32()); }
    std::uint64_t u64() { return ordered(reader_.u64()); }
    Bytes take(std::size_t count) { return reader_.take(count); }
    /// Skips to the next multiple of four, or to the end when that is nearer.
    void align() {
        const std::size_t padding = (4 - reader_.position() % 4) % 4;
        reader_.skip(padding < reader_.remaining() ? padding : reader_.remaining());
    }

private:
    template <class T>
    T ordered(T value) const {
        return order_ == FileOrder::little ? std::byteswap(value) : value;
    }

    ByteReader reader_;
    FileOrder order_;
};

/// The clock of an interface: what its option if_tsresol says (a power of ten, or with the highest bit set
/// of two), and the seconds of if_tsoffset.
struct CaptureClock {
    std::uint8_t resolution = 6;
    std::int64_t offset_seconds = 0;

    /// Nanoseconds since 1970, saturated at ±kMostCaptureTime.
    [[nodiscard]] std::int64_t nanoseconds(std::uint64_t ticks) const;
};

inline std::string_view as_text(Bytes bytes) {
    return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

}  // namespace runnel::report
