#include "runnel/drill/source.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

constexpr unsigned kMaxSubstitutions = 16;        ///< defines within defines
constexpr std::size_t kMaxExpansions = 1u << 18;  ///< defines substituted in a whole script
constexpr std::size_t kMaxConditions = 64;        ///< #ifdefs within #ifdefs

}  // namespace

/// One pass over the text. Newlines are kept everywhere, so that lines stay lines.
class Preparer {
public:
    Preparer(Source& source, const Defines& defines) : source_(source), defines_(defines) {}

    std::optional<Trouble> run();

private:
    struct Condition {
        std::size_t began;
        bool holds;
        bool had_else = false;
    };

    [[nodiscard]] std::string_view in() const { return source_.original_; }
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < in().size() ? in()[at_ + ahead] : '\0';
    }
    [[nodiscard]] bool next_is(std::string_view what) const {
        return in().substr(at_).starts_with(what);
    }
    [[nodiscard]] bool skipping() const {
        return std::any_of(conditions_.begin(), conditions_.end(),
                           [](const Condition& one) { return !one.holds; });
    }
    [[nodiscard]] bool at_line_start() const;
    [[nodiscard]] std::string_view rest_of_line() const {
        return in().substr(at_, std::min(in().find('\n', at_), in().size()) - at_);
    }
    void mark(bool fixed = false) { source_.marks_.push_back({source_.text_.size(), at_, fixed}); }
    /// Copies `count` bytes, or in what an #ifdef leaves out, only their newlines.
    void copy(std::size_t count);
    void drop(std::size_t count);
    void copy_until(std::string_view end, bool over_lines);
    bool fail(std::size_t at, std::string message, std::string hint = {});

    bool step();
    bool comment();
    bool line_directive();
    bool conditional(std::string_view word, std::string_view name);
    bool define_option();
    bool word();
    void expand(std::string_view name, unsigned depth, std::vector<std::string_view>& within);
    [[nodiscard]] const std::string* definition(std::string_view name) const;

    Source& source_;
    Defines defines_;
    std::size_t at_ = 0;
    std::size_t expansions_ = 0;
    std::vector<Condition> conditions_;
    std::optional<Trouble> trouble_;
};

bool Preparer::fail(std::size_t at, std::string message, std::string hint) {
    source_.marks_.push_back({source_.text_.size(), at, true});
    trouble_ = source_.trouble(source_.position(source_.text_.size()), std::move(message),
                               std::move(hint));
    return false;
}

bool Preparer::at_line_start() const {
    std::size_t before = at_;
    while (before > 0 && (in()[before - 1] == ' ' || in()[before - 1] == '\t')) {
        --before;
    }
    return before == 0 || in()[before - 1] == '\n';
}

void Preparer::copy(std::size_t count) {
    if (skipping()) {
        drop(count);
        return;
    }
    source_.text_.append(in().substr(at_, count));
    at_ += count;
}

void Preparer::drop(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const char c = in()[at_ + i];
        source_.text_.push_back(c == '\n' ? '\n' : ' ');
    }
    at_ += count;
}

void Preparer::copy_until(std::string_view end, bool over_lines) {
    std::size_t stop = at_ + 1;
    while (stop < in().size() && !in().substr(stop).starts_with(end)) {
        if (in()[stop] == '\n' && !over_lines) {
            copy(stop - at_);
            return;
        }
        stop += in()[stop] == '\\' && end == "\"" ? 2u : 1u;
    }
    copy(std::min(stop + end.size(), in().size()) - at_);
}

std::optional<Trouble> Preparer::run() {
    mark();
    while (at_ < in().size()) {
        if (!step()) {
            return trouble_;
        }
        if (source_.text_.size() > 2 * kMaxScriptBytes) {
            fail(at_, "with its defines substituted the script is too long");
            return trouble_;
        }
    }
    if (!conditions_.empty()) {
        fail(conditions_.back().began, "this #ifdef has no #endif");
    }
    return trouble_;
}

bool Preparer::step() {
    const char c = peek();
    if (next_is("//")) {
        drop(rest_of_line().size());
    } else if (next_is("/*")) {
        return comment();
    } else if (c == '"') {
        copy_until("\"", false);
    } else if (c == '`') {
        copy_until("`", true);
    } else if (next_is("%{")) {
        copy_until("}%", true);
    } else if (c == '#' && at_line_start()) {
        return line_directive();
    } else if (c == '#' && in()[at_ - 1] == ' ' && peek(1) == ' ') {
        drop(rest_of_line().size());  // and not "(Unknown error #5)"
    } else if (c == '-' && at_line_start() && (next_is("-D") || next_is("--define"))) {
        return define_option();
    } else if (is_word_start(c)) {
        return word();
    } else if (is_digit(c)) {
        std::size_t count = 1;
        while (is_word(peek(count))) {
            ++count;
        }
        copy(count);
    } else {
        copy(1);
    }
    return true;
}

bool Preparer::comment() {
    const std::size_t end = in().find("*/", at_ + 2);
    if (end == std::string_view::npos) {
        return fail(at_, "this comment is never closed", "it ends at the next */");
    }
    drop(end + 2 - at_);
    return true;
}

bool Preparer::line_directive() {
    std::string_view rest = trimmed(rest_of_line().substr(1));
    const std::string_view whole = rest_of_line();
    const std::string_view word = leading_word(rest);
    rest = trimmed(rest.substr(word.size()));
    const std::string_view name = leading_word(rest);
    const bool known = word == "ifdef" || word == "ifndef" || word == "else" || word == "endif";
    if (known) {
        if (!conditional(word, name)) {
            return false;
        }
    } else if (word == "define" && !name.empty()) {
        if (!skipping()) {
            defines_.emplace_back(name, trimmed(rest.substr(name.size())));
        }
    } else if (word == "if" || word == "elif" || word == "include" || word == "undef") {
        if (whole[1] != ' ' && !skipping()) {
            return fail(at_, fmt::format("Runnel does not know the directive #{}", word),
                        "there are #ifdef, #ifndef, #else, #endif and #define; "
                        "a comment has a space after the #");
        }
    }
    drop(whole.size());
    return true;
}

bool Preparer::conditional(std::string_view word, std::string_view name) {
    if (word == "endif") {
        if (conditions_.empty()) {
            return fail(at_, "this #endif has no #ifdef");
        }
        conditions_.pop_back();
        return true;
    }
    if (word == "else") {
        if (conditions_.empty() || conditions_.back().had_else) {
            return fail(at_, "this #else has no #ifdef");
        }
        conditions_.back().holds = !conditions_.back().holds;
        conditions_.back().had_else = true;
        return true;
    }
    if (name.empty()) {
        return fail(at_, fmt::format("#{} wants a name", word), "as in: #ifdef IPV6");
    }
    if (conditions_.size() == kMaxConditions) {
        return fail(at_, fmt::format("more than {} #ifdefs within each other", kMaxConditions));
    }
    conditions_.push_back({at_, (definition(name) != nullptr) == (word == "ifdef")});
    return true;
}

bool Preparer::define_option() {
    const std::string_view whole = rest_of_line();
    std::string_view rest = whole.substr(next_is("--define") ? 8 : 2);
    if (const std::size_t comment = rest.find("//"); comment != std::string_view::npos) {
        rest = rest.substr(0, comment);
    }
    if (rest.starts_with('=')) {
        rest.remove_prefix(1);
    }
    rest = trimmed(rest);
    if (!skipping()) {
        if (!add_define(rest, defines_)) {
            return fail(at_, "a define is NAME=VALUE", "as in: --define=MSS=1000 or -D MSS=1000");
        }
    }
    drop(whole.size());
    return true;
}

const std::string* Preparer::definition(std::string_view name) const {
    for (std::size_t i = defines_.size(); i > 0; --i) {
        if (defines_[i - 1].first == name) {
            return &defines_[i - 1].second;
        }
    }
    return nullptr;
}

bool Preparer::word() {
    const std::string_view name = leading_word(in().substr(at_));
    if (skipping() || definition(name) == nullptr) {
        copy(name.size());
        return true;
    }
    mark(true);
    std::vector<std::string_view> within;
    expand(name, 0, within);
    if (expansions_ > kMaxExpansions || source_.text_.size() > 2 * kMaxScriptBytes) {
        return fail(at_, fmt::format("the define {} grows without end", name));
    }
    at_ += name.size();
    mark();
    return true;
}

void Preparer::expand(std::string_view name, unsigned depth,
                      std::vector<std::string_view>& within) {
    // As in C: a name within its own definition stays as it is.
    const std::string* value = definition(name);
    if (value == nullptr || depth == kMaxSubstitutions ||
        std::find(within.begin(), within.end(), name) != within.end() ||
        source_.text_.size() > 2 * kMaxScriptBytes || ++expansions_ > kMaxExpansions) {
        source_.text_.append(name);
        return;
    }
    within.push_back(name);
    std::string_view rest = *value;
    while (!rest.empty()) {
        const std::string_view head = leading_word(rest);
        if (!head.empty()) {
            expand(head, depth + 1, within);
            rest.remove_prefix(head.size());
        } else if (rest.front() == '"') {
            const std::size_t end = std::min(rest.find('"', 1), rest.size() - 1);
            source_.text_.append(rest.substr(0, end + 1));
            rest.remove_prefix(end + 1);
        } else {
            std::size_t count = 1;  // a number is one piece: 0x1f holds no name
            while (is_digit(rest.front()) && count < rest.size() && is_word(rest[count])) {
                ++count;
            }
            source_.text_.append(rest.substr(0, count));
            rest.remove_prefix(count);
        }
    }
    within.pop_back();
}

Result<Source, Trouble> Source::prepare(std::string_view file, std::string_view text,
                                        const Defines& defines) {
    Source made;
    made.file_ = file;
    if (text.size() > kMaxScriptBytes) {
        return std::unexpected(made.trouble(
            {}, fmt::format("the script has more than {} bytes", kMaxScriptBytes), {}));
    }
    made.original_ = text;
    made.lines_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n') {
            made.lines_.push_back(i + 1);
        } else if (text[i] == '\0') {
            return std::unexpected(
                made.trouble({}, "this is no script: it holds a byte 0 (is it a capture?)", {}));
        }
    }
    Preparer preparer(made, defines);
    if (auto trouble = preparer.run()) {
        return std::unexpected(std::move(*trouble));
    }
    return made;
}

Position Source::position(std::size_t offset) const {
    const auto after = std::upper_bound(marks_.begin(), marks_.end(), offset,
                                        [](std::size_t a, const Mark& b) { return a < b.here; });
    if (after == marks_.begin()) {
        return {1, 1};
    }
    const Mark& mark = *(after - 1);
    const std::size_t place = mark.original + (mark.fixed ? 0 : offset - mark.here);
    const auto next = std::upper_bound(lines_.begin(), lines_.end(), place);
    const auto index = static_cast<std::size_t>(next - lines_.begin()) - 1;
    return {static_cast<std::uint32_t>(index + 1),
            static_cast<std::uint32_t>(place - lines_[index] + 1)};
}

std::string_view Source::line(std::uint32_t number) const {
    if (number == 0 || number > lines_.size()) {
        return {};
    }
    const std::size_t begin = lines_[number - 1];
    const std::size_t end = std::min(original_.find('\n', begin), original_.size());
    std::string_view found = std::string_view(original_).substr(begin, end - begin);
    if (found.ends_with('\r')) {
        found.remove_suffix(1);
    }
    return found;
}

Trouble Source::trouble(Position at, std::string message, std::string hint) const {
    Trouble made;
    made.file = file_;
    made.at = at;
    made.message = std::move(message);
    made.line = line(at.line);
    made.hint = std::move(hint);
    return made;
}

bool add_define(std::string_view text, Defines& defines) {
    const std::string_view name = leading_word(text);
    if (name.empty() || (name.size() < text.size() && text[name.size()] != '=')) {
        return false;
    }
    const std::size_t begin = std::min(name.size() + 1, text.size());
    defines.emplace_back(name, trimmed(text.substr(begin)));
    return true;
}

}  // namespace runnel::drill
