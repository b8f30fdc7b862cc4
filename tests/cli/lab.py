#!/usr/bin/env python3
"""`runnel lab` as a command: the list and each lesson as text and as data, captures, errors; docs/lab.md is what it
says."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

RUNNEL = os.environ["RUNNEL"]
ROOT = pathlib.Path(os.environ["RUNNEL_SOURCE"])


def lab(*arguments, code=0, **options):
    done = subprocess.run([RUNNEL, "lab", *arguments], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == code, f"lab {arguments}: exit {done.returncode}, wanted {code}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def main():
    listed = json.loads(lab("--json"))
    names = [one["name"] for one in listed]
    assert len(names) >= 18 and len(set(names)) == len(names), names
    lines = lab().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == names, lines

    played = [json.loads(line) for line in lab("--all", "--json").splitlines()]
    assert [one["name"] for one in played] == names
    for one in played:
        for way in ("with", "without"):
            assert one[way]["facts"] and one[way]["segments"], f"{one['name']} {way}"
            states = [segment["states"] for segment in one[way]["segments"] if "states" in segment]
            assert any(state["left"] for state in states), one["name"]
            # Of an end that is never heard of, nobody can tell.
            assert any(state["right"] for state in states) or (one["name"], way) == ("lost-syn", "without"), one["name"]
        assert one["with"]["facts"] != one["without"]["facts"], one["name"]

    text = lab("old-duplicate-syn", "--width", "100")
    for wanted in ("WITH THE RULE.", "WITHOUT IT.", "SYN-RECEIVED", "tcp_accept_rst", "orders the server carried out"):
        assert wanted in text, f"{wanted!r} is not in\n{text}"
    assert "\x1b[" not in text and "\x1b[" in lab("old-duplicate-syn", "--color", "always")
    assert text == lab("old-duplicate-syn", "--width", "100"), "it is not the same each time"
    every = lab("--all")
    assert all(f"{name} — " in every for name in names)

    with tempfile.TemporaryDirectory(prefix="runnel-lab-") as folder:
        capture = os.path.join(folder, "lesson.pcapng")
        lab("time-wait", "-w", capture)
        drawn = subprocess.run([RUNNEL, "ladder", capture], capture_output=True, text=True, timeout=60)
        assert drawn.returncode == 0 and "PAWS" not in drawn.stderr, drawn.stderr
        assert "10.0.1.1:40000" in drawn.stdout and "10.0.2.1:40000" in drawn.stdout, drawn.stdout
        assert "can't write" in lab("time-wait", "-w", folder, code=1)

    assert "runnel lab" in lab("no-such-lesson", code=2)
    lab("sack", "--all", code=2)
    lab("-w", "/tmp/never", code=2)
    assert not os.path.exists("/tmp/never")

    subprocess.run([sys.executable, ROOT / "scripts/docs/lessons.py", "--check"], check=True,
                   env={**os.environ, "RUNNEL": RUNNEL})  # fmt: skip


main()
