#include "runnel/report/qlog_writer.hpp"

#include <fmt/format.h>

#include <iterator>

namespace runnel::report {

namespace {
constexpr char kRecordSeparator = '\x1e';  // RFC 7464 §2.2
}

QlogWriter::QlogWriter(std::string& sink, std::string_view title, std::string_view vantage_point)
    : sink_(sink) {
    sink_ += kRecordSeparator;
    JsonWriter json(sink_);
    json.begin_object();
    json.text("qlog_version", "0.3");
    json.text("qlog_format", "JSON-SEQ");
    json.text("title", title);
    json.begin_object("trace");
    json.begin_object("vantage_point");
    json.text("name", vantage_point);
    json.text("type", "unknown");  // a host may be client and server at once
    json.end_object();
    json.begin_object("common_fields");
    json.text("time_format", "relative");
    json.number("reference_time", 0);
    json.begin_array("protocol_type");
    json.text("", "tcp");
    json.end_array();
    json.end_object();
    json.end_object();
    json.end_object();
    sink_ += '\n';
}

void QlogWriter::begin(Duration at, std::string_view name, std::string_view group) {
    fmt::format_to(std::back_inserter(sink_), "{}{{\"time\":{:.6f},\"name\":\"{}\",",
                   kRecordSeparator, static_cast<double>(at.ns) / 1e6, name);
    if (!group.empty()) {
        fmt::format_to(std::back_inserter(sink_), "\"group_id\":{},", JsonWriter::quoted(group));
    }
    sink_ += "\"data\":";
}

void QlogWriter::end() {
    sink_ += "}\n";
}

}  // namespace runnel::report
