#include "runnel/cli/drill_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/drill/print.hpp"
#include "runnel/report/json_writer.hpp"

namespace runnel {

namespace {

using drill::Verdict;
using report::Ink;

/// Rows shown before the one that went wrong.
constexpr std::size_t kRowsBefore = 7;

const char* outcome_text(const Verdict& verdict) {
    switch (verdict.outcome) {
        case Verdict::Outcome::passed: return "ok";
        case Verdict::Outcome::failed: return "not ok";
        case Verdict::Outcome::skipped: return "skipped";
    }
    return "";
}

std::string place(const Verdict& verdict) {
    return verdict.at.line == 0 ? verdict.file
                                : fmt::format("{}:{}", verdict.file, verdict.at.line);
}

/// At most `width` columns.
std::string clipped(const std::string& text, std::size_t width) {
    if (report::columns(text) <= width) {
        return text;
    }
    const auto lines = report::wrapped(text, width > 1 ? width - 1 : 1);
    return lines.empty() ? text : lines.front() + "…";
}

void add_row(std::string& out, const drill::LadderRow& row, const DrillStyle& style) {
    constexpr std::size_t kTime = 12, kLine = 5;
    const std::size_t rest = style.width > kTime + kLine + 8 ? style.width - kTime - kLine - 8 : 40;
    const std::size_t left = rest / 2;
    const report::Paint paint{style.color};
    const std::string expected =
        row.expected.empty() ? "(nothing)" : report::printable(row.expected);
    const std::string seen =
        row.seen.empty() && !row.right ? "(nothing)" : report::printable(row.seen);
    const std::string line = row.at.line == 0 ? "" : fmt::format("{}", row.at.line);
    std::string text =
        fmt::format("  {} {} {} {} │ {}", row.right ? " " : ">", report::pad_left(line, kLine),
                    report::pad_left(drill::print(row.time), kTime),
                    report::pad_right(clipped(expected, left), left),
                    row.right ? clipped(seen, rest - left) : seen);
    while (text.ends_with(' ')) {
        text.pop_back();
    }
    out += paint(row.right ? Ink::plain : Ink::alarm, text) + "\n";
}

void add_ladder(std::string& out, const Verdict& verdict, const DrillStyle& style) {
    const auto& rows = verdict.ladder;
    const auto wrong = std::find_if(rows.begin(), rows.end(),
                                    [](const drill::LadderRow& row) { return !row.right; });
    const std::size_t end =
        wrong == rows.end() ? rows.size() : static_cast<std::size_t>(wrong - rows.begin()) + 1;
    const std::size_t from = style.verbose || end < kRowsBefore ? 0 : end - kRowsBefore;
    if (end > from) {
        const report::Paint paint{style.color};
        const std::size_t half = style.width > 25 ? (style.width - 25) / 2 : 20;
        out += paint(Ink::dim, fmt::format("     line         time {} │ seen\n",
                                           report::pad_right("expected", half)));
    }
    for (std::size_t i = from; i < end; ++i) {
        add_row(out, rows[i], style);
    }
}

void add_failure(std::string& out, const Verdict& verdict, const DrillStyle& style) {
    add_ladder(out, verdict, style);
    for (const std::string& detail : verdict.details) {
        out += "    " + report::printable(detail) + "\n";
    }
    if (!verdict.decisions.empty()) {
        out += "    the host's decisions:\n";
        for (std::size_t i = 0; i < verdict.decisions.size(); ++i) {
            if (i == 0 || verdict.decisions[i] != verdict.decisions[i - 1]) {
                out += "      " + report::printable(verdict.decisions[i]) + "\n";
            }
        }
    }
}

}  // namespace

DrillSums drill_sums(const std::vector<Verdict>& verdicts) {
    DrillSums sums;
    for (const Verdict& verdict : verdicts) {
        (verdict.outcome == Verdict::Outcome::passed   ? sums.passed
         : verdict.outcome == Verdict::Outcome::failed ? sums.failed
                                                       : sums.skipped) += 1;
    }
    return sums;
}

std::string drill_text(const Verdict& verdict, const DrillStyle& style) {
    const report::Paint paint{style.color};
    const bool passed = verdict.outcome == Verdict::Outcome::passed;
    const bool failed = verdict.outcome == Verdict::Outcome::failed;
    const Ink ink = passed ? Ink::good : failed ? Ink::alarm : Ink::notice;
    std::string out = paint(ink, outcome_text(verdict)) + " " +
                      report::printable(passed ? verdict.file : place(verdict));
    if (!verdict.reason.empty()) {
        out += ": " + report::printable(verdict.reason);
    }
    out += "\n";
    if (failed) {
        add_failure(out, verdict, style);
    } else if (style.verbose && passed) {
        add_ladder(out, verdict, style);
    }
    if (style.verbose) {
        for (const std::string& note : verdict.notes) {
            out += "    " + report::printable(note) + "\n";
        }
    }
    return out;
}

std::string drill_sums_text(const DrillSums& sums) {
    return fmt::format("{} passed, {} failed, {} skipped\n", sums.passed, sums.failed,
                       sums.skipped);
}

std::string drill_json(const std::vector<Verdict>& verdicts) {
    std::string out;
    report::JsonWriter json(out);
    json.begin_object();
    json.begin_array("scripts");
    for (const Verdict& verdict : verdicts) {
        json.begin_object();
        json.text("file", verdict.file);
        json.text("outcome", outcome_text(verdict));
        if (verdict.at.line != 0) {
            json.number("line", verdict.at.line);
        }
        if (!verdict.reason.empty()) {
            json.text("reason", verdict.reason);
        }
        json.raw("seconds", drill::print(verdict.time));
        const auto list = [&](std::string_view name, const std::vector<std::string>& texts) {
            json.begin_array(name);
            for (const std::string& text : texts) {
                json.text({}, text);
            }
            json.end_array();
        };
        list("details", verdict.details);
        list("host", verdict.decisions);
        list("notes", verdict.notes);
        json.begin_object("decisions");
        for (std::size_t i = 0; i < kDecisionCount; ++i) {
            if (verdict.counts[i] != 0) {
                json.number(describe(static_cast<Decision>(i)).name, verdict.counts[i]);
            }
        }
        json.end_object();
        json.end_object();
    }
    json.end_array();
    const DrillSums sums = drill_sums(verdicts);
    json.number("passed", sums.passed);
    json.number("failed", sums.failed);
    json.number("skipped", sums.skipped);
    json.end_object();
    return out + "\n";
}

std::string drill_decisions_text(const std::vector<Verdict>& verdicts) {
    std::string out;
    std::string unreached;
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const std::string_view name = describe(static_cast<Decision>(i)).name;
        if (!name.starts_with("tcp_")) {
            continue;
        }
        std::string scripts;
        for (const Verdict& verdict : verdicts) {
            if (verdict.outcome == Verdict::Outcome::passed && verdict.counts[i] != 0) {
                scripts += " " + verdict.file;
            }
        }
        (scripts.empty() ? unreached : out) += fmt::format("{}:{}\n", name, scripts);
    }
    return out + "\nproduced by no script:\n" + unreached;
}

}  // namespace runnel
