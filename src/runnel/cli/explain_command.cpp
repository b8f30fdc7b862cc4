// `runnel explain`: its place on the command line; what it does is explain.cpp's.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/explain.hpp"

namespace runnel {

namespace {

struct ExplainArguments {
    ExplainOptions options;
    OutputOptions output;
};

}  // namespace

void add_explain(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<ExplainArguments>();
    ExplainOptions& options = arguments->options;
    CLI::App* command = program.add_subcommand(
        "explain",
        "Say of each segment of a capture what it is, and whether a conforming TCP sends it");
    command->add_option("FILE", options.file, "pcapng or pcap; - is stdin")->required();
    command->add_option("CONVERSATION", options.conversation,
                        "Only that one: its number, ADDRESS, :PORT, ADDRESS:PORT or [V6]:PORT");
    command->add_flag("-a,--all", options.all, "Fold nothing");
    command->add_flag("-s,--summary", options.summary, "Only what each connection comes to");
    command->add_flag("--strict", options.strict, "Exit with 1 when something violates an RFC");
    command->add_flag("--strict-unusual", options.strict_unusual,
                      "Exit with 1 also when something is legal but unusual");
    command->add_flag("--ascii", options.ascii, "Nothing but ASCII");
    add_output_options(*command, arguments->output);
    command->footer(
        "Example, with the capture that `runnel demo` leaves:\n"
        "  runnel demo -w /tmp/demo.pcapng > /dev/null && runnel explain /tmp/demo.pcapng 1");
    command->callback([arguments, &exit_code] {
        arguments->options.json = arguments->output.json;
        arguments->options.color = arguments->output.use_color(::isatty(STDOUT_FILENO) != 0);
        exit_code = run_explain(arguments->options);
    });
}

}  // namespace runnel
