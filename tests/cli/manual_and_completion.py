#!/usr/bin/env python3
"""The manual page is accepted by groff and mandoc without a warning and has every command and option of --help;
bash, zsh and fish complete commands, options and values, each asked in the real shell where it is installed."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RUNNEL = os.environ["RUNNEL"]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


def runnel(*arguments):
    return run(RUNNEL, *arguments).stdout


def commands():
    """Of `runnel --help`."""
    text = runnel("--help")
    listed = text[text.index("Subcommands:") :].split("\n\n")[0]
    return re.findall(r"^  ([a-z][a-z-]*) ", listed, re.M)


def options(command):
    """Of `runnel COMMAND --help`: every name with its dashes."""
    found = set()
    for line in runnel(command, "--help").splitlines():
        head = re.match(r"^  (-\S+)", line)
        if head:
            found.update(head.group(1).split(","))
    return found


def manual_page(directory):
    page = directory / "runnel.1"
    page.write_text(runnel("man"))
    if shutil.which("groff"):
        done = run("groff", "-ww", "-z", "-man", str(page))
        assert not done.stderr, f"groff says: {done.stderr}"
    else:
        print("left out: groff is not installed")
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stdout, f"mandoc says: {done.stdout}"
    else:
        print("left out: mandoc is not installed")
    # Each command has its section, with each option of its --help in it or among the shared ones.
    source = page.read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
    shared = source[source.index("\n.SH HOST OPTIONS") :]
    for command in commands():
        start = source.index(f"\n.SS runnel {command}\n")
        end = min(place for place in (source.find("\n.SS ", start + 1), source.find("\n.SH ", start)) if place > 0)
        section = source[start:end]
        for option in options(command) - {"-h", "--help"}:
            pattern = re.compile(r"^(?:-\S+, )*" + re.escape(option) + r"(?:,| |$)", re.M)
            assert pattern.search(section) or pattern.search(shared), f"{command} {option} is not in the page"
    for code in (0, 1, 2, 7, 22, 28, 56, 77):
        assert f"\n.TP\n{code}\n" in source, f"exit code {code} is not in the page"


# What is typed; what must, and must not, be offered then.
def cases():
    yield ["runnel", ""], set(commands()), {"--help", "-o"}
    yield ["runnel", "se"], {"serve"}, {"get"}
    yield ["runnel", "get", "--"], options("get") & {"--output", "--link", "--color"}, {"--listen"}
    yield ["runnel", "get", "--color", ""], {"auto", "always", "never"}, {"tun"}
    yield ["runnel", "serve", "--link", "t"], {"tun", "tap"}, {"wire"}
    yield ["runnel", "completion", ""], {"bash", "zsh", "fish"}, set()


def bash(directory):
    script = directory / "completion.bash"
    script.write_text(runnel("completion", "bash"))
    (directory / "a file").write_text("")
    (directory / "folder").mkdir()
    asked = [*cases(), (["runnel", "ladder", "a"], {"a file"}, set()),
             (["runnel", "get", "-o", ""], {"a file", "folder"}, set()),
             (["runnel", "serve", "f"], {"folder"}, {"a file"}),
             (["runnel", "get", "--color", "=", "al"], {"always"}, {"auto"}),
             (["runnel", "get", "--mtu", ""], set(), {"a file"})]  # fmt: skip
    for words, wanted, unwanted in asked:
        # The function that `complete` registered is called as bash calls it; the last word is the cursor's.
        program = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); set -u; _runnel; ' \
                  'printf "%s\\n" "${COMPREPLY[@]-}"; complete -p runnel >&2'  # fmt: skip
        done = run("bash", "-c", program, "bash", str(script), *words, cwd=directory)
        assert done.stderr == "complete -F _runnel runnel\n", f"bash, {words}: {done.stderr}"
        offered = set(done.stdout.splitlines())
        assert wanted <= offered, f"bash, {words}: {wanted - offered} is missing from {offered}"
        assert not unwanted & offered, f"bash, {words}: {unwanted & offered} is offered"


def zsh(directory):
    """A real completion needs a terminal: zsh in zpty types the line, lists, and shows what it has."""
    functions = directory / "functions"
    functions.mkdir()
    (functions / "_runnel").write_text(runnel("completion", "zsh"))
    run("zsh", "-n", str(functions / "_runnel"))
    # compadd also tells which of what it was given match.
    program = r"""
fpath=($1 $fpath); shift
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=($fpath); autoload -Uz compinit; compinit -u -D; PS1=; setopt no_beep; LISTMAX=1000"
zpty -w shell 'compadd() { builtin compadd "$@"; local code=$?; if [[ " $* " != *" -"[OAD]" "* ]]; then local -a given; builtin compadd -A given "$@"; print -rl -- "offer:"${^given} >> $OFFERS; fi; return $code }'
zpty -w -n shell "$1"$'\t'
repeat 100; do sleep 0.05; [[ -s $OFFERS ]] && break; done
sleep 0.3
zpty -d shell
"""
    for words, wanted, unwanted in cases():
        offers = directory / "offers"
        offers.write_text("")
        environment = {**os.environ, "OFFERS": str(offers)}
        subprocess.run(["zsh", "-f", "-c", program, "zsh", str(functions), " ".join(words)],
                       env=environment, capture_output=True, text=True, timeout=60, cwd=directory)  # fmt: skip
        offered = {line[6:] for line in offers.read_text().splitlines() if line.startswith("offer:")}
        assert wanted <= offered, f"zsh, {words}: {wanted - offered} is missing from {offered}"
        assert not unwanted & offered, f"zsh, {words}: {unwanted & offered} is offered"


def fish(directory):
    script = directory / "completion.fish"
    script.write_text(runnel("completion", "fish"))
    run("fish", "-n", str(script))
    for words, wanted, unwanted in cases():
        line = " ".join(words)
        environment = {**os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        done = run("fish", "-N", "-c", f"source {script}; complete -C '{line}'", env=environment, cwd=directory)
        offered = {entry.split("\t")[0] for entry in done.stdout.splitlines()}
        assert wanted <= offered, f"fish, {words}: {wanted - offered} is missing from {offered}"
        assert not unwanted & offered, f"fish, {words}: {unwanted & offered} is offered"


with tempfile.TemporaryDirectory(prefix="runnel-docs-") as name:
    manual_page(pathlib.Path(name))
    print("ok manual page")
    for shell in (bash, zsh, fish):
        if shutil.which(shell.__name__):
            with tempfile.TemporaryDirectory(prefix="runnel-shell-") as name:
                shell(pathlib.Path(name))
            print(f"ok {shell.__name__}", flush=True)
        else:
            print(f"left out: {shell.__name__} is not installed")
sys.exit(0)
