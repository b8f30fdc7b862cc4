"""What the tests of scripts/mutate share: the tree, the build they run in, and when they make no sense."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("RUNNEL_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path.cwd().parent if (pathlib.Path.cwd().parent / "build.ninja").exists() else ROOT / "build/release"
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True


def skip(reason: str):
    print(f"skipped: {reason}")
    sys.exit(77)


def need_plain_build():
    """Instrumented builds are for other questions, and much slower at this one."""
    cache = (BUILD / "CMakeCache.txt").read_text() if (BUILD / "CMakeCache.txt").exists() else ""
    if not (BUILD / "tests" / "unit_tcp").exists():
        skip(f"the test programs are not built in {BUILD}")
    if re.search(r"^RUNNEL_SANITIZE:\w+=.", cache, re.M) or re.search(r"^RUNNEL_COVERAGE:\w+=ON", cache, re.M):
        skip("an instrumented build: mutants are tried in a plain one")


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "scripts/mutate"), "--build", str(BUILD), *arguments]


def mutate(*arguments: str) -> int:
    return subprocess.run(command(*arguments)).returncode
