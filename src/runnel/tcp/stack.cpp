// The public face of a host's TCP: each call finds its connection and runs one event on it.
#include "runnel/tcp/stack.hpp"

#include <algorithm>
#include <utility>

#include "runnel/tcp/calls/calls.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

namespace {

/// The connection of a user who hasn't let go of it: CLOSE and ABORT end what a handle may do.
Connection* owned(StackState& state, ConnectionHandle handle, Instant now) {
    Connection* connection = state.connections().find(handle, now);
    return connection != nullptr && !connection->tcb.orphan ? connection : nullptr;
}

}  // namespace

Stack::Stack(BufferPool& pool, FlightRecorder& recorder, const TcpConfig& config,
             const SipKey& secret)
    : state_(std::make_unique<StackState>(pool, recorder, config, secret)) {}
Stack::~Stack() = default;

bool Stack::on_segment(ArrivingSegment&& segment, Instant now) {
    return state_->on_segment(std::move(segment), now);
}
bool Stack::on_icmp(const IcmpReport& report, Instant now) {
    return state_->on_icmp(report, now);
}
bool Stack::poll_transmit(Instant now, OutgoingSegment& out) {
    return state_->poll_transmit(now, out);
}
Instant Stack::next_timeout() const {
    return state_->next_timeout();
}
void Stack::on_timeout(Instant now) {
    state_->on_timeout(now);
}
void Stack::take_suspects(std::vector<IpAddress>& out) {
    state_->take_suspects(out);
}

Result<ConnectionHandle> Stack::connect(Endpoint local, Endpoint remote, std::uint32_t path_mtu,
                                        const ConnectionOptions& options, Instant now) {
    return state_->connect(local, remote, path_mtu, options, now);
}

Result<ListenerHandle> Stack::listen(Endpoint local, bool dual_stack, std::uint32_t backlog,
                                     const ConnectionOptions& options) {
    // RFC 9293 §3.9.1.1, MUST-41: a LISTEN that can't be is refused and touches nothing.
    // MUST-42: connections with this port, in whatever state, are no hindrance.
    if (state_->listeners().conflicts(local, dual_stack)) {
        return fail(Errc::address_in_use);
    }
    const std::uint32_t most = std::min(backlog, state_->config().somaxconn);
    ConnectionOptions taken = options;
    taken.ack_mode = AckMode::unchanged;  // Linux: what was said before listen() is forgotten
    const ListenerHandle handle = state_->listeners().insert(local, dual_stack, most, taken);
    if (handle.is_none()) {
        return fail(Errc::too_many_open);
    }
    return handle;
}

std::optional<std::uint16_t> Stack::free_port(const IpAddress& address, Instant now) {
    return state_->free_port(address, now);
}
bool Stack::local_in_use(const Endpoint& local, bool dual_stack) const {
    return state_->local_in_use(local, dual_stack);
}
Result<ConnectionHandle> Stack::accept(ListenerHandle listener, Instant now) {
    return state_->accept(listener, now);
}

void Stack::set_backlog(ListenerHandle handle, std::uint32_t backlog) {
    if (Listener* listener = state_->listeners().find(handle)) {
        listener->backlog = std::min(backlog, state_->config().somaxconn);
    }
}
void Stack::set_options(ListenerHandle handle, const ConnectionOptions& options) {
    if (Listener* listener = state_->listeners().find(handle)) {
        listener->options = options;
    }
}
void Stack::set_fast_open_keys(ListenerHandle handle, const FastOpenKeys& keys) {
    if (Listener* listener = state_->listeners().find(handle)) {
        listener->fast_open_keys = std::make_unique<FastOpenKeys>(keys);
    }
}
bool Stack::fast_open_ready(const FourTuple& tuple, const ConnectionOptions& options,
                            Instant now) const {
    return state_->fast_open_ready(tuple, options, now);
}
void Stack::close_listener(ListenerHandle listener, Instant now) {
    state_->close_listener(listener, now);
}

Result<std::size_t> Stack::send(ConnectionHandle handle, Bytes bytes, SendFlags flags,
                                Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    Result<std::size_t> result = fail(Errc::would_block);
    state_->event(*c, now,
                  [&](Tcb& tcb, Effects& e) { result = send_bytes(tcb, bytes, flags, e); });
    return result;
}

Result<std::size_t> Stack::send_slices(ConnectionHandle handle, std::span<const Slice> slices,
                                       SendFlags flags, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    Result<std::size_t> result = fail(Errc::would_block);
    state_->event(*c, now,
                  [&](Tcb& tcb, Effects& e) { result = tcp::send_slices(tcb, slices, flags, e); });
    return result;
}

Result<std::size_t> Stack::receive(ConnectionHandle handle, MutableBytes into, ReceiveFlags flags,
                                   Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    Result<std::size_t> result = fail(Errc::would_block);
    state_->event(*c, now,
                  [&](Tcb& tcb, Effects& e) { result = receive_bytes(tcb, into, flags, e); });
    return result;
}

Result<SliceList> Stack::receive_slices(ConnectionHandle handle, std::size_t limit, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    Result<SliceList> result = fail(Errc::would_block);
    state_->event(*c, now,
                  [&](Tcb& tcb, Effects& e) { result = tcp::receive_slices(tcb, limit, e); });
    return result;
}

std::size_t Stack::readable(ConnectionHandle handle) const {
    std::size_t octets = 0;
    state_->connections().look(handle, [&](const Tcb& tcb) { octets = readable_octets(tcb); });
    return octets;
}
bool Stack::at_urgent_mark(ConnectionHandle handle) const {
    bool at_mark = false;
    state_->connections().look(handle, [&](const Tcb& tcb) { at_mark = tcp::at_urgent_mark(tcb); });
    return at_mark;
}

Status Stack::shutdown_send(ConnectionHandle handle, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    Status result;
    state_->event(*c, now, [&](Tcb& tcb, Effects& e) { result = close_send(tcb, e); });
    return result;
}

Status Stack::shutdown_receive(ConnectionHandle handle, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    state_->event(*c, now, [&](Tcb& tcb, Effects& e) {
        tcb.receive_shutdown = true;
        e.wake_reader();
    });
    return {};
}

void Stack::close(ConnectionHandle handle, Instant now) {
    if (Connection* c = owned(*state_, handle, now)) {
        state_->release(*c, now, [](Tcb& t, Effects& e) { close_both(t, e); });
    }
}

void Stack::abort(ConnectionHandle handle, Instant now) {
    if (Connection* c = owned(*state_, handle, now)) {
        state_->release(*c, now, [](Tcb& t, Effects& e) { abort_connection(t, e); });
    }
}

Status Stack::set_md5_key(ConnectionHandle handle, const Md5Key* key, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (key != nullptr && !key->covers(c->tcb.tuple.remote.address)) {
        return fail(Errc::argument_invalid);
    }
    c->tcb.md5 = key != nullptr ? std::make_unique<Md5Key>(*key) : nullptr;
    return {};
}

Status Stack::set_md5_keys(ListenerHandle handle, std::span<const Md5Key> keys) {
    Listener* listener = state_->listeners().find(handle);
    if (listener == nullptr || keys.size() > kMaxMd5Keys) {
        return fail(listener == nullptr ? Errc::bad_descriptor : Errc::no_buffer_space);
    }
    listener->md5_keys.assign(keys.begin(), keys.end());
    return {};
}

Status Stack::set_options(ConnectionHandle handle, const ConnectionOptions& options, Instant now) {
    Connection* c = owned(*state_, handle, now);
    if (c == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    state_->event(*c, now, [&](Tcb& tcb, Effects& e) {
        change_options(tcb, options, e.config());
        e.wake_waiting_writer(tcb);
        tcb.writer_waits = !tcb.has_send_room(e.config());
        if (options.receive_buffer != 0) {
            tcb.receive_limit = options.receive_buffer;
        }
        tcb.timers.cancel(Timer::keepalive);  // armed anew with the new times
    });
    return {};
}

const ConnectionOptions* Stack::options(ConnectionHandle handle) const {
    return state_->connections().options(handle);
}

Readiness Stack::readiness(ConnectionHandle handle) const {
    Readiness readiness{Readiness::kHangUp};
    state_->connections().look(
        handle, [&](const Tcb& tcb) { readiness = readiness_of(tcb, state_->config()); });
    return readiness;
}

Readiness Stack::readiness(ListenerHandle handle) const {
    const Listener* listener = state_->listeners().find(handle);
    const bool any = listener != nullptr && !listener->accept_queue.empty();
    return any ? Readiness{Readiness::kReadable} : Readiness{};
}

Errc Stack::take_error(ConnectionHandle handle) {
    if (Connection* c = state_->connections().find_awake(handle)) {
        return std::exchange(c->tcb.error, Errc::ok);
    }
    // A connection with an error doesn't sleep.
    return state_->connections().look(handle, [](const Tcb&) {}) ? Errc::ok : Errc::bad_descriptor;
}

std::optional<QueuedError> Stack::take_queued_error(ConnectionHandle handle) {
    Connection* c = state_->connections().find_awake(handle);  // notices keep it awake
    return c != nullptr && c->tcb.notices != nullptr ? c->tcb.notices->take() : std::nullopt;
}

bool Stack::has_queued_error(ConnectionHandle handle) const {
    const Connection* c = state_->connections().find_awake(handle);
    return c != nullptr && c->tcb.notices != nullptr && c->tcb.notices->waiting();
}

ErrorReport Stack::take_report(ConnectionHandle handle) {
    Connection* c = state_->connections().find_awake(handle);  // a report keeps it awake
    if (c == nullptr || c->tcb.report == ErrorReport::Reason::none) {
        return {};
    }
    const Errc error = c->tcb.soft_error == Errc::ok ? Errc::timed_out : c->tcb.soft_error;
    return {std::exchange(c->tcb.report, ErrorReport::Reason::none), error};
}

std::optional<ConnectionStatus> Stack::status(ConnectionHandle handle) const {
    std::optional<ConnectionStatus> status;
    state_->connections().look(handle,
                               [&](const Tcb& tcb) { status = status_of(tcb, state_->config()); });
    return status;
}

std::optional<FourTuple> Stack::tuple(ConnectionHandle handle) const {
    std::optional<FourTuple> tuple;
    state_->connections().look(handle, [&](const Tcb& tcb) { tuple = tcb.tuple; });
    return tuple;
}

std::optional<Endpoint> Stack::local(ListenerHandle handle) const {
    const Listener* listener = state_->listeners().find(handle);
    if (listener == nullptr) {
        return std::nullopt;
    }
    return listener->local;
}

std::optional<Stack::ListenerQueues> Stack::queues(ListenerHandle handle) const {
    const Listener* listener = state_->listeners().find(handle);
    if (listener == nullptr) {
        return std::nullopt;
    }
    return ListenerQueues{static_cast<std::uint32_t>(listener->accept_queue.size()),
                          listener->backlog};
}

void Stack::snapshot(std::vector<ConnectionStatus>& out, Instant) const {
    state_->snapshot(out);
}
bool Stack::snapshot_page(SnapshotCursor& cursor, std::uint32_t places,
                          std::vector<ConnectionStatus>& out) const {
    return state_->snapshot_page(cursor, places, out);
}
const EndedConnection* Stack::ended(std::size_t back) const {
    return state_->ended(back);
}
TableSizes Stack::sizes() const {
    return state_->sizes();
}
void Stack::take_events(std::vector<UserEvent>& out) {
    state_->take_events(out);
}
const TcpConfig& Stack::config() const {
    return state_->config();
}

void Stack::configure(const TcpConfig& config) {
    state_->configure(config);
}

}  // namespace runnel::tcp
