#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/code_lexer.hpp"
#include "runnel/drill/symbols.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

using Token = CodeToken::Kind;
using Kind = CodeExpression::Kind;

constexpr std::size_t kMaxOperators = 1000;  ///< of one statement

/// Python's words that begin what Runnel has not.
constexpr std::string_view kForeign[] = {"for",    "while", "def",  "class",    "import", "from",
                                         "return", "try",   "with", "raise",    "lambda", "global",
                                         "yield",  "del",   "exec", "nonlocal", "async",  "await"};
constexpr std::string_view kReserved[] = {"and", "or",   "not",  "in",     "is",
                                          "if",  "else", "elif", "assert", "pass"};
constexpr std::string_view kFunctions[] = {"abs", "min",   "max",   "int",
                                           "str", "float", "round", "bool"};

template <std::size_t N>
bool among(const std::string_view (&words)[N], std::string_view word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

/// Binary operators by strength, the weakest first; `and`, `or`, `not` and comparisons stand above them.
constexpr std::string_view kLevels[][4] = {{"|"},        {"^"},      {"&"},
                                           {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%"}};

class CodeParser {
public:
    CodeParser(const Code& code, std::vector<CodeToken> tokens)
        : text_(code.text), tokens_(std::move(tokens)) {}

    bool block(std::vector<CodeStatement>& out, bool nested);
    [[nodiscard]] Trouble take_trouble() { return std::move(*trouble_); }

private:
    [[nodiscard]] const CodeToken& next() const { return tokens_[at_]; }
    bool take(std::string_view word) {
        if (!next().is(word)) {
            return false;
        }
        ++at_;
        return true;
    }
    bool fail(std::string message, std::string hint = {},
              Trouble::Kind kind = Trouble::Kind::wrong) {
        if (!trouble_) {
            trouble_ = code_trouble(next().at, std::move(message), std::move(hint), kind);
        }
        return false;
    }
    bool foreign(std::string what) { return fail(std::move(what), {}, Trouble::Kind::unsupported); }
    [[nodiscard]] std::string found() const;
    bool expect(std::string_view word, std::string_view where) {
        return take(word) ||
               fail(fmt::format("expected {} {}, but here is {}", word, where, found()));
    }

    bool simple_line(std::vector<CodeStatement>& out);
    bool simple(CodeStatement& out);
    bool check(CodeStatement& out);
    bool print(CodeStatement& out);
    bool assignment(CodeStatement& out, bool& was);
    bool choice(CodeStatement& out);
    bool body(std::vector<CodeStatement>& out);

    bool expression(CodeExpression& out);
    bool begin_binary(CodeExpression& out, CodeExpression& left);
    bool either(CodeExpression& out, bool any);
    bool negation(CodeExpression& out);
    bool comparison(CodeExpression& out);
    bool comparison_op(std::string& out);
    bool binary(CodeExpression& out, std::size_t level);
    bool unary(CodeExpression& out);
    bool power(CodeExpression& out);
    bool atom(CodeExpression& out);
    bool named(CodeExpression& out);
    bool bracket(CodeExpression& out);
    bool list(std::vector<CodeExpression>& out, std::string_view close, bool& comma);
    /// A step down; every recursion passes through one.
    struct Deeper {
        explicit Deeper(unsigned& count) : depth(count) { ++depth; }
        ~Deeper() { --depth; }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        unsigned& depth;
    };
    bool too_deep() {
        return depth_ > kMaxNesting &&
               !fail(fmt::format("code is nested more than {} deep", kMaxNesting));
    }

    std::string_view text_;
    std::vector<CodeToken> tokens_;
    std::size_t at_ = 0;
    std::size_t statements_ = 0;
    std::size_t operators_ = 0;
    unsigned depth_ = 0;
    std::optional<Trouble> trouble_;
};

std::string CodeParser::found() const {
    switch (next().kind) {
        case Token::end:
        case Token::dedent: return "the end";
        case Token::line_end: return "the line's end";
        case Token::indent: return "an indented line";
        case Token::number: return fmt::format("{}", code_text(next().value));
        default: return fmt::format("\"{}\"", next().text);
    }
}

bool CodeParser::block(std::vector<CodeStatement>& out, bool nested) {
    const Deeper deeper(depth_);
    if (too_deep()) {
        return false;
    }
    while (!next().is(Token::end) && !next().is(Token::dedent)) {
        if (next().is(Token::indent)) {
            return fail("this line is indented, and nothing above begins a block");
        }
        if (next().is("if")) {
            if (!choice(out.emplace_back())) {
                return false;
            }
        } else if (!simple_line(out)) {
            return false;
        }
    }
    return nested || next().is(Token::end) || fail("this line's indentation fits no line above");
}

bool CodeParser::simple_line(std::vector<CodeStatement>& out) {
    do {
        if (next().is(Token::line_end)) {
            break;
        }
        if (++statements_ > kMaxCodeStatements) {
            return fail(fmt::format("a section has at most {} statements", kMaxCodeStatements));
        }
        if (!simple(out.emplace_back())) {
            return false;
        }
    } while (take(";"));
    if (!next().is(Token::line_end)) {
        return fail(fmt::format("expected the statement's end, but here is {}", found()));
    }
    ++at_;
    return true;
}

bool CodeParser::simple(CodeStatement& out) {
    out.at = next().at;
    operators_ = 0;
    if (next().is(Token::name) && among(kForeign, next().text)) {
        return foreign(fmt::format("Python's {} in a code section", next().text));
    }
    if (take("assert")) {
        return check(out);
    }
    if (next().is("print")) {
        return print(out);
    }
    if (take("pass")) {
        return true;
    }
    bool was = false;
    if (!assignment(out, was) || was) {
        return was;
    }
    out.kind = CodeStatement::Kind::evaluate;
    return expression(out.values.emplace_back());
}

bool CodeParser::check(CodeStatement& out) {
    out.kind = CodeStatement::Kind::check;
    const std::size_t begin = next().offset;
    if (!expression(out.values.emplace_back())) {
        return false;
    }
    out.text = trimmed(text_.substr(begin, next().offset - begin));
    return !take(",") || expression(out.values.emplace_back());
}

bool CodeParser::print(CodeStatement& out) {
    ++at_;
    out.kind = CodeStatement::Kind::print;
    bool comma = false;
    if (take("(")) {
        if (!list(out.values, ")", comma)) {
            return false;
        }
        return next().is(Token::line_end) || next().is(";") ||
               foreign("a print that goes on after its parentheses");
    }
    if (next().is(Token::line_end) || next().is(";")) {
        return true;
    }
    do {  // Python 2
        if (!expression(out.values.emplace_back())) {
            return false;
        }
    } while (take(",") && !next().is(Token::line_end) && !next().is(";"));
    return true;
}

bool CodeParser::assignment(CodeStatement& out, bool& was) {
    const CodeToken& op = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
    if (!next().is(Token::name) || !op.is(Token::op) || !op.text.ends_with('=') || op.is("==") ||
        op.is("!=") || op.is("<=") || op.is(">=")) {
        return true;
    }
    if (among(kReserved, next().text)) {
        return fail(fmt::format("{} is no variable", next().text));
    }
    was = true;
    out.kind = CodeStatement::Kind::assign;
    out.name = next().text;
    CodeExpression old;
    old.kind = Kind::name;
    old.at = next().at;
    old.text = out.name;
    at_ += 2;
    CodeExpression value;
    if (!expression(value)) {
        was = false;
        return false;
    }
    if (next().is("=")) {
        was = false;
        return foreign("an assignment to several names");
    }
    if (op.text.size() == 1) {
        out.values.push_back(std::move(value));
        return true;
    }
    CodeExpression sum;  // a += b is a = a + b
    sum.kind = Kind::binary;
    sum.at = op.at;
    sum.text = op.text.substr(0, op.text.size() - 1);
    sum.parts.push_back(std::move(old));
    sum.parts.push_back(std::move(value));
    out.values.push_back(std::move(sum));
    return true;
}

bool CodeParser::choice(CodeStatement& out) {
    const Deeper deeper(depth_);
    if (too_deep()) {
        return false;
    }
    out.at = next().at;
    out.kind = CodeStatement::Kind::choice;
    if (++statements_ > kMaxCodeStatements) {
        return fail(fmt::format("a section has at most {} statements", kMaxCodeStatements));
    }
    ++at_;
    operators_ = 0;
    if (!expression(out.values.emplace_back()) || !expect(":", "after a condition") ||
        !body(out.body)) {
        return false;
    }
    if (next().is("elif")) {
        return choice(out.otherwise.emplace_back());
    }
    return !take("else") || (expect(":", "after else") && body(out.otherwise));
}

bool CodeParser::body(std::vector<CodeStatement>& out) {
    if (!next().is(Token::line_end)) {
        return simple_line(out);
    }
    ++at_;
    if (!next().is(Token::indent)) {
        return fail("after : comes a statement, or an indented block");
    }
    ++at_;
    if (!block(out, true)) {
        return false;
    }
    at_ += next().is(Token::dedent) ? 1u : 0u;
    return true;
}

bool CodeParser::expression(CodeExpression& out) {
    const Deeper deeper(depth_);
    if (too_deep() || !either(out, true)) {
        return false;
    }
    if (!next().is("if")) {
        return true;
    }
    CodeExpression made;
    made.kind = Kind::choice;
    made.at = next().at;
    ++at_;
    made.parts.resize(3);
    made.parts[1] = std::move(out);
    if (!either(made.parts[0], true) || !expect("else", "in a if b else c") ||
        !expression(made.parts[2])) {
        return false;
    }
    out = std::move(made);
    return true;
}

/// Takes an operator whose left side is `left`. Trees lean to the left without a limit of nesting: so they are counted.
bool CodeParser::begin_binary(CodeExpression& out, CodeExpression& left) {
    if (++operators_ > kMaxOperators) {
        return fail(fmt::format("a statement has at most {} operators", kMaxOperators));
    }
    out.kind = Kind::binary;
    out.at = next().at;
    out.text = next().text;
    ++at_;
    out.parts.resize(2);
    out.parts[0] = std::move(left);
    return true;
}

bool CodeParser::either(CodeExpression& out, bool any) {
    const std::string_view word = any ? "or" : "and";
    if (!(any ? either(out, false) : negation(out))) {
        return false;
    }
    while (next().is(word)) {
        CodeExpression made;
        if (!begin_binary(made, out)) {
            return false;
        }
        if (!(any ? either(made.parts[1], false) : negation(made.parts[1]))) {
            return false;
        }
        out = std::move(made);
    }
    return true;
}

bool CodeParser::negation(CodeExpression& out) {
    if (!next().is("not")) {
        return comparison(out);
    }
    const Deeper deeper(depth_);
    if (too_deep()) {
        return false;
    }
    out.kind = Kind::unary;
    out.at = next().at;
    out.text = "not";
    ++at_;
    return negation(out.parts.emplace_back());
}

bool CodeParser::comparison_op(std::string& out) {
    static constexpr std::string_view kOps[] = {"==", "!=", "<", "<=", ">", ">=", "in", "is"};
    if (next().is("not") && tokens_[at_ + 1].is("in")) {
        at_ += 2;
        out = "not in";
        return true;
    }
    if ((!next().is(Token::op) && !next().is(Token::name)) || !among(kOps, next().text)) {
        return false;
    }
    out = next().text;
    ++at_;
    if (out == "is") {
        out = take("not") ? "!=" : "==";
    }
    return true;
}

bool CodeParser::comparison(CodeExpression& out) {
    CodeExpression first;
    if (!binary(first, 0)) {
        return false;
    }
    std::string op;
    if (!comparison_op(op)) {
        out = std::move(first);
        return true;
    }
    out.kind = Kind::comparison;
    out.at = first.at;
    out.parts.push_back(std::move(first));
    do {
        out.ops.push_back(op);
        if (!binary(out.parts.emplace_back(), 0)) {
            return false;
        }
    } while (comparison_op(op));
    return true;
}

bool CodeParser::binary(CodeExpression& out, std::size_t level) {
    if (level == std::size(kLevels)) {
        return unary(out);
    }
    if (!binary(out, level + 1)) {
        return false;
    }
    while (next().is(Token::op) && among(kLevels[level], next().text)) {
        CodeExpression made;
        if (!begin_binary(made, out)) {
            return false;
        }
        if (!binary(made.parts[1], level + 1)) {
            return false;
        }
        out = std::move(made);
    }
    return true;
}

bool CodeParser::unary(CodeExpression& out) {
    if (!next().is("-") && !next().is("+") && !next().is("~")) {
        return power(out);
    }
    const Deeper deeper(depth_);
    if (too_deep()) {
        return false;
    }
    out.kind = Kind::unary;
    out.at = next().at;
    out.text = next().text;
    ++at_;
    return unary(out.parts.emplace_back());
}

bool CodeParser::power(CodeExpression& out) {
    if (!atom(out)) {
        return false;
    }
    if (!next().is("**")) {
        return true;
    }
    const Deeper deeper(depth_);
    if (too_deep()) {
        return false;
    }
    CodeExpression made;
    made.kind = Kind::binary;
    made.at = next().at;
    made.text = "**";
    ++at_;
    made.parts.push_back(std::move(out));
    if (!unary(made.parts.emplace_back())) {
        return false;
    }
    out = std::move(made);
    return true;
}

bool CodeParser::atom(CodeExpression& out) {
    out.at = next().at;
    if (next().is(Token::number) || next().is(Token::text)) {
        out.value = next().value;
        ++at_;
        while (std::holds_alternative<std::string>(out.value) && next().is(Token::text)) {
            std::get<std::string>(out.value) += next().text;  // "a" "b" is "ab"
            ++at_;
        }
        return true;
    }
    if (next().is(Token::name) && !among(kReserved, next().text)) {
        return named(out);
    }
    if (next().is("(") || next().is("[")) {
        return bracket(out);
    }
    return fail(fmt::format("expected a value, but here is {}", found()));
}

bool CodeParser::named(CodeExpression& out) {
    if (among(kForeign, next().text)) {
        return foreign(fmt::format("Python's {} in a code section", next().text));
    }
    const std::string name = next().text;
    ++at_;
    if (name == "True" || name == "False") {
        out.value = std::int64_t{name == "True"};
        return true;
    }
    if (name == "None") {
        return true;
    }
    out.text = name;
    if (!next().is("(")) {
        out.kind = Kind::name;
        return !next().is("[") || foreign("an element of a list");
    }
    if (!among(kFunctions, name)) {
        return foreign(fmt::format("the function {}() in a code section", name));
    }
    ++at_;
    out.kind = Kind::call;
    bool comma = false;
    return list(out.parts, ")", comma);
}

bool CodeParser::bracket(CodeExpression& out) {
    const Position at = next().at;
    const bool square = next().is("[");
    ++at_;
    std::vector<CodeExpression> elements;
    bool comma = false;
    if (!list(elements, square ? "]" : ")", comma)) {
        return false;
    }
    if (!square && elements.size() == 1 && !comma) {
        out = std::move(elements.front());
        return true;
    }
    out.kind = Kind::sequence;
    out.at = at;
    out.parts = std::move(elements);
    return true;
}

bool CodeParser::list(std::vector<CodeExpression>& out, std::string_view close, bool& comma) {
    while (!take(close)) {
        if (!expression(out.emplace_back())) {
            return false;
        }
        if (next().is("=")) {
            return foreign("an argument with a name");
        }
        if (take(close)) {
            return true;
        }
        if (next().is("for")) {
            return foreign("Python's for in a code section");
        }
        if (!expect(",", fmt::format("or {}", close))) {
            return false;
        }
        comma = true;
    }
    return true;
}

void collect(const CodeExpression& from, const std::vector<std::string>& own,
             std::vector<std::string>& out) {
    if (from.kind == Kind::name && !symbol_value(from.text) &&
        std::find(own.begin(), own.end(), from.text) == own.end() &&
        std::find(out.begin(), out.end(), from.text) == out.end()) {
        out.push_back(from.text);
    }
    for (const CodeExpression& part : from.parts) {
        collect(part, own, out);
    }
}

void collect(const std::vector<CodeStatement>& from, std::vector<std::string>& own,
             std::vector<std::string>& out) {
    for (const CodeStatement& statement : from) {
        for (const CodeExpression& value : statement.values) {
            collect(value, own, out);
        }
        if (statement.kind == CodeStatement::Kind::assign) {
            own.push_back(statement.name);
        }
        collect(statement.body, own, out);
        collect(statement.otherwise, own, out);
    }
}

}  // namespace

Result<CodeProgram, Trouble> parse_code(std::string_view file, const Code& code) {
    auto tokens = code_tokens(code);
    CodeProgram program;
    program.file = file;
    std::optional<Trouble> trouble;
    if (tokens) {
        CodeParser parser(code, std::move(*tokens));
        if (parser.block(program.statements, false)) {
            return program;
        }
        trouble = parser.take_trouble();
    } else {
        trouble = std::move(tokens.error());
    }
    trouble->file = file;
    return std::unexpected(std::move(*trouble));
}

std::vector<std::string> free_names(const CodeProgram& program) {
    std::vector<std::string> own, out;
    collect(program.statements, own, out);
    return out;
}

}  // namespace runnel::drill
