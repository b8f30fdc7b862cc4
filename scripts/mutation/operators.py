"""Every mutant of a source: what each operator of mutation may do, where. A mutant keeps the number of
lines. Comments, includes, attributes, static_assert and RUNNEL_CHECK are left alone: they are no behaviour."""

import dataclasses
import pathlib
import re

from .cpp import Source, Token

_BINARY = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "&&": ("||",), "||": ("&&",), "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",),
    "&": ("|",), "|": ("&",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",), "<<=": (">>=",), ">>=": ("<<=",),
}  # fmt: skip
_KIND = {"<": "comparison", "<=": "comparison", ">": "comparison", ">=": "comparison", "==": "comparison",
         "!=": "comparison", "&&": "logic", "||": "logic"}  # fmt: skip
_NO_STATEMENT = {
    "const", "auto", "constexpr", "using", "static", "return", "if", "for", "while", "switch", "case", "do",
    "default", "struct", "enum", "class", "typedef", "static_assert", "else", "RUNNEL_CHECK", "template",
}  # fmt: skip
_LEFT_ALONE = {"static_assert", "RUNNEL_CHECK", "alignas", "decltype", "noexcept"}


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    column: int
    operator: str
    start: int
    end: int
    new: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}:{self.column}:{self.operator}:{self.new.strip() or 'nothing'}"

    def apply(self, text: str) -> str:
        lines = text[self.start : self.end].count("\n")
        return text[: self.start] + self.new + "\n" * lines + text[self.end :]


def enumerators(root: pathlib.Path) -> dict[str, list[list[str]]]:
    """The values of each enumeration of the product; some of them share a name."""
    found = {}
    for path in sorted((root / "src/runnel").rglob("*.hpp")):
        for name, body in re.findall(r"enum class (\w+)[^{;]*\{(.*?)\}", path.read_text(), re.DOTALL):
            body = re.sub(r"//[^\n]*|^\s*#[^\n]*", "", body, flags=re.MULTILINE)
            values = [re.match(r"\s*(\w+)", value) for value in body.split(",")]
            found.setdefault(name, []).append([value[1] for value in values if value])
    decisions = (root / "src/runnel/observe/decisions_tcp.def").read_text()
    found["Decision"] = [re.findall(r"^RUNNEL_DECISION\((\w+),", decisions, re.MULTILINE)]
    return found


class _Finder:
    def __init__(self, file: str, text: str, enums: dict[str, list[list[str]]]):
        self.file, self.enums = file, enums
        self.source = Source(text)
        self.tokens = self.source.tokens
        self.found: list[Mutant] = []
        self.skipped = self._left_alone()

    def _left_alone(self) -> set[int]:
        skipped = set()
        for index, token in enumerate(self.tokens):
            last = None
            following = self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""
            if token.text in _LEFT_ALONE and following == "(":
                last = self.source.partner.get(index + 1)
            elif token.text == "[" and following == "[":
                last = self.source.partner.get(index)
            elif token.text == "enum":
                last = next((i for i in range(index, len(self.tokens)) if self.tokens[i].text in "{;"), index)
                last = self.source.partner.get(last, last)
            elif token.kind == "number" and self.tokens[index - 1].text == ":" and self.source.inside[index] is None:
                last = index  # the width of a bit-field
            elif token.text in ("using", "typedef"):
                last = next((i for i in range(index, len(self.tokens)) if self.tokens[i].text == ";"), index)
            if last is not None:
                skipped.update(range(index, last + 1))
        return skipped

    def add(self, operator: str, start: int, end: int, new: str):
        at = Mutant(self.file, self.source.line(start), self.source.column(start), operator, start, end, new)
        self.found.append(at)

    def replace(self, operator: str, token: Token, new: str):
        self.add(operator, token.start, token.end, new)

    def mutants(self) -> list[Mutant]:
        for index, token in enumerate(self.tokens):
            if index not in self.skipped:
                self._token(index, token)
        self._statements()
        for function in self.source.functions:
            self._early_return(function)
        return self.found

    def _token(self, index: int, token: Token):
        following = self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""
        if token.kind == "punctuator":
            self._punctuator(token)
        elif token.kind == "number":
            self._number(token)
        elif token.text in ("true", "false"):
            self.replace("boolean", token, "false" if token.text == "true" else "true")
        elif token.text in ("min", "max") and self.tokens[index - 1].text == "::" and self.tokens[index - 2].text == "std":
            self.replace("min-max", token, "max" if token.text == "min" else "min")
        elif token.text in self.enums and following == "::":
            value = self.tokens[index + 2]
            values = next((enum for enum in self.enums[token.text] if value.text in enum), [])
            for other in values:
                if other != value.text:
                    self.replace("enumerator", value, other)
        elif token.text in ("if", "while") and following == "(" and self.source.inside[index] is not None:
            self._condition(token.text, index + 1)
        elif token.text == "return" and following not in (";", "{"):
            self._return_value(index)

    def _punctuator(self, token: Token):
        text = token.text
        if text in _BINARY and (self.source.blank_around(token)):
            kind = _KIND.get(text, "arithmetic")
            for new in _BINARY[text]:
                self.replace(kind, token, new)
        elif text in ("++", "--"):
            self.replace("arithmetic", token, "--" if text == "++" else "++")
        elif text == "!":
            self.replace("negation", token, "")

    def _number(self, token: Token):
        match = re.fullmatch(r"(0[xX][\da-fA-F']+|\d[\d']*)([uUlLzZ]*)", token.text)
        if not match:
            return
        digits = match[1].replace("'", "")
        value = int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
        self.replace("constant", token, f"{value + 1}{match[2]}")
        if value > 0:
            self.replace("constant", token, f"{value - 1}{match[2]}")

    def _condition(self, word: str, opening: int):
        closing = self.source.partner[opening]
        first = opening + 1
        for at in range(opening + 1, closing):  # `if (auto x = f(); x > 0)`
            if self.tokens[at].text == ";":
                first = at + 1
        start, end = self.tokens[first].start, self.tokens[closing].start
        old = " ".join(self.source.text[start:end].split())
        self.add("condition", start, end, f"!({old})")
        self.add("guard", start, end, "false")
        if word == "if":
            self.add("guard", start, end, "true")

    def _return_value(self, index: int):
        end = index
        while self.tokens[end].text != ";":
            end = self.source.partner.get(end, end) + 1 if self.tokens[end].text in "([{" else end + 1
        function = self.source.inside[index]
        start, stop = self.tokens[index + 1].start, self.tokens[end].start
        old = " ".join(self.source.text[start:stop].split())
        if function is not None and function.returns() == "bool" and old not in ("true", "false"):
            self.add("return", start, stop, f"!({old})")
        elif function is not None and function.returns() == "other" and old != "{}":
            self.add("return", start, stop, "{}")

    def _statements(self):
        for first, last in self.source.statements():
            words = [token.text for token in self.tokens[first:last]]
            if first in self.skipped or words[0] in _NO_STATEMENT or "::" in words[:2] and "(" not in words:
                continue
            text = self.source.text[self.tokens[first].start : self.tokens[last].start]
            if re.match(r"[\w:<>, ]+[&*]? \w+(?: = |[;{(\[]|$)", text) and not re.match(r"[\w.>\-\[\]]+ = ", text):
                continue  # a declaration
            self.add("statement", self.tokens[first].start, self.tokens[last].end, ";")

    def _early_return(self, function):
        after = self.tokens[function.body].end
        kinds = {"void": ["return;"], "constructor": [], "bool": ["return true;", "return false;"]}
        for new in kinds.get(function.returns(), ["return {};"]):
            self.add("early-return", after, after, f" {new}")


def mutants(file: str, text: str, enums: dict[str, list[list[str]]]) -> list[Mutant]:
    """All mutants of one file. Those of one enumerator are as many as its enumeration has others."""
    return _Finder(file, text, enums).mutants()
