// What crossed a host's interfaces as pcapng (`-w`), each packet with the host's decisions as comments. It
// only looks: a run is the same with and without it. Times are the world's.
#pragma once

#include <functional>
#include <vector>

#include "runnel/report/pcapng_writer.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

class HostCapture : public sim::Observer {
public:
    /// `write` takes the bytes whenever some have gathered.
    HostCapture(sim::NodeId host, std::function<void(Bytes)> write);
    void on_begin(sim::Simulation& run) override;
    void on_event(sim::Simulation& run, const sim::Event& event) override;
    void on_end(sim::Simulation& run) override;
    [[nodiscard]] std::uint64_t packets() const { return packets_; }

private:
    sim::NodeId host_;
    std::function<void(Bytes)> write_;
    std::vector<std::byte> bytes_;
    report::PcapngWriter writer_;
    std::vector<std::uint8_t> links_;  ///< ids, by the capture's interfaces
    std::vector<std::string> comments_;
    std::uint64_t packets_ = 0;
};

}  // namespace runnel::sim_command
