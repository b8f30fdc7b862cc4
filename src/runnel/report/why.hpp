// Why a connection is as it is, in sentences: what keeps it from sending, what the reader does to it, and what
// will change that next. From a snapshot, so that it can be told of another process's connection.
#pragma once

#include <string>

#include "runnel/tcp/status.hpp"

namespace runnel::report {

struct Explanation {
    std::string sending;    ///< what limits it now
    std::string receiving;  ///< empty where nothing is received: LISTEN, TIME-WAIT
    std::string timer;      ///< what happens when the next timer fires, and in which time
    std::string sooner;     ///< what may come before it
};

/// `now` on the clock of the snapshot's instants.
[[nodiscard]] Explanation explain_connection(const tcp::ConnectionStatus& connection, Instant now);

}  // namespace runnel::report
