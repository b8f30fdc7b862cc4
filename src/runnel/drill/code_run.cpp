#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runnel/drill/code_lexer.hpp"
#include "runnel/drill/code_value.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {
namespace {

using Kind = CodeExpression::Kind;

class Runner {
public:
    Runner(const CodeProgram& program, CodeContext& context)
        : program_(program), context_(context) {}

    Result<void, Trouble> run() {
        for (const CodeStatement& statement : program_.statements) {
            if (auto done = execute(statement); !done) {
                return done;
            }
        }
        return {};
    }

private:
    Result<void, Trouble> execute(const CodeStatement& statement);
    Result<void, Trouble> check(const CodeStatement& statement);
    Result<void, Trouble> print(const CodeStatement& statement);
    Result<void, Trouble> all(const std::vector<CodeStatement>& statements);

    CodeResult evaluate(const CodeExpression& expression);
    CodeResult name(const CodeExpression& expression);
    CodeResult logical(const CodeExpression& expression);
    CodeResult comparison(const CodeExpression& expression);
    CodeResult contains(const CodeExpression& sequence, const CodeValue& value);
    CodeResult formatted(const CodeExpression& expression, const CodeValue& pattern);
    CodeResult call(const CodeExpression& expression);
    void describe(const CodeExpression& expression, std::vector<std::string>& seen,
                  std::string& out);

    const CodeProgram& program_;
    CodeContext& context_;
};

Result<void, Trouble> Runner::all(const std::vector<CodeStatement>& statements) {
    for (const CodeStatement& statement : statements) {
        if (auto done = execute(statement); !done) {
            return done;
        }
    }
    return {};
}

Result<void, Trouble> Runner::execute(const CodeStatement& statement) {
    using What = CodeStatement::Kind;
    switch (statement.kind) {
        case What::nothing: return {};
        case What::check: return check(statement);
        case What::print: return print(statement);
        default: break;
    }
    CodeResult value = evaluate(statement.values.front());
    if (!value) {
        return std::unexpected(std::move(value.error()));
    }
    if (statement.kind == What::assign) {
        context_.variables[statement.name] = std::move(*value);
    } else if (statement.kind == What::choice) {
        return all(code_true(*value) ? statement.body : statement.otherwise);
    }
    return {};
}

Result<void, Trouble> Runner::check(const CodeStatement& statement) {
    const CodeResult value = evaluate(statement.values.front());
    if (!value) {
        return std::unexpected(value.error());
    }
    if (code_true(*value)) {
        return {};
    }
    std::string message = fmt::format("the assertion fails: {}", statement.text);
    std::vector<std::string> seen;
    std::string values;
    describe(statement.values.front(), seen, values);
    if (!values.empty()) {
        message += fmt::format(", but {}", values);
    }
    std::string note;
    if (statement.values.size() > 1) {
        const CodeResult said = evaluate(statement.values[1]);
        if (!said) {
            return std::unexpected(said.error());
        }
        note = code_text(*said);
    }
    return std::unexpected(code_trouble(statement.at, std::move(message), std::move(note)));
}

/// "tcpi_snd_cwnd is 9, x is 3" for the names of an expression, those that are constants left out.
void Runner::describe(const CodeExpression& expression, std::vector<std::string>& seen,
                      std::string& out) {
    const bool known = std::find(seen.begin(), seen.end(), expression.text) != seen.end();
    if (expression.kind == Kind::name && !known && out.size() < 1000) {
        seen.push_back(expression.text);
        const bool constant = context_.variables.count(expression.text) == 0 &&
                              symbol_value(expression.text).has_value();
        const CodeResult value = evaluate(expression);
        if (value && !constant) {
            out += fmt::format("{}{} is {}", out.empty() ? "" : ", ", expression.text,
                               code_text(*value));
        }
    }
    for (const CodeExpression& part : expression.parts) {
        describe(part, seen, out);
    }
}

Result<void, Trouble> Runner::print(const CodeStatement& statement) {
    std::string line;
    for (const CodeExpression& part : statement.values) {
        const CodeResult value = evaluate(part);
        if (!value) {
            return std::unexpected(value.error());
        }
        line += fmt::format("{}{}", line.empty() ? "" : " ", code_text(*value));
    }
    if (context_.printed.size() + line.size() > kMaxCodeText) {
        return std::unexpected(code_trouble(
            statement.at, fmt::format("code sections print at most {} bytes", kMaxCodeText)));
    }
    context_.printed += line + "\n";
    return {};
}

CodeResult Runner::evaluate(const CodeExpression& expression) {
    switch (expression.kind) {
        case Kind::constant: return expression.value;
        case Kind::name: return name(expression);
        case Kind::comparison: return comparison(expression);
        case Kind::call: return call(expression);
        case Kind::sequence:
            return std::unexpected(
                code_trouble(expression.at, "a list here", {}, Trouble::Kind::unsupported));
        case Kind::choice: {
            const CodeResult condition = evaluate(expression.parts[0]);
            return condition ? evaluate(expression.parts[code_true(*condition) ? 1 : 2])
                             : condition;
        }
        case Kind::unary: {
            const CodeResult value = evaluate(expression.parts[0]);
            return value ? code_unary(expression, *value) : value;
        }
        case Kind::binary: break;
    }
    if (expression.text == "and" || expression.text == "or") {
        return logical(expression);
    }
    const CodeResult left = evaluate(expression.parts[0]);
    if (!left) {
        return left;
    }
    if (expression.text == "%" && std::holds_alternative<std::string>(*left)) {
        return formatted(expression, *left);
    }
    const CodeResult right = evaluate(expression.parts[1]);
    return right ? code_binary(expression, *left, *right) : right;
}

CodeResult Runner::name(const CodeExpression& expression) {
    if (const auto own = context_.variables.find(expression.text);
        own != context_.variables.end()) {
        return own->second;
    }
    if (context_.lookup) {
        if (auto value = context_.lookup(expression.text)) {
            return *std::move(value);
        }
    }
    if (const auto value = symbol_value(expression.text)) {
        return *value;
    }
    const std::string_view meant = nearest_symbol(expression.text);
    return std::unexpected(code_trouble(
        expression.at, fmt::format("nothing is known of the name {}", expression.text),
        meant.empty() ? "" : fmt::format("did you mean {}?", meant), Trouble::Kind::unsupported));
}

CodeResult Runner::logical(const CodeExpression& expression) {
    // As in Python the last value looked at is the result.
    CodeResult left = evaluate(expression.parts[0]);
    if (!left || code_true(*left) == (expression.text == "or")) {
        return left;
    }
    return evaluate(expression.parts[1]);
}

CodeResult Runner::contains(const CodeExpression& sequence, const CodeValue& value) {
    if (sequence.kind != Kind::sequence) {
        const CodeResult whole = evaluate(sequence);
        if (!whole) {
            return whole;
        }
        const auto* text = std::get_if<std::string>(&*whole);
        const auto* part = std::get_if<std::string>(&value);
        if (text == nullptr || part == nullptr) {
            return std::unexpected(code_trouble(sequence.at, "right of `in` is a list or a string",
                                                "as in: x in (1, 2)"));
        }
        return std::int64_t{text->find(*part) != std::string::npos};
    }
    for (const CodeExpression& part : sequence.parts) {
        const CodeResult one = evaluate(part);
        if (!one) {
            return one;
        }
        if (code_equal(value, *one)) {
            return std::int64_t{1};
        }
    }
    return std::int64_t{0};
}

CodeResult Runner::comparison(const CodeExpression& expression) {
    CodeResult left = evaluate(expression.parts[0]);
    for (std::size_t i = 0; left && i < expression.ops.size(); ++i) {
        const std::string& op = expression.ops[i];
        const CodeExpression& next = expression.parts[i + 1];
        if (op == "in" || op == "not in") {
            const CodeResult found = contains(next, *left);
            if (!found || code_true(*found) != (op == "in")) {
                return found ? CodeResult(std::int64_t{0}) : found;
            }
            if (i + 1 < expression.ops.size()) {
                return std::unexpected(code_trouble(next.at, "a comparison that goes on after `in`",
                                                    {}, Trouble::Kind::unsupported));
            }
            return std::int64_t{1};
        }
        CodeResult right = evaluate(next);
        if (!right) {
            return right;
        }
        const CodeResult holds = code_compare(next, op, *left, *right);
        if (!holds || !code_true(*holds)) {
            return holds;
        }
        left = std::move(right);
    }
    return left ? CodeResult(std::int64_t{1}) : left;
}

CodeResult Runner::formatted(const CodeExpression& expression, const CodeValue& pattern) {
    std::vector<CodeValue> values;
    const CodeExpression& right = expression.parts[1];
    const bool several = right.kind == Kind::sequence;
    for (std::size_t i = 0; i < (several ? right.parts.size() : 1); ++i) {
        CodeResult one = evaluate(several ? right.parts[i] : right);
        if (!one) {
            return one;
        }
        values.push_back(std::move(*one));
    }
    return code_format(expression, std::get<std::string>(pattern), values);
}

CodeResult Runner::call(const CodeExpression& expression) {
    std::vector<CodeValue> values;
    for (const CodeExpression& part : expression.parts) {
        CodeResult one = evaluate(part);
        if (!one) {
            return one;
        }
        values.push_back(std::move(*one));
    }
    return code_call(expression, values);
}

}  // namespace

Result<void, Trouble> run_code(const CodeProgram& program, CodeContext& context) {
    Result<void, Trouble> done = Runner(program, context).run();
    if (!done) {
        done.error().file = program.file;
    }
    return done;
}

}  // namespace runnel::drill
