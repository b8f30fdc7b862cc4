// A decision of another process's flight recorder as one line for people: what `trace` and `why` print.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

namespace runnel::control {

/// "HH:MM:SS.uuuuuu", local time, of an instant of a process whose Instant 0 was at `epoch`.
[[nodiscard]] std::string clock_text(std::int64_t unix_epoch_ns, std::int64_t time_ns);

/// The fields of an "event" line: with the connection's ends if `with_ends`, the segment, the state, the
/// decision with its sentence and clause. `time` stands in front.
[[nodiscard]] std::string event_text(const boost::json::object& event, const std::string& time,
                                     bool with_ends, bool color);

}  // namespace runnel::control
