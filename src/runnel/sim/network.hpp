// Links and routers of a scenario: where a packet goes next, when it gets there, what happens to it on the
// way. It takes packets and a schedule, and leaves arrivals in the schedule and losses in a list.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runnel/base/ring.hpp"
#include "runnel/sim/codel.hpp"
#include "runnel/sim/event.hpp"
#include "runnel/sim/fault_state.hpp"
#include "runnel/sim/schedule.hpp"

namespace runnel::sim {

/// A packet lost in the network; whoever takes it gives it back to the pool.
struct LostPacket {
    Packet* packet = nullptr;
    Loss loss = Loss::none;
    std::uint16_t fault = kNoFault;
    std::uint8_t link = 0xff;  ///< id
    std::uint8_t way = 0;
};

struct NetworkCounters {
    std::uint64_t forwarded = 0;  ///< by routers
    std::uint64_t queue_drops = 0;
    std::uint64_t aqm_drops = 0, ecn_marks = 0;
    std::uint64_t fragmented = 0;  ///< packets that a router cut up
    std::uint64_t icmp_sent = 0;   ///< errors by routers
};

class Network {
public:
    /// The scenario, schedule, pool and faults (one state for each of the scenario's, in its order) outlive it.
    Network(const Scenario& scenario, Schedule& schedule, PacketPool& pool,
            std::vector<FaultState>& faults);

    /// The links of a node, as places in Scenario::links: those whose ends both exist.
    [[nodiscard]] const std::vector<std::uint8_t>& links_of(NodeId node) const {
        return nodes_[node].links;
    }
    /// Which of them leads towards `destination` on a shortest path; none when there is no path.
    static constexpr std::uint8_t kNoLink = 0xff;
    [[nodiscard]] std::uint8_t towards(NodeId from, NodeId destination) const {
        return nodes_[from].next[destination];
    }
    /// Whether packets between two nodes, either way, pass the link with that id.
    [[nodiscard]] bool passes(NodeId a, NodeId b, std::uint8_t link_id) const;
    [[nodiscard]] bool is_router(NodeId node) const { return nodes_[node].router != nullptr; }

    /// Puts a packet on a link (a place) as `from`; faults see it first.
    void send(NodeId from, std::uint8_t link, Packet* packet, Instant now);
    /// Puts a packet on the way of a link, past all faults.
    void enter(std::uint8_t link, unsigned way, Packet* packet, Duration later, Instant now);
    /// A router takes the packet that has arrived.
    void forward(NodeId router, Packet* packet, Instant now);
    /// Happenings of kind departure and release.
    void on_departure(std::uint8_t way_number, Instant now);
    void on_release(std::uint16_t fault, std::uint64_t token, std::uint8_t way_number, Instant now);

    /// Faults of links that act as a whole, by place in Scenario::faults.
    void begin_fault(std::uint16_t fault);
    void end_fault(std::uint16_t fault, Instant now);

    /// At the end of a run.
    void give_back_queued();

    /// What was lost since the last look; the caller empties it.
    [[nodiscard]] std::vector<LostPacket>& lost() { return lost_; }
    [[nodiscard]] const NetworkCounters& counters() const { return counters_; }

private:
    struct Way {
        const WaySpec* spec = nullptr;
        NodeId to = kNoNode;
        std::uint64_t rate = 0;
        Instant busy_until;                 ///< drop_tail: when the line has sent all it was given
        Instant last_arrival;               ///< jitter keeps the order
        std::vector<std::uint16_t> faults;  ///< active ones that act on packets, in their order
        Ring<Packet*> queue;                ///< codel
        std::uint64_t queued_bytes = 0;
        bool sending = false;  ///< codel: the line is busy
        Codel codel;
    };
    struct Link {
        const LinkSpec* spec = nullptr;
        std::uint32_t mtu = 0;
        bool black_hole = false;  ///< what is too big goes without a word
        std::array<Way, 2> way;
    };
    struct Node {
        const RouterSpec* router = nullptr;
        bool exists = false;
        std::vector<std::uint8_t> links;
        std::array<std::uint8_t, kMaxNodes> next;
    };

    void find_paths();
    void pass_from(std::uint8_t link, unsigned way, Packet* packet, std::size_t first_fault,
                   Duration later, Instant now);
    void fly(std::uint8_t link, unsigned way, Packet* packet, Instant departs, Duration later);
    void start_sending(std::uint8_t link, unsigned way, Instant now);
    void lose(Packet* packet, Loss loss, std::uint8_t link, unsigned way,
              std::uint16_t fault = kNoFault);
    void too_big(NodeId router, std::uint8_t link, unsigned way, Packet* packet, Instant now);
    void fragment(NodeId router, std::uint8_t link, unsigned way, const Packet& packet,
                  Instant now);
    void answer(NodeId router, const Packet& packet, std::uint32_t mtu, bool too_big, Instant now);

    static std::uint8_t number_of(std::uint8_t link, unsigned way) {
        return static_cast<std::uint8_t>(link * 2 + way);
    }

    const Scenario& scenario_;
    Schedule& schedule_;
    PacketPool& pool_;
    std::vector<FaultState>& faults_;
    Random random_;
    std::array<Node, kMaxNodes> nodes_;
    std::vector<Link> links_;
    std::vector<LostPacket> lost_;
    std::vector<Extra> extras_;
    NetworkCounters counters_;
};

}  // namespace runnel::sim
