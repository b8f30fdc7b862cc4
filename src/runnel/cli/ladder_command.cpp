// `runnel ladder`: its place on the command line; what it does is ladder.cpp's.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/ladder.hpp"

namespace runnel {

namespace {

struct LadderArguments {
    LadderOptions options;
    OutputOptions output;
};

}  // namespace

void add_ladder(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<LadderArguments>();
    CLI::App* command = program.add_subcommand(
        "ladder", "Show a capture's TCP connections segment by segment, with the reasons in it");
    command->add_option("FILE", arguments->options.file, "pcapng or pcap; - is stdin")->required();
    command->add_option("CONVERSATION", arguments->options.conversation,
                        "Only that one: its number, ADDRESS, :PORT, ADDRESS:PORT or [V6]:PORT");
    command->add_flag("-a,--all", arguments->options.all, "Fold nothing");
    command->add_flag("--ascii", arguments->options.ascii, "Nothing but ASCII");
    command->add_option("--width", arguments->options.width, "Columns (default: the terminal's)")
        ->check(CLI::Range(72, 1000));
    add_output_options(*command, arguments->output);
    command->footer(
        "Example, with the capture that `runnel demo` leaves:\n"
        "  runnel demo -w /tmp/demo.pcapng > /dev/null && runnel ladder /tmp/demo.pcapng 1");
    command->callback([arguments, &exit_code] {
        arguments->options.json = arguments->output.json;
        arguments->options.color = arguments->output.use_color(::isatty(STDOUT_FILENO) != 0);
        exit_code = run_ladder(arguments->options);
    });
}

}  // namespace runnel
