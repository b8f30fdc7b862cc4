#include "runnel/cli/control/lines.hpp"

#include <fmt/format.h>

#include "runnel/report/connection_json.hpp"
#include "runnel/report/decision_report.hpp"
#include "runnel/report/tcp_text.hpp"

namespace runnel::control {

using tcp::ConnectionStatus;

void end_line(std::string& out, std::string_view what, std::uint64_t count) {
    write_line(out, "end", [&](JsonWriter& json) { json.number(what, count); });
}

void write_tuple(JsonWriter& json, const FourTuple& tuple) {
    json.text("local", to_string(tuple.local));
    json.text("remote", to_string(tuple.remote));
}

void connection_line(std::string& out, const WatchedHost& from,
                     const ConnectionStatus& connection) {
    write_line(out, "connection", [&](JsonWriter& json) {
        json.text("host", from.name);
        report::write_connection(json, connection, from.now());
    });
}

void event_line(std::string& out, const WatchedHost& from, const EventRecord& event,
                std::uint64_t number, const FourTuple* tuple) {
    const DecisionText& text = describe(event.decision);
    write_line(out, "event", [&](JsonWriter& json) {
        json.text("host", from.name);
        json.number("number", number);
        json.number("time_ns", event.time.ns);
        json.text("handle", fmt::format("{:x}", event.connection));
        if (tuple != nullptr) {
            write_tuple(json, *tuple);
        }
        if (event.connection != 0 && event.state < tcp::kStateCount) {
            json.text("state", tcp::to_string(static_cast<tcp::State>(event.state)));
        }
        if (event.flags != 0 || event.length != 0) {
            json.begin_object("segment");
            json.boolean("inbound", event.inbound != 0);
            json.text("flags", report::flags_text(TcpFlags{event.flags}));
            json.number("seq", event.seq);
            json.number("ack", event.ack);
            json.number("window", event.window);
            json.number("length", event.length);
            json.end_object();
        }
        json.text("decision", text.name);
        json.text("kind", report::verb(text.kind));
        json.text("sentence", text.sentence);
        json.text("clause", text.clause);
        json.number("value", event.value);
    });
}

}  // namespace runnel::control
