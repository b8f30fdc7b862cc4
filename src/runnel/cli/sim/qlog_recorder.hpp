// A host's view of a run as qlog (`--qlog`): packets with the reason for each, what recovery and congestion
// control made of them, states, and, which no real host could know, what the network lost.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "runnel/report/qlog_writer.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

class QlogRecorder : public sim::Observer {
public:
    QlogRecorder(sim::NodeId host, std::string_view title,
                 std::function<void(const std::string&)> write);
    void on_event(sim::Simulation& run, const sim::Event& event) override;
    void on_end(sim::Simulation& run) override;

private:
    /// What was last written of a connection.
    struct Seen {
        std::uint32_t window = 0, threshold = 0, in_flight = 0, undone = 0;
        std::uint64_t pacing_rate = 0;
        Duration rtt = {};
        tcp::State state = tcp::State::closed;
        std::string_view congestion;
    };

    void packet(const sim::Simulation& run, const sim::Event& event, std::string_view name,
                std::string_view trigger);
    void connection(const sim::Simulation& run, const sim::Event& event);

    sim::NodeId host_;
    std::function<void(const std::string&)> write_;
    std::string text_;
    report::QlogWriter writer_;
    std::map<std::uint64_t, Seen> seen_;  ///< by connection
};

}  // namespace runnel::sim_command
