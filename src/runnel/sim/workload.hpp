// The applications of a run: each flow's clients and servers. They act on readiness alone, so that a lost
// wake-up shows as a flow that never ends, and they know every octet that must come. What a kind of flow may
// do when stands in workload/kinds.cpp, the life of flows in workload/flows.cpp, that of a connection's two
// ends in workload/session.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/sim/scenario.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel::sim {

class Simulation;
enum class CallKind : std::uint8_t;

/// Every application wants to know when the other end is gone for good: probes after two minutes of silence,
/// six of them, twenty seconds apart.
inline constexpr unsigned kKeepAliveIdle = 120, kKeepAliveInterval = 20, kKeepAliveCount = 6;

struct FlowResult {
    bool started = false;
    bool over = false;      ///< all ends have closed, or were told why not
    bool mismatch = false;  ///< an octet was wrong, one too many, or the end came too early
    bool cut = false;       ///< an application itself has broken something off
    Errc error[2] = {};     ///< the first error of the clients', the servers' calls
    std::uint64_t received[2] = {};  ///< octets by the clients, by the servers
    std::uint64_t sent[2] = {};      ///< octets taken from the clients, from the servers
    std::uint32_t connections = 0;   ///< whose two ends have closed
    std::string_view wrong;          ///< with `mismatch`: what
    std::string_view repeated;       ///< an operation that completed twice; empty: none
    std::uint64_t wrong_at = 0;      ///< offset in the stream
    Instant began, ended;
};

/// One end of a connection, as its application sees it.
struct SessionEnd {
    NodeId host = kNoNode;
    SocketId socket = {};
    FourTuple tuple = {};  ///< as soon as it is known
    std::uint64_t to_send = 0, sent = 0, received = 0;
    std::uint64_t send_seed = 0, receive_seed = 0;
    std::uint32_t wakes = 0;  ///< pauses that have passed
    bool wake_planned = false;
    bool connected = false, shut = false, end_seen = false, closed = false;
};

/// One connection: the client's end and the server's.
struct Session {
    std::array<SessionEnd, 2> end;
    std::uint16_t port = 0;  ///< the client's
    bool accepted = false;
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
    /// The connections of a flow so far.
    [[nodiscard]] const std::vector<Session>& sessions(std::uint16_t index) const {
        return states_[index].sessions;
    }

    /// Most connections of one flow, one after the other.
    static constexpr std::size_t kMaxSessions = 64;

private:
    struct State {
        const Flow* flow = nullptr;
        SocketId listener = {};
        bool client_done = false;  ///< no more connections will be opened
        std::vector<Session> sessions;
        Random random{1};
    };
    struct Place {
        std::uint16_t flow = 0;
        std::uint16_t session = 0;
        std::uint8_t side = 0;
        bool listener = false;
    };

    // flows.cpp
    [[nodiscard]] std::size_t connections_of(const Flow& flow) const;
    void remember(NodeId host, SocketId socket, Place place);
    void forget(NodeId host, SocketId socket);
    [[nodiscard]] const Place* place_of(NodeId host, SocketId socket) const;
    void open_session(std::uint16_t index);
    void accept(std::uint16_t index);
    void close_listener(std::uint16_t index);
    void ended(Place place);
    // session.cpp
    void advance(Place place);
    [[nodiscard]] MutableBytes room(std::size_t size);
    bool connected(Place place);
    bool send_some(Place place);
    bool receive_some(Place place);
    void check_octets(Place place, Bytes bytes);
    void check_end(Place place);
    void tell(CallKind kind, Place place, std::size_t length = 0,
              Result<std::size_t> result = std::size_t{0});
    void plan_wake(Place place);
    void wake(Place place);
    void fail(Place place, Errc error);
    void close(Place place);
    void abort(Place place);
    void is_wrong(Place place, std::string_view what, std::uint64_t at);
    [[nodiscard]] SessionEnd& end_of(Place place) {
        return states_[place.flow].sessions[place.session].end[place.side];
    }

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
