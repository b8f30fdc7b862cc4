"""One alteration for each decision of TCP: it is never taken. All of them are compiled into one program, a copy of
`runnel` in which $RUNNEL_MUTANT chooses one, and the scripts of tests/drill that produce a decision are played with
it: at least one has to fail.

Where a decision is named, the nearest condition that leads there is made false (an `if`'s, or a `?:`'s); where
none does, the function returns before it."""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

from .scratch import Failure

FOUND = "tests/mutation/decisions.json"
ROOMS = ("src/runnel/tcp", "src/runnel/host")
_SWITCH = """#pragma once
#include <cstdlib>
inline int runnel_mutant_number() {
    const char* text = std::getenv("RUNNEL_MUTANT");
    return text == nullptr ? 0 : std::atoi(text);
}
inline bool runnel_mutant(int number) {
    static const int active = runnel_mutant_number();
    return active == number;
}
"""


def names(root: pathlib.Path) -> list[str]:
    text = (root / "src/runnel/observe/decisions_tcp.def").read_text()
    return re.findall(r"^RUNNEL_DECISION\((\w+),", text, re.MULTILINE)


def blanked(text: str) -> str:
    """The same length, without what stands in comments and strings."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def closing(text: str, at: int) -> int:
    """The place of what closes the bracket at `at`."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    depth = 0
    for place in range(at, len(text)):
        if text[place] in pairs:
            depth += 1
        elif text[place] in pairs.values():
            depth -= 1
            if depth == 0:
                return place
    return len(text) - 1


def statement_end(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    if text[at] == "{":
        return closing(text, at) + 1
    if re.match(r"if\b", text[at:]):
        return if_parts(text, at)[3]
    while text[at] != ";":
        at = closing(text, at) + 1 if text[at] in "({[" else at + 1
    return at + 1


def if_parts(text: str, at: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
    """Of the `if` at `at`: its condition, what it guards, what its else guards, and where it ends."""
    begin = text.index("(", at)
    end = closing(text, begin)
    body = (end + 1, statement_end(text, end + 1))
    other = re.match(r"\s*else\b", text[body[1] :])
    if not other:
        return (begin + 1, end), body, (body[1], body[1]), body[1]
    start = body[1] + other.end()
    return (begin + 1, end), body, (start, statement_end(text, start)), statement_end(text, start)


def usable(text: str, condition: tuple[int, int]) -> tuple[int, int] | None:
    """The part of a condition that is an expression."""
    begin, end = condition
    init = text.rfind(";", begin, end)
    if init >= 0:
        begin = init + 1
    if re.match(r"\s*(const\s+)?(auto|[A-Z]\w*)\b[^=!<>()]*\s=\s", text[begin:end]):
        return None
    return begin, end


def ternary(text: str, at: int) -> tuple[tuple[int, int], bool] | None:
    """The condition of `condition ? HERE : HERE`, and whether `at` is in the first place."""
    place, depth, first = at - 1, 0, None
    while place >= 0:
        letter = text[place]
        if letter in ")]}":
            depth += 1
        elif letter in "([{;":
            if depth == 0 and (letter != "(" or not re.search(r"(?<!if)(?<!while)[\w>]$", text[:place])):
                return None  # an argument's place is where its call stands
            depth -= depth > 0
        elif depth == 0 and letter == "," and first is None:
            return None
        elif depth == 0 and letter == "?":
            if first is None:
                first = True
            break
        elif depth == 0 and letter == ":" and text[place - 1] != ":" and text[place + 1] != ":":
            if first is not None:
                return None
            first = False
        place -= 1
    if place < 0 or first is None:
        return None
    end, depth, begin = place, 0, place - 1
    while begin >= 0:
        letter = text[begin]
        if letter in ")]}":
            depth += 1
        elif letter in "([{;,":
            if depth == 0 or letter in ";":
                break
            depth -= letter in "([{"
        elif depth == 0 and letter == "?":
            break
        elif depth == 0 and letter == ":" and text[begin - 1] != ":" and text[begin + 1] != ":":
            break
        elif depth == 0 and letter == "=" and text[begin - 1] not in "=!<>" and text[begin + 1] != "=":
            break
        elif depth == 0 and re.match(r"\breturn\b", text[begin:]) and not text[begin - 1].isalnum():
            begin += len("return") - 1
            break
        begin -= 1
    return (begin + 1, end), first


def returns_nothing(text: str, at: int) -> bool:
    """Whether the innermost function or lambda around `at` is one without a result."""
    depth = 0
    for place in range(at - 1, -1, -1):
        if text[place] == "}":
            depth += 1
        elif text[place] == "{":
            depth -= 1
            if depth < 0:
                depth = 0
                head = text[:place].rstrip()
                lambda_head = re.search(r"\]\s*\([^()]*\)\s*(mutable\s*)?(->\s*\w+)?$", head)
                if lambda_head:
                    return lambda_head.group(2) is None
                head = head[max(head.rfind(letter) for letter in ";{}") + 1 :]
                found = re.search(r"(\w+)\s*\(", head)
                if found and found.group(1) not in ("if", "for", "while", "switch"):
                    return re.match(r"\s*(static )?void\b", head) is not None
    return False


def alterations(text: str, at: int, number: int) -> list[tuple[int, str]]:
    """What is to be put where, so that the decision at `at` is not taken when `number` is chosen."""
    never = (f"(!runnel_mutant({number}) && (", "))")
    always = (f"(runnel_mutant({number}) || (", "))")
    found = ternary(text, at)
    if found:
        (begin, end), first = found
        before, after = never if first else always
        return [(begin, " " + before), (end, after + " ")]
    best = None
    for match in re.finditer(r"\bif\s*(?:constexpr\s*)?\(", text):
        if match.start() > at:
            break
        condition, body, other, _ = if_parts(text, match.start())
        part = usable(text, condition)
        for (begin, end), words in ((body, never), (other, always)):
            if part and begin <= at < end and (best is None or end - begin < best[0]):
                best = (end - begin, part, words)
    if best:
        _, (begin, end), (before, after) = best
        return [(begin, before), (end, after)]
    start = max(text.rfind(letter, 0, at) for letter in ";{}") + 1
    label = re.match(r"\s*(case\s[\w:]+|default):(?!:)", text[start:])
    start += label.end() if label else 0
    back = "return;" if returns_nothing(text, at) else "return {};"
    return [(start, f" if (runnel_mutant({number})) {{ {back} }} ")]


def altered(text: str, numbers: dict[str, int]) -> tuple[str, set[str]]:
    plain = blanked(text)
    inserts: list[tuple[int, int, str]] = []
    touched = set()
    for match in re.finditer(r"\bDecision::(tcp_\w+)", plain):
        name = match.group(1)
        before = plain[: match.start()].rstrip()
        after = plain[match.end() :].lstrip()
        if name not in numbers or before.endswith(("==", "!=", "case")) or after.startswith(("==", "!=")):
            continue
        for order, (at, words) in enumerate(alterations(plain, match.start(), numbers[name])):
            inserts.append((at, order, words))
        touched.add(name)
    for at, _, words in sorted(inserts, key=lambda one: one[0], reverse=True):
        text = text[:at] + words + text[at:]
    return text, touched


class Program:
    """The altered `runnel`, in a directory of its own beside the build."""

    def __init__(self, root: pathlib.Path, build: pathlib.Path):
        self.root, self.build = root, build
        parent = build.parent / "mutate"
        parent.mkdir(parents=True, exist_ok=True)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="decisions.", dir=parent))
        self.binary = self.path / "runnel"

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def make(self, numbers: dict[str, int], jobs: int) -> set[str]:
        (self.path / "switch.hpp").write_text(_SWITCH)
        units, touched = [], set()
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            source = pathlib.Path(entry["file"])
            if not str(source).startswith(tuple(f"{self.root}/{room}/" for room in ROOMS)):
                continue
            text, here = altered(source.read_text(), numbers)
            if here:
                touched |= here
                units.append((source, text, shlex.split(entry["command"])))
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            objects = list(pool.map(lambda unit: self._compile(*unit), units))
        command = subprocess.run(
            ["ninja", "-C", str(self.build), "--quiet", "-t", "commands", "-s", "runnel"],
            check=True, capture_output=True, text=True,
        ).stdout.strip().splitlines()[-1]  # fmt: skip
        words = [word for word in shlex.split(command) if word not in (":", "&&")]
        words[words.index("-o") + 1] = str(self.binary)
        words[1:1] = map(str, objects)
        self._run(words, "linking")
        return touched

    def _compile(self, source: pathlib.Path, text: str, command: list[str]) -> pathlib.Path:
        place = self.path / source.relative_to(self.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        target = place.with_suffix(".o")
        words = [word for word in command if not word.endswith("ccache") and not word.startswith("-W")]
        words = [word for word in words if word not in ("-O2", "-O3", "-g", "-g1")]
        words[words.index("-o") + 1] = str(target)
        words[words.index(str(source))] = str(place)
        words[1:1] = ["-O1", "-w", "-include", str(self.path / "switch.hpp"), f"-I{source.parent}"]
        self._run(words, str(source.relative_to(self.root)))
        return target

    def _run(self, words: list[str], what: str):
        done = subprocess.run(words, cwd=self.build, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{what} with the alterations fails:\n{done.stderr[-4000:]}")

    def play(self, number: int, scripts: list[str]) -> list[str]:
        """The scripts that do not pass."""
        command = [str(self.binary), "drill", "--json", *scripts]
        env = dict(os.environ, RUNNEL_MUTANT=str(number))
        try:
            run = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=60)
            told = json.loads(run.stdout)["scripts"]
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return scripts  # it went round and round, or fell over: noticed in any case
        return [one["file"] for one in told if one["outcome"] == "not ok"]


def measure(root: pathlib.Path, build: pathlib.Path, jobs: int) -> dict[str, list[str]]:
    """For each decision the scripts that fail when it is never taken."""
    every = names(root)
    numbers = {name: number for number, name in enumerate(every, 1)}
    program = Program(root, build)
    try:
        touched = program.make(numbers, jobs)
        run = subprocess.run(
            [str(program.binary), "drill", "--json", "tests/drill"], cwd=root, capture_output=True, text=True
        )
        scripts = json.loads(run.stdout)["scripts"]
        failing = [one["file"] for one in scripts if one["outcome"] != "ok"]
        if failing:
            raise Failure(f"without an alteration {failing[0]} does not pass")
        produced = {name: [one["file"] for one in scripts if name in one["decisions"]] for name in every}
        noticed = {}
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for name, failed in zip(
                every, pool.map(lambda n: program.play(numbers[n], produced[n]) if produced[n] else [], every)
            ):
                noticed[name] = failed if name in touched else []
        return noticed
    finally:
        program.close()


def run(root: pathlib.Path, build: pathlib.Path, options) -> int:
    noticed = measure(root, build, options.jobs)
    short = {
        name: [file.removeprefix("tests/drill/").removesuffix(".pkt") for file in files][:3]
        for name, files in noticed.items()
    }
    left = [name for name, files in short.items() if not files]
    print(f"{len(short) - len(left)} of {len(short)} decisions: a script fails when it is never taken")
    for name in left:
        print(f"  nobody misses {name}")
    if options.update:
        (root / FOUND).write_text(json.dumps(short, indent=1) + "\n")
        return 0
    before = json.loads((root / FOUND).read_text()) if (root / FOUND).exists() else {}
    worse = [name for name in left if before.get(name)]
    for name in worse:
        print(f"  and {FOUND} says that {before[name][0]} does: a script no longer depends on it")
    return 1 if worse else 0
