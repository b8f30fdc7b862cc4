"""clang-format-19 with the tree's .clang-format; `--fix` writes the result."""

import re

from source import ROOT, cpp_files, relative, run

FORMATTER = "clang-format-19"


def check(arguments) -> list[str]:
    files = [str(path) for path in cpp_files()]
    if not files:
        return []
    if arguments.fix:
        result = run([FORMATTER, "-i", *files], cwd=ROOT)
        return [result.stderr] if result.returncode else []
    findings = {}
    for begin in range(0, len(files), 100):
        result = run([FORMATTER, "--dry-run", *files[begin : begin + 100]], cwd=ROOT)
        for match in re.finditer(r"^(/[^:\n]+):(\d+):\d+: warning", result.stderr, re.MULTILINE):
            findings.setdefault(match[1], match[2])
    return [
        f"{relative(ROOT / path)}:{line}: differs from .clang-format (./run lint format --fix)"
        for path, line in sorted(findings.items())
    ]
