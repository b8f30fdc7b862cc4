// The steps of SEGMENT ARRIVES (RFC 9293 §3.10.7.4), one function each, in the RFC's order. A step
// returns false when the segment needs no further processing.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// A segment inside the door of `tcb`: its numbers near the connection's own, its window scaled.
[[nodiscard]] Segment unwrap_segment(const Tcb& tcb, ArrivingSegment& arriving);
/// SEGMENT ARRIVES for every state that has a Tcb (all but CLOSED, LISTEN and TIME-WAIT).
void segment_arrives(Tcb& tcb, Segment& segment, Effects& effects);

/// §3.10.7.3, SYN-SENT.
void syn_sent_arrives(Tcb& tcb, Segment& segment, Effects& effects);

/// Zeroth: RFC 7323 §5.3 R1 (PAWS), then the first step: sequence number acceptable?
bool check_sequence(Tcb& tcb, const Segment& segment, Effects& effects);
/// Second: the RST bit (RFC 5961 §3).
bool check_reset(Tcb& tcb, const Segment& segment, Effects& effects);
/// Fourth: the SYN bit (RFC 5961 §4). Third, security and precedence, has gone from the Internet.
bool check_syn(Tcb& tcb, const Segment& segment, Effects& effects);
/// Fifth: the ACK field (RFC 5961 §5), with all that an ACK may mean for what we sent.
bool check_acknowledgement(Tcb& tcb, const Segment& segment, Effects& effects);
/// Sixth: the URG bit.
void check_urgent(Tcb& tcb, const Segment& segment, Effects& effects);
/// Seventh: the segment text.
bool take_text(Tcb& tcb, Segment& segment, Effects& effects);
/// The text of a SYN that Fast Open lets in (RFC 7413 §4.2.2), in SYN-RECEIVED; a FIN with it comes again.
void take_syn_text(Tcb& tcb, Segment& segment, Effects& effects);
/// Eighth: the FIN bit, of this segment or one that waited behind a gap.
void check_fin(Tcb& tcb, const Segment& segment, Effects& effects);

/// Takes what the options of a SYN agree to (MSS, window scale, SACK, timestamps).
void negotiate(Tcb& tcb, const TcpHeader& syn, const TcpConfig& config, Instant now);
/// Owes a challenge ACK (RFC 5961), within the host's limit.
void challenge(Tcb& tcb, const Segment& segment, Decision reason, Effects& effects);
/// A reset with the segment's own numbers: <SEQ=SEG.ACK><CTL=RST> (§3.5.2).
void reply_reset(const Tcb& tcb, const Segment& segment, Decision reason, Effects& effects);
/// Notes the octets of `segment` that had been delivered before, for a D-SACK (RFC 2883).
void note_duplicate(Tcb& tcb, const Segment& segment);
/// The same of [begin, end), which is held.
void note_twice(Tcb& tcb, Seq64 begin, Seq64 end);
/// Takes a window out of an acceptable segment (§3.10.7.4, fifth, ESTABLISHED).
void update_send_window(Tcb& tcb, const Segment& segment, Effects& effects);
/// What the acknowledgement number and the SACK blocks say about what we sent; recovery and congestion
/// control follow. `segment.ack` lies in SND.UNA..SND.NXT.
void acknowledge(Tcb& tcb, const Segment& segment, bool window_changed, Effects& effects);
/// Loss recovery and the congestion window after an ACK, of which `summary` says what it taught.
void recover(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects);

}  // namespace runnel::tcp
