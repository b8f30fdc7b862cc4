// The sender's half: what the peer tells about marks on what we sent (RFC 3168 §6.1.2; RFC 9768 §3.2.2, §3.2.3).
#include <algorithm>

#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

namespace {

std::uint32_t ace_of(TcpFlags flags) {
    return ((flags.bits & TcpFlags::kAe) != 0 ? 4U : 0U) | (flags.cwr() ? 2U : 0U) |
           (flags.ece() ? 1U : 0U);
}

/// How far a counter of 24 bits has come since `known`; an option that was overtaken says nothing.
std::uint64_t moved(std::uint32_t field, std::uint64_t known, std::uint32_t first) {
    const std::uint32_t by =
        (field - first - static_cast<std::uint32_t>(known & kOctetsMask)) & kOctetsMask;
    return by <= kOctetsMask / 2 ? by : 0;
}

/// RFC 9768 §3.2.3.2.4: the counters that begin with 1 can't be zero at first, unless somebody clears them.
bool cleared(const AccurateEcnOption& option) {
    return option.counters[0] == 0 || (option.size == 3 && option.counters[2] == 0);
}

/// Takes the option; octets newly known to be marked, or nothing where it doesn't say.
std::optional<std::uint64_t> take_option(Tcb& tcb, const Segment& segment, Effects& effects) {
    Ecn& ecn = *tcb.ecn;
    const auto& option = segment.header.options.accurate_ecn;
    if (!option || option->size == 0 || ecn.option_ignored) {
        return std::nullopt;
    }
    if (!ecn.option_told && cleared(*option)) {
        ecn.option_ignored = true;
        effects.decide(tcb, Decision::tcp_note_ecn_option_mangled, segment);
        return std::nullopt;
    }
    ecn.option_told = true;
    ecn.option_seen = true;
    EcnOctets& known = ecn.delivered;
    std::uint64_t& first = option->ect1_first ? known.ect1 : known.ect0;
    first += moved(option->counters[0], first, kFirstOctets);
    if (option->size < 2) {
        return std::nullopt;
    }
    const std::uint64_t marked = moved(option->counters[1], known.ce, 0);
    known.ce += marked;
    if (option->size == 3) {
        std::uint64_t& last = option->ect1_first ? known.ect0 : known.ect1;
        last += moved(option->counters[2], last, kFirstOctets);
    }
    return marked;
}

/// Whether the peer's ACKs usually tell of more than four segments, this one included (Linux).
bool usually_many(Ecn& ecn, std::uint32_t delivered) {
    constexpr std::uint64_t kUnit = 64, kWeight = 64, kMany = 4;
    const std::uint64_t now = kUnit * delivered;
    const std::uint64_t old = ecn.usual_delivery == 0 ? now : ecn.usual_delivery;
    ecn.usual_delivery = static_cast<std::uint32_t>((old * (kWeight - 1) + now) / kWeight);
    return ecn.usual_delivery > kMany * kUnit;
}

/// RFC 9768 §3.2.2.5.2, A.2: ACE has three bits, and more than seven segments may have been marked since the last
/// ACK. The safest case under the prevailing conditions is the most that there can have been, unless the octets in the
/// option say that it was less; or, where it says nothing, the peer thins its ACKs and none need have been lost.
std::uint32_t newly_marked(std::uint32_t apparent, std::uint32_t delivered, std::uint32_t mss,
                           std::optional<std::uint64_t> octets, bool thinned) {
    // 9768-M6.
    if (delivered < 8) {
        return apparent;
    }
    const std::uint32_t most = delivered - ((delivered - apparent) & 7);
    if (!octets) {
        return thinned ? apparent : most;
    }
    if (*octets > std::uint64_t{apparent} * mss) {
        return most;  // more than so few segments hold
    }
    return *octets < std::uint64_t{most} * mss / 2 ? apparent : most;
}

void take_counters(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    Ecn& ecn = *tcb.ecn;
    const std::uint32_t ace = ace_of(segment.flags());
    if (!ecn.feedback_checked) {
        // RFC 9768 §3.2.2.4: zero at first means that somebody clears it, or three marks.
        ecn.feedback_checked = true;
        if (ace == 0 && summary.delivered < 3) {
            ecn.marks = false;
            ecn.feedback_ignored = true;
            effects.decide(tcb, Decision::tcp_note_ecn_mangled, segment);
        }
    }
    const auto octets = take_option(tcb, segment, effects);
    if (ecn.feedback_ignored) {
        return;
    }
    const std::uint32_t apparent = (ace - kFirstAce - ecn.delivered_marked) & 7;
    const bool thinned = usually_many(ecn, summary.delivered);
    const std::uint32_t marked =
        newly_marked(apparent, summary.delivered, tcb.send_mss(effects.config()), octets, thinned);
    ecn.delivered_marked += marked;
    summary.segments_marked = marked;
    summary.ecn_echo = marked > 0;
}

}  // namespace

void take_echo(Tcb& tcb, const Segment& segment, AckSummary& summary, Effects& effects) {
    if (tcb.ecn == nullptr) {
        return;
    }
    if (tcb.ecn->classic()) {
        summary.ecn_echo = segment.flags().ece() && !segment.flags().syn();
        if (summary.ecn_echo) {
            // As RFC 8257 §3.3 reads it: what such an ACK acknowledges was marked.
            summary.segments_marked = summary.delivered;
            tcb.ecn->delivered_marked += summary.delivered;
        }
    } else if (tcb.ecn->accurate() && (summary.advanced || summary.delivered > 0) &&
               !summary.syn_acked) {
        // Only an ACK that brings news is certain not to have been overtaken; that of a SYN speaks in another code.
        take_counters(tcb, segment, summary, effects);
    }
}

}  // namespace runnel::tcp
