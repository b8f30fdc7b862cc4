#!/usr/bin/env python3
"""Chooses fuzz/corpus/<target> anew from what is known: the present corpus, the seeds of fuzz/make_seeds.py, and
what ./run fuzz has learnt in build/fuzz/corpus. Of all inputs below 2 KB the seeds stay, and those that show
most features not shown yet; at most MOST_FILES."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

MOST_FILES, MOST_SEEDS, MOST_BYTES = 58, 42, 2047
ROOT = pathlib.Path(__file__).resolve().parents[1]


def features(target: str, inputs: pathlib.Path, work: pathlib.Path) -> dict[str, set[int]]:
    """What libFuzzer's merge notes of each input: its features, by file."""
    control, merged = work / "control", work / "merged"
    merged.mkdir()
    command = [ROOT / f"build/fuzz/fuzz/fuzz_{target}", "-set_cover_merge=1", f"-merge_control_file={control}",
               merged, inputs]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = control.read_text().splitlines()
    files = [line for line in lines if line.startswith("/")]
    found: dict[str, set[int]] = {}
    for line in lines:
        words = line.split()
        if words and words[0] == "FT":
            found.setdefault(files[int(words[1])], set()).update(map(int, words[2:]))
    return found


def choose(found: dict[str, set[int]]) -> list[str]:
    """Seeds first, as each is there for a reason; then what shows most that is new."""
    chosen: list[str] = []
    seen: set[int] = set()
    for seeds, most in ((True, MOST_SEEDS), (False, MOST_FILES)):
        rest = {f: shown for f, shown in found.items() if pathlib.Path(f).name.startswith("seed-") == seeds}
        while rest and len(chosen) < most:
            # Of equals the shorter, then the first by name.
            best = min(rest, key=lambda f: (-len(rest[f] - seen), pathlib.Path(f).stat().st_size, f))
            shown = rest.pop(best)
            if not seeds and not shown - seen:
                break
            chosen.append(best)
            seen |= shown
    return chosen


def minimise(target: str) -> None:
    corpus = ROOT / "fuzz/corpus" / target
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        inputs = work / "inputs"
        inputs.mkdir()
        seeds = work / "seeds"
        subprocess.run([sys.executable, ROOT / "fuzz/make_seeds.py", seeds], check=True)
        for folder in (corpus, ROOT / "build/fuzz/corpus" / target, seeds / target):
            for path in sorted(folder.glob("*")):
                if path.name.startswith("seed-") and folder.parent != seeds:
                    continue  # of an older script, perhaps
                if path.stat().st_size <= MOST_BYTES:
                    shutil.copy(path, inputs / path.name)
        chosen = choose(features(target, inputs, work))
        corpus.mkdir(parents=True, exist_ok=True)
        for old in corpus.glob("*"):
            old.unlink()
        for path in map(pathlib.Path, chosen):
            name = path.name if path.name.startswith("seed-") else path.name[:16]
            shutil.copy(path, corpus / name)
    print(f"{target}: {len(chosen)} inputs, {sum(p.stat().st_size for p in corpus.glob('*'))} bytes")


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(p.stem for p in (ROOT / "fuzz").glob("*.cpp")):
        minimise(name)
