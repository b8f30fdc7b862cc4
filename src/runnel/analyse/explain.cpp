#include "runnel/analyse/explain.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/analyse/receiver_duty.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/tcp_text.hpp"
#include "runnel/report/text.hpp"

namespace runnel::analyse {

namespace {

using report::Conversation;
using report::End;
using report::EndStates;
using report::index_of;
using report::Ink;
using report::SeenSegment;

/// A run of fewer everyday segments isn't worth folding.
constexpr std::size_t kShortestFold = 4;
/// Wide enough for a time of a day.
constexpr std::size_t kTimeWidth = 12;
constexpr std::size_t kStateWidth = 12;  // SYN-RECEIVED
constexpr std::size_t kIndent = 21;

bool everyday(Verdict verdict) {
    switch (verdict) {
        case Verdict::in_order_data:
        case Verdict::ack:
        case Verdict::bare_ack:
        case Verdict::window_update:
        case Verdict::super_segment:
        case Verdict::maybe_too_large:
        case Verdict::window_full:
        case Verdict::congestion_echo:
        case Verdict::congestion_reduced:
        case Verdict::congestion_experienced: return true;
        default: return false;
    }
}

class Writer {
public:
    Writer(const Conversation& conversation, const Analysis& analysis, const ExplainStyle& style)
        : conversation_(conversation),
          analysis_(analysis),
          style_(style),
          paint_{style.color},
          first_data_(first_data(conversation)) {}

    std::string write() {
        heading();
        if (!style_.summary_only) {
            segments();
        }
        summary();
        return style_.ascii ? report::ascii_text(out_) : std::move(out_);
    }

private:
    static std::array<std::size_t, 2> first_data(const Conversation& conversation) {
        std::array<std::size_t, 2> first = {SIZE_MAX, SIZE_MAX};
        for (std::size_t i = conversation.segments.size(); i-- > 0;) {
            if (conversation.segments[i].payload_size != 0) {
                first[index_of(conversation.segments[i].from)] = i;
            }
        }
        return first;
    }

    [[nodiscard]] const EndStates& before(std::size_t i) const {
        return i == 0 ? analysis_.states.before : analysis_.states.after[i - 1];
    }

    [[nodiscard]] bool folds(std::size_t i) const {
        const SeenSegment& s = conversation_.segments[i];
        const Findings& findings = analysis_.segments[i];
        return !style_.all && !s.header.flags.syn() && !s.header.flags.fin() &&
               !s.header.flags.rst() && before(i) == analysis_.states.after[i] &&
               i != first_data_[0] && i != first_data_[1] &&
               std::all_of(findings.begin(), findings.end(),
                           [](const Finding& finding) { return everyday(finding.verdict); });
    }

    static std::string state_text(const EndStates& states, End end) {
        const auto state = states.of[index_of(end)];
        return state ? std::string(tcp::to_string(*state)) : "?";
    }

    [[nodiscard]] std::string time_text(std::int64_t time_ns) const {
        const auto since = static_cast<double>(time_ns - conversation_.start_ns());
        return report::pad_left(fmt::format("{:.6f}", since / 1e9), kTimeWidth);
    }

    void line(std::size_t indent, Ink ink, std::string_view text) {
        out_.append(indent, ' ');
        out_ += paint_(ink, text);
        out_ += '\n';
    }

    void heading() {
        line(0, Ink::bold,
             fmt::format(
                 "Connection {} · {} → {} · {} in {}", conversation_.number,
                 to_string(conversation_.left), to_string(conversation_.right),
                 report::counted(conversation_.segments.size(), "segment"),
                 report::duration_text({conversation_.end_ns() - conversation_.start_ns()})));
        const auto& near = analysis_.view.near;
        if (near[0] || near[1]) {
            const End end = near[0] ? End::left : End::right;
            line(0, Ink::dim,
                 fmt::format("captured next to {}, as {} show",
                             to_string(conversation_.endpoint(end)),
                             analysis_.view.marked ? "its packets" : "the times of the handshake"));
        }
        out_ += '\n';
    }

    void segments() {
        auto icmp = conversation_.icmp_errors.begin();
        const std::size_t count = conversation_.segments.size();
        const auto icmp_before = [&](std::size_t packet) {
            for (; icmp != conversation_.icmp_errors.end() && icmp->packet < packet; ++icmp) {
                line(0, Ink::warning,
                     fmt::format("{:>6} {} ICMP from {} to {} about {}: {}", icmp->packet + 1,
                                 time_text(icmp->time_ns), to_string(icmp->reporter),
                                 to_string(conversation_.endpoint(icmp->about)), icmp->seq,
                                 icmp->meaning));
            }
        };
        for (std::size_t i = 0; i < count;) {
            std::size_t end = i;
            const std::size_t limit =
                icmp == conversation_.icmp_errors.end() ? SIZE_MAX : icmp->packet;
            while (end < count && folds(end) && conversation_.segments[end].packet <= limit) {
                ++end;
            }
            icmp_before(conversation_.segments[i].packet);
            if (end - i >= kShortestFold) {
                fold(i, end);
                i = end;
            } else {
                segment(i++);
            }
        }
        icmp_before(SIZE_MAX);
        out_ += '\n';
    }

    void fold(std::size_t begin, std::size_t end) {
        std::array<std::uint64_t, 2> data{}, bytes{}, acks{};
        for (std::size_t i = begin; i < end; ++i) {
            const SeenSegment& s = conversation_.segments[i];
            const std::size_t from = index_of(s.from);
            data[from] += s.payload_size != 0 ? 1U : 0U;
            bytes[from] += s.payload_size;
            acks[from] += s.payload_size == 0 ? 1U : 0U;
        }
        std::string text;
        for (const End from : {End::left, End::right}) {
            const std::size_t e = index_of(from);
            const std::string_view arrow = from == End::left ? "→" : "←";
            if (data[e] != 0) {
                text += fmt::format("  {} {}, {}", arrow, report::counted(data[e], "segment"),
                                    report::bytes_text(bytes[e]));
            }
            if (acks[e] != 0) {
                text += fmt::format("  {} {}", arrow, report::counted(acks[e], "ACK"));
            }
        }
        const auto& all = conversation_.segments;
        line(0, Ink::dim,
             fmt::format("     … {}{}  in {}, all in order", time_text(all[begin].time_ns), text,
                         report::duration_text({all[end - 1].time_ns - all[begin].time_ns})));
    }

    [[nodiscard]] std::string numbers(const SeenSegment& s) const {
        std::string text = fmt::format("{} seq {}", report::flags_text(s.header.flags), s.seq);
        if (s.header.flags.ack()) {
            text += fmt::format(" ack {}", s.ack);
        }
        if (s.payload_size != 0) {
            text += fmt::format(" len {}", s.payload_size);
        }
        if (!s.header.flags.rst()) {
            text += fmt::format(" win {}", s.window);
        }
        return text;
    }

    void segment(std::size_t i) {
        const SeenSegment& s = conversation_.segments[i];
        const EndStates& now = analysis_.states.after[i];
        out_ +=
            fmt::format("{:>6} {} {} {} {} {}\n", s.packet + 1, time_text(s.time_ns),
                        report::pad_left(state_text(now, End::left), kStateWidth),
                        s.from == End::left ? "→" : "←",
                        report::pad_right(state_text(now, End::right), kStateWidth), numbers(s));
        for (const Finding& finding : analysis_.segments[i]) {
            write_finding(finding);
        }
        const EndStates& was = before(i);
        for (const End end : {End::left, End::right}) {
            if (was.of[index_of(end)] != now.of[index_of(end)]) {
                line(kIndent, Ink::accent,
                     fmt::format("{}: {} → {}", to_string(conversation_.endpoint(end)),
                                 state_text(was, end), state_text(now, end)));
            }
        }
        const std::string duty = receiver_duty(conversation_, analysis_, i);
        if (!duty.empty()) {
            line(kIndent, Ink::dim,
                 fmt::format("{}: {}", to_string(conversation_.endpoint(other(s.from))), duty));
        }
    }

    void write_finding(const Finding& finding, std::size_t indent = kIndent) {
        const VerdictInfo& about = info(finding.verdict);
        std::string text = sentence(finding);
        if (!about.clause.empty()) {
            text += fmt::format(" ({})", about.clause);
        }
        switch (about.level) {
            case Level::ordinary: line(indent, Ink::plain, text); break;
            case Level::unsure: line(indent, Ink::notice, "? can't say: " + text); break;
            case Level::unusual: line(indent, Ink::warning, "! unusual: " + text); break;
            case Level::violates: line(indent, Ink::alarm, "!! violates: " + text); break;
        }
    }

    void summary_line(std::string_view title, const std::string& text) {
        out_ += fmt::format("{} {}\n", paint_(Ink::dim, report::pad_right(title, 16)), text);
    }

    void summary() {
        const bool bad = analysis_.count(Level::violates) != 0;
        const bool odd = analysis_.count(Level::unusual) != 0;
        summary_line("Verdict", paint_(bad   ? Ink::alarm
                                       : odd ? Ink::warning
                                             : Ink::good,
                                       verdict_text(analysis_)));
        summary_line("Handshake", handshake_text(conversation_, analysis_));
        for (const End end : {End::left, End::right}) {
            end_summary(end);
        }
        summary_line("End", report::ending_text(conversation_));
        if (!analysis_.limits.empty()) {
            summary_line("Capture", "");
            for (const Finding& finding : analysis_.limits) {
                write_finding(finding, 2);
            }
        }
    }

    void end_summary(End end) {
        const Side& side = analysis_.sides[index_of(end)];
        const Totals& totals = side.totals;
        const EndStates& last = analysis_.states.after.empty() ? analysis_.states.before
                                                               : analysis_.states.after.back();
        std::string text = fmt::format(
            "{}: {}, sent {}, retransmissions: {}", to_string(conversation_.endpoint(end)),
            state_text(last, end), report::bytes_text(totals.bytes), retransmissions_text(totals));
        if (side.round_trips.count != 0) {
            text += fmt::format("; round trip {} to {}",
                                report::duration_text({side.round_trips.least}),
                                report::duration_text({side.round_trips.most}));
        }
        summary_line(end == End::left ? "Left" : "Right", text);
        for (const Finding& finding : analysis_.ends[index_of(end)]) {
            write_finding(finding, 2);
        }
    }

    const Conversation& conversation_;
    const Analysis& analysis_;
    const ExplainStyle& style_;
    report::Paint paint_;
    std::array<std::size_t, 2> first_data_;
    std::string out_;
};

}  // namespace

std::string explain_text(const Conversation& conversation, const Analysis& analysis,
                         const ExplainStyle& style) {
    return Writer(conversation, analysis, style).write();
}

}  // namespace runnel::analyse
