// The path's MTU as a connection learns it: from ICMP, from black holes that its full-sized segments fall into, and
// from probes made of new data. RFC 1191, RFC 8201, RFC 4821 with RFC 8899's ideas, RFC 5927 §7.
#pragma once

#include "runnel/tcp/effects.hpp"
#include "runnel/tcp/output/plan.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {

/// A host that always searches begins with a size that passes everywhere. Once, when the SYNs have been seen.
void start_mtu_search(Tcb& tcb, const TcpConfig& config);

/// An ICMP error about the segment in flight that holds `quoted` says that the path takes packets of `report.mtu` octets.
/// True when IP may believe that too; false while it contradicts what has got through, or what was quoted.
bool on_packet_too_big(Tcb& tcb, Seq64 quoted, const IcmpReport& report, Effects& effects);

/// Everything before `ack` is about to be acknowledged: which sizes get through.
void note_sizes_acked(Tcb& tcb, Seq64 ack, Effects& effects);

/// Loss detection has marked records lost, for the first time since all was well. True when the probe is all there is:
/// it was too large, which says nothing about congestion (RFC 4821 §7.6.2). It is sent again in smaller pieces.
bool only_probe_lost(Tcb& tcb, Effects& effects);

/// What was sent has been silent for long (a tail-loss probe is due). True when an ICMP error had said why, which is
/// believed now: what was too large goes again in smaller segments.
bool believe_claim(Tcb& tcb, Effects& effects);

/// The retransmission timer has fired, before anything is sent again: what ICMP claimed is believed now, and full-sized
/// segments that have fallen silent several times may have fallen into a black hole.
void path_mtu_on_timeout(Tcb& tcb, Effects& effects);

/// Before sending: what was learnt may be old (RFC 1191 §6.3, RFC 8201 §4).
void refresh_path_mtu(Tcb& tcb, Effects& effects);

/// Octets of text of the probe to send now from `seq`, a whole segment larger than all others; 0: none. `usable`: the
/// peer's window from there, `room`: segments that the congestion window lets out.
[[nodiscard]] std::uint32_t mtu_probe_length(const Tcb& tcb, Seq64 seq, std::uint64_t usable,
                                             std::uint32_t room, const TcpConfig& config);
/// It has left.
void note_probe_sent(Tcb& tcb, const Plan& plan);

}  // namespace runnel::tcp
