// What is read is what was written, each octet once, in order; a prefix of it until the writer has closed.
// The applications compare each octet (workload/session.cpp); here is who speaks up.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void content(Simulation& run, std::uint16_t flow, NodeId host) {
    const FlowResult& result = run.workload().results()[flow];
    if (result.mismatch) {
        report(run, Check::content, host, flow, result.wrong,
               {{"flow", run.scenario().flows[flow].id}, {"at", result.wrong_at}});
    }
}

void once(Simulation& run, std::uint16_t flow, NodeId host) {
    const FlowResult& result = run.workload().results()[flow];
    if (!result.repeated.empty()) {
        report(run, Check::once, host, flow, result.repeated,
               {{"flow", run.scenario().flows[flow].id}});
    }
}

}  // namespace runnel::sim::check
