// `explain` for programs. A segment: conversation, packet (from 1), time (seconds since the conversation's
// first), unix_ns, from, to, flags, seq, ack, length, window, states_before and states_after (left, right;
// null where not known), findings (verdict, level, text, clause), receiver (what it should do). The summary, the
// last object of a conversation: summary true, left, right, verdict, worst (level), counts by level,
// handshake, ending, capture (findings), ends (state, bytes, retransmissions by kind, round trips, findings).
#include <fmt/format.h>

#include "runnel/analyse/explain.hpp"
#include "runnel/analyse/receiver_duty.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/tcp_text.hpp"

namespace runnel::analyse {

namespace {

using report::Conversation;
using report::End;
using report::EndStates;
using report::index_of;
using report::JsonWriter;
using report::SeenSegment;

void write_states(JsonWriter& json, std::string_view name, const EndStates& states) {
    json.begin_object(name);
    for (const End end : {End::left, End::right}) {
        const char* side = end == End::left ? "left" : "right";
        if (const auto state = states.of[index_of(end)]) {
            json.text(side, tcp::to_string(*state));
        } else {
            json.null(side);
        }
    }
    json.end_object();
}

template <class Findings>
void write_findings(JsonWriter& json, std::string_view name, const Findings& findings) {
    json.begin_array(name);
    for (const Finding& finding : findings) {
        const VerdictInfo& about = info(finding.verdict);
        json.begin_object();
        json.text("verdict", about.name);
        json.text("level", analyse::name(about.level));
        json.text("text", sentence(finding));
        if (!about.clause.empty()) {
            json.text("clause", about.clause);
        }
        json.end_object();
    }
    json.end_array();
}

void write_segment(JsonWriter& json, const Conversation& conversation, const Analysis& analysis,
                   std::size_t i) {
    const SeenSegment& s = conversation.segments[i];
    json.number("conversation", conversation.number);
    json.number("packet", s.packet + 1);
    json.raw("time",
             fmt::format("{:.9f}", static_cast<double>(s.time_ns - conversation.start_ns()) / 1e9));
    json.number("unix_ns", s.time_ns);
    json.text("from", to_string(conversation.endpoint(s.from)));
    json.text("to", to_string(conversation.endpoint(other(s.from))));
    json.text("flags", report::flags_text(s.header.flags));
    json.number("seq", s.seq);
    if (s.header.flags.ack()) {
        json.number("ack", s.ack);
    }
    json.number("length", s.payload_size);
    if (conversation.scales_known) {
        json.number("window", s.window);
    }
    write_states(json, "states_before",
                 i == 0 ? analysis.states.before : analysis.states.after[i - 1]);
    write_states(json, "states_after", analysis.states.after[i]);
    write_findings(json, "findings", analysis.segments[i]);
    const std::string duty = receiver_duty(conversation, analysis, i);
    if (!duty.empty()) {
        json.text("receiver", duty);
    }
}

void write_end(JsonWriter& json, const Conversation& conversation, const Analysis& analysis,
               End end) {
    const Side& side = analysis.sides[index_of(end)];
    const Totals& totals = side.totals;
    const EndStates& last =
        analysis.states.after.empty() ? analysis.states.before : analysis.states.after.back();
    json.begin_object(end == End::left ? "left" : "right");
    json.text("address", to_string(conversation.endpoint(end)));
    if (const auto state = last.of[index_of(end)]) {
        json.text("state", tcp::to_string(*state));
    } else {
        json.null("state");
    }
    json.number("segments", totals.segments);
    json.number("bytes", totals.bytes);
    json.begin_object("retransmissions");
    json.number("fast", totals.fast);
    json.number("recovery", totals.recovery);
    json.number("timeout", totals.timeout);
    json.number("probe", totals.probes);
    json.number("spurious", totals.spurious);
    json.number("fin", totals.fin);
    json.end_object();
    if (side.round_trips.count != 0) {
        json.begin_object("round_trip_ns");
        json.number("samples", side.round_trips.count);
        json.number("least", side.round_trips.least);
        json.number("mean", static_cast<std::int64_t>(side.round_trips.sum /
                                                      static_cast<double>(side.round_trips.count)));
        json.number("most", side.round_trips.most);
        json.end_object();
    }
    write_findings(json, "findings", analysis.ends[index_of(end)]);
    json.end_object();
}

void write_summary(JsonWriter& json, const Conversation& conversation, const Analysis& analysis) {
    json.number("conversation", conversation.number);
    json.boolean("summary", true);
    json.text("verdict", verdict_text(analysis));
    json.text("worst", name(analysis.worst()));
    json.begin_object("counts");
    for (const Level level : {Level::unsure, Level::unusual, Level::violates}) {
        json.number(name(level), analysis.count(level));
    }
    json.end_object();
    json.text("handshake", handshake_text(conversation, analysis));
    json.text("ending", report::ending_text(conversation));
    write_findings(json, "capture", analysis.limits);
    write_end(json, conversation, analysis, End::left);
    write_end(json, conversation, analysis, End::right);
}

}  // namespace

std::string explain_json(const Conversation& conversation, const Analysis& analysis,
                         bool summary_only) {
    std::string out;
    for (std::size_t i = 0; !summary_only && i < conversation.segments.size(); ++i) {
        JsonWriter json(out);
        json.begin_object();
        write_segment(json, conversation, analysis, i);
        json.end_object();
        out += '\n';
    }
    JsonWriter json(out);
    json.begin_object();
    write_summary(json, conversation, analysis);
    json.end_object();
    out += '\n';
    return out;
}

}  // namespace runnel::analyse
