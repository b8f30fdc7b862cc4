#!/usr/bin/env python3
"""Writes docs/lab.md: every lesson of `runnel lab` with what it claims and what it comes to, as the program says
itself. With --check nothing is written: it exits 1 when the page is stale. The program is $RUNNEL."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/lab.md"
HEAD = """<!-- Made by scripts/docs/lessons.py from `runnel lab`; run ./run docs after a change. -->
# The lab

What tutorials say of TCP, as scenarios that run: `runnel lab` lists them, `runnel lab NAME` plays one twice in virtual
time, with the rule and with it broken, and draws both ladders; `-w FILE` keeps both captures, `--json` gives
the run as data. Where the rule is right both ends are Runnel, unless the text says otherwise. Where it is broken one
end is a toy, a TCP of some 400 lines whose one bad habit is the lesson (`src/runnel/lab/toy.cpp`), or something
on the wire, or an option that is switched off: the engine itself has no switch for being wrong.

"""


def lessons():
    done = subprocess.run([os.environ["RUNNEL"], "lab", "--all", "--json"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def page():
    found = lessons()
    parts = [HEAD, "| lesson | |\n| --- | --- |\n"]
    parts += [f"| [`{one['name']}`](#{one['name']}) | {cell(one['title'])} |\n" for one in found]
    for one in found:
        rows = [f"| {cell(name)} | {cell(value)} | {cell(one['without']['facts'][name])} |\n"
                for name, value in one["with"]["facts"].items()]  # fmt: skip
        parts.append(
            f"\n## {one['name']}\n\n{one['title']}. {one['clause']}.\n\n> {one['claim']}\n\n"
            f"- With the rule: {one['with']['what']}.\n- Without it: {one['without']['what']}.\n\n"
            f"| | with the rule | without it |\n| --- | --- | --- |\n{''.join(rows)}\n{one['see']}\n"
        )
    return "".join(parts)


def main():
    if "RUNNEL" not in os.environ:
        sys.exit("lessons.py: RUNNEL does not name the program")
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/lab.md is not what `runnel lab` says: run ./run docs", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text)
    return 0


sys.exit(main())
