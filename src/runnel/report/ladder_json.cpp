// The ladder for programs: one JSON object a segment. Fields: conversation, packet (from 1, as Wireshark
// numbers them), time (seconds since the conversation's first packet), unix_ns, from, to, flags, seq, ack
// (relative), seq_absolute, ack_absolute, window (bytes), window_wire, length, options, states, notes,
// comments. An ICMP error has icmp_error, reporter and about_seq instead of the segment's fields.
#include <fmt/format.h>

#include "runnel/report/end_follower.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/segment_notes.hpp"
#include "runnel/report/tcp_text.hpp"

namespace runnel::report {

namespace {

void write_flags(JsonWriter& json, TcpFlags flags) {
    json.begin_array("flags");
    for (unsigned bit = 0; bit < 9; ++bit) {
        const TcpFlags one{static_cast<std::uint16_t>(flags.bits & (1U << bit))};
        if (one.bits != 0) {
            json.text({}, flags_text(one));
        }
    }
    json.end_array();
}

void write_options(JsonWriter& json, const SeenSegment& segment) {
    const TcpOptions& options = segment.header.options;
    json.begin_object("options");
    if (options.mss) {
        json.number("mss", *options.mss);
    }
    if (options.window_scale) {
        json.number("wscale", unsigned{*options.window_scale});
    }
    if (options.sack_permitted) {
        json.boolean("sack_permitted", true);
    }
    if (options.timestamps) {
        json.number("ts_val", options.timestamps->value);
        json.number("ts_ecr", options.timestamps->echo);
    }
    if (!options.sack.empty()) {
        json.begin_array("sack");
        for (const SackBlock& block : options.sack) {
            json.begin_array();
            json.number({}, segment.ack + block.left.offset_from(segment.header.ack));
            json.number({}, segment.ack + block.right.offset_from(segment.header.ack));
            json.end_array();
        }
        json.end_array();
    }
    if (!segment.other_options.empty()) {
        json.begin_array("other");
        for (const std::uint8_t kind : segment.other_options) {
            json.number({}, unsigned{kind});
        }
        json.end_array();
    }
    json.end_object();
}

void write_states(JsonWriter& json, const EndStates& states) {
    json.begin_object("states");
    for (const End end : {End::left, End::right}) {
        const char* name = end == End::left ? "left" : "right";
        if (const auto state = states.of[index_of(end)]) {
            json.text(name, tcp::to_string(*state));
        } else {
            json.null(name);
        }
    }
    json.end_object();
}

void write_comments(JsonWriter& json, const CapturedPacket& packet) {
    json.begin_array("comments");
    for (const std::string_view comment : packet.comments) {
        json.text({}, comment);
    }
    json.end_array();
}

void write_place(JsonWriter& json, const Conversation& conversation, std::size_t packet,
                 std::int64_t time_ns) {
    json.number("conversation", conversation.number);
    json.number("packet", packet + 1);
    json.raw("time",
             fmt::format("{:.9f}", static_cast<double>(time_ns - conversation.start_ns()) / 1e9));
    json.number("unix_ns", time_ns);
}

void write_segment(JsonWriter& json, const Conversation& conversation, const SeenSegment& segment,
                   const Notes& notes, const EndStates& states) {
    const TcpHeader& header = segment.header;
    write_place(json, conversation, segment.packet, segment.time_ns);
    json.text("from", to_string(conversation.endpoint(segment.from)));
    json.text("to", to_string(conversation.endpoint(other(segment.from))));
    write_flags(json, header.flags);
    json.number("seq", segment.seq);
    json.number("seq_absolute", header.seq.value);
    if (header.flags.ack()) {
        json.number("ack", segment.ack);
        json.number("ack_absolute", header.ack.value);
    }
    if (conversation.scales_known) {
        json.number("window", segment.window);
    }
    json.number("window_wire", header.window);
    json.number("length", segment.payload_size);
    write_options(json, segment);
    write_states(json, states);
    json.begin_array("notes");
    for (const Note& note : notes) {
        json.text({}, note_text(note));
    }
    json.end_array();
}

}  // namespace

std::string ladder_json(const Conversation& conversation, const Capture& capture) {
    const FollowedStates followed = follow_ends(conversation.segments);
    const std::vector<Notes> notes = note_segments(conversation);
    std::string out;
    auto error = conversation.icmp_errors.begin();
    const auto write_errors_before = [&](std::size_t packet) {
        for (; error != conversation.icmp_errors.end() && error->packet < packet; ++error) {
            JsonWriter json(out);
            json.begin_object();
            write_place(json, conversation, error->packet, error->time_ns);
            json.text("icmp_error", error->meaning);
            json.text("reporter", to_string(error->reporter));
            json.text("to", to_string(conversation.endpoint(error->about)));
            json.number("about_seq", error->seq);
            write_comments(json, capture.packets[error->packet]);
            json.end_object();
            out += '\n';
        }
    };
    for (std::size_t i = 0; i < conversation.segments.size(); ++i) {
        const SeenSegment& segment = conversation.segments[i];
        write_errors_before(segment.packet);
        JsonWriter json(out);
        json.begin_object();
        write_segment(json, conversation, segment, notes[i], followed.after[i]);
        write_comments(json, capture.packets[segment.packet]);
        json.end_object();
        out += '\n';
    }
    write_errors_before(capture.packets.size());
    return out;
}

}  // namespace runnel::report
