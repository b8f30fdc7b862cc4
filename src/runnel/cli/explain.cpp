#include "runnel/cli/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "runnel/analyse/explain.hpp"
#include "runnel/cli/capture_input.hpp"
#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace {

// Of each conversation the one of the same endpoints before it, or null.
std::vector<const report::Conversation*> find_earlier(const report::Conversations& found) {
    std::vector<const report::Conversation*> earlier;
    std::map<std::pair<Endpoint, Endpoint>, const report::Conversation*> latest;
    for (const report::Conversation& conversation : found.list) {
        const auto& [first, last] = std::minmax(conversation.left, conversation.right);
        const report::Conversation*& before = latest[{first, last}];
        earlier.push_back(before);
        before = &conversation;
    }
    return earlier;
}

}  // namespace

int run_explain(const ExplainOptions& options) {
    const CaptureInput input = read_capture_input("explain", options.file, options.conversation);
    analyse::ExplainStyle style;
    style.color = options.color;
    style.ascii = options.ascii;
    style.all = options.all;
    style.summary_only = options.summary;
    const auto earlier = find_earlier(input.found);
    bool forbidden = false;
    bool first = true;
    for (const report::Conversation* conversation : input.chosen) {
        const analyse::Analysis analysis =
            analyse::analyse(*conversation, earlier[conversation->number - 1]);
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
