// The receiver's half and the marks of what leaves: ECE until CWR (RFC 3168 §6.1.3), or the counters of AccECN
// with their option (RFC 9768 §3.2), and ECN-capable new data (RFC 3168 §6.1.2).
#include <algorithm>

#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

namespace {

std::uint16_t ace_bits(std::uint32_t counter) {
    const unsigned ace = counter & 7;
    return static_cast<std::uint16_t>(((ace & 4) != 0 ? TcpFlags::kAe : 0U) |
                                      ((ace & 2) != 0 ? TcpFlags::kCwr : 0U) |
                                      ((ace & 1) != 0 ? TcpFlags::kEce : 0U));
}

/// An ACK of what has come so far, with the echo that belongs to it, before either changes.
void acknowledge_before_change(Tcb& tcb, Effects& effects) {
    ControlSegment ack;
    ack.tuple = tcb.tuple;
    ack.reason = Decision::tcp_transmit_ack_congestion;
    ack.traffic_class = static_cast<std::uint8_t>(tcb.user.traffic_class | kEct0);
    ack.hop_limit = tcb.user.hop_limit;
    TcpHeader& header = ack.header;
    header.source_port = tcb.tuple.local.port;
    header.destination_port = tcb.tuple.remote.port;
    header.seq = tcb.snd.nxt.wire();
    header.ack = tcb.rcv.nxt.wire();
    header.flags.bits = TcpFlags::kAck | (tcb.ecn->echo ? TcpFlags::kEce : std::uint16_t{0});
    header.window = advertise_window(tcb, false);
    if (tcb.options.timestamps) {
        header.options.timestamps =
            TcpTimestamps{tcb.timestamp(effects.now), tcb.options.ts_recent};
    }
    if (tcb.md5 != nullptr) {
        sign(tcb.tuple, header, {}, *tcb.md5);
    }
    tcb.rcv.last_ack_sent = tcb.rcv.nxt;
    tcb.ack.on_ack_sent(false, effects.now);
    tcb.timers.cancel(Timer::delayed_ack);
    effects.reply(ack);
}

/// RFC 8257 §3.2: the sender counts octets by the echo of the ACKs that cover them, so that no ACK may cover both
/// kinds.
void take_data_center(Tcb& tcb, const Segment& segment, Effects& effects) {
    Ecn& ecn = *tcb.ecn;
    if (segment.mark == kNotEct) {
        return;
    }
    ecn.seen = true;
    const bool marked = segment.mark == kCongested;
    ecn.received_marked += marked ? segment.pieces() : 0;
    if (marked == ecn.echo) {
        return;
    }
    if (tcb.ack.any() && tcb.rcv.last_ack_sent < tcb.rcv.nxt) {
        acknowledge_before_change(tcb, effects);
    }
    ecn.echo = marked;
    effects.decide(
        tcb,
        marked ? Decision::tcp_note_congestion_experienced : Decision::tcp_note_congestion_answered,
        segment);
    tcb.ack.need_now(Decision::tcp_transmit_ack_congestion, false);
}

void take_classic(Tcb& tcb, const Segment& segment, Effects& effects) {
    Ecn& ecn = *tcb.ecn;
    if (segment.length == 0) {
        return;
    }
    if (ecn.data_center) {
        return take_data_center(tcb, segment, effects);
    }
    if (segment.flags().cwr() && ecn.echo) {
        // RFC 3168 §6.1.3: the sender has heard. Its window may be down to one segment, so that it waits for this ACK.
        ecn.echo = false;
        effects.decide(tcb, Decision::tcp_note_congestion_answered, segment);
        tcb.ack.need_now(Decision::tcp_transmit_ack_congestion, false);
    }
    if (segment.mark == kNotEct) {
        // Sent again, most likely: its sender is repairing a loss and waits for each ACK (Linux).
        if (ecn.seen) {
            tcb.ack.answer_soon(effects.config());
        }
        return;
    }
    ecn.seen = true;
    if (segment.mark != kCongested) {
        return;
    }
    ecn.received_marked += segment.pieces();
    if (!ecn.echo) {
        ecn.echo = true;  // RFC 3168 §6.1.3, 3168-M4: on every ACK from now on
        effects.decide(tcb, Decision::tcp_note_congestion_experienced, segment);
        tcb.ack.answer_soon(effects.config());
    }
}

std::uint64_t& octets_of(EcnOctets& octets, std::uint8_t mark) {
    return mark == kCongested ? octets.ce : mark == kEct1 ? octets.ect1 : octets.ect0;
}

void take_accurate(Tcb& tcb, const Segment& segment, Effects& effects) {
    Ecn& ecn = *tcb.ecn;
    if (segment.mark != kNotEct) {
        ecn.seen = true;
        octets_of(ecn.received, segment.mark) += segment.length;
    }
    const bool marked = segment.mark == kCongested;
    if (marked) {
        const std::uint32_t pieces = segment.pieces();
        ecn.received_marked += pieces;
        ecn.marked_unacked =
            static_cast<std::uint8_t>(std::min<std::uint32_t>(ecn.marked_unacked + pieces, 255));
    }
    bool now = false;
    if (segment.length > 0 && segment.mark != ecn.last_mark) {
        // RFC 9768 §3.2.3.3: the counter that now moves is told, though the next segments may be alike.
        ecn.last_mark = segment.mark;
        ecn.option_due = segment.mark != kNotEct;
        // §3.2.2.5.1: the first mark after a segment without one is news.
        now = marked;
        if (marked) {
            effects.decide(tcb, Decision::tcp_note_congestion_experienced, segment);
        }
    }
    // §3.2.2.5.1, 9768-M5: two marks, or three where there is nothing else to acknowledge, before ACE could wrap.
    const unsigned most = segment.length > 0 ? 2 : 3;
    if (now || (marked && ecn.marked_unacked >= most)) {
        tcb.ack.need_now(Decision::tcp_transmit_ack_congestion, false);
    }
}

/// The option of this segment, with as many counters as there is room for (RFC 9768 §3.2.3).
void add_option(Tcb& tcb, const Plan& plan, TcpOptions& options) {
    Ecn& ecn = *tcb.ecn;
    const bool bare = plan.kind == Plan::Kind::acknowledgement;
    // §3.2.3.3, 9768-M7: when a counter has moved to another, and as a beacon on what carries no text.
    const bool beacon = bare && ecn.option_setting >= 2;
    if (!ecn.may_send_option() || !(ecn.option_due || (bare && ecn.handshake_ack) || beacon)) {
        return;
    }
    AccurateEcnOption option;
    const EcnOctets& r = ecn.received;
    option.ect1_first = ecn.last_mark == kEct1;
    const std::uint64_t ect0 = r.ect0 + kFirstOctets;
    const std::uint64_t ect1 = r.ect1 + kFirstOctets;
    option.counters = {static_cast<std::uint32_t>((option.ect1_first ? ect1 : ect0) & kOctetsMask),
                       static_cast<std::uint32_t>(r.ce & kOctetsMask),
                       static_cast<std::uint32_t>((option.ect1_first ? ect0 : ect1) & kOctetsMask)};
    option.size = 3;
    options.accurate_ecn = option;
    if (!fit_accurate_ecn(options)) {
        return;
    }
    ecn.option_due = false;
}

void mark_accurate(Tcb& tcb, const Plan& plan, OutgoingSegment& out) {
    Ecn& ecn = *tcb.ecn;
    TcpHeader& header = out.header;
    const bool bare = plan.kind == Plan::Kind::acknowledgement;
    add_option(tcb, plan, header.options);
    if (bare && ecn.handshake_ack && header.options.sack.empty()) {
        // RFC 9768 §3.2.2.1, 9768-M3: how the SYN,ACK came, once.
        header.flags.bits |= ecn_syn_ack_flags(EcnMode::accurate, ecn.handshake);
        ecn.handshake_ack = false;
    } else {
        header.flags.bits |= ace_bits(kFirstAce + ecn.received_marked);  // 9768-M4
    }
    out.keep_cwr = true;
    ecn.marked_unacked = 0;
}

}  // namespace

void take_mark(Tcb& tcb, const Segment& segment, Effects& effects) {
    if (tcb.ecn->classic()) {
        take_classic(tcb, segment, effects);
    } else if (tcb.ecn->accurate()) {
        take_accurate(tcb, segment, effects);
    }
}

void mark_segment(Tcb& tcb, const Plan& plan, OutgoingSegment& out) {
    Ecn& ecn = *tcb.ecn;
    if (ecn.mode == EcnMode::none) {
        return;
    }
    // RFC 3168 §6.1.4 to §6.1.6, 3168-M5, 3168-M6, 3168-M7: only new data; not what is sent again, not ACKs, not probes of a window.
    const bool new_data = plan.kind == Plan::Kind::data && plan.length > 0;
    if ((new_data || ecn.data_center) && ecn.marks) {
        out.traffic_class = static_cast<std::uint8_t>((out.traffic_class & 0xfc) | kEct0);
    }
    if (ecn.accurate()) {
        mark_accurate(tcb, plan, out);
        return;
    }
    if (new_data && ecn.cwr_due) {
        out.header.flags.bits |= TcpFlags::kCwr;  // RFC 3168 §6.1.2, 3168-M3
        ecn.cwr_due = false;
    }
    if (ecn.echo) {
        out.header.flags.bits |= TcpFlags::kEce;
    }
}

}  // namespace runnel::tcp
