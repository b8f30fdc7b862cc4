// How much the send buffer holds: enough that the congestion window can be filled while what it has sent waits
// for its acknowledgement, and no more. It grows with the window and never shrinks.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// The congestion window may have grown: room for three of them, within the configured buffer and half of what the
/// pool gives to writers. A writer who waits is woken when that makes room.
void grow_send_room(Tcb& tcb, Effects& effects);

}  // namespace runnel::tcp
