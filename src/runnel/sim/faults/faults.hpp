// The faults that act on single packets, one function a kind: each counts in FaultState::times when it has
// done something.
#pragma once

#include "runnel/sim/fault_state.hpp"

namespace runnel::sim::faults {

Verdict drop(FaultState& fault, Passage& passage);
Verdict drop_bursts(FaultState& fault, Passage& passage);
Verdict drop_aimed(FaultState& fault, Passage& passage);
Verdict duplicate(FaultState& fault, Passage& passage);
Verdict reorder(FaultState& fault, Passage& passage);
Verdict delay_step(FaultState& fault, Passage& passage);
Verdict corrupt(FaultState& fault, Passage& passage);
Verdict truncate(FaultState& fault, Passage& passage);
Verdict icmp_forged(FaultState& fault, Passage& passage);
Verdict partition(FaultState& fault, Passage& passage);
Verdict strip_options(FaultState& fault, Passage& passage);
Verdict rewrite_sequence(FaultState& fault, Passage& passage);
Verdict split_segments(FaultState& fault, Passage& passage);
Verdict merge_segments(FaultState& fault, Passage& passage);
Verdict thin_acks(FaultState& fault, Passage& passage);
Verdict mark_ecn(FaultState& fault, Passage& passage);
Verdict bleach_ecn(FaultState& fault, Passage& passage);
Verdict optimistic_acks(FaultState& fault, Passage& passage);
Verdict divided_acks(FaultState& fault, Passage& passage);
Verdict shrunk_windows(FaultState& fault, Passage& passage);
Verdict lying_sack(FaultState& fault, Passage& passage);
Verdict forged_segments(FaultState& fault, Passage& passage);

}  // namespace runnel::sim::faults
