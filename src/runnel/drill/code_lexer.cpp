#include "runnel/drill/code_lexer.hpp"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

using Kind = CodeToken::Kind;

/// Longer ones first.
constexpr std::string_view kOperators[] = {
    "**=", "//=", "<<=", ">>=", "==", "!=", "<=", ">=", "<<", ">>", "**", "//", "+=",
    "-=",  "*=",  "/=",  "%=",  "&=", "|=", "^=", "<",  ">",  "=",  "+",  "-",  "*",
    "/",   "%",   "&",   "|",   "^",  "~",  "(",  ")",  "[",  "]",  ",",  ":",  ";"};

class Lexer {
public:
    explicit Lexer(const Code& code) : code_(code), text_(code.text), line_(code.at.line) {
        // Columns of the first line count from where the section began in its file.
        line_begin_ = 0;
        first_column_ = code.at.column == 0 ? 1 : code.at.column;
    }

    Result<std::vector<CodeToken>, Trouble> run();

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    [[nodiscard]] Position here() const {
        const std::size_t column = at_ - line_begin_ + first_column_;
        return {line_, static_cast<std::uint32_t>(column)};
    }
    CodeToken& push(Kind kind) {
        CodeToken& made = tokens_.emplace_back();
        made.kind = kind;
        made.at = here();
        made.offset = at_;
        return made;
    }
    bool fail(std::string message, std::string hint = {},
              Trouble::Kind kind = Trouble::Kind::wrong) {
        trouble_ = code_trouble(here(), std::move(message), std::move(hint), kind);
        return false;
    }
    void new_line();
    bool indentation();
    bool token();
    bool number();
    bool string();
    bool op();

    const Code& code_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::uint32_t line_;
    std::size_t line_begin_ = 0;
    std::uint32_t first_column_ = 1;
    unsigned brackets_ = 0;
    bool fresh_ = true;      ///< at the beginning of a logical line
    bool base_open_ = true;  ///< the section's level is not known yet
    std::vector<std::size_t> indents_;
    std::vector<CodeToken> tokens_;
    std::optional<Trouble> trouble_;
};

void Lexer::new_line() {
    ++at_;
    ++line_;
    line_begin_ = at_;
    first_column_ = 1;
}

/// The depth of a line's first token. The first of all sets the level that the section stands at, wherever that is;
/// on the line of the %{ it says nothing of the level of the lines that follow: they set it anew.
bool Lexer::indentation() {
    const std::size_t depth = here().column;
    if (indents_.empty()) {
        indents_.push_back(depth);
        base_open_ = line_ == code_.at.line;
        return true;
    }
    if (base_open_ && indents_.size() == 1) {
        const bool block = tokens_.size() > 1 && tokens_[tokens_.size() - 2].is(":");
        indents_.front() = block ? 0 : depth;
        base_open_ = block;
    }
    if (depth > indents_.back()) {
        if (indents_.size() > kMaxNesting) {
            return fail(fmt::format("blocks are nested more than {} deep", kMaxNesting));
        }
        indents_.push_back(depth);
        push(Kind::indent);
        return true;
    }
    while (depth < indents_.back() && indents_.size() > 1) {
        indents_.pop_back();
        push(Kind::dedent);
    }
    if (base_open_ && indents_.size() == 1) {
        indents_.front() = depth;
        base_open_ = false;
    }
    return depth == indents_.back() || fail("this line's indentation fits no line above");
}

bool Lexer::number() {
    CodeToken& made = push(Kind::number);
    const std::size_t begin = at_;
    const bool hex = peek() == '0' && (peek(1) | 0x20) == 'x';
    at_ += hex ? 2 : 0;
    while (hex ? digit_value(peek()) >= 0 : is_digit(peek())) {
        ++at_;
    }
    bool whole = true;
    if (!hex && peek() == '.') {
        whole = false;
        for (++at_; is_digit(peek());) {
            ++at_;
        }
    }
    if (!hex && (peek() | 0x20) == 'e' &&
        (is_digit(peek(1)) || ((peek(1) == '-' || peek(1) == '+') && is_digit(peek(2))))) {
        whole = false;
        for (at_ += 2; is_digit(peek());) {
            ++at_;
        }
    }
    const std::string_view digits = text_.substr(begin, at_ - begin);
    const char* end = digits.data() + digits.size();
    std::uint64_t value = 0;
    const auto read = std::from_chars(digits.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
    if (whole && read.ec == std::errc{} && read.ptr == end) {
        made.value = code_number(value);
    } else {
        double real = 0;
        const auto parsed = std::from_chars(digits.data(), end, real);
        if (hex || parsed.ec != std::errc{} || parsed.ptr != end) {
            return fail("this is no number");
        }
        made.value = real;
    }
    if (peek() == 'L') {
        ++at_;  // Python 2's long
    }
    return !is_word(peek()) || fail(fmt::format("\"{}\" does not belong in a number", peek()));
}

bool Lexer::string() {
    CodeToken& made = push(Kind::text);
    const char quote = peek();
    if (peek(1) == quote && peek(2) == quote) {
        return fail("strings over several lines", {}, Trouble::Kind::unsupported);
    }
    std::string bytes;
    for (++at_; peek() != quote; ++at_) {
        if (at_ >= text_.size() || peek() == '\n') {
            return fail("this string is not closed on its line");
        }
        if (peek() != '\\') {
            bytes.push_back(peek());
            continue;
        }
        ++at_;
        switch (peek()) {
            case 'n': bytes.push_back('\n'); break;
            case 't': bytes.push_back('\t'); break;
            case '\\':
            case '\'':
            case '"': bytes.push_back(peek()); break;
            default: return fail("this escape in a string", {}, Trouble::Kind::unsupported);
        }
    }
    ++at_;
    made.value = bytes;
    made.text = std::move(bytes);
    return true;
}

bool Lexer::op() {
    for (const std::string_view candidate : kOperators) {
        if (!text_.substr(at_).starts_with(candidate)) {
            continue;
        }
        push(Kind::op).text = candidate;
        at_ += candidate.size();
        if (candidate == "(" || candidate == "[") {
            ++brackets_;
        } else if ((candidate == ")" || candidate == "]") && brackets_ > 0) {
            --brackets_;
        }
        return true;
    }
    const auto byte = static_cast<unsigned char>(peek());
    return fail(byte >= 0x20 && byte < 0x7f ? fmt::format("\"{}\" in a code section", peek())
                                            : fmt::format("the byte {:#x} in a code section", byte),
                {}, Trouble::Kind::unsupported);
}

bool Lexer::token() {
    if (fresh_ && !indentation()) {
        return false;
    }
    fresh_ = false;
    const char c = peek();
    if (is_word_start(c)) {
        const std::string_view word = leading_word(text_.substr(at_));
        push(Kind::name).text = word;
        at_ += word.size();
        const bool prefixed = peek() == '"' || peek() == '\'';
        return !prefixed || fail(fmt::format("strings that begin with {}", word), {},
                                 Trouble::Kind::unsupported);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
        return number();
    }
    return c == '"' || c == '\'' ? string() : op();
}

Result<std::vector<CodeToken>, Trouble> Lexer::run() {
    if (text_.size() > kMaxCodeBytes) {
        return std::unexpected(code_trouble(
            here(), fmt::format("a code section has at most {} bytes", kMaxCodeBytes)));
    }
    while (at_ < text_.size()) {
        const char c = peek();
        if (c == '\n') {
            if (brackets_ == 0 && !fresh_) {
                push(Kind::line_end);
                fresh_ = true;
            }
            new_line();
        } else if (c == '\\' && (peek(1) == '\n' || (peek(1) == '\r' && peek(2) == '\n'))) {
            at_ += peek(1) == '\r' ? 2u : 1u;
            new_line();
        } else if (is_space(c)) {
            ++at_;
        } else if (c == '#') {
            while (at_ < text_.size() && peek() != '\n') {
                ++at_;
            }
        } else if (!token()) {
            return std::unexpected(std::move(*trouble_));
        }
    }
    if (!fresh_) {
        push(Kind::line_end);
    }
    for (std::size_t i = 1; i < indents_.size(); ++i) {
        push(Kind::dedent);
    }
    push(Kind::end);
    return std::move(tokens_);
}

}  // namespace

CodeValue code_number(std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return static_cast<double>(value);
    }
    return static_cast<std::int64_t>(value);
}

Trouble code_trouble(Position at, std::string message, std::string hint, Trouble::Kind kind) {
    Trouble made;
    made.kind = kind;
    made.at = at;
    made.message = std::move(message);
    made.hint = std::move(hint);
    return made;
}

Result<std::vector<CodeToken>, Trouble> code_tokens(const Code& code) {
    return Lexer(code).run();
}

}  // namespace runnel::drill
