#!/usr/bin/env python3
"""The examples that the program prints work as they stand: those of every --help, and the three that a
command without --link shows."""

import os
import pathlib
import re
import subprocess

import _world as world
from _world import check, equal


def commands():
    """Whatever `runnel --help` lists."""
    text = world.runnel("--help", text=True).stdout
    listed = text[text.index("Subcommands:") :].split("\n\n")[0]
    return re.findall(r"^  ([a-z][a-z-]*) ", listed, re.M)


def shell(line, directory):
    environment = {key: value for key, value in os.environ.items() if key != "RUNNEL_INSIDE"}
    environment["PATH"] = f"{pathlib.Path(world.RUNNEL).parent}:{environment['PATH']}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=world.PATIENCE,
                          cwd=directory, env=environment, stdin=subprocess.DEVNULL)  # fmt: skip
    equal(done.returncode, 0, f"exit code of `{line}`: {done.stderr.strip()}")
    return done


def examples_of_help():
    with world.temporary() as name:
        for command in ((), *((c,) for c in commands())):
            done = world.runnel(*command, "--help", text=True)
            equal(done.returncode, 0, f"runnel {command} --help")
            tail = done.stdout[done.stdout.rindex("Example") :]
            lines = [line.strip() for line in tail.splitlines() if line.startswith("  ")]
            check(lines, f"{command}: no example at the end of --help")
            for line in lines:
                done = shell(line, name)
                check(done.stdout, f"`{line}` prints nothing")


def examples_without_link():
    asked = {
        "get": ["http://10.9.0.1/"],
        "serve": ["--listen", "80", "."],
        "nc": ["10.9.0.1", "80"],
    }
    with world.temporary() as name:
        for command, arguments in asked.items():
            done = world.runnel(command, *arguments, text=True)
            equal(done.returncode, 2, f"exit code of {command} without --link")
            equal(done.stdout, "", "stdout")
            lines = [line.strip() for line in done.stderr.splitlines()
                     if line.startswith("  ") and not line.startswith("  #")]  # fmt: skip
            equal(len(lines), 3, f"examples of {command}")
            for line in lines:
                done = shell(line, name)
                complaints = [said for said in done.stderr.splitlines()
                              if said.startswith("runnel:") and "Broken pipe" not in said]  # fmt: skip
                equal(complaints, [], f"`{line}` says")


def mistakes():
    for arguments in ([], ["no-such-command"], ["get"], ["serve", "."], ["demo", "--link", "moon"],
                      ["nc", "--link", "tun", "10.9.0.1"], ["ladder"], ["nc", "-k", "--link", "wire", "10.9.0.1", "7"],
                      ["nc", "-l", "-z", "--link", "tun", "7"], ["completion", "tcsh"], ["completion"]):  # fmt: skip
        done = world.runnel(*arguments, text=True)
        equal(done.returncode, 2, f"exit code of runnel {' '.join(arguments)}")
        equal(done.stdout, "", "stdout")
        check(done.stderr, "nothing on stderr")
    done = world.runnel("--version", text=True)
    check(done.returncode == 0 and done.stdout.startswith("runnel "), f"--version: {done}")
    done = world.runnel("get", "--link", "wire", "--set", "list", "http://x/", text=True)
    equal(done.returncode, 0, "exit code of --set list")
    check("tcp_syn_retries" in done.stdout, "--set list")


world.enter()
world.need("curl")
world.main(mistakes, examples_of_help, examples_without_link)
