// What each kind of flow lets its two ends do, as pure functions of what has happened so far: the state
// machines of the applications.
#pragma once

#include "runnel/sim/workload.hpp"

namespace runnel::sim {

/// Octets that a side of one connection sends in all (0: the client, 1: the server).
[[nodiscard]] std::uint64_t octets_of(const Flow& flow, unsigned side);

/// Greatest octets of one write.
[[nodiscard]] std::uint32_t write_size(const Flow& flow, unsigned side);

/// What an end may do now.
struct Leave {
    std::uint64_t send_until = 0;  ///< octets of its stream that it may have written by now
    std::uint64_t read_until = 0;  ///< octets that it may have read by now
    bool shut = true;              ///< once all is written: say so
    bool pause = false;  ///< it is to be woken after Flow::pause; `wakes` counts when that is over
    bool abort = false;  ///< break the connection off
};
[[nodiscard]] Leave leave_of(const Flow& flow, const SessionEnd& end, unsigned side);

/// Pauses that one connection of the flow makes, at most.
[[nodiscard]] std::uint64_t pauses_of(const Flow& flow);

}  // namespace runnel::sim
