// The program: one subcommand a file, errors as sentences on stderr, exit codes as in DESIGN §8.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/exit_code.hpp"

namespace {

int run(int argc, char** argv) {
    CLI::App program(
        "Runnel: a TCP/IP host in your process, over TUN, TAP or a packet socket, that says why.",
        "runnel");
    program.set_version_flag("-V,--version", "runnel " RUNNEL_VERSION);
    program.require_subcommand(1);
    program.footer(
        "Example: the kernel's TCP and Runnel's face each other, and show it\n"
        "  runnel demo");
    int exit_code = runnel::kExitOk;
    runnel::add_demo(program, exit_code);
    runnel::add_serve(program, exit_code);
    runnel::add_get(program, exit_code);
    runnel::add_nc(program, exit_code);
    runnel::add_ss(program, exit_code);
    runnel::add_stat(program, exit_code);
    runnel::add_why(program, exit_code);
    runnel::add_trace(program, exit_code);
    runnel::add_ladder(program, exit_code);
    runnel::add_doctor(program, exit_code);
    runnel::add_explain(program, exit_code);
    runnel::add_lab(program, exit_code);
    runnel::add_drill(program, exit_code);
    runnel::add_sim(program, exit_code);
    runnel::add_completion(program, exit_code);
    runnel::add_man(program, exit_code);
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = program.exit(error);
        return code == 0 ? runnel::kExitOk : runnel::kExitUsage;
    }
    return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const runnel::CommandError& error) {
        if (*error.what() != '\0') {
            fmt::print(stderr, "runnel: {}\n", error.what());
        }
        return error.code();
    } catch (const std::exception& error) {
        fmt::print(stderr, "runnel: {}\n", error.what());
    }
    return runnel::kExitFailed;
}
