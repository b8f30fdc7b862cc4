// What is known of the sizes that the path takes, beyond the one in use (Tcb::path_mtu): how large it could be, what
// an ICMP error said and when that is old (RFC 1191 §6.3, RFC 8201 §5.3), what still waits for evidence (RFC 5927
// §7.2), and the search by probes that needs no ICMP (RFC 4821, RFC 8899). A connection has one only once one of
// these has begun.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

/// Sizes are those of whole IP packets, in octets.
struct MtuSearch {
    Instant raise_at = Instant::never();  ///< then all up to `greatest` is open again
    Seq64 probe_begin, probe_end;         ///< of the probe in flight, while `probe` is not 0
    Seq64 claimed_at;  ///< the segment that an ICMP error quotes, while `claimed` is not 0
    std::uint32_t greatest = 0;  ///< what the first hop and the peer take
    std::uint32_t high = 0;      ///< the greatest that may pass
    std::uint32_t probe = 0;     ///< size of the probe in flight; 0: none
    std::uint32_t claimed = 0;   ///< what an ICMP error said that is not believed yet; 0: nothing
    bool searching = false;      ///< by probes: a black hole has shown, or the host always does
};

}  // namespace runnel::tcp
