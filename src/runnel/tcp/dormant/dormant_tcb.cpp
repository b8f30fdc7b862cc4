#include "runnel/tcp/dormant/dormant_tcb.hpp"

#include <algorithm>
#include <limits>

#include "runnel/base/check.hpp"

namespace runnel::tcp {

// Whoever gives a Tcb something new to know decides here: is it packed, or does it keep the Tcb awake?
static_assert(sizeof(Tcb) == 1408, "a member of Tcb: give it a place in is_quiet, pack and unpack");

const ConnectionOptions* OptionsTable::hold(const ConnectionOptions& options) {
    const auto entry = held_.try_emplace(options, 0).first;
    ++entry->second;
    return &entry->first;
}

void OptionsTable::let_go(const ConnectionOptions* options) {
    const auto entry = held_.find(*options);
    RUNNEL_CHECK(entry != held_.end());
    if (--entry->second == 0) {
        held_.erase(entry);
    }
}

namespace {

using Offset = std::numeric_limits<std::int32_t>;

std::int32_t offset(Seq64 value, Seq64 base) {
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(value - base, Offset::min(), Offset::max()));
}

Seq64 at_offset(Seq64 base, std::int32_t offset) {
    return base + static_cast<std::uint64_t>(std::int64_t{offset});
}

/// Where the data that will be sent next begins: behind everything acknowledged, but before our FIN.
Seq64 data_begin(Seq64 una, bool fin_sent) {
    return una - (fin_sent ? 1U : 0U);
}

std::unique_ptr<Scars> scars_of(const Tcb& tcb) {
    const Telemetry& t = tcb.telemetry;
    Scars scars;
    scars.bytes_retransmitted = tcb.counters.bytes_retransmitted;
    scars.retransmissions = tcb.counters.retransmissions;
    scars.duplicates_reported = t.duplicates_reported;
    scars.out_of_order_received = t.out_of_order_received;
    scars.timeouts = t.timeouts;
    scars.tail_probes = t.tail_probes;
    scars.recoveries = t.recoveries;
    scars.undone = t.undone;
    scars.lost = t.lost;
    scars.delivered_again = tcb.rate.delivered() - tcb.counters.bytes_acked;
    scars.octets_lost = tcb.rate.lost();
    scars.rack = tcb.rack.lessons();
    scars.aftermath = tcb.recovery.aftermath;
    scars.window_limited = t.spent.window_limited;
    scars.buffer_limited = t.spent.buffer_limited;
    scars.last_invalid_ack = tcb.last_invalid_ack;
    scars.fast_open_used = tcb.fast_open_used;
    scars.syn_data_acked = tcb.syn_data_acked;
    scars.fast_open_failure = tcb.fast_open_failure;
    if (tcb.ecn != nullptr) {
        scars.ecn = *tcb.ecn;
    }
    return scars == Scars{} ? nullptr : std::make_unique<Scars>(scars);
}

void give_back(const Scars& scars, Tcb& tcb) {
    Telemetry& t = tcb.telemetry;
    tcb.counters.bytes_retransmitted = scars.bytes_retransmitted;
    tcb.counters.retransmissions = scars.retransmissions;
    t.duplicates_reported = scars.duplicates_reported;
    t.out_of_order_received = scars.out_of_order_received;
    t.timeouts = scars.timeouts;
    t.tail_probes = scars.tail_probes;
    t.recoveries = scars.recoveries;
    t.undone = scars.undone;
    t.lost = scars.lost;
    tcb.rack.restore(scars.rack);
    tcb.recovery.aftermath = scars.aftermath;
    t.spent.window_limited = scars.window_limited;
    t.spent.buffer_limited = scars.buffer_limited;
    tcb.last_invalid_ack = scars.last_invalid_ack;
    tcb.fast_open_used = scars.fast_open_used;
    tcb.syn_data_acked = scars.syn_data_acked;
    tcb.fast_open_failure = scars.fast_open_failure;
    if (scars.ecn.mode != EcnMode::none) {
        tcb.ecn = std::make_unique<Ecn>(scars.ecn);
    }
}

bool no_timer_but_keepalive(TimerTable timers) {
    timers.cancel(Timer::keepalive);
    return timers.earliest().is_never();
}

}  // namespace

bool is_quiet(const Tcb& tcb) {
    const bool idle = tcb.telemetry.kind == BusyKind::idle;
    const bool nothing_held = idle && tcb.fast_open == nullptr && tcb.send.empty() &&
                              tcb.retransmission.empty() && tcb.receive.empty() &&
                              tcb.reassembler.empty();
    const bool nothing_to_do = !tcb.ack.any() && !tcb.probe_due && !tcb.keepalive_due &&
                               !tcb.override_hold && !tcb.duplicate_pending && !tcb.reset_due &&
                               !tcb.ready_queued && !tcb.event_queued && tcb.error == Errc::ok &&
                               tcb.report == ErrorReport::Reason::none &&
                               tcb.fin_queued == tcb.fin_sent && tcb.fin_known == tcb.fin_received;
    const bool nothing_urgent = !tcb.urgent_to_send && tcb.urgent_mark == UrgentMark::none;
    const bool nothing_lost = tcb.recovery.state == RecoveryState::open &&
                              tcb.recovery.duplicate_acks == 0 && tcb.recovery.timeouts == 0 &&
                              !tcb.recovery.probe_due && tcb.probes_out == 0;
    return may_sleep(tcb) && tcb.notices == nullptr && tcb.md5 == nullptr && nothing_held &&
           nothing_to_do && nothing_urgent && nothing_lost && no_timer_but_keepalive(tcb.timers) &&
           tcb.snd.nxt == tcb.snd.una &&
           tcb.send.begin() == data_begin(tcb.snd.una, tcb.fin_sent) &&
           tcb.rcv.wnd() <= std::numeric_limits<std::uint32_t>::max();
}

void pack(const Tcb& tcb, OptionsTable& options, DormantTcb& dormant) {
    const Seq64 una = tcb.snd.una;
    const Seq64 nxt = tcb.rcv.nxt;
    dormant.tuple = tcb.tuple;
    dormant.path_mtu = tcb.path_mtu;
    dormant.snd_una = una;
    dormant.rcv_nxt = nxt;
    dormant.iss = tcb.snd.iss.wire();
    dormant.irs = tcb.rcv.irs.wire();
    dormant.snd_wnd = static_cast<std::uint32_t>(tcb.snd.wnd);
    dormant.snd_max_wnd = static_cast<std::uint32_t>(tcb.snd.max_wnd);
    dormant.snd_wl1 = offset(tcb.snd.wl1, nxt);
    dormant.snd_wl2 = offset(tcb.snd.wl2, una);
    dormant.small_end = offset(tcb.snd.small_end, una);
    dormant.recovery_point = offset(tcb.recovery.point, una);
    dormant.last_ack_sent = offset(tcb.rcv.last_ack_sent, nxt);
    dormant.rcv_wnd = static_cast<std::uint32_t>(tcb.rcv.wnd());
    dormant.receive_limit = tcb.receive_limit;
    dormant.segments_sent = tcb.counters.segments_sent;
    dormant.segments_received = tcb.counters.segments_received;
    dormant.data_segments_sent = tcb.telemetry.data_segments_sent;
    dormant.data_segments_received = tcb.telemetry.data_segments_received;
    dormant.delivered = tcb.telemetry.delivered;
    dormant.bytes_acked = tcb.counters.bytes_acked;
    dormant.bytes_received = tcb.counters.bytes_received;
    dormant.busy = tcb.telemetry.spent.busy;
    dormant.scars = scars_of(tcb);
    dormant.last_event = tcb.last_event;
    dormant.last_data_sent = tcb.last_data_sent;
    dormant.last_received = tcb.last_received;
    dormant.options = tcb.options;
    dormant.rtt = tcb.rtt;
    dormant.rate = tcb.rate.rest();
    dormant.ack = tcb.ack;
    dormant.window = tcb.window;
    dormant.send_room = tcb.send_room;
    dormant.acked_packet = tcb.acked_packet;
    dormant.mtu_search =
        tcb.mtu_search != nullptr ? std::make_unique<MtuSearch>(*tcb.mtu_search) : nullptr;
    dormant.controller.put_to_sleep(tcb.controller);
    dormant.user = options.hold(tcb.user);
    dormant.last_hold = tcb.last_hold;
    dormant.state = tcb.state;
    dormant.soft_error = tcb.soft_error;
    dormant.backoff = tcb.recovery.backoff;
    dormant.syn_transmissions = tcb.syn_transmissions;
    dormant.passive = tcb.passive;
    dormant.fin_sent = tcb.fin_sent;
    dormant.fin_received = tcb.fin_received;
    dormant.receive_shutdown = tcb.receive_shutdown;
    dormant.push_hold = tcb.push_hold;
    dormant.window_limited = tcb.window_use.limited();
    dormant.writer_waits = tcb.writer_waits;
}

void unpack(const DormantTcb& dormant, std::uint64_t handle, const TcpConfig& config, Tcb& tcb) {
    const Seq64 una = dormant.snd_una;
    const Seq64 nxt = dormant.rcv_nxt;
    tcb.tuple = dormant.tuple;
    tcb.handle = handle;
    tcb.path_mtu = dormant.path_mtu;
    tcb.snd.iss = first_seq(dormant.iss);
    tcb.snd.una = una;
    tcb.snd.nxt = una;
    tcb.snd.up = una;  // means nothing without urgent_to_send
    tcb.snd.wnd = dormant.snd_wnd;
    tcb.snd.max_wnd = dormant.snd_max_wnd;
    tcb.snd.wl1 = at_offset(nxt, dormant.snd_wl1);
    tcb.snd.wl2 = at_offset(una, dormant.snd_wl2);
    tcb.snd.small_end = at_offset(una, dormant.small_end);
    tcb.recovery.point = at_offset(una, dormant.recovery_point);
    tcb.recovery.backoff = dormant.backoff;
    tcb.rcv.irs = first_seq(dormant.irs);
    tcb.rcv.nxt = nxt;
    tcb.rcv.right_edge = nxt + dormant.rcv_wnd;
    tcb.rcv.last_ack_sent = at_offset(nxt, dormant.last_ack_sent);
    tcb.send.start(data_begin(una, dormant.fin_sent));
    tcb.receive_limit = dormant.receive_limit;
    tcb.counters.segments_sent = dormant.segments_sent;
    tcb.counters.segments_received = dormant.segments_received;
    tcb.telemetry.data_segments_sent = dormant.data_segments_sent;
    tcb.telemetry.data_segments_received = dormant.data_segments_received;
    tcb.telemetry.delivered = dormant.delivered;
    tcb.counters.bytes_acked = dormant.bytes_acked;
    tcb.counters.bytes_received = dormant.bytes_received;
    tcb.telemetry.spent.busy = dormant.busy;
    if (dormant.scars != nullptr) {
        give_back(*dormant.scars, tcb);
    }
    tcb.last_event = dormant.last_event;
    tcb.last_data_sent = dormant.last_data_sent;
    tcb.last_received = dormant.last_received;
    tcb.options = dormant.options;
    tcb.rtt = dormant.rtt;
    const bool scarred = dormant.scars != nullptr;
    tcb.rate.restore(dormant.bytes_acked + (scarred ? dormant.scars->delivered_again : 0),
                     scarred ? dormant.scars->octets_lost : 0, dormant.rate);
    tcb.ack = dormant.ack;
    tcb.window = dormant.window;
    tcb.send_room = dormant.send_room;
    tcb.acked_packet = dormant.acked_packet;
    if (dormant.mtu_search != nullptr) {
        tcb.mtu_search = std::make_unique<MtuSearch>(*dormant.mtu_search);
    }
    tcb.controller = dormant.controller.awake(config);
    tcb.user = *dormant.user;
    tcb.last_hold = dormant.last_hold;
    tcb.state = dormant.state;
    tcb.soft_error = dormant.soft_error;
    tcb.syn_transmissions = dormant.syn_transmissions;
    tcb.passive = dormant.passive;
    tcb.fin_sent = dormant.fin_sent;
    tcb.fin_queued = dormant.fin_sent;
    tcb.fin_received = dormant.fin_received;
    tcb.fin_known = dormant.fin_received;
    tcb.fin_seq = dormant.fin_received ? nxt - 1 : Seq64{};
    tcb.receive_shutdown = dormant.receive_shutdown;
    tcb.push_hold = dormant.push_hold;
    tcb.window_use.restore(dormant.window_limited);
    tcb.writer_waits = dormant.writer_waits;
    tcb.update_pacing(config);
    if (dormant.keepalive != nullptr) {
        tcb.timers.arm(Timer::keepalive, dormant.keepalive->deadline);
    }
}

}  // namespace runnel::tcp
