#!/usr/bin/env python3
"""Runnel's lint: `./run lint [CHECK...] [--fix]`.

Without names, every check that decides over CI runs: rooms, sizes, coroutines, format, selftest,
compilers, symbols. `tidy` (clang-tidy over changed files, slow) runs only when it is named.
Each finding is one line, path:line: what is wrong and what to do. Exit code 0 clean, 1 findings, 2 usage.
"""

import argparse
import sys
import time

import compilers
import coroutines
import formatting
import rooms
import selftest
import sizes
import symbols
import tidy

CHECKS = {
    "rooms": (rooms.check, "a room includes only the rooms its row of DESIGN §3 allows"),
    "sizes": (sizes.check, "no file over 600 lines, no function over 70"),
    "coroutines": (coroutines.check, "no co_await inside ?:, &&, || or beside temporaries"),
    "format": (formatting.check, "clang-format-19"),
    "selftest": (selftest.check, "a defect planted for each check is caught"),
    "compilers": (compilers.check, "no warning on g++ and on clang++-19"),
    "symbols": (symbols.check, "no clock, socket, file, thread, chance or printing in the engine"),
    "tidy": (tidy.check, "clang-tidy-19 over changed files (only when named)"),
}


def main() -> int:
    listing = "\n".join(f"  {name:<11} {what}" for name, (_, what) in CHECKS.items())
    parser = argparse.ArgumentParser(
        prog="./run lint",
        description=f"Checks the tree. The checks:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="which (default: all but tidy)")
    parser.add_argument("--fix", action="store_true", help="format: write the result")
    parser.add_argument("--tidy", action="store_true", help="run tidy too")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.checks if name not in CHECKS]
    if unknown:
        parser.error(f"no check named {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    names = arguments.checks or [name for name in CHECKS if name != "tidy"]
    if arguments.tidy and "tidy" not in names:
        names.append("tidy")

    failed = []
    for name in names:
        begin = time.monotonic()
        findings = CHECKS[name][0](arguments)
        for finding in findings:
            print(finding)
        verdict = f"{len(findings)} finding{'s' * (len(findings) != 1)}" if findings else "clean"
        print(f"lint: {name:<11} {verdict} ({time.monotonic() - begin:.1f} s)", flush=True)
        if findings:
            failed.append(name)
    if failed:
        print(f"lint: failed: {', '.join(failed)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
