#!/usr/bin/env python3
"""Writes docs/rfc9293.md and docs/requirements.md: each numbered requirement with the code that carries it
out, the test that would fail if it did not, and the decisions that show it.

The truth is in the sources. A comment in a function of src/runnel, or right above it, that names a
requirement (`// RFC 9293 §3.8.4, MUST-26`, `// 7323-M3`) is its code; a line `// Proves: MUST-26, SHLD-12` in
the comment right above a TEST (or in the head of a script in tests/) is its test. What the requirements are
stands in docs/requirements/*.tsv, and why one is not (or not everywhere) met in docs/requirements/notes.tsv.

With --check nothing is written: it exits 1 when a page is stale. In both cases it exits 1 when a requirement
has no code, no test and no reason, when something cites what doesn't exist, or when there are too many
deviations. --root DIR looks at another tree."""

import argparse
import collections
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE / "scripts/lint"))
from sizes import functions  # noqa: E402

# The model is a second opinion and the report writes what it is told: neither carries anything out.
ROOMS = ("wire", "ip", "tcp", "udp", "host", "socket", "asio", "link")
MAX_MUST_DEVIATIONS = 5
PROFILES = ("modern", "linux", "rfc")
KINDS = {
    "deviation": "not met, for the reason given",
    "application": "addressed to the application, not to TCP",
    "declined": "a MAY that is not taken",
    "limit": "met, up to a limit that keeps the host alive",
}
ID = re.compile(r"\b(?:(?:MUST|SHLD|MAY|REC)-\d+|\d{4}-M\d+)\b")
NOTE = "<!-- Made by scripts/docs/ledger.py from the sources and docs/requirements/; run ./run docs after a change. -->\n"


class Ledger:
    def __init__(self, root: pathlib.Path):
        self.root = root
        self.errors: list[str] = []
        self.rows: dict[str, dict] = {}
        self.code = collections.defaultdict(list)
        self.tests = collections.defaultdict(list)
        self.decisions = collections.defaultdict(list)
        self.notes = collections.defaultdict(list)
        self.read_requirements()
        self.read_notes()
        self.read_decisions()
        for room in ROOMS:
            for path in sorted((root / "src/runnel" / room).rglob("*.[ch]pp")):
                self.read_source(path)
        for path in sorted((root / "tests").rglob("*")):
            if path.suffix in (".cpp", ".hpp"):
                self.read_test(path)
            elif path.suffix in (".py", ".sh") and not path.name.startswith("_"):
                self.read_script(path)

    def fault(self, text: str):
        self.errors.append(text)

    def name(self, path: pathlib.Path) -> str:
        return str(path.relative_to(self.root))

    def known(self, identifier: str, where: str) -> bool:
        if identifier not in self.rows:
            self.fault(f"{where}: there is no requirement {identifier}")
        return identifier in self.rows

    # --- tables -------------------------------------------------------------------------------------

    def read_requirements(self):
        """RFC 9293's list has a row for each feature of appendix B; some features share a number."""
        for line in (self.root / "docs/requirements/rfc9293.tsv").read_text().splitlines()[1:]:
            identifier, level, group, feature, section = (line + "\t\t\t").split("\t")[:5]
            row = self.rows.setdefault(identifier, {
                "rfc": "9293", "level": self.level(identifier, level), "group": group,
                "features": [], "section": ""})
            row["features"].append(feature.rstrip(":").replace("ALP^1", "ALP"))
            row["section"] = row["section"] or section
        for line in (self.root / "docs/requirements/others.tsv").read_text().splitlines()[1:]:
            parts = line.split("\t")
            if len(parts) != 3 or not re.fullmatch(r"\d{4}-M\d+", parts[0]):
                self.fault(f"docs/requirements/others.tsv: not ID, section, requirement: {line}")
                continue
            self.rows[parts[0]] = {"rfc": parts[0][:4], "level": "MUST", "group": "",
                                   "features": [parts[2]], "section": parts[1]}

    @staticmethod
    def level(identifier: str, written: str) -> str:
        """The number's own word where appendix B's table has another one (SHLD-25, MAY-5, MAY-10, MAY-11)."""
        word = {"MUST": "MUST", "SHLD": "SHOULD", "MAY": "MAY", "REC": "SHOULD"}[identifier.split("-")[0]]
        return written if written.startswith(word) else word

    def read_notes(self):
        for line in (self.root / "docs/requirements/notes.tsv").read_text().splitlines()[1:]:
            parts = line.split("\t")
            if len(parts) != 4 or parts[1] not in KINDS or len(parts[3]) < 20:
                self.fault(f"docs/requirements/notes.tsv: not ID, kind, profiles, reason: {line}")
                continue
            identifier, kind, profiles, reason = parts
            if not self.known(identifier, "docs/requirements/notes.tsv"):
                continue
            wanted = PROFILES if profiles == "all" else tuple(profiles.split(","))
            if any(p not in PROFILES for p in wanted):
                self.fault(f"docs/requirements/notes.tsv: {identifier}: no such profile: {profiles}")
            if kind == "declined" and not identifier.startswith("MAY"):
                self.fault(f"docs/requirements/notes.tsv: {identifier} is no MAY and can't be declined")
            self.notes[identifier].append((kind, wanted, reason))

    def read_decisions(self):
        for name in ("decisions_ip.def", "decisions_tcp.def"):
            text = (self.root / "src/runnel/observe" / name).read_text()
            for decision, clause in re.findall(
                    r'RUNNEL_DECISION\((\w+), \w+,\s*"[^"]*",\s*"([^"]*)"\)', text, re.S):
                for identifier in ID.findall(clause):
                    if self.known(identifier, f"{name}: {decision}"):
                        self.decisions[identifier].append(decision)

    # --- sources ------------------------------------------------------------------------------------

    def read_source(self, path: pathlib.Path):
        text = path.read_text()
        if not ID.search(text):
            return
        lines = text.split("\n")
        places = functions(text)
        for number, line in enumerate(lines, 1):
            at = line.find("//")
            if at < 0:
                continue
            for identifier in ID.findall(line[at:]):
                where = f"{self.name(path)}:{number}"
                if not self.known(identifier, where):
                    continue
                function = self.function_at(lines, places, number)
                if function is None:
                    continue  # a declaration tells what is done elsewhere
                place = (self.name(path), function)
                if place not in self.code[identifier]:
                    self.code[identifier].append(place)

    @staticmethod
    def function_at(lines, places, number):
        """The function that line `number` lies in, or that begins right below its comment."""
        for name, first, count in places:
            if first <= number < first + count:
                return name
        below = number
        while below <= len(lines) and lines[below - 1].lstrip().startswith("//"):
            below += 1
        for name, first, _ in places:
            if first == below and below > number:
                return name
        return None

    def read_test(self, path: pathlib.Path):
        text = path.read_text()
        if "Proves:" not in text:
            return
        lines = text.split("\n")
        tests = {first: name for name, first, _ in functions(text) if "." in name}
        for number, line in enumerate(lines, 1):
            match = re.match(r"\s*// Proves: (.*)$", line)
            if not match:
                if "Proves:" in line:
                    self.fault(f"{self.name(path)}:{number}: a line `// Proves: …` stands alone")
                continue
            below = number
            ids = match.group(1)
            while below < len(lines) and lines[below].lstrip().startswith("//"):
                if lines[below - 1].rstrip().endswith(","):
                    ids += " " + lines[below]
                below += 1
            test = tests.get(below + 1)
            where = f"{self.name(path)}:{number}"
            if test is None:
                self.fault(f"{where}: no TEST begins right below what is said to prove {ids}")
                continue
            self.take_proof(ids, where, (self.name(path), test))

    def read_script(self, path: pathlib.Path):
        for number, line in enumerate(path.read_text().split("\n")[:40], 1):
            match = re.match(r"# Proves: (.*)$", line)
            if match:
                self.take_proof(match.group(1), f"{self.name(path)}:{number}", (self.name(path), ""))

    def take_proof(self, ids: str, where: str, place):
        found = ID.findall(ids)
        if not found:
            self.fault(f"{where}: it names no requirement")
        for identifier in found:
            if self.known(identifier, where) and place not in self.tests[identifier]:
                self.tests[identifier].append(place)

    # --- verdict ------------------------------------------------------------------------------------

    def check(self):
        for identifier, row in self.rows.items():
            notes = self.notes[identifier]
            everywhere = {p for kind, profiles, _ in notes if kind != "limit" for p in profiles} >= set(PROFILES)
            if everywhere:
                continue
            if not self.code[identifier]:
                self.fault(f"{identifier} ({'; '.join(row['features'])}): no code cites it, and no note says why")
            if not self.tests[identifier]:
                self.fault(f"{identifier} ({'; '.join(row['features'])}): no test proves it, and no note says why")
        deviations = self.must_deviations()
        if len(deviations) > MAX_MUST_DEVIATIONS:
            self.fault(f"{len(deviations)} deviations among the MUSTs of RFC 9293, more than "
                       f"{MAX_MUST_DEVIATIONS}: {', '.join(deviations)}")

    def must_deviations(self):
        return [i for i, row in self.rows.items() if row["rfc"] == "9293" and i.startswith("MUST")
                and any(kind == "deviation" for kind, _, _ in self.notes[i])]

    # --- pages --------------------------------------------------------------------------------------

    @staticmethod
    def places(found) -> str:
        # In docs/, so one level up; a header's declaration and its definition often share a name.
        return "<br>".join(f"[{path.rsplit('/', 1)[-1]}](../{path})" + (f" `{name}`" if name else "")
                           for path, name in found)

    def note_of(self, identifier: str) -> str:
        texts = []
        for kind, profiles, reason in self.notes[identifier]:
            of = "" if len(profiles) == len(PROFILES) else f" (profile {', '.join(profiles)})"
            texts.append(f"**{kind}**{of}: {reason}")
        return "<br>".join(texts)

    def table(self, identifiers, decisions: bool) -> str:
        out = ["| | requirement | § | code | test |" + (" decision |" if decisions else "") + "\n",
               "| --- | --- | --- | --- | --- |" + (" --- |" if decisions else "") + "\n"]
        for i in identifiers:
            row = self.rows[i]
            features = "; ".join(dict.fromkeys(row["features"]))
            head = f"{row['level']}: {features}" if decisions else features
            note = self.note_of(i)
            cells = [f"**{i}**", head + (f"<br>{note}" if note else ""), row["section"],
                     self.places(self.code[i]), self.places(self.tests[i])]
            if decisions:
                cells.append("<br>".join(f"`{d}`" for d in self.decisions[i]))
            out.append("| " + " | ".join(cells) + " |\n")
        return "".join(out)

    def rfc9293(self) -> str:
        mine = [i for i, row in self.rows.items() if row["rfc"] == "9293"]
        count = collections.Counter(i.split("-")[0] for i in mine)
        deviations = [i for i in mine if any(k == "deviation" for k, _, _ in self.notes[i])]
        musts = self.must_deviations()
        out = ["# RFC 9293, clause by clause\n", NOTE, "\n",
               f"The {len(mine)} numbered requirements of RFC 9293 (its appendix B): {count['MUST']} MUST, "
               f"{count['SHLD']} SHOULD, {count['MAY']} MAY, {count['REC']} recommended. Each stands here with the "
               "code that carries it out, a test that fails without it, and the names of the decisions in which it "
               "shows. *ALP* is the RFC's word for the application. A test in CI fails when a row has lost one of "
               "them.\n\n",
               f"Deviations: {len(musts)} of the MUSTs ({', '.join(musts) or 'none'}), "
               f"{len(deviations) - len(musts)} others "
               f"({', '.join(i for i in deviations if i not in musts) or 'none'}). "
               "Where a profile is named (`--profile`), the others meet the requirement.\n"]
        groups = dict.fromkeys(self.rows[i]["group"] for i in mine)
        for group in groups:
            out.append(f"\n## {group.replace('ALP^1', 'ALP')}\n\n")
            out.append(self.table([i for i in mine if self.rows[i]["group"] == group], True))
        return "".join(out)

    def others(self) -> str:
        rfcs = dict.fromkeys(row["rfc"] for row in self.rows.values() if row["rfc"] != "9293")
        out = ["# The MUSTs of the RFCs beside RFC 9293\n", NOTE, "\n",
               "These RFCs don't number their requirements; the numbers are ours "
               "(docs/requirements/others.tsv), in the order of the text. "
               "For RFC 9293 itself see [rfc9293.md](rfc9293.md).\n"]
        for rfc in rfcs:
            out.append(f"\n## RFC {rfc}\n\n")
            out.append(self.table([i for i, row in self.rows.items() if row["rfc"] == rfc], False))
        return "".join(out)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--check", action="store_true", help="write nothing; a stale page is an error")
    arguments.add_argument("--root", type=pathlib.Path, default=HERE)
    given = arguments.parse_args()
    ledger = Ledger(given.root)
    ledger.check()
    for name, text in (("rfc9293.md", ledger.rfc9293()), ("requirements.md", ledger.others())):
        path = given.root / "docs" / name
        if not given.check:
            path.write_text(text)
            print(f"docs/{name}")
        elif not path.exists() or path.read_text() != text:
            ledger.fault(f"docs/{name} is not what the sources say; run ./run docs and commit it")
    for error in ledger.errors:
        print(f"ledger: {error}", file=sys.stderr)
    return 1 if ledger.errors else 0


if __name__ == "__main__":
    sys.exit(main())
