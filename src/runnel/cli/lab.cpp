// `runnel lab`: TCP's lessons, each played with its rule and with it broken. What they are is the room lab's.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/lab/lesson.hpp"
#include "runnel/lab/show.hpp"

namespace runnel {

namespace {

struct LabArguments {
    std::string lesson;
    std::string capture;
    bool all_lessons = false;
    bool whole = false;
    bool ascii = false;
    std::size_t width = 0;
    OutputOptions output;
};

std::size_t terminal_width() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
        return std::min<std::size_t>(size.ws_col, 132);
    }
    return report::kLadderWidth;
}

void write_out(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        throw CommandError(kExitFailed, fmt::format("lab: can't write to standard output: {}",
                                                    std::strerror(errno)));
    }
}

void write_capture(const std::string& path, const std::vector<std::byte>& bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"),
                                                               &std::fclose);
    if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size() ||
        std::fflush(file.get()) != 0) {
        throw CommandError(kExitFailed,
                           fmt::format("lab: can't write {}: {}", path, std::strerror(errno)));
    }
}

/// The lessons that are meant: one by its name, or all.
std::vector<const lab::Lesson*> chosen(const LabArguments& arguments) {
    std::vector<const lab::Lesson*> list;
    if (arguments.all_lessons) {
        for (const lab::Lesson& lesson : lab::lessons()) {
            list.push_back(&lesson);
        }
        return list;
    }
    list.push_back(lab::find_lesson(arguments.lesson));
    if (list.front() == nullptr) {
        throw CommandError(kExitUsage,
                           fmt::format("lab: there is no lesson called {}; `runnel lab` lists them",
                                       arguments.lesson));
    }
    return list;
}

void run(const LabArguments& arguments) {
    report::LadderStyle style;
    style.width = arguments.width != 0 ? arguments.width : terminal_width();
    style.color = arguments.output.use_color(::isatty(STDOUT_FILENO) != 0);
    style.ascii = arguments.ascii;
    style.all = arguments.whole;
    if (arguments.lesson.empty() && !arguments.all_lessons) {
        if (!arguments.capture.empty()) {
            throw CommandError(kExitUsage, "lab: -w wants a lesson: `runnel lab NAME -w FILE`");
        }
        return write_out(arguments.output.json ? lab::lesson_list_json() : lab::lesson_list(style));
    }
    if (!arguments.lesson.empty() && arguments.all_lessons) {
        throw CommandError(kExitUsage, "lab: a lesson's name or --all, not both");
    }
    if (arguments.all_lessons && !arguments.capture.empty()) {
        throw CommandError(kExitUsage, "lab: -w keeps one lesson's capture, not that of --all");
    }
    bool first = true;
    for (const lab::Lesson* lesson : chosen(arguments)) {
        const lab::Played played = lab::play(*lesson);
        if (!arguments.capture.empty()) {
            write_capture(arguments.capture, lab::lesson_capture(played));
        }
        if (!first && !arguments.output.json) {
            write_out("\n\n");
        }
        first = false;
        write_out(arguments.output.json ? lab::lesson_json(played)
                                        : lab::lesson_text(played, style));
    }
}

}  // namespace

void add_lab(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<LabArguments>();
    CLI::App* command = program.add_subcommand(
        "lab", "TCP's lessons: each played with its rule and with it broken, as ladders");
    command->add_option("LESSON", arguments->lesson, "Its name; without one they are listed");
    command->add_flag("--all", arguments->all_lessons, "Play all of them");
    command
        ->add_option("-w,--write", arguments->capture,
                     "Keep both runs' packets, with the reasons, as pcapng")
        ->type_name("FILE");
    command->add_flag("-a,--whole", arguments->whole,
                      "Fold nothing in the ladders, and tell every reason each time");
    command->add_flag("--ascii", arguments->ascii, "Nothing but ASCII");
    command->add_option("--width", arguments->width, "Columns (default: the terminal's)")
        ->check(CLI::Range(72, 1000));
    add_output_options(*command, arguments->output);
    command->footer(
        "Everything happens in virtual time in this process: no network is touched, and the same\n"
        "lesson looks the same each time.\n\n"
        "Example: why two messages are not enough to open a connection\n"
        "  runnel lab old-duplicate-syn");
    command->callback([arguments, &exit_code] {
        run(*arguments);
        exit_code = kExitOk;
    });
}

}  // namespace runnel
