// ECN in the handshake: RFC 3168 §6.1.1 and, where both ends count marks, RFC 9768 §3.1 and §3.2.2.1, with the
// settings of Linux's tcp_ecn.
#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

namespace {

constexpr std::uint16_t kAskClassic = TcpFlags::kEce | TcpFlags::kCwr;
constexpr std::uint16_t kAskAccurate = TcpFlags::kAe | kAskClassic;

// tcp_ecn of Linux 6.18: what an OPEN asks for, and what a listener accepts.
EcnMode asked_by(std::uint32_t setting) {
    switch (setting) {
        case 1:
        case 4: return EcnMode::classic;
        case 3: return EcnMode::accurate;
        default: return EcnMode::none;
    }
}

EcnMode accepted_by(std::uint32_t setting) {
    switch (setting) {
        case 1:
        case 2: return EcnMode::classic;
        case 3:
        case 4:
        case 5: return EcnMode::accurate;
        default: return EcnMode::none;
    }
}

/// RFC 9768 table 2 and 3: how a SYN, or SYN,ACK, came, told in the three flags (AE, CWR, ECE).
std::uint16_t handshake_code(std::uint8_t mark) {
    switch (mark) {
        case kEct1: return TcpFlags::kCwr | TcpFlags::kEce;
        case kEct0: return TcpFlags::kAe;
        case kCongested: return TcpFlags::kAe | TcpFlags::kCwr;
        default: return TcpFlags::kCwr;
    }
}

std::uint16_t code_of(TcpFlags flags) {
    return flags.bits & kAskAccurate;
}

/// DCTCP can't do without (RFC 8257 §3.5; Linux: whatever tcp_ecn says).
bool is_data_center(const ConnectionOptions& options, const TcpConfig& config) {
    return options.congestion_control.value_or(config.congestion_control) ==
           CongestionControl::dctcp;
}

bool agree(Tcb& tcb, EcnMode mode, Effects& effects) {
    if (mode == EcnMode::none) {
        tcb.ecn.reset();
        return false;
    }
    tcb.ecn->mode = mode;
    tcb.ecn->marks = true;
    effects.decide(tcb, Decision::tcp_note_ecn_agreed, static_cast<std::uint32_t>(mode));
    return true;
}

/// RFC 9768 §3.2.2.3: our SYN, or SYN,ACK, left without a mark, so that it can't have come with one.
void check_code(Tcb& tcb, std::uint16_t code, Effects& effects) {
    const bool ok = code != (TcpFlags::kCwr | TcpFlags::kEce) && code != TcpFlags::kAe &&
                    code != (TcpFlags::kAe | TcpFlags::kCwr);
    if (!ok) {
        tcb.ecn->marks = false;
        effects.decide(tcb, Decision::tcp_note_ecn_mangled, code);
    }
}

void start(Tcb& tcb, const TcpConfig& config) {
    tcb.ecn = std::make_unique<Ecn>();
    tcb.ecn->data_center = is_data_center(tcb.user, config);
    tcb.ecn->option_setting = static_cast<std::uint8_t>(config.accecn_option);
}

/// What the SYN,ACK makes of what our SYN has asked for (RFC 9768 §3.1.2, table 2).
EcnMode judge_answer(EcnMode asked, std::uint16_t code) {
    const bool classic = code == TcpFlags::kEce;
    if (asked == EcnMode::classic) {
        // RFC 3168 §6.1.1, 3168-M2: an ECN-setup SYN,ACK has ECE and not CWR.
        const bool setup = (code & kAskClassic) == TcpFlags::kEce;
        return setup ? EcnMode::classic : EcnMode::none;
    }
    if (code == 0 || code == kAskAccurate) {
        return EcnMode::none;  // a peer without ECN, or one that sends back what it finds
    }
    return classic ? EcnMode::classic : EcnMode::accurate;
}

}  // namespace

void ask_for_ecn(Tcb& tcb, const TcpConfig& config) {
    EcnMode asked = asked_by(config.ecn);
    if (asked == EcnMode::none && is_data_center(tcb.user, config)) {
        asked = EcnMode::classic;
    }
    if (asked != EcnMode::none) {
        start(tcb, config);
        tcb.ecn->asked = asked;
    }
}

EcnMode judge_ecn_offer(TcpFlags syn, std::uint8_t mark, const ConnectionOptions& options,
                        const TcpConfig& config) {
    const bool data_center = is_data_center(options, config);
    EcnMode accepted = accepted_by(config.ecn);
    if (accepted == EcnMode::none && data_center) {
        accepted = EcnMode::classic;
    }
    const std::uint16_t code = code_of(syn);
    if (code == 0 || accepted == EcnMode::none) {
        return EcnMode::none;
    }
    // RFC 9768 §3.1.2, §3.1.3, 9768-M2: what asks for neither of the known is taken as asking for AccECN.
    if (accepted == EcnMode::accurate && code != kAskClassic) {
        return EcnMode::accurate;
    }
    if ((code & kAskClassic) != kAskClassic) {
        return EcnMode::none;
    }
    // RFC 3168 §6.1.1, SHLD-8: a SYN that asks for classic ECN must not be ECN-capable itself; one that asks for more may.
    const bool more = (code & TcpFlags::kAe) != 0 || data_center;
    return mark == kNotEct || more ? EcnMode::classic : EcnMode::none;
}

void take_ecn_offer(Tcb& tcb, const TcpHeader& syn, std::uint8_t mark, Effects& effects) {
    const EcnMode mode = judge_ecn_offer(syn.flags, mark, tcb.user, effects.config());
    if (mode == EcnMode::none) {
        return;
    }
    start(tcb, effects.config());
    tcb.ecn->handshake = mark;
    agree(tcb, mode, effects);
}

void take_ecn_answer(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (tcb.ecn == nullptr) {
        return;
    }
    Ecn& ecn = *tcb.ecn;
    const TcpFlags flags = segment.flags();
    const std::uint16_t code = code_of(flags);
    ecn.handshake = segment.mark;
    if (!flags.ack()) {
        // Both open: the peer's SYN asks as ours did, and each SYN,ACK answers (RFC 3168 §6.1.1).
        const bool both = ecn.asked == EcnMode::accurate ? code == kAskAccurate
                                                         : (code & kAskClassic) == kAskClassic;
        const bool classic = (code & kAskClassic) == kAskClassic;
        if (!agree(tcb, both ? ecn.asked : classic ? EcnMode::classic : EcnMode::none, effects)) {
            effects.decide(tcb, Decision::tcp_note_ecn_refused);
        }
        return;
    }
    if (!agree(tcb, judge_answer(ecn.asked, code), effects)) {
        effects.decide(tcb, Decision::tcp_note_ecn_refused);
        return;
    }
    if (ecn.accurate()) {
        ecn.handshake_ack = true;
        ecn.option_seen = segment.header.options.accurate_ecn.has_value();
        check_code(tcb, code, effects);
    }
}

void take_ecn_third(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (tcb.ecn == nullptr || !tcb.ecn->accurate() || segment.flags().syn()) {
        return;
    }
    Ecn& ecn = *tcb.ecn;
    // RFC 9768 §3.2.2.1: only a bare ACK without SACK blocks speaks in the code of the handshake.
    if (segment.sequence_length() != 0 || !segment.header.options.sack.empty()) {
        return;
    }
    ecn.feedback_checked = true;
    ecn.option_seen = segment.header.options.accurate_ecn.has_value();
    const std::uint16_t code = code_of(segment.flags());
    if (code == 0) {
        // Table 4, note 1: the flags were cleared on the way, or the client has never agreed.
        ecn.marks = false;
        ecn.feedback_ignored = true;
        effects.decide(tcb, Decision::tcp_note_ecn_mangled, code);
        return;
    }
    check_code(tcb, code, effects);
}

void take_ecn_cookie(Tcb& tcb, EcnMode mode, Effects& effects) {
    if (mode != EcnMode::none) {
        start(tcb, effects.config());
        agree(tcb, mode, effects);
    }
}

std::uint16_t ecn_syn_ack_flags(EcnMode mode, std::uint8_t mark) {
    switch (mode) {
        case EcnMode::classic: return TcpFlags::kEce;
        case EcnMode::accurate: return handshake_code(mark);  // 9768-M1
        case EcnMode::none: break;
    }
    return 0;
}

bool is_accurate_third(TcpFlags flags) {
    const std::uint16_t code = code_of(flags);
    return code == TcpFlags::kCwr || code == (TcpFlags::kCwr | TcpFlags::kEce) ||
           code == TcpFlags::kAe || code == (TcpFlags::kAe | TcpFlags::kCwr);
}

bool fit_accurate_ecn(TcpOptions& options) {
    constexpr std::size_t kMostOptions = 40;
    while (options.accurate_ecn->size > 0 && tcp_options_size(options) > kMostOptions) {
        --options.accurate_ecn->size;
    }
    if (options.accurate_ecn->size == 0) {
        options.accurate_ecn.reset();
    }
    return options.accurate_ecn.has_value();
}

void mark_handshake(Tcb& tcb, Effects& effects, OutgoingSegment& out) {
    // RFC 3168 §6.1.1, 3168-M1: the segment itself stays without a mark.
    Ecn& ecn = *tcb.ecn;
    if (ecn.data_center) {
        out.traffic_class |= kEct0;  // RFC 8257 §3.5
    }
    const unsigned before = tcb.syn_transmissions;
    if (tcb.state == State::syn_sent) {
        // RFC 3168 §6.1.1.1, RFC 9768 §3.1.4.1: something on the path may swallow such SYNs; for AccECN it is tried
        // once more.
        const unsigned tries = ecn.asked == EcnMode::accurate ? 2 : 1;
        if (before >= tries && effects.config().ecn_fallback) {
            if (!ecn.given_up) {
                ecn.given_up = true;
                effects.decide(tcb, Decision::tcp_note_ecn_given_up, before);
            }
            return;
        }
        out.header.flags.bits |= ecn.asked == EcnMode::accurate ? kAskAccurate : kAskClassic;
        return;
    }
    if (ecn.accurate()) {
        // RFC 9768 §3.1.4.2, §3.2.3.2.2: the second time without option, from the third on without flags.
        if (before >= 2 && effects.config().ecn_fallback) {
            return;
        }
        if (before == 0 && ecn.option_setting != 0) {
            out.header.options.accurate_ecn = AccurateEcnOption{false, 3, {1, 0, 1}};
            (void)fit_accurate_ecn(out.header.options);
        }
    }
    out.header.flags.bits |= ecn_syn_ack_flags(ecn.mode, ecn.handshake);
}

}  // namespace runnel::tcp
