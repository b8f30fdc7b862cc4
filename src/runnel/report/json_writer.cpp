#include "runnel/report/json_writer.hpp"

#include "runnel/report/text.hpp"

namespace runnel::report {

std::string JsonWriter::quoted(std::string_view value) {
    std::string escaped = "\"";
    for (const char c : printable(value)) {
        if (c == '"' || c == '\\') {
            escaped += '\\';
        }
        escaped += c;
    }
    escaped += '"';
    return escaped;
}

void JsonWriter::key(std::string_view name) {
    if (!first_) {
        out_ += ',';
    }
    first_ = false;
    if (!name.empty()) {
        out_ += quoted(name);
        out_ += ':';
    }
}

void JsonWriter::open(std::string_view name, char bracket) {
    key(name);
    out_ += bracket;
    first_ = true;
}

void JsonWriter::close(char bracket) {
    out_ += bracket;
    first_ = false;
}

void JsonWriter::text(std::string_view name, std::string_view value) {
    key(name);
    out_ += quoted(value);
}

void JsonWriter::raw(std::string_view name, std::string_view value) {
    key(name);
    out_ += value;
}

}  // namespace runnel::report
