"""Plays scripts with differential_runner and compares; prints, shrinks, and confirms what differs."""

import json
import os
import pathlib
import subprocess
import sys
import tomllib

import _compare
import _generate

HERE = pathlib.Path(__file__).resolve().parent
SKIP = 77


def runner():
    beside = os.environ.get("RUNNEL")
    candidates = [pathlib.Path(beside).parent / "tests" / "differential_runner"] if beside else []
    candidates += [HERE.parents[1] / "build" / preset / "tests" / "differential_runner"
                   for preset in ("release", "clang", "debug")]
    for path in candidates:
        if path.exists():
            return path
    sys.exit("differential_runner isn't built: ./run test builds it, or ninja -C build/release differential_runner")


def table():
    with open(HERE / "differences.toml", "rb") as file:
        return tomllib.load(file)


def classes():
    return [_compare.Class(row) for row in table()["difference"]]


def table_kernel():
    """The Linux whose differences the table holds: another release may have others."""
    return table()["kernel"]


def play(scripts, side="kernel", settings=()):
    """{id: (outcome of `side`, outcome of Runnel in virtual time)} of scripts {id: (lines, v6)}."""
    text = "".join(_generate.text(number, lines, v6) for number, (lines, v6) in scripts.items())
    command = [str(runner()), side]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=900)
    if done.returncode == SKIP:
        print("skipped:", done.stderr.strip())
        sys.exit(SKIP)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        sys.exit(f"differential_runner: exit {done.returncode}")
    outcomes = {}
    for line in done.stdout.splitlines():
        outcome = json.loads(line)
        outcomes.setdefault(outcome["id"], []).append(outcome)
    return {number: tuple(pair) for number, pair in outcomes.items()}


def judge(lines, pair, rows):
    return _compare.classify(_compare.compare(lines, *pair), rows)


def draw(seed, count):
    """Every fifth script is over IPv6."""
    return {n: (_generate.draw(seed, n), n % 5 == 4) for n in range(count)}


def unclassified(judged):
    return [d for d, c in judged if c is None]


def signature(d):
    return tuple(str(d.get(name)) for name in ("kind", "field", "packet", "flags", "step", "in", "state"))


def confirm(scripts, suspects, table, settings=(), tries=3):
    """A difference counts when it comes again: the machine may have been busy for longer than a timer. Each try
    plays all suspects anew; those that once agree are dropped. {id: judged}."""
    for _ in range(tries):
        if not suspects:
            break
        outcomes = play({n: scripts[n] for n in suspects}, settings=settings)
        judged = {n: judge(scripts[n][0], outcomes[n], table) for n in suspects}
        suspects = {n: j for n, j in judged.items() if unclassified(j)}
    return suspects


def shrink(lines, v6, difference, table, settings=()):
    """The shortest script found whose unclassified difference is of the same kind."""
    wanted = signature(difference)

    def fails(candidates):
        outcomes = play({i: (c, v6) for i, c in enumerate(candidates)}, settings=settings)
        good = []
        for i, c in enumerate(candidates):
            if any(signature(d) == wanted for d in unclassified(judge(c, outcomes[i], table))):
                good.append(c)
        return good

    while True:
        smaller = fails([lines[:i] + lines[i + 1:] for i in range(len(lines))])
        if not smaller:
            return lines
        # The one that drops the most of the end, so that each round gets shorter by as much as it can.
        lines = min(smaller, key=lambda c: (len(c), len("".join(c))))


def listing(lines, pair, judged=(), width=84):
    """Both traces side by side, with what was found at each step."""
    out = []
    marks = {}
    for d, c in judged:
        marks.setdefault(d["index"], []).append(f"{c.id if c else 'UNCLASSIFIED'}: {describe(d)}")
    for i, line in enumerate(lines):
        sides = [outcome["steps"][i] for outcome in pair]
        at = sides[0]["at"] / 1000
        out.append(f"{at:9.1f} ms  {line}")
        columns = []
        for step in sides:
            column = [f"= {step['result']}"] if step["result"] else []
            column += [f"+{(p['t'] - step['at']) / 1000:.1f} {_compare.show(p)}" for p in step["packets"]]
            s = step["status"]
            column.append("  ".join(str(s[name]) for name in ("state", "poll", "inq", "timer", "ca") if name in s))
            columns.append(column)
        for n in range(max(map(len, columns))):
            left, right = (c[n] if n < len(c) else "" for c in columns)
            out.append(f"      {left:<{width}} | {right}")
        for d in marks.get(i, []):
            out.append("   >>> " + d)
    return "\n".join(out)


def describe(d):
    hide = {"history", "line", "kshown", "rshown", "shown", "index", "t"}
    first = ("kind", "field", "k", "r", "packet", "flags")
    words = [f"{k}={d[k]}" for k in first if d.get(k) not in ("", None)]
    return " ".join(words + [f"{k}={v}" for k, v in d.items() if k not in hide and k not in first and v not in ("", None)])
