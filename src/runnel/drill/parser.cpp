#include "runnel/drill/parser.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/settings.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

constexpr std::int64_t kMaxSeconds = 1'000'000'000;  ///< thirty years; no sum of two overflows
constexpr std::size_t kMaxWritten = 500;

}  // namespace

// --- characters and tokens ----------------------------------------------------------------------------------------

void Parser::skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) {
        ++at_;
    }
}

bool Parser::skip_to_end() {
    skip_space();
    return at_end() || fail(fmt::format("here the text should end, but there is {}", found()));
}

bool Parser::take(std::string_view what) {
    skip_space();
    if (!sees(what) || (is_word(what.back()) && is_word(peek(what.size())))) {
        return false;
    }
    at_ += what.size();
    return true;
}

bool Parser::expect(std::string_view what, std::string_view where) {
    return take(what) || fail(fmt::format("expected {} {}, but here is {}", what, where, found()));
}

std::string_view Parser::peek_word() {
    skip_space();
    return leading_word(text_.substr(at_));
}

std::string_view Parser::take_word() {
    const std::string_view word = peek_word();
    at_ += word.size();
    return word;
}

std::string Parser::found() {
    skip_space();
    if (at_end()) {
        return "the end of the script";
    }
    std::size_t count = 1;
    if (is_word(peek())) {
        while (is_word(peek(count)) && count < 40) {
            ++count;
        }
    }
    return fmt::format("\"{}\"", text_.substr(at_, count));
}

bool Parser::fail_at(std::size_t at, std::string message, std::string hint) {
    if (!trouble_) {
        trouble_ = source_.trouble(source_.position(at), std::move(message), std::move(hint));
    }
    return false;
}

bool Parser::number(std::uint64_t& out, std::uint64_t limit, std::string_view what) {
    skip_space();
    const std::size_t begin = at_;
    if (!is_digit(peek())) {
        return fail(fmt::format("expected {}, a number, but here is {}", what, found()));
    }
    const bool hex =
        peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && digit_value(peek(2)) >= 0;
    const std::uint64_t base = hex ? 16 : 10;
    at_ += hex ? 2 : 0;
    out = 0;
    bool above = false;
    for (int digit = digit_value(peek()); digit >= 0 && digit < static_cast<int>(base);
         digit = digit_value(peek())) {
        const auto step = static_cast<std::uint64_t>(digit);
        above = above || out > (limit - std::min(limit, step)) / base;
        out = above ? out : out * base + step;
        ++at_;
    }
    if (is_word(peek())) {
        return fail(fmt::format("\"{}\" does not belong in a number", peek()));
    }
    if (above || out > limit) {
        return fail_at(begin, fmt::format("{} is at most {}", what, limit));
    }
    return true;
}

std::string Parser::written(std::size_t from) const {
    std::string out;
    for (std::size_t i = from; i < at_ && out.size() < kMaxWritten; ++i) {
        const bool space = is_space(text_[i]);
        if (!space) {
            out.push_back(text_[i]);
        } else if (!out.empty() && out.back() != ' ') {
            out.push_back(' ');
        }
    }
    while (out.ends_with(' ')) {
        out.pop_back();
    }
    return out;
}

// --- a script and its events --------------------------------------------------------------------------------------

bool Parser::script(Script& out) {
    out.file.text = source_.file();
    for (skip_space(); !at_end(); skip_space()) {
        if (sees("--")) {
            if (!out.events.empty()) {
                return fail("options stand at the head of a script, before its events");
            }
            if (!option(out)) {
                return false;
            }
        } else if ((peek() == '`' || peek() == '"') && out.events.empty()) {
            if (!command(out.init.emplace_back())) {
                return false;
            }
        } else {
            if (out.events.size() == kMaxEvents) {
                return fail(fmt::format("a script has at most {} events", kMaxEvents));
            }
            if (!event(out.events.emplace_back())) {
                return false;
            }
        }
    }
    return true;
}

bool Parser::option(Script& out) {
    Option& made = out.options.emplace_back();
    made.at = here();
    const std::size_t begin = at_;
    at_ += 2;
    const std::string_view name = leading_word(text_.substr(at_));
    if (!known_option(name)) {
        return fail_at(begin, fmt::format("there is no option --{}", name), option_hint(name));
    }
    at_ += name.size();
    made.name = name;
    if (peek() != '=') {
        return true;
    }
    ++at_;
    if (peek() == '"' || peek() == '`') {
        Command quoted;
        if (!command(quoted)) {
            return false;
        }
        made.value = std::move(quoted.text);
        return true;
    }
    const std::size_t value = at_;
    while (!at_end() && !is_space(peek())) {
        ++at_;
    }
    made.value = text_.substr(value, at_ - value);
    return true;
}

bool Parser::event(Event& out) {
    skip_space();
    const std::size_t begin = at_;
    out.at = here();
    if (!time(out.time)) {
        return false;
    }
    skip_space();
    const char c = peek();
    bool good = false;
    if (c == '<' || c == '>') {
        good = packet(out.what.emplace<Packet>());
    } else if (c == '`' || c == '"') {
        good = command(out.what.emplace<Command>());
    } else if (sees("%{")) {
        good = code(out.what.emplace<Code>());
    } else if (is_word_start(c)) {
        good = syscall(out.what.emplace<Syscall>());
    } else {
        return fail(
            fmt::format("after its time an event is a packet (<, >), a call, a `command` or "
                        "%{{ code }}%, but here is {}",
                        found()));
    }
    if (!good) {
        return false;
    }
    out.written.text = written(begin);
    const bool outbound = std::holds_alternative<Packet>(out.what) &&
                          std::get<Packet>(out.what).direction == Direction::outbound;
    if (out.time.kind != EventTime::Kind::absolute && out.time.kind != EventTime::Kind::relative &&
        !outbound) {
        return fail_at(begin, "only an outbound packet (>) has a range of times or *",
                       "give this event one time, as in: +0.1");
    }
    if (out.time.blocks_until && !std::holds_alternative<Syscall>(out.what)) {
        return fail_at(begin, "only a call has an end (T1...T2): the time at which it returns",
                       "a packet's range is written T1~T2");
    }
    return true;
}

bool Parser::seconds_value(Duration& out) {
    skip_space();
    const std::size_t begin = at_;
    std::int64_t whole = 0, fraction = 0, unit = 1'000'000'000;
    bool any = false;
    for (; is_digit(peek()); ++at_, any = true) {
        whole = std::min(whole * 10 + (peek() - '0'), kMaxSeconds + 1);
    }
    if (peek() == '.' && peek(1) != '.') {
        ++at_;
        for (; is_digit(peek()); ++at_, any = true) {
            if (unit == 1 && peek() != '0') {
                return fail(
                    "a time's resolution is a nanosecond: at most nine digits after the point");
            }
            unit = unit == 1 ? 1 : unit / 10;
            fraction += unit * (peek() - '0');
        }
    }
    if (!any) {
        return fail_at(begin, fmt::format("expected a time in seconds, but here is {}", found()),
                       "an event begins with its time: 0.1, +0.1, +0~+0.2 or *");
    }
    if (is_word(peek())) {
        return fail(fmt::format("\"{}\" does not belong in a time, which is in seconds", peek()));
    }
    if (whole > kMaxSeconds) {
        return fail_at(begin, fmt::format("a time is at most {} seconds", kMaxSeconds));
    }
    out = seconds(whole) + nanoseconds(fraction);
    return true;
}

bool Parser::time(EventTime& out) {
    out.at = here();
    if (take("*")) {
        out.kind = EventTime::Kind::any;
        return true;
    }
    const bool relative = take("+");
    out.kind = relative ? EventTime::Kind::relative : EventTime::Kind::absolute;
    if (!seconds_value(out.start)) {
        return false;
    }
    out.end = out.start;
    return time_end(out, relative);
}

bool Parser::time_end(EventTime& out, bool relative) {
    skip_space();
    const std::size_t begin = at_;
    const bool range = peek() == '~';
    if (!range && !sees("...")) {
        return true;
    }
    at_ += range ? 1 : 3;
    const bool plus = take("+");
    if (range ? plus != relative : plus && !relative) {
        return fail_at(begin, "both ends of a time are absolute, or both relative",
                       "as in: 1.0~1.2 or +0.1~+0.3");
    }
    Duration end;
    if (!seconds_value(end)) {
        return false;
    }
    if (end < out.start) {
        return fail_at(begin, "this time ends before it begins");
    }
    if (range) {
        out.kind = relative ? EventTime::Kind::relative_range : EventTime::Kind::absolute_range;
        out.end = end;
    } else {
        out.blocks_until = end;
    }
    return true;
}

bool Parser::syscall(Syscall& out) {
    const std::size_t begin = at_;
    out.name = take_word();
    if (!take("(")) {
        return fail(fmt::format("expected ( after the call {}, but here is {}", out.name, found()),
                    "a packet begins with < or >, a shell line stands in `backticks`");
    }
    if (!elements(out.arguments, ")", "the call's arguments", 0)) {
        return false;
    }
    skip_space();
    if (peek() != '=') {
        return fail(fmt::format("expected = and the call's result, but here is {}", found()),
                    fmt::format("as in: {} = 0", written(begin)));
    }
    ++at_;
    if (take("?")) {
        out.result.at = here();
    } else if (!expression(out.result)) {
        return false;
    }
    out.error = take_word();
    if (!out.error.empty() && out.error.front() != 'E') {
        return fail_at(
            at_ - out.error.size(),
            fmt::format("expected an errno such as EAGAIN, or the next event's time, but "
                        "here is \"{}\"",
                        out.error));
    }
    skip_space();
    return peek() != '(' || note(out.note);
}

bool Parser::note(std::string& out) {
    const std::size_t begin = at_;
    unsigned open = 0;
    for (; !at_end() && peek() != '\n'; ++at_) {
        open += peek() == '(' ? 1u : 0u;
        if (peek() == ')' && --open == 0) {
            out = trimmed(text_.substr(begin + 1, at_ - begin - 1));
            ++at_;
            return true;
        }
    }
    return fail_at(begin, "this note is not closed: a ) is missing on the line");
}

bool Parser::command(Command& out) {
    out.at = here();
    if (peek() == '"') {
        return string_literal(out.text);
    }
    // Between backticks everything is the shell's.
    const std::size_t begin = at_++;
    const std::size_t end = text_.find('`', at_);
    if (end == std::string_view::npos) {
        return fail_at(begin, "this command is never closed", "it ends at the next `");
    }
    out.text = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
}

bool Parser::code(Code& out) {
    const std::size_t begin = at_;
    at_ += 2;
    out.at = here();
    const std::size_t end = text_.find("}%", at_);
    if (end == std::string_view::npos) {
        return fail_at(begin, "this code section is never closed", "it ends at the next }%");
    }
    out.text = text_.substr(at_, end - at_);
    at_ = end + 2;
    return true;
}

Result<Script, Trouble> parse_script(std::string_view file, std::string_view text,
                                     const Defines& defines) {
    auto source = Source::prepare(file, text, defines);
    if (!source) {
        return std::unexpected(std::move(source.error()));
    }
    Parser parser(*source);
    Script script;
    if (!parser.script(script)) {
        return std::unexpected(parser.take_trouble());
    }
    return script;
}

}  // namespace runnel::drill
