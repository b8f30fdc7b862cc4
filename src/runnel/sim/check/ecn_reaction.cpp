// What a sender makes of the marks it hears of (RFC 3168 §6.1.2, RFC 8257 §3.3 to §3.5, RFC 9768 §4.1): the window goes
// down as if something had been lost, at most once for each window of data. What the ACK said is read from the packet,
// and how far down is computed anew.
#include <algorithm>

#include "runnel/sim/check/look.hpp"
#include "runnel/tcp/ecn/ecn.hpp"

namespace runnel::sim::check {

namespace {

std::uint32_t ace_of(const TcpFlags& flags) {
    return ((flags.bits & TcpFlags::kAe) != 0 ? 4U : 0U) | (flags.cwr() ? 2U : 0U) |
           (flags.ece() ? 1U : 0U);
}

/// Whether the packet, which has been taken in, tells of a mark that was not known.
bool tells_of_mark(const Look& look, const Packet& arrived) {
    const tcp::Ecn& ecn = *look.tcb.ecn;
    if (ecn.classic()) {
        return arrived.tcp.flags.ece();
    }
    const std::uint32_t known = tcp::kFirstAce + look.seen.reaction.marked;
    return ecn.accurate() && ecn.feedback_checked && !ecn.feedback_ignored &&
           ((ace_of(arrived.tcp.flags) - known) & 7) != 0;
}

/// The greatest threshold that a reduction may leave, or 0: the kind has rules of its own (bbr_bounds), or none.
std::uint32_t most_after(const Look& look) {
    const ReactionShadow& seen = look.seen.reaction;
    // The ACK may have ended the reduction before, which leaves the window at its threshold.
    const std::uint32_t window =
        seen.state == tcp::RecoveryState::cwr ? std::max(seen.window, seen.threshold) : seen.window;
    switch (look.tcb.controller.control()) {
        case tcp::CongestionControl::
            new_reno:  // half of what was sent, which may be more than the window
            return std::max({window / 2, look.tcb.retransmission.segments_out() / 2, 2U});
        case tcp::CongestionControl::cubic: return std::max(window / 10 * 7 + 7, 2U);
        case tcp::CongestionControl::dctcp: return std::max(window, 2U);
        default: return 0;
    }
}

void remember(const Look& look) {
    ReactionShadow& seen = look.seen.reaction;
    const std::uint32_t threshold = look.tcb.controller.threshold();
    const bool repairing = look.tcb.recovery.state >= tcp::RecoveryState::cwr;
    const bool entered = repairing && seen.state < tcp::RecoveryState::cwr;
    const bool anew = look.tcb.recovery.point != seen.claimed;
    if (look.tcb.telemetry.undone != seen.undone) {
        seen.point = look.tcb.snd.una;
    }
    if (repairing && (entered || anew || threshold != seen.threshold)) {
        seen.point = look.tcb.snd.nxt;
    } else if (threshold != seen.threshold) {
        // Undone; or HyStart, or a probe that has repaired a loss: no window of data begins.
        seen.point = look.tcb.snd.una;
    }
    seen.claimed = look.tcb.recovery.point;
    seen.window = look.tcb.controller.window();
    seen.threshold = threshold;
    seen.undone = look.tcb.telemetry.undone;
    seen.state = look.tcb.recovery.state;
    seen.marked = look.tcb.ecn == nullptr ? 0 : look.tcb.ecn->delivered_marked;
}

}  // namespace

void reduction(const Look& look) {
    remember(look);
}

void ecn_reaction(const Look& look, const Packet& arrived) {
    const ReactionShadow& seen = look.seen.reaction;
    const tcp::Tcb& tcb = look.tcb;
    const std::uint32_t threshold = tcb.controller.threshold();
    const bool taken = tcb.snd.una > look.seen.una && !arrived.damaged &&
                       !arrived.tcp.flags.syn() && look.seen.una > tcb.snd.iss;
    // The same ACK may have undone a reduction first: the window that is then reduced is one of before.
    const bool undone = tcb.telemetry.undone != seen.undone;
    if (tcb.ecn == nullptr || !taken || undone || seen.threshold == 0) {
        return remember(look);
    }
    const bool reduced =
        tcb.recovery.state == tcp::RecoveryState::cwr && threshold < seen.threshold;
    if (reduced && tcb.snd.una < seen.point) {
        look.fails(Check::ecn_reaction, "the window was reduced twice for a window of data",
                   {{"SND.UNA", tcb.snd.una.value},
                    {"reduced at", seen.point.value},
                    {"ssthresh", threshold},
                    {"before", seen.threshold}});
    }
    const std::uint32_t most = most_after(look);
    const bool repairs = std::max(seen.state, tcb.recovery.state) >= tcp::RecoveryState::recovery;
    // By the sender's own word it still answers an earlier mark.
    const bool within = seen.state == tcp::RecoveryState::cwr && tcb.snd.una <= seen.claimed;
    if (most != 0 && !repairs && !within && tcb.snd.una > seen.point &&
        tells_of_mark(look, arrived) &&
        (tcb.recovery.state != tcp::RecoveryState::cwr || threshold > most)) {
        look.fails(Check::ecn_reaction, "a mark was told of, and the window stays",
                   {{"cwnd", seen.window},
                    {"ssthresh", threshold},
                    {"at most", most},
                    {"state", static_cast<std::uint64_t>(tcb.recovery.state)},
                    {"before", static_cast<std::uint64_t>(seen.state)},
                    {"SND.UNA", tcb.snd.una.value},
                    {"reduced at", seen.point.value}});
    }
    remember(look);
}

}  // namespace runnel::sim::check
