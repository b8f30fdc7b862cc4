// How much this thread's engine has walked and copied: what the bound on the work for a packet (law 5) is
// checked against, by whoever looks before and after (sim/check). Nothing in the engine reads it.
#pragma once

#include <cstdint>

namespace runnel {

struct Work {
    std::uint64_t nodes = 0;   ///< elements of lists that a segment made us look at
    std::uint64_t octets = 0;  ///< copied from one buffer to another
};

inline thread_local constinit Work work;

}  // namespace runnel
