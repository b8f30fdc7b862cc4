"""Warnings are errors on g++ 12 and clang++-19. g++'s part is the build itself. clang's part is
-fsyntax-only over every source, under the flags of the preset `clang`; or, where RUNNEL_LINT_CLANG
names another preset of clang's that is built anyway (CI: asan), that build."""

import concurrent.futures
import json
import os
import re
import shlex

from source import ROOT, relative, run


def _build(preset: str) -> list[str]:
    """The preset's whole build, going on past errors; its diagnostics are the findings."""
    result = run(["ninja", "-C", str(ROOT / "build" / preset), "-j", str(_jobs()), "-k", "0", "all"])
    if result.returncode == 0:
        return []
    return _diagnostics(result.stdout) or [f"the build of `{preset}` failed:\n{result.stdout[-2000:]}"]


def _diagnostics(output: str) -> list[str]:
    found = re.findall(r"^(?:\.\./\.\./)?(\S+:\d+):\d+: ((?:fatal )?error: .*)$", output, re.MULTILINE)
    return list(dict.fromkeys(f"{where.removeprefix(str(ROOT) + '/')}: {what}" for where, what in found))


def _jobs() -> int:
    return max(1, len(os.sched_getaffinity(0)))


def _syntax(entry: dict) -> list[str]:
    command = shlex.split(entry["command"])
    if "ccache" in command[0]:
        command = command[1:]
    at = command.index("-o")
    command = command[:at] + command[at + 2 :] + ["-fsyntax-only", "-fno-caret-diagnostics"]
    result = run(command, cwd=entry["directory"])
    if result.returncode == 0:
        return []
    source = relative(ROOT / entry["file"])
    return _diagnostics(result.stderr) or [f"{source}: {' '.join(result.stderr.split()[:60])}"]


def _syntax_only(preset: str) -> list[str]:
    database = ROOT / "build" / preset / "compile_commands.json"
    # A source that came since is in the database after the globs are looked at again.
    run(["ninja", "-C", str(database.parent), "build.ninja"])
    entries = json.loads(database.read_text())
    with concurrent.futures.ThreadPoolExecutor(_jobs()) as pool:
        found = [finding for findings in pool.map(_syntax, entries) for finding in findings]
    return list(dict.fromkeys(found))


def check(_arguments) -> list[str]:
    findings = [f"{finding} [g++]" for finding in _build("release")]
    built = os.environ.get("RUNNEL_LINT_CLANG")
    clang = _build(built) if built else _syntax_only("clang")
    return findings + [f"{finding} [clang++-19]" for finding in clang]
