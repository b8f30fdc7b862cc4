#!/usr/bin/env python3
# runnel-test: timeout=180 labels=long serial
"""Many clients of the kernel's at once against `runnel serve` over TUN: 200 curls of 1 MiB each, and wrk with 100
connections for 20 s (RUNNEL_WRK_SECONDS)."""

import os
import re
import subprocess
import tempfile

import _world as world

CLIENTS = 200
SIZE = 1 << 20
SECONDS = int(os.environ.get("RUNNEL_WRK_SECONDS", "20"))


def parallel_curls(root):
    digest = world.make_file(f"{root}/mebibyte", SIZE)
    with world.Serving(root, *world.prepare("tun"), "--listen", "80", "-q", listeners=2) as server:
        with world.NoResets():
            clients = []
            for i in range(CLIENTS):
                url = world.url(world.runnel_address(4 if i % 2 else 6), 80, "/mebibyte")
                command = ["curl", "-sSgf", "--max-time", "60", "-o", f"{root}/got{i}", url]
                clients.append(world.start(*command, stderr=subprocess.PIPE, text=True))
            for i, client in enumerate(clients):
                _, said = client.communicate(timeout=world.PATIENCE)
                world.equal((client.returncode, said), (0, ""), f"curl {i}: exit code and what it said")
                world.equal(world.digest_of(f"{root}/got{i}"), digest, f"curl {i}: SHA-256")
        world.equal(server.stop(), 0, "exit code")
    print(f"{CLIENTS} curls of {SIZE} bytes at once: all exact")


def wrk(root):
    world.need("wrk")
    with open(f"{root}/page", "wb") as file:
        file.write(b"hello, world\n")
    with world.Serving(root, *world.prepare("tun"), "--listen", "80", "-q", listeners=2) as server:
        url = world.url(world.RUNNEL4, 80, "/page")
        said = subprocess.run(["wrk", "-t2", "-c100", f"-d{SECONDS}s", "--latency", url], capture_output=True,
                              text=True, timeout=SECONDS + 60).stdout  # fmt: skip
        print(said, end="")
        world.check("Socket errors" not in said and "Non-2xx" not in said, "wrk saw errors")
        requests = re.search(r"(\d+) requests in", said)
        world.check(requests and int(requests[1]) > 0, "wrk was not served")
        world.equal(server.stop(), 0, "exit code")


def main():
    world.enter()
    with tempfile.TemporaryDirectory() as root:
        parallel_curls(root)
        wrk(root)


main()
