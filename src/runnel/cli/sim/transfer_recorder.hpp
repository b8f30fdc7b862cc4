// Follows the first connection of one flow, from the end that sends more, for its picture.
#pragma once

#include "runnel/report/picture.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

class TransferRecorder : public sim::Observer {
public:
    /// `flow`: a place in Scenario::flows.
    TransferRecorder(const sim::Scenario& scenario, std::size_t flow);
    void on_event(sim::Simulation& run, const sim::Event& event) override;
    [[nodiscard]] report::TransferPicture& picture() { return picture_; }

private:
    [[nodiscard]] bool is_its(const sim::Event& event);
    [[nodiscard]] std::uint64_t octet(SeqNum number) const;
    void take_state(const sim::Simulation& run, const tcp::Tcb& tcb, Duration at);
    void on_sent(const sim::Event& event, Duration at);

    std::size_t flow_;
    sim::NodeId sender_ = sim::kNoNode;
    FourTuple tuple_;  ///< as the sender sees it
    bool met_ = false;
    SeqNum isn_;
    std::uint64_t highest_ = 0;  ///< octets sent so far, for the unwrapping
    report::WindowPoint last_window_;
    report::RecoveryPoint last_recovery_;
    report::PacingPoint last_pacing_;
    report::RoundTripPoint last_round_trip_;
    report::TransferPicture picture_;
};

}  // namespace runnel::sim_command
