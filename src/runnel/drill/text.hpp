// Characters and words as the language has them: ASCII only, no locale.
#pragma once

#include <string_view>

namespace runnel::drill {

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
constexpr bool is_word_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_word(char c) {
    return is_word_start(c) || is_digit(c);
}
constexpr bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
/// The value of a digit up to hexadecimal, or -1.
constexpr int digit_value(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
/// The identifier that `text` begins with, or nothing.
constexpr std::string_view leading_word(std::string_view text) {
    if (text.empty() || !is_word_start(text.front())) {
        return {};
    }
    std::size_t count = 1;
    while (count < text.size() && is_word(text[count])) {
        ++count;
    }
    return text.substr(0, count);
}
constexpr std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace runnel::drill
