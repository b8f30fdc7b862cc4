// What ECN does at each event of a connection, as the steps of arrival and output call it. A connection without
// ECN costs a look at one pointer.
#pragma once

#include "runnel/tcp/effects.hpp"
#include "runnel/tcp/output/plan.hpp"

namespace runnel::tcp {

// --- the handshake (handshake.cpp) ---
/// An active OPEN: what our SYN will ask for.
void ask_for_ecn(Tcb& tcb, const TcpConfig& config);
/// What the settings and its flags make of a SYN that came with `mark`.
[[nodiscard]] EcnMode judge_ecn_offer(TcpFlags syn, std::uint8_t mark,
                                      const ConnectionOptions& options, const TcpConfig& config);
/// A listener has taken a SYN that came with `mark`.
void take_ecn_offer(Tcb& tcb, const TcpHeader& syn, std::uint8_t mark, Effects& effects);
/// In SYN-SENT: the SYN,ACK, or the SYN of somebody who opens at the same time.
void take_ecn_answer(Tcb& tcb, const Segment& segment, Effects& effects);
/// In SYN-RECEIVED: the ACK of our SYN,ACK.
void take_ecn_third(Tcb& tcb, const Segment& segment, Effects& effects);
/// A SYN cookie has come back: what the SYN,ACK had agreed to.
void take_ecn_cookie(Tcb& tcb, EcnMode mode, Effects& effects);
/// The flags of a SYN,ACK in answer to a SYN that came with `mark`.
[[nodiscard]] std::uint16_t ecn_syn_ack_flags(EcnMode mode, std::uint8_t mark);
/// Whether the flags of a bare ACK can be those of a client that has AccECN (RFC 9768 §3.2.2.1).
[[nodiscard]] bool is_accurate_third(TcpFlags flags);
/// Cuts the AccECN option to what fits beside the others; false when not even one counter does.
bool fit_accurate_ecn(TcpOptions& options);
/// Marks the SYN or SYN,ACK that leaves.
void mark_handshake(Tcb& tcb, Effects& effects, OutgoingSegment& out);

// --- afterwards ---
/// Marks any other segment that leaves (feedback.cpp).
void mark_segment(Tcb& tcb, const Plan& plan, OutgoingSegment& out);
/// An acceptable segment has come with a mark, or without (feedback.cpp).
void take_mark(Tcb& tcb, const Segment& segment, Effects& effects);
/// What an ACK says about the marks on what we sent (echo.cpp): sets `ecn_echo` and `segments_marked`.
void take_echo(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects);

/// The congestion window has become smaller, for whatever reason: the next new data says so (RFC 3168 §6.1.2).
inline void note_window_reduced(Tcb& tcb) {
    if (tcb.ecn != nullptr && tcb.ecn->classic()) {
        tcb.ecn->cwr_due = true;
    }
}
/// The reduction was a mistake and has been undone.
inline void withdraw_window_reduced(Tcb& tcb) {
    if (tcb.ecn != nullptr) {
        tcb.ecn->cwr_due = false;
    }
}
/// Last before a segment is signed.
inline void mark_outgoing(Tcb& tcb, const Plan& plan, Effects& effects, OutgoingSegment& out) {
    out.keep_cwr = false;
    if (tcb.ecn != nullptr && plan.kind != Plan::Kind::reset) {
        if (plan.kind == Plan::Kind::syn) {
            mark_handshake(tcb, effects, out);
        } else {
            mark_segment(tcb, plan, out);
        }
    }
}
/// RFC 9768 §3.2.2.1: the first ACK should be bare, though data waits to carry it.
[[nodiscard]] inline bool wants_bare_ack(const Tcb& tcb) {
    return tcb.ecn != nullptr && tcb.ecn->handshake_ack && tcb.ack.owed();
}

}  // namespace runnel::tcp
