#!/usr/bin/env python3
"""`runnel nc` against kernel sockets: each direction ends for itself, as client and as server."""

import json
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
                done = world.runnel("nc", "-N", "--link", "tun", world.kernel_address(family), str(server.port),
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
        child = world.start(world.RUNNEL, "nc", "-N", "--link", "tun", world.KERNEL4, str(server.port),
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
        done = world.runnel("nc", "-N", "--link", "tun", world.KERNEL4, str(server.port), input=data)
        equal(done.returncode, 0, f"exit code ({done.stderr})")
        check(done.stdout == data, f"{len(done.stdout)} of {len(data)} bytes came back, or others")
        world.closed_cleanly()


def listening():
    for family in world.FAMILIES:
        with world.NoResets():
            server = world.Serving("-l", "-N", *world.prepare("tun"), "9000", command="nc", stdin=subprocess.PIPE)
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


def without_half_close():
    """The end of stdin is not told; what the peer says until it closes still comes, and it hears nothing of an end."""
    seen = []

    def serve(connection):
        seen.append(connection.recv(100))
        connection.settimeout(0.5)
        try:
            seen.append(connection.recv(100))
        except TimeoutError:
            seen.append("silence")
        connection.sendall(b"enough")

    with world.KernelServer(serve) as server, world.NoResets():
        done = world.runnel("nc", "--link", "tun", world.KERNEL4, str(server.port), input=b"question\n")
        equal(done.returncode, 0, f"exit code ({done.stderr})")
        equal((done.stdout, seen), (b"enough", [b"question\n", "silence"]), "stdout, and what the peer saw")
        world.closed_cleanly()


def keeps_listening():
    """One caller after the other, a reset one among them."""
    with world.Serving("-l", "-k", *world.prepare("tun"), "9000", command="nc", stdin=subprocess.DEVNULL) as server:
        for number in range(5):
            with socket.create_connection((world.RUNNEL4, 9000), timeout=10) as client:
                client.sendall(f"caller {number}\n".encode())
                equal(server.child.stdout.readline(), f"caller {number}\n", "stdout")
                if number == 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        equal(server.stop(), 130, "exit code")
        log = "".join(server.messages)
        equal(log.count("connection from"), 5, "callers it tells of")
        check("reset" in log, f"the reset one: {log}")


def silence_ends_it():
    """-W: nobody says anything, or nobody answers."""
    with world.KernelServer(lambda connection: time.sleep(5)) as server:
        begin = time.monotonic()
        done = world.runnel("nc", "-W", "1", "--link", "tun", world.KERNEL4, str(server.port), stdin=subprocess.DEVNULL)
        equal(done.returncode, 28, f"exit code ({done.stderr})")
        check(0.9 < time.monotonic() - begin < 4, "after another time")
    done = world.runnel("nc", "-W", "1", "--link", "tun", "10.9.0.77", "80", stdin=subprocess.DEVNULL)
    equal(done.returncode, 28, f"exit code ({done.stderr})")


def scanning():
    with world.KernelServer(lambda connection: None) as server:
        port = server.port
        done = world.runnel("nc", "-z", "--link", "tun", world.KERNEL4, f"{port - 1}-{port + 1}", text=True)
        equal((done.returncode, done.stdout), (0, f"{world.KERNEL4}:{port} is open\n"), f"range ({done.stderr})")
        equal(done.stderr.count("refused"), 2, f"closed ones told of: {done.stderr}")
        done = world.runnel("nc", "-z", "--json", "--link", "tun", world.KERNEL4, str(port), text=True)
        equal(json.loads(done.stdout), {"address": world.KERNEL4, "port": port, "open": True}, "JSON")
        done = world.runnel("nc", "-z", "--link", "tun", world.KERNEL4, "9", text=True)
        equal((done.returncode, done.stdout), (7, ""), "a closed port")
        done = world.runnel("nc", "-z", "-W", "1", "--link", "tun", "10.9.0.77", "9", text=True)
        equal(done.returncode, 28, "a port of nobody")


def no_input():
    """/dev/null can't be waited for, and is at its end at once."""

    def serve(connection):
        connection.sendall(b"got " + read_all(connection))

    with world.KernelServer(serve) as server, world.NoResets():
        done = world.runnel("nc", "-N", "--link", "tun", world.KERNEL4, str(server.port), stdin=subprocess.DEVNULL)
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
    done = world.runnel("nc", "-N", "--link", "tun", world.KERNEL4, "9", input=b"")
    equal(done.returncode, 7, f"exit code ({done.stderr})")


def reset():
    def serve(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with world.KernelServer(serve) as server:
        child = world.start(world.RUNNEL, "nc", "-N", "--link", "tun", world.KERNEL4, str(server.port),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        child.stdin.write(b"x")
        child.stdin.flush()
        equal(child.wait(world.PATIENCE), 56, "exit code")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.main(runnel_closes_first, peer_closes_first, a_megabyte_each_way_at_once, listening, without_half_close, keeps_listening,
           silence_ends_it, scanning, no_input,
           interrupted_while_stdout_is_full, refused, reset)  # fmt: skip
