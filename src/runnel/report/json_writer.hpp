// JSON (RFC 8259) written in order into a string: objects and arrays are opened and closed, commas
// come by themselves. Text of any bytes becomes valid: what is no UTF-8 is replaced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace runnel::report {

class JsonWriter {
public:
    /// Appends to `out`, which must outlive the writer.
    explicit JsonWriter(std::string& out) : out_(out) {}

    /// Opens an object or array, as the value of `name` within an object or nameless within an array.
    void begin_object(std::string_view name = {}) { open(name, '{'); }
    void begin_array(std::string_view name = {}) { open(name, '['); }
    void end_object() { close('}'); }
    void end_array() { close(']'); }

    void text(std::string_view name, std::string_view value);
    void null(std::string_view name) { raw(name, "null"); }
    void boolean(std::string_view name, bool value) { raw(name, value ? "true" : "false"); }
    template <class T>
    void number(std::string_view name, T value) {
        raw(name, fmt::format("{}", value));
    }
    /// A number already in its text form.
    void raw(std::string_view name, std::string_view value);

    /// `value` in quotes and escaped.
    [[nodiscard]] static std::string quoted(std::string_view value);

private:
    void key(std::string_view name);
    void open(std::string_view name, char bracket);
    void close(char bracket);

    std::string& out_;
    bool first_ = true;
};

}  // namespace runnel::report
