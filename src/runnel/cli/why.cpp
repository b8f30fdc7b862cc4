// `runnel why CONN`: what limits one connection of a running process now, what will change that next, and what
// was decided about it last.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <optional>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/control/client.hpp"
#include "runnel/cli/control/event_text.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/report/connection_filter.hpp"
#include "runnel/report/text.hpp"
#include "runnel/report/why.hpp"

namespace runnel {

namespace {

struct WhyArguments {
    std::vector<std::string> name;
    std::size_t history = 20;
    std::optional<int> pid;
    OutputOptions output;
};

/// A connection that fits the name, with what was told of it.
struct Found {
    control::Process process;
    boost::json::object fields;
    bool ended = false;
    tcp::ConnectionStatus status;
    std::vector<boost::json::object> events;  ///< newest first
    std::vector<boost::json::object> drops;
    std::int64_t now_ns = 0;
    std::uint64_t records = 0;
    bool complete = false;

    [[nodiscard]] std::string text(std::string_view field) const {
        return report::printable(control::text_of(fields, field));
    }
    [[nodiscard]] std::string title() const {
        return fmt::format("{} {} ↔ {}  {}  handle {}", ended ? "ended" : text("state"),
                           text("local"), text("remote"), process.users(text("host")),
                           text("handle"));
    }
    /// Live ones before TIME-WAIT, listeners, and those that are gone.
    [[nodiscard]] int rank() const {
        if (ended) {
            return 3;
        }
        if (status.state == tcp::State::listen) {
            return 2;
        }
        return status.state == tcp::State::time_wait ? 1 : 0;
    }
};

std::vector<Found> ask(control::Client& client, const std::string& question, bool& whole) {
    std::vector<Found> found;
    const auto on_line = [&](control::Process& process, const boost::json::object& line) {
        for (const char* kind : {"connection", "ended"}) {
            if (const boost::json::object* fields = control::object_of(line, kind)) {
                Found one;
                one.process = process;
                one.fields = *fields;
                one.ended = std::string_view(kind) == "ended";
                one.status = control::read_connection(*fields);
                found.push_back(std::move(one));
                return true;
            }
        }
        // What follows is about the last connection of the same process.
        const auto last = std::find_if(found.rbegin(), found.rend(), [&](const Found& one) {
            return one.process.path == process.path;
        });
        if (last == found.rend()) {
            return true;
        }
        if (const boost::json::object* event = control::object_of(line, "event")) {
            last->events.push_back(*event);
        } else if (const boost::json::object* drop = control::object_of(line, "dropped")) {
            last->drops.push_back(*drop);
        } else if (const boost::json::object* told = control::object_of(line, "told")) {
            last->now_ns = static_cast<std::int64_t>(control::number_of(*told, "now_ns"));
            last->records = control::number_of(*told, "records");
            last->complete = control::truth_of(*told, "complete");
        }
        return true;
    };
    whole = client.ask(question, on_line, control::kAnswerPatience);
    const auto best =
        std::min_element(found.begin(), found.end(),
                         [](const Found& a, const Found& b) { return a.rank() < b.rank(); });
    if (best != found.end()) {
        const int rank = best->rank();
        std::erase_if(found, [rank](const Found& one) { return one.rank() != rank; });
    }
    return found;
}

void paragraph(const report::Paint& paint, std::string_view heading, const std::string& text) {
    if (text.empty()) {
        return;
    }
    fmt::print("{} {}\n", paint(report::Ink::bold, report::pad_right(heading, 10)), text);
}

std::string age(const Found& found, std::int64_t time_ns) {
    return fmt::format(
        "{:>10}", "-" + report::duration_text({std::max<std::int64_t>(found.now_ns - time_ns, 0)}));
}

void print(const Found& found, const report::Paint& paint) {
    fmt::print("{}\n", paint(report::Ink::bold, found.title()));
    if (found.ended) {
        const std::string error = found.text("error");
        paragraph(paint, "Ended",
                  error.empty() ? "It is no longer on the wire, and ended without an error."
                                : fmt::format("It is no longer on the wire: {}.", error));
    } else {
        const report::Explanation why = report::explain_connection(found.status, Instant{});
        const bool full = found.rank() == 0;
        paragraph(paint, full ? "Sending" : "State", why.sending);
        if (full) {
            const DecisionText& plan = describe(found.status.plan);
            paragraph(paint, "",
                      fmt::format("{} — {} ({})", plan.name, plan.sentence, plan.clause));
        }
        paragraph(paint, "Receiving", why.receiving);
        paragraph(paint, "Next", why.timer);
        paragraph(paint, "Or sooner", why.sooner);
    }
    std::string_view heading = "Dropped";
    for (const boost::json::object& drop : found.drops) {
        const auto last = static_cast<std::int64_t>(control::number_of(drop, "last_ns"));
        paragraph(
            paint, heading,
            fmt::format("{} × {} — {} ({}), the last {} ago", control::number_of(drop, "count"),
                        report::printable(control::text_of(drop, "decision")),
                        report::printable(control::text_of(drop, "sentence")),
                        report::printable(control::text_of(drop, "clause")),
                        report::duration_text({std::max<std::int64_t>(found.now_ns - last, 0)})));
        heading = "";
    }
    if (found.events.empty()) {
        return;
    }
    fmt::print("{}\n",
               paint(report::Ink::bold,
                     fmt::format("The last {} of its {} that {} still recorded",
                                 report::counted(found.events.size(), "decision"), found.records,
                                 found.complete ? "there were, all" : "are")));
    for (auto event = found.events.rbegin(); event != found.events.rend(); ++event) {
        const auto time = static_cast<std::int64_t>(control::number_of(*event, "time_ns"));
        fmt::print("{}\n", control::event_text(*event, age(found, time), false, paint.on));
    }
}

void print_json(const Found& found) {
    boost::json::object out = found.fields;
    out["pid"] = found.process.pid;
    out["command"] = found.process.command;
    out["ended"] = found.ended;
    if (!found.ended) {
        const report::Explanation why = report::explain_connection(found.status, Instant{});
        const DecisionText& plan = describe(found.status.plan);
        boost::json::object told;
        told["sending"] = why.sending;
        told["receiving"] = why.receiving;
        told["timer"] = why.timer;
        told["sooner"] = why.sooner;
        if (found.rank() == 0) {
            told["decision"] = boost::json::string(plan.name);
            told["sentence"] = boost::json::string(plan.sentence);
            told["clause"] = boost::json::string(plan.clause);
        }
        out["why"] = std::move(told);
    }
    boost::json::array drops;
    for (const boost::json::object& drop : found.drops) {
        drops.push_back(drop);
    }
    out["dropped"] = std::move(drops);
    boost::json::array events;
    for (auto event = found.events.rbegin(); event != found.events.rend(); ++event) {
        events.push_back(*event);
    }
    out["decisions"] = std::move(events);
    out["now_ns"] = found.now_ns;
    fmt::print("{}\n", boost::json::serialize(out));
}

int why(const WhyArguments& arguments) {
    const std::string name = fmt::format("{}", fmt::join(arguments.name, " "));
    const auto understood = report::ConnectionName::parse(name);
    if (!understood) {
        throw CommandError(kExitUsage, understood.error());
    }
    control::Client client(arguments.pid);
    if (client.empty()) {
        throw CommandError(kExitFailed, control::nobody_sentence(arguments.pid));
    }
    bool whole = true;
    const std::vector<Found> found =
        ask(client, fmt::format("why {} {}", arguments.history, name), whole);
    if (found.empty()) {
        throw CommandError(
            kExitFailed,
            fmt::format("no connection \"{}\" is here or was lately; `runnel ss -ae` lists "
                        "those that are, with their handles",
                        name));
    }
    if (found.size() > 1) {
        fmt::print(stderr,
                   "runnel: \"{}\" fits several; name both ends, or the handle, or --pid:\n", name);
        for (const Found& one : found) {
            fmt::print(stderr, "  {}\n", one.title());
        }
        return kExitUsage;
    }
    if (arguments.output.json) {
        print_json(found.front());
    } else {
        print(found.front(), {arguments.output.use_color(::isatty(STDOUT_FILENO) != 0)});
    }
    return whole ? kExitOk : kExitFailed;
}

}  // namespace

void add_why(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<WhyArguments>();
    CLI::App* command = program.add_subcommand(
        "why",
        "Say what limits a connection of a running runnel process now, and what changes that next");
    command
        ->add_option(
            "CONN", arguments->name,
            "A handle as ss -e shows it, ADDRESS:PORT, [V6]:PORT or :PORT of either end, or the "
            "local and the remote end")
        ->required()
        ->expected(1, 2)
        ->type_name("");
    command
        ->add_option("-n,--decisions", arguments->history, "How many of its last decisions to show")
        ->type_name("N")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    command->add_option("--pid", arguments->pid, "In that process only")->type_name("PID");
    add_output_options(*command, arguments->output);
    command->footer(
        "Tells of connections that have ended, too, as long as the process remembers them.\n\n"
        "Example, a server in a private network whose client does not read:\n"
        "  unshare -rn bash -c 'runnel serve --link tun --chargen --listen 19 -q & S=$!; sleep 1; "
        "(exec 3<>/dev/tcp/10.9.0.2/19; sleep 2) & sleep 1; runnel why --pid $S :19; kill $S'");
    command->callback([arguments, &exit_code] { exit_code = why(*arguments); });
}

}  // namespace runnel
