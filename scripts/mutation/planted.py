"""The planted defects: each a small change that a person could have made, with the tests that catch it."""

import concurrent.futures
import dataclasses
import json
import pathlib
import re
import sys
import tomllib

from .scratch import Failure
from .trial import Bench, Outcome

ROOM = "src/runnel/tcp"
LIST = "tests/mutation/planted.toml"
CAUGHT = "tests/mutation/caught.json"
PAGE = "docs/planted_defects.md"
_MOST_NAMED = 5  # tests named for a defect; the rest are counted


@dataclasses.dataclass
class Defect:
    name: str
    what: str
    clause: str
    edits: list[tuple[str, str, str]]

    def files(self, root: pathlib.Path) -> dict[str, str]:
        """The changed files' texts. An edit whose text is gone, or stands there twice, is a Failure."""
        texts: dict[str, str] = {}
        for below, old, new in self.edits:
            file = f"{ROOM}/{below}"
            path = root / file
            if not path.exists():
                raise Failure(f"{LIST}: [{self.name}] changes {file}, which does not exist (moved?)")
            text = texts.get(file) or path.read_text()
            found = list(re.finditer(_pattern(old), text))
            if len(found) != 1:
                times = "not there" if not found else f"there {len(found)} times"
                raise Failure(f"{LIST}: [{self.name}] looks for text that is {times} in {file}:\n  {old}")
            lines = "\n" * found[0].group().count("\n")
            texts[file] = text[: found[0].start()] + new + lines + text[found[0].end() :]
        return texts


def _pattern(old: str) -> str:
    """The text as clang-format may break it: blanks may come and go wherever that changes no word."""
    words = re.findall(r"\w+|[^\w\s]", old)
    pattern = ""
    for before, word in zip([""] + words, words):
        gap = r"\s+" if before[-1:].isalnum() and word[0].isalnum() else r"\s*" if before else ""
        pattern += gap + re.escape(word)
    return pattern


def load(root: pathlib.Path, names=(), sample: int | None = None) -> list[Defect]:
    table = tomllib.loads((root / LIST).read_text())
    unknown = [name for name in names if name not in table]
    if unknown:
        raise Failure(f"{LIST} has no defect named {unknown[0]}")
    defects = [
        Defect(name, entry["what"], entry["clause"], [tuple(edit) for edit in entry["edits"]])
        for name, entry in table.items()
        if not names or name in names
    ]
    return defects[:: sample or 1]


def page(defects: list[Defect], caught: dict[str, dict]) -> str:
    rows = [
        "# Planted defects\n",
        f"<!-- Made by scripts/mutate --planted --update from {LIST}. -->\n",
        f"Each of these {len(defects)} defects, put into `{ROOM}`, is caught by the tests named beside it. "
        "`scripts/mutate --planted` (or `./run mutate --planted`) makes them one by one in a scratch copy "
        "and sees that it is so.\n",
        "| defect | what is wrong | clause | file | caught by |\n| --- | --- | --- | --- | --- |",
    ]
    for defect in defects:
        found = caught.get(defect.name, {"tests": [], "more": 0})
        tests = "<br>".join(f"`{test}`" for test in found["tests"]) or "**nothing**"
        more = f"<br>and {found['more']} more" if found["more"] else ""
        files = "<br>".join(dict.fromkeys(f"`{edit[0]}`" for edit in defect.edits))
        rows.append(f"| {defect.name} | {defect.what} | {defect.clause} | {files} | {tests}{more} |")
    return "\n".join(rows) + "\n"


def read_caught(root: pathlib.Path) -> dict[str, dict]:
    path = root / CAUGHT
    return json.loads(path.read_text()) if path.exists() else {}


def stale(root: pathlib.Path) -> str | None:
    """What is wrong with the committed list, without trying anything: None, or a sentence."""
    defects, caught = load(root), read_caught(root)
    for defect in defects:
        defect.files(root)
        if not caught.get(defect.name, {}).get("tests"):
            return f"{CAUGHT} names no test for [{defect.name}]: scripts/mutate --planted --update"
    if (root / PAGE).read_text() != page(defects, caught):
        return f"{PAGE} is not what the list says: scripts/mutate --planted --update"
    return None


def _choose(tests: list[str]) -> list[str]:
    """Few of many: of each program in turn, so that the list shows at which levels a defect is seen."""
    by_program: dict[str, list[str]] = {}
    for test in tests:
        by_program.setdefault(test.split(":")[0], []).append(test)
    chosen = []
    while len(chosen) < _MOST_NAMED and any(by_program.values()):
        for rest in by_program.values():
            if rest and len(chosen) < _MOST_NAMED:
                chosen.append(rest.pop(0))
    return sorted(chosen, key=tests.index)


def _verify(bench: Bench, tree: pathlib.Path, defect: Defect, named: list[str]) -> Outcome:
    """Only the tests that the list names, of the first program among them."""
    wanted: dict[str, list[str]] = {}
    for entry in named:
        program, test = entry.split(": ")
        wanted.setdefault(program, []).append(test)
    return bench.trial(defect.name, defect.files(tree), wanted)


def run(root: pathlib.Path, bench: Bench, defects: list[Defect], options) -> int:
    caught = read_caught(root)
    tree = bench.scratch.path / "tree"  # the tree itself may change meanwhile
    for defect in defects:
        defect.files(tree)  # all that is wrong with the list comes first
    if options.update:
        bench.measure()

    def trial(defect: Defect) -> Outcome:
        named = caught.get(defect.name, {}).get("tests", [])
        if named and not options.update:
            outcome = _verify(bench, tree, defect, named)
            if outcome.status != "survived":
                return outcome
        return bench.trial(defect.name, defect.files(tree), all_programs=options.update)

    wrong = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for defect, outcome in zip(defects, pool.map(trial, defects)):
            tests = list(dict.fromkeys(outcome.tests))
            named = caught.get(defect.name, {}).get("tests", [])
            good = outcome.status == "killed"
            if options.update:
                chosen = _choose(tests)
                caught[defect.name] = {"tests": chosen, "more": len(tests) - len(chosen)}
            elif good and not set(tests) & set(named):
                good = False
                outcome.detail = f"caught, but by {tests[0]}, which the list does not name (--update writes it)"
            if not good:
                wrong.append(defect.name)
            if not options.quiet or not good:
                by = f"by {tests[0]}" + (f" and {len(tests) - 1} more" if len(tests) > 1 else "") if tests else ""
                verdict = "caught" if good else f"NOT GOOD ({outcome.status})"
                detail = "" if good else outcome.detail[-1500:]
                print(f"{verdict:<8} {defect.name}: {defect.what}: {by} {detail}".rstrip(), flush=True)
    if options.update:
        everything = load(root)
        caught = {defect.name: caught[defect.name] for defect in everything if defect.name in caught}
        (root / CAUGHT).write_text(json.dumps(caught, indent=1) + "\n")
        (root / PAGE).write_text(page(everything, caught))
    print(f"{len(defects) - len(wrong)} of {len(defects)} planted defects are caught")
    if wrong:
        print(f"not: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0
