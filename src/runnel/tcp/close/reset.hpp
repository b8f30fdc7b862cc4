// Resets (RFC 9293 §3.5.2): the answer to a segment that belongs to no connection, and the numbers it has.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// The reset that answers a segment without connection (§3.10.7.1): with an ACK, at the number it
/// acknowledged; otherwise at zero, acknowledging all of it. Never answer a RST with it (MUST not loop).
[[nodiscard]] ControlSegment make_reset(const FourTuple& tuple, const TcpHeader& header,
                                        std::uint32_t payload_size, Decision reason);

}  // namespace runnel::tcp
