#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "runnel/drill/parser.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {

using Kind = Expression::Kind;

bool Parser::expression(Expression& out, unsigned depth) {
    if (depth > kMaxNesting) {
        return fail(fmt::format("brackets are nested more than {} deep", kMaxNesting));
    }
    skip_space();
    const Position begin = here();
    Expression first;
    if (!primary(first, depth)) {
        return false;
    }
    skip_space();
    if (peek() != '|') {
        out = std::move(first);
        return true;
    }
    out.kind = Kind::either;
    out.at = begin;
    out.parts.push_back(std::move(first));
    while (take("|")) {
        if (out.parts.size() == kMaxElements) {
            return fail(fmt::format("more than {} elements", kMaxElements));
        }
        if (!primary(out.parts.emplace_back(), depth)) {
            return false;
        }
    }
    return true;
}

bool Parser::primary(Expression& out, unsigned depth) {
    skip_space();
    out.at = here();
    const char c = peek();
    if (sees("...")) {
        at_ += 3;
        out.kind = Kind::ellipsis;
        return true;
    }
    if (is_word_start(c)) {
        return primary_word(out, depth);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1))) || (c == '-' && is_digit(peek(1)))) {
        return number_literal(out);
    }
    if (c == '"') {
        out.kind = Kind::string;
        do {  // "a" "b" is one string, as in C
            if (!string_literal(out.text)) {
                return false;
            }
            skip_space();
        } while (peek() == '"');
        return true;
    }
    if (c == '\'') {
        return character(out);
    }
    if (c == '{') {
        return structure(out, depth);
    }
    if (c == '[') {
        ++at_;
        out.kind = Kind::array;
        return elements(out.parts, "]", "this array", depth + 1);
    }
    if (c == '(') {
        ++at_;
        return expression(out, depth + 1) && expect(")", "after what ( opens");
    }
    if ((c == '-' || c == '&') && depth < kMaxNesting) {
        ++at_;
        out.kind = c == '-' ? Kind::negative : Kind::address_of;
        return primary(out.parts.emplace_back(), depth + 1);
    }
    return fail(fmt::format("expected a value, but here is {}", found()),
                "a value is a number, a NAME, a \"string\", [an, array], {a=structure} or ...");
}

bool Parser::primary_word(Expression& out, unsigned depth) {
    out.text = take_word();
    if (peek() == '(') {
        ++at_;
        out.kind = Kind::call;
        return elements(out.parts, ")", "the arguments", depth + 1);
    }
    out.kind = Kind::symbol;
    return true;
}

bool Parser::elements(std::vector<Expression>& out, std::string_view close, std::string_view what,
                      unsigned depth) {
    const std::size_t begin = at_ - 1;
    if (take(close)) {
        return true;
    }
    while (true) {
        if (out.size() == kMaxElements) {
            return fail(fmt::format("more than {} elements", kMaxElements));
        }
        if (!expression(out.emplace_back(), depth)) {
            return false;
        }
        if (take(close)) {
            return true;
        }
        if (!take(",")) {
            skip_space();
            if (at_end()) {
                return fail_at(begin, fmt::format("{} never end: {} is missing", what, close));
            }
            return fail(fmt::format("expected , or {}, but here is {}", close, found()));
        }
    }
}

bool Parser::structure(Expression& out, unsigned depth) {
    const std::size_t begin = at_++;
    out.kind = Kind::structure;
    if (depth + 1 > kMaxNesting) {
        return fail(fmt::format("brackets are nested more than {} deep", kMaxNesting));
    }
    if (take("}")) {
        return true;
    }
    while (true) {
        if (out.fields.size() == kMaxElements) {
            return fail(fmt::format("more than {} elements", kMaxElements));
        }
        if (!field(out.fields.emplace_back(), depth + 1)) {
            return false;
        }
        if (take("}")) {
            return true;
        }
        if (!take(",")) {
            skip_space();
            if (at_end()) {
                return fail_at(begin, "this structure never ends: } is missing");
            }
            return fail(fmt::format("expected , or }}, but here is {}", found()));
        }
    }
}

bool Parser::field(Field& out, unsigned depth) {
    skip_space();
    out.at = here();
    if (!expression(out.value, depth)) {
        return false;
    }
    skip_space();
    if (peek() != '=') {
        return true;
    }
    // What came was the name: `name` or `name(count)`.
    Expression head = std::move(out.value);
    const bool counted = head.is(Kind::call) && head.parts.size() == 1;
    if (!head.is(Kind::symbol) && !counted) {
        return fail(fmt::format("what stands before = is a field's name"),
                    "as in: {events=POLLIN} or {msg_iov(1)=[{..., 1000}]}");
    }
    ++at_;
    out.name = std::move(head.text);
    if (counted) {
        out.count = std::move(head.parts.front());
    }
    out.value = Expression{};
    return expression(out.value, depth);
}

bool Parser::escape(std::string& out) {
    ++at_;
    const char c = peek();
    ++at_;
    switch (c) {
        case 'n': out.push_back('\n'); return true;
        case 't': out.push_back('\t'); return true;
        case 'r': out.push_back('\r'); return true;
        case 'f': out.push_back('\f'); return true;
        case 'v': out.push_back('\v'); return true;
        case 'a': out.push_back('\a'); return true;
        case 'b': out.push_back('\b'); return true;
        case '\\':
        case '"':
        case '\'': out.push_back(c); return true;
        default: break;
    }
    const bool hex = c == 'x';
    const int base = hex ? 16 : 8;
    const std::size_t longest = hex ? 2 : 3;
    at_ -= hex ? 0 : 1;
    int value = 0;
    std::size_t count = 0;
    for (; count < longest; ++count, ++at_) {
        const int digit = digit_value(peek());
        if (digit < 0 || digit >= base) {
            break;
        }
        value = value * base + digit;
    }
    if (count == 0 || value > 0xff) {
        return fail_at(at_ - 1, "a string does not know this escape",
                       R"(there are \n \t \r \f \v \a \b \\ \" \' \x00 and \000)");
    }
    out.push_back(static_cast<char>(value));
    return true;
}

bool Parser::string_literal(std::string& out) {
    const std::size_t begin = at_++;
    while (peek() != '"') {
        if (at_end() || peek() == '\n') {
            return fail_at(begin, "this string is not closed on its line");
        }
        if (peek() != '\\') {
            out.push_back(peek());
            ++at_;
        } else if (!escape(out)) {
            return false;
        }
    }
    ++at_;
    return true;
}

bool Parser::character(Expression& out) {
    const std::size_t begin = at_++;
    std::string text;
    if (peek() == '\\') {
        if (!escape(text)) {
            return false;
        }
    } else if (!at_end()) {
        text.push_back(peek());
        ++at_;
    }
    if (peek() != '\'') {
        return fail_at(begin, "a character is one, in single quotes", "as in: 'x'");
    }
    ++at_;
    out.kind = Kind::integer;
    out.integer = static_cast<unsigned char>(text.front());
    return true;
}

bool Parser::number_literal(Expression& out) {
    const std::size_t begin = at_;
    const bool minus = peek() == '-';
    at_ += minus ? 1 : 0;
    const std::size_t digits = at_;
    while (is_digit(peek())) {
        ++at_;
    }
    if (peek() == '.' && peek(1) != '.') {
        ++at_;
        while (is_digit(peek())) {
            ++at_;
        }
        out.kind = Kind::real;
        out.text = text_.substr(begin, at_ - begin);
        return !is_word(peek()) || fail(fmt::format("\"{}\" does not belong in a number", peek()));
    }
    out.kind = Kind::integer;
    const bool zero = text_[digits] == '0';
    const bool hex = zero && (text_[digits + 1 < text_.size() ? digits + 1 : digits] | 0x20) == 'x';
    out.radix = hex ? 16 : zero && at_ - digits > 1 ? 8 : 10;
    at_ = digits + (hex ? 2 : 0);
    std::uint64_t value = 0;
    bool above = false, any = false;
    for (int digit = digit_value(peek()); digit >= 0 && digit < out.radix;
         digit = digit_value(peek())) {
        above = above || value > (std::numeric_limits<std::uint64_t>::max() -
                                  static_cast<std::uint64_t>(digit)) /
                                     out.radix;
        value = value * out.radix + static_cast<std::uint64_t>(digit);
        any = true;
        ++at_;
    }
    while (peek() == 'u' || peek() == 'U' || peek() == 'l' || peek() == 'L') {
        ++at_;
    }
    if (is_word(peek()) || !any) {
        return fail(fmt::format("{} does not belong in a number", found()));
    }
    if (above) {
        return fail_at(begin, "a number has at most 64 bits");
    }
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        out.radix = 16;  // so that it is written as it reads
    }
    out.integer = static_cast<std::int64_t>(minus ? 0 - value : value);
    return true;
}

}  // namespace runnel::drill
