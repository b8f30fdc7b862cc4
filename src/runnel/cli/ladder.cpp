#include "runnel/cli/ladder.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runnel/cli/capture_input.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/report/ladder.hpp"

namespace runnel {

namespace {

std::size_t terminal_width() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
        // Longer arrows than this are hard to follow with the eye.
        return std::min<std::size_t>(size.ws_col, 132);
    }
    return report::kLadderWidth;
}

bool write_out(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

bool show(const LadderOptions& options, const report::Capture& capture,
          const std::vector<const report::Conversation*>& chosen) {
    report::LadderStyle style;
    style.width = options.width != 0 ? options.width : terminal_width();
    style.color = options.color;
    style.ascii = options.ascii;
    style.all = options.all;
    bool first = true;
    for (const report::Conversation* conversation : chosen) {
        const std::string text =
            options.json
                ? report::ladder_json(*conversation, capture)
                : (first ? "" : "\n\n") + report::render_ladder(*conversation, capture, style);
        if (!write_out(text)) {
            return false;
        }
        first = false;
    }
    return std::fflush(stdout) == 0;
}

}  // namespace

int run_ladder(const LadderOptions& options) {
    const CaptureInput input = read_capture_input("ladder", options.file, options.conversation);
    if (!input.chosen.empty() && !show(options, input.capture, input.chosen)) {
        fmt::print(stderr, "runnel ladder: can't write to standard output: {}\n",
                   std::strerror(errno));
        return kExitFailed;
    }
    return tell_capture_problem("ladder", input);
}

}  // namespace runnel
