#!/usr/bin/env python3
"""What goes wrong, and the exit code and sentence that say so: nobody there (28), a closed port (7), a reset
in the middle (56), an HTTP error (22), a body cut short (1); and a server that lives on after its client."""

import pathlib
import socket
import struct
import time

import _world as world
from _world import check, equal

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


def get(*arguments):
    return world.runnel("get", "--link", "tun", *arguments, text=True)


def syn_to_nowhere():
    # The kernel takes the packets off the TUN, doesn't forward, and says nothing.
    with world.temporary() as name:
        capture = pathlib.Path(name) / "nowhere.pcapng"
        begin = time.monotonic()
        done = get("--set", "tcp_syn_retries=2", "-w", str(capture), world.url("10.9.0.77", 80))
        equal(done.returncode, 28, f"exit code ({done.stderr.strip()})")
        check("Connection timed out" in done.stderr, f"message: {done.stderr}")
        check(time.monotonic() - begin >= 6.9, "given up after less than 1 + 2 + 4 s")
        syns = [s for s in world.segments(capture) if "SYN" in str(s["flags"])]
        equal(len(syns), 3, "SYNs sent")


def closed_port():
    for family in world.FAMILIES:
        done = get(world.url(world.kernel_address(family), 9))
        equal(done.returncode, 7, f"exit code, IPv{family} ({done.stderr.strip()})")
        check("Connection refused" in done.stderr, f"message: {done.stderr}")


def reset_in_the_middle():
    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    with world.KernelServer(serve) as server:
        for family in world.FAMILIES:
            done = get("-o", "/dev/null", world.url(world.kernel_address(family), server.port))
            equal(done.returncode, 56, f"exit code, IPv{family} ({done.stderr.strip()})")
            check("reset" in done.stderr, f"message: {done.stderr}")


def body_cut_short():
    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")

    with world.KernelServer(serve) as server:
        done = get(world.url(world.KERNEL4, server.port))
        equal(done.returncode, 1, f"exit code ({done.stderr.strip()})")
        check("3 of 1000" in done.stderr, f"message: {done.stderr}")


def http_error():
    with world.temporary() as name, world.FileServer(name) as server:
        done = get(world.url(world.KERNEL4, server.port, "/missing"))
        equal(done.returncode, 22, f"exit code ({done.stderr.strip()})")
        check("404" in done.stderr, f"message: {done.stderr}")
        equal(done.stdout, "", "stdout")


def usage():
    for arguments in (["http://x y/"], ["https://10.9.0.1/"], ["--set", "nonsense=1", "http://10.9.0.1/"]):
        equal(get(*arguments).returncode, 2, f"exit code of get {arguments}")
    equal(get("http://no-such-name.invalid/").returncode, 1, "exit code for an unknown name")
    equal(get("-w", "/no/such/dir/x.pcapng", "http://10.9.0.1/").returncode, 1, "unwritable capture")
    done = world.runnel("get", "--link", "packet:nosuch0", "--address", "10.9.0.2/24", "http://10.9.0.1/")
    equal(done.returncode, 1, "exit code for a missing interface")


def a_client_that_aborts():
    """The server notes it and serves the next one."""
    with world.temporary() as name:
        world.make_file(pathlib.Path(name) / "file", 20 << 20)
        options = world.prepare("tun")
        with world.Serving(*options, "--listen", "80", name, listeners=2) as server:
            for _ in range(3):
                client = socket.create_connection((world.RUNNEL4, 80), timeout=10)
                client.sendall(b"GET /file HTTP/1.1\r\nHost: h\r\n\r\n")
                check(client.recv(100_000), "nothing came")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                client.close()
            with socket.create_connection((world.RUNNEL4, 80), timeout=10) as client:
                client.sendall(b"HEAD /file HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                check(client.recv(4096).startswith(b"HTTP/1.1 200"), "the next client is not served")
            equal(server.stop(), 0, "exit code of serve")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.main(closed_port, reset_in_the_middle, body_cut_short, http_error, usage, a_client_that_aborts,
           syn_to_nowhere)  # fmt: skip
