"""One changed source through compiler, linker and tests: what became of it."""

import dataclasses
import difflib
import filecmp
import pathlib
import shutil
import threading

from .scratch import Failure, Run, Scratch


@dataclasses.dataclass
class Outcome:
    status: str  # killed, survived, equivalent (the same object code), invalid (does not compile)
    how: str = ""  # failed, crashed, timeout
    program: str = ""
    tests: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    detail: str = ""


class Bench:
    """Tries changes; the tests' own time without any change sets the limits."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        self.baseline: dict[str, float] = {}
        self.programs = list(scratch.links)
        self._objects: dict[str, pathlib.Path] = {}
        self._locks = {output: threading.Lock() for output in scratch.units}

    def measure(self, programs=None):
        """Runs the tests unchanged. They pass, or there is nothing to be measured."""
        for program in programs or self.programs:
            binary = self.scratch.path / "build" / program
            message = self.scratch.link(program, {}, binary)
            if message is not None:
                raise Failure(f"{program} does not link without a change:\n{message[-2000:]}")
            run = self.scratch.test(binary, 600)
            binary.unlink()
            if run.status != "passed":
                raise Failure(f"{program} {run.status} without a change: {', '.join(run.failed[:5])}")
            self.baseline[program] = run.seconds

    def _unchanged(self, unit) -> pathlib.Path:
        """The unit's object as it is without a change, compiled as the changed ones are."""
        with self._locks[unit.output]:
            target = self._objects.get(unit.output)
            if target is None:
                target = self.scratch.path / "unchanged" / unit.output
                message = self.scratch.compile(unit, self.scratch.path / "no-overlay", target)
                if message is not None:
                    raise Failure(f"{unit.source} does not compile without a change:\n{message[-2000:]}")
                self._objects[unit.output] = target
        return target

    def _compile(self, units, overlay, folder, changed) -> str | None:
        """Compiles `units`; those whose object differs come into `changed`."""
        for unit in units:
            target = folder / unit.output
            message = self.scratch.compile(unit, overlay, target)
            if message is not None:
                return message
            if not filecmp.cmp(target, self._unchanged(unit), shallow=False):
                changed[unit.output] = target
        return None

    def limit(self, program: str) -> float:
        return 4 + 8 * self.baseline.get(program, 30.0)

    def trial(self, name: str, files: dict[str, str], tests: dict[str, list[str]] | None = None,
              all_programs=False) -> Outcome:  # fmt: skip
        """Tries these texts in the place of the files. With `tests` only those; with `all_programs` every test
        is run, to learn all that fail; else up to the first failure."""
        folder = self.scratch.path / f"trial.{name}"
        shutil.rmtree(folder, ignore_errors=True)
        overlay = folder / "overlay"
        for file, text in files.items():
            (overlay / file).parent.mkdir(parents=True, exist_ok=True)
            (overlay / file).write_text(text)
        try:
            return self._trial(folder, overlay, list(files), tests, all_programs)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _trial(self, folder, overlay, files, tests, all_programs) -> Outcome:
        changed: dict[str, pathlib.Path] = {}
        done: set[str] = set()
        message = self._compile(self.scratch.units_of(files), overlay, folder, changed)
        if message is not None:
            return Outcome("invalid", detail=message)
        outcome = Outcome("survived")
        for program in self.programs:
            if tests is not None and program not in tests:
                continue
            more = [unit for unit in self.scratch.units_of(files, program) if unit.output not in done]
            done.update(unit.output for unit in more)
            message = self._compile(more, overlay, folder, changed)
            if message is not None:
                return Outcome("invalid", detail=message)
            if not changed:
                continue
            binary = folder / program
            message = self.scratch.link(program, changed, binary)
            if message is not None:
                return Outcome("invalid", detail=message)
            chosen = tests[program] if tests is not None else None
            run: Run = self.scratch.test(binary, self.limit(program), chosen, all_programs)
            binary.unlink()
            outcome.seconds += run.seconds
            if run.status != "passed":
                first = outcome.status != "killed"
                outcome.status = "killed"
                outcome.how = run.status if first else outcome.how
                outcome.program = program if first else outcome.program
                outcome.tests += [f"{program}: {test}" for test in run.failed]
                if not all_programs:
                    return outcome
        if not changed:
            return Outcome("equivalent")
        return outcome


def difference(file: str, old: str, new: str) -> str:
    return "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), file, file, n=3))
