#!/usr/bin/env python3
"""echo, discard and chargen (RFC 862 to 864) of `runnel serve` with kernel clients, many at once."""

import socket

import _world as world
from _world import check, equal

CLIENTS = 200


def echo_to_many():
    with world.Serving(*world.prepare("tun"), "--listen", "7", "--echo", listeners=2) as server:
        with world.NoResets():
            clients = [socket.create_connection((world.runnel_address(4 if i % 2 else 6), 7), timeout=20)
                       for i in range(CLIENTS)]  # fmt: skip
            for i, client in enumerate(clients):
                client.sendall(f"client {i}\n".encode() * 100)
                client.shutdown(socket.SHUT_WR)
            for i, client in enumerate(clients):
                data = b""
                while piece := client.recv(65536):
                    data += piece
                equal(data, f"client {i}\n".encode() * 100, f"echo of client {i}")
                client.close()
            world.closed_cleanly()
        equal(server.stop(), 0, "exit code")


def discard():
    with world.Serving(*world.prepare("tun"), "--listen", "9", "--discard", listeners=2) as server:
        with world.NoResets(), socket.create_connection((world.RUNNEL4, 9), timeout=20) as client:
            client.sendall(bytes(8 << 20))
            client.shutdown(socket.SHUT_WR)
            equal(client.recv(1), b"", "what discard says")
        world.closed_cleanly()
        equal(server.stop(), 0, "exit code")


def chargen():
    with world.Serving(*world.prepare("tun"), "--listen", "19", "--chargen", listeners=2) as server:
        with socket.create_connection((world.RUNNEL6, 19), timeout=20) as client:
            data = b""
            while len(data) < 200_000:
                data += client.recv(65536)
        lines = data.split(b"\r\n")[:-1]
        check(all(len(line) == 72 for line in lines), "a line that has not 72 characters")
        equal(lines[0][:3], b' !"', "the first line")
        equal(lines[1][:3], b'!"#', "the second line")
        equal(lines[95], lines[0], "the pattern's period")
        equal(server.stop(), 0, "exit code")


def slow_readers_do_not_stop_others():
    """Clients that never read pin no more than their buffers; another one is served meanwhile."""
    with world.Serving(*world.prepare("tun"), "--listen", "19", "--chargen", listeners=2) as server:
        idle = [socket.create_connection((world.RUNNEL4, 19), timeout=20) for _ in range(20)]
        with socket.create_connection((world.RUNNEL4, 19), timeout=20) as client:
            got = 0
            while got < 50_000_000:
                got += len(client.recv(1 << 20))
        for client in idle:
            client.close()
        equal(server.stop(), 0, "exit code")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.main(echo_to_many, discard, chargen, slow_readers_do_not_stop_others)
