#include "runnel/drill/code_value.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runnel/drill/code_lexer.hpp"

namespace runnel::drill {
namespace {

std::unexpected<Trouble> wrong(const CodeExpression& where, std::string message) {
    return std::unexpected(code_trouble(where.at, std::move(message)));
}
std::unexpected<Trouble> too_large(const CodeExpression& where) {
    return std::unexpected(
        code_trouble(where.at, "a whole number beyond 64 bits", {}, Trouble::Kind::unsupported));
}

bool is_number(const CodeValue& value) {
    return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
}
double real(const CodeValue& value) {
    const auto* whole = std::get_if<std::int64_t>(&value);
    return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
}
bool both_whole(const CodeValue& a, const CodeValue& b) {
    return std::holds_alternative<std::int64_t>(a) && std::holds_alternative<std::int64_t>(b);
}

CodeResult power(const CodeExpression& where, std::int64_t base, std::int64_t exponent) {
    if (exponent < 0) {
        return std::pow(static_cast<double>(base), static_cast<double>(exponent));
    }
    if (base == 0 || base == 1 || base == -1) {
        const bool odd = exponent % 2 != 0;
        return base == 0 ? std::int64_t{exponent == 0} : (odd ? base : std::int64_t{1});
    }
    std::int64_t value = 1;
    for (; exponent > 0; --exponent) {
        if (__builtin_mul_overflow(value, base, &value)) {
            return too_large(where);
        }
    }
    return value;
}

CodeResult shifted(const CodeExpression& op, std::int64_t a, std::int64_t b) {
    if (b < 0) {
        return wrong(op, "a shift by a negative number");
    }
    if (op.text == ">>") {
        return a >> std::min<std::int64_t>(b, 63);
    }
    std::int64_t value = a;
    for (std::int64_t i = 0; i < b && value != 0; ++i) {
        if (__builtin_mul_overflow(value, std::int64_t{2}, &value)) {
            return too_large(op);
        }
    }
    return value;
}

/// Python rounds quotients down, and remainders have the divisor's sign.
CodeResult divided(const CodeExpression& op, std::int64_t a, std::int64_t b) {
    if (b == 0) {
        return wrong(op, "a division by zero");
    }
    if (op.text == "/") {
        return static_cast<double>(a) / static_cast<double>(b);
    }
    if (b == -1) {  // the least number has no negative
        std::int64_t value = 0;
        if (op.text == "//" && __builtin_sub_overflow(std::int64_t{0}, a, &value)) {
            return too_large(op);
        }
        return value;
    }
    const std::int64_t remainder = a % b;
    const bool down = remainder != 0 && (remainder < 0) != (b < 0);
    return op.text == "//" ? a / b - (down ? 1 : 0) : remainder + (down ? b : 0);
}

CodeResult whole(const CodeExpression& op, std::int64_t a, std::int64_t b) {
    std::int64_t value = 0;
    bool overflow = false;
    switch (op.text.front()) {
        case '+': overflow = __builtin_add_overflow(a, b, &value); break;
        case '-': overflow = __builtin_sub_overflow(a, b, &value); break;
        case '&': return a & b;
        case '|': return a | b;
        case '^': return a ^ b;
        case '<':
        case '>': return shifted(op, a, b);
        case '*':
            if (op.text == "**") {
                return power(op, a, b);
            }
            overflow = __builtin_mul_overflow(a, b, &value);
            break;
        default: return divided(op, a, b);
    }
    return overflow ? CodeResult(too_large(op)) : CodeResult(value);
}

CodeResult reals(const CodeExpression& op, double a, double b) {
    const std::string& name = op.text;
    if (name == "+") {
        return a + b;
    }
    if (name == "-") {
        return a - b;
    }
    if (name == "*") {
        return a * b;
    }
    if (name == "**") {
        return std::pow(a, b);
    }
    if (name == "/" || name == "//" || name == "%") {
        if (b == 0) {
            return wrong(op, "a division by zero");
        }
        const double down = std::floor(a / b);
        return name == "/" ? a / b : name == "//" ? down : a - b * down;
    }
    return wrong(op, fmt::format("{} is for whole numbers", name));
}

CodeResult to_whole(const CodeExpression& where, double value) {
    // 2^63 itself is a double; what lies outside has no whole number here.
    if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0)) {
        return too_large(where);
    }
    return static_cast<std::int64_t>(value);
}

CodeResult converted(const CodeExpression& call, const CodeValue& value) {
    const std::string& name = call.text;
    if (name == "str") {
        return code_text(value);
    }
    if (name == "bool") {
        return std::int64_t{code_true(value)};
    }
    if (!is_number(value)) {
        return wrong(call, fmt::format("{}() wants a number", name));
    }
    const auto* number = std::get_if<std::int64_t>(&value);
    if (name == "float") {
        return real(value);
    }
    if (name == "abs") {
        if (number != nullptr && *number == std::numeric_limits<std::int64_t>::min()) {
            return too_large(call);
        }
        return number != nullptr ? CodeValue(*number < 0 ? -*number : *number)
                                 : CodeValue(std::fabs(real(value)));
    }
    if (number != nullptr) {
        return value;
    }
    if (name == "int") {
        return to_whole(call, std::trunc(real(value)));
    }
    // Python 3 rounds halves to even.
    const double below = std::floor(real(value));
    const double rest = real(value) - below;
    const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2) != 0);
    return to_whole(call, below + (up ? 1 : 0));
}

}  // namespace

bool code_true(const CodeValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        return !text->empty();
    }
    return is_number(value) && real(value) != 0;
}

std::string code_text(const CodeValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        return *text;
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return fmt::format("{}", *number);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        std::string out = fmt::format("{}", *number);
        const bool marked = out.find_first_of(".en") != std::string::npos;  // also inf and nan
        return marked ? out : out + ".0";
    }
    return "None";
}

bool code_equal(const CodeValue& a, const CodeValue& b) {
    if (is_number(a) && is_number(b)) {
        return both_whole(a, b) ? a == b : real(a) == real(b);
    }
    return a == b;
}

CodeResult code_compare(const CodeExpression& where, std::string_view op, const CodeValue& a,
                        const CodeValue& b) {
    if (op == "==" || op == "!=") {
        return std::int64_t{code_equal(a, b) == (op == "==")};
    }
    int order = 0;  // of a to b
    if (is_number(a) && is_number(b)) {
        if (both_whole(a, b)) {
            const auto x = std::get<std::int64_t>(a), y = std::get<std::int64_t>(b);
            order = x < y ? -1 : x > y ? 1 : 0;
        } else if (std::isnan(real(a)) || std::isnan(real(b))) {
            return std::int64_t{0};
        } else {
            order = real(a) < real(b) ? -1 : real(a) > real(b) ? 1 : 0;
        }
    } else if (a.index() == b.index() && std::holds_alternative<std::string>(a)) {
        order = std::get<std::string>(a).compare(std::get<std::string>(b));
    } else {
        return wrong(where, fmt::format("{} and {} have no order", code_text(a), code_text(b)));
    }
    const bool holds = op == "<"    ? order < 0
                       : op == "<=" ? order <= 0
                       : op == ">"  ? order > 0
                                    : order >= 0;
    return std::int64_t{holds};
}

CodeResult code_unary(const CodeExpression& op, const CodeValue& value) {
    if (op.text == "not") {
        return std::int64_t{!code_true(value)};
    }
    if (!is_number(value)) {
        return wrong(op, fmt::format("{} wants a number", op.text));
    }
    if (op.text == "+") {
        return value;
    }
    const auto* number = std::get_if<std::int64_t>(&value);
    if (op.text == "~") {
        return number == nullptr ? CodeResult(wrong(op, "~ wants a whole number"))
                                 : CodeResult(~*number);
    }
    if (number == nullptr) {
        return -real(value);
    }
    std::int64_t negative = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, *number, &negative)) {
        return too_large(op);
    }
    return negative;
}

CodeResult code_binary(const CodeExpression& op, const CodeValue& a, const CodeValue& b) {
    if (both_whole(a, b)) {
        return whole(op, std::get<std::int64_t>(a), std::get<std::int64_t>(b));
    }
    if (is_number(a) && is_number(b)) {
        return reals(op, real(a), real(b));
    }
    const auto* left = std::get_if<std::string>(&a);
    const auto* right = std::get_if<std::string>(&b);
    if (op.text == "+" && left != nullptr && right != nullptr) {
        if (left->size() + right->size() > kMaxCodeText) {
            return wrong(op, fmt::format("a string has at most {} bytes", kMaxCodeText));
        }
        return *left + *right;
    }
    return wrong(op, fmt::format("{} does not take {} and {}", op.text, code_text(a).substr(0, 40),
                                 code_text(b).substr(0, 40)));
}

CodeResult code_call(const CodeExpression& call, const std::vector<CodeValue>& values) {
    const bool several = call.text == "min" || call.text == "max";
    if (several ? values.size() < 2 : values.size() != 1) {
        return std::unexpected(
            code_trouble(call.at, fmt::format("{}() with {} arguments", call.text, values.size()),
                         {}, Trouble::Kind::unsupported));
    }
    if (!several) {
        return converted(call, values.front());
    }
    CodeValue best = values.front();
    for (const CodeValue& value : values) {
        const CodeResult better = code_compare(call, call.text == "min" ? "<" : ">", value, best);
        if (!better) {
            return better;
        }
        if (code_true(*better)) {
            best = value;
        }
    }
    return best;
}

CodeResult code_format(const CodeExpression& where, std::string_view pattern,
                       const std::vector<CodeValue>& values) {
    std::string out;
    std::size_t used = 0;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            out.push_back(pattern[i]);
            continue;
        }
        const char kind = ++i < pattern.size() ? pattern[i] : '\0';
        if (kind == '%') {
            out.push_back('%');
            continue;
        }
        if (std::string_view("diuxXsfg").find(kind) == std::string_view::npos || kind == '\0') {
            return std::unexpected(
                code_trouble(where.at, "this format after %", {}, Trouble::Kind::unsupported));
        }
        if (used == values.size()) {
            return wrong(where, "there are fewer values than the format has places");
        }
        const CodeValue& value = values[used++];
        if (kind != 's' && !is_number(value)) {
            return wrong(where, fmt::format("%{} wants a number", kind));
        }
        if (kind == 's') {
            out += code_text(value);
        } else if (kind == 'f' || kind == 'g') {
            out +=
                kind == 'f' ? fmt::format("{:.6f}", real(value)) : fmt::format("{:g}", real(value));
        } else {
            const CodeResult number = std::holds_alternative<double>(value)
                                          ? to_whole(where, std::trunc(real(value)))
                                          : CodeResult(value);
            if (!number) {
                return number;
            }
            const auto shown = std::get<std::int64_t>(*number);
            out += kind == 'x'   ? fmt::format("{:x}", shown)
                   : kind == 'X' ? fmt::format("{:X}", shown)
                                 : fmt::format("{}", shown);
        }
        if (out.size() > kMaxCodeText) {
            return wrong(where, fmt::format("a string has at most {} bytes", kMaxCodeText));
        }
    }
    return used == values.size()
               ? CodeResult(std::move(out))
               : CodeResult(wrong(where, "there are more values than the format has places"));
}

}  // namespace runnel::drill
