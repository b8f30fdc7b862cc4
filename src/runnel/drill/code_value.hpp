// Values of code sections and what Python does with them; private to this room. The expression is for the place and
// the operator's name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runnel/drill/code.hpp"

namespace runnel::drill {

using CodeResult = Result<CodeValue, Trouble>;

[[nodiscard]] bool code_true(const CodeValue& value);
/// Numbers by value whatever their type; a number and a text are never equal.
[[nodiscard]] bool code_equal(const CodeValue& a, const CodeValue& b);
[[nodiscard]] CodeResult code_compare(const CodeExpression& where, std::string_view op,
                                      const CodeValue& a, const CodeValue& b);
[[nodiscard]] CodeResult code_unary(const CodeExpression& op, const CodeValue& value);
[[nodiscard]] CodeResult code_binary(const CodeExpression& op, const CodeValue& a,
                                     const CodeValue& b);
[[nodiscard]] CodeResult code_call(const CodeExpression& call,
                                   const std::vector<CodeValue>& values);
/// "%d of %s" % (1, "x"): d i u x X s f g %, without widths.
[[nodiscard]] CodeResult code_format(const CodeExpression& where, std::string_view pattern,
                                     const std::vector<CodeValue>& values);

}  // namespace runnel::drill
