// SipHash-2-4 (Aumasson and Bernstein, 2012) with a 128-bit key: the keyed hash behind initial sequence
// numbers (RFC 6528), port choice (RFC 6056), timestamp offsets and hash tables that a peer can't aim at.
#pragma once

#include <cstdint>

#include "runnel/base/bytes.hpp"

namespace runnel {

/// A 128-bit secret. Each use has a key of its own (DESIGN §5).
struct SipKey {
    std::uint64_t k0 = 0;
    std::uint64_t k1 = 0;
};

/// SipHash-2-4 of `message` under `key`.
[[nodiscard]] std::uint64_t siphash(const SipKey& key, Bytes message);

/// A key for one named use, derived from a master secret.
[[nodiscard]] SipKey derive_key(const SipKey& master, std::uint64_t use);

}  // namespace runnel
