// One end of one connection of a run as a packetdrill script (`--pkt`): the calls of its application and what came
// go in, what the host sent is expected. `runnel drill` plays it against a host of the same configuration.
//
// What befell the host itself (pauses, a jump of its clock, memory that ran out, packets taken in batches) is not in
// a script; a scenario that fails without such faults is what a script can hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runnel/drill/script.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

class ScriptRecorder : public sim::Observer {
public:
    /// Of the flow at that place of Scenario::flows, its newest connection, as `host` saw it. `title`: what made
    /// the run, for a comment.
    ScriptRecorder(sim::NodeId host, std::size_t flow, std::string title)
        : host_(host), flow_(flow), title_(std::move(title)) {}

    [[nodiscard]] bool wants_calls() const override { return true; }
    void on_begin(sim::Simulation& run) override;
    void on_event(sim::Simulation& run, const sim::Event& event) override;
    void on_call(sim::Simulation& run, const sim::Call& call) override;
    void on_end(sim::Simulation& run) override;

    /// After the run: the script, with a comment of its origin; empty when the connection was never begun.
    [[nodiscard]] std::string text() const;

private:
    struct Line {
        Duration at;                        ///< of the host's clock, since the run's beginning
        std::optional<FourTuple> of;        ///< as the host sees it; none: of `socket`
        SocketId socket;                    ///< whose call this is
        std::optional<sim::CallKind> call;  ///< else `packet`
        std::uint64_t length = 0, done = 0;
        Errc error = Errc::ok;
        drill::Packet packet;
        std::string remark;  ///< in place of a line that no script can say
    };
    struct Numbers {
        std::optional<std::uint32_t> host, peer;  ///< ISNs
    };

    void packet(const sim::Simulation& run, const sim::Event& event);
    void icmp(const sim::Simulation& run, const sim::Event& event);
    void count_from_zero(drill::Packet& packet, const Numbers& numbers) const;
    [[nodiscard]] bool syn_comes_again() const;
    [[nodiscard]] Duration time(const sim::Simulation& run) const;

    sim::NodeId host_;
    std::size_t flow_;
    std::string title_, verdict_;
    std::vector<std::string> head_;  ///< options and shell lines
    std::string_view control_;       ///< the flow's congestion control
    Instant origin_;
    SocketId listener_, socket_;       ///< the latter of the newest connection
    std::optional<FourTuple> newest_;  ///< that connection
    std::vector<Line> lines_;
};

}  // namespace runnel::sim_command
