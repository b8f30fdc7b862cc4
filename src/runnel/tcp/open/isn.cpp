#include "runnel/tcp/open/isn.hpp"

#include "runnel/tcp/demux/tuple_hash.hpp"

namespace runnel::tcp {

SeqNum initial_sequence(const SipKey& key, const FourTuple& tuple, Instant now) {
    // RFC 9293 §3.4.1, MUST-8: a clock that ticks about every 4 µs; SHLD-1: RFC 6528's ISN = M +
    // F().
    // MUST-9, 6528-M1: F is keyed with a secret of this host.
    const auto clock = static_cast<std::uint32_t>(now.ns / 4'000);
    return SeqNum{clock} + static_cast<std::uint32_t>(tuple_hash(key, tuple));
}

std::uint32_t timestamp_offset(const SipKey& key, const FourTuple& tuple) {
    const FourTuple pair{{tuple.local.address, 0}, {tuple.remote.address, 0}};
    return static_cast<std::uint32_t>(tuple_hash(key, pair));
}

}  // namespace runnel::tcp
