// Where a connection's numbers start: initial sequence numbers by RFC 6528 §3 and RFC 9293 §3.4.1
// (MUST-8, SHLD-1), timestamp offsets by RFC 7323 §5.4. Each takes a key of its own.
#pragma once

#include <cstdint>

#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/seq_num.hpp"

namespace runnel::tcp {

/// ISN = M + F(tuple): M is a clock that counts 4 µs (MUST-8) and wraps in 4.77 hours, F the keyed
/// hash, so that the numbers of one tuple rise from connection to connection and those of others
/// can't be guessed.
[[nodiscard]] SeqNum initial_sequence(const SipKey& key, const FourTuple& tuple, Instant now);

/// Added to the millisecond clock of TSval. The same for all connections of a pair of addresses, as
/// in Linux: a peer that compares timestamps of successive connections (RFC 6191) sees one clock.
[[nodiscard]] std::uint32_t timestamp_offset(const SipKey& key, const FourTuple& tuple);

}  // namespace runnel::tcp
