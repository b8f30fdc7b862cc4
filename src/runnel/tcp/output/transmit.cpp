// A segment leaves: the plan becomes a header with payload slices, and the Tcb learns that it was sent.
#include <algorithm>

#include "runnel/base/check.hpp"
#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/output/plan.hpp"
#include "runnel/tcp/path/path_mtu.hpp"
#include "runnel/tcp/recovery/transitions.hpp"
#include "runnel/tcp/timeouts/timeouts.hpp"

namespace runnel::tcp {

namespace {

/// Whether the data that is there, or a record (MSG_EOR), ends before `end`; or did when that was sent first.
bool ends_push(const Tcb& tcb, const Plan& plan) {
    const Seq64 end = plan.seq + plan.length;
    if (plan.kind == Plan::Kind::retransmission) {
        const SentRecord* record = tcb.retransmission.record_of(end - 1);
        if (record != nullptr && record->push && end + (plan.fin ? 1 : 0) == record->end) {
            return true;
        }
    }
    return end == tcb.send.end() ||
           (tcb.notices != nullptr && tcb.notices->record_end(end - 1) == end);
}

std::uint16_t flags_of(const Tcb& tcb, const Plan& plan) {
    std::uint16_t bits = TcpFlags::kAck;
    switch (plan.kind) {
        case Plan::Kind::syn:
            bits = tcb.state == State::syn_sent ? TcpFlags::kSyn : TcpFlags::kSyn | TcpFlags::kAck;
            break;
        case Plan::Kind::reset: bits = TcpFlags::kRst | TcpFlags::kAck; break;
        case Plan::Kind::data:
        case Plan::Kind::retransmission:
            if (plan.fin) {
                bits |= TcpFlags::kFin;
            }
            // §3.9.1.2, MUST-61 and SHLD-27: PSH on the last of the data that is there, however often pushed.
            if (plan.length > 0 && ends_push(tcb, plan)) {
                bits |= TcpFlags::kPsh;
            }
            break;
        default: break;
    }
    return bits;
}

void syn_options(const Tcb& tcb, const TcpConfig& config, TcpOptions& options) {
    const bool answer = tcb.state != State::syn_sent;
    options.mss =
        tcb.options.local_mss;  // MUST-14, SHLD-5, MAY-3: always sent; MUST-65: and only here
    // An answer carries only what the SYN offered; a first SYN all we can (2018-M1: and nothing else).
    if (answer ? tcb.options.sack : config.sack) {
        options.sack_permitted = true;
    }
    if (answer ? tcb.options.window_scale : config.window_scaling) {
        options.window_scale = tcb.options.receive_scale;
    }
}

void fill_options(Tcb& tcb, const Plan& plan, Effects& effects, TcpOptions& options) {
    const bool syn = plan.kind == Plan::Kind::syn;
    if (syn) {
        syn_options(tcb, effects.config(), options);
    }
    // RFC 7323 §3.2, 7323-M7.
    const bool first_syn = syn && tcb.state == State::syn_sent;
    // Beside a signature there is no room for timestamps and SACK blocks: Linux offers SACK alone.
    const bool offered = effects.config().timestamps && tcb.md5 == nullptr;
    if (first_syn ? offered : tcb.options.timestamps) {
        options.timestamps =
            TcpTimestamps{tcb.timestamp(effects.now), first_syn ? 0 : tcb.options.ts_recent};
    }
    if (syn && tcb.fast_open != nullptr && tcb.fast_open->offer) {
        // RFC 7413 §4.1.1: only with the first SYN or SYN,ACK.
        options.fast_open = tcb.fast_open->offer;
        if (tcb.md5 != nullptr || tcp_options_size(options) > 40) {
            options.fast_open.reset();
        }
    }
    // RFC 2018 §4, 2018-M2.
    const std::size_t most = tcb.most_sack_blocks();
    if (syn || !tcb.options.sack || most == 0 || plan.kind == Plan::Kind::reset) {
        return;
    }
    if (const auto duplicate = tcb.duplicate_to_tell()) {
        options.sack.push_back(*duplicate);  // RFC 2883 §4: first, and once
    }
    tcb.duplicate_pending = false;
    if (!tcb.reassembler.empty()) {
        tcb.reassembler.sack_blocks(options.sack, most);
    }
}

void fill_urgent(const Tcb& tcb, const Plan& plan, TcpHeader& header) {
    if (!tcb.urgent_to_send || tcb.snd.up <= plan.seq || plan.kind == Plan::Kind::syn) {
        return;
    }
    // RFC 9293 §3.8.5, MUST-30, MUST-31: urgent data of any length; MUST-62: SND.UP is the octet after it.
    // §3.8.5: the pointer counts from this segment's number; one too far for 16 bits is told later.
    const std::uint64_t pointer = std::min<std::uint64_t>(distance(plan.seq, tcb.snd.up), 65'535);
    header.flags.bits |= TcpFlags::kUrg;
    header.urgent_pointer = static_cast<std::uint16_t>(pointer);
}

/// Whom it concerns that octets have left: who asked to be told, and a writer who waits until little is unsent.
void note_first_time_sent(Tcb& tcb, Effects& effects) {
    if (tcb.notices != nullptr) {
        tcb.notices->sent(tcb.snd.nxt, effects.now);
        if (tcb.notices->waiting()) {
            effects.wake_reader();
        }
    }
    if (tcb.user.notsent_lowat != 0) {
        effects.wake_waiting_writer(tcb);
    }
}

void note_syn_sent(Tcb& tcb, const Plan& plan, Effects& effects) {
    if (tcb.syn_transmissions < 255) {
        ++tcb.syn_transmissions;
    }
    if (tcb.snd.nxt != tcb.snd.iss) {
        (void)tcb.retransmission.retransmitted(1, 1, effects.now, {});
        ++tcb.counters.retransmissions;
        if (tcb.fast_open != nullptr) {
            tcb.fast_open->repeated = true;
        }
        return;
    }
    SentRecord record{tcb.snd.iss, tcb.snd.iss + 1, effects.now, effects.now};
    record.rate = tcb.rate.on_sent(plan.length, 0, effects.now);
    record.segment_size = 1;
    record.syn = true;
    tcb.retransmission.sent(record);
    tcb.snd.nxt = tcb.snd.iss + 1;
    if (plan.length > 0) {
        SentRecord data{tcb.snd.nxt, tcb.snd.nxt + plan.length, effects.now, effects.now,
                        record.rate};
        data.segment_size = static_cast<std::uint16_t>(plan.length);
        tcb.retransmission.sent(data);
        tcb.snd.nxt = data.end;
        tcb.last_data_sent = effects.now;
    }
    if (tcb.fast_open != nullptr) {
        FastOpen& state = *tcb.fast_open;
        state.data_end = tcb.snd.nxt;
        state.waits = false;
        state.offered = state.offer;
        state.offer.reset();  // not with those that follow: they may be what the path swallows
        tcb.fast_open_used = state.role == FastOpen::Role::client;
    }
}

/// What left counts against the pace, and against what PRR lets out.
void spend(Tcb& tcb, const Plan& plan, std::uint32_t segments, Effects& effects) {
    if (tcb.recovery.reducing()) {
        tcb.recovery.prr.on_sent(segments);
    }
    if (plan.length > 0 && tcb.telemetry.data_segments_sent > Pacer::kUnpacedSegments) {
        tcb.pacer.on_sent(plan.length, effects.now);
        if (tcb.pacer.next() > effects.now) {
            tcb.timers.arm(Timer::pacing, tcb.pacer.next());
        }
    }
}

void note_data_sent(Tcb& tcb, const Plan& plan, const RateStamp& rate, Effects& effects) {
    const std::uint64_t numbers = plan.length + (plan.fin ? 1U : 0U);
    SentRecord record{plan.seq, plan.seq + numbers, effects.now, effects.now, rate};
    record.segment_size = static_cast<std::uint16_t>(std::min(plan.mss, 65'535U));
    record.fin = plan.fin;
    record.push = plan.length > 0 && ends_push(tcb, plan);
    tcb.retransmission.sent(record);
    tcb.snd.nxt = record.end;
    tcb.fin_sent = tcb.fin_sent || plan.fin;
    tcb.override_hold = false;
    if (plan.reason == Decision::tcp_transmit_mtu_probe) {
        note_probe_sent(tcb, plan);
    }
    if (plan.length % plan.mss != 0) {
        tcb.snd.small_end = plan.seq + plan.length;
    }
    tcb.window_use.on_sent(tcb.snd.una, tcb.snd.nxt, tcb.retransmission.segments_out(),
                           tcb.in_flight() >= tcb.controller.window());
    if (plan.length > 0) {
        tcb.last_data_sent = effects.now;
    }
    note_first_time_sent(tcb, effects);
}

/// True when the oldest of all went out again, from which the timer then runs.
bool note_sent_again(Tcb& tcb, const Plan& plan, std::uint32_t segments, const RateStamp& rate,
                     Effects& effects) {
    const std::uint64_t numbers = plan.length + (plan.fin ? 1U : 0U);
    const auto size = static_cast<std::uint16_t>(std::min(plan.mss, 65'535U));
    bool first = false;
    if (plan.probe) {
        // The size may have grown since it was sent first: where this is too much for the path, it must be told apart.
        tcb.retransmission.probed(numbers, size, effects.now, rate);
    } else {
        first = tcb.retransmission.retransmitted(numbers, size, effects.now, rate);
        tcb.recovery.frto = tcb.recovery.frto == Frto::probing ? Frto::off : tcb.recovery.frto;
    }
    note_retransmission(tcb, plan.seq, plan.seq + numbers, segments, effects.now);
    tcb.counters.retransmissions += segments;
    tcb.counters.bytes_retransmitted += plan.length;
    if (plan.length > 0) {
        tcb.last_data_sent = effects.now;  // no pause (Linux)
    }
    return first;
}

/// RFC 8985 §7.3: one probe at a time, and the RTO runs from it.
void note_loss_probe(Tcb& tcb, const Plan& plan, Effects& effects) {
    Aftermath& aftermath = tcb.recovery.aftermath;
    tcb.recovery.probe_due = false;
    aftermath.probed = true;
    aftermath.probe_again = plan.kind == Plan::Kind::retransmission;
    aftermath.probe_end = tcb.snd.nxt;
    ++tcb.telemetry.tail_probes;
    tcb.timers.cancel(Timer::loss_probe);
    tcb.timers.arm(Timer::retransmit, effects.now + tcb.rto(effects.config()));
}

void note_sent(Tcb& tcb, const Plan& plan, Effects& effects) {
    const TcpConfig& config = effects.config();
    const std::uint32_t segments =
        plan.length > plan.mss ? (plan.length + plan.mss - 1) / plan.mss : 1;
    tcb.counters.segments_sent += segments;
    tcb.telemetry.data_segments_sent += plan.length > 0 ? segments : 0;
    RateStamp rate;
    if (plan.kind == Plan::Kind::data || plan.kind == Plan::Kind::retransmission) {
        rate =
            tcb.rate.on_sent(plan.length, std::uint64_t{tcb.in_flight()} * plan.mss, effects.now);
    }
    bool restart = false;
    switch (plan.kind) {
        case Plan::Kind::syn: note_syn_sent(tcb, plan, effects); break;
        case Plan::Kind::data:
            note_data_sent(tcb, plan, rate, effects);
            spend(tcb, plan, segments, effects);
            break;
        case Plan::Kind::retransmission:
            restart = note_sent_again(tcb, plan, segments, rate, effects);
            spend(tcb, plan, segments, effects);
            break;
        case Plan::Kind::window_probe: tcb.probe_due = false; break;
        case Plan::Kind::keepalive: tcb.keepalive_due = false; break;
        default: break;
    }
    // RFC 6298 §5.1, 6298-M6: whatever takes up sequence numbers starts the timer where it isn't running; after a
    // timeout it has been set already.
    const bool running = tcb.timers.armed(Timer::retransmit) &&
                         !(restart && tcb.recovery.state == RecoveryState::recovery);
    if (!tcb.retransmission.empty() && !running) {
        tcb.timers.arm(Timer::retransmit, effects.now + tcb.rto(config));
    }
    if (plan.probe) {
        note_loss_probe(tcb, plan, effects);
    } else if (plan.kind == Plan::Kind::data) {
        schedule_loss_probe(tcb, effects);
    }
}

/// RFC 5681 §4.1: after a pause longer than the RTO the old window says nothing about the path. Linux halves it for each
/// RTO of the pause; the RFC goes back to the initial window at once. But where the window stood is a threshold to come back
/// to (RFC 2861 §3.1).
void restart_after_idle(Tcb& tcb, const Plan& plan, Effects& effects) {
    if (plan.kind != Plan::Kind::data || plan.length == 0 || !tcb.retransmission.empty() ||
        tcb.last_data_sent == Instant{}) {
        return;
    }
    const TcpConfig& config = effects.config();
    const Duration idle = effects.now - tcb.last_data_sent;
    tcb.controller.on_restart(effects.now, idle);
    const Duration rto = tcb.rto(config);
    if (config.slow_start_after_idle && idle > rto) {
        std::uint32_t window = tcb.controller.window();
        tcb.controller.remember_window();
        if (config.linux_rto) {
            for (Duration left = idle - rto; left > Duration{} && window > 1; left = left - rto) {
                window /= 2;
            }
        } else {
            window = 0;
        }
        tcb.controller.limit_window(std::max(window, config.initial_window_segments));
    }
    tcb.update_pacing(config);
}

/// What the time from now on counts as (Linux's chrono): the plan says whether the window holds data back.
BusyKind busy_kind(const Tcb& tcb, const Plan& plan) {
    if (tcb.send.empty() && (!tcb.fin_queued || tcb.fin_acked())) {
        return BusyKind::idle;
    }
    if (plan.blocked_by_window) {
        return BusyKind::window;
    }
    const bool starved = tcb.writer_waits && tcb.unsent() == 0 && sends_data(tcb.state) &&
                         tcb.in_flight() < tcb.controller.window();
    return starved ? BusyKind::buffer : BusyKind::busy;
}

/// What a sample of the delivery rate, and the growth of the window, must know of why nothing leaves.
void note_limits(Tcb& tcb, const Plan& plan, const TcpConfig& config) {
    if (!sends_data(tcb.state)) {
        return;
    }
    if (plan.reason == Decision::tcp_hold_congestion_window && tcb.unsent() > 0) {
        tcb.window_use.on_sent(tcb.snd.una, tcb.snd.nxt, tcb.retransmission.segments_out(), true);
    }
    const std::uint32_t mss = tcb.send_mss(config);
    const std::uint32_t flight = tcb.in_flight();
    const bool starved =
        tcb.unsent() < mss && flight < tcb.controller.window() &&
        plan.reason != Decision::tcp_hold_pacing &&
        tcb.retransmission.segments_lost() <= tcb.retransmission.segments_retransmitted();
    if (starved) {
        tcb.rate.on_app_limited(std::uint64_t{flight} * mss);
    }
}

/// The number of the first octet: what goes with a SYN begins after the SYN's own.
Seq64 text_of(const Plan& plan) {
    return plan.kind == Plan::Kind::syn ? plan.seq + 1 : plan.seq;
}

/// The octets of the plan; it says fewer where they lie in more slices than a frame holds.
void fill_payload(Tcb& tcb, Plan& plan, OutgoingSegment& out) {
    out.payload.clear();
    out.gso_size = 0;
    if (plan.length == 0) {
        return;
    }
    const std::size_t got = tcb.send.gather(text_of(plan), plan.length, out.payload);
    if (got < plan.length) {
        // More slices than a frame holds: send what fits, the rest follows.
        plan.length = static_cast<std::uint32_t>(got);
        if (plan.length > plan.mss) {
            plan.length -= plan.length % plan.mss;
            out.payload.clear();
            (void)tcb.send.gather(text_of(plan), plan.length, out.payload);
        }
        plan.fin = false;
    }
    RUNNEL_CHECK(plan.length > 0);
    if (plan.length > plan.mss) {
        out.gso_size = static_cast<std::uint16_t>(plan.mss);
    }
}

}  // namespace

bool transmit_next(Tcb& tcb, Effects& effects, OutgoingSegment& out) {
    refresh_path_mtu(tcb, effects);
    Plan plan = plan_next_segment(tcb, effects.config());
    if (plan.kind == Plan::Kind::nothing) {
        settle_timers(tcb, plan, effects);
        return false;
    }
    const std::uint32_t window_before = tcb.controller.window();
    restart_after_idle(tcb, plan, effects);
    if (tcb.controller.window() < window_before) {  // a super-segment is as long as the window
        plan = plan_next_segment(tcb, effects.config());
    }
    out.tuple = tcb.tuple;
    out.reason = plan.reason;
    // RFC 9293 §3.9.1.9, MUST-48, SHLD-22: as the user said it.
    out.traffic_class = tcb.user.traffic_class;
    // RFC 9293 §3.9.2, MUST-49.
    out.hop_limit = tcb.user.hop_limit != 0 ? tcb.user.hop_limit : effects.config().hop_limit;
    TcpHeader& header = out.header;
    header = TcpHeader{};
    header.source_port = tcb.tuple.local.port;
    header.destination_port = tcb.tuple.remote.port;
    fill_payload(tcb, plan, out);
    out.payload_size = plan.length;
    header.flags.bits = flags_of(tcb, plan);
    header.seq = plan.seq.wire();
    const bool syn = plan.kind == Plan::Kind::syn;
    fill_options(tcb, plan, effects, header.options);
    fill_urgent(tcb, plan, header);
    if (header.flags.ack()) {
        header.ack = tcb.rcv.nxt.wire();
        header.window =
            plan.kind == Plan::Kind::reset ? std::uint16_t{0} : advertise_window(tcb, syn);
        tcb.rcv.last_ack_sent = tcb.rcv.nxt;
        tcb.ack.on_ack_sent(plan.length > 0, effects.now);
        tcb.timers.cancel(Timer::delayed_ack);
    } else {
        header.window =
            static_cast<std::uint16_t>(std::min<std::uint32_t>(tcb.receive_limit, 65'535));
    }
    mark_outgoing(tcb, plan, effects, out);
    if (tcb.md5 != nullptr) {
        sign(tcb.tuple, header, out.payload, *tcb.md5);
    }
    note_sent(tcb, plan, effects);
    effects.decide_sent(tcb, plan.reason, header, plan.length);
    if (plan.kind == Plan::Kind::reset) {
        tcb.reset_due = false;
        effects.end(tcb, Errc::ok);
    }
    return true;
}

void settle_timers(Tcb& tcb, const Plan& plan, Effects& effects) {
    const TcpConfig& config = effects.config();
    TimerTable& timers = tcb.timers;
    if (tcb.detached) {
        return;
    }
    tcb.recovery.probe_due = false;  // there was nothing to probe with
    note_limits(tcb, plan, config);
    if (const BusyKind kind = busy_kind(tcb, plan); kind != tcb.telemetry.kind) {
        tcb.telemetry.enter(kind, effects.now);
    }
    // Something waits that no acknowledgement will set free: the persist timer looks after it.
    const bool alone = tcb.retransmission.empty() && (plan.blocked_by_window || plan.held);
    if (!alone) {
        timers.cancel(Timer::persist);
    } else if (!timers.armed(Timer::persist)) {
        // SHLD-29: the first probe when the window has been closed for an RTO.
        const bool small = plan.held && !plan.blocked_by_window;
        timers.arm(Timer::persist, effects.now + (small ? config.rto_min : tcb.rto(config)));
    }
    if (tcb.ack.delayed() && !timers.armed(Timer::delayed_ack)) {
        timers.arm(Timer::delayed_ack, effects.now + tcb.ack.delay(config, tcb.rtt.smoothed()));
    }
    if (tcb.user.keepalive && is_synchronized(tcb.state)) {
        if (!timers.armed(Timer::keepalive)) {
            const Duration idle =
                tcb.user.keepalive_time.ns != 0 ? tcb.user.keepalive_time : config.keepalive_time;
            timers.arm(Timer::keepalive, effects.now + idle);
        }
    } else {
        timers.cancel(Timer::keepalive);
    }
    if (tcb.orphan && tcb.state == State::fin_wait_2 && !timers.armed(Timer::fin_wait_2)) {
        const Duration own = tcb.user.fin_timeout;
        timers.arm(Timer::fin_wait_2, effects.now + (own.ns > 0 ? own : config.fin_timeout));
    }
    // Why nothing leaves, once each time the reason changes.
    const bool waits = tcb.unsent() > 0 || !tcb.retransmission.empty();
    if (plan.reason != tcb.last_hold && waits &&
        plan.reason != Decision::tcp_hold_nothing_to_send) {
        effects.decide(tcb, plan.reason, static_cast<std::uint32_t>(tcb.unsent()));
    }
    tcb.last_hold = plan.reason;
}

}  // namespace runnel::tcp
