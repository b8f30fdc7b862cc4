# runnel-test: timeout=120
"""The wire on which bench/impaired.py measures: it delivers everything that it is not told to lose, between any
two of the kernel's TCP and Runnel's, and a seed's misfortune repeats."""
import json
import os
import subprocess

import _world as world

OCTETS = 1_000_000
WIRE = os.path.join(os.path.dirname(world.RUNNEL), "bench", "impaired_wire")


def run(*arguments):
    done = subprocess.run([WIRE, *arguments], capture_output=True, text=True, timeout=world.PATIENCE)
    if done.returncode == 77:
        world.skip(done.stderr.strip())
    world.equal(done.returncode, 0, f"{arguments}: {done.stderr.strip()}: exit code")
    return json.loads(done.stdout)


def whole(pair):
    result = run("--flow", f"{pair}:reno", "--octets", str(OCTETS), "--rate", "200", "--rtt", "4",
                 "--least-queue", "4000", "--seconds", "40")
    flow, wire = result["flows"][0], result["wire"]
    world.equal(flow["received"], OCTETS, f"{pair}: octets that came")
    world.equal(flow["wrong"], 0, f"{pair}: wrong octets")
    world.check(flow["finished"], f"{pair}: the end of the stream came")
    for name in ("data_lost", "data_overflowed", "data_held_back", "ack_lost", "refused"):
        world.equal(wire[name], 0, f"{pair}: {name}")


def fates(seed):
    """A letter a packet; how many there are is the sender's affair."""
    return run("--octets", "300000", "--rate", "200", "--rtt", "4", "--least-queue", "4000", "--loss", "5",
               "--reorder", "5", "--seconds", "40", "--seed", str(seed), "--fates")["fates"]


def main():
    if not os.access(WIRE, os.X_OK):
        world.skip(f"{WIRE} has not been built")
    for pair in ("kernel-kernel", "runnel-kernel", "kernel-runnel", "runnel-runnel"):
        whole(pair)
    once, again, other = fates(7), fates(7), fates(8)
    both = min(len(once), len(again))
    world.check(both > 200, f"{both} packets")
    world.equal(once[:both], again[:both], "what befell the packets of one seed")
    world.check("L" in once and "r" in once, f"losses and delays: {once}")
    world.check(once[:both] != other[:both], "another seed has another fate")


main()
