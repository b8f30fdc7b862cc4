// Two hosts on one wire in virtual time, with addresses of both families: where most simulation tests
// begin.
#pragma once

#include <string>

#include "runnel/sim/world.hpp"
#include "support/packets.hpp"

namespace runnel::test {

struct TwoHostsConfig {
    sim::WorldConfig world;
    sim::WireConfig wire;
    HostConfig host[2];
    Duration clock_offset[2] = {};
};

struct TwoHosts {
    sim::World world;
    sim::HostId client;
    sim::HostId server;
    sim::WireId wire;

    explicit TwoHosts(const TwoHostsConfig& config = {}) : world(config.world) {
        for (unsigned side = 0; side < 2; ++side) {
            HostConfig host = config.host[side];
            host.name = side == 0 ? "client" : "server";
            Random secret(config.world.seed * 2 + side);
            host.secret.k0 = secret.next();
            host.secret.k1 = secret.next();
            (side == 0 ? client : server) = world.add_host(host, config.clock_offset[side]);
        }
        wire = world.connect(client, server, config.wire);
        for (unsigned side = 0; side < 2; ++side) {
            const std::string number = std::to_string(side + 1);
            world.add_address(side == 0 ? client : server, 0, "10.0.0." + number + "/24");
            world.add_address(side == 0 ? client : server, 0, "fd00::" + number + "/64");
        }
    }

    [[nodiscard]] static IpAddress address(unsigned side, Family family) {
        const std::string number = std::to_string(side + 1);
        return *parse_ip_address((family == Family::ipv4 ? "10.0.0." : "fd00::") + number);
    }
    [[nodiscard]] static Endpoint at(unsigned side, Family family, std::uint16_t port) {
        return {address(side, family), port};
    }

    SocketLayer& client_sockets() { return world.sockets(client); }
    SocketLayer& server_sockets() { return world.sockets(server); }
    [[nodiscard]] Instant client_now() const { return world.now(client); }
    [[nodiscard]] Instant server_now() const { return world.now(server); }

    /// A listener of the server.
    SocketId listen(Family family, std::uint16_t port, std::uint32_t backlog = 16) {
        const SocketId id = *server_sockets().open(family, SocketType::stream);
        RUNNEL_CHECK(server_sockets().bind(id, at(1, family, port), server_now()).has_value());
        RUNNEL_CHECK(server_sockets().listen(id, backlog, server_now()).has_value());
        return id;
    }
    /// A socket of the client that has begun to connect.
    SocketId connect(Family family, std::uint16_t port) {
        const SocketId id = *client_sockets().open(family, SocketType::stream);
        const Status status = client_sockets().connect(id, at(1, family, port), client_now());
        RUNNEL_CHECK(!status && status.error() == Errc::in_progress);
        return id;
    }
    struct Pair {
        SocketId client, server;
    };
    /// Both ends of an established connection.
    Pair establish(Family family = Family::ipv4, std::uint16_t port = 80) {
        const SocketId listener = listen(family, port);
        Pair pair{connect(family, port), {}};
        world.run_until([&] {
            if (pair.server.is_none()) {
                if (const auto accepted = server_sockets().accept(listener, server_now())) {
                    pair.server = *accepted;
                }
            }
            return !pair.server.is_none() && client_state(pair.client) == tcp::State::established;
        });
        RUNNEL_CHECK(!pair.server.is_none());
        RUNNEL_CHECK(server_sockets().close(listener, server_now()).has_value());
        return pair;
    }
    tcp::State client_state(SocketId id) { return client_sockets().tcp_info(id)->state; }
    tcp::State server_state(SocketId id) { return server_sockets().tcp_info(id)->state; }
    /// Connections, embryos and TIME-WAIT entries of a host.
    std::vector<tcp::ConnectionStatus> table(sim::HostId id) {
        std::vector<tcp::ConnectionStatus> rows;
        world.host(id).tcp().snapshot(rows, world.now(id));
        return rows;
    }
};

}  // namespace runnel::test
