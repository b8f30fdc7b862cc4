// `runnel stat`: what running runnel processes have counted, as nstat shows the kernel's counters: how full
// their tables are, and every decision with its sentence.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/control/client.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace {

struct StatArguments {
    std::vector<std::string> patterns;
    bool all = false;
    double interval = 0;
    std::uint64_t count = 1;
    std::optional<int> pid;
    OutputOptions output;
};

struct Figure {
    std::string kind;  ///< "gauge", or a decision's "sent", "dropped" …
    std::uint64_t value = 0;
    std::uint64_t limit = 0;
    bool counts = true;
    std::string sentence;
    std::string clause;
};

struct Source {
    int pid = 0;
    std::string host;
    auto operator<=>(const Source&) const = default;
};

struct Sample {
    struct Of {
        std::string users;
        std::string command;
        std::vector<std::string> names;  ///< in the order they came
        std::map<std::string, Figure> figures;
    };
    std::map<Source, Of> sources;
    bool whole = true;
};

bool is_wanted(const StatArguments& arguments, const std::string& name) {
    return arguments.patterns.empty() ||
           std::any_of(
               arguments.patterns.begin(), arguments.patterns.end(),
               [&](const std::string& pattern) { return name.find(pattern) != std::string::npos; });
}

/// Every process asked anew: an answer has an end.
std::optional<Sample> take_sample(const StatArguments& arguments) {
    control::Client client(arguments.pid);
    if (client.empty()) {
        return std::nullopt;
    }
    Sample sample;
    const auto on_line = [&](control::Process& process, const boost::json::object& line) {
        const boost::json::object* counter = control::object_of(line, "counter");
        const boost::json::object* fields =
            counter != nullptr ? counter : control::object_of(line, "gauge");
        if (fields == nullptr) {
            return true;
        }
        const std::string name = control::text_of(*fields, "name");
        const std::string host = control::text_of(*fields, "host");
        Sample::Of& of = sample.sources[{process.pid, host}];
        of.command = process.command;
        of.users = process.users(host);
        Figure figure;
        figure.sentence = control::text_of(*fields, "sentence");
        if (counter != nullptr) {
            figure.kind = control::text_of(*fields, "kind");
            figure.value = control::number_of(*fields, "count");
            figure.clause = control::text_of(*fields, "clause");
        } else {
            figure.kind = "gauge";
            figure.value = control::number_of(*fields, "value");
            figure.limit = control::number_of(*fields, "limit");
            figure.counts = control::truth_of(*fields, "counter");
        }
        if (is_wanted(arguments, name)) {
            of.names.push_back(name);
            of.figures[name] = std::move(figure);
        }
        return true;
    };
    sample.whole =
        client.ask(arguments.all ? "counters all" : "counters", on_line, control::kAnswerPatience);
    return sample;
}

/// What counts becomes what was added since `before`; how full something is stays.
Sample difference(const Sample& before, Sample now) {
    for (auto& [source, of] : now.sources) {
        const auto old = before.sources.find(source);
        for (auto& [name, figure] : of.figures) {
            if (!figure.counts || old == before.sources.end()) {
                continue;
            }
            const auto was = old->second.figures.find(name);
            if (was != old->second.figures.end() && was->second.value <= figure.value) {
                figure.value -= was->second.value;
            }
        }
    }
    return now;
}

/// Transmissions, acceptances, holds, drops, notes; what is full comes first.
int order_of(const std::string& kind) {
    constexpr std::string_view kKinds[] = {"gauge", "sent", "accepted", "held", "dropped"};
    return static_cast<int>(std::find(std::begin(kKinds), std::end(kKinds), kind) -
                            std::begin(kKinds));
}

std::vector<std::string> shown_names(const StatArguments& arguments, const Sample::Of& of) {
    std::vector<std::string> names;
    for (const std::string& name : of.names) {
        if (arguments.all || of.figures.at(name).value != 0) {
            names.push_back(name);
        }
    }
    // The order within a kind stays that of the answer. (clang warns of libstdc++'s stable_sort.)
    std::vector<std::pair<int, std::size_t>> order;
    for (std::size_t i = 0; i < names.size(); ++i) {
        order.emplace_back(order_of(of.figures.at(names[i]).kind), i);
    }
    std::sort(order.begin(), order.end());
    std::vector<std::string> sorted;
    for (const auto& [kind, index] : order) {
        sorted.push_back(std::move(names[index]));
    }
    return sorted;
}

report::Ink ink_of(const Figure& figure) {
    if (figure.kind == "dropped") {
        return report::Ink::alarm;
    }
    return figure.kind == "held" ? report::Ink::warning : report::Ink::plain;
}

void print(const StatArguments& arguments, const Sample& sample) {
    const report::Paint paint{arguments.output.use_color(::isatty(STDOUT_FILENO) != 0)};
    for (const auto& [source, of] : sample.sources) {
        const std::vector<std::string> names = shown_names(arguments, of);
        std::size_t value_width = 0;
        std::size_t name_width = 0;
        const auto value_text = [](const Figure& figure) {
            return figure.limit == 0 ? report::count_text(figure.value)
                                     : fmt::format("{} of {}", report::count_text(figure.value),
                                                   report::count_text(figure.limit));
        };
        for (const std::string& name : names) {
            name_width = std::max(name_width, name.size());
            value_width = std::max(value_width, value_text(of.figures.at(name)).size());
        }
        fmt::print("{}\n", paint(report::Ink::bold, report::printable(of.users)));
        for (const std::string& name : names) {
            const Figure& figure = of.figures.at(name);
            const std::string clause =
                figure.clause.empty()
                    ? ""
                    : " " + paint(report::Ink::dim, report::printable(figure.clause));
            fmt::print(
                "{}  {}  {}{}\n",
                paint(ink_of(figure), report::pad_right(report::printable(name), name_width)),
                report::pad_left(value_text(figure), value_width),
                report::printable(figure.sentence), clause);
        }
    }
    std::fflush(stdout);
}

void print_json(const StatArguments& arguments, const Sample& sample) {
    boost::json::array out;
    for (const auto& [source, of] : sample.sources) {
        for (const std::string& name : shown_names(arguments, of)) {
            const Figure& figure = of.figures.at(name);
            boost::json::object one;
            one["pid"] = source.pid;
            one["command"] = of.command;
            one["host"] = source.host;
            one["name"] = name;
            one["kind"] = figure.kind;
            one["value"] = figure.value;
            if (figure.limit != 0) {
                one["limit"] = figure.limit;
            }
            one["counter"] = figure.counts;
            one["sentence"] = figure.sentence;
            one["clause"] = figure.clause;
            out.push_back(std::move(one));
        }
    }
    fmt::print("{}\n", boost::json::serialize(out));
    std::fflush(stdout);
}

int stat(const StatArguments& arguments) {
    const auto show = [&](const Sample& sample) {
        arguments.output.json ? print_json(arguments, sample) : print(arguments, sample);
    };
    std::optional<Sample> before = take_sample(arguments);
    if (!before) {
        fmt::print(stderr, "runnel: {}\n", control::nobody_sentence(arguments.pid));
        if (arguments.output.json) {
            fmt::print("[]\n");
        }
        return arguments.pid ? kExitFailed : kExitOk;
    }
    bool whole = before->whole;
    if (arguments.interval <= 0) {
        show(*before);
        return whole ? kExitOk : kExitFailed;
    }
    for (std::uint64_t i = 0; arguments.count == 0 || i < arguments.count; ++i) {
        std::this_thread::sleep_for(std::chrono::duration<double>(arguments.interval));
        std::optional<Sample> now = take_sample(arguments);
        if (!now) {
            break;  // all of them have ended
        }
        whole = whole && now->whole;
        show(difference(*before, *now));
        before = std::move(now);
    }
    return whole ? kExitOk : kExitFailed;
}

}  // namespace

void add_stat(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<StatArguments>();
    CLI::App* command = program.add_subcommand(
        "stat",
        "Show what running runnel processes have counted, each figure with its meaning, as nstat does");
    command
        ->add_option("PATTERN", arguments->patterns,
                     "Only figures whose name contains one of these")
        ->type_name("");
    command->add_flag("-a,-z,--all,--zeros", arguments->all, "Figures that are zero too");
    command
        ->add_option("-d,--interval", arguments->interval,
                     "Wait so long and show what was added meanwhile")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.01, 86'400.0));
    command->add_option("-c,--count", arguments->count, "Intervals to show; 0: without end")
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--pid", arguments->pid, "That process only")->type_name("PID");
    add_output_options(*command, arguments->output);
    command->footer(
        "Example, what one fetch makes a server in a private network count:\n"
        "  unshare -rn sh -c 'runnel serve --link tun --listen 80 -q . & sleep 1; "
        "curl -s http://10.9.0.2/ > /dev/null; runnel stat tcp_; kill $!'");
    command->callback([arguments, &exit_code] { exit_code = stat(*arguments); });
}

}  // namespace runnel
