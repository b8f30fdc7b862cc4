// Memory is conserved: each octet that a connection holds lies in memory of the pool that is in use, and no
// more is in use than they can pin (law 5). At rest nothing is held at all: the last connection has been
// closed for longer than 2MSL.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

void memory(Simulation& run, NodeId host, std::uint64_t held, bool at_rest) {
    Host& of = run.host(host);
    const std::size_t in_use = of.pool().bytes_in_use();
    if (held > in_use) {
        return report(run, Check::buffers, host, kNoFlow,
                      "more octets are held than memory is in use",
                      {{"held", held}, {"in use", in_use}});
    }
    if (!at_rest) {
        return;
    }
    unsigned connections = 0, waiting = 0;
    run.window(host).for_each([&](const tcp::Tcb&) { ++connections; });
    run.window(host).for_each_time_wait([&](const tcp::TimeWaitEntry&) { ++waiting; });
    const std::uint32_t sockets = run.sockets(host).open_sockets();
    if (in_use != 0 || connections != 0 || waiting != 0 || sockets != 0) {
        report(run, Check::buffers, host, kNoFlow,
               "something is held after the last close and 2MSL",
               {{"octets in use", in_use},
                {"connections", connections},
                {"TIME-WAIT", waiting},
                {"sockets", sockets}});
    }
}

}  // namespace runnel::sim::check
