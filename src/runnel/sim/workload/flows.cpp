// The life of flows: a server that listens, connections one after the other, and when all is over.
#include <algorithm>

#include "runnel/sim/event.hpp"
#include "runnel/sim/run.hpp"
#include "runnel/sim/workload/kinds.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel::sim {

namespace {
constexpr unsigned kBacklog = 16;

Family family_of(const Flow& flow) {
    return flow.v6 ? Family::ipv6 : Family::ipv4;
}
/// Where its server listens.
Endpoint server_of(const Flow& flow) {
    return {node_address(flow.server, family_of(flow)),
            static_cast<std::uint16_t>(kFirstPort + flow.id)};
}

void set_options(SocketLayer& sockets, SocketId socket, const Flow& flow, Instant now) {
    (void)sockets.set_option(socket, SocketOption::keepalive, 1, now);
    (void)sockets.set_option(socket, SocketOption::keepalive_idle, kKeepAliveIdle, now);
    (void)sockets.set_option(socket, SocketOption::keepalive_interval, kKeepAliveInterval, now);
    (void)sockets.set_option(socket, SocketOption::keepalive_count, kKeepAliveCount, now);
    const std::string_view control = tcp::name_of(flow.congestion_control);
    if (sockets.congestion(socket).value_or("") != control) {
        (void)sockets.set_congestion(socket, control, now);
    }
}
}  // namespace

Workload::Workload(Simulation& run) : run_(run), places_(kMaxNodes) {
    const Scenario& scenario = run.scenario();
    index_of_id_.fill(kNoFlow);
    states_.resize(scenario.flows.size());
    results_.resize(scenario.flows.size());
    for (std::size_t i = 0; i < states_.size(); ++i) {
        const Flow& flow = scenario.flows[i];
        states_[i].flow = &flow;
        states_[i].random = Random(flow.seed);
        if (index_of_id_[flow.id] == kNoFlow) {
            index_of_id_[flow.id] = static_cast<std::uint16_t>(i);
        }
    }
}

std::size_t Workload::connections_of(const Flow& flow) const {
    return flow.kind == FlowKind::many_short ? std::clamp<std::size_t>(flow.count, 1, kMaxSessions)
                                             : 1;
}

void Workload::remember(NodeId host, SocketId socket, Place place) {
    places_[host].push_back({socket, place});
}

void Workload::forget(NodeId host, SocketId socket) {
    std::erase_if(places_[host], [&](const Known& known) { return known.socket == socket; });
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
    state.sessions.reserve(connections_of(flow));
    SocketLayer& server = run_.sockets(flow.server);
    const Instant now = run_.local_now(flow.server);
    const auto listener = server.open(family_of(flow), SocketType::stream);
    if (listener) {
        set_options(server, *listener, flow, now);
        if (server.bind(*listener, server_of(flow), now) &&
            server.listen(*listener, kBacklog, now)) {
            state.listener = *listener;
            remember(flow.server, *listener, {index, 0, 1, true});
            run_.calling({.kind = CallKind::listen,
                          .host = flow.server,
                          .flow = index,
                          .socket = *listener,
                          .length = kBacklog});
        } else {
            result.error[1] = Errc::address_in_use;
            (void)server.close(*listener, now);
        }
    }
    open_session(index);
}

void Workload::open_session(std::uint16_t index) {
    State& state = states_[index];
    const Flow& flow = *state.flow;
    const auto number = static_cast<std::uint16_t>(state.sessions.size());
    const std::uint64_t seed = flow.seed + number * 0x1'0001ULL;
    Session& session = state.sessions.emplace_back();
    for (unsigned side = 0; side < 2; ++side) {
        session.end[side] = {.host = side == 0 ? flow.client : flow.server,
                             .to_send = octets_of(flow, side),
                             .send_seed = seed * 2 + side,
                             .receive_seed = seed * 2 + 1 - side};
    }
    const Place place{index, number, 0, false};
    const Endpoint to = server_of(flow);
    SocketLayer& client = run_.sockets(flow.client);
    const Instant now = run_.local_now(flow.client);
    const auto socket = client.open(family_of(flow), SocketType::stream);
    if (!socket) {
        return fail(place, socket.error());
    }
    session.end[0].socket = *socket;
    remember(flow.client, *socket, place);
    set_options(client, *socket, flow, now);
    const Status connecting = client.connect(*socket, to, now);
    if (!connecting && connecting.error() != Errc::in_progress) {
        return fail(place, connecting.error());
    }
    Call call{.kind = CallKind::connect,
              .host = flow.client,
              .flow = index,
              .socket = *socket,
              .error = connecting ? Errc::ok : connecting.error()};
    if (const auto local = client.local_endpoint(*socket)) {
        session.port = local->port;
        session.end[0].tuple = {*local, to};
        call.connection = session.end[0].tuple;  // a socket has no peer yet
    }
    run_.calling(call);
    run_.called(index, flow.client, session.end[0].tuple);
}

bool Workload::on_ready(NodeId host) {
    run_.sockets(host).take_ready(ready_);
    if (ready_.empty()) {
        return false;
    }
    for (std::size_t i = 0; i < ready_.size(); ++i) {
        const ReadyEvent event = ready_[i];
        const Place* known = place_of(host, event.socket);
        if (known == nullptr) {
            continue;
        }
        const Place place = *known;
        if (place.listener) {
            accept(place.flow);
        } else {
            advance(place);
        }
    }
    return true;
}

void Workload::on_wake(std::uint16_t index, std::uint64_t token) {
    const Place place{index, static_cast<std::uint16_t>(token), 0, false};
    if (place.session < states_[index].sessions.size()) {
        wake(place);
    }
}

void Workload::on_crash(NodeId host) {
    places_[host].clear();
    for (std::uint16_t i = 0; i < states_.size(); ++i) {
        State& state = states_[i];
        if (!results_[i].started || results_[i].over) {
            continue;
        }
        if (state.flow->server == host) {
            state.listener = {};
        }
        if (state.flow->client == host) {
            state.client_done = true;
        }
        for (std::uint16_t s = 0; s < state.sessions.size(); ++s) {
            for (std::uint8_t side = 0; side < 2; ++side) {
                SessionEnd& end = state.sessions[s].end[side];
                if (end.host == host && !end.closed) {
                    end.socket = {};
                    fail({i, s, side, false}, Errc::connection_aborted);
                }
            }
        }
    }
}

bool Workload::all_over() const {
    return std::all_of(results_.begin(), results_.end(),
                       [](const FlowResult& result) { return result.over || !result.started; });
}

void Workload::accept(std::uint16_t index) {
    State& state = states_[index];
    const NodeId host = state.flow->server;
    SocketLayer& sockets = run_.sockets(host);
    while (!state.listener.is_none()) {
        const auto accepted = sockets.accept(state.listener, run_.local_now(host));
        if (!accepted) {
            return;
        }
        const auto peer = sockets.remote_endpoint(*accepted);
        std::size_t s = state.sessions.size();
        while (s > 0 && !(peer && state.sessions[s - 1].port == peer->port)) {
            --s;
        }
        Call call{.kind = CallKind::accept, .host = host, .flow = index, .socket = *accepted};
        const auto local = sockets.local_endpoint(*accepted);
        const FourTuple tuple = local && peer ? FourTuple{*local, *peer} : FourTuple{};
        if (local && peer) {
            call.connection = tuple;
        }
        run_.calling(call);
        run_.called(index, host, tuple);
        if (s == 0 || state.sessions[s - 1].accepted || state.sessions[s - 1].end[1].closed) {
            if (s != 0 && state.sessions[s - 1].accepted && results_[index].repeated.empty()) {
                results_[index].repeated = "a connection was accepted twice";
            }
            // Of a stranger, or of a client that has gone meanwhile.
            call.kind = CallKind::abort;
            run_.calling(call);
            (void)sockets.abort(*accepted, run_.local_now(host));
            continue;
        }
        const Place place{index, static_cast<std::uint16_t>(s - 1), 1, false};
        state.sessions[s - 1].accepted = true;
        SessionEnd& end = end_of(place);
        end.socket = *accepted;
        end.tuple = tuple;
        end.connected = true;
        remember(host, *accepted, place);
        if (state.sessions.size() == connections_of(*state.flow) || state.client_done) {
            close_listener(index);
        }
    }
}

void Workload::close_listener(std::uint16_t index) {
    State& state = states_[index];
    if (!state.listener.is_none()) {
        run_.calling({.kind = CallKind::close,
                      .host = state.flow->server,
                      .flow = index,
                      .socket = state.listener});
        (void)run_.sockets(state.flow->server)
            .close(state.listener, run_.local_now(state.flow->server));
        forget(state.flow->server, state.listener);
        state.listener = {};
    }
}

/// An end has closed: the next connection, or the end of the flow.
void Workload::ended(Place place) {
    State& state = states_[place.flow];
    FlowResult& result = results_[place.flow];
    Session& session = state.sessions[place.session];
    if (place.side == 0 && !session.accepted) {
        session.end[1].closed = true;  // nobody will come any more
    }
    result.connections += session.end[0].closed && session.end[1].closed ? 1U : 0U;
    if (place.side == 0 && !state.client_done) {
        const bool well = result.error[0] == Errc::ok && !result.cut;
        if (well && state.sessions.size() < connections_of(*state.flow)) {
            return open_session(place.flow);
        }
        state.client_done = true;
    }
    if (!state.client_done) {
        return;
    }
    close_listener(place.flow);
    const bool all =
        std::all_of(state.sessions.begin(), state.sessions.end(),
                    [](const Session& one) { return one.end[0].closed && one.end[1].closed; });
    if (all && !result.over) {
        result.over = true;
        result.ended = run_.now();
    }
}

}  // namespace runnel::sim
