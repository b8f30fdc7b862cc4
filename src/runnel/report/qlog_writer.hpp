// qlog (draft-ietf-quic-qlog-main-schema, version 0.3) in its streamed form: a JSON text sequence (RFC 7464),
// one record an event, file name .sqlog. qlog has words for QUIC; what is TCP's keeps their event names where
// they fit and says "tcp" in protocol_type. docs/sim.md lists events and fields.
#pragma once

#include <string>
#include <string_view>

#include "runnel/base/time.hpp"
#include "runnel/report/json_writer.hpp"

namespace runnel::report {

class QlogWriter {
public:
    /// Appends the trace's header to `sink`, which outlives the writer; the caller may empty it between calls.
    QlogWriter(std::string& sink, std::string_view title, std::string_view vantage_point);

    /// One event at `at` since the trace's zero: `fill(json)` writes the members of its data. `group` is the
    /// connection's name; empty: of none.
    template <class Fill>
    void event(Duration at, std::string_view name, std::string_view group, Fill&& fill) {
        begin(at, name, group);
        {
            JsonWriter json(sink_);
            json.begin_object();
            fill(json);
            json.end_object();
        }
        end();
    }

private:
    void begin(Duration at, std::string_view name, std::string_view group);
    void end();

    std::string& sink_;
};

}  // namespace runnel::report
