#!/usr/bin/env python3
"""docs/rfc9293.md and docs/requirements.md are what the sources say, and nothing in them is an orphan. Each
kind of orphan is planted in a copy of the tree, and must be found there."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("RUNNEL_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
SCRIPT = ROOT / "scripts/docs/ledger.py"


def check(root):
    done = subprocess.run([sys.executable, SCRIPT, "--check", "--root", root], capture_output=True, text=True)
    return done.returncode, done.stderr


def change(path, old, new):
    text = path.read_text()
    if old not in text:
        sys.exit(f"{path}: there is no {old!r} to be changed; mend this test")
    path.write_text(text.replace(old, new))


# What is planted: file, what stands there, what instead, and a word of the complaint.
PLANTED = [
    ("src/runnel/tcp/calls/receive.cpp", "MUST-33", "MUST 33", "MUST-33"),  # code gone
    ("tests/story/requirements_test.cpp", "// Proves: MUST-25, MUST-24, MUST-28\n", "", "MUST-25"),  # test gone
    ("tests/story/requirements_test.cpp", "// Proves: MUST-26\nTEST_F(", "// Proves: MUST-26\n\nTEST_F(",
     "no TEST begins right below"),
    ("tests/story/requirements_test.cpp", "// Proves: MUST-46", "// Proves: MUST-460", "no requirement MUST-460"),
    ("src/runnel/tcp/effects.cpp", "SHLD-20", "SHLD-200", "no requirement SHLD-200"),
    ("src/runnel/observe/decisions_tcp.def", "MUST-36", "MUST-136", "no requirement MUST-136"),
    ("docs/requirements/notes.tsv", "MAY-17\tdeclined", "SHLD-27\tdeclined", "can't be declined"),
    ("docs/requirements/notes.tsv", "MUST-51\tdeviation\tall\t", "MUST-51\tdeviation\tall\tno", "stale"),
    ("docs/rfc9293.md", "MUST-37", "MUST-73", "stale"),
]


def main():
    code, said = check(ROOT)
    if code != 0:
        print(said, file=sys.stderr)
        return 1
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder) / "tree"
        for part in ("src/runnel", "docs", "tests/story", "tests/unit", "tests/docs", "tests/simulation",
                     "tests/interop", "tests/matrix"):
            shutil.copytree(ROOT / part, tree / part)
        code, said = check(tree)
        if code != 0:
            print("the copied tree is not whole: what proves something lies elsewhere\n" + said, file=sys.stderr)
            return 1
        for name, old, new, complaint in PLANTED:
            path = tree / name
            kept = path.read_text()
            change(path, old, new)
            code, said = check(tree)
            path.write_text(kept)
            wanted = "is not what the sources say" if complaint == "stale" else complaint
            if code == 0 or wanted not in said:
                missed.append(f"{name}: {old!r} -> {new!r} was not found (looked for {wanted!r}): {said[:500]}")
        # A sixth deviation among the MUSTs is one too many.
        notes = tree / "docs/requirements/notes.tsv"
        more = "".join(f"MUST-{n}\tdeviation\trfc\tplanted by the test, for long enough\n" for n in (1, 2, 3))
        notes.write_text(notes.read_text() + more)
        code, said = check(tree)
        if code == 0 or "more than 5" not in said:
            missed.append("too many deviations were not found")
    for text in missed:
        print(text, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
