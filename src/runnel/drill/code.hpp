// Code sections: the part of Python that scripts write in %{ … }%. assert, print, assignments, if; comparisons that
// chain, and, or, not, arithmetic, strings and %-formatting, a handful of functions. Anything else is trouble of kind
// `unsupported`, so that its script is skipped and never passes by accident.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/drill/trouble.hpp"

namespace runnel::drill {

struct CodeNone {
    bool operator==(const CodeNone&) const = default;
};
/// What a name or an expression is worth. A bool is 0 or 1, as Python counts. Whole numbers outside 64 signed bits
/// are doubles (code_number).
using CodeValue = std::variant<CodeNone, std::int64_t, double, std::string>;

[[nodiscard]] CodeValue code_number(std::uint64_t value);
/// As Python prints it: 3, 0.5, 2.0, text, None.
[[nodiscard]] std::string code_text(const CodeValue& value);

struct CodeExpression {
    enum class Kind : std::uint8_t {
        constant,    ///< `value`
        name,        ///< `text`
        unary,       ///< `text` is -, +, ~ or not
        binary,      ///< `text` is + - * / // % ** << >> & | ^ and or
        comparison,  ///< parts[0] ops[0] parts[1] ops[1] parts[2] …
        call,        ///< `text`(parts)
        choice,      ///< parts[1] if parts[0] else parts[2]
        sequence     ///< (a, b) or [a, b], only right of `in` and of %
    };
    Kind kind = Kind::constant;
    Position at;
    std::string text;
    CodeValue value;
    std::vector<CodeExpression> parts;
    std::vector<std::string> ops;
};

struct CodeStatement {
    enum class Kind : std::uint8_t {
        check,     ///< assert values[0][, values[1]]
        print,     ///< values
        assign,    ///< name = values[0]
        choice,    ///< if values[0]: body else: otherwise
        evaluate,  ///< values[0], for its errors
        nothing    ///< pass
    };
    Kind kind = Kind::nothing;
    Position at;
    std::string name;
    std::string text;  ///< of an assert: the condition as written
    std::vector<CodeExpression> values;
    std::vector<CodeStatement> body;
    std::vector<CodeStatement> otherwise;
};

struct CodeProgram {
    std::string file;
    std::vector<CodeStatement> statements;
};

/// The section as statements; `file` is for messages.
[[nodiscard]] Result<CodeProgram, Trouble> parse_code(std::string_view file, const Code& code);

/// Names that the section reads and that are neither its own variables, nor constants of symbols.hpp, each once:
/// `tcpi_snd_cwnd`. A runner that knows none of that name skips the script.
[[nodiscard]] std::vector<std::string> free_names(const CodeProgram& program);

/// What sections of one script share.
struct CodeContext {
    /// A tcp_info field or whatever else the caller knows; nothing when it knows no such name.
    std::function<std::optional<CodeValue>(std::string_view name)> lookup;
    std::map<std::string, CodeValue> variables;  ///< assigned by earlier sections
    std::string printed;                         ///< what print wrote, lines
};

/// Runs to the end, or to what is wrong: a failed assert ("tcpi_snd_cwnd == 10, but tcpi_snd_cwnd is 9"), a division
/// by zero (kind wrong); a name nobody knows, a number beyond 64 bits (kind unsupported).
[[nodiscard]] Result<void, Trouble> run_code(const CodeProgram& program, CodeContext& context);

inline constexpr std::size_t kMaxCodeBytes = 64u << 10;
inline constexpr std::size_t kMaxCodeStatements = 2000;
inline constexpr std::size_t kMaxCodeText = 64u
                                            << 10;  ///< of a string, and of what a section prints

}  // namespace runnel::drill
