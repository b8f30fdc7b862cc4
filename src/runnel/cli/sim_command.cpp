// `runnel sim`: its place on the command line; what it does stands in sim/.
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/sim/flag_scenario.hpp"
#include "runnel/cli/sim/many.hpp"
#include "runnel/cli/sim/outputs.hpp"
#include "runnel/cli/sim/scenario_text.hpp"
#include "runnel/cli/sim/summary.hpp"
#include "runnel/cli/sim/units.hpp"
#include "runnel/sim/draw_scenario.hpp"
#include "runnel/sim/names.hpp"
#include "runnel/sim/shrink.hpp"

namespace runnel {

namespace {

using namespace sim_command;

struct SimArguments {
    std::optional<std::uint64_t> seed;
    std::optional<std::uint64_t> seeds;
    std::string from = "1";
    std::string time;
    unsigned jobs = 0;
    std::string file;
    FlagTexts flags;
    bool print = false, shrink = false, list = false;
    std::optional<std::uint64_t> most_events;
    OutputPaths paths;
    OutputOptions output;
};

std::uint64_t first_seed(const std::string& text) {
    std::uint64_t seed = 0;
    if (text == "random") {
        // 48 bits are enough to be fresh, and short enough to be read out.
        if (::getrandom(&seed, 6, 0) != 6) {
            throw CommandError(kExitFailed, "the system gives no random bytes");
        }
        return seed;
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw CommandError(kExitUsage,
                           fmt::format("--from wants a number or random, not {}", text));
    }
    return seed;
}

ManyOptions many_options(const SimArguments& arguments) {
    ManyOptions options;
    options.first = first_seed(arguments.from);
    options.count = arguments.seeds.value_or(0);
    if (!arguments.time.empty()) {
        const auto time = parse_duration(arguments.time);
        if (!time || time->ns <= 0) {
            throw CommandError(
                kExitUsage, fmt::format("--time wants a time such as 20m, not {}", arguments.time));
        }
        options.seconds = static_cast<double>(time->ns) / 1e9;
    }
    options.jobs =
        arguments.jobs != 0 ? arguments.jobs : std::max(std::thread::hardware_concurrency(), 1U);
    options.event_limit = arguments.most_events.value_or(options.event_limit);
    return options;
}

int run_many(const SimArguments& arguments) {
    const ManyOptions options = many_options(arguments);
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    const ManyResult result = play_many(options, [&](std::uint64_t runs, std::uint64_t failed) {
        if (terminal) {
            fmt::print(stderr, "\r{} scenarios, {} failed", runs, failed);
        }
    });
    if (terminal) {
        fmt::print(stderr, "\r\x1b[K");
    }
    fmt::print("{}", arguments.output.json
                         ? many_json(options, result)
                         : many_text(options, result,
                                     arguments.output.use_color(::isatty(STDOUT_FILENO) != 0)));
    return result.failed == 0 ? kExitOk : kExitFailed;
}

std::string read_text(const std::string& path) {
    const auto close = [](std::FILE* file) {
        if (file != stdin) {
            (void)std::fclose(file);
        }
    };
    const std::unique_ptr<std::FILE, decltype(close)> file(
        path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
    std::string text;
    char buffer[1 << 14];
    std::size_t got = 0;
    while (file && text.size() <= kMaxScenarioText &&
           (got = std::fread(buffer, 1, sizeof buffer, file.get())) > 0) {
        text.append(buffer, got);
    }
    if (!file || std::ferror(file.get()) != 0) {
        throw CommandError(kExitFailed,
                           fmt::format("can't read {}: {}", path, std::strerror(errno)));
    }
    return text;
}

struct Chosen {
    sim::Scenario scenario;
    Replay replay;
};

Chosen choose(const SimArguments& arguments) {
    const std::uint64_t seed = arguments.seed.value_or(1);
    const std::string limit =
        arguments.most_events ? fmt::format(" --most-events {}", *arguments.most_events) : "";
    if (!arguments.file.empty()) {
        auto scenario = read_scenario(read_text(arguments.file));
        if (!scenario) {
            const TextError& error = scenario.error();
            throw CommandError(kExitUsage, fmt::format("{}:{}:{}: {}", arguments.file, error.line,
                                                       error.column, error.what));
        }
        return {std::move(*scenario), {arguments.file, "runnel sim " + arguments.file + limit}};
    }
    const std::string suffix =
        (arguments.seed || !arguments.flags.any() ? fmt::format(" --seed {}", seed) : "") + limit;
    if (arguments.flags.any()) {
        const std::string text = arguments.flags.text();
        return {scenario_of(arguments.flags, seed), {text + suffix, "runnel sim " + text + suffix}};
    }
    return {sim::draw_scenario(seed), {fmt::format("seed {}", seed), "runnel sim" + suffix}};
}

std::uint64_t event_limit(const SimArguments& arguments) {
    // How long a scenario of one's own may take is one's own to say.
    const bool own = arguments.flags.any() || !arguments.file.empty();
    return arguments.most_events.value_or(own ? std::uint64_t{1} << 40 : PlayOptions().event_limit);
}

/// The smallest scenario that fails as this one does, as a file on standard output.
int run_shrink(const SimArguments& arguments, const Chosen& chosen) {
    PlayMemory memory;
    PlayOptions options;
    options.event_limit = event_limit(arguments);
    const Played played = play(chosen.scenario, memory, options);
    if (!played.failure) {
        fmt::print(stderr, "runnel sim: {} does not fail: there is nothing to shrink\n",
                   chosen.replay.title);
        return kExitOk;
    }
    const sim::Check check = played.failure->check;
    const sim::Shrunk shrunk = sim::shrink(chosen.scenario, [&](const sim::Scenario& candidate) {
        const Played again = play(candidate, memory, options);
        return again.failure && again.failure->check == check;
    });
    const std::string comment = fmt::format(
        "What is left of `{}` after {} runs{}.\nIt fails in {}: {}", chosen.replay.command,
        shrunk.runs, shrunk.finished ? "" : ", of which more would go on", to_string(check),
        sentence(check));
    fmt::print("{}", write_scenario(shrunk.scenario, comment));
    if (arguments.paths.any()) {
        Outputs outputs(arguments.paths, shrunk.scenario, comment.substr(0, comment.find('\n')));
        options.observers = outputs.observers();
        (void)play(shrunk.scenario, memory, options);
        outputs.finish();
    }
    return kExitFailed;
}

int run_one(const SimArguments& arguments) {
    const Chosen chosen = choose(arguments);
    const auto& [scenario, replay] = chosen;
    if (arguments.print) {
        fmt::print("{}", write_scenario(scenario, replay.command));
        return kExitOk;
    }
    if (arguments.shrink) {
        if (arguments.paths.events) {
            throw CommandError(kExitUsage,
                               "--shrink prints a scenario: play it with --events afterwards");
        }
        return run_shrink(arguments, chosen);
    }
    Outputs outputs(arguments.paths, scenario, replay.title);
    PlayMemory memory;
    PlayOptions options;
    options.measure = options.tell = true;
    options.event_limit = event_limit(arguments);
    options.observers = outputs.observers();
    const Played played = play(scenario, memory, options);
    outputs.finish();
    const report::Paint paint{arguments.output.use_color(::isatty(STDOUT_FILENO) != 0)};
    // Lines of events are data: the summary then goes where it can't be taken for one of them.
    fmt::print(arguments.paths.events ? stderr : stdout, "{}",
               arguments.output.json ? summary_json(replay, scenario, played)
                                     : summary(replay, scenario, played, paint));
    return played.failure ? kExitFailed : kExitOk;
}

/// What scenarios are made of, from the one list of each.
std::string lists() {
    std::string out = "Kinds of flow:\n";
    for (std::size_t i = 0; i < static_cast<std::size_t>(sim::FlowKind::count_); ++i) {
        out += fmt::format("  {}\n", to_string(static_cast<sim::FlowKind>(i)));
    }
    out += "\nKinds of fault:\n";
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        const sim::FaultFacts& facts = sim::facts(static_cast<sim::FaultKind>(i));
        out += fmt::format("  {:<20}  {}{}{}\n", facts.name, facts.sentence,
                           facts.parameters.empty() ? "" : "; ", facts.parameters);
    }
    out += "\nCheckers:\n";
    for (std::size_t i = 0; i < sim::kChecks; ++i) {
        const auto check = static_cast<sim::Check>(i);
        out += fmt::format("  {:<20}  {}\n", to_string(check), sentence(check));
    }
    return out;
}

int run(const SimArguments& arguments) {
    if (arguments.list) {
        fmt::print("{}", lists());
        return kExitOk;
    }
    const bool many = arguments.seeds || !arguments.time.empty();
    if (many && arguments.seed) {
        throw CommandError(kExitUsage,
                           "--seed is one scenario, --seeds are many (from --from on): which?");
    }
    if (!arguments.file.empty() && (many || arguments.seed || arguments.flags.any())) {
        throw CommandError(kExitUsage, "a scenario's file says all: no seeds or flags beside it");
    }
    if (many &&
        (arguments.flags.any() || arguments.print || arguments.shrink || arguments.paths.any())) {
        throw CommandError(kExitUsage,
                           "--seeds draws many scenarios: what is said of one (flags, --print, "
                           "--shrink, --events, -w, --qlog, --pkt, --svg) wants --seed");
    }
    return many ? run_many(arguments) : run_one(arguments);
}

}  // namespace

namespace {

void add_outputs(CLI::App& command, SimArguments& arguments) {
    constexpr const char* kGroup = "What one run leaves";
    OutputPaths& paths = arguments.paths;
    command.add_flag("--events", paths.events, "A line an event; the summary goes to stderr")
        ->group(kGroup);
    const auto file = [&](const char* name, std::string& into, const char* sentence) {
        command.add_option(name, into, sentence)->type_name("FILE")->group(kGroup);
    };
    file("-w,--write", paths.capture,
         "What crossed a host's interfaces as pcapng, with the reasons");
    file("--qlog", paths.qlog, "A host's view as qlog (.sqlog)");
    file("--pkt", paths.script,
         "One end of the flow's newest connection as a script for `runnel drill`");
    file("--svg", paths.svg, "A flow's picture: sequence numbers, window, round trip");
    command
        .add_option("--host", paths.host,
                    "Whose -w, --qlog and --pkt (default: the first flow's client)")
        ->type_name("ID")
        ->group(kGroup);
    command.add_option("--flow", paths.flow, "Whose --svg and --pkt (default: the first)")
        ->type_name("ID")
        ->group(kGroup);
    command.add_flag("--print", arguments.print, "The scenario as a file, in place of the run")
        ->group(kGroup);
    command
        .add_flag(
            "--shrink", arguments.shrink,
            "The smallest scenario that fails in the same way, as a file; -w, --pkt and the others "
            "are then of that one")
        ->group(kGroup);
}

void add_flags(CLI::App& command, FlagTexts& flags) {
    constexpr const char* kGroup = "A scenario from flags";
    const auto text = [&](const char* name, std::string& into, const char* sentence,
                          const char* type) {
        command.add_option(name, into, sentence)->type_name(type)->group(kGroup);
    };
    text("--rate", flags.rate, "Of the line, each way (default: 100mbit)", "RATE");
    text("--rtt", flags.rtt, "Round trip without queues (default: 20ms)", "TIME");
    text("--jitter", flags.jitter, "Up to so much more, each way", "TIME");
    text("--queue", flags.queue, "1bdp, 100p (packets) or a size (default: 1bdp)", "SIZE");
    text("--loss", flags.loss, "Of the packets towards the server", "SHARE");
    text("--reorder", flags.reorder, "Held back by up to a quarter of the round trip", "SHARE");
    text("--duplicate", flags.duplicate, "Arrive twice", "SHARE");
    text("--corrupt", flags.corrupt, "Have a bit inverted", "SHARE");
    text("--duration", flags.duration, "Of virtual time (default: 10s)", "TIME");
    text("--size", flags.size, "Octets of each flow, in place of a time", "SIZE");
    text("--cc", flags.cc,
         "Of the flows in turn: bbr,cubic,dctcp,fixed,reno (default: the profile's)", "NAMES");
    text("--profile", flags.profile, "modern, linux or rfc", "NAME");
    command.add_option("--set", flags.settings, "A value of both hosts, as in --set tcp_sack=0")
        ->type_name("KEY=VALUE")
        ->group(kGroup);
    command.add_option("--flows", flags.flows, "So many at once (default: 1)")
        ->type_name("N")
        ->check(CLI::Range(1, 64))
        ->group(kGroup);
    command.add_option("--mtu", flags.mtu, "Of the line (default: 1500)")
        ->type_name("N")
        ->check(CLI::Range(576, 65'535))
        ->group(kGroup);
    command.add_flag("--codel", flags.codel, "CoDel in place of drop-tail")->group(kGroup);
    command.add_flag("--ecn", flags.ecn, "CoDel that marks")->group(kGroup);
    command.add_flag("-6,--ipv6", flags.v6, "Over IPv6")->group(kGroup);
}

}  // namespace

void add_sim(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<SimArguments>();
    CLI::App* command = program.add_subcommand(
        "sim",
        "Run hosts on wires in virtual time, with faults, and compare what arrives octet by octet");
    command->add_option("FILE", arguments->file, "A scenario in a file (docs/sim.md); - is stdin");
    command->add_option("--seed", arguments->seed, "The scenario of that seed (default: 1)")
        ->type_name("N");
    command
        ->add_option("--seeds", arguments->seeds, "So many scenarios, of one seed after the other")
        ->type_name("N")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 48));
    command->add_option("--from", arguments->from, "The first of --seeds: a number, or random")
        ->type_name("N|random")
        ->capture_default_str();
    command
        ->add_option("--time", arguments->time,
                     "Begin no further seed after so much real time (20m)")
        ->type_name("TIME");
    command->add_option("--jobs", arguments->jobs, "Threads for --seeds (default: one a processor)")
        ->type_name("N")
        ->check(CLI::Range(1, 256));
    command
        ->add_option("--most-events", arguments->most_events,
                     "A run with more events than that has failed (default: 2000000 for seeds)")
        ->type_name("N")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
    command->add_flag("--list", arguments->list, "Kinds of flow and fault, and the checkers");
    add_output_options(*command, arguments->output);
    add_outputs(*command, *arguments);
    add_flags(*command, arguments->flags);
    command->footer(
        "Exit codes: 0 nothing broke, 1 something did (the last lines say what, and how to see it again),\n"
        "2 the question makes no sense.\n\n"
        "Examples: one scenario, a hundred, one from flags, one as a file and from it\n"
        "  runnel sim --seed 7\n"
        "  runnel sim --seeds 100 --from 1000\n"
        "  runnel sim --rate 100mbit --rtt 50ms --loss 1% --flows 4\n"
        "  runnel sim --seed 7 --print > /tmp/seven.toml && runnel sim /tmp/seven.toml\n"
        "and a picture of a lossy transfer\n"
        "  runnel sim --rate 10mbit --rtt 40ms --loss 0.5% --duration 10s --svg /tmp/lossy.svg");
    command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace runnel
