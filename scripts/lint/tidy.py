"""clang-tidy-19 with the tree's .clang-tidy, over the C++ sources that differ from main's last commit
(tracked or not), or from the base that RUNNEL_TIDY_BASE names. Minutes for the whole tree, so only on
demand: `./run lint tidy`."""

import concurrent.futures
import os
import re

from source import ROOT, run


def check(_arguments) -> list[str]:
    base = os.environ.get("RUNNEL_TIDY_BASE", "HEAD")
    changed = run(["git", "diff", "--name-only", base], cwd=ROOT).stdout.split()
    changed += run(["git", "ls-files", "--others", "--exclude-standard"], cwd=ROOT).stdout.split()
    sources = [path for path in changed if path.endswith(".cpp") and (ROOT / path).exists()]

    def tidy(path: str) -> str:
        return run(["clang-tidy-19", "--quiet", "-p", str(ROOT / "build" / "clang"), path], cwd=ROOT).stdout

    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        output = "".join(pool.map(tidy, sources))
    found = re.findall(r"^(\S+:\d+):\d+: ((?:error|warning): .*)$", output, re.MULTILINE)
    return list(dict.fromkeys(f"{where.removeprefix(str(ROOT) + '/')}: {what}" for where, what in found))
