"""Random mutants of `src/runnel/tcp` from a seed, and how many of them the tests kill."""

import concurrent.futures
import dataclasses
import pathlib
import random
import re

from .operators import Mutant, enumerators, mutants
from .trial import Bench, Outcome, difference

ROOM = "src/runnel/tcp"


class Room:
    """The sources that are mutated, and all their mutants."""

    def __init__(self, root: pathlib.Path, only: str = ""):
        enums = enumerators(root)
        self.texts: dict[str, str] = {}
        self.by_line: dict[tuple[str, int], list[Mutant]] = {}
        for path in sorted((root / ROOM).rglob("*")):
            file = str(path.relative_to(root))
            if path.suffix in (".cpp", ".hpp") and re.search(only, file):
                self.texts[file] = path.read_text()
                for mutant in mutants(file, self.texts[file], enums):
                    self.by_line.setdefault((file, mutant.line), []).append(mutant)

    def count(self) -> int:
        return sum(len(found) for found in self.by_line.values())

    def stream(self, seed: int):
        """Mutants without end of patience: a line, an operator that fits it, a change; none twice."""
        chance = random.Random(seed)
        lines = sorted(self.by_line)
        seen = set()
        for _ in range(50 * len(lines)):
            here = self.by_line[chance.choice(lines)]
            operator = chance.choice(sorted({mutant.operator for mutant in here}))
            mutant = chance.choice([m for m in here if m.operator == operator])
            if mutant not in seen:
                seen.add(mutant)
                yield mutant

    def find(self, name: str) -> Mutant | None:
        return next((m for found in self.by_line.values() for m in found if m.name == name), None)

    def changed(self, mutant: Mutant) -> str:
        return mutant.apply(self.texts[mutant.file])

    def difference(self, mutant: Mutant) -> str:
        return difference(mutant.file, self.texts[mutant.file], self.changed(mutant))


@dataclasses.dataclass
class Tally:
    """Counts in the order of the stream, whatever order the results come in."""

    count: int
    results: dict[int, tuple[Mutant, Outcome]] = dataclasses.field(default_factory=dict)

    def counted(self) -> list[tuple[Mutant, Outcome]] | None:
        """The first `count` valid mutants once all before them are known; None until then."""
        valid = []
        index = 0
        while len(valid) < self.count:
            if index not in self.results:
                return None
            if self.results[index][1].status in ("killed", "survived"):
                valid.append(self.results[index])
            index += 1
        return valid

    def redrawn(self, status: str) -> int:
        return sum(outcome.status == status for _, outcome in self.results.values())


def run(bench: Bench, room: Room, stream, count: int, jobs: int, tell) -> tuple[list[tuple[Mutant, Outcome]], Tally]:
    """Tries mutants of the stream until `count` valid ones are known."""
    tally = Tally(count)
    pending = {}
    numbered = enumerate(stream)
    exhausted = False
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            while tally.counted() is None:
                while len(pending) < jobs and not exhausted:
                    index, mutant = next(numbered, (None, None))
                    if mutant is None:
                        exhausted = True
                        break
                    future = pool.submit(bench.trial, str(index), {mutant.file: room.changed(mutant)})
                    pending[future] = (index, mutant)
                if not pending:
                    break
                done, _ = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    index, mutant = pending.pop(future)
                    tally.results[index] = (mutant, future.result())
                    tell(mutant, tally.results[index][1])
        finally:
            if pending:
                bench.scratch.processes.stop()  # what runs beyond the count is of no interest
    known = tally.counted()
    if known is None:
        ordered = (tally.results[index] for index in sorted(tally.results))
        known = [(m, o) for m, o in ordered if o.status in ("killed", "survived")]
    return known, tally
