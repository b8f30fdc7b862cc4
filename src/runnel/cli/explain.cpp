#include "runnel/cli/explain.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runnel/analyse/explain.hpp"
#include "runnel/cli/capture_input.hpp"
#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace {

// The conversation of the same endpoints before this one.
const report::Conversation* earlier(const report::Conversations& found,
                                    const report::Conversation& conversation) {
    for (std::size_t i = conversation.number - 1; i-- > 0;) {
        const report::Conversation& other = found.list[i];
        if ((other.left == conversation.left && other.right == conversation.right) ||
            (other.left == conversation.right && other.right == conversation.left)) {
            return &other;
        }
        constexpr std::size_t kFarBack = 10'000;
        if (conversation.number - i > kFarBack) {
            break;
        }
    }
    return nullptr;
}

}  // namespace

int run_explain(const ExplainOptions& options) {
    const CaptureInput input = read_capture_input("explain", options.file, options.conversation);
    analyse::ExplainStyle style;
    style.color = options.color;
    style.ascii = options.ascii;
    style.all = options.all;
    style.summary_only = options.summary;
    bool forbidden = false;
    bool first = true;
    for (const report::Conversation* conversation : input.chosen) {
        const analyse::Analysis analysis =
            analyse::analyse(*conversation, earlier(input.found, *conversation));
        forbidden = forbidden || analysis.count(analyse::Level::violates) != 0 ||
                    (options.strict_unusual && analysis.count(analyse::Level::unusual) != 0);
        std::string text = options.json ? explain_json(*conversation, analysis, options.summary)
                                        : explain_text(*conversation, analysis, style);
        if (!first && !options.json) {
            text.insert(0, "\n\n");
        }
        first = false;
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
            fmt::print(stderr, "runnel explain: can't write to standard output: {}\n",
                       std::strerror(errno));
            return kExitFailed;
        }
    }
    std::fflush(stdout);
    const int exit_code = tell_capture_problem("explain", input);
    const bool strict = options.strict || options.strict_unusual;
    return exit_code == kExitOk && strict && forbidden ? int{kExitFailed} : exit_code;
}

}  // namespace runnel
