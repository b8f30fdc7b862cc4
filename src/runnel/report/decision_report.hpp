// Decisions in words: the comment that a captured packet carries, one line an event of the flight
// recorder, and the table of counters behind `stat` (law 4: every decision has a name, a sentence and
// a clause).
#pragma once

#include <string>

#include "runnel/base/time.hpp"
#include "runnel/observe/flight_recorder.hpp"

namespace runnel::report {

/// "sent", "accepted", "dropped", "held" or "noted".
[[nodiscard]] std::string_view verb(DecisionKind kind);

/// "sent: tcp_transmit_syn — The user opened a connection. (RFC 9293 §3.10.1)".
[[nodiscard]] std::string decision_comment(Decision decision);
/// The same, appended to `out`: where it is written a packet.
void append_decision_comment(std::string& out, Decision decision);

/// Every decision that was made at least once: count, name, sentence, clause, in the order of their kinds
/// (transmit, accept, hold, drop, note), a line each, columns aligned. Empty when there is none.
[[nodiscard]] std::string decision_table(const FlightRecorder& recorder, bool color = false);
/// The same as one JSON array of {"name","kind","count","sentence","clause"}.
[[nodiscard]] std::string decision_table_json(const FlightRecorder& recorder);

/// One event: time since `origin` in seconds, connection, direction, the segment as far as there is one
/// (sequence numbers as on the wire), state afterwards, and the decision with sentence and clause.
[[nodiscard]] std::string event_line(const EventRecord& event, Instant origin = {},
                                     bool color = false);

}  // namespace runnel::report
