#include "runnel/report/ladder.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "runnel/report/end_follower.hpp"
#include "runnel/report/ladder_plan.hpp"
#include "runnel/report/segment_notes.hpp"
#include "runnel/report/tcp_text.hpp"
#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

constexpr std::size_t kStateWidth = 12;  // SYN-RECEIVED
constexpr std::size_t kLeastTime = 8;    // 0.000000
constexpr std::size_t kLeastShaft = 2;   // of an arrow
constexpr char kNoBreak = '\x1f';        // stands in for a blank; never in what is printed
constexpr std::size_t kIssWidth = 14;    // ISS 4294967295

struct Glyphs {
    std::string_view line, shaft, right, left, fold, to_right, to_left, dot, ellipsis, dash;
};
constexpr Glyphs kUnicode = {"│", "─", "▶", "◀", "┊", "→", "←", "·", "…", "–"};
constexpr Glyphs kAscii = {"|", "-", ">", "<", ":", "->", "<-", "-", "...", "-"};

// The columns of an arrow's text, in their order; what doesn't fit goes beneath it, the last first.
constexpr std::size_t kColumns = 5;  // flags, seq, ack, len, win
using Fields = std::array<std::string, kColumns>;

Fields fields_of(const SeenSegment& segment) {
    const TcpFlags flags = segment.header.flags;
    Fields fields;
    fields[0] = flags_text(flags);
    fields[1] = fmt::format("seq {}", segment.seq);
    if (flags.ack()) {
        fields[2] = fmt::format("ack {}", segment.ack);
    }
    if (segment.payload_size != 0) {
        fields[3] = fmt::format("len {}", segment.payload_size);
    }
    if (!flags.rst()) {
        fields[4] = fmt::format("win {}", segment.window);
    }
    return fields;
}

class Renderer {
public:
    Renderer(const Conversation& conversation, const Capture& capture, const LadderStyle& style)
        : conversation_(conversation),
          capture_(capture),
          style_(style),
          paint_{style.color},
          glyphs_(style.ascii ? kAscii : kUnicode),
          width_(std::max(style.width, kLeastLadderWidth)),
          followed_(follow_ends(conversation.segments)),
          notes_(note_segments(conversation)),
          rows_(plan_rows(conversation, notes_, followed_, style.all,
                          commented(conversation, capture, style))),
          window_changes_(find_window_changes(conversation)) {
        lay_out();
    }

    std::string render() {
        heading();
        EndStates states = followed_.before;
        line("", states, states, pad_right("", room_), Ink::plain, glyphs_.line);
        for (const LadderRow& row : rows_) {
            switch (row.kind) {
                case LadderRow::Kind::segment:
                    segment_row(row, states);
                    states = followed_.after[row.last];
                    break;
                case LadderRow::Kind::fold:
                    fold_row(row, states);
                    states = followed_.after[row.last];
                    break;
                case LadderRow::Kind::icmp_error: icmp_row(row, states); break;
            }
        }
        closing();
        return std::move(out_);
    }

private:
    static std::vector<bool> commented(const Conversation& conversation, const Capture& capture,
                                       const LadderStyle& style) {
        std::vector<bool> kept;
        if (style.keep_commented) {
            for (const SeenSegment& segment : conversation.segments) {
                kept.push_back(!capture.packets[segment.packet].comments.empty());
            }
        }
        return kept;
    }

    // --- widths ----------------------------------------------------------------------------------------
    void lay_out() {
        const std::int64_t span = conversation_.end_ns() - conversation_.start_ns();
        time_width_ = std::max(kLeastTime, time_text(conversation_.start_ns() + span).size());
        // time, state, line, room, line, state, with a blank between
        room_ = width_ - time_width_ - 2 * kStateWidth - 5;
        // "─ text ───▶": what is left for the text.
        most_text_ = room_ - 4 - kLeastShaft;
        std::size_t aligned = 0;
        for (const LadderRow& row : rows_) {
            if (row.kind == LadderRow::Kind::segment) {
                const Fields fields = fields_of(conversation_.segments[row.first]);
                for (std::size_t i = 0; i < kColumns; ++i) {
                    column_width_[i] = std::max(column_width_[i], fields[i].size());
                }
            }
        }
        for (const std::size_t width : column_width_) {
            aligned += width == 0 ? 0 : width + (aligned == 0 ? 0 : 1);
        }
        aligned_ = aligned <= most_text_;
        // The ISS stands behind a SYN's columns where there is room for it.
        iss_on_arrow_ = aligned_ && aligned + 1 + kIssWidth <= most_text_;
        for (const LadderRow& row : rows_) {
            if (row.kind == LadderRow::Kind::segment) {
                const ArrowText text = arrow_text(row.first);
                text_width_ = std::max(text_width_, columns(text.on));
            }
        }
    }

    // What stands on an arrow, and what had no room there.
    struct ArrowText {
        std::string on;
        std::string beneath;
    };

    ArrowText arrow_text(std::size_t index) const {
        const SeenSegment& segment = conversation_.segments[index];
        const Fields fields = fields_of(segment);
        ArrowText text;
        for (std::size_t i = 0; i < kColumns; ++i) {
            if (aligned_ && column_width_[i] != 0) {
                text.on += text.on.empty() ? "" : " ";
                text.on += pad_right(fields[i], column_width_[i]);
            } else if (!fields[i].empty()) {
                add_unaligned(text, fields[i], i == kColumns - 1 && !window_changes_[index]);
            }
        }
        if (segment.header.flags.syn()) {
            const std::string iss = fmt::format("ISS {}", segment.header.seq.value);
            if (iss_on_arrow_) {
                text.on += " " + iss;
            } else {
                join(text.beneath, unbreakable(iss));
            }
        }
        text.on.erase(text.on.find_last_not_of(' ') + 1);
        return text;
    }

    // Where the columns don't fit side by side, each arrow has what fits; `dispensable` fields else nothing.
    void add_unaligned(ArrowText& text, const std::string& field, bool dispensable) const {
        const std::size_t width = columns(text.on) + (text.on.empty() ? 0 : 1) + field.size();
        if (width <= most_text_ && text.beneath.empty()) {
            text.on += text.on.empty() ? "" : " ";
            text.on += field;
        } else if (!dispensable) {
            join(text.beneath, unbreakable(field));
        }
    }

    // Whether each segment announces another window than its sender's before.
    static std::vector<bool> find_window_changes(const Conversation& conversation) {
        std::vector<bool> changes;
        changes.reserve(conversation.segments.size());
        std::array<std::optional<std::uint64_t>, 2> latest;
        for (const SeenSegment& segment : conversation.segments) {
            std::optional<std::uint64_t>& window = latest[index_of(segment.from)];
            changes.push_back(window != segment.window);
            window = segment.window;
        }
        return changes;
    }

    std::string time_text(std::int64_t time_ns) const {
        return fmt::format("{:.6f}", static_cast<double>(time_ns - conversation_.start_ns()) / 1e9);
    }

    // --- lines -----------------------------------------------------------------------------------------
    std::string state_text(const EndStates& states, End end) const {
        const auto state = states.of[index_of(end)];
        return state ? std::string(tcp::to_string(*state)) : "?";
    }

    // One line of the chart. `middle` takes exactly room_ columns. The states stand in bold where they
    // differ from those before.
    void line(std::string_view time, const EndStates& states, const EndStates& before,
              std::string_view middle, Ink ink, std::string_view lifeline_glyph) {
        const auto state_ink = [&](End end) {
            return states.of[index_of(end)] != before.of[index_of(end)] ? Ink::bold : Ink::dim;
        };
        const std::string lifeline = paint_(Ink::dim, lifeline_glyph);
        out_ += paint_(Ink::dim, pad_left(time, time_width_));
        out_ += ' ';
        out_ += paint_(state_ink(End::left), pad_left(state_text(states, End::left), kStateWidth));
        out_ += ' ';
        out_ += lifeline;
        out_ += paint_(ink, middle);
        out_ += lifeline;
        out_ += ' ';
        out_ += paint_(state_ink(End::right), state_text(states, End::right));
        out_ += '\n';
    }

    // A line beneath an arrow, without time and states.
    void line_beneath(std::string_view text, std::size_t indent, Ink ink,
                      std::string_view lifeline_glyph) {
        const std::string lifeline = paint_(Ink::dim, lifeline_glyph);
        const std::size_t taken = std::min(room_, indent + columns(text));
        out_ += std::string(time_width_ + kStateWidth + 2, ' ');
        out_ += lifeline;
        out_ += std::string(indent, ' ');
        out_ += paint_(ink, text);
        out_ += std::string(room_ - taken, ' ');
        out_ += lifeline;
        out_ += '\n';
    }

    void text_beneath(const std::string& text, End from, Ink ink) {
        const std::string clean = style_.ascii ? ascii_text(text) : text;
        // Under the arrow's text, but further left where the line would have to be broken else.
        const std::size_t sender = from == End::left ? 2 : room_ - 2 - text_width_;
        const std::size_t slack = room_ - 1 - std::min(columns(clean), room_ - 1);
        const std::size_t indent =
            std::clamp<std::size_t>(slack, 2, std::max<std::size_t>(sender, 2));
        for (const std::string& piece : wrapped(clean, room_ - indent - 1)) {
            line_beneath(breakable(piece), indent, ink, glyphs_.line);
        }
    }

    // "─ text ───────▶" or "◀─────── text ───", with the text at the same columns in each direction.
    std::string arrow(std::string_view text, End from) const {
        text =
            text.substr(0, room_ - 4 - kLeastShaft);  // ASCII, and never longer but in odd captures
        std::string drawn;
        if (from == End::left) {
            drawn += glyphs_.shaft;
            drawn += fmt::format(" {} ", text);
            const std::size_t rest = room_ - 4 - columns(text);
            drawn += repeated(glyphs_.shaft, rest);
            drawn += glyphs_.right;
            return drawn;
        }
        const std::size_t width = std::max(columns(text), text_width_);
        drawn += glyphs_.left;
        drawn += repeated(glyphs_.shaft, room_ - 4 - width);
        drawn += fmt::format(" {} ", text);
        drawn += repeated(glyphs_.shaft, 1 + width - columns(text));
        return drawn;
    }

    // --- rows ------------------------------------------------------------------------------------------
    static Ink ink_of(const SeenSegment& segment, const Notes& notes) {
        const TcpFlags flags = segment.header.flags;
        if (flags.rst()) {
            return Ink::alarm;
        }
        if (std::any_of(notes.begin(), notes.end(), is_event)) {
            return Ink::warning;
        }
        if (flags.syn()) {
            return Ink::good;
        }
        return flags.fin() ? Ink::accent : Ink::plain;
    }

    void segment_row(const LadderRow& row, const EndStates& before) {
        const SeenSegment& segment = conversation_.segments[row.first];
        const Notes& notes = notes_[row.first];
        ArrowText text = arrow_text(row.first);
        const Ink ink = ink_of(segment, notes);
        line(time_text(segment.time_ns), followed_.after[row.first], before,
             arrow(text.on, segment.from), ink, glyphs_.line);
        join(text.beneath, details(segment));
        text_beneath(text.beneath, segment.from, Ink::plain);
        std::string remarks;
        for (const Note& note : notes) {
            join(remarks, unbreakable(note_text(note)));
        }
        text_beneath(remarks, segment.from, Ink::warning);
        comments(segment.packet, segment.from);
    }

    void comments(std::size_t packet, End from) {
        for (const std::string_view comment : capture_.packets[packet].comments) {
            text_beneath(clauses_kept_whole(printable(comment)), from, Ink::dim);
        }
    }

    // A piece of a list ("wscale 10") isn't broken over two lines: its blanks are put as kNoBreak until the
    // lines are made.
    static std::string unbreakable(std::string_view piece) {
        std::string text(piece);
        std::replace(text.begin(), text.end(), ' ', kNoBreak);
        return text;
    }
    // "RFC 9293 §3.10.1" stays in one line.
    static std::string clauses_kept_whole(std::string text) {
        for (std::size_t at = text.find(' '); at != std::string::npos;
             at = text.find(' ', at + 1)) {
            const std::string_view before = std::string_view(text).substr(0, at);
            const std::string_view after = std::string_view(text).substr(at + 1);
            if (before.ends_with("RFC") || after.starts_with("§")) {
                text[at] = kNoBreak;
            }
        }
        return text;
    }
    static std::string breakable(std::string_view line) {
        std::string text(line);
        std::replace(text.begin(), text.end(), kNoBreak, ' ');
        return text;
    }

    static void join(std::string& text, std::string_view piece) {
        if (!piece.empty()) {
            text += text.empty() ? "" : ", ";
            text += piece;
        }
    }

    // Options and whatever else is worth a line. Timestamps, which every segment has, only with a SYN.
    std::string details(const SeenSegment& segment) const {
        const TcpFlags flags = segment.header.flags;
        const TcpOptions& options = segment.header.options;
        std::string text;
        if (options.mss) {
            join(text, unbreakable(fmt::format("mss {}", *options.mss)));
        }
        if (options.sack_permitted) {
            join(text, "sackOK");
        }
        if (options.window_scale) {
            join(text, unbreakable(fmt::format("wscale {}", *options.window_scale)));
        }
        if (options.timestamps && (flags.syn() || style_.all)) {
            join(text, unbreakable(fmt::format("TS {} ecr {}", options.timestamps->value,
                                               options.timestamps->echo)));
        }
        for (const std::uint8_t kind : segment.other_options) {
            join(text, unbreakable(option_name(kind)));
        }
        for (const SackBlock& block : options.sack) {
            join(text,
                 unbreakable(fmt::format(
                     "SACK {}{}{}", segment.ack + block.left.offset_from(segment.header.ack),
                     glyphs_.dash, segment.ack + block.right.offset_from(segment.header.ack))));
        }
        if (flags.urg()) {
            join(text,
                 unbreakable(fmt::format("urgent pointer {}", segment.header.urgent_pointer)));
        }
        return text;
    }

    void fold_row(const LadderRow& row, const EndStates& before) {
        std::string text;
        const auto add = [&](const std::string& piece, std::string_view arrow_glyph) {
            text += text.empty() ? "" : "  ";
            text += unbreakable(fmt::format("{} {}", piece, arrow_glyph));
        };
        for (const End end : {End::left, End::right}) {
            const FoldSums& sums = row.sums[index_of(end)];
            const std::string_view to = end == End::left ? glyphs_.to_right : glyphs_.to_left;
            if (sums.data_segments != 0) {
                add(fmt::format("{}, {}", counted(sums.data_segments, "segment"),
                                bytes_text(sums.bytes)),
                    to);
            }
            if (sums.acks != 0) {
                add(counted(sums.acks, "ACK"), to);
            }
            if (sums.duplicate_acks != 0) {
                add(counted(sums.duplicate_acks, "duplicate ACK"), to);
            }
        }
        const std::vector<SeenSegment>& segments = conversation_.segments;
        const std::string lasted =
            "in " + duration_text({segments[row.last].time_ns - segments[row.first].time_ns});
        text = fmt::format("{} {}  {}", glyphs_.ellipsis, text,
                           unbreakable(style_.ascii ? ascii_text(lasted) : lasted));
        bool first = true;
        for (const std::string& piece : wrapped(text, room_ - 5)) {
            const std::string drawn = "  " + breakable(piece);
            if (first) {
                line(time_text(segments[row.first].time_ns), followed_.after[row.last], before,
                     pad_right(drawn, room_), Ink::notice, glyphs_.fold);
            } else {
                line_beneath("  " + drawn, 0, Ink::notice, glyphs_.fold);
            }
            first = false;
        }
    }

    void icmp_row(const LadderRow& row, const EndStates& states) {
        const SeenIcmpError& error = conversation_.icmp_errors[row.first];
        // It travels to the sender of what it quotes.
        const End from = other(error.about);
        line(time_text(error.time_ns), states, states,
             arrow(fmt::format("ICMP about seq {}", error.seq), from), Ink::alarm, glyphs_.line);
        text_beneath(fmt::format("{} says: {}", to_string(error.reporter), error.meaning), from,
                     Ink::warning);
        comments(error.packet, from);
    }

    // --- heading and closing -----------------------------------------------------------------------------
    void heading() {
        std::array<std::uint64_t, 2> bytes = {};
        for (const SeenSegment& segment : conversation_.segments) {
            bytes[index_of(segment.from)] += segment.payload_size;
        }
        std::string title = unbreakable(fmt::format("Connection {}", conversation_.number));
        const auto add = [&](std::string_view piece) {
            title += ' ' + unbreakable(fmt::format("{} {}", glyphs_.dot, piece));
        };
        add(fmt::format("{} in {}", counted(conversation_.segments.size(), "segment"),
                        duration_text({conversation_.end_ns() - conversation_.start_ns()})));
        add(fmt::format("{} {}", bytes_text(bytes[0]), glyphs_.to_right));
        add(fmt::format("{} {}", bytes_text(bytes[1]), glyphs_.to_left));
        const std::int64_t begins = conversation_.start_ns() - capture_.packets.front().time_ns;
        if (conversation_.number > 1 && begins > 0) {
            add(fmt::format("begins {} into the capture", duration_text({begins})));
        }
        paragraph(title, Ink::bold);
        out_ += '\n';
        const std::string left = to_string(conversation_.left);
        const std::string right = to_string(conversation_.right);
        if (left.size() + right.size() + 2 > width_) {
            out_ += paint_(Ink::bold, left) + "\n";
            out_ += paint_(Ink::bold, pad_left(right, width_)) + "\n";
        } else {
            out_ += paint_(Ink::bold, left);
            out_ += std::string(width_ - left.size() - right.size(), ' ');
            out_ += paint_(Ink::bold, right) + "\n";
        }
    }

    void closing() {
        std::map<std::string_view, std::uint64_t> counts;  // in the order of their names
        for (const Notes& notes : notes_) {
            for (const Note& note : notes) {
                if (is_event(note)) {
                    ++counts[name(note.kind)];
                }
            }
        }
        std::string remarks;
        for (const auto& [kind, count] : counts) {
            join(remarks, unbreakable(fmt::format("{} × {}", kind, count_text(count))));
        }
        out_ += '\n';
        paragraph(ending_text(conversation_), Ink::plain);
        paragraph(remarks, Ink::warning);
        const auto& segments = conversation_.segments;
        const bool synchronized =
            std::any_of(segments.begin(), segments.end(), [](const SeenSegment& segment) {
                return !segment.header.flags.syn() && !segment.header.flags.rst();
            });
        if (!conversation_.scales_known && synchronized) {
            paragraph(
                "The handshake was not captured: windows are as on the wire, unscaled, and "
                "numbers count from the first octet seen.",
                Ink::dim);
        }
        if (conversation_.seen_elsewhere != 0) {
            paragraph(fmt::format("{} seen again on another interface left out.",
                                  counted(conversation_.seen_elsewhere, "packet")),
                      Ink::dim);
        }
    }

    void paragraph(const std::string& text, Ink ink) {
        for (const std::string& piece : wrapped(text, width_)) {
            const std::string text_line = breakable(piece);
            out_ += paint_(ink, style_.ascii ? ascii_text(text_line) : text_line) + "\n";
        }
    }

    const Conversation& conversation_;
    const Capture& capture_;
    LadderStyle style_;
    Paint paint_;
    const Glyphs& glyphs_;
    std::size_t width_;
    FollowedStates followed_;
    std::vector<Notes> notes_;
    std::vector<LadderRow> rows_;
    std::vector<bool> window_changes_;
    std::size_t time_width_ = kLeastTime;
    std::size_t room_ = 0;  // columns between the two lifelines
    std::array<std::size_t, kColumns> column_width_ = {};
    bool aligned_ = true;        // the columns fit side by side
    std::size_t most_text_ = 0;  // columns that an arrow's text can have
    std::size_t text_width_ = 0;
    bool iss_on_arrow_ = false;
    std::string out_;
};

}  // namespace

std::string render_ladder(const Conversation& conversation, const Capture& capture,
                          const LadderStyle& style) {
    return Renderer(conversation, capture, style).render();
}

}  // namespace runnel::report
