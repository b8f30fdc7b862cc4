// What to send now and why. The order: handshake, what was lost, new data, probes, acknowledgements.
#include "runnel/tcp/output/plan.hpp"

#include <algorithm>

#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/path/path_mtu.hpp"

namespace runnel::tcp {

namespace {

Plan nothing(Decision reason) {
    Plan plan;
    plan.reason = reason;
    return plan;
}

Plan plan_syn(const Tcb& tcb) {
    Plan plan;
    const bool first = tcb.snd.nxt == tcb.snd.iss;
    const SentRecord* lost = first ? nullptr : tcb.retransmission.first_lost();
    const bool again =
        lost != nullptr && lost->syn;  // data that went with it waits for the SYN,ACK
    if (!first && !again) {
        return nothing(Decision::tcp_hold_handshake);
    }
    const bool waits = first && tcb.fast_open != nullptr && tcb.fast_open->waits;
    if (waits && tcb.send.empty()) {
        return nothing(Decision::tcp_hold_fast_open);
    }
    plan.kind = Plan::Kind::syn;
    plan.seq = tcb.snd.iss;
    const bool with_ack = tcb.state != State::syn_sent;
    if (again) {
        plan.reason = with_ack ? Decision::tcp_retransmit_syn_ack : Decision::tcp_retransmit_syn;
    } else {
        plan.reason = with_ack ? Decision::tcp_transmit_syn_ack : Decision::tcp_transmit_syn;
    }
    if (waits && !with_ack) {
        plan.reason = Decision::tcp_transmit_syn_data;
        plan.length = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(tcb.send.size(), syn_data_room(tcb)));
        plan.mss = plan.length;
    }
    return plan;
}

/// Segments the congestion window lets out now; one at least when nothing is in the network.
std::uint32_t congestion_room(const Tcb& tcb) {
    // RFC 5681 §3, 5681-M1.
    const std::uint32_t flight = tcb.in_flight();
    const std::uint32_t window = tcb.controller.window();
    return window > flight ? window - flight : 0;
}

/// The most octets that leave at once: what the pacing allows, and a segment where it can't be cut from a longer one.
std::uint64_t most_at_once(const Tcb& tcb, const TcpConfig& config, Seq64 seq, std::uint32_t mss) {
    // A signature is of one segment (RFC 2385), and so is the urgent pointer.
    const bool may_be_super =
        config.super_segments && tcb.md5 == nullptr && !(tcb.urgent_to_send && tcb.snd.up > seq);
    return may_be_super ? std::min<std::uint64_t>(kMaxSuperSegment, tcb.pacer.burst(mss)) : mss;
}

Plan plan_retransmission(const Tcb& tcb, const TcpConfig& config) {
    const SentRecord* record = tcb.retransmission.first_lost();
    if (record == nullptr) {
        return nothing(Decision::tcp_hold_nothing_to_send);
    }
    // The first retransmission of a repair has its place in the window: PRR sees to that (RFC 5681 §3.2 step 3).
    const std::uint32_t room = congestion_room(tcb);
    if (room == 0) {
        return nothing(Decision::tcp_hold_congestion_window);
    }
    Plan plan;
    plan.kind = Plan::Kind::retransmission;
    plan.mss = tcb.send_mss(config);
    plan.seq = record->begin;
    const std::uint64_t data = record->length() - (record->fin ? 1U : 0U);
    const std::uint64_t most =
        std::min(std::uint64_t{room} * plan.mss, most_at_once(tcb, config, plan.seq, plan.mss));
    // RFC 9293 §3.8.6: a peer that shrank its window gets what fits (MUST-34, SHLD-16, 7323-M6), and one segment at
    // least, though it lie beyond the edge (MAY-7).
    const std::uint64_t window =
        std::max<std::uint64_t>(distance(plan.seq, tcb.snd.right_edge()), plan.mss);
    plan.length = static_cast<std::uint32_t>(std::min({data, most, window}));
    if (plan.length > plan.mss && plan.length < data) {
        plan.length -= plan.length % plan.mss;
    }
    plan.fin = record->fin && plan.length == data;
    const bool of_syn = tcb.fast_open != nullptr && plan.seq < tcb.fast_open->data_end;
    plan.reason = tcb.recovery.state == RecoveryState::loss ? Decision::tcp_retransmit_timeout
                  : of_syn                                  ? Decision::tcp_retransmit_syn_data
                                                            : Decision::tcp_retransmit_fast;
    return plan;
}

/// Whether a segment below the MSS at the end of the data may go (§3.7.4, §3.8.6.2.1).
Decision hold_small(const Tcb& tcb, std::uint64_t available, std::uint64_t usable,
                    std::uint32_t mss, bool complete) {
    constexpr Decision kSend = Decision::tcp_transmit_data;
    if (complete && available <= usable) {
        return kSend;  // nothing will be added to it
    }
    if (tcb.override_hold) {
        return kSend;
    }
    if (tcb.urgent_to_send && tcb.snd.up > tcb.data_nxt()) {
        return kSend;
    }
    if (available > usable) {
        // MUST-38, sender's silly-window avoidance (§3.8.6.2.1): half of the greatest window the peer ever offered (Fs = 1/2).
        if (usable >=
            std::min<std::uint64_t>(mss, std::max<std::uint64_t>(tcb.snd.max_wnd / 2, 1))) {
            return kSend;
        }
        return Decision::tcp_hold_silly_window;
    }
    // RFC 9293 §3.9.1.2, MAY-16: data that the user has not pushed is gathered.
    if (tcb.user.cork || tcb.push_hold) {
        return Decision::tcp_hold_cork;
    }
    // Nagle (§3.7.4, SHLD-7; the user can turn it off, MUST-17) in Minshall's form: only while an earlier small segment is unacknowledged.
    if (!tcb.user.no_delay && tcb.snd.small_end > tcb.snd.una) {
        return Decision::tcp_hold_nagle;
    }
    return kSend;
}

/// §3.10.4: a CLOSE in SYN-RECEIVED waits for the handshake, though Fast Open lets data go before.
bool may_finish(const Tcb& tcb) {
    return tcb.fin_queued && tcb.state != State::syn_received;
}

Plan plan_fin(const Tcb& tcb, const TcpConfig& config) {
    Plan plan;
    if (!may_finish(tcb) || tcb.fin_sent) {
        return nothing(Decision::tcp_hold_nothing_to_send);
    }
    plan.seq = tcb.data_nxt();
    if (plan.seq >= tcb.snd.right_edge()) {
        // SHLD-15: nothing new into a window that has shrunk.
        // A FIN takes up a number and so needs window like an octet.
        plan.reason = Decision::tcp_hold_zero_window;
        plan.blocked_by_window = true;
        return plan;
    }
    plan.kind = Plan::Kind::data;
    plan.mss = tcb.send_mss(config);
    plan.fin = true;
    plan.reason = Decision::tcp_transmit_fin;
    return plan;
}

/// Unsent octets that may share a segment: not beyond the end of a record (MSG_EOR).
std::uint64_t until_record_end(const Tcb& tcb, Seq64 from) {
    if (tcb.notices != nullptr) {
        if (const auto end = tcb.notices->record_end(from)) {
            return distance(from, std::min(*end, tcb.send.end()));
        }
    }
    return tcb.unsent();
}

Plan plan_data(const Tcb& tcb, const TcpConfig& config) {
    if (tcb.unsent() == 0) {
        return plan_fin(tcb, config);
    }
    Plan plan;
    plan.seq = tcb.data_nxt();
    const std::uint64_t available = until_record_end(tcb, plan.seq);
    const bool record = available < tcb.unsent();
    plan.mss = tcb.send_mss(config);
    const std::uint64_t usable = distance(plan.seq, tcb.snd.right_edge());
    if (usable == 0) {
        plan.reason = Decision::tcp_hold_zero_window;
        plan.blocked_by_window = true;
        return plan;
    }
    const std::uint32_t room = congestion_room(tcb);
    if (room == 0 || tcb.retransmission.full()) {
        return nothing(Decision::tcp_hold_congestion_window);
    }
    const std::uint32_t probe = mtu_probe_length(tcb, plan.seq, usable, room, config);
    if (probe > 0) {
        plan.kind = Plan::Kind::data;
        plan.length = plan.mss = probe;
        plan.reason = Decision::tcp_transmit_mtu_probe;
        return plan;
    }
    const std::uint64_t most = std::min(
        {usable, std::uint64_t{room} * plan.mss, most_at_once(tcb, config, plan.seq, plan.mss)});
    const bool urgent = tcb.urgent_to_send && tcb.snd.up > plan.seq;
    // RFC 9293 §3.9.1.2, SHLD-28: as large as it may be.
    std::uint64_t length = std::min(available, most);
    Decision reason = Decision::tcp_transmit_data;
    if (length % plan.mss != 0) {
        // Whole segments go in any case; the rest only if nothing holds it.
        const std::uint64_t whole = length - length % plan.mss;
        const bool more_to_come = length < available && length < usable;
        if (whole > 0 && more_to_come) {
            length = whole;
        } else {
            const Decision small = hold_small(tcb, available - whole, usable - whole, plan.mss,
                                              record || tcb.fin_queued);
            if (small != Decision::tcp_transmit_data) {
                length = whole;
                reason = whole > 0 ? reason : small;
            }
        }
    }
    if (length == 0) {
        plan.reason = reason;
        plan.held = true;
        plan.blocked_by_window = reason == Decision::tcp_hold_silly_window;
        return plan;
    }
    plan.kind = Plan::Kind::data;
    plan.length = static_cast<std::uint32_t>(length);
    plan.fin = may_finish(tcb) && !record && length == available && length < usable;
    plan.reason = urgent ? Decision::tcp_transmit_urgent : reason;
    return plan;
}

/// RFC 8985 §7.3: new data if there is any that the peer has room for, whatever the congestion window, else the last
/// segment again.
Plan plan_loss_probe(const Tcb& tcb, const TcpConfig& config) {
    Plan plan;
    plan.mss = tcb.send_mss(config);
    plan.probe = true;
    plan.seq = tcb.data_nxt();
    const std::uint64_t usable = distance(plan.seq, tcb.snd.right_edge());
    if (tcb.unsent() > 0 && usable > 0) {
        const std::uint64_t available = until_record_end(tcb, plan.seq);
        plan.kind = Plan::Kind::data;
        plan.length =
            static_cast<std::uint32_t>(std::min<std::uint64_t>({available, usable, plan.mss}));
        plan.fin = may_finish(tcb) && plan.length == tcb.unsent() && plan.length < usable;
        plan.reason = Decision::tcp_transmit_loss_probe;
        return plan;
    }
    if (tcb.retransmission.empty()) {
        return nothing(Decision::tcp_hold_nothing_to_send);
    }
    const SentRecord& last = tcb.retransmission.back();
    if (last.sacked || last.lost || last.syn) {
        return nothing(Decision::tcp_hold_nothing_to_send);
    }
    const std::uint64_t data = last.length() - (last.fin ? 1U : 0U);
    plan.kind = Plan::Kind::retransmission;
    plan.length = static_cast<std::uint32_t>(data == 0 ? 0 : (data - 1) % plan.mss + 1);
    plan.fin = last.fin;
    plan.seq = last.end - (plan.length + (last.fin ? 1U : 0U));
    plan.reason = Decision::tcp_retransmit_loss_probe;
    return plan;
}

/// What the stream has to send now: what was lost before what is new, but for F-RTO, which asks with new data whether
/// anything was lost (RFC 5682 §3.1 step 2b).
Plan plan_stream(const Tcb& tcb, const TcpConfig& config) {
    if (tcb.recovery.probe_due) {
        const Plan probe = plan_loss_probe(tcb, config);
        if (probe.kind != Plan::Kind::nothing) {
            return probe;
        }
    }
    if (tcb.timers.armed(Timer::pacing)) {
        return nothing(Decision::tcp_hold_pacing);
    }
    if (tcb.recovery.frto == Frto::probing) {
        const Plan fresh = plan_data(tcb, config);
        if (fresh.kind != Plan::Kind::nothing || tcb.snd.nxt > tcb.recovery.point) {
            return fresh;
        }
    }
    const Plan again = plan_retransmission(tcb, config);
    const bool waits_for_window = again.reason == Decision::tcp_hold_congestion_window;
    if (again.kind != Plan::Kind::nothing || waits_for_window) {
        return again;
    }
    return plan_data(tcb, config);
}

Plan plan_probe(const Tcb& tcb) {
    Plan plan;
    plan.kind = tcb.probe_due ? Plan::Kind::window_probe : Plan::Kind::keepalive;
    plan.reason =
        tcb.probe_due ? Decision::tcp_transmit_window_probe : Decision::tcp_transmit_keepalive;
    // SHLD-12: without data; the number makes the peer answer.
    plan.seq = tcb.snd.una - 1;
    return plan;
}

}  // namespace

std::uint32_t syn_data_room(const Tcb& tcb) {
    constexpr std::uint32_t kAllOptions = 40;
    const std::uint32_t by_peer =
        tcb.fast_open != nullptr ? std::uint32_t{tcb.fast_open->mss} : tcb.options.local_mss;
    return std::max(std::min<std::uint32_t>(by_peer, tcb.options.local_mss), kAllOptions + 8) -
           kAllOptions;
}

Plan plan_next_segment(const Tcb& tcb, const TcpConfig& config) {
    Plan plan;
    if (tcb.reset_due) {
        plan.kind = Plan::Kind::reset;
        plan.seq = tcb.snd.nxt;
        plan.reason = Decision::tcp_transmit_rst_abort;
        return plan;
    }
    if (tcb.detached) {
        return nothing(Decision::tcp_hold_nothing_to_send);
    }
    Plan held = nothing(Decision::tcp_hold_nothing_to_send);
    if (tcb.snd.una == tcb.snd.iss) {
        held = plan_syn(tcb);
        if (held.kind != Plan::Kind::nothing || tcb.state == State::syn_sent) {
            return held;
        }
        // RFC 7413 §4.2.2: the server may answer before the handshake ends. What is lost waits for its end.
        if (tcb.fast_open != nullptr && tcb.fast_open->role == FastOpen::Role::server) {
            plan = plan_data(tcb, config);
            if (plan.kind != Plan::Kind::nothing) {
                return plan;
            }
        }
    } else if (sends_data(tcb.state) && !wants_bare_ack(tcb)) {
        plan = plan_stream(tcb, config);
        if (plan.kind != Plan::Kind::nothing) {
            return plan;
        }
        held = plan;
    }
    if (tcb.probe_due || tcb.keepalive_due) {
        return plan_probe(tcb);
    }
    const bool update = window_update_due(tcb);
    if (tcb.ack.owed() || update) {
        held.kind = Plan::Kind::acknowledgement;
        held.seq = tcb.snd.nxt;
        held.length = 0;
        held.reason = tcb.ack.owed() ? tcb.ack.reason() : Decision::tcp_transmit_window_update;
    }
    return held;
}

}  // namespace runnel::tcp
