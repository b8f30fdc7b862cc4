#!/usr/bin/env python3
"""`runnel nc` against kernel sockets: each direction ends for itself, as client and as server."""

import signal
import socket
import subprocess
import time

import _world as world
from _world import check, equal


def read_all(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def runnel_closes_first():
    """stdin ends; what the peer says afterwards still arrives."""
    seen = []

    def serve(connection):
        seen.append(read_all(connection))
        connection.sendall(b"answer to " + seen[-1])

    with world.KernelServer(serve) as server:
        for family in world.FAMILIES:
            with world.NoResets():
                done = world.runnel("nc", "--link", "tun", world.kernel_address(family), str(server.port),
                                    input=b"question\n")  # fmt: skip
                equal(done.returncode, 0, f"exit code ({done.stderr})")
                equal(done.stdout, b"answer to question\n", "stdout")
                world.closed_cleanly()


def peer_closes_first():
    """The peer's half is over; what stdin says afterwards still gets there."""
    seen = []

    def serve(connection):
        connection.sendall(b"that is all\n")
        connection.shutdown(socket.SHUT_WR)
        seen.append(read_all(connection))

    with world.KernelServer(serve) as server, world.NoResets():
        child = world.start(world.RUNNEL, "nc", "--link", "tun", world.KERNEL4, str(server.port),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        equal(child.stdout.readline(), b"that is all\n", "stdout")
        child.stdin.write(b"one more thing\n")
        child.stdin.close()
        equal(child.wait(world.PATIENCE), 0, "exit code")
        equal(seen, [b"one more thing\n"], "what the peer got")
        world.closed_cleanly()


def a_megabyte_each_way_at_once():
    data = bytes(range(256)) * 4096 * 4

    def serve(connection):
        while piece := connection.recv(65536):
            connection.sendall(piece)

    with world.KernelServer(serve) as server, world.NoResets():
        done = world.runnel("nc", "--link", "tun", world.KERNEL4, str(server.port), input=data)
        equal(done.returncode, 0, f"exit code ({done.stderr})")
        check(done.stdout == data, f"{len(done.stdout)} of {len(data)} bytes came back, or others")
        world.closed_cleanly()


def listening():
    for family in world.FAMILIES:
        with world.NoResets():
            server = world.Serving("-l", *world.prepare("tun"), "9000", command="nc", stdin=subprocess.PIPE)
            with server:
                with socket.create_connection((world.runnel_address(family), 9000), timeout=10) as client:
                    client.sendall(b"to the server\n")
                    equal(server.child.stdout.readline(), "to the server\n", "stdout")
                    server.child.stdin.write("to the client\n")
                    server.child.stdin.close()
                    client.shutdown(socket.SHUT_WR)
                    equal(read_all(client), b"to the client\n", "what the client got")
                equal(server.wait(), 0, "exit code")
            world.closed_cleanly()


def no_input():
    """/dev/null can't be waited for, and is at its end at once."""

    def serve(connection):
        connection.sendall(b"got " + read_all(connection))

    with world.KernelServer(serve) as server, world.NoResets():
        done = world.runnel("nc", "--link", "tun", world.KERNEL4, str(server.port), stdin=subprocess.DEVNULL)
        equal(done.returncode, 0, f"exit code ({done.stderr})")
        equal(done.stdout, b"got ", "stdout")


def interrupted_while_stdout_is_full():
    """Nobody reads the pipe; Ctrl-C ends it, and nothing is left to be destroyed twice."""
    child = world.start(world.RUNNEL, "nc", "--link", "wire", world.KERNEL4, "19",
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    check(child.stdout.read(100_000).startswith(b" !"), "no letters came")
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    equal(child.wait(world.PATIENCE), 130, "exit code")
    equal(child.stderr.read(), b"", "stderr")


def refused():
    done = world.runnel("nc", "--link", "tun", world.KERNEL4, "9", input=b"")
    equal(done.returncode, 7, f"exit code ({done.stderr})")


def reset():
    def serve(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with world.KernelServer(serve) as server:
        child = world.start(world.RUNNEL, "nc", "--link", "tun", world.KERNEL4, str(server.port),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        child.stdin.write(b"x")
        child.stdin.flush()
        equal(child.wait(world.PATIENCE), 56, "exit code")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.main(runnel_closes_first, peer_closes_first, a_megabyte_each_way_at_once, listening, no_input,
           interrupted_while_stdout_is_full, refused, reset)  # fmt: skip
