// One line an event (`--events`); docs/sim.md says what stands where.
#pragma once

#include <functional>
#include <string>

#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

class EventLines : public sim::Observer {
public:
    /// `write` gets each line, with its end.
    explicit EventLines(std::function<void(const std::string&)> write) : write_(std::move(write)) {}
    void on_event(sim::Simulation& run, const sim::Event& event) override;

private:
    std::function<void(const std::string&)> write_;
};

/// "seq 1 ack 2 win 3 len 4" behind flags and ends, as on the wire; of other packets their size.
[[nodiscard]] std::string packet_text(const sim::Packet& packet);

/// What became of a packet: "queue", or the name of the fault.
[[nodiscard]] std::string_view loss_name(const sim::Scenario& scenario, const sim::Event& event);

}  // namespace runnel::sim_command
