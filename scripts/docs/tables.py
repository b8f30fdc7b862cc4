#!/usr/bin/env python3
"""Writes docs/decisions.md, states.md, differences.md and sim_checkers.md from the tables in the sources, which alone are true.

With --check nothing is written: it exits 1 when a page differs from what it would write."""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTE = "<!-- Made by scripts/docs/tables.py from {}; run ./run docs after a change. -->\n"

KINDS = {
    "accept": "Arriving packets that are taken",
    "drop": "Arriving packets, or parts of them, that are thrown away",
    "transmit": "Sent",
    "hold": "Could have been sent, and was not",
    "note": "Noted: state changes, timers, what was learnt",
}


def decisions() -> str:
    rows = []
    pattern = re.compile(r'RUNNEL_DECISION\((\w+), (\w+),\s*"([^"]*)",\s*"([^"]*)"\)', re.S)
    for name in ("decisions_ip.def", "decisions_tcp.def"):
        text = (ROOT / "src/runnel/observe" / name).read_text()
        found = pattern.findall(text)
        if len(found) != len(re.findall(r"^RUNNEL_DECISION\(", text, re.M)):
            sys.exit(f"{name}: an entry has not the form NAME, KIND, \"sentence\", \"clause\"")
        rows += found
    out = ["# Decisions\n", NOTE.format("src/runnel/observe/decisions_*.def")]
    out.append("Everything that Runnel takes, drops, sends or holds back has one of these names. Captures,\n"
               f"ladders, counters and tests speak of it by that name. There are {len(rows)}.\n")
    for kind, title in KINDS.items():
        out.append(f"\n## {title}\n\n| name | what it says | clause |\n| --- | --- | --- |\n")
        out += [f"| `{n}` | {s} | {c} |\n" for n, k, s, c in rows if k == kind]
    return "".join(o if o.endswith("\n") else o + "\n" for o in out)


def states() -> str:
    text = (ROOT / "src/runnel/tcp/state.hpp").read_text()
    names = re.findall(r'"([A-Z0-9-]+)"', text[text.index("kStateNames"):text.index("to_string(State")])
    enum = re.findall(r"^    (\w+),$", text[text.index("enum class State"):text.index("kStateCount")], re.M)
    label = dict(zip(enum, names))
    arrows = re.findall(r'Transition\{\s*State::(\w+),\s*State::(\w+),\s*"([^"]*)"\s*\}', text)
    if len(arrows) != text.count("Transition{"):
        sys.exit("state.hpp: a transition has not the form Transition{from, to, cause}")
    out = ["# The states of a connection\n", NOTE.format("src/runnel/tcp/state.hpp"),
           "RFC 9293 §3.3.2. A change that is not in this table cannot happen: the engine checks it.\n",
           "\n```mermaid\nstateDiagram-v2\n    direction TB\n"]
    ids = {s: s.upper() for s in enum}
    out += [f"    {ids[s]} : {label[s]}\n" for s in enum]
    out += [f"    {ids[a]} --> {ids[b]} : {c}\n" for a, b, c in arrows]
    out.append("```\n\n| from | to | when |\n| --- | --- | --- |\n")
    out += [f"| {label[a]} | {label[b]} | {c} |\n" for a, b, c in arrows]
    return "".join(out)


VERDICTS = {
    "right": "Runnel follows the RFC",
    "choice": "Both may",
    "later": "A later issue of Runnel brings the kernel's behaviour",
}


def differences() -> str:
    table = "tests/differential/differences.toml"
    content = tomllib.loads((ROOT / table).read_text())
    rows = content["difference"]
    out = ["# Differences from Linux\n", NOTE.format(table)]
    out.append(f"Scripts drawn by chance are played on the kernel of Linux {content['kernel']} and on Runnel (profile `linux`), and what both\n"
               "do is compared ([how](../tests/differential/README.md)). Each difference seen belongs to one of these\n"
               f"{len(rows)} classes; another fails the test. The table holds each class's predicate.\n")
    for verdict, title in VERDICTS.items():
        out.append(f"\n## {title}\n\n| class | Linux | Runnel | clause |\n| --- | --- | --- | --- |\n")
        out += [f"| `{r['id']}` | {r['linux']} | {r['runnel']} | {r['clause']} |\n"
                for r in rows if r["verdict"] == verdict]
    if any(r["verdict"] not in VERDICTS for r in rows):
        sys.exit(f"{table}: a verdict is none of {', '.join(VERDICTS)}")
    return "".join(out)


def sim_checkers() -> str:
    table, tests = "src/runnel/sim/checks.def", "tests/unit/sim/checkers_test.cpp"
    checks = re.findall(r'RUNNEL_CHECKER\((\w+), "([^"]*)"\)', (ROOT / table).read_text())
    plants = re.findall(r'\{Check::(\w+),\s*"([^"]*)"', (ROOT / tests).read_text())
    suspended = {}
    names = (ROOT / "src/runnel/sim/names.cpp").read_text()
    for case in re.split(r"case Suspension::", names)[1:]:
        for check in re.findall(r"add\(Check::(\w+)\)", case):
            suspended.setdefault(check, []).append(re.match(r"\w+", case).group(0))
    kinds = re.findall(r"RUNNEL_FAULT\((\w+), \w+, (\w+),", (ROOT / "src/runnel/sim/fault_kinds.def").read_text())
    out = ["# What the simulated world checks\n", NOTE.format(f"{table} and {tests}"),
           "After every event of a simulated world (`runnel sim`) these hold, for each connection that the event has\n"
           "touched; whole tables are gone over every 64th time a host settles, and at rest. Each checker has a defect\n"
           f"planted on purpose that it catches ([the test](../{tests})). A fault suspends a checker for the flows\n"
           "that it can touch only where this table says so.\n",
           "\n| checker | what holds | planted defect that it catches | suspended by |\n| --- | --- | --- | --- |\n"]
    for name, sentence in checks:
        defects = "; ".join(what for check, what in plants if check == name)
        if not defects:
            sys.exit(f"{tests}: {name} has no planted defect")
        faults = ", ".join(f"`{kind}`" for kind, cls in kinds if cls in suspended.get(name, []))
        out.append(f"| `{name}` | {sentence} | {defects} | {faults} |\n")
    out.append("\n## Liveness\n\n"
               "`completion` states a bound, `check::liveness_bound(scenario)`: the moment at which the last fault has\n"
               "healed, and from there on giving up (R2, 15 tries: 925 s, or 1,207 s with profile `rfc`), a greatest RTO\n"
               "late, keep-alive's patience of 240 s at the other end, another greatest RTO of 120 s, and what the flows\n"
               "themselves take: their pauses, their round trips with full queues, their octets on the slowest line eight\n"
               "times over. By then each flow is over, or its user has been told why not.\n")
    return "".join(out)


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = 0
    for name, text in (("decisions.md", decisions()), ("states.md", states()),
                       ("differences.md", differences()), ("sim_checkers.md", sim_checkers())):
        path = ROOT / "docs" / name
        if check:
            if not path.exists() or path.read_text() != text:
                print(f"docs/{name} is not what the sources say; run ./run docs and commit it", file=sys.stderr)
                stale = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"docs/{name}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
