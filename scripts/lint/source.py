"""What the checks share: the tree's files, C++ without comments and strings, and the exceptions."""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXCEPTIONS = ROOT / "scripts" / "lint" / "exceptions.txt"

CPP_FOLDERS = ("src", "tests", "bench", "fuzz", "examples")
CPP_SUFFIXES = (".cpp", ".hpp", ".h")


def cpp_files(root: pathlib.Path = ROOT, folders=CPP_FOLDERS) -> list[pathlib.Path]:
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in CPP_SUFFIXES and path.is_file():
                found.append(path)
    return found


def relative(path: pathlib.Path, root: pathlib.Path = ROOT) -> str:
    return str(path.relative_to(root))


@functools.cache
def text_of(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


# Comments, raw strings, strings and character literals (a ' between digits is a separator).
_LITERAL = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*
      | /\*.*?\*/
      | \bu?8?U?L?R"(?P<raw>[^()\s\\]{0,16})\(.*?\)(?P=raw)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Fa-f_])'(?:\\.|[^'\\\n])+'
      | (?<=[ ,({=\[?:+<>-])'(?:\\.|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(match: re.Match) -> str:
    text = match.group(0)
    if text[0] == "/":
        return re.sub(r"[^\n]", " ", text)
    # A literal stays recognisable as one, so that an expression keeps its shape.
    inside = re.sub(r"[^\n]", " ", text[1:-1])
    return ('"' if text[0] not in "'" else "'") + inside + ('"' if text[0] not in "'" else "'")


def without_literals(text: str) -> str:
    """The same text, line for line and column for column, without comments and literals' contents."""
    return _LITERAL.sub(_blank, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def exceptions(check: str) -> dict[str, int]:
    """path or path:function -> the limit that holds there instead."""
    found = {}
    if EXCEPTIONS.exists():
        for number, line in enumerate(EXCEPTIONS.read_text().splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            match = re.fullmatch(r"(file|function)\s+(\S+)\s+(\d+)\s+#\s*(\S.*)", line)
            if not match:
                raise SystemExit(
                    f"{relative(EXCEPTIONS)}:{number}: not `file PATH LINES # reason` or "
                    f"`function PATH:NAME LINES # reason`"
                )
            if match[1] == check:
                found[match[2]] = int(match[3])
    return found


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError:
        raise SystemExit(
            f"lint: {command[0]} is not installed; `./run lint` installs it "
            f"(debian/control, profile pkg.runnel.lint)"
        ) from None
