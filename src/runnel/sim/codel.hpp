// CoDel, the controlled delay queue discipline of RFC 8289: packets that have stood longer than a target
// for a whole interval are dropped, or marked, at a growing pace.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::sim {

class Codel {
public:
    static constexpr Duration kTarget = milliseconds(5);      ///< §4.2
    static constexpr Duration kInterval = milliseconds(100);  ///< §4.3

    /// Whether the packet that comes out of the queue at `now` after `sojourn` is to be dropped (or marked);
    /// `backlog` bytes wait behind it, `mtu` is the line's. A dropped one is followed by the next call for
    /// the packet behind it; a marked one is sent. §5.
    bool on_dequeue(Instant now, Duration sojourn, std::uint64_t backlog, std::uint32_t mtu);

private:
    [[nodiscard]] bool above_target(Instant now, Duration sojourn, std::uint64_t backlog,
                                    std::uint32_t mtu);
    [[nodiscard]] static Instant control_law(Instant from, std::uint32_t count);

    Instant first_above_ = {};  ///< zero: below the target
    Instant drop_next_ = {};
    std::uint32_t count_ = 0;
    std::uint32_t last_count_ = 0;
    bool dropping_ = false;
};

}  // namespace runnel::sim
