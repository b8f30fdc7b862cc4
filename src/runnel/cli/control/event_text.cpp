#include "runnel/cli/control/event_text.hpp"

#include <fmt/format.h>
#include <time.h>

#include <boost/json.hpp>

#include "runnel/cli/control/client.hpp"
#include "runnel/report/text.hpp"

namespace runnel::control {

namespace {

using report::Ink;
using report::printable;

Ink ink_of(std::string_view kind) {
    if (kind == "dropped") {
        return Ink::alarm;
    }
    if (kind == "held") {
        return Ink::warning;
    }
    if (kind == "sent") {
        return Ink::good;
    }
    return kind == "accepted" ? Ink::notice : Ink::plain;
}

std::string segment_text(const boost::json::object& segment) {
    const std::string flags = printable(text_of(segment, "flags"));
    std::string text = fmt::format("{} seq {}", flags, number_of(segment, "seq"));
    if (flags.find("ACK") != std::string::npos) {
        text += fmt::format(" ack {}", number_of(segment, "ack"));
    }
    return text + fmt::format(" win {} len {}", number_of(segment, "window"),
                              number_of(segment, "length"));
}

}  // namespace

std::string clock_text(std::int64_t unix_epoch_ns, std::int64_t time_ns) {
    const std::int64_t at = unix_epoch_ns + time_ns;
    const time_t second = at / 1'000'000'000;
    tm parts{};
    ::localtime_r(&second, &parts);
    return fmt::format("{:02}:{:02}:{:02}.{:06}", parts.tm_hour, parts.tm_min, parts.tm_sec,
                       at % 1'000'000'000 / 1000);
}

std::string event_text(const boost::json::object& event, const std::string& time, bool with_ends,
                       bool color) {
    const report::Paint paint{color};
    std::string text = paint(Ink::dim, time);
    const boost::json::object* segment = object_of(event, "segment");
    if (with_ends) {
        const std::string local = text_of(event, "local");
        const char* arrow = segment == nullptr ? "·" : (truth_of(*segment, "inbound") ? "←" : "→");
        text += local.empty() ? fmt::format(" - {}", arrow)
                              : fmt::format(" {} {} {}", printable(local), arrow,
                                            printable(text_of(event, "remote")));
    } else if (segment != nullptr) {
        text += truth_of(*segment, "inbound") ? " ←" : " →";
    } else {
        text += " ·";
    }
    if (segment != nullptr) {
        text += ' ' + segment_text(*segment);
    }
    const std::string state = text_of(event, "state");
    if (!state.empty()) {
        text += ' ' + printable(state);
    }
    const std::string kind = text_of(event, "kind");
    text += ' ' + paint(ink_of(kind), printable(kind + ": " + text_of(event, "decision")));
    text += " — " + printable(text_of(event, "sentence"));
    if (const std::uint64_t value = number_of(event, "value"); value != 0) {
        text += fmt::format(" [{}]", value);
    }
    return text + ' ' + paint(Ink::dim, '(' + printable(text_of(event, "clause")) + ')');
}

}  // namespace runnel::control
