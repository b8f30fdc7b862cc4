#include "runnel/analyse/verdict.hpp"

#include <array>

#include <fmt/format.h>

#include "runnel/report/text.hpp"

namespace runnel::analyse {

namespace {

constexpr std::array kInfos = {
#define RUNNEL_VERDICT(name, level, text, clause) VerdictInfo{#name, Level::level, text, clause},
#include "runnel/analyse/verdicts.def"
#undef RUNNEL_VERDICT
};
static_assert(kInfos.size() == static_cast<std::size_t>(Verdict::count_));

std::string bytes_of(std::int64_t value) {
    return report::bytes_text(value < 0 ? 0 : static_cast<std::uint64_t>(value));
}

std::string figure(char kind, const Finding& finding) {
    switch (kind) {
        case 't': return report::duration_text({finding.value});
        case 'b': return bytes_of(finding.value);
        case 'n': return fmt::format("{}", finding.value);
        case 'm': return fmt::format("{}", finding.second);
        case 'c': return bytes_of(finding.second);
        default: return "?";
    }
}

}  // namespace

std::string_view name(Level level) {
    switch (level) {
        case Level::ordinary: return "ordinary";
        case Level::unsure: return "can't say";
        case Level::unusual: return "unusual";
        case Level::violates: return "violates";
    }
    return "";
}

const VerdictInfo& info(Verdict verdict) {
    return kInfos[static_cast<std::size_t>(verdict)];
}

std::string sentence(const Finding& finding) {
    const std::string_view text = info(finding.verdict).text;
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '{' && i + 2 < text.size()) {
            out += figure(text[i + 1], finding);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace runnel::analyse
