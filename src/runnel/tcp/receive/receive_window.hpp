// The receive window of a connection in time: what arrives is measured, what the reader takes lets it grow,
// and where memory is short nothing more is promised (law 5).
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// Data has arrived in order, in an acceptable segment of `length` octets, or several such with `piece` octets
/// each: a round trip may be over. Where the pool is nearly used up the window stops moving on.
void measure_window(Tcb& tcb, const Segment& segment, std::uint32_t piece, Effects& effects);

/// The reader has taken something: the window may offer more, up to the configured buffer and a quarter of what
/// the pool has left, so that several can grow side by side.
void grow_window(Tcb& tcb, Effects& effects);

}  // namespace runnel::tcp
