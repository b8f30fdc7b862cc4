#!/usr/bin/env python3
"""`runnel stat`, `why` and `trace` of a running process: what they tell is what the kernel's end of the connections saw."""

import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import _world as world
from _world import RUNNEL4, check, equal, runnel

DIRECTORY = tempfile.mkdtemp(prefix="runnel-watching-")


def told(*arguments, code=0):
    done = runnel(*arguments, text=True)
    equal(done.returncode, code, f"runnel {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def figures(server, *arguments):
    rows = json.loads(told("stat", "--json", "--zeros", "--pid", str(server.child.pid), *arguments))
    return {row["name"]: row["value"] for row in rows}


def eventually(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.02)


def serving(*arguments):
    return world.Serving("--link", "tun", "--address", f"{RUNNEL4}/24", "-q", *arguments)


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(65536)
        check(piece, "the stream ended early")
        data += piece
    return data


def what_was_counted():
    with serving("--echo", "--listen", "7") as server:
        before = figures(server)
        equal(before["tcp_connections"], 0, "connections")
        equal(before["tcp_listeners"], 1, "listeners")
        clients = [socket.create_connection((RUNNEL4, 7), timeout=10) for _ in range(5)]
        for client in clients:
            client.sendall(b"x" * 1000)
            equal(len(receive(client, 1000)), 1000, "echo")
        during = figures(server)
        news = {name: during[name] - before[name] for name in during if name in before}
        for name, wanted in (("tcp_connections", 5), ("tcp_accept_syn", 5), ("tcp_transmit_syn_ack", 5),
                             ("tcp_accept_in_order", 5), ("tcp_retransmit_fast", 0)):  # fmt: skip
            equal(news[name], wanted, name)
        check(news["tcp_transmit_data"] >= 5, f"data: {news['tcp_transmit_data']}")
        check(during["tcp_segments_sent"] >= 10 and during["interface_tun0_frames_in"] >= 15, f"{during}")
        # As people read it: a name, a figure, a sentence; only what was asked for, and no zeros.
        text = told("stat", "--pid", str(server.child.pid), "tcp_accept_syn").splitlines()
        lines = [line.split(None, 2) for line in text if line.startswith("tcp_accept_syn ")]
        equal([line[:2] for line in lines], [["tcp_accept_syn", "5"]], f"{text}")
        check("A SYN for a listener" in lines[0][2], f"{text}")
        check("tcp_retransmit_fast" not in told("stat"), "a zero is shown")
        # An interval tells what it added.
        child = world.start(world.RUNNEL, "stat", "-d", "1", "--json", "tcp_accept_in_order", stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while child.poll() is None:
            check(time.monotonic() < deadline, "stat -d does not end")
            clients[0].sendall(b"y")
            receive(clients[0], 1)
            time.sleep(0.01)
        added = {row["name"]: row["value"] for row in json.loads(child.stdout.read())}
        total = figures(server)["tcp_accept_in_order"] - before["tcp_accept_in_order"]
        check(0 < added["tcp_accept_in_order"] < total, f"{added} of {total}")
        for client in clients:
            client.close()
        eventually(lambda: figures(server)["tcp_connections"] == 0, "connections that stay")
        equal(figures(server)["buffer_bytes"], before["buffer_bytes"], "buffers")
    check("no running runnel process" in runnel("stat", text=True).stderr, "nobody is there")


def why_it_waits():
    with serving("--chargen", "--listen", "19") as server:
        pid = str(server.child.pid)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.settimeout(10)
            client.connect((RUNNEL4, 19))
            place = f":{client.getsockname()[1]}"
            # It doesn't read, so its window closes.
            eventually(lambda: json.loads(told("why", "--json", place))["timer"] == "persist", "no persist timer")
            row = json.loads(told("why", "--json", place))
            equal((row["limited_by"], row["plan"], row["ended"]),
                  ("receive window", "tcp_hold_zero_window", False), "the closed window")  # fmt: skip
            text = told("why", "--pid", pid, place)
            for words in ("ESTABLISHED", "tcp_hold_zero_window", "persist timer"):
                check(words in text, f"{words} is not in {text}")
            check(len(told("why", "-n", "3", place).splitlines()) < len(text.splitlines()), "-n")
            # It reads again: that is no longer what it waits for.
            receive(client, 200_000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: json.loads(told("why", "--json", place))["ended"], "its end is not told")
        text = told("why", place)
        check("tcp_accept_rst" in text, f"how it ended is not in {text}")
        told("why", ":1", code=1)
        told("why", "nonsense", code=2)
    told("why", ":19", code=1)


def trace(server, *arguments):
    return world.start(world.RUNNEL, "trace", "--pid", str(server.child.pid), *arguments,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def decisions_as_they_are_made():
    with serving("--echo", "--listen", "7") as server:
        with socket.create_connection((RUNNEL4, 7), timeout=10) as client:
            place = f":{client.getsockname()[1]}"
            everything = trace(server, "--json", "-c", "60")
            drops = trace(server, "--drops", "-c", "1")
            fins = trace(server, "--decision", "tcp_accept_fin", "-c", "2")
            one = trace(server, "--conn", place, "--json", "-c", "10")
            traces = (everything, drops, fins, one)
            # All of it happens again and again until each has seen as much as it was to see.
            deadline = time.monotonic() + 20
            while any(child.poll() is None for child in traces):
                check(time.monotonic() < deadline, "a trace does not end by its count")
                client.sendall(b"x")
                receive(client, 1)
                with socket.create_connection((RUNNEL4, 7), timeout=10) as other:
                    other.sendall(b"y")
                    receive(other, 1)
                try:
                    socket.create_connection((RUNNEL4, 9), timeout=10)
                    world.fail("nobody listens on port 9")
                except ConnectionRefusedError:
                    pass
        out = [child.communicate(timeout=10)[0].splitlines() for child in traces]
        equal([child.returncode for child in traces], [0, 0, 0, 0], "exit codes")
        rows = [json.loads(line) for line in out[0]]
        names = [row["decision"] for row in rows if "decision" in row]
        begin = names.index("tcp_accept_syn")
        wanted = ["tcp_accept_syn", "tcp_transmit_syn_ack", "tcp_accept_handshake_ack"]
        equal([name for name in names[begin:] if name in wanted][:3], wanted, f"in {names}")
        check("tcp_drop_no_connection" in out[1][-1], f"the drop: {out[1]}")
        equal(sum("tcp_accept_fin" in line for line in out[2]), 2, f"FINs: {out[2]}")
        of_one = [json.loads(line) for line in out[3]]
        check(all(place in json.dumps(row) for row in of_one if "decision" in row), f"{of_one}")
        check(not {"tcp_accept_syn", "tcp_accept_fin"} & {row.get("decision") for row in of_one}, f"others', too: {of_one}")
        # The process ends, and so does who looks on.
        last = trace(server)
        time.sleep(0.2)
        server.stop()
        last.communicate(timeout=world.PATIENCE)


if __name__ == "__main__":
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    os.environ["RUNNEL_CONTROL_DIR"] = DIRECTORY
    try:
        world.main(what_was_counted, why_it_waits, decisions_as_they_are_made)
    finally:
        shutil.rmtree(DIRECTORY)
