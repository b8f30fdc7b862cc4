"""A file over 600 lines or a function over 70 wants splitting (DESIGN §3). Functions are found by
their braces: at the level of a namespace or a class, a `{` after a parameter list opens one."""

import pathlib
import re

from source import (
    EXCEPTIONS, ROOT, cpp_files, exceptions, relative, text_of, without_literals,
)  # fmt: skip

MAX_FILE = 600
MAX_FUNCTION = 70

_SCRIPTS = ("scripts", "tests", "bench", "docs", "web")
_SCRIPT_SUFFIXES = (".py", ".sh", ".js", ".mjs", ".ts", ".tsx", ".css")
_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern|concept|requires)\b")


def _without_preprocessor(code: str) -> str:
    return re.sub(
        r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*",
        lambda match: re.sub(r"[^\n]", " ", match.group(0)),
        code,
        flags=re.MULTILINE | re.DOTALL,
    )


def _function_name(head: str) -> str | None:
    """The name of the function whose definition's head (up to its `{`) this is, or None."""
    flat = " ".join(head.split())
    flat = re.sub(r"\[\[[^\]]*\]\]", "", flat)
    flat = re.sub(r"\b(alignas|decltype|noexcept|requires|explicit)\s*\((?:[^()]|\([^()]*\))*\)", "", flat)
    if "(" not in flat:
        return None
    before = flat[: flat.index("(")].rstrip()
    if before.endswith("operator"):
        return "operator()"
    match = re.search(r"((?:~?\w+|operator\s*[^\s\w]+|operator\s+\w+)(?:\s*<[^()]*>)?)$", before)
    if not match:
        return None
    name = match.group(1)
    if re.match(r"(if|for|while|switch|catch|return|static_assert)$", name):
        return None
    if name in ("TEST", "TEST_F", "TEST_P", "TYPED_TEST", "BENCHMARK_DEFINE_F", "RC_GTEST_PROP",
                "RC_GTEST_FIXTURE_PROP"):  # fmt: skip
        inside = flat[flat.index("(") + 1 :].split(")")[0]
        return ".".join(part.strip() for part in inside.split(",")[:2])
    return re.split(r"[\s<]", name)[0] if not name.startswith("operator") else name


def functions(text: str) -> list[tuple[str, int, int]]:
    """(name, first line, lines) of each function defined in the text."""
    code = _without_preprocessor(without_literals(text))
    found = []
    stack = []  # what each open brace is: "scope", "function" or "other"
    head = 0  # where the current declaration begins
    parens = 0
    for match in re.finditer(r"[{}();:]", code):
        token, at = match.group(), match.start()
        inside = "function" in stack
        if token == "(":
            parens += 1
        elif token == ")":
            parens = max(0, parens - 1)
        elif token == "{":
            declaration = code[head:at]
            if inside or parens:
                stack.append("other")
            elif _is_scope(declaration):
                stack.append("scope")
                head = at + 1
            elif _is_initialiser(declaration):
                stack.append("other")
            else:
                name = _function_name(declaration)
                if name is None:
                    stack.append("other")
                else:
                    stack.append("function")
                    lead = len(declaration) - len(declaration.lstrip())
                    found.append([name, code.count("\n", 0, head + lead) + 1, at, 0])
        elif token == "}":
            kind = stack.pop() if stack else "scope"
            if kind == "function":
                found[-1][3] = code.count("\n", 0, at) + 1
            if kind in ("function", "scope"):
                head = at + 1
        elif token == ";" and not inside and not parens and (not stack or stack[-1] == "scope"):
            head = at + 1
        elif token == ":" and re.search(r"\b(public|private|protected)\s*$", code[head:at]):
            head = at + 1
    return [(name, first, last - first + 1) for name, first, _, last in found if last]


def _strip_templates(declaration: str) -> str:
    declaration = re.sub(r"\[\[[^\]]*\]\]", " ", declaration)
    while True:
        match = re.match(r"\s*template\s*<", declaration)
        if not match:
            return declaration
        depth, at = 1, match.end()
        while at < len(declaration) and depth:
            depth += {"<": 1, ">": -1}.get(declaration[at], 0)
            at += 1
        declaration = declaration[at:]
        requires = re.match(r"\s*requires\b[^\n]*", declaration)
        if requires:
            declaration = declaration[requires.end() :]


def _is_scope(declaration: str) -> bool:
    """A namespace, class or enum: its keyword comes first, and no parameter list follows a name."""
    text = _strip_templates(declaration).strip()
    text = re.sub(r"^(typedef|inline|constexpr|static|export)\s+", "", text)
    match = re.match(r"(namespace|class|struct|union|enum|extern)\b(.*)$", text, re.DOTALL)
    if not match:
        return False
    rest = re.sub(r"\balignas\s*\([^)]*\)", "", match[2])
    if match[1] == "extern" and not re.fullmatch(r'\s*"[^"]*"\s*', rest):
        return False
    # `struct X f() {` is a function; `struct X : Y<decltype(z())> {` is not.
    return "(" not in rest.split(":")[0].replace("::", "")


def _is_initialiser(declaration: str) -> bool:
    """`int x = {`, `Type name{`: no parameter list before the brace, or an `=` outside of one."""
    depth = 0
    text = _strip_templates(declaration)
    text = re.sub(r"operator\s*(==|<=>|=|!=|<=|>=|\+=|-=|\(\)|\[\])", "operator_", text)
    for index, char in enumerate(text):
        depth += {"(": 1, ")": -1, "<": 0}.get(char, 0)
        if char == "=" and depth == 0 and text[index - 1] not in "<>=!" and text[index + 1 : index + 2] != "=":
            return True
    if ")" not in text:
        return True
    # A constructor's initialiser list: `: a_(x), b_{` opens a member's braces, not the body.
    tail = text[text.rindex(")") + 1 :]
    return bool(re.search(r"[,:]\s*\w+(<[^{}]*>)?\s*$", tail)) and "::" not in tail[-3:] and "->" not in tail


def check(_arguments=None, root: pathlib.Path = ROOT) -> list[str]:
    findings = []
    file_limits = exceptions("file") if root == ROOT else {}
    function_limits = exceptions("function") if root == ROOT else {}
    used = set()
    scripts = [
        path
        for folder in _SCRIPTS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in _SCRIPT_SUFFIXES and "node_modules" not in path.parts
        and "dist" not in path.parts
    ]  # fmt: skip
    for path in cpp_files(root) + scripts:
        name = relative(path, root)
        text = text_of(path)
        lines = text.count("\n")
        limit = file_limits.get(name, MAX_FILE)
        if lines > MAX_FILE:
            used.add(name)
        if lines > limit:
            findings.append(f"{name}:{lines}: the file has {lines} lines, {limit} are allowed: split it")
        if path.suffix not in (".cpp", ".hpp", ".h"):
            continue
        for function, first, length in functions(text):
            key = f"{name}:{function}"
            limit = function_limits.get(key, MAX_FUNCTION)
            if length > MAX_FUNCTION:
                used.add(key)
            if length > limit:
                findings.append(
                    f"{name}:{first}: {function} has {length} lines, {limit} are allowed: split it"
                )
    for key in sorted((set(file_limits) | set(function_limits)) - used):
        findings.append(f"{relative(EXCEPTIONS, ROOT)}: `{key}` is within the limits now: remove its line")
    return findings
