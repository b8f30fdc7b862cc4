#!/usr/bin/env python3
"""Captures by tcpdump between two kernels: at moments when nothing is on its way, both ends' states as `ladder` and
`explain` tell them from the capture are those that the kernels' own `ss` tells; and nothing is flagged in what
two conforming TCPs do.

With a directory as argument its captures are kept there (for tests/data/captures)."""
# runnel-test: timeout=300

import json
import pathlib
import socket
import struct
import subprocess
import sys
import time

import _wire
import _world as world
from _world import check, equal


class Scene:
    """One scenario: a capture at each side, and the kernels' states at its stable moments."""

    def __init__(self, wire, directory, name, at="a", options=()):
        self.wire, self.name, self.at = wire, name, at
        self.options = options
        self.paths = {side: directory / f"{name}_{side}.pcap" for side in "ab"}
        self.samples = []
        self.port = None
        self.findings = []

    def __enter__(self):
        self.wire.plan = lambda side, segment: None
        self.wire.delay = 0.0
        self.captures = [_wire.Capture(self.wire, side, self.paths[side], *self.options) for side in "ab"]
        return self

    def __exit__(self, kind, *_):
        self.wire.plan = lambda side, segment: None
        self.wire.delay = 0.0
        _wire.end_captures(self.wire, self.captures)
        if kind is None:
            self.compare()

    def sample(self, wanted, settle=0.03, own=False):
        """Waits for these states of (client's side a, side b), and keeps them with the time. `own`: nothing that
        the far end has sent has arrived yet, so that a capture can tell its own end's state only."""
        self.wire.wait_for(self.port, wanted)
        time.sleep(settle)
        equal(self.wire.states(self.port, wanted), wanted, f"{self.name}: the kernels' states are stable")
        self.samples.append((time.time_ns(), wanted, own))

    # --- what the captures say -----------------------------------------------------------------------------

    def told(self, command, side):
        done = world.runnel(command, "--json", str(self.paths[side]), f":{self.port}", text=True)
        check(done.returncode == 0, f"{self.name}: {command} on {side}: exit {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def compare(self):
        for side in "ab":
            ladder = [row for row in self.told("ladder", side) if "states" in row]
            rows = self.told("explain", side)
            explain = [row for row in rows if "states_after" in row]
            equal(len(ladder), len(explain), f"{self.name}: segments")
            for when, wanted, only_own in self.samples:
                before = [i for i, row in enumerate(explain) if row["unix_ns"] < when]
                if not before:
                    continue
                last = before[-1]
                # The left end opened; that is the client on a, or either in a simultaneous open.
                swapped = explain[last]["from"].startswith(("10.9.1.2:", "[fd09:1::2]"))
                swapped ^= explain[last]["from"] != self.left(rows)
                for row, key, what in ((ladder[last], "states", "ladder"), (explain[last], "states_after", "explain")):
                    found = (row[key]["left"], row[key]["right"])
                    found = found[::-1] if swapped else found
                    context = f"{self.name}: {what} on side {side} behind packet {row['packet']} of {self.paths[side]}"
                    if side == self.at and not only_own:
                        equal(found, wanted, context)
                    else:
                        own = "ab".index(side)
                        equal(found[own], wanted[own], context)
            self.verdicts(side, rows)

    @staticmethod
    def left(rows):
        return rows[-1]["left"]["address"]

    def verdicts(self, side, rows):
        flagged = [
            (row.get("packet"), finding["verdict"], finding["text"])
            for row in rows
            for finding in row.get("findings", []) + row.get("capture", [])
            + row.get("left", {}).get("findings", []) + row.get("right", {}).get("findings", [])
            if finding["level"] in ("violates", "unusual")
        ]  # fmt: skip
        equal(flagged, [], f"{self.name}: what is flagged on side {side} in {self.paths[side]}")
        found = [finding["verdict"] for row in rows for finding in row.get("findings", [])]
        found += [finding["verdict"] for finding in rows[-1]["capture"]]
        if side == self.at:
            for verdict in self.findings:
                check(verdict in found, f"{self.name}: no {verdict} on side {side} in {self.paths[side]}: {found}")

    def established(self, listener, family=4):
        client, server = self.wire.connect(listener, family)
        self.port = client.getsockname()[1]
        return client, server


def receive(connection, size):
    got = 0
    while got < size:
        piece = connection.recv(min(size - got, 1 << 16))
        check(piece, "the stream ended early")
        got += len(piece)


def abort(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


ESTABLISHED = ("ESTABLISHED", "ESTABLISHED")


def finish(scene, client, server):
    """The client closes first."""
    client.close()
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    server.close()
    scene.sample(("TIME-WAIT", "CLOSED"))


def clean(scene, listener, family=4):
    client, server = scene.established(listener, family)
    scene.sample(ESTABLISHED)
    client.sendall(b"hello" * 100)
    receive(server, 500)
    server.sendall(b"x" * 5000)
    receive(client, 5000)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def server_closes(scene, listener):
    client, server = scene.established(listener)
    server.sendall(b"bye")
    server.close()
    receive(client, 3)
    scene.sample(("CLOSE-WAIT", "FIN-WAIT-2"))
    client.close()
    scene.sample(("CLOSED", "TIME-WAIT"))


class Dropping:
    """A plan that drops what `chosen(side, segment)` chooses, until it is released."""

    def __init__(self, wire, chosen):
        self.wire, self.chosen, self.dropped, self.most = wire, chosen, 0, 1 << 30
        wire.plan = self.plan

    def plan(self, side, segment):
        if self.dropped < self.most and self.chosen(side, segment):
            self.dropped += 1
            return "drop"
        return None

    def release(self):
        self.wire.plan = lambda side, segment: None


def connect_in_background(scene, listener):
    client = scene.wire.socket("a")
    scene.port = client.getsockname()[1]
    client.setblocking(False)
    client.connect_ex((scene.wire.address("b"), listener.getsockname()[1]))
    return client


def accept(client, listener):
    listener.settimeout(20)
    server, _ = listener.accept()
    for connection in (client, server):
        connection.settimeout(20)
    return server


def lost_syn(scene, listener):
    scene.findings = ["syn_again"]
    drop = Dropping(scene.wire, lambda side, s: s.syn)
    client = connect_in_background(scene, listener)
    scene.sample(("SYN-SENT", "LISTEN"))
    drop.release()
    server = accept(client, listener)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def lost_syn_ack(scene, listener):
    scene.findings = ["syn_ack_again"]
    drop = Dropping(scene.wire, lambda side, s: s.syn and side == "b")
    client = connect_in_background(scene, listener)
    scene.sample(("SYN-SENT", "SYN-RECEIVED"))
    drop.release()
    server = accept(client, listener)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def lost_handshake_ack(scene, listener):
    drop = Dropping(scene.wire, lambda side, s: side == "a" and s.pure_ack)
    client = connect_in_background(scene, listener)
    scene.sample(("ESTABLISHED", "SYN-RECEIVED"))
    drop.release()
    server = accept(client, listener)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def lost_fin(scene, listener):
    client, server = scene.established(listener)
    drop = Dropping(scene.wire, lambda side, s: s.fin)
    client.close()
    scene.sample(("FIN-WAIT-1", "ESTABLISHED"))
    drop.release()
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    server.close()
    scene.sample(("TIME-WAIT", "CLOSED"))


def lost_ack_of_fin(scene, listener):
    client, server = scene.established(listener)
    drop = Dropping(scene.wire, lambda side, s: side == "b")
    client.close()
    scene.sample(("FIN-WAIT-1", "CLOSE-WAIT"))
    drop.release()
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    server.close()
    scene.sample(("TIME-WAIT", "CLOSED"))


def lost_last_ack(scene, listener):
    client, server = scene.established(listener)
    client.close()
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    drop = Dropping(scene.wire, lambda side, s: side == "a")
    server.close()
    scene.sample(("TIME-WAIT", "LAST-ACK"))
    drop.release()
    scene.sample(("TIME-WAIT", "CLOSED"))


def half_close(scene, listener):
    client, server = scene.established(listener)
    client.sendall(b"a request")
    client.shutdown(socket.SHUT_WR)
    receive(server, 9)
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    server.sendall(b"y" * 200_000)
    receive(client, 200_000)
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    server.close()
    scene.sample(("TIME-WAIT", "CLOSED"))


def simultaneous_close(scene, listener):
    client, server = scene.established(listener)
    scene.wire.delay = 0.2
    passed = set()

    def unheard(side, s):
        """All but the first FIN of each: sent again, it would bring the ACK of the other's."""
        if s.fin and side not in passed:
            passed.add(side)
            return False
        return s.pure_ack or s.fin

    drop = Dropping(scene.wire, unheard)
    client.close()
    server.close()  # the FINs cross; that they arrived isn't heard of yet
    scene.sample(("CLOSING", "CLOSING"))
    drop.release()
    scene.sample(("TIME-WAIT", "TIME-WAIT"), settle=0.1)


def simultaneous_open(scene, listener):
    drop = Dropping(scene.wire, lambda side, s: s.syn)
    ends = {side: scene.wire.socket(side) for side in "ab"}
    scene.port = ends["a"].getsockname()[1]
    for side, far in ("ab", "ba"):
        ends[side].setblocking(False)
        ends[side].connect_ex(ends[far].getsockname())
    scene.sample(("SYN-SENT", "SYN-SENT"), own=True)
    drop.release()
    # Both SYNs leave anew within some milliseconds: held so long that they cross.
    scene.wire.plan = lambda side, s: 0.1 if s.syn and not s.has_ack else None
    scene.sample(ESTABLISHED)
    scene.wire.plan = lambda side, s: None
    ends["a"].close()
    scene.sample(("FIN-WAIT-2", "CLOSE-WAIT"))
    ends["b"].close()
    scene.sample(("TIME-WAIT", "CLOSED"))


def refused(scene, listener):
    scene.findings = ["reset_refusal"]
    client = scene.wire.socket("a")
    scene.port = client.getsockname()[1]
    try:
        client.connect((scene.wire.address("b"), 9))
        world.fail("nobody listens there, and yet it connects")
    except ConnectionRefusedError:
        pass
    client.close()
    scene.sample(("CLOSED", "CLOSED"))


def aborted(scene, listener):
    scene.findings = ["reset"]
    client, server = scene.established(listener)
    client.sendall(b"z" * 3000)
    receive(server, 3000)
    scene.sample(ESTABLISHED)
    abort(client)
    scene.sample(("CLOSED", "CLOSED"))
    server.close()


def reset_midway(scene, listener):
    client, server = scene.established(listener)
    server.setblocking(False)
    sent = server.send(b"q" * 400_000)
    receive(client, sent // 2)
    check(client.recv(1, socket.MSG_PEEK), "nothing is left to read")  # waits until the next octet is there
    client.close()  # with data unread: a reset (RFC 9293 §3.6.1)
    scene.sample(("CLOSED", "CLOSED"))
    server.close()


def zero_window(scene, listener):
    scene.findings = ["zero_window", "window_probe", "probe_answer", "window_opened"]
    client = scene.wire.socket("a")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect((scene.wire.address("b"), listener.getsockname()[1]))
    scene.port = client.getsockname()[1]
    server = accept(client, listener)
    server.setblocking(False)
    sent = server.send(b"w" * 60_000)
    time.sleep(0.9)
    scene.sample(ESTABLISHED)
    receive(client, sent)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def keep_alive(scene, listener):
    scene.findings = ["keep_alive", "probe_answer"]
    client, server = scene.established(listener)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    client.sendall(b"once")
    receive(server, 4)
    time.sleep(1.3)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


class Nth:
    """The n-th data segments from side b meet a fate."""

    def __init__(self, wire, fates):
        self.fates, self.count = fates, 0
        wire.plan = self.plan

    def plan(self, side, segment):
        if side != "b" or segment.length == 0:
            return None
        self.count += 1
        return self.fates.get(self.count)


def transfer(scene, listener, size=100_000):
    client, server = scene.established(listener)
    server.sendall(b"d" * size)
    receive(client, size)
    scene.sample(ESTABLISHED)
    finish(scene, client, server)


def reordered(scene, listener):
    Nth(scene.wire, {5: 0.002, 20: 0.002})
    transfer(scene, listener)


def lost_in_the_middle(scene, listener):
    scene.findings = ["duplicate_ack", "selective_ack", "full_ack"]
    Nth(scene.wire, {8: "drop", 9: "drop", 30: "drop"})
    transfer(scene, listener)


def lost_tail(scene, listener):
    Nth(scene.wire, {3: "drop"})
    transfer(scene, listener, 4000)


def doubled(scene, listener):
    Nth(scene.wire, {5: "double"})
    transfer(scene, listener)


def midway(wire, directory, listener):
    """The capture begins when the connection has long been there."""
    client, server = wire.connect(listener)
    client.sendall(b"early")
    receive(server, 5)
    with Scene(wire, directory, "midway") as scene:
        scene.port = client.getsockname()[1]
        scene.findings = ["starts_midway"]
        server.sendall(b"m" * 20_000)
        receive(client, 20_000)
        scene.sample(ESTABLISHED)
        finish(scene, client, server)


SCENES = {
    clean: "a", server_closes: "a", lost_syn: "a", lost_syn_ack: "b", lost_handshake_ack: "a", lost_fin: "a",
    lost_ack_of_fin: "b", lost_last_ack: "a", half_close: "a", simultaneous_close: "a", simultaneous_open: "a",
    refused: "a", aborted: "a", reset_midway: "a", zero_window: "a", keep_alive: "a", reordered: "a",
    lost_in_the_middle: "b", lost_tail: "b", doubled: "b",
}  # fmt: skip


OTHERS = ("clean6", "snaplen", "midway")
SHARES = 4  # processes, each with its own wire: the scenarios mostly wait for timers


def run_share(directory, wanted):
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    wire = _wire.Wire()
    listener = wire.listen()
    for scenario, at in SCENES.items():
        if scenario.__name__ in wanted:
            with Scene(wire, directory, scenario.__name__, at) as scene:
                scenario(scene, listener)
            print(f"ok {scenario.__name__}", flush=True)
    if "clean6" in wanted:
        with Scene(wire, directory, "clean6") as scene:
            clean(scene, wire.listen(family=6), 6)
    if "snaplen" in wanted:
        with Scene(wire, directory, "snaplen", options=("-s", "100")) as scene:
            scene.findings = ["cut_short"]
            clean(scene, listener)
    if "midway" in wanted:
        midway(wire, directory, listener)
    print("ok", *(name for name in OTHERS if name in wanted), flush=True)
    wire.close()


def main():
    for program in ("tcpdump", "ss"):
        world.need(program)
    if len(sys.argv) > 2:
        run_share(pathlib.Path(sys.argv[1]), sys.argv[2:])
        return
    names = [scenario.__name__ for scenario in SCENES] + list(OTHERS)
    with world.temporary() as temporary:
        directory = sys.argv[1] if len(sys.argv) > 1 else temporary
        shares = [
            subprocess.Popen([sys.executable, __file__, directory, *names[i::SHARES]], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            for i in range(SHARES)
        ]  # fmt: skip
        codes = []
        for share in shares:
            print(share.communicate(timeout=240)[0], end="", flush=True)
            codes.append(share.returncode)
        sys.exit(77 if 77 in codes else max(codes, default=0))


main()
