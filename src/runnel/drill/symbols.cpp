#include "runnel/drill/symbols.hpp"

#include <array>

#include <fmt/format.h>

#include "runnel/drill/trouble.hpp"

namespace runnel::drill {
namespace {

struct Symbol {
    std::string_view name;
    std::int64_t value;
    SymbolGroup group;
};
constexpr Symbol kSymbols[] = {
#define RUNNEL_SYMBOL(group, name, value) {name, value, SymbolGroup::group},
#include "runnel/drill/symbols.def"
#undef RUNNEL_SYMBOL
#define RUNNEL_ERROR(name, number, text) {name, number, SymbolGroup::error},
#include "runnel/drill/errors.def"
#undef RUNNEL_ERROR
};

struct ErrorText {
    int number;
    std::string_view text;
};
constexpr ErrorText kErrorTexts[] = {
#define RUNNEL_ERROR(name, number, text) {number, text},
#include "runnel/drill/errors.def"
#undef RUNNEL_ERROR
};

// A script names few symbols, each once: a walk over some six hundred short names costs a microsecond.
const Symbol* find(std::string_view name) {
    for (const Symbol& symbol : kSymbols) {
        if (symbol.name == name) {
            return &symbol;
        }
    }
    return nullptr;
}

const Symbol* find(SymbolGroup group, std::int64_t value) {
    for (const Symbol& symbol : kSymbols) {
        if (symbol.group == group && symbol.value == value) {
            return &symbol;
        }
    }
    return nullptr;
}

}  // namespace

std::optional<std::int64_t> symbol_value(std::string_view name) {
    const Symbol* symbol = find(name);
    return symbol == nullptr ? std::nullopt : std::optional(symbol->value);
}

std::optional<SymbolGroup> symbol_group(std::string_view name) {
    const Symbol* symbol = find(name);
    return symbol == nullptr ? std::nullopt : std::optional(symbol->group);
}

std::string symbol_name(SymbolGroup group, std::int64_t value) {
    const Symbol* symbol = find(group, value);
    return symbol == nullptr ? fmt::format("{}", value) : std::string(symbol->name);
}

std::string flags_text(SymbolGroup group, std::int64_t value) {
    if (const Symbol* whole = find(group, value)) {
        return std::string(whole->name);
    }
    std::string out;
    auto left = static_cast<std::uint64_t>(value);
    for (const Symbol& symbol : kSymbols) {
        const auto bits = static_cast<std::uint64_t>(symbol.value);
        if (symbol.group == group && bits != 0 && (left & bits) == bits) {
            out += fmt::format("{}{}", out.empty() ? "" : "|", symbol.name);
            left &= ~bits;
        }
    }
    if (left != 0) {
        out += fmt::format("{}{:#x}", out.empty() ? "" : "|", left);
    }
    return out.empty() ? "0" : out;
}

std::string_view nearest_symbol(std::string_view name) {
    std::array<std::string_view, std::size(kSymbols)> names;
    for (std::size_t i = 0; i < names.size(); ++i) {
        names[i] = kSymbols[i].name;
    }
    return nearest(name, names.data(), names.size());
}

std::optional<int> errno_number(std::string_view name) {
    const Symbol* symbol = find(name);
    if (symbol == nullptr || symbol->group != SymbolGroup::error) {
        return std::nullopt;
    }
    return static_cast<int>(symbol->value);
}

std::string error_text(int number) {
    for (const ErrorText& one : kErrorTexts) {
        if (one.number == number) {
            return std::string(one.text);
        }
    }
    return number == 0 ? "Success" : fmt::format("Unknown error {}", number);
}

}  // namespace runnel::drill
