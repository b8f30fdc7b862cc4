"""C++ source as tokens, and where functions, statements and conditions stand in it. It knows as much of
the language as this tree's own style (clang-format) makes necessary: a binary operator has a blank on both
sides, a template's angle bracket has not."""

import bisect
import dataclasses
import re

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>R"(?P<tag>[^(]*)\(.*?\)(?P=tag)")
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<preprocessor>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
  | (?P<number>\.?\d(?:[\w.]|'\w)*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<punctuator><=>|<<=|>>=|\.\.\.|->\*|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|%=|&=|\|=|\^=
      |[^\s\w])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_SCOPE_WORDS = {"namespace", "struct", "class", "union", "enum", "extern"}


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclasses.dataclass
class Function:
    head: list[Token]
    body: int  # index of the token `{`

    def returns(self) -> str:
        """`void`, `bool`, `constructor`, or `other`."""
        names = []
        for token in self.head:
            if token.text == "(":
                break
            names.append(token.text)
        for word in ("void", "bool"):
            if word in names[:-1]:
                return word
        words = [n for n in names if n not in ("constexpr", "inline", "static", "explicit", "[", "]", "nodiscard")]
        return "constructor" if len([w for w in words if w[0].isalpha() and w != "::"]) <= 1 else "other"


class Source:
    """One file: `tokens` without comments and preprocessor lines, and the structure over them."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = [
            Token(match.lastgroup if match.lastgroup != "tag" else "raw", match.group(), match.start())
            for match in _TOKEN.finditer(text)
            if match.lastgroup not in ("comment", "preprocessor")
        ]
        self._lines = [0] + [match.end() for match in re.finditer("\n", text)]
        self._pair_brackets()
        self._find_functions()

    def line(self, offset: int) -> int:
        return bisect.bisect_right(self._lines, offset)

    def column(self, offset: int) -> int:
        return offset - self._lines[self.line(offset) - 1] + 1

    def blank_around(self, token: Token) -> bool:
        before, after = self.text[token.start - 1 : token.start], self.text[token.end : token.end + 1]
        return before.isspace() and after.isspace()

    def _pair_brackets(self):
        self.partner: dict[int, int] = {}
        opened = []
        for index, token in enumerate(self.tokens):
            if token.text in "([{" and token.kind == "punctuator":
                opened.append(index)
            elif token.text in ")]}" and token.kind == "punctuator" and opened:
                other = opened.pop()
                self.partner[other], self.partner[index] = index, other

    def _find_functions(self):
        self.functions: list[Function] = []
        self.inside: list[Function | None] = [None] * len(self.tokens)
        index, head = 0, 0
        while index < len(self.tokens):
            text = self.tokens[index].text
            if text in ("(", "["):
                index = self.partner.get(index, index) + 1
                continue
            if text in (";", "}") or (text == ":" and self.tokens[index - 1].text in ("public", "private", "protected")):
                head = index + 1
            elif text == "{":
                words = self.tokens[head:index]
                close = self.partner.get(index, len(self.tokens) - 1)
                if self._is_scope(words):
                    head = index + 1
                elif self._is_body(words):
                    function = Function(words, index)
                    self.functions.append(function)
                    self.inside[index : close + 1] = [function] * (close + 1 - index)
                    index, head = close, close + 1
                else:
                    index = close  # an initialiser; the declaration goes on
            index += 1

    @staticmethod
    def _without_template(words: list[Token]) -> list[str]:
        texts = [token.text for token in words]
        while texts and texts[0] == "template":
            depth = 0
            for at, text in enumerate(texts):
                depth += {"<": 1, ">": -1, ">>": -2}.get(text, 0)
                if at > 0 and depth <= 0:
                    break
            texts = texts[at + 1 :]
        while texts[:2] == ["[", "["]:
            texts = texts[texts.index("]") + 2 :]
        return texts

    def _is_scope(self, words: list[Token]) -> bool:
        texts = self._without_template(words)
        return bool(texts) and texts[0] in _SCOPE_WORDS and "(" not in texts

    def _is_body(self, words: list[Token]) -> bool:
        texts = self._without_template(words)
        if "(" not in texts or "=" in texts[: texts.index("(")]:
            return False
        depth, colon = 0, None  # a constructor's list: `: a_(x), b_{y} {` opens its body only at the last
        for at, text in enumerate(texts):
            depth += {"(": 1, ")": -1}.get(text, 0)
            if text == ":" and depth == 0 and colon is None:
                colon = at
        if colon is None:
            return True
        return texts[-1] in (")", "}")

    def statements(self):
        """(first, last) token of each simple statement `...;` in a function's body: no declaration that the
        rest needs, no control statement, nothing with a block in it."""
        for index, token in enumerate(self.tokens):
            if token.text != ";" or self.inside[index] is None:
                continue
            first = index - 1
            while first > 0:
                text = self.tokens[first].text
                if text in (")", "]", "}") and first in self.partner:
                    opening = self.partner[first]
                    if text == "}" and not self._is_brace_of_expression(opening):
                        break
                    if text == ")" and self.tokens[opening - 1].text in ("if", "while", "for", "switch", "constexpr"):
                        break
                    first = opening - 1
                    continue
                if text in (";", "{", "else", "do") or (text == ":" and self._is_label(first)):
                    break
                if text == "(":  # inside the head of a `for`
                    first = index
                    break
                first -= 1
            first += 1
            if first < index:
                yield first, index

    def _is_brace_of_expression(self, opening: int) -> bool:
        before = self.tokens[opening - 1]
        return before.kind == "name" and before.text not in ("else", "do", "const", "noexcept", "mutable") or (
            before.text in (">", "=", "(", ",", "return"))

    def _is_label(self, colon: int) -> bool:
        at = colon - 1
        while at > 0 and self.tokens[at].text not in (";", "{", "}", "?", ")"):
            if self.tokens[at].text in ("case", "default"):
                return True
            at -= 1
        return False
