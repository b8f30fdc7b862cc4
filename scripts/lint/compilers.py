"""Warnings are errors on g++ 12 and clang++-19. g++'s part is the build itself. clang's is done when the
sanitizer build (which is clang's too) is there and up to date, as in CI; otherwise every source is
checked with -fsyntax-only, under the flags of the preset `clang`."""

import concurrent.futures
import json
import os
import re
import shlex

from source import ROOT, relative, run


def _up_to_date(preset: str) -> bool:
    directory = ROOT / "build" / preset
    if not (directory / "build.ninja").exists():
        return False
    return "no work to do" in run(["ninja", "-C", str(directory), "-n", "all"]).stdout


def _build(preset: str) -> list[str]:
    """The preset's whole build, going on past errors; its diagnostics are the findings."""
    if _up_to_date(preset):
        return []
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
    if not (_up_to_date("asan") or _up_to_date("clang")):
        findings += [f"{finding} [clang++-19]" for finding in _syntax_only("clang")]
    return findings
