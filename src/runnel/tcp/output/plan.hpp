// The one pure decision: what would this connection send now, and why (or why not)? It serves both
// "transmit" and "when must I be called next", so that the two can't disagree.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// The most octets of payload in one super-segment: with headers it fits an IP packet of 65,535.
inline constexpr std::uint32_t kMaxSuperSegment = 65'535 - 60 - 60;

struct Plan {
    enum class Kind : std::uint8_t {
        nothing,
        syn,   ///< SYN or SYN,ACK, first time or again
        data,  ///< new data and perhaps the FIN
        retransmission,
        acknowledgement,  ///< no data
        window_probe,     ///< RFC 9293 §3.8.6.1, SEQ = SND.UNA-1
        keepalive,        ///< §3.8.4, SEQ = SND.UNA-1
        reset,
    };
    Kind kind = Kind::nothing;
    Decision reason{};  ///< why it is sent, or why nothing is
    Seq64 seq;
    std::uint32_t length = 0;  ///< payload octets
    std::uint32_t mss = 0;     ///< octets a segment; more than that makes a super-segment
    bool fin = false;
    bool probe = false;  ///< a tail-loss probe (RFC 8985 §7.3): new data, or the last segment again
    bool blocked_by_window = false;  ///< nothing: the peer's window is what holds data back
    bool held = false;  ///< nothing: small data is held back (Nagle, cork, silly window)
};

/// Octets that fit into a Fast Open SYN beside all options there can be (RFC 7413 §4.2.1, Linux).
[[nodiscard]] std::uint32_t syn_data_room(const Tcb& tcb);

/// RFC 9293 §3.7.4, §3.8.3–§3.8.6. Changes nothing.
[[nodiscard]] Plan plan_next_segment(const Tcb& tcb, const TcpConfig& config);

/// Sends what the plan says: fills `out` and moves SND.NXT, the retransmission queue and the timers.
/// False when there is nothing to send now.
bool transmit_next(Tcb& tcb, Effects& effects, OutgoingSegment& out);

/// Arms what must be armed while the connection has nothing to send (DESIGN §4: data in flight, or that
/// could be sent, always implies an armed timer).
void settle_timers(Tcb& tcb, const Plan& plan, Effects& effects);

/// The window field for a segment that leaves now; moves RCV.NXT+RCV.WND where silly-window avoidance
/// lets it (§3.8.6.2.2).
std::uint16_t advertise_window(Tcb& tcb, bool syn);
/// Whether the reader has made room worth an ACK of its own (§3.8.6.2.2, MUST-39).
[[nodiscard]] bool window_update_due(const Tcb& tcb);

}  // namespace runnel::tcp
