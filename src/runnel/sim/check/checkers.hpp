// All checkers together: they learn what packets say, look at each connection that an event has touched once
// its host has settled, at whole tables every 64th time and at rest. One object may watch run after run.
#pragma once

#include <array>
#include <vector>

#include "runnel/sim/check/look.hpp"

namespace runnel::sim {

class Checkers final : public Observer {
public:
    void on_begin(Simulation& run) override;
    void on_event(Simulation& run, const Event& event) override;
    void on_settled(Simulation& run, NodeId host) override;

    /// How often hosts are swept: once in so many times that they settle.
    static constexpr std::uint32_t kSweepEvery = 64;

    /// How often each checker has been asked, over all runs that this object has watched.
    [[nodiscard]] std::array<std::uint64_t, kChecks> asked() const;

private:
    /// What the checkers were asked about.
    struct Tally {
        std::uint64_t looks = 0, sent = 0, arrived = 0, taken = 0, strangers = 0;
        std::uint64_t records = 0, timeouts = 0, calls = 0, settled = 0, flows = 0;
    };

    /// Packets that came for nobody, and those sent to that place, since the host settled.
    struct Stranger {
        FourTuple tuple;  ///< as the host sees it
        std::uint32_t arrived = 0;
        std::uint32_t answered = 0;
    };
    struct HostView {
        std::uint64_t next_record = 1;
        std::uint32_t incarnation = 0;
        std::uint32_t settled = 0;
        bool refused = false;  ///< its network layer has let a packet go that no wire has seen
        std::vector<check::Shadow> shadows;  ///< by index of the connection's handle
        std::vector<std::uint32_t> touched;  ///< indices
        std::vector<Stranger> strangers;
        std::uint64_t held = 0;  ///< octets in its connections' buffers
        Instant last_timeout;
        std::uint32_t timeouts_in_a_row = 0;
    };

    /// What has come marked CE to the end of a connection, of one incarnation after the other.
    struct Marks {
        FourTuple tuple;  ///< as that end sees it
        std::uint64_t segments = 0, octets = 0;
        bool unknown = false;
    };

    check::Shadow& shadow(HostView& view, std::uint64_t handle);
    void meet(check::Shadow& shadow, const tcp::Tcb& tcb);
    void touch(HostView& view, std::uint64_t handle);
    void follow_records(Simulation& run, NodeId host);
    void follow_state(Simulation& run, NodeId host, check::Shadow& shadow,
                      const EventRecord& record);
    void on_transmitted(Simulation& run, const Event& event);
    void on_delivered(Simulation& run, const Event& event);
    void hear(Simulation& run, const Event& event);
    void on_timeout(Simulation& run, const Event& event);
    void learn_arrived(check::Shadow& shadow, const Packet& packet);
    Marks& marks_of(const FourTuple& tuple);
    void hear_of_marks(const check::Look& look, check::Shadow& shadow, const Packet& packet);
    void learn_sent(check::Shadow& shadow, const Packet& packet, const Event& event);
    void answers(Simulation& run, const Event& event, bool sent);
    void look(Simulation& run, NodeId host, HostView& view, check::Shadow& shadow, bool sweep);
    void at_rest(Simulation& run);

    std::array<HostView, kMaxNodes> hosts_;
    Tally tally_;
    std::vector<Marks> marks_;
    Work before_;  ///< when the checkers had looked last
};

}  // namespace runnel::sim
