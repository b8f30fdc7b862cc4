#!/usr/bin/env python3
# runnel-test: timeout=300
"""Files between the kernel's TCP and Runnel's: kernel curl downloads from and uploads to `runnel serve`,
`runnel get` downloads from a kernel server; over TUN, TAP and a veth pair, IPv4 and IPv6. Digests are equal,
no connection is reset, and every one is closed by both ends. 16 MiB each; 1 GiB with RUNNEL_LONG=1."""

import os
import pathlib
import shutil
import subprocess

import _world as world
from _world import check, equal

LONG = os.environ.get("RUNNEL_LONG") == "1"
SIZE = (1 << 30) if LONG else (16 << 20)
PATIENCE = 600 if LONG else 60


def curl(*arguments):
    done = subprocess.run(
        ["curl", "-q", "-sS", "--fail", "--noproxy", "*", "--max-time", str(PATIENCE), "--globoff", *arguments],
        capture_output=True, text=True, timeout=PATIENCE + 5,
    )  # fmt: skip
    equal(done.returncode, 0, f"curl {' '.join(arguments)}: {done.stderr.strip()}; exit")
    return done.stdout


def against_serve(link, directory, digest):
    options = world.prepare(link)
    with world.Serving(*options, "--listen", "80", str(directory), listeners=2) as server:
        for family in world.FAMILIES:
            address = world.url(world.runnel_address(family), 80)
            with world.NoResets():
                copy = directory / "copy"
                curl("-o", str(copy), address + "file")
                equal(world.digest_of(copy), digest, f"{link}, IPv{family}, downloaded")
                copy.unlink()
                answer = curl("-T", str(directory / "file"), address + "upload")
                equal(answer.split()[0], digest, f"{link}, IPv{family}, uploaded")
                world.closed_cleanly()
        equal(server.stop(), 0, "exit code of serve")


def get_from_kernel(link, directory, digest, server):
    options = world.prepare(link)
    for family in world.FAMILIES:
        with world.NoResets():
            copy = directory / "copy"
            address = world.url(world.kernel_address(family), server.port, "/file")
            done = world.runnel("get", *options, "-o", str(copy), address, timeout=PATIENCE)
            equal(done.returncode, 0, f"runnel get {address}: {done.stderr}; exit")
            equal(world.digest_of(copy), digest, f"{link}, IPv{family}, got")
            copy.unlink()
            world.closed_cleanly()


def main():
    world.enter()
    world.need("curl")
    with world.temporary() as name:
        directory = pathlib.Path(name)
        digest = world.make_file(directory / "file", SIZE)
        links = world.links()
        check(links, "no link is permitted")
        for link in links:
            against_serve(link, directory, digest)
            print(f"ok serve over {link}", flush=True)
            with world.FileServer(str(directory)) as server:
                get_from_kernel(link, directory, digest, server)
            print(f"ok get over {link} from Python", flush=True)
            if shutil.which("nginx"):
                with world.temporary() as state, world.Nginx(directory, state) as server:
                    get_from_kernel(link, directory, digest, server)
                print(f"ok get over {link} from nginx", flush=True)


main()
