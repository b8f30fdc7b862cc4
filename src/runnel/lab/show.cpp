#include "runnel/lab/show.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runnel/base/check.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/pcapng_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

using report::Ink;

class Page {
public:
    explicit Page(const report::LadderStyle& style) : style_(style), paint_{style.color} {
        style_.keep_commented = true;
        style_.width = std::max(style.width, report::kLeastLadderWidth);
    }

    void line(Ink ink, std::string_view text, std::size_t indent = 0) {
        const std::string shown = style_.ascii ? report::ascii_text(text) : std::string(text);
        for (const std::string& piece : report::wrapped(shown, style_.width - indent)) {
            text_ += std::string(indent, ' ') + paint_(ink, piece) + "\n";
        }
    }
    /// A paragraph behind a word in the margin.
    void paragraph(std::string_view word, std::string_view text) {
        const std::string shown = style_.ascii ? report::ascii_text(text) : std::string(text);
        std::string margin(word);
        for (const std::string& piece : report::wrapped(shown, style_.width - kMargin)) {
            text_ += paint_(Ink::bold, margin) + std::string(kMargin - margin.size(), ' ') + piece +
                     "\n";
            margin.clear();
        }
    }
    void blank() { text_ += "\n"; }
    void raw(std::string_view text) { text_ += text; }
    [[nodiscard]] std::string take() { return std::move(text_); }
    [[nodiscard]] const report::LadderStyle& style() const { return style_; }

private:
    static constexpr std::size_t kMargin = 10;  // "What to see" is two lines less

    report::LadderStyle style_;
    report::Paint paint_;
    std::string text_;
};

/// Reasons that have been told; in a lesson each is told once. Remarks are told each time.
using Told = std::set<std::string, std::less<>>;

void tell_once(report::Capture& capture, Told& told) {
    for (report::CapturedPacket& packet : capture.packets) {
        std::erase_if(packet.comments, [&](std::string_view comment) {
            const bool is_reason = comment.find(" — ") != std::string_view::npos;
            return is_reason && !told.emplace(comment).second;
        });
    }
}

bool is_shown(const Outcome& outcome, std::size_t number) {
    return outcome.shown.empty() || std::ranges::count(outcome.shown, number) != 0;
}

void ladders(Page& page, const Outcome& outcome, Told& told) {
    auto capture = report::read_capture(outcome.capture);
    RUNNEL_CHECK(capture.has_value());
    std::size_t left_out = 0;
    if (!page.style().all) {
        tell_once(*capture, told);
        const std::size_t drawn = std::min(outcome.drawn, capture->packets.size());
        left_out = capture->packets.size() - drawn;
        capture->packets.resize(drawn);
    }
    const report::Conversations found = report::find_conversations(*capture);
    for (const report::Conversation& conversation : found.list) {
        if (is_shown(outcome, conversation.number)) {
            page.raw(report::render_ladder(conversation, *capture, page.style()));
            page.blank();
        }
    }
    if (left_out != 0) {
        page.line(Ink::dim,
                  fmt::format("The ladder ends here; {} left out (--whole draws everything).",
                              report::counted(left_out, "later packet")));
        page.blank();
    }
    if (!outcome.shown.empty() && found.list.size() > outcome.shown.size()) {
        page.line(Ink::dim, fmt::format("{} not drawn.",
                                        report::counted(found.list.size() - outcome.shown.size(),
                                                        "more connection")));
        page.blank();
    }
}

void facts(Page& page, const Played& played) {
    const std::string_view kWith = "with the rule", kWithout = "without it";
    std::size_t name = 0, value = kWith.size();
    for (const Fact& fact : played.with.facts) {
        name = std::max(name, report::columns(fact.name));
        value = std::max(value, report::columns(fact.value));
    }
    page.line(Ink::bold, fmt::format("{}  {}  {}", std::string(name, ' '),
                                     report::pad_right(kWith, value), kWithout));
    for (std::size_t i = 0; i < played.with.facts.size(); ++i) {
        const Fact& with = played.with.facts[i];
        const std::string without =
            i < played.without.facts.size() ? played.without.facts[i].value : "";
        page.line(Ink::plain, fmt::format("{}  {}  {}", report::pad_right(with.name, name),
                                          report::pad_right(with.value, value), without));
    }
    page.blank();
}

void write_run(report::JsonWriter& json, std::string_view name, std::string_view what,
               const Outcome& outcome) {
    json.begin_object(name);
    json.text("what", what);
    json.begin_object("facts");
    for (const Fact& fact : outcome.facts) {
        json.text(fact.name, fact.value);
    }
    json.end_object();
    json.begin_array("segments");
    const auto capture = report::read_capture(outcome.capture);
    RUNNEL_CHECK(capture.has_value());
    for (const report::Conversation& conversation : report::find_conversations(*capture).list) {
        const std::string lines = report::ladder_json(conversation, *capture);
        for (std::string_view rest = lines; !rest.empty();) {
            const std::size_t end = rest.find('\n');
            json.raw({}, rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    json.end_array();
    json.end_object();
}

}  // namespace

Played play(const Lesson& lesson) {
    return {&lesson, lesson.play(true), lesson.play(false)};
}

std::string lesson_text(const Played& played, const report::LadderStyle& style) {
    const Lesson& lesson = *played.lesson;
    Page page(style);
    Told told;
    page.line(Ink::bold, fmt::format("{} — {}", lesson.name, lesson.title));
    page.blank();
    page.paragraph("Claim", lesson.claim);
    page.paragraph("RFC", lesson.clause);
    page.blank();
    page.line(Ink::good, fmt::format("WITH THE RULE. {}.", lesson.rule));
    page.blank();
    ladders(page, played.with, told);
    page.line(Ink::alarm, fmt::format("WITHOUT IT. {}.", lesson.broken));
    page.blank();
    ladders(page, played.without, told);
    facts(page, played);
    page.paragraph("See", lesson.see);
    return page.take();
}

std::string lesson_list(const report::LadderStyle& style) {
    Page page(style);
    std::size_t width = 0;
    for (const Lesson& lesson : lessons()) {
        width = std::max(width, lesson.name.size());
    }
    for (const Lesson& lesson : lessons()) {
        page.line(Ink::plain,
                  fmt::format("{}  {}", report::pad_right(lesson.name, width), lesson.title));
    }
    return page.take();
}

std::string lesson_list_json() {
    std::string out;
    report::JsonWriter json(out);
    json.begin_array();
    for (const Lesson& lesson : lessons()) {
        json.begin_object();
        json.text("name", lesson.name);
        json.text("title", lesson.title);
        json.text("clause", lesson.clause);
        json.end_object();
    }
    json.end_array();
    return out + "\n";
}

std::string lesson_json(const Played& played) {
    const Lesson& lesson = *played.lesson;
    std::string out;
    report::JsonWriter json(out);
    json.begin_object();
    json.text("name", lesson.name);
    json.text("title", lesson.title);
    json.text("claim", lesson.claim);
    json.text("clause", lesson.clause);
    json.text("see", lesson.see);
    write_run(json, "with", lesson.rule, played.with);
    write_run(json, "without", lesson.broken, played.without);
    json.end_object();
    return out + "\n";
}

std::vector<std::byte> lesson_capture(const Played& played) {
    std::vector<std::byte> bytes;
    report::PcapngWriter writer(bytes, {});
    for (const auto* outcome : {&played.with, &played.without}) {
        const auto capture = report::read_capture(outcome->capture);
        RUNNEL_CHECK(capture.has_value());
        const auto interface =
            writer.add_interface(capture->interfaces.front().name, LinkLayer::raw_ip);
        for (const report::CapturedPacket& packet : capture->packets) {
            const std::vector<std::string> comments(packet.comments.begin(), packet.comments.end());
            writer.write_packet(interface, Instant{packet.time_ns}, packet.bytes,
                                packet.original_length, report::PacketDirection::unknown, comments);
        }
    }
    return bytes;
}

}  // namespace runnel::lab
