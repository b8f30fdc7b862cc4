#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void report(Simulation& run, Check check, NodeId host, std::uint16_t flow, std::string_view what,
            std::initializer_list<Look::Figure> figures, std::uint64_t connection) {
    if (flow != kNoFlow && run.suspended(check, flow)) {
        return run.excuse(check);
    }
    std::string text(what);
    const char* before = ": ";
    for (const Look::Figure& figure : figures) {
        text.append(before).append(figure.first).append(" ").append(std::to_string(figure.second));
        before = ", ";
    }
    run.violate({.check = check,
                 .text = std::move(text),
                 .at = run.now(),
                 .host = host,
                 .connection = connection,
                 .event = run.result().events});
}

void Look::fails(Check check, std::string_view what, std::initializer_list<Figure> figures) const {
    const std::uint16_t at_server = static_cast<std::uint16_t>(tcb.tuple.local.port - kFirstPort);
    const std::uint16_t at_client = static_cast<std::uint16_t>(tcb.tuple.remote.port - kFirstPort);
    const std::uint16_t id = at_server < kMaxFlows ? at_server : at_client;
    const std::uint16_t flow =
        id < kMaxFlows ? run.workload().index_of(static_cast<std::uint8_t>(id)) : kNoFlow;
    report(run, check, host, flow, what, figures, seen.handle);
}

}  // namespace runnel::sim::check
