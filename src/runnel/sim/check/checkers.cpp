#include "runnel/sim/check/checkers.hpp"

#include <algorithm>
#include <optional>

namespace runnel::sim {

using check::Look;
using check::Shadow;
using tcp::State;

namespace {
/// More timeouts at one instant of a host are no progress.
constexpr std::uint32_t kMostTimeouts = 16;
/// More ranges sent twice than these are not remembered one by one.
constexpr std::size_t kMostRepeated = 64;
constexpr unsigned kEcnFlags = TcpFlags::kEce | TcpFlags::kCwr | TcpFlags::kAe;

FourTuple reversed_of(const FourTuple& tuple) {
    return {tuple.remote, tuple.local};
}

/// Whether the connection has heard of the event; with `decision`: and said that.
bool was_taken(const FlightRecorder& recorder, const Event& event,
               std::optional<Decision> decision = {}) {
    for (std::uint64_t number = event.first_record; number != event.end_record; ++number) {
        const EventRecord* record = recorder.find(number);
        if (record != nullptr && record->connection == event.connection &&
            (!decision || record->decision == *decision)) {
            return true;
        }
    }
    return false;
}

/// The network layer may have let the first go, so that the wire sees only this one.
bool is_retransmission(Decision reason) {
    return std::string_view(describe(reason).name).starts_with("tcp_retransmit");
}

/// Notes that [begin, end) has been sent again.
void add_repeated(Shadow& shadow, tcp::Seq64 begin, tcp::Seq64 end) {
    std::vector<check::SentRange>& ranges = shadow.repeated;
    auto at = std::find_if(ranges.begin(), ranges.end(),
                           [&](const check::SentRange& range) { return range.end >= begin; });
    auto last = at;
    for (; last != ranges.end() && last->begin <= end; ++last) {
        begin = std::min(begin, last->begin);
        end = std::max(end, last->end);
    }
    if (at == last) {
        if (ranges.size() == kMostRepeated) {
            shadow.repeated_unknown = true;
            return;
        }
        ranges.insert(at, {begin, end});
        return;
    }
    *at = {begin, end};
    ranges.erase(at + 1, last);
}

/// What the next look is compared with.
void remember(Shadow& shadow, const tcp::Tcb& tcb, Instant local) {
    check::paws_remember(shadow, tcb, local);
    shadow.una = tcb.snd.una;
    shadow.smoothed = tcb.rtt.smoothed();
    shadow.variation = tcb.rtt.variation();
    shadow.reassembling = tcb.reassembler.bytes();
}

void forget_repeated(Shadow& shadow) {
    const auto gone = [&](const check::SentRange& range) { return range.end <= shadow.una; };
    if (!shadow.repeated.empty() && gone(shadow.repeated.front())) {
        std::erase_if(shadow.repeated, gone);
    }
    if (shadow.repeated_unknown && shadow.una == shadow.highest) {
        shadow.repeated.clear();
        shadow.repeated_unknown = false;
    }
}
}  // namespace

std::array<std::uint64_t, kChecks> Checkers::asked() const {
    const Tally& t = tally_;
    std::array<std::uint64_t, kChecks> times{};
    const auto set = [&times](std::uint64_t count, std::initializer_list<Check> checks) {
        for (const Check check : checks) {
            times[static_cast<std::size_t>(check)] = count;
        }
    };
    set(t.calls + t.flows, {Check::content, Check::once});
    set(t.flows, {Check::completion});
    set(t.sent, {Check::offered_window, Check::right_edge, Check::acks_advance, Check::one_fin,
                 Check::sack_truth, Check::ecn});
    set(t.arrived, {Check::ecn_reaction});
    set(t.looks + t.arrived,
        {Check::send_order, Check::rto_bounds, Check::delayed_ack, Check::paws});
    set(t.looks, {Check::loss_timer, Check::persist_timer, Check::owned_deadline, Check::reassembly,
                  Check::cwnd_bounds, Check::cubic_window, Check::bbr_bounds, Check::pipe});
    set(t.timeouts, {Check::timeout_progress});
    set(t.records, {Check::transitions});
    set(t.settled, {Check::buffers});
    set(t.taken, {Check::work});
    set(t.strangers, {Check::one_answer});
    return times;
}

void Checkers::on_begin(Simulation& run) {
    for (const NodeId id : run.hosts()) {
        hosts_[id] = HostView{};
    }
    before_ = work;
    marks_.clear();
}

// --- who is who ------------------------------------------------------------------------------------------

Shadow& Checkers::shadow(HostView& view, std::uint64_t handle) {
    const auto index = static_cast<std::uint32_t>(handle);
    if (index >= view.shadows.size()) {
        view.shadows.resize(index + 1);
    }
    Shadow& shadow = view.shadows[index];
    if (shadow.handle != handle) {
        view.held -= shadow.held;
        const bool touched = shadow.touched;
        shadow = Shadow{};
        shadow.handle = handle;
        shadow.touched = touched;
    }
    return shadow;
}

/// What the wire can't tell: where the numbers of this end begin.
void Checkers::meet(Shadow& shadow, const tcp::Tcb& tcb) {
    shadow.known = true;
    shadow.tuple = tcb.tuple;
    shadow.iss = tcb.snd.iss;
    // Whoever is in the handshake has sent nothing, or is just sending its SYN.
    shadow.highest = tcp::is_synchronized(tcb.state) ? tcb.snd.nxt : tcb.snd.iss;
    shadow.peer_acked = tcb.snd.una;
    shadow.una = tcb.snd.una;
    shadow.peer_edge = tcb.snd.iss;
    if (tcp::is_synchronized(tcb.state)) {  // opened by an ACK: its SYN left no connection behind
        shadow.syn_seen = true;
        shadow.ecn_unknown = true;
        shadow.scale_seen = shadow.scale_sent = tcb.options.window_scale;
        shadow.peer_scale = tcb.options.send_scale;
        shadow.own_scale = tcb.options.receive_scale;
        shadow.peer_edge = tcb.snd.right_edge();
    }
}

void Checkers::touch(HostView& view, std::uint64_t handle) {
    Shadow& one = shadow(view, handle);
    if (!one.touched) {
        one.touched = true;
        view.touched.push_back(static_cast<std::uint32_t>(handle));
    }
}

// --- transitions -------------------------------------------------------------------------------------------

/// Every change of state has a record, and every record the state: nothing changes in silence, and nothing
/// but what the table allows.
void Checkers::follow_state(Simulation& run, NodeId host, Shadow& shadow,
                            const EventRecord& record) {
    const auto state = static_cast<State>(record.state);
    const bool change = record.decision == Decision::tcp_note_state;
    if (!shadow.state_known) {
        shadow.state_known = true;
        // A connection begins by an active OPEN, or under a listener.
        shadow.state = !change ? state : state == State::syn_sent ? State::closed : State::listen;
    }
    const bool right = change ? tcp::is_transition(shadow.state, state) : state == shadow.state;
    if (!right) {
        check::report(run, Check::transitions, host, kNoFlow,
                      change ? "the table has no such transition" : "the state changed in silence",
                      {{tcp::to_string(shadow.state), static_cast<std::uint64_t>(shadow.state)},
                       {tcp::to_string(state), record.state}});
    }
    shadow.state = state;
}

void Checkers::follow_records(Simulation& run, NodeId host) {
    HostView& view = hosts_[host];
    const Machine& machine = run.machine(host);
    if (machine.incarnation != view.incarnation) {
        view = HostView{};
        view.incarnation = machine.incarnation;
    }
    const FlightRecorder& recorder = run.host(host).recorder();
    const std::uint64_t end = recorder.next_number();
    if (view.next_record < recorder.oldest_number()) {
        view.next_record = recorder.oldest_number();
        for (Shadow& one : view.shadows) {
            one.state_known = false;  // some changes have been overwritten
        }
    }
    for (; view.next_record != end; ++view.next_record) {
        const EventRecord& record = *recorder.find(view.next_record);
        if (record.connection != 0) {
            ++tally_.records;
            touch(view, record.connection);
            follow_state(run, host, shadow(view, record.connection), record);
        } else if (record.inbound == 0 && describe(record.decision).kind == DecisionKind::drop) {
            view.refused = true;
        }
    }
}

// --- packets -------------------------------------------------------------------------------------------------

void Checkers::learn_sent(Shadow& shadow, const Packet& packet, const Event& event) {
    if (packet.tcp.flags.rst()) {
        return;
    }
    if (packet.tcp.flags.syn()) {
        shadow.ecn_asked = shadow.ecn_asked || (packet.tcp.flags.bits & kEcnFlags) != 0;
        shadow.scale_sent = packet.tcp.options.window_scale.has_value();
        shadow.own_scale = packet.tcp.options.window_scale.value_or(0);
    }
    const std::uint32_t length = packet.sequence_length();
    if (length == 0) {
        return;
    }
    const tcp::Seq64 begin = tcp::unwrap(packet.tcp.seq, shadow.highest);
    const tcp::Seq64 end = begin + length;
    check::flight_sent(shadow, begin, end, event.local, is_retransmission(event.reason));
    if (begin < shadow.highest) {
        add_repeated(shadow, begin, std::min(end, shadow.highest));
    }
    if (end > shadow.highest) {
        shadow.highest = end;
        shadow.new_data = shadow.new_data || packet.payload_size > 0;
    }
}

void Checkers::learn_arrived(Shadow& shadow, const Packet& packet) {
    const TcpHeader& header = packet.tcp;
    if (header.flags.rst()) {
        return;
    }
    const bool syn = header.flags.syn();
    shadow.ecn_heard = shadow.ecn_heard || (syn && (header.flags.bits & kEcnFlags) != 0);
    const tcp::Seq64 ack = tcp::unwrap(header.ack, shadow.peer_acked);
    const bool acks = header.flags.ack() && ack > shadow.iss && ack <= shadow.highest;
    if (syn && !shadow.syn_seen && (acks || !header.flags.ack())) {
        shadow.syn_seen = true;
        shadow.scale_seen = header.options.window_scale.has_value();
        // RFC 7323 §2.3: more than 14 counts as 14.
        shadow.peer_scale = std::min<std::uint8_t>(header.options.window_scale.value_or(0), 14);
        if (!header.flags.ack()) {
            shadow.peer_edge = std::max(shadow.peer_edge, shadow.iss + 1 + header.window);
        }
    }
    if (!acks) {
        return;
    }
    shadow.peer_acked = std::max(shadow.peer_acked, ack);
    const bool scaled = !syn && shadow.scale_seen && shadow.scale_sent;
    const std::uint64_t window = std::uint64_t{header.window}
                                 << (scaled ? unsigned{shadow.peer_scale} : 0U);
    shadow.peer_edge = std::max(shadow.peer_edge, ack + window);
}

/// How many marks have come to the end that sees `tuple`.
Checkers::Marks& Checkers::marks_of(const FourTuple& tuple) {
    auto at = std::find_if(marks_.begin(), marks_.end(),
                           [&](const Marks& one) { return one.tuple == tuple; });
    return at != marks_.end() ? *at : marks_.emplace_back(Marks{.tuple = tuple});
}

void Checkers::hear_of_marks(const Look& look, Shadow& shadow, const Packet& packet) {
    if (packet.damaged) {
        shadow.ecn_unknown = true;  // its two bits may have been hit
        marks_of(shadow.tuple).unknown = true;
    } else if ((packet.traffic_class & 3) == 3 && packet.payload_size > 0) {
        ++shadow.marks;
        Marks& marks = marks_of(shadow.tuple);
        ++marks.segments;
        marks.octets += packet.payload_size;
    }
    if (look.tcb.ecn == nullptr) {
        return;
    }
    const Marks& there = marks_of(reversed_of(shadow.tuple));
    if (!there.unknown) {
        check::ecn_heard(look, there.segments, there.octets);
    }
}

void Checkers::answers(Simulation& run, const Event& event, bool sent) {
    ++tally_.strangers;
    HostView& view = hosts_[event.host];
    const FourTuple tuple = sent ? event.packet->tuple : reversed_of(event.packet->tuple);
    auto at = std::find_if(view.strangers.begin(), view.strangers.end(),
                           [&](const Stranger& one) { return one.tuple == tuple; });
    if (!sent) {
        if (at == view.strangers.end()) {
            at = view.strangers.insert(at, {.tuple = tuple});
        }
        // A reset is never answered.
        at->arrived += event.packet->tcp.flags.rst() ? 0U : 1U;
        return;
    }
    const bool was_connected =
        std::any_of(view.touched.begin(), view.touched.end(),
                    [&](std::uint32_t index) { return view.shadows[index].tuple == tuple; });
    if (at != view.strangers.end() && !was_connected && ++at->answered > at->arrived) {
        check::report(run, Check::one_answer, event.host, event.flow,
                      "more answers than packets that belonged to no connection",
                      {{"arrived", at->arrived}, {"answered", at->answered}});
    }
}

namespace {

/// An ACK that was queued for a connection in TIME-WAIT, which a new SYN of the same batch has ended.
bool is_predecessors(const Event& event) {
    return event.reason == Decision::tcp_transmit_ack_time_wait ||
           (event.reason == Decision::tcp_transmit_ack_congestion && event.tcb != nullptr &&
            event.tcb->state == tcp::State::syn_received);
}

}  // namespace

void Checkers::on_transmitted(Simulation& run, const Event& event) {
    const Packet& packet = *event.packet;
    HostView& view = hosts_[event.host];
    view.timeouts_in_a_row = 0;  // to say something is progress
    if (!packet.is_tcp) {
        return;
    }
    if (event.connection == 0) {
        // Some ACKs are queued when a packet comes: their connection may be gone when they leave.
        if (event.reason != Decision::tcp_transmit_ack_congestion) {
            answers(run, event, true);
        }
        return;
    }
    if (is_predecessors(event)) {
        return;
    }
    Shadow& one = shadow(view, event.connection);
    if (event.tcb == nullptr || !one.known) {
        return;
    }
    const Look look{run, event.host, event.local, one, *event.tcb, run.window(event.host).config()};
    ++tally_.sent;
    check::offered_window(look, packet);
    check::one_fin(look, packet);
    check::right_edge(look, packet);
    check::acks_advance(look, packet);
    check::sack_truth(look, packet);
    check::ecn_sent(look, packet);
    learn_sent(one, packet, event);
}

void Checkers::on_delivered(Simulation& run, const Event& event) {
    const Packet& packet = *event.packet;
    if (!packet.is_tcp) {
        return;
    }
    if (event.connection == 0) {
        return answers(run, event, false);
    }
    // Damage in a header of IPv6 may hit bits that no checksum covers: the segment is taken all the same.
    if (packet.damaged && !was_taken(run.host(event.host).recorder(), event)) {
        return;
    }
    Shadow& one = shadow(hosts_[event.host], event.connection);
    if (event.tcb == nullptr || !one.known) {
        return;
    }
    const Look look{run, event.host, event.local, one, *event.tcb, run.window(event.host).config()};
    ++tally_.arrived;
    learn_arrived(one, packet);
    check::flight_arrived(one, event.tcb->snd.una, packet);
    hear_of_marks(look, one, packet);
    check::ecn_reaction(look, packet);
    const FlightRecorder& recorder = run.host(event.host).recorder();
    check::paws(look, packet, was_taken(recorder, event),
                was_taken(recorder, event, Decision::tcp_drop_paws));
    const std::uint32_t mss = event.tcb->send_mss(look.config);
    one.mss = event.tcb->snd.una > one.una || one.mss == 0 ? mss : std::min(one.mss, mss);
    check::send_order(look);
    check::karn(look, packet, one.una);
    check::delayed_ack_begins(look);
    remember(one, *event.tcb, event.local);
    forget_repeated(one);
}

void Checkers::on_timeout(Simulation& run, const Event& event) {
    ++tally_.timeouts;
    HostView& view = hosts_[event.host];
    if (event.local != view.last_timeout) {
        view.last_timeout = event.local;
        view.timeouts_in_a_row = 0;
    }
    if (++view.timeouts_in_a_row > kMostTimeouts) {
        check::report(run, Check::timeout_progress, event.host, kNoFlow,
                      "on_timeout(next_timeout()) makes no progress",
                      {{"times", view.timeouts_in_a_row}});
    }
}

void Checkers::on_event(Simulation& run, const Event& event) {
    if (event.kind == EventKind::rest) {
        return at_rest(run);
    }
    if (event.host == kNoNode || event.kind == EventKind::dropped) {
        return;
    }
    follow_records(run, event.host);
    HostView& view = hosts_[event.host];
    if (event.connection != 0) {
        touch(view, event.connection);
        Shadow& one = shadow(view, event.connection);
        if (!one.known && event.tcb != nullptr) {
            meet(one, *event.tcb);
        }
    }
    if (event.kind == EventKind::delivered) {
        ++tally_.taken;
        const std::uint64_t waiting =
            event.connection == 0 ? 0 : shadow(view, event.connection).reassembling;
        check::work(run, event.host, {work.nodes - before_.nodes, work.octets - before_.octets},
                    waiting);
    }
    hear(run, event);
    before_ = work;  // without what the checkers have looked at
}

void Checkers::hear(Simulation& run, const Event& event) {
    switch (event.kind) {
        case EventKind::transmitted: return on_transmitted(run, event);
        case EventKind::delivered: return on_delivered(run, event);
        case EventKind::timeout: return on_timeout(run, event);
        case EventKind::call:
            if (event.flow != kNoFlow) {
                ++tally_.calls;
                check::content(run, event.flow, event.host);
                check::once(run, event.flow, event.host);
            }
            return;
        default: return;
    }
}

// --- when all has been said ------------------------------------------------------------------------------------

void Checkers::look(Simulation& run, NodeId host, HostView& view, Shadow& one, bool sweep) {
    const tcp::Tcb* tcb = run.window(host).awake(tcp::ConnectionHandle::from_packed(one.handle));
    const std::uint64_t held =
        tcb == nullptr ? 0 : tcb->send.size() + tcb->receive.size() + tcb->reassembler.bytes();
    view.held += held - one.held;
    one.held = held;
    if (tcb == nullptr || !one.known) {
        return;
    }
    one.paws.refused = one.paws.refused || view.refused;
    if (view.refused && tcb->snd.nxt > one.highest) {
        // Sent, as the connection sees it, and lost on the spot.
        check::flight_sent(one, one.highest, tcb->snd.nxt, run.local_now(host), false);
        one.highest = tcb->snd.nxt;
    }
    const Look look{run, host, run.local_now(host), one, *tcb, run.window(host).config(), sweep};
    ++tally_.looks;
    check::send_order(look);
    check::loss_timer(look);
    check::persist_timer(look);
    check::owned_deadline(look);
    check::delayed_ack(look);
    check::reassembly(look);
    check::rto_bounds(look);
    check::cwnd_bounds(look);
    check::cubic_window(look);
    check::bbr_bounds(look);
    check::pipe(look);
    check::reduction(look);
    check::paws_at_rest(look);
    one.new_data = false;
    remember(one, *tcb, run.local_now(host));
}

void Checkers::on_settled(Simulation& run, NodeId host) {
    ++tally_.settled;
    follow_records(run, host);
    HostView& view = hosts_[host];
    const bool sweep = ++view.settled % kSweepEvery == 0;
    for (const std::uint32_t index : view.touched) {
        Shadow& one = view.shadows[index];
        one.touched = false;
        look(run, host, view, one, sweep);
    }
    view.touched.clear();
    view.strangers.clear();
    view.refused = false;
    if (sweep) {
        for (Shadow& one : view.shadows) {
            look(run, host, view, one, true);
        }
        check::time_wait(run, host);
    }
    if (view.held > run.host(host).pool().bytes_in_use()) {
        // What a user has let go of leaves no trace: count anew before saying anything.
        for (Shadow& one : view.shadows) {
            look(run, host, view, one, false);
        }
        check::memory(run, host, view.held, false);
    }
    before_ = work;
}

void Checkers::at_rest(Simulation& run) {
    for (std::uint16_t i = 0; i < run.scenario().flows.size(); ++i) {
        check::content(run, i, kNoNode);
        check::once(run, i, kNoNode);
    }
    check::completion(run);
    tally_.flows += run.scenario().flows.size();
    for (const NodeId id : run.hosts()) {
        HostView& view = hosts_[id];
        follow_records(run, id);
        for (Shadow& one : view.shadows) {
            if (run.machine(id).paused == 0) {
                look(run, id, view, one, true);
            }
        }
        check::time_wait(run, id);
        check::memory(run, id, view.held, run.result().outcome == RunOutcome::rest);
    }
}

}  // namespace runnel::sim
