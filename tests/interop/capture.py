#!/usr/bin/env python3
"""tshark reads what -w writes: no malformed packet, no wrong checksum, a comment with a reason at nearly
every packet, and a connection that opens and closes without a reset."""

import pathlib
import subprocess

import _world as world
from _world import check, equal

CHECK = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
BAD = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || icmpv6.checksum.status == 0"


def tshark(capture, *arguments):
    done = subprocess.run(["tshark", "-n", "-r", str(capture), *CHECK, *arguments],
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    equal(done.returncode, 0, f"tshark: {done.stderr.strip()}; exit")
    return done.stdout.splitlines()


def inspect(capture, what):
    equal(tshark(capture, "-Y", BAD), [], f"{what}: malformed packets or wrong checksums")
    rows = tshark(capture, "-T", "fields", "-E", "separator=\t", "-e", "tcp.flags.str", "-e", "frame.comment")
    check(len(rows) > 20, f"{what}: only {len(rows)} packets")
    commented = [row for row in rows if "RFC" in row or "Linux" in row or "Runnel" in row]
    check(len(commented) * 10 >= len(rows) * 9, f"{what}: {len(commented)} of {len(rows)} with a reason")
    equal(tshark(capture, "-Y", "tcp.flags.reset == 1"), [], f"{what}: resets")
    equal(len(tshark(capture, "-Y", "tcp.flags.fin == 1")), 4, f"{what}: FINs of two connections")


def main():
    world.enter()
    world.need("tshark")
    with world.temporary() as name:
        directory = pathlib.Path(name)
        world.make_file(directory / "file", 4 << 20)
        for link in world.links():
            # One capture of both families: two clients, then the server ends.
            capture = directory / f"{link}.pcapng"
            options = [*world.prepare(link), "-w", str(capture)]
            server = world.Serving(*options, "--listen", "80", "--exit-after", "2", name, listeners=2)
            with server:
                for family in world.FAMILIES:
                    address = world.url(world.runnel_address(family), 80, "/file")
                    world.run("curl", "-q", "-sS", "--noproxy", "*", "-g", "-o", "/dev/null", address)
                equal(server.wait(), 0, f"exit code of serve: {server.messages}")
            inspect(capture, f"serve over {link}")
            print(f"ok serve over {link}", flush=True)


world.need("curl")
main()
