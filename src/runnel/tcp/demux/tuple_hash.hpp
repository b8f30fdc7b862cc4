// The one way in which a connection's four-tuple, or a part of it, goes into a keyed hash: demux,
// initial sequence numbers (RFC 6528 §3), timestamp offsets and ephemeral ports (RFC 6056 §3.3.4)
// differ in their key and in what they leave out.
#pragma once

#include <cstdint>

#include "runnel/base/siphash.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::tcp {

/// SipHash of local and remote address and both ports. IPv4 is hashed in its short form.
[[nodiscard]] std::uint64_t tuple_hash(const SipKey& key, const FourTuple& tuple);

}  // namespace runnel::tcp
