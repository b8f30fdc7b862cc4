// Contents with an oracle: every octet of a stream is a function of a seed and its offset, so that whoever
// reads it can tell a wrong one, and one in the wrong place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runnel/base/bytes.hpp"

namespace runnel::sim {

/// The octets from `offset` on of the stream with that seed.
void fill_pattern(std::uint64_t seed, std::uint64_t offset, MutableBytes out);
/// The index of the first octet that differs from the pattern, or `bytes.size()`.
[[nodiscard]] std::size_t compare_pattern(std::uint64_t seed, std::uint64_t offset, Bytes bytes);

}  // namespace runnel::sim
