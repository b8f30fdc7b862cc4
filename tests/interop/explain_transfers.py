#!/usr/bin/env python3
"""`explain` accuses no innocent: megabytes between two kernels, and between Runnel and a kernel, over a wire that
loses, delays and doubles segments, captured at both ends; and between two kernels over a veth pair with all its
offloads. Nothing of it is flagged."""
# runnel-test: timeout=600

import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

import _wire
import _world as world
from _world import check, equal

LONG = os.environ.get("RUNNEL_LONG") == "1"
SIZE = (32 << 20) if LONG else (2 << 20)


class Weather:
    """What befalls segments, the same for a seed as far as they are the same."""

    def __init__(self, wire, seed, loss=0.01, late=0.005, double=0.003):
        self.random = random.Random(seed)
        self.loss, self.late, self.double = loss, late, double
        wire.plan = self.plan
        self.dropped = 0

    def plan(self, side, segment):
        dice = self.random.random()
        if dice < self.loss:
            self.dropped += 1
            return "drop"
        if dice < self.loss + self.late:
            return 0.004
        if dice < self.loss + self.late + self.double:
            return "double"
        return None


def nothing_flagged(path, what, least_segments=500):
    done = world.runnel("explain", "--json", "--strict-unusual", str(path), text=True, timeout=120)
    check(done.returncode in (0, 1), f"{what}: explain: exit {done.returncode}: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    flagged = [
        (row.get("packet"), finding["verdict"], finding["text"])
        for row in rows
        for finding in row.get("findings", []) + row.get("left", {}).get("findings", [])
        + row.get("right", {}).get("findings", [])
        if finding["level"] in ("violates", "unusual")
    ]  # fmt: skip
    equal(flagged[:5], [], f"{what}: of {len(flagged)} flagged in {path}")
    equal(done.returncode, 0, f"{what}: exit code")
    segments = sum(1 for row in rows if "packet" in row)
    check(segments > least_segments, f"{what}: only {segments} segments captured")
    return rows


def pump(sender, receiver, size):
    def send():
        left = size
        block = bytes(range(256)) * 256
        while left > 0:
            sender.sendall(block[: min(left, len(block))])
            left -= len(block)

    thread = threading.Thread(target=send)
    thread.start()
    got = 0
    while got < size:
        piece = receiver.recv(1 << 18)
        check(piece, "the stream ended early")
        got += len(piece)
    thread.join(60)


def kernels_over_the_wire(wire, directory, family, seed, delay):
    name = f"kernels{family}_{seed}"
    paths = {side: directory / f"{name}_{side}.pcap" for side in "ab"}
    captures = [_wire.Capture(wire, side, paths[side]) for side in "ab"]
    listener = wire.listen(port=9000 + seed, family=family)
    wire.delay = delay
    weather = Weather(wire, seed)
    client, server = wire.connect(listener, family)
    client.settimeout(60)
    server.settimeout(60)
    pump(client, server, SIZE)
    pump(server, client, SIZE)
    client.close()
    server.close()
    time.sleep(0.5)
    wire.plan, wire.delay = (lambda side, segment: None), 0.0
    _wire.end_captures(wire, captures)
    for side in "ab":
        rows = nothing_flagged(paths[side], f"{name} on side {side}")
        if side == "a":
            resent = sum(sum(row[end]["retransmissions"].values()) for row in rows[-1:] for end in ("left", "right"))
            check(resent > 0, f"{name}: {weather.dropped} were dropped, and no retransmission is told of")
    print(f"ok {name}: {weather.dropped} dropped", flush=True)


def runnel_over_the_wire(wire, directory, seed):
    """The kernel on a, Runnel on b: it serves, the kernel's curl fetches and puts."""
    paths = {side: directory / f"runnel_{seed}_{side}.pcap" for side in "ab"}
    world.make_file(directory / "file", SIZE)
    captures = [_wire.Capture(wire, side, paths[side]) for side in "ab"]
    wire.enter("b")
    server = world.Serving("--link", "packet:wire0", "--address", "10.9.1.3/24", "--listen", "80", str(directory))
    wire.enter("a")
    with server:
        weather = Weather(wire, seed)
        wire.delay = 0.001
        for arguments in (["-o", "/dev/null", "http://10.9.1.3/file"], ["-T", str(directory / "file"), "http://10.9.1.3/up"]):
            done = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "100", *arguments],
                                  capture_output=True, text=True, timeout=120)  # fmt: skip
            equal(done.returncode, 0, f"curl {arguments}: {done.stderr}")
        time.sleep(0.5)
        wire.plan, wire.delay = (lambda side, segment: None), 0.0
        _wire.end_captures(wire, captures)
    for side in "ab":
        nothing_flagged(paths[side], f"Runnel and a kernel, on side {side}")
    print(f"ok Runnel and a kernel: {weather.dropped} dropped", flush=True)


def kernels_over_veth(wire, directory):
    """Super-segments and checksums that no device has filled in."""
    world.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    wire.enter("b")
    far = subprocess.Popen(["sleep", "1000"])  # a process there, to name the namespace by
    wire.enter("a")
    try:
        world.run("ip", "link", "set", "veth1", "netns", str(far.pid))
        for side, name, address in (("a", "veth0", "10.9.2.1"), ("b", "veth1", "10.9.2.2")):
            wire.enter(side)
            world.run("ip", "addr", "add", f"{address}/24", "dev", name)
            world.run("ip", "link", "set", name, "up")
        wire.enter("b")
        listener = socket.create_server(("10.9.2.2", 7000))
        wire.enter("a")
        path = directory / "veth.pcap"
        capture = _wire.Capture(wire, "a", path, "-s", "200", interface="veth0")
        client = socket.create_connection(("10.9.2.2", 7000))
        server, _ = listener.accept()
        pump(client, server, 4 * SIZE)
        pump(server, client, 4 * SIZE)
        client.close()
        server.close()
        time.sleep(0.3)
        _wire.end_captures(wire, [capture], "10.9.2.2")
        nothing_flagged(path, "kernels over veth", 50)
        print("ok kernels over veth", flush=True)
    finally:
        far.kill()
        far.wait()


def main():
    for program in ("tcpdump", "curl"):
        world.need(program)
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    with world.temporary() as name:
        directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else name)
        wire = _wire.Wire()
        kernels_over_the_wire(wire, directory, 4, 1, 0.0)
        kernels_over_the_wire(wire, directory, 6, 2, 0.005)
        runnel_over_the_wire(wire, directory, 3)
        kernels_over_veth(wire, directory)
        wire.close()


main()
