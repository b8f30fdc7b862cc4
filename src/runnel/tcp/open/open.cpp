// OPEN (RFC 9293 §3.10.1), passive and active, and SEGMENT ARRIVES in LISTEN (§3.10.7.2).
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/close/reset.hpp"
#include "runnel/tcp/open/isn.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

namespace {

/// The least shift with which the greatest window still fits in 16 bits (RFC 7323 §2.2).
std::uint8_t window_shift(std::uint32_t greatest) {
    std::uint8_t shift = 0;
    while (shift < 14 && (std::uint64_t{65'535} << shift) < greatest) {
        ++shift;
    }
    return shift;
}

/// Whether something bound to `asked` (`dual_stack`: `::` stands for IPv4 too) would meet what a connection
/// from `used` gets.
bool overlap(const IpAddress& used, const IpAddress& asked, bool dual_stack) {
    const bool same_family = used.family() == asked.family();
    return used == asked || (asked.is_unspecified() && (same_family || dual_stack));
}

std::uint16_t local_mss(const FourTuple& tuple, std::uint32_t path_mtu,
                        const ConnectionOptions& options) {
    // SHLD-6: the MTU is that of the way to this peer, as known now.
    const std::uint32_t headers = tuple.local.address.is_v4() ? 40 : 60;
    const std::uint32_t mss =
        std::clamp<std::uint32_t>(path_mtu - std::min(path_mtu, headers), 48, 65'535 - 60);
    // MUST-67: the MTU less the fixed headers, options not subtracted.
    return static_cast<std::uint16_t>(
        options.maximum_segment != 0 ? std::min<std::uint32_t>(mss, options.maximum_segment) : mss);
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
        tcb.controller.use(*options.congestion_control);
    }
    tcb.path_mtu = path_mtu;
    tcb.opened_at = now;
    tcb.last_received = now;
    tcb.options.local_mss = local_mss(tuple, path_mtu, options);
    tcb.options.receive_scale =
        config_.window_scaling ? window_shift(tcb.receive_limit_max(config_)) : 0;
    tcb.options.ts_offset = timestamp_offset(timestamp_key_, tuple);
    tcb.receive_limit = options.receive_buffer != 0
                            ? options.receive_buffer
                            : std::min(config_.initial_receive_window, config_.receive_buffer);
    tcb.snd.iss = first_seq(initial_sequence(isn_key_, tuple, now));
    tcb.snd.una = tcb.snd.iss;
    tcb.snd.nxt = tcb.snd.iss;
    tcb.snd.up = tcb.snd.iss;
    tcb.snd.small_end = tcb.snd.iss;
    tcb.recovery.point = tcb.snd.iss;
    tcb.send.start(tcb.snd.iss + 1);
    return connection;
}

/// RFC 9293 §3.6.1: the ISN of a connection out of TIME-WAIT lies beyond everything the old one used.
void StackState::start_beyond(Tcb& tcb, SeqNum not_below) {
    if (tcb.snd.iss.wire().offset_from(not_below) >= 0) {
        return;
    }
    tcb.snd.iss = first_seq(not_below);
    tcb.snd.una = tcb.snd.nxt = tcb.snd.up = tcb.snd.small_end = tcb.recovery.point = tcb.snd.iss;
    tcb.send.start(tcb.snd.iss + 1);
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
    const Md5Key* md5 = listeners_.find(handle)->md5_key(segment.tuple.remote.address);
    if (wrongly_signed(segment, md5, now)) {
        return;
    }
    if (flags.ack()) {
        record(Decision::tcp_drop_ack_listen, segment, now);
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
    Listener& listener = *listeners_.find(handle);
    if (listener.full()) {
        return record(Decision::tcp_drop_accept_queue_full, segment, now);
    }
    if (listener.embryos >= config_.max_syn_backlog) {
        return record(Decision::tcp_drop_syn_backlog, segment, now);
    }
    Connection* connection = open(segment.tuple, segment.path_mtu, listener.options, now);
    if (connection == nullptr) {
        return record(Decision::tcp_drop_no_memory, segment, now);
    }
    Tcb& tcb = connection->tcb;
    if (reuse) {
        start_beyond(tcb, not_below);
    }
    if (md5 != nullptr) {
        tcb.md5 = std::make_unique<Md5Key>(*md5);
    }
    tcb.passive = true;
    tcb.user.priority = 0;  // of the listener's options Linux keeps this one back
    tcb.embryo = true;
    tcb.listener = handle.packed();
    ++listener.embryos;
    event(*connection, now, [&](Tcb& t, Effects& effects) {
        // RFC 9293 §3.9.1.1, MUST-45: the tuple has the address the SYN came to.
        ++t.counters.segments_received;
        t.rcv.irs = first_seq(segment.header.seq);
        t.rcv.nxt = t.rcv.irs + 1;
        t.rcv.last_ack_sent = t.rcv.nxt;
        t.rcv.right_edge = t.rcv.nxt;
        t.snd.wnd = segment.header.window;
        t.snd.max_wnd = t.snd.wnd;
        negotiate(t, segment.header, config_, now);
        t.state = State::listen;
        effects.enter(t, State::syn_received);
        const bool more = segment.payload_size > 0 || flags.fin();
        record(more ? Decision::tcp_accept_syn_text_left : Decision::tcp_accept_syn, segment, now);
    });
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
