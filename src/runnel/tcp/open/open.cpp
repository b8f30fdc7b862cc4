// OPEN (RFC 9293 §3.10.1), passive and active, and SEGMENT ARRIVES in LISTEN (§3.10.7.2).
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/close/reset.hpp"
#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/open/isn.hpp"
#include "runnel/tcp/open/offer.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

namespace {

/// Whether something bound to `asked` (`dual_stack`: `::` stands for IPv4 too) would meet what a connection
/// from `used` gets.
bool overlap(const IpAddress& used, const IpAddress& asked, bool dual_stack) {
    const bool same_family = used.family() == asked.family();
    return used == asked || (asked.is_unspecified() && (same_family || dual_stack));
}

}  // namespace

Connection* StackState::open(const FourTuple& tuple, std::uint32_t path_mtu,
                             const ConnectionOptions& options, Instant now) {
    Connection* connection = connections_.emplace();
    if (connection == nullptr) {
        return nullptr;
    }
    Tcb& tcb = connection->tcb;
    if (!demux_.insert(tuple, ConnectionHandle::from_packed(tcb.handle).index)) {
        connections_.erase(*connection);
        return nullptr;
    }
    tcb.tuple = tuple;
    tcb.user = options;
    if (options.congestion_control) {
        tcb.controller.use(*options.congestion_control, config_);
    }
    tcb.path_mtu = path_mtu;
    tcb.opened_at = now;
    tcb.last_received = now;
    const Offer offer = make_offer(tuple, path_mtu, options, config_);
    tcb.options.local_mss = offer.mss;
    tcb.options.receive_scale = offer.scale;
    tcb.options.ts_offset = timestamp_offset(timestamp_key_, tuple);
    tcb.receive_limit = offer.receive_limit;
    start_at(tcb, initial_sequence(isn_key_, tuple, now));
    return connection;
}

void StackState::start_at(Tcb& tcb, SeqNum iss) {
    tcb.snd.iss = first_seq(iss);
    tcb.snd.una = tcb.snd.nxt = tcb.snd.up = tcb.snd.small_end = tcb.recovery.point = tcb.snd.iss;
    tcb.send.start(tcb.snd.iss + 1);
}

/// RFC 9293 §3.6.1: the ISN of a connection out of TIME-WAIT lies beyond everything the old one used.
void StackState::start_beyond(Tcb& tcb, SeqNum not_below) {
    if (tcb.snd.iss.wire().offset_from(not_below) < 0) {
        start_at(tcb, not_below);
    }
}

/// Whether an active OPEN may take over what the demux entry `held` stands for: TIME-WAIT, once our timestamps
/// are certain to be newer than any of the old connection's (RFC 9293 §3.6.1, SHLD-4; RFC 6191; Linux waits a
/// second too).
bool StackState::reusable(std::uint32_t held, Instant now) {
    if ((held & kTimeWait) == 0 || !config_.time_wait_reuse || !config_.timestamps) {
        return false;
    }
    const TimeWaitEntry& entry = time_wait_.at(held - kTimeWait);
    const Instant begun = entry.expires - config_.msl * 2;
    return entry.timestamps && now - std::max(begun, entry.last_answer) > seconds(1);
}

Result<ConnectionHandle> StackState::connect(Endpoint local, Endpoint remote,
                                             std::uint32_t path_mtu,
                                             const ConnectionOptions& options, Instant now) {
    // RFC 9293 §3.9.1.1, MUST-46. A subnet's broadcast address is known to IP alone, which is asked before.
    const IpAddress& to = remote.address;
    if (to.is_unspecified() || to.is_multicast() || to.is_limited_broadcast()) {
        return fail(Errc::argument_invalid);
    }
    const auto free = [&](std::uint16_t port) {
        const Endpoint candidate{local.address, port};
        if (!listeners_.lookup(candidate).is_none()) {
            return false;
        }
        const auto held = demux_.find(FourTuple{candidate, remote});
        return !held || reusable(*held, now);
    };
    if (local.port == 0) {
        const auto port =
            ports_.choose({config_.port_low, config_.port_high}, local.address, remote, free);
        if (!port) {
            return fail(Errc::address_not_available);
        }
        local.port = *port;
    }
    SeqNum not_below;
    const auto held = demux_.find(FourTuple{local, remote});
    if (held) {
        if (!reusable(*held, now)) {
            return fail(Errc::address_in_use);
        }
        const std::uint32_t index = *held - kTimeWait;
        not_below = time_wait_.at(index).snd_nxt + kBeyondOldIncarnation;
        (void)demux_.erase(FourTuple{local, remote});
        time_wait_.erase(index);
    }
    Connection* connection = open({local, remote}, path_mtu, options, now);
    if (connection == nullptr) {
        return fail(Errc::too_many_open);
    }
    if (held) {
        start_beyond(connection->tcb, not_below);
    }
    const auto handle = ConnectionHandle::from_packed(connection->tcb.handle);
    prepare_fast_open(connection->tcb, now);
    ask_for_ecn(connection->tcb, config_);
    event(*connection, now,
          [](Tcb& tcb, Effects& effects) { effects.enter(tcb, State::syn_sent); });
    return handle;
}

void StackState::on_listener(ListenerHandle handle, ArrivingSegment& segment, SeqNum not_below,
                             bool reuse, Instant now) {
    const TcpFlags flags = segment.header.flags;
    // §3.10.7.2: first RST, second ACK, third SYN, fourth anything else.
    if (flags.rst()) {
        return record(Decision::tcp_drop_rst_listen, segment, now);
    }
    if (!segment.to_unicast) {
        return record(Decision::tcp_drop_group_address, segment,
                      now);  // RFC 9293 §3.9.2.3, MUST-57
    }
    Listener& listener = *listeners_.find(handle);
    const Md5Key* md5 = listener.md5_key(segment.tuple.remote.address);
    if (wrongly_signed(segment, md5, now)) {
        return;
    }
    if (flags.ack()) {
        if (take_cookie(handle, segment, now)) {
            return;
        }
        const bool flooded = now < listener.cookies_until;
        record(flooded ? Decision::tcp_drop_bad_cookie : Decision::tcp_drop_ack_listen, segment,
               now);
        ControlSegment reset = make_reset(segment.tuple, segment.header, segment.payload_size,
                                          Decision::tcp_transmit_rst_no_connection);
        if (md5 != nullptr) {
            sign(reset.tuple, reset.header, {}, *md5);
        }
        return push_control(reset, now);
    }
    if (!flags.syn()) {
        return record(Decision::tcp_drop_no_syn, segment, now);
    }
    if (segment.tuple.local == segment.tuple.remote) {
        return record(Decision::tcp_drop_land, segment, now);
    }
    if (listener.full()) {
        return record(Decision::tcp_drop_accept_queue_full, segment, now);
    }
    // Who comes out of TIME-WAIT has shown that it exists, and its ISN has to lie beyond the old one (Linux).
    const bool full = listener.backlog_full(config_.max_syn_backlog);
    if (!reuse && config_.syn_cookies != 0 && (full || config_.syn_cookies == 2)) {
        return answer_with_cookie(listener, segment, now);
    }
    if (!reuse && full) {
        return record(Decision::tcp_drop_syn_backlog, segment, now);
    }
    const FastOpenVerdict fast = judge_fast_open(listener, segment, now);
    Connection* connection = open(segment.tuple, segment.path_mtu, listener.options, now);
    if (connection == nullptr) {
        return record(Decision::tcp_drop_no_memory, segment, now);
    }
    if (reuse) {
        start_beyond(connection->tcb, not_below);
    }
    start_embryo(*connection, handle, segment.header, now);
    event(*connection, now, [&](Tcb& t, Effects& effects) {
        ++t.counters.segments_received;
        t.state = State::listen;
        effects.enter(t, State::syn_received);
        const bool more = segment.payload_size > 0 || flags.fin();
        record(fast.accept ? Decision::tcp_accept_syn_fast_open
               : more      ? Decision::tcp_accept_syn_text_left
                           : Decision::tcp_accept_syn,
               segment, now);
        take_ecn_offer(t, segment.header, segment.traffic_class & 3, effects);
        start_fast_open(*connection, fast, segment, effects);
    });
}

/// RFC 9293 §3.10.7.2: what a connection of `handle` takes out of the peer's SYN.
void StackState::start_embryo(Connection& connection, ListenerHandle handle, const TcpHeader& syn,
                              Instant now) {
    // RFC 9293 §3.9.1.1, MUST-45: the tuple has the address the SYN came to.
    Tcb& tcb = connection.tcb;
    tcb.passive = true;
    tcb.embryo = true;
    tcb.listener = handle.packed();
    tcb.user.priority = 0;  // of the listener's options Linux keeps this one back
    Listener& listener = *listeners_.find(handle);
    ++listener.embryos;
    if (const Md5Key* md5 = listener.md5_key(tcb.tuple.remote.address)) {
        tcb.md5 = std::make_unique<Md5Key>(*md5);
    }
    tcb.rcv.irs = first_seq(syn.seq);
    tcb.rcv.nxt = tcb.rcv.irs + 1;
    tcb.rcv.last_ack_sent = tcb.rcv.nxt;
    tcb.rcv.right_edge = tcb.rcv.nxt;
    tcb.snd.wnd = syn.window;
    tcb.snd.max_wnd = tcb.snd.wnd;
    negotiate(tcb, syn, config_, now);
}

void StackState::promote(Connection& connection, Instant) {
    Tcb& tcb = connection.tcb;
    const auto handle = ListenerHandle::from_packed(tcb.listener);
    Listener* listener = listeners_.find(handle);
    forget_embryo(tcb);
    if (listener == nullptr) {
        return;
    }
    listener->accept_queue.push_back(tcb.handle);
    queue_event(handle, *listener);
}

Result<ConnectionHandle> StackState::accept(ListenerHandle handle, Instant now) {
    Listener* listener = listeners_.find(handle);
    if (listener == nullptr) {
        return fail(Errc::argument_invalid);
    }
    if (listener->accept_queue.empty()) {
        return fail(Errc::would_block);
    }
    const auto accepted = ConnectionHandle::from_packed(listener->accept_queue.front());
    listener->accept_queue.pop_front();
    Connection* connection = connections_.find_awake(accepted);  // only accepted ones sleep
    connection->tcb.listener = 0;
    // What came before the user knew of the connection is told at once.
    queue_event(connection->tcb);
    rearm(*connection, now);
    if (!listener->accept_queue.empty()) {
        queue_event(handle, *listener);
    }
    return accepted;
}

void StackState::close_listener(ListenerHandle handle, Instant now) {
    if (listeners_.find(handle) == nullptr) {
        return;
    }
    // Connections nobody has accepted, and those still opening, are reset (Linux; the peer can't be served).
    std::vector<ConnectionHandle> waiting;
    connections_.for_each_awake([&](Connection& c) {
        if (c.tcb.listener == handle.packed()) {
            waiting.push_back(ConnectionHandle::from_packed(c.tcb.handle));
        }
    });
    for (const ConnectionHandle connection : waiting) {
        Connection* c = connections_.find_awake(connection);
        c->tcb.orphan = true;
        ++orphans_;
        if (c->tcb.detached) {
            erase(*c);
            continue;
        }
        event(*c, now, [](Tcb& tcb, Effects&) {
            tcb.receive.clear();
            tcb.reset_due = true;
        });
    }
    for (const ConnectionHandle connection : waiting) {
        if (Connection* c = connections_.find_awake(connection)) {
            c->tcb.listener = 0;
            c->tcb.embryo = false;
        }
    }
    listeners_.erase(handle);
}

std::optional<std::uint16_t> StackState::free_port(const IpAddress& address, Instant) {
    // One look at everything, not one for each port.
    std::vector<bool> taken(65'536);
    const auto take = [&](const Endpoint& local) {
        if (overlap(local.address, address, true)) {
            taken[local.port] = true;
        }
    };
    connections_.for_each_on_wire([&](const FourTuple& tuple) { take(tuple.local); });
    time_wait_.entries().for_each([&](auto, TimeWaitEntry& entry) { take(entry.tuple.local); });
    const auto free = [&](std::uint16_t port) {
        return !taken[port] && !listeners_.conflicts({address, port}, true);
    };
    return ports_.choose({config_.port_low, config_.port_high}, address, Endpoint{}, free);
}

bool StackState::local_in_use(const Endpoint& local, bool dual_stack) {
    if (listeners_.conflicts(local, dual_stack)) {
        return true;
    }
    bool used = false;
    const auto look = [&](const Endpoint& other) {
        used =
            used || (other.port == local.port && overlap(other.address, local.address, dual_stack));
    };
    connections_.for_each_on_wire([&](const FourTuple& tuple) { look(tuple.local); });
    time_wait_.entries().for_each([&](auto, TimeWaitEntry& entry) { look(entry.tuple.local); });
    return used;
}

}  // namespace runnel::tcp
