// From one state of loss recovery to the next: what an ACK, a timer and an undo all do. RFC 5681 §3.2, RFC 6675
// §5, RFC 8985, RFC 9937; taking back: RFC 4015 (by timestamps), RFC 3708 (by D-SACK), RFC 5682 (F-RTO).
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// The ACK says what happened with a segment; a timer has none.
using Cause = const Segment*;

/// Writes down what was found lost.
void note_losses(Tcb& tcb, const RetransmissionQueue::Losses& losses);
/// RACK's look for losses (RFC 8985 §6.2 step 5), not yet written down; arms the reordering timer for what may become one.
RetransmissionQueue::Losses find_overtaken(Tcb& tcb, Effects& effects);

/// The window goes down without a loss to repair (ECN; a loss repaired by a probe). `delivered`: segments, by the ACK
/// that says so.
void enter_cwr(Tcb& tcb, CongestionEvent event, Cause cause, std::uint32_t delivered,
               Effects& effects);
/// A loss has been seen: fast recovery. Segments are marked already. `summary`: what the ACK taught that showed it; empty
/// where a timer did.
void enter_recovery(Tcb& tcb, Cause cause, const AckSummary& summary, Effects& effects);
/// The retransmission timer has fired: all is taken as lost but what may well be on its way still.
void enter_loss(Tcb& tcb, Effects& effects);
/// Recovery, cwr or loss is over: all that was out when it began is acknowledged, or it was needless (`undone`).
void leave_repair(Tcb& tcb, Cause cause, bool undone, Effects& effects);
/// Open, or disorder where something is out of order still.
void keep_open(Tcb& tcb);

/// Whether `segment`, an ACK, shows that what was sent again was not lost: an echo older than the first retransmission
/// (RFC 4015 §3.2, RFC 3522 §3.2), or nothing was sent again.
[[nodiscard]] bool shows_delay(const Tcb& tcb, const Segment& segment);
/// That, or D-SACKs for all retransmissions (RFC 3708 §3).
[[nodiscard]] bool may_undo(const Tcb& tcb, const Segment& segment);
/// The reduction was needless: window and threshold as before, but for what marks have asked for. `unmark`: what is
/// marked lost isn't.
void undo_reduction(Tcb& tcb, bool unmark, Decision why, const Segment& segment, Effects& effects);

/// The same where a repair goes on, which is over with it.
void undo_repair(Tcb& tcb, bool unmark, Decision why, const Segment& segment, Effects& effects);

/// [begin, end) has left again, in `segments`.
void note_retransmission(Tcb& tcb, Seq64 begin, Seq64 end, std::uint32_t segments, Instant now);

}  // namespace runnel::tcp
