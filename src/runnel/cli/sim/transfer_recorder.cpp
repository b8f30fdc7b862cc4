#include "runnel/cli/sim/transfer_recorder.hpp"

#include <fmt/format.h>

#include "runnel/cli/sim/event_lines.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim_command {

using sim::Event;
using sim::EventKind;

namespace {
/// Adds `now` where more than the time has changed since `last`, and makes it that.
template <class Point>
void add_change(report::Thinned<Point>& points, Point& last, const Point& now) {
    last.at = now.at;
    if (last != now) {
        points.add(now);
        last = now;
    }
}
}  // namespace

TransferRecorder::TransferRecorder(const sim::Scenario& scenario, std::size_t flow) : flow_(flow) {
    const sim::Flow& spec = scenario.flows[flow];
    sender_ = spec.up >= spec.down ? spec.client : spec.server;
    picture_.title =
        fmt::format("Flow {} ({}): host {} sends to host {}", spec.id, to_string(spec.kind),
                    sender_, sender_ == spec.client ? spec.server : spec.client);
}

/// Whether the event is of the connection that is followed; the sender's first SYN says which.
bool TransferRecorder::is_its(const Event& event) {
    if (event.packet == nullptr || !event.packet->is_tcp || event.flow != flow_) {
        return false;
    }
    const sim::Packet& packet = *event.packet;
    if (!met_ && event.kind == EventKind::transmitted && event.host == sender_ &&
        packet.tcp.flags.syn()) {
        met_ = true;
        tuple_ = packet.tuple;
        isn_ = packet.tcp.seq;
    }
    return met_ && (packet.tuple == tuple_ ||
                    (packet.tuple.local == tuple_.remote && packet.tuple.remote == tuple_.local));
}

/// Octets since the ISN; near the highest sent, so that transfers beyond 4 GB count on.
std::uint64_t TransferRecorder::octet(SeqNum number) const {
    const SeqNum near = isn_ + static_cast<std::uint32_t>(highest_);
    const std::int64_t place = static_cast<std::int64_t>(highest_) + number.offset_from(near);
    return place < 0 ? 0 : static_cast<std::uint64_t>(place);
}

void TransferRecorder::on_sent(const Event& event, Duration at) {
    const sim::Packet& packet = *event.packet;
    const std::uint64_t begin = octet(packet.tcp.seq);
    const std::uint64_t end = begin + packet.sequence_length();
    if (end == begin) {
        return;
    }
    const bool again = end <= highest_;
    (again ? picture_.sent_again : picture_.sent).add({at, begin, end, again});
    highest_ = std::max(highest_, end);
}

void TransferRecorder::take_state(const sim::Simulation& run, const tcp::Tcb& tcb, Duration at) {
    const tcp::TcpConfig& config = run.window(sender_).config();
    const std::uint64_t mss = tcb.send_mss(config);
    const std::uint32_t threshold = tcb.controller.threshold();
    add_change(picture_.windows, last_window_,
               {.at = at,
                .window = tcb.controller.window() * mss,
                .in_flight = tcb.in_flight() * mss,
                .threshold = threshold == tcp::kUnknownThreshold ? 0 : threshold * mss});
    add_change(picture_.recovery, last_recovery_,
               {.at = at,
                .state = to_string(tcb.recovery.state),
                .undone = tcb.telemetry.undone,
                .reordering = tcb.rack.threshold(config)});
    add_change(picture_.pacing, last_pacing_, {at, tcb.pacer.rate()});
    if (tcb.rtt.has_sample()) {
        add_change(picture_.round_trips, last_round_trip_,
                   {at, tcb.rtt.smoothed(), tcb.rto(config)});
    }
}

void TransferRecorder::on_event(sim::Simulation& run, const Event& event) {
    if (!is_its(event)) {
        return;
    }
    const Duration at = event.at - sim::Simulation::kStart;
    const bool outwards = event.packet->tuple == tuple_;
    if (event.kind == EventKind::transmitted && event.host == sender_ && outwards) {
        on_sent(event, at);
    } else if (event.kind == EventKind::dropped && outwards) {
        picture_.lost.add({at, octet(event.packet->tcp.seq), loss_name(run.scenario(), event)});
    } else if (event.kind == EventKind::delivered && event.host == sender_ && !outwards &&
               event.packet->tcp.flags.ack() && !event.packet->damaged && !event.packet->forged) {
        picture_.acked.add({at, octet(event.packet->tcp.ack)});
    }
    if (event.tcb != nullptr && event.host == sender_ && event.tcb->tuple == tuple_) {
        take_state(run, *event.tcb, at);
    }
}

}  // namespace runnel::sim_command
