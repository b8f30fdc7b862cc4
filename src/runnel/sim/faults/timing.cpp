// Packets that arrive twice, too late, or after those sent behind them.
#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

Verdict duplicate(FaultState& fault, Passage& passage) {
    if (fault.chance()) {
        ++fault.times;
        Packet* again = passage.pool.copy(*passage.packet);
        const Duration lag = fault.up_to(fault.spec->a);
        passage.extras.push_back({again, passage.later + lag, false});
    }
    return Verdict::pass;
}

Verdict reorder(FaultState& fault, Passage& passage) {
    if (fault.chance()) {
        ++fault.times;
        passage.later += fault.up_to(fault.spec->a);
    }
    return Verdict::pass;
}

Verdict delay_step(FaultState& fault, Passage& passage) {
    ++fault.times;
    passage.later += Duration{fault.spec->a};
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
