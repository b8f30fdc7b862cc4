#include "runnel/sim/workload.hpp"

#include <algorithm>

#include "runnel/sim/event.hpp"
#include "runnel/sim/run.hpp"
#include "runnel/sim/transfer.hpp"

namespace runnel::sim {

using tcp::Readiness;

Workload::Workload(Simulation& run) : run_(run), places_(kMaxNodes) {
    const Scenario& scenario = run.scenario();
    index_of_id_.fill(kNoFlow);
    states_.resize(scenario.flows.size());
    results_.resize(scenario.flows.size());
    for (std::size_t i = 0; i < states_.size(); ++i) {
        const Flow& flow = scenario.flows[i];
        State& state = states_[i];
        state.flow = &flow;
        state.random = Random(flow.seed);
        state.end[0] = {.host = flow.client,
                        .to_send = flow.up,
                        .send_seed = flow.seed * 2,
                        .receive_seed = flow.seed * 2 + 1};
        state.end[1] = {.host = flow.server,
                        .to_send = flow.down,
                        .send_seed = flow.seed * 2 + 1,
                        .receive_seed = flow.seed * 2};
        if (index_of_id_[flow.id] == kNoFlow) {
            index_of_id_[flow.id] = static_cast<std::uint16_t>(i);
        }
    }
}

void Workload::remember(NodeId host, SocketId socket, Place place) {
    places_[host].push_back({socket, place});
}

const Workload::Place* Workload::place_of(NodeId host, SocketId socket) const {
    for (const Known& known : places_[host]) {
        if (known.socket == socket) {
            return &known.place;
        }
    }
    return nullptr;
}

void Workload::start(std::uint16_t index) {
    State& state = states_[index];
    const Flow& flow = *state.flow;
    FlowResult& result = results_[index];
    if (index_of_id_[flow.id] != index) {
        return;  // another flow has its port
    }
    result.started = true;
    result.began = run_.now();
    const Family family = flow.v6 ? Family::ipv6 : Family::ipv4;
    const Endpoint at{node_address(flow.server, family),
                      static_cast<std::uint16_t>(kFirstPort + flow.id)};
    SocketLayer& server = run_.sockets(flow.server);
    const Instant server_now = run_.local_now(flow.server);
    const auto listener = server.open(family, SocketType::stream);
    if (!listener || !server.bind(*listener, at, server_now) ||
        !server.listen(*listener, 16, server_now)) {
        return fail(index, 1, Errc::address_in_use);
    }
    state.listener = *listener;
    remember(flow.server, *listener, {index, 1, true});
    SocketLayer& client = run_.sockets(flow.client);
    const auto socket = client.open(family, SocketType::stream);
    if (!socket) {
        return fail(index, 0, socket.error());
    }
    state.end[0].socket = *socket;
    remember(flow.client, *socket, {index, 0, false});
    const Status connecting = client.connect(*socket, at, run_.local_now(flow.client));
    if (!connecting && connecting.error() != Errc::in_progress) {
        return fail(index, 0, connecting.error());
    }
    run_.called(index, flow.client, *socket);
}

bool Workload::on_ready(NodeId host) {
    run_.sockets(host).take_ready(ready_);
    const std::vector<ReadyEvent> events = ready_;
    for (const ReadyEvent& event : events) {
        const Place* known = place_of(host, event.socket);
        if (known == nullptr) {
            continue;
        }
        const Place place = *known;
        if (place.listener) {
            accept(place.flow);
        } else {
            advance(place.flow, place.side);
        }
    }
    return !events.empty();
}

void Workload::on_wake(std::uint16_t, std::uint64_t) {}

void Workload::on_crash(NodeId host) {
    places_[host].clear();
    for (std::uint16_t i = 0; i < states_.size(); ++i) {
        for (unsigned side = 0; side < 2; ++side) {
            if (states_[i].end[side].host == host && results_[i].started && !results_[i].over) {
                states_[i].end[side].socket = {};
                fail(i, side, Errc::connection_aborted);
            }
        }
    }
}

bool Workload::all_over() const {
    return std::all_of(results_.begin(), results_.end(),
                       [](const FlowResult& result) { return result.over; });
}

void Workload::accept(std::uint16_t index) {
    State& state = states_[index];
    const NodeId host = state.flow->server;
    SocketLayer& sockets = run_.sockets(host);
    const auto accepted = sockets.accept(state.listener, run_.local_now(host));
    if (!accepted) {
        return;
    }
    state.end[1].socket = *accepted;
    state.end[1].connected = true;
    remember(host, *accepted, {index, 1, false});
    (void)sockets.close(state.listener, run_.local_now(host));
    run_.called(index, host, *accepted);
}

void Workload::fail(std::uint16_t index, unsigned side, Errc error) {
    FlowResult& result = results_[index];
    if (result.error[side] == Errc::ok) {
        result.error[side] = error;
    }
    close(index, side);
}

/// The end has nothing more to do.
void Workload::close(std::uint16_t index, unsigned side) {
    State& state = states_[index];
    End& end = state.end[side];
    if (!end.socket.is_none()) {
        (void)run_.sockets(end.host).close(end.socket, run_.local_now(end.host));
        std::erase_if(places_[end.host],
                      [&](const Known& known) { return known.socket == end.socket; });
        end.socket = {};
    }
    end.closed = true;
    FlowResult& result = results_[index];
    if (state.end[0].closed && state.end[1].closed && !result.over) {
        result.over = true;
        result.ended = run_.now();
    }
}

void Workload::advance(std::uint16_t index, unsigned side) {
    End& end = states_[index].end[side];
    SocketLayer& sockets = run_.sockets(end.host);
    if (end.socket.is_none()) {
        return;
    }
    if (!end.connected) {
        if ((sockets.readiness(end.socket).bits & Readiness::kWritable) == 0) {
            return;
        }
        const auto error = sockets.get_option(end.socket, SocketOption::error);
        if (const auto code = static_cast<Errc>(error.value_or(0)); code != Errc::ok) {
            return fail(index, side, code);
        }
        end.connected = true;
    }
    while (send_some(index, side)) {
    }
    while (receive_some(index, side)) {
    }
    if (!end.socket.is_none()) {
        run_.called(index, end.host, end.socket);
    }
    if (end.shut && end.end_seen && !end.closed) {
        close(index, side);
    }
}

/// True when it makes sense to try again at once.
bool Workload::send_some(std::uint16_t index, unsigned side) {
    State& state = states_[index];
    End& end = state.end[side];
    if (end.shut || end.closed) {
        return false;
    }
    SocketLayer& sockets = run_.sockets(end.host);
    const Instant now = run_.local_now(end.host);
    if (end.sent == end.to_send) {
        end.shut = true;
        if (Status shut = sockets.shutdown(end.socket, ShutdownHow::send, now); !shut) {
            fail(index, side, shut.error());
        }
        return false;
    }
    const std::uint64_t most = std::min<std::uint64_t>(end.to_send - end.sent, state.flow->call);
    buffer_.resize(state.random.below(most) + 1);
    fill_pattern(end.send_seed, end.sent, buffer_);
    const auto taken = sockets.send(end.socket, buffer_, {}, now);
    if (!taken) {
        if (taken.error() != Errc::would_block) {
            fail(index, side, taken.error());
        }
        return false;
    }
    end.sent += *taken;
    return true;
}

bool Workload::receive_some(std::uint16_t index, unsigned side) {
    State& state = states_[index];
    End& end = state.end[side];
    if (end.end_seen || end.closed) {
        return false;
    }
    SocketLayer& sockets = run_.sockets(end.host);
    buffer_.resize(state.random.below(state.flow->call) + 1);
    const auto received = sockets.receive(end.socket, buffer_, {}, run_.local_now(end.host));
    if (!received) {
        if (received.error() != Errc::would_block) {
            fail(index, side, received.error());
        }
        return false;
    }
    FlowResult& result = results_[index];
    const std::uint64_t offset = result.received[side];
    result.received[side] += *received;
    const Bytes bytes = Bytes(buffer_).first(*received);
    if (compare_pattern(end.receive_seed, offset, bytes) != bytes.size() ||
        result.received[side] > state.end[1 - side].to_send) {
        result.mismatch = true;
    }
    end.end_seen = *received == 0;
    return *received != 0;
}

}  // namespace runnel::sim
