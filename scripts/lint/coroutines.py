"""`co_await` where g++ 12 destroys temporaries twice: inside ?:, && and ||, and in an argument list
beside other temporaries (DESIGN §5). Name a local first."""

import pathlib
import re

from source import ROOT, cpp_files, line_of, relative, text_of, without_literals

_CONTROL = {"if", "while", "for", "switch", "return", "co_return", "co_await", "co_yield", "sizeof",
            "decltype", "noexcept", "catch", "throw"}  # fmt: skip


def _statement(code: str, at: int) -> tuple[int, int]:
    """The full expression around `at`: back to a `;` or brace at its level, on to the next."""
    depth, braces, begin = 0, 0, at
    while begin > 0:
        char = code[begin - 1]
        if char in ")]":
            depth += 1
        elif char in "([":
            depth -= 1
        elif char == "}":
            if depth <= 0 and braces == 0 and not _braced_value(code, begin - 1):
                break
            braces += 1
        elif char == "{":
            if braces == 0:
                break
            braces -= 1
        elif char == ";" and depth <= 0 and braces == 0:
            break
        begin -= 1
    depth, end = 0, at
    while end < len(code):
        char = code[end]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth < 0 and char == "}":
                break
        elif char == ";" and depth <= 0:
            break
        end += 1
    return begin, end


def _braced_value(code: str, close: int) -> bool:
    """Whether the `}` at `close` ends a value such as Type{1}, and not a block."""
    after = code[close + 1 : close + 40].lstrip()
    return after[:1] in (",", ")", ".", "-", "]")


def _control_condition(code: str, begin: int, end: int, at: int) -> tuple[int, int]:
    """Of `if (A) B`, the part that holds `at`: A or B."""
    match = re.match(r"\s*(?:else\s+)?(?:if(?:\s+constexpr)?|while|switch|for)\s*\(", code[begin:end])
    if not match:
        return begin, end
    depth, index = 1, begin + match.end()
    while index < end and depth:
        depth += {"(": 1, ")": -1}.get(code[index], 0)
        index += 1
    if at < index:
        return begin + match.end(), index - 1
    return _control_condition(code, index, end, at)


def _enclosing_calls(expression: str, at: int) -> list[tuple[str, str, str]]:
    """(callee, arguments before, arguments after) of each argument list around `at`."""
    found = []
    depth = 0
    for index in range(at - 1, -1, -1):
        char = expression[index]
        if char in ")]}":
            depth += 1
        elif char in "([{":
            if depth:
                depth -= 1
                continue
            callee = re.search(r"([\w:>\])]+)\s*$", expression[:index])
            name = callee.group(1) if callee else ""
            if char != "[" and name and name.split("::")[-1] not in _CONTROL:
                found.append((name, expression[index + 1 : at], _until_close(expression, at)))
    return found


def _until_close(expression: str, at: int) -> str:
    depth = 0
    for index in range(at, len(expression)):
        char = expression[index]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth < 0:
                return expression[at:index]
    return expression[at:]


def _top_level_commas(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
    return parts + [text[begin:]]


def _makes_temporary(argument: str) -> bool:
    return bool(re.search(r"[({\"]|[^-<>=!&|+*/]\+[^+]|\bco_await\b", argument))


def _around(expression: str, at: int) -> str:
    """The expression without the bracketed groups that do not hold `at`: what the co_await is inside of."""
    kept, opened = [], []
    closes = {}
    for index, char in enumerate(expression):
        if char in "([{":
            opened.append(index)
        elif char in ")]}" and opened:
            closes[opened.pop()] = index
    skip_to = -1
    for index, char in enumerate(expression):
        if index < skip_to:
            continue
        if char in "([{" and index in closes and not index < at < closes[index]:
            skip_to = closes[index]
        kept.append(char)
    return "".join(kept)


def _without_declaration(expression: str) -> str:
    """Without `auto&& name =` and lambda parameters, whose && is no operator."""
    expression = re.sub(r"^[^=(]*&&\s*(?:\w+|\[[^\]]*\])\s*=(?!=)", " ", expression)
    return re.sub(r"\b(?:auto|const|[A-Z]\w*|[\w:]+>)\s*&&\s*\w*\s*(?=[,):])", " ", expression)


def findings_in(text: str) -> list[tuple[int, str]]:
    code = without_literals(text)
    findings = []
    for match in re.finditer(r"\bco_await\b", code):
        at = match.start()
        begin, end = _statement(code, at)
        begin, end = _control_condition(code, begin, end, at)
        expression = code[begin:end]
        shape = _without_declaration(_around(expression, at - begin))
        line = line_of(code, at)
        if re.search(r"\?(?!\?)", shape):
            findings.append((line, "co_await inside ?: is destroyed twice by g++ 12: name a local first"))
        elif re.search(r"&&|\|\||\band\b|\bor\b", shape):
            findings.append((line, "co_await beside && or ||: name a local first"))
        else:
            for callee, before, after in _enclosing_calls(expression, at - begin):
                others = _top_level_commas(before)[:-1] + _top_level_commas(after)[1:]
                if any(_makes_temporary(other) for other in others):
                    findings.append(
                        (line, f"co_await in the arguments of {callee} beside another temporary: "
                               "name a local first")
                    )  # fmt: skip
                    break
    return findings


def check(_arguments=None, root: pathlib.Path = ROOT) -> list[str]:
    return [
        f"{relative(path, root)}:{line}: {what}"
        for path in cpp_files(root)
        for line, what in findings_in(text_of(path))
    ]
