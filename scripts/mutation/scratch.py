"""A scratch copy of what a built tree consists of, in which one changed source after another is compiled,
linked and tested. Nothing is written to the tree; the copy goes away at the end, also when killed.

A mutant costs the compilation of what includes the changed file, and one link for each test program until
one of them fails: the changed objects stand before the archives, so that the archive's own are not taken."""

import ctypes
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading

# Test programs over `tcp`, in the order in which they are tried: those first that fail soonest, and that link fewest
# other rooms, which a changed header makes us compile anew. More exist that reach it (the interop scripts,
# fuzzing); these need neither privileges nor a real clock.
PROGRAMS = (
    "dialogue_tests", "unit_tcp", "story_tests", "unit_drill", "unit_socket", "unit_host", "simulation_tests",
    "unit_report", "matrix_tests",
)  # fmt: skip
_MEMORY = 3 << 30
_OUTPUT = 256 << 20
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Failure(Exception):
    """Something that the user has to know, in one sentence."""


@dataclasses.dataclass
class Run:
    """One program's run: `failed` names its tests, or is empty."""

    status: str  # passed, failed, crashed, timeout
    failed: list[str]
    seconds: float  # of processor time
    output: str = ""


@dataclasses.dataclass
class Unit:
    """One object of the build: how it is compiled, and what it includes."""

    output: str
    source: pathlib.Path
    command: list[str]
    includes: set[str]


class Processes:
    """Every child, so that all of them go when we are asked to."""

    def __init__(self):
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen] = set()
        self.stopped = False

    def run(self, command, cwd, output, cpu=None, wall=None, env=None) -> tuple[int, float, bool]:
        """(exit code, processor seconds, whether it took too long)."""

        def limits():
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT, _OUTPUT))
            if cpu is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
                resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))

        with self._lock:
            if self.stopped:
                raise KeyboardInterrupt
            child = subprocess.Popen(
                command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env,
                start_new_session=True, preexec_fn=limits,
            )  # fmt: skip
            self._live.add(child)
        late = threading.Event()

        def too_late():
            late.set()
            self._kill(child)

        timer = threading.Timer(wall or 3600, too_late)
        timer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            timer.cancel()
            with self._lock:
                self._live.discard(child)
        code = os.waitstatus_to_exitcode(status)
        child.returncode = code
        slow = late.is_set() or code in (-signal.SIGXCPU,) or (cpu is not None and code == -signal.SIGKILL)
        return code, usage.ru_utime + usage.ru_stime, slow

    @staticmethod
    def _kill(child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        self.stopped = True
        for child in list(self._live):
            self._kill(child)


class Scratch:
    """The copy. `root` is the tree, `build` its finished build."""

    live: list["Scratch"] = []  # for whoever must leave in the middle

    def __init__(self, root: pathlib.Path, build: pathlib.Path, programs=PROGRAMS):
        self.root, self.build = root, build
        self.processes = Processes()
        parent = build.parent / "mutate"
        parent.mkdir(parents=True, exist_ok=True)
        with open(parent / "lock", "w") as door:  # nobody sweeps what has no owner yet
            fcntl.flock(door, fcntl.LOCK_EX)
            _sweep(parent)
            self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"scratch.{os.getpid()}.", dir=parent))
            Scratch.live.append(self)
            self._lock = open(self.path / "lock", "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._copy(programs)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.processes.stop()
        shutil.rmtree(self.path, ignore_errors=True)

    # What the build knows

    def _ninja(self, *arguments) -> str:
        return subprocess.run(
            ["ninja", "-C", str(self.build), *arguments], check=True, capture_output=True, text=True
        ).stdout

    def _copy(self, programs):
        links = {}
        for name in programs:
            if (self.build / "tests" / name).exists():
                command = self._ninja("--quiet", "-t", "commands", "-s", f"tests/{name}").strip().splitlines()[-1]
                links[name] = [word for word in shlex.split(command) if word not in (":", "&&")]
        if not links:
            raise Failure(f"no test program of {', '.join(programs)} is built in {self.build}: ./run test")
        self.links = links
        objects = {word for command in links.values() for word in command if word.endswith(".o")}
        archives = {word for command in links.values() for word in command if re.fullmatch(r"librunnel_\w+\.a", word)}
        for name in objects | archives:
            (self.path / "build" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.build / name, self.path / "build" / name)
        for folder in ("src", "tests"):
            if (self.root / folder).is_dir():
                shutil.copytree(self.root / folder, self.path / "tree" / folder, symlinks=True)
        (self.path / "home").mkdir()
        self._read_units(objects, archives)
        self.linker = ["-fuse-ld=lld"] if shutil.which("ld.lld") or shutil.which("ld.lld-19") else []

    def _read_units(self, objects, archives):
        rooms = {archive[len("lib") : -len(".a")] for archive in archives}
        wanted = re.compile(r"CMakeFiles/(%s)\.dir/" % "|".join(sorted(rooms)))
        includes: dict[str, set[str]] = {}
        current = None
        for line in self._ninja("-t", "deps").splitlines():
            if line[:1] not in (" ", ""):
                current = includes.setdefault(line.split(":")[0], set())
            elif line.strip() and current is not None:
                path = os.path.normpath(os.path.join(self.build, line.strip()))
                if path.startswith(f"{self.root}/"):
                    current.add(path[len(str(self.root)) + 1 :])
        self.units: dict[str, Unit] = {}
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            command = shlex.split(entry["command"])
            output = command[command.index("-o") + 1]
            if output in objects or wanted.match(output):
                source = pathlib.Path(entry["file"]).relative_to(self.root)
                self.units[output] = Unit(output, source, command, includes.get(output, set()))

    def units_of(self, files: list[str], program: str | None = None) -> list[Unit]:
        """The objects in which `files` have a part: those of the room `tcp`, or those of a program besides. Of
        the tests only the room's own are compiled anew: to the others its headers are declarations."""
        wanted = [unit for unit in self.units.values() if unit.includes.intersection(files) or str(unit.source) in files]
        inside = [unit for unit in wanted if "CMakeFiles/runnel_tcp.dir/" in unit.output]
        if program is None:
            return inside
        rooms = set(re.findall(r"lib(runnel_\w+)\.a", " ".join(self.links[program])))
        own = set(self.links[program]) if program == "unit_tcp" else set()
        return [
            unit for unit in wanted
            if unit not in inside and (unit.output in own or unit.output.split("/")[1][: -len(".dir")] in rooms)
        ]  # fmt: skip

    # One changed source

    def compile(self, unit: Unit, overlay: pathlib.Path, target: pathlib.Path) -> str | None:
        """None, or what the compiler said. Files in `overlay` stand before those of the tree."""
        tree = self.path / "tree"
        command = []
        for word in unit.command:
            if word.endswith("ccache") or word in ("-g", "-g1", "-Werror") or word.startswith("-W"):
                continue
            if word.startswith("-I") or word == str(self.root / unit.source):
                word = word.replace(f"{self.root}/", f"{tree}/")
            command.append(word)
        if (overlay / unit.source).exists():
            command[command.index(str(tree / unit.source))] = str(overlay / unit.source)
        command[command.index("-o") + 1] = str(target)
        command[1:1] = ["-w", f"-I{overlay / 'src'}", f"-I{overlay / 'tests'}", f"-ffile-prefix-map={overlay}={tree}"]
        log = target.with_suffix(".log")
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            code, _, _ = self.processes.run(command, self.path / "build", output, wall=600)
        return None if code == 0 else log.read_text(errors="replace")

    def link(self, program: str, changed: dict[str, pathlib.Path], target: pathlib.Path) -> str | None:
        """None, or what the linker said. `changed` are the objects that replace those of the build."""
        command = list(self.links[program])
        archives = {word for word in command if word.endswith(".a")}
        before = [
            str(path)
            for output, path in changed.items()
            if f"lib{output.split('/')[1].removesuffix('.dir')}.a" in archives
        ]
        command = [str(changed.get(word, word)) for word in command]
        command[command.index("-o") + 1] = str(target)
        command[1:1] = [*self.linker, *before]
        log = target.with_suffix(".link.log")
        with open(log, "wb") as output:
            code, _, _ = self.processes.run(command, self.path / "build", output, wall=600)
        return None if code == 0 else log.read_text(errors="replace")

    def test(self, binary: pathlib.Path, cpu: float, tests: list[str] | None = None, all_of_them=False) -> Run:
        """Runs the tests (all but the long ones), to the first failure or all of them."""
        log = binary.with_suffix(".test.log")
        chosen = ":".join(tests) if tests else "-Long*"
        command = [str(binary), f"--gtest_filter={chosen}"] + ([] if all_of_them else ["--gtest_fail_fast"])
        env = {"PATH": os.environ["PATH"], "HOME": str(self.path / "home"), "LC_ALL": "C.UTF-8", "RC_PARAMS": "seed=1"}
        with open(log, "wb") as output:
            code, seconds, slow = self.processes.run(
                command, self.path / "home", output, cpu=int(cpu) + 1, wall=60 + 20 * cpu, env=env
            )
        text = log.read_bytes()[-4_000_000:].decode(errors="replace")
        failed = list(dict.fromkeys(re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", text, re.MULTILINE)))
        if code == 0:
            return Run("passed", [], seconds)
        if code == 1 and not slow:
            return Run("failed", failed, seconds, text)
        running = re.findall(r"^\[ RUN      \] ([\w/]+\.[\w/]+)", text, re.MULTILINE)
        return Run("timeout" if slow else "crashed", list(dict.fromkeys(failed + running[-1:])), seconds, text)


def _sweep(parent: pathlib.Path):
    """Removes copies whose owner was killed: nobody holds their lock. Their owners remove them, too, at any moment."""
    for path in parent.glob("scratch.*"):
        try:
            with open(path / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
