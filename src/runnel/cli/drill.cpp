// `runnel drill`: packetdrill's scripts against a host in virtual time. Reads the files; what they mean is the room
// `drill`'s.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/drill_report.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/drill/parse.hpp"
#include "runnel/drill/runner.hpp"
#include "runnel/drill/settings.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel {

namespace {

struct DrillArguments {
    std::vector<std::string> paths;
    std::string profile = "linux";
    bool strict = false;
    bool no_silence = false;
    bool verbose = false;
    bool decisions = false;
    std::vector<std::string> defines;
    std::vector<drill::Option> more;
    std::string capture;
    OutputOptions output;
};

std::size_t terminal_width() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
        return std::clamp<std::size_t>(size.ws_col, 72, 200);
    }
    return 140;
}

/// The scripts a path stands for: itself, or every *.pkt below it, sorted.
std::vector<std::string> scripts_of(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::is_directory(path, error)) {
        return {path};
    }
    std::vector<std::string> found;
    auto walk = fs::recursive_directory_iterator(path, error);
    while (!error && walk != fs::recursive_directory_iterator()) {
        if (walk->path().extension() == ".pkt" && !walk->is_directory(error)) {
            found.push_back(walk->path().string());
        }
        walk.increment(error);
    }
    if (error) {
        throw CommandError(kExitUsage,
                           fmt::format("drill: can't walk {}: {}", path, error.message()));
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::string read_script(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) {
        text.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    if (!file) {
        throw CommandError(kExitUsage, fmt::format("drill: can't read {}: {}", path,
                                                   std::strerror(errno == 0 ? EIO : errno)));
    }
    return text;
}

drill::Verdict play(const std::string& path, const drill::Defines& defines,
                    const drill::RunOptions& options) {
    const auto script = drill::parse_script(path, read_script(path), defines);
    if (script) {
        return drill::run_script(*script, options);
    }
    drill::Verdict verdict;
    verdict.outcome = script.error().unsupported() ? drill::Verdict::Outcome::skipped
                                                   : drill::Verdict::Outcome::failed;
    verdict.file = path;
    verdict.at = script.error().at;
    verdict.reason = script.error().message;
    if (!script.error().line.empty()) {
        verdict.details.push_back(script.error().line);
    }
    if (!script.error().hint.empty()) {
        verdict.details.push_back(script.error().hint);
    }
    return verdict;
}

void write_capture(const std::string& path, const std::vector<std::byte>& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.flush();
    if (!file) {
        throw CommandError(kExitFailed,
                           fmt::format("drill: can't write {}: {}", path, std::strerror(errno)));
    }
}

int run_drill(const DrillArguments& arguments) {
    drill::RunOptions options;
    options.profile = tcp::profile_named(arguments.profile).value_or(tcp::Profile::linux_like);
    options.strict = arguments.strict;
    options.silence = !arguments.no_silence;
    options.more = arguments.more;
    const auto settings = drill::settings_of({}, options.more);
    if (!settings) {
        throw CommandError(kExitUsage, fmt::format("drill: {}", settings.error().message));
    }
    drill::Defines defines = drill::suite_defines(*settings);
    for (const std::string& text : arguments.defines) {
        if (!drill::add_define(text, defines)) {
            throw CommandError(kExitUsage,
                               fmt::format("drill: -D wants NAME=VALUE, not \"{}\"", text));
        }
    }
    std::vector<std::string> scripts;
    for (const std::string& path : arguments.paths) {
        const auto found = scripts_of(path);
        scripts.insert(scripts.end(), found.begin(), found.end());
    }
    if (scripts.empty()) {
        throw CommandError(kExitUsage, "drill: there is no *.pkt below the folders named");
    }
    if (!arguments.capture.empty() && scripts.size() != 1) {
        throw CommandError(kExitUsage, "drill: -w takes the capture of one script, not of several");
    }
    std::vector<std::byte> capture;
    options.capture = arguments.capture.empty() ? nullptr : &capture;
    DrillStyle style;
    style.width = terminal_width();
    style.color = arguments.output.use_color(::isatty(STDOUT_FILENO) != 0);
    style.verbose = arguments.verbose;
    std::vector<drill::Verdict> verdicts;
    for (const std::string& path : scripts) {
        verdicts.push_back(play(path, defines, options));
        if (!arguments.output.json && !arguments.decisions) {
            fmt::print("{}", drill_text(verdicts.back(), style));
        }
        verdicts.back().ladder.clear();
    }
    const DrillSums sums = drill_sums(verdicts);
    fmt::print("{}", arguments.output.json ? drill_json(verdicts)
                     : arguments.decisions ? drill_decisions_text(verdicts)
                                           : drill_sums_text(sums));
    if (!arguments.capture.empty()) {
        write_capture(arguments.capture, capture);
    }
    return sums.failed == 0 ? kExitOk : kExitFailed;
}

}  // namespace

void add_drill(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<DrillArguments>();
    CLI::App* command = program.add_subcommand(
        "drill", "Play packetdrill's scripts against a host of Runnel's in virtual time");
    command->add_option("PATH", arguments->paths, "Scripts, and folders to be walked for *.pkt")
        ->required();
    command
        ->add_option("--profile", arguments->profile,
                     "The host's defaults; rfc also compares SYN options as a set")
        ->check(CLI::IsMember({"linux", "rfc", "modern"}))
        ->capture_default_str();
    command->add_flag("--strict", arguments->strict,
                      "No tolerance of time, segment for segment as written, no mark unwritten");
    command->add_flag("--no-silence", arguments->no_silence,
                      "Let the host send what it likes behind the last line, as packetdrill does");
    command->add_option("-D,--define", arguments->defines, "NAME=VALUE for a script's defines")
        ->type_name("NAME=VALUE");
    command->add_flag("-v,--verbose", arguments->verbose,
                      "Every script's ladder, and what was skipped in it");
    command->add_flag("--decisions", arguments->decisions,
                      "Which decision of TCP is produced by which script, and which by none");
    command->add_option("-w,--write", arguments->capture, "The script's packets as pcapng")
        ->type_name("FILE");
    constexpr std::pair<const char*, const char*> kSettings[] = {
        {"ip_version", "ipv4, ipv6 or ipv4-mapped-ipv6"},
        {"local_ip", "The host's address"},
        {"remote_ip", "The far end's"},
        {"gateway_ip", "Read, of no consequence"},
        {"netmask_ip", "Of the host's network"},
        {"bind_port", "What ... stands for in bind()"},
        {"connect_port", "And in connect()"},
        {"mtu", "Bytes of a packet"},
        {"mss", "Segments of a longer packet injected"},
        {"speed", "Mbit/s; read, of no consequence"},
        {"tolerance_usecs", "How far off an event may be"},
        {"tolerance_percent", "The same, of the time since the one before"},
        {"tcp_ts_tick_usecs", "Of timestamps, to check them; 0: unchecked"},
        {"non_fatal", "packet, syscall or both: end no script"},
        {"init_scripts", "Read, of no consequence"},
    };
    for (const auto& [name, what] : kSettings) {
        command
            ->add_option_function<std::string>(
                fmt::format("--{}", name),
                [arguments, option = std::string(name)](const std::string& value) {
                    arguments->more.push_back({option, value, {}});
                },
                what)
            ->type_name("VALUE");
    }
    add_output_options(*command, arguments->output);
    command->footer(
        "Exit code 0: none failed; 1: some did; 2: a path or an option is wrong.\n"
        "Example, a script of two lines:\n"
        "  printf '0 socket(..., SOCK_STREAM, 0) = 3\\n+0 close(3) = 0\\n' > /tmp/a.pkt && "
        "runnel drill /tmp/a.pkt");
    command->callback([arguments, &exit_code] { exit_code = run_drill(*arguments); });
}

}  // namespace runnel
