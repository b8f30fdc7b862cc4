// One connection's two ends: connect, write and read what the kind of flow allows, say that all is written,
// close; and what must be true of what is read.
#include <algorithm>

#include "runnel/sim/pattern.hpp"
#include "runnel/sim/run.hpp"
#include "runnel/sim/workload/kinds.hpp"

namespace runnel::sim {

using tcp::Readiness;

void Workload::is_wrong(Place place, std::string_view what, std::uint64_t at) {
    FlowResult& result = results_[place.flow];
    if (!result.mismatch) {
        result.mismatch = true;
        result.wrong = what;
        result.wrong_at = at;
    }
}

void Workload::tell(CallKind kind, Place place, std::size_t length, Result<std::size_t> result) {
    const SessionEnd& end = end_of(place);
    if (!result && result.error() == Errc::would_block) {
        return;
    }
    run_.calling({.kind = kind,
                  .host = end.host,
                  .flow = place.flow,
                  .socket = end.socket,
                  .length = length,
                  .done = result.value_or(0),
                  .error = result ? Errc::ok : result.error()});
}

void Workload::fail(Place place, Errc error) {
    FlowResult& result = results_[place.flow];
    if (result.error[place.side] == Errc::ok) {
        result.error[place.side] = error;
    }
    close(place);
}

/// Room for so many octets, which the next call takes back.
MutableBytes Workload::room(std::size_t size) {
    if (buffer_.size() < size) {
        buffer_.resize(size);
    }
    return MutableBytes(buffer_).first(size);
}

/// The end has nothing more to do.
void Workload::close(Place place) {
    SessionEnd& end = end_of(place);
    if (end.closed) {
        return;
    }
    end.closed = true;
    if (!end.socket.is_none()) {
        SocketLayer& sockets = run_.sockets(end.host);
        tell(CallKind::close, place);
        (void)sockets.close(end.socket, run_.local_now(end.host));
        forget(end.host, end.socket);
        end.socket = {};
    }
    ended(place);
}

void Workload::abort(Place place) {
    SessionEnd& end = end_of(place);
    results_[place.flow].cut = true;
    if (!end.socket.is_none()) {
        tell(CallKind::abort, place);
        (void)run_.sockets(end.host).abort(end.socket, run_.local_now(end.host));
        forget(end.host, end.socket);
        end.socket = {};
    }
    close(place);
}

void Workload::wake(Place place) {
    SessionEnd& end = end_of(place);
    end.wake_planned = false;
    ++end.wakes;
    if (!end.closed && end.connected) {
        advance(place);
    }
}

void Workload::plan_wake(Place place) {
    SessionEnd& end = end_of(place);
    const Duration pause = std::max(states_[place.flow].flow->pause, milliseconds(1));
    if (!end.wake_planned) {
        end.wake_planned = true;
        run_.wake_at(run_.now() + pause, place.flow, place.session);
    }
}

/// Whether the handshake is over; it may have ended badly.
bool Workload::connected(Place place) {
    SessionEnd& end = end_of(place);
    if (end.connected) {
        return true;
    }
    SocketLayer& sockets = run_.sockets(end.host);
    if ((sockets.readiness(end.socket).bits & Readiness::kWritable) == 0) {
        return false;
    }
    const auto error = sockets.get_option(end.socket, SocketOption::error);
    if (const auto code = static_cast<Errc>(error.value_or(0)); code != Errc::ok) {
        fail(place, code);
        return false;
    }
    end.connected = true;
    return true;
}

void Workload::advance(Place place) {
    const State& state = states_[place.flow];
    SessionEnd& end = end_of(place);
    if (end.socket.is_none() || !connected(place)) {
        return;
    }
    if (const std::optional<bool> breaks_off = run_.close_in_callback(place.flow)) {
        results_[place.flow].cut = true;
        return *breaks_off ? abort(place) : close(place);
    }
    // What has been read may allow to write, and the end of the stream to answer.
    for (bool more = true; more && !end.closed;) {
        more = send_some(place);
        more = receive_some(place) || more;
    }
    if (end.closed) {
        return;
    }
    const Leave leave = leave_of(*state.flow, end, place.side);
    if (leave.pause) {
        plan_wake(place);
    }
    run_.called(place.flow, end.host, end.tuple);
    if (leave.abort) {
        abort(place);
    } else if (end.shut && end.end_seen) {
        close(place);
    }
}

/// Writes as much as is allowed and taken; whether anything was.
bool Workload::send_some(Place place) {
    State& state = states_[place.flow];
    SessionEnd& end = end_of(place);
    SocketLayer& sockets = run_.sockets(end.host);
    const Instant now = run_.local_now(end.host);
    const std::uint64_t before = end.sent;
    const std::uint32_t most = write_size(*state.flow, place.side);
    while (!end.shut && !end.closed) {
        const Leave leave = leave_of(*state.flow, end, place.side);
        if (end.sent == end.to_send) {
            if (leave.shut) {
                end.shut = true;
                tell(CallKind::shutdown, place);
                if (Status shut = sockets.shutdown(end.socket, ShutdownHow::send, now); !shut) {
                    fail(place, shut.error());
                }
            }
            break;
        }
        const std::uint64_t until = std::min(end.to_send, leave.send_until);
        if (end.sent >= until) {
            break;
        }
        if ((sockets.readiness(end.socket).bits & Readiness::kWritable) == 0) {
            break;  // what would be refused need not be made
        }
        const MutableBytes octets =
            room(state.random.below(std::min<std::uint64_t>(until - end.sent, most)) + 1);
        fill_pattern(end.send_seed, end.sent, octets);
        const auto taken = sockets.send(end.socket, octets, {}, now);
        tell(CallKind::write, place, octets.size(), taken);
        if (!taken) {
            if (taken.error() != Errc::would_block) {
                fail(place, taken.error());
            }
            break;
        }
        end.sent += *taken;
        results_[place.flow].sent[place.side] += *taken;
        if (*taken < octets.size()) {
            break;  // no room for more
        }
    }
    return end.sent != before;
}

/// Reads as much as is allowed and there; whether anything was, be it the end.
bool Workload::receive_some(Place place) {
    State& state = states_[place.flow];
    SessionEnd& end = end_of(place);
    SocketLayer& sockets = run_.sockets(end.host);
    bool any = false;
    while (!end.end_seen && !end.closed) {
        const Leave leave = leave_of(*state.flow, end, place.side);
        if (end.received >= leave.read_until) {
            break;
        }
        const std::uint64_t most = std::min<std::uint64_t>(
            std::max<std::uint32_t>(state.flow->call, 1), leave.read_until - end.received);
        const MutableBytes octets = room(state.random.below(most) + 1);
        const auto got = sockets.receive(end.socket, octets, {}, run_.local_now(end.host));
        tell(CallKind::read, place, octets.size(), got);
        if (!got) {
            if (got.error() != Errc::would_block) {
                fail(place, got.error());
            }
            break;
        }
        any = true;
        if (*got == 0) {
            check_end(place);
        } else {
            check_octets(place, octets.first(*got));
        }
    }
    return any;
}

/// Content, exactly once, prefix: each octet is the one that stands there, and has been written before.
void Workload::check_octets(Place place, Bytes bytes) {
    SessionEnd& end = end_of(place);
    const SessionEnd& peer =
        states_[place.flow].sessions[place.session].end[place.side == 0 ? 1 : 0];
    const std::size_t same = compare_pattern(end.receive_seed, end.received, bytes);
    if (same != bytes.size()) {
        is_wrong(place, "an octet is not the one that was written there", end.received + same);
    }
    end.received += bytes.size();
    results_[place.flow].received[place.side] += bytes.size();
    if (end.received > peer.sent) {
        is_wrong(place, "more was read than has been written", peer.sent);
    }
}

/// The end of the stream comes once, after the last octet that was written, and when the writer has said so.
void Workload::check_end(Place place) {
    SessionEnd& end = end_of(place);
    const SessionEnd& peer =
        states_[place.flow].sessions[place.session].end[place.side == 0 ? 1 : 0];
    end.end_seen = true;
    if (end.received != peer.sent || !(peer.shut || peer.closed)) {
        is_wrong(place, "the stream has ended too early", end.received);
    }
    std::byte one[1];
    const auto again =
        run_.sockets(end.host).receive(end.socket, one, {}, run_.local_now(end.host));
    if (again.value_or(0) != 0 && results_[place.flow].repeated.empty()) {
        results_[place.flow].repeated = "something was read after the end of the stream";
    }
}

}  // namespace runnel::sim
