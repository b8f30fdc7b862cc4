// MD5 (RFC 1321), for the one use that protocols still have for it: the TCP MD5 signature option (RFC 2385).
// It is no longer safe as a hash of documents, and nothing else here uses it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/base/bytes.hpp"

namespace runnel {

using Md5Digest = std::array<std::byte, 16>;

class Md5 {
public:
    void update(Bytes bytes);
    /// The digest of all that was given; the object is used up.
    [[nodiscard]] Md5Digest finish();

private:
    void block(const std::byte* bytes);

    std::array<std::uint32_t, 4> state_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    std::uint64_t length_ = 0;  ///< octets so far
    std::array<std::byte, 64> buffer_;
};

}  // namespace runnel
