#!/usr/bin/env python3
"""The main job in its three ways: equal digests, the ladder, states and a capture that can be read; without
curl, as an ordinary user, and killed in the middle."""

import json
import os
import pathlib
import subprocess
import time

import _world as world
from _world import check, equal

HERE = {key: value for key, value in os.environ.items() if key != "RUNNEL_INSIDE"}


def demo(*arguments, prefix=(), **options):
    return subprocess.run([*prefix, world.RUNNEL, "demo", *arguments], capture_output=True, text=True,
                          timeout=120, env=HERE, **options)  # fmt: skip


def by_json(way, directory):
    capture = directory / f"{way}.pcapng"
    done = demo("--link", way, "-j", "-w", str(capture))
    equal(done.returncode, 0, f"demo over {way}: {done.stderr}; exit")
    report = json.loads(done.stdout)
    check(report["ok"], f"not ok: {report}")
    equal(len(report["transfers"]), 4, "transfers")
    for transfer in report["transfers"][1:]:
        equal(transfer["bytes"], 64 << 20, transfer["what"])
        equal(transfer["sent_sha256"], transfer["received_sha256"], transfer["what"])
    if report["way"] != way:
        print(f"left out: {way} ({report['reasons']})")
    first = world.segments(capture)[:3]
    equal([s["flags"] for s in first[:2]], [["SYN"], ["SYN", "ACK"]], "the handshake in the capture")
    check("ACK" in first[2]["flags"] and "SYN" not in first[2]["flags"], f"its third segment: {first[2]}")
    check(capture.stat().st_size < 16 << 20, "the capture holds the payload")


def each_way():
    with world.temporary() as name:
        for way in ("tun", "veth", "wire"):
            by_json(way, pathlib.Path(name))


def for_people():
    with world.temporary() as name:
        done = demo("--size", "1", cwd=name)
        equal(done.returncode, 0, f"demo: {done.stderr}; exit")
        for word in ("SYN-SENT", "ESTABLISHED", "TIME-WAIT", "mss 1460", "LISTEN", "RFC 9293", "equal",
                     "runnel-demo.pcapng", "Everything arrived as it was sent."):  # fmt: skip
            check(word in done.stdout, f"{word!r} is missing in:\n{done.stdout}")
        check((pathlib.Path(name) / "runnel-demo.pcapng").exists(), "no capture")


def as_an_ordinary_user():
    if os.geteuid() != 0:
        return
    with world.temporary() as name:
        os.chmod(name, 0o777)
        program = pathlib.Path(name) / "runnel"
        program.write_bytes(pathlib.Path(world.RUNNEL).read_bytes())
        program.chmod(0o755)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                               str(program), "demo", "-j", "--size", "4"],
                              capture_output=True, text=True, timeout=120, env=HERE, cwd=name)  # fmt: skip
        equal(done.returncode, 0, f"demo as nobody: {done.stderr}; exit")
        report = json.loads(done.stdout)
        check(report["ok"], f"not ok: {report}")
        if report["way"] != "tun":
            check(report["reasons"], "no reason why not a TUN")
        print(f"as nobody: {report['way']}")


def descendants(pid):
    """Processes with that parent, and theirs."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def killed_in_the_middle():
    """Nothing is left: no process, and with them no namespace and no device."""
    with world.temporary() as name:
        child = world.start(world.RUNNEL, "demo", "--size", "256", "--link", "veth", cwd=name, env=HERE,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        deadline = time.monotonic() + 30
        while len(family := descendants(child.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        check(len(family) >= 2, "the demo started nobody")
        child.kill()
        child.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = [pid for pid in family if pathlib.Path(f"/proc/{pid}/exe").exists()]
            if not left:
                return
            time.sleep(0.05)
        world.fail(f"processes left: {left}")


world.enter()
world.main(each_way, for_people, as_an_ordinary_user, killed_in_the_middle)
