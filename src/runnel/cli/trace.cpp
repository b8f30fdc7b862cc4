// `runnel trace`: the decisions of all running runnel processes as they are made, a line each.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <optional>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/control/client.hpp"
#include "runnel/cli/control/event_text.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/report/connection_filter.hpp"

namespace runnel {

namespace {

struct TraceArguments {
    std::string connection;
    std::string decision;
    bool drops = false;
    std::uint64_t count = 0;
    std::optional<int> pid;
    OutputOptions output;
};

std::string question_of(const TraceArguments& arguments) {
    std::string question = "trace";
    if (arguments.drops) {
        question += " drops";
    }
    if (!arguments.decision.empty()) {
        if (!find_decision(arguments.decision)) {
            throw CommandError(
                kExitUsage,
                fmt::format("--decision {}: there is no such decision; docs/decisions.md "
                            "and `runnel stat -a` list them",
                            arguments.decision));
        }
        question += " decision " + arguments.decision;
    }
    if (!arguments.connection.empty()) {
        const auto name = report::ConnectionName::parse(arguments.connection);
        if (!name) {
            throw CommandError(kExitUsage, "--conn " + name.error());
        }
        question += " connection " + arguments.connection;
    }
    return question;
}

int trace(const TraceArguments& arguments) {
    const std::string question = question_of(arguments);
    control::Client client(arguments.pid);
    if (client.empty()) {
        throw CommandError(kExitFailed, control::nobody_sentence(arguments.pid));
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a line is seen when it is written, in a pipe too
    const bool color = arguments.output.use_color(::isatty(STDOUT_FILENO) != 0);
    const bool several = client.size() > 1;
    std::uint64_t shown = 0;
    const auto print_json = [](const control::Process& process, boost::json::object fields) {
        fields["pid"] = process.pid;
        fmt::print("{}\n", boost::json::serialize(fields));
    };
    const auto on_line = [&](control::Process& process, const boost::json::object& line) {
        if (const std::uint64_t lost = control::number_of(line, "lost"); lost != 0) {
            if (arguments.output.json) {
                print_json(process, line);
            } else {
                fmt::print("... {} decisions of process {} came too fast and are lost\n", lost,
                           process.pid);
            }
            return true;
        }
        const boost::json::object* event = control::object_of(line, "event");
        if (event == nullptr) {
            return true;
        }
        if (arguments.output.json) {
            boost::json::object fields = *event;
            fields["unix_time_ns"] =
                process.unix_epoch_ns +
                static_cast<std::int64_t>(control::number_of(*event, "time_ns"));
            print_json(process, std::move(fields));
        } else {
            std::string time = control::clock_text(
                process.unix_epoch_ns,
                static_cast<std::int64_t>(control::number_of(*event, "time_ns")));
            if (several) {
                time += fmt::format(" [{}]", process.pid);
            }
            fmt::print("{}\n", control::event_text(*event, time, true, color));
        }
        return ++shown != arguments.count;
    };
    const bool whole = client.ask(question, on_line, std::chrono::milliseconds(0));
    return whole ? kExitOk : kExitFailed;
}

}  // namespace

void add_trace(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<TraceArguments>();
    CLI::App* command = program.add_subcommand(
        "trace",
        "Follow the decisions of running runnel processes: each segment and why, as it happens");
    command
        ->add_option(
            "--conn", arguments->connection,
            "Only that connection: a handle as ss -e shows it, ADDRESS:PORT, [V6]:PORT or :PORT of "
            "either end")
        ->type_name("CONN");
    command
        ->add_option(
            "--decision", arguments->decision,
            "Only that decision, such as tcp_retransmit_fast (docs/decisions.md lists them)")
        ->type_name("NAME");
    command->add_flag("--drops", arguments->drops, "Only what is thrown away");
    command->add_option("-c,--count", arguments->count, "End after so many lines")->type_name("N");
    command->add_option("--pid", arguments->pid, "That process only")->type_name("PID");
    add_output_options(*command, arguments->output);
    command->footer(
        "Ends with the processes, or at -c. It never holds them up: when decisions come faster than they\n"
        "are read, the number of those lost is told.\n\n"
        "Example, the first ten decisions of a server in a private network:\n"
        "  unshare -rn sh -c 'runnel serve --link tun --listen 80 -q . & S=$!; sleep 1; "
        "runnel trace --pid $S -c 10 & sleep 1; curl -s http://10.9.0.2/ > /dev/null; wait $!; kill $S'");
    command->callback([arguments, &exit_code] { exit_code = trace(*arguments); });
}

}  // namespace runnel
