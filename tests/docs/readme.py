#!/usr/bin/env python3
"""README's ten commands run as they are printed there, one after the other in one shell in a private network, and
print what it shows, but for the numbers. In a block of ```console a line with "$ " is typed, the others are what
comes then, in order; "..." stands for any lines. A shown line may be the beginning of the real one."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("RUNNEL_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
RUNNEL = pathlib.Path(os.environ["RUNNEL"])


def walk():
    """(command, lines shown after it) of the section with the ten commands."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("\n## Ten commands") :]
    section = section[: section.index("\n## ", 5)]
    numbers = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", section, re.M)]
    assert numbers == list(range(1, 11)), f"numbered {numbers}"
    steps = []
    for block in re.findall(r"^```console\n(.*?)^```", section, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def gist(line):
    """Without what differs from run to run: numbers, digests, how much room a column takes, units of size and time."""
    line = re.sub(r"\b[0-9a-f]{16}…", "DIGEST", line)
    line = re.sub(r"\d[\d,.]*", "0", line)
    line = re.sub(r"[─▶◀]+", "-", line)
    line = re.sub(r"\b0 (?:ns|µs|ms|s|B|KiB|MiB|GiB)\b", "0 UNIT", line)
    return re.sub(r"\s+", " ", line).strip()


def compare(command, shown, printed):
    lines = [gist(line) for line in printed.splitlines()]
    place = 0  # other lines may stand between
    for line in shown:
        if line == "...":
            continue
        wanted = gist(line)
        found = next((i for i in range(place, len(lines)) if lines[i].startswith(wanted)), None)
        assert found is not None, f"`{command}` does not print\n  {line}\nbut\n{printed}"
        place = found + 1


def main():
    if shutil.which("unshare") is None:
        print("skipped: unshare is not installed")
        return 77
    flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True)
    if tried.returncode != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        print(f"skipped: no network namespaces or no TUN device here {tried.stderr.strip()}")
        return 77
    if shutil.which("curl") is None:
        print("skipped: curl is not installed")
        return 77
    steps = walk()
    runnel_steps = [command for command, _ in steps if "runnel" in command]
    assert len(runnel_steps) >= 10, f"{len(runnel_steps)} commands"
    mark = "@@@ %d %d @@@"
    script = "cd \"$1\"; ip link set lo up\n"
    for number, (command, _) in enumerate(steps):
        script += f"{command}\nprintf '\\n{mark}\\n' {number} $?\n"
    with tempfile.TemporaryDirectory(prefix="runnel-readme-") as name:
        shutil.copy(ROOT / "README.md", name)
        environment = {**os.environ, "PATH": f"{RUNNEL.parent}:{os.environ['PATH']}", "COLUMNS": "100"}
        done = subprocess.run(["unshare", *flags, "bash", "-c", script, "bash", name], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
                              timeout=120)  # fmt: skip
    pieces = re.split(r"\n@@@ (\d+) (\d+) @@@\n", done.stdout)
    assert len(pieces) == 3 * len(steps) + 1, f"the shell ended early:\n{done.stdout}"
    for number, (command, shown) in enumerate(steps):
        printed, code = pieces[3 * number], int(pieces[3 * number + 2])
        assert code == 0 or "kill" in command, f"`{command}` exits with {code}:\n{printed}"
        compare(command, shown, printed)
        print(f"ok $ {command}")
    return 0


sys.exit(main())
