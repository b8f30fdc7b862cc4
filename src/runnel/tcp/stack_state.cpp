// The stack's own paths: events and what follows from them, the round of those who have something to send,
// and time.
#include "runnel/tcp/stack_state.hpp"

#include <algorithm>

#include "runnel/tcp/calls/calls.hpp"
#include "runnel/tcp/close/reset.hpp"
#include "runnel/tcp/open/isn.hpp"
#include "runnel/tcp/timeouts/timeouts.hpp"

namespace runnel::tcp {

namespace {
// Each use of the secret has a key of its own (DESIGN §5).
enum KeyUse : std::uint64_t {
    kIsnKey = 1,
    kTimestampKey = 2,
    kDemuxKey = 3,
    kPortKey = 4,
    kCookieKey = 5,
    kFastOpenKey = 6
};
}  // namespace

StackState::StackState(BufferPool& pool, FlightRecorder& recorder, const TcpConfig& config,
                       const SipKey& secret)
    : config_(config),
      pool_(pool),
      recorder_(recorder),
      context_{pool_, recorder_, config_, control_, challenges_},
      isn_key_(derive_key(secret, kIsnKey)),
      timestamp_key_(derive_key(secret, kTimestampKey)),
      cookies_(derive_key(secret, kCookieKey)),
      fast_open_keys_(
          config.fast_open_keys.value_or(FastOpenKeys{derive_key(secret, kFastOpenKey), {}})),
      connections_(config_, wheel_),
      time_wait_(config.max_time_wait),
      listeners_(kMaxListeners),
      demux_(derive_key(secret, kDemuxKey)),
      ports_(derive_key(secret, kPortKey)) {}

void StackState::mark_ready(Tcb& tcb) {
    if (tcb.ready_queued || tcb.detached) {
        return;
    }
    tcb.ready_queued = true;
    ready_.push_back(tcb.handle);
}

void StackState::queue_event(Tcb& tcb) {
    if (tcb.event_queued || tcb.orphan || tcb.listener != 0) {
        return;
    }
    tcb.event_queued = true;
    events_.push_back({false, tcb.handle});
}

void StackState::queue_event(ListenerHandle handle, Listener& listener) {
    if (listener.event_queued) {
        return;
    }
    listener.event_queued = true;
    events_.push_back({true, handle.packed()});
}

void StackState::take_events(std::vector<UserEvent>& out) {
    out.clear();
    std::swap(out, events_);
    for (const UserEvent& event : out) {
        if (event.is_listener) {
            if (Listener* l = listeners_.find(ListenerHandle::from_packed(event.handle))) {
                l->event_queued = false;
            }
        } else if (Connection* c =
                       connections_.find_awake(ConnectionHandle::from_packed(event.handle))) {
            c->tcb.event_queued = false;
        }
    }
}

void StackState::take_suspects(std::vector<IpAddress>& out) {
    out.clear();
    std::swap(out, suspects_);
}

void StackState::rearm(Connection& connection, Instant now) {
    // Its own deadlines, and a look whether it has become quiet.
    Instant next = connection.tcb.timers.earliest();
    if (may_sleep(connection.tcb)) {
        next = std::min(next, now + config_.sleep_after);
    }
    // A deadline that moved later leaves the wheel alone: it fires once for nothing and is armed anew then.
    // So the usual ACK, which pushes the retransmission timer out, costs no wheel operation.
    if (next < connection.node.deadline) {
        wheel_.schedule(connection.node, next);
    }
}

void StackState::finish(Connection& connection, Effects& effects, bool may_send) {
    Tcb& tcb = connection.tcb;
    if (effects.established && tcb.embryo) {
        promote(connection, effects.now);
    }
    if (tcb.fast_open != nullptr) {
        settle_fast_open(tcb, effects.now);
    }
    if (effects.wake()) {
        queue_event(tcb);
    }
    switch (effects.fate) {
        case Fate::time_wait: to_time_wait(connection, effects.now); return;
        case Fate::closed: leave_wire(connection); return;
        case Fate::none: break;
    }
    if (may_send) {
        mark_ready(tcb);
    }
    rearm(connection, effects.now);
}

void StackState::leave_wire(Connection& connection) {
    Tcb& tcb = connection.tcb;
    remember_end(tcb);
    if (!tcb.detached) {
        (void)demux_.erase(tcb.tuple);
    }
    tcb.detached = true;
    tcb.reset_due = false;
    tcb.timers.cancel_all();
    wheel_.cancel(connection.node);
    tcb.send.clear();
    tcb.retransmission.clear();
    tcb.reassembler.clear();
    if (tcb.notices != nullptr) {
        tcb.notices->give_up();
    }
    // An embryo that nobody knows of goes without a word; one in the accept queue stays to be accepted.
    if (tcb.embryo) {
        forget_embryo(tcb);
        erase(connection);
        return;
    }
    if (tcb.orphan) {
        erase(connection);
    }
}

void StackState::forget_embryo(Tcb& tcb) {
    if (Listener* listener = listeners_.find(ListenerHandle::from_packed(tcb.listener))) {
        --listener->embryos;
    }
    tcb.embryo = false;
}

void StackState::abort_orphan(Tcb& tcb, Effects& effects) {
    effects.decide(tcb, Decision::tcp_note_too_many_orphans);
    abort_connection(tcb, effects);
}

void StackState::erase(Connection& connection) {
    if (connection.tcb.orphan) {
        --orphans_;
    }
    connections_.erase(connection);
}

void StackState::to_time_wait(Connection& connection, Instant now) {
    Tcb& tcb = connection.tcb;
    TimeWaitEntry entry;
    entry.tuple = tcb.tuple;
    entry.snd_nxt = tcb.snd.nxt.wire();
    entry.rcv_nxt = tcb.rcv.nxt.wire();
    entry.ts_recent = tcb.options.ts_recent;
    entry.ts_offset = tcb.options.ts_offset;
    entry.timestamps = tcb.options.timestamps;
    entry.window = advertise_window(tcb, false);
    entry.window_scale = tcb.options.receive_scale;
    entry.traffic_class = tcb.user.traffic_class;
    entry.hop_limit = tcb.user.hop_limit;
    // RFC 9293 §3.6.1, MUST-13.
    entry.expires = now + config_.msl * 2;
    entry.md5 = std::move(tcb.md5);
    if (tcb.ack.any()) {
        push_control(time_wait_ack(entry, now), now);
    }
    const std::optional<std::uint32_t> index = time_wait_.insert(std::move(entry));
    if (index) {
        (void)demux_.replace(tcb.tuple, kTimeWait | *index);
        tcb.detached = true;
    }
    leave_wire(connection);
}

void StackState::push_control(const ControlSegment& segment, Instant now) {
    Effects effects(context_, now);
    effects.reply(segment);
}

bool StackState::poll_transmit(Instant now, OutgoingSegment& out) {
    if (!control_.empty()) {
        const ControlSegment& segment = control_.front();
        out.tuple = segment.tuple;
        out.header = segment.header;
        out.payload.clear();
        out.payload_size = 0;
        out.gso_size = 0;
        out.keep_cwr = false;
        out.traffic_class = segment.traffic_class;
        out.hop_limit = segment.hop_limit != 0 ? segment.hop_limit : config_.hop_limit;
        out.reason = segment.reason;
        EventRecord entry;
        entry.time = now;
        entry.decision = segment.reason;
        entry.seq = segment.header.seq.value;
        entry.ack = segment.header.ack.value;
        entry.flags = segment.header.flags.bits;
        entry.window = segment.header.window;
        recorder_.record(entry);
        control_.pop_front();
        return true;
    }
    while (!ready_.empty()) {
        const auto handle = ConnectionHandle::from_packed(ready_.front());
        ready_.pop_front();
        Connection* connection = connections_.find_awake(handle);
        if (connection == nullptr) {
            continue;
        }
        connection->tcb.ready_queued = false;
        Effects effects(context_, now);
        // RFC 9293 §3.10.7.4, MUST-58, MUST-59: all that has arrived was taken before anybody is asked to send.
        // Fair: whoever has sent one (super-)segment goes to the end of the round.
        const bool sent = transmit_next(connection->tcb, effects, out);
        finish(*connection, effects, sent);
        if (sent) {
            return true;
        }
    }
    return false;
}

Instant StackState::next_timeout() {
    if (!control_.empty() || !ready_.empty()) {
        return Instant{0};  // at once: poll_transmit has work
    }
    return std::min(wheel_.next_deadline(), time_wait_.next_expiry());
}

void StackState::on_deadline(Connection& connection, Instant now) {
    Tcb& tcb = connection.tcb;
    if (tcb.timers.earliest() <= now) {
        Effects effects(context_, now);
        on_timers(tcb, effects);
        if (effects.suspect && suspects_.size() < Stack::kMaxSuspects) {
            suspects_.push_back(tcb.tuple.remote.address);
        }
        if (effects.swallowed) {
            fast_open_cache_.pause(now);
        }
        finish(connection, effects, true);
        return;
    }
    const Instant last = std::max(tcb.last_received, tcb.last_data_sent);
    if (now < last + config_.sleep_after) {
        rearm(connection, now);
    } else if (is_quiet(tcb)) {
        connections_.sleep(connection);
    } else {
        // The next event looks again whether it may sleep.
        tcb.release_idle_storage();
        wheel_.schedule(connection.node, tcb.timers.earliest());
    }
}

void StackState::on_timeout(Instant now) {
    wheel_.expire(now, [&](TimerNode& node) {
        const auto handle = ConnectionHandle::from_packed(node.owner);
        if (Connection* connection = connections_.find(handle, now)) {
            on_deadline(*connection, now);
        }
    });
    while (const auto index = time_wait_.expired(now)) {
        (void)demux_.erase(time_wait_.at(*index).tuple);
        time_wait_.erase(*index);
    }
}

}  // namespace runnel::tcp
