#include "runnel/report/decision_report.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "runnel/report/json_writer.hpp"
#include "runnel/report/tcp_text.hpp"
#include "runnel/report/text.hpp"
#include "runnel/tcp/state.hpp"

namespace runnel::report {

namespace {

constexpr std::array kKindOrder = {DecisionKind::transmit, DecisionKind::accept, DecisionKind::hold,
                                   DecisionKind::drop, DecisionKind::note};

Ink ink_of(DecisionKind kind) {
    switch (kind) {
        case DecisionKind::drop: return Ink::alarm;
        case DecisionKind::hold: return Ink::warning;
        case DecisionKind::transmit: return Ink::good;
        case DecisionKind::accept: return Ink::notice;
        case DecisionKind::note: break;
    }
    return Ink::plain;
}

struct Row {
    const DecisionText* text;
    std::uint64_t count;
};

std::vector<Row> counted_decisions(const FlightRecorder& recorder) {
    std::vector<Row> rows;
    for (const DecisionKind kind : kKindOrder) {
        for (std::size_t i = 0; i < kDecisionCount; ++i) {
            const auto decision = static_cast<Decision>(i);
            const DecisionText& text = describe(decision);
            if (text.kind == kind && recorder.count(decision) != 0) {
                rows.push_back({&text, recorder.count(decision)});
            }
        }
    }
    return rows;
}

}  // namespace

std::string_view verb(DecisionKind kind) {
    switch (kind) {
        case DecisionKind::accept: return "accepted";
        case DecisionKind::drop: return "dropped";
        case DecisionKind::transmit: return "sent";
        case DecisionKind::hold: return "held";
        case DecisionKind::note: break;
    }
    return "noted";
}

void append_decision_comment(std::string& out, Decision decision) {
    const DecisionText& text = describe(decision);
    fmt::format_to(std::back_inserter(out), "{}: {} — {} ({})", verb(text.kind), text.name,
                   text.sentence, text.clause);
}

std::string decision_comment(Decision decision) {
    std::string comment;
    append_decision_comment(comment, decision);
    return comment;
}

std::string decision_table(const FlightRecorder& recorder, bool color) {
    const Paint paint{color};
    const std::vector<Row> rows = counted_decisions(recorder);
    std::size_t count_width = 0;
    std::size_t name_width = 0;
    for (const Row& row : rows) {
        count_width = std::max(count_width, count_text(row.count).size());
        name_width = std::max(name_width, row.text->name.size());
    }
    std::string table;
    for (const Row& row : rows) {
        table += fmt::format("{}  {}  {} {}\n", pad_left(count_text(row.count), count_width),
                             paint(ink_of(row.text->kind), pad_right(row.text->name, name_width)),
                             row.text->sentence, paint(Ink::dim, row.text->clause));
    }
    return table;
}

std::string decision_table_json(const FlightRecorder& recorder) {
    std::string text;
    JsonWriter json(text);
    json.begin_array();
    for (const Row& row : counted_decisions(recorder)) {
        json.begin_object();
        json.text("name", row.text->name);
        json.text("kind", verb(row.text->kind));
        json.number("count", row.count);
        json.text("sentence", row.text->sentence);
        json.text("clause", row.text->clause);
        json.end_object();
    }
    json.end_array();
    return text;
}

std::string event_line(const EventRecord& event, Instant origin, bool color) {
    const Paint paint{color};
    const DecisionText& text = describe(event.decision);
    std::string segment;
    if (event.flags != 0 || event.length != 0) {
        const TcpFlags flags{event.flags};
        segment = fmt::format("{} seq {}", flags_text(flags), event.seq);
        if (flags.ack()) {
            segment += fmt::format(" ack {}", event.ack);
        }
        segment += fmt::format(" win {} len {}", event.window, event.length);
    }
    // The low half of a packed handle is its place in the table: short, and stable while it lives.
    const std::string connection =
        event.connection == 0 ? "-" : fmt::format("#{}", event.connection & 0xffff'ffff);
    const std::string_view state = event.connection == 0 || event.state >= tcp::kStateCount
                                       ? std::string_view("-")
                                       : tcp::to_string(static_cast<tcp::State>(event.state));
    std::string line = fmt::format(
        "{:>12.6f} {:<5} {} {:<12} {} {}", static_cast<double>((event.time - origin).ns) / 1e9,
        connection, segment.empty() ? "·" : (event.inbound != 0 ? "←" : "→"), state,
        paint(ink_of(text.kind), fmt::format("{}: {}", verb(text.kind), text.name)), text.sentence);
    if (event.value != 0) {
        line += fmt::format(" [{}]", event.value);
    }
    line += ' ' + paint(Ink::dim, text.clause);
    if (!segment.empty()) {
        line += paint(Ink::dim, "  " + segment);
    }
    return line;
}

}  // namespace runnel::report
