// SEGMENT ARRIVES, RFC 9293 §3.10.7.4: the order of the steps, and nothing else.
#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/ecn/steps.hpp"

namespace runnel::tcp {

void segment_arrives(Tcb& tcb, Segment& segment, Effects& effects) {
    const std::uint32_t pieces = segment.pieces();
    tcb.counters.segments_received += pieces;
    tcb.telemetry.data_segments_received += segment.length > 0 ? pieces : 0;
    if (tcb.state == State::syn_sent) {
        syn_sent_arrives(tcb, segment, effects);
        return;
    }
    if (!check_sequence(tcb, segment, effects)) {
        return;
    }
    if (!check_reset(tcb, segment, effects)) {
        return;
    }
    if (!check_syn(tcb, segment, effects)) {
        return;
    }
    // The peer is alive: whatever was sent to find out has been answered (§3.8.4, §3.8.6.1).
    tcb.last_received = effects.now;
    tcb.probes_out = 0;
    if (!check_acknowledgement(tcb, segment, effects)) {
        return;
    }
    if (tcb.ecn != nullptr) {
        take_mark(tcb, segment, effects);
    }
    check_urgent(tcb, segment, effects);
    if (!take_text(tcb, segment, effects)) {
        return;
    }
    check_fin(tcb, segment, effects);
}

}  // namespace runnel::tcp
