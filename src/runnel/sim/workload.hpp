// The applications of a run: each flow's client and server. They act on readiness alone, so that a lost
// wake-up shows as a flow that never ends, and they know every octet that must come.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/sim/scenario.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel::sim {

class Simulation;

struct FlowResult {
    bool started = false;
    bool over = false;               ///< both ends have closed, or were told why not
    bool mismatch = false;           ///< an octet was wrong, or there was one too many
    Errc error[2] = {};              ///< the first error of the client's, the server's calls
    std::uint64_t received[2] = {};  ///< octets by the client, by the server
    Instant began, ended;
};

class Workload {
public:
    explicit Workload(Simulation& run);

    /// Flow `index` of the scenario begins: its server listens, its client connects.
    void start(std::uint16_t index);
    /// Goes on with whatever is ready on a host; false when nothing was.
    bool on_ready(NodeId host);
    /// A wake-up that the flow asked Simulation::wake_at for.
    void on_wake(std::uint16_t index, std::uint64_t token);
    /// A host has lost everything: its ends are no more.
    void on_crash(NodeId host);

    /// The place in Scenario::flows of the flow with that id; kNoFlow when there is none.
    [[nodiscard]] std::uint16_t index_of(std::uint8_t id) const { return index_of_id_[id]; }
    [[nodiscard]] bool all_over() const;
    [[nodiscard]] const std::vector<FlowResult>& results() const { return results_; }

private:
    struct End {
        NodeId host = kNoNode;
        SocketId socket = {};
        std::uint64_t to_send = 0, sent = 0;
        std::uint64_t send_seed = 0, receive_seed = 0;
        bool connected = false, shut = false, end_seen = false, closed = false;
    };
    struct State {
        const Flow* flow = nullptr;
        SocketId listener;
        End end[2];
        Random random{1};
    };
    struct Place {
        std::uint16_t flow = 0;
        std::uint8_t side = 0;
        bool listener = false;
    };

    void remember(NodeId host, SocketId socket, Place place);
    [[nodiscard]] const Place* place_of(NodeId host, SocketId socket) const;
    void accept(std::uint16_t index);
    void advance(std::uint16_t index, unsigned side);
    bool send_some(std::uint16_t index, unsigned side);
    bool receive_some(std::uint16_t index, unsigned side);
    void fail(std::uint16_t index, unsigned side, Errc error);
    void close(std::uint16_t index, unsigned side);

    Simulation& run_;
    std::array<std::uint16_t, 256> index_of_id_;
    std::vector<State> states_;
    std::vector<FlowResult> results_;
    struct Known {
        SocketId socket = {};
        Place place;
    };
    std::vector<std::vector<Known>> places_;  ///< by host
    std::vector<ReadyEvent> ready_;
    std::vector<std::byte> buffer_;
};

}  // namespace runnel::sim
