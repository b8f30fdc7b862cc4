// Connections as `ss` and the tutorials' `netstat -napt` show them: state, queues, endpoints, timer, and on
// request what the sender knows. Written from snapshots (tcp::ConnectionStatus), for people and as JSON.
#pragma once

#include <span>
#include <string>

#include "runnel/base/time.hpp"
#include "runnel/tcp/status.hpp"

namespace runnel::report {

/// Which rows and columns; the letters are those of `ss`. -t and -n change nothing: there is only TCP, and
/// ports are never shown as names.
struct TableOptions {
    bool listening = false;  ///< -l: listeners only
    bool all = false;        ///< -a: listeners and the rest
    bool timers = false;    ///< -o: the earliest timer, what is left of it, and the retransmissions
    bool info = false;      ///< -i: a line of what tcp_info tells
    bool extended = false;  ///< -e: a line of sequence numbers, handle, and what limits the sender
    bool processes = false;  ///< -p: whose it is
    bool header = true;
    bool color = false;
};

/// One line a connection in the order given, columns aligned. Without -l and -a: what is connected or
/// connecting, as `ss` has it, and TIME-WAIT left out. `users` is what -p shows, one for each connection.
[[nodiscard]] std::string connection_table(std::span<const tcp::ConnectionStatus> connections,
                                           Instant now, const TableOptions& options,
                                           std::span<const std::string> users = {});

/// The same rows as one JSON array, every field of the snapshot in it; times in nanoseconds.
[[nodiscard]] std::string connection_table_json(std::span<const tcp::ConnectionStatus> connections,
                                                Instant now, const TableOptions& options);

}  // namespace runnel::report
