#!/usr/bin/env python3
# runnel-test: timeout=240 labels=long serial
"""What peers of the kernel's may do: close the window for a minute, die, close one half first, open at the same time."""

import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import time

import _world as world
from _world import check, equal

MINUTE = float(os.environ.get("RUNNEL_ZERO_WINDOW_SECONDS", "60"))


def window_closed_for_a_minute():
    """RFC 9293 §3.8.6.1: the sender probes, and goes on when the window opens; both directions at once."""
    with world.temporary() as root:
        size = 24 << 20
        digest = world.make_file(f"{root}/file", size)
        with world.Serving(root, *world.prepare("tun"), "--listen", "80", "--idle", "600", "-q", "-w",
                           f"{root}/capture.pcapng", listeners=2) as server:  # fmt: skip
            with world.NoResets(), socket.create_connection((world.RUNNEL4, 80), timeout=20) as client:
                client.sendall(b"GET /file HTTP/1.0\r\n\r\n")
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(100)
                data = bytearray(head.split(b"\r\n\r\n", 1)[1])
                time.sleep(MINUTE)
                client.settimeout(20)
                while piece := client.recv(1 << 20):
                    data += piece
                equal(len(data), size, "bytes after the window was closed")
                with open(f"{root}/got", "wb") as got:
                    got.write(data)
                equal(world.digest_of(f"{root}/got"), digest, "SHA-256")
            equal(server.stop(), 0, "exit code")
        probes = [s for s in world.segments(f"{root}/capture.pcapng") if "tcp_transmit_window_probe" in str(s)]
        check(MINUTE < 5 or len(probes) >= 3, f"{len(probes)} probes of the closed window")


def runnel_closes_its_window():
    """The reader of `runnel nc` sleeps: the kernel finds Runnel's window closed, and all arrives in the end."""
    payload = bytes(range(256)) * (4 << 12)  # 4 MiB
    with socket.create_server(("", 0)) as listener:
        options = [*world.prepare("tun")]
        port = str(listener.getsockname()[1])
        # A pipe that nobody reads at first.
        reader = world.start(world.RUNNEL, "nc", "-N", *options, world.KERNEL4, port, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        connection, _ = listener.accept()
        with connection:
            connection.setblocking(False)
            sent, stalled = 0, time.monotonic()
            while time.monotonic() - stalled < 2 and sent < 64 << 20:  # until its window stays closed
                try:
                    sent += connection.send(payload[sent % 256 : sent % 256 + 65536])
                    stalled = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            time.sleep(min(MINUTE, 10))
            got = 0
            connection.setblocking(True)
            connection.shutdown(socket.SHUT_WR)
            while piece := reader.stdout.read(1 << 20):
                start = got % 256
                check(piece == (payload[start : start + 256] * (len(piece) // 256 + 1))[: len(piece)], "wrong bytes")
                got += len(piece)
            equal(got, sent, "bytes that came out")
        equal(reader.wait(20), 0, "exit code")
        print(f"   {sent >> 10} KiB waited in front of the closed window", flush=True)


def killed_peer_is_noticed():
    """Keep-alive (RFC 9293 §3.8.4, RFC 1122): the peer's address goes without a word."""
    options = [*world.prepare("tun"), "--set", "tcp_keepalive_time=2", "--set", "tcp_keepalive_intvl=1",
               "--set", "tcp_keepalive_probes=3"]  # fmt: skip
    with world.Serving("--echo", *options, "--listen", "7", "--exit-after", "1", listeners=2) as server:
        world.run("ip", "addr", "add", "10.9.0.77/32", "dev", "lo")
        with socket.socket() as client:
            client.bind(("10.9.0.77", 0))
            client.settimeout(20)
            client.connect((world.RUNNEL4, 7))
            client.sendall(b"hello")
            equal(client.recv(10), b"hello", "echo")
            time.sleep(4)  # longer than the idle time: a living peer answers the probes
            client.sendall(b"still here")
            equal(client.recv(10), b"still here", "echo after a probe")
            world.run("ip", "addr", "del", "10.9.0.77/32", "dev", "lo")
            begin = time.monotonic()
            equal(server.wait(), 0, "exit code when the dead peer's connection has ended")
            check(time.monotonic() - begin > 3, "the connection ended before the probes could be answered")


def half_closed_peer_gets_all():
    """A client that has sent its FIN first still gets every byte (RFC 9293 §3.6)."""
    payload = os.urandom(8 << 20)
    with world.Serving("--echo", *world.prepare("tun"), "--listen", "7", listeners=2) as server:
        with world.NoResets(), socket.create_connection((world.RUNNEL6, 7), timeout=20) as client:
            got, sent = bytearray(), 0
            client.setblocking(False)
            while True:
                reading, writing, _ = select.select([client], [client] if sent < len(payload) else [], [], 20)
                check(reading or writing, "nothing moves")
                if writing:
                    sent += client.send(payload[sent : sent + 262144])
                    if sent == len(payload):
                        client.shutdown(socket.SHUT_WR)
                if reading:
                    piece = client.recv(1 << 20)
                    if not piece:
                        break
                    got += piece
            check(bytes(got) == payload, f"{len(got)} bytes of {len(payload)}, or other ones")
            world.closed_cleanly()
        equal(server.stop(), 0, "exit code")


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0001 | 0x1000))  # IFF_TUN | IFF_NO_PI
    world.run("ip", "addr", "add", f"{world.KERNEL4}/24", "dev", name)
    world.run("ip", "link", "set", name, "up")
    return tun


def simultaneous_open():
    """Both SYNs cross on the wire (RFC 9293 §3.5, figure 8): a relay holds each until both are there."""
    if not world.tun_opens():
        return print("   left out: no access to /dev/net/tun")
    tun = open_tun("cross0")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.settimeout(20)
    os.set_inheritable(far.fileno(), True)
    client = world.start(world.RUNNEL, "nc", "-N", "--link", f"fd:{far.fileno()}", "--address", f"{world.RUNNEL4}/24",
                         world.KERNEL4, "5000", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, close_fds=False)  # fmt: skip
    far.close()
    is_syn = lambda p: p[0] >> 4 == 4 and p[9] == 6 and p[33] & 0x3F == 0x02  # noqa: E731
    kernel, seen = socket.socket(), []
    kernel.bind((world.KERNEL4, 5000))
    kernel.setblocking(False)
    syns, deadline, connected, closed = {}, time.monotonic() + 20, False, False
    while time.monotonic() < deadline:
        for ready in select.select([near, tun], [], [], 0.1)[0]:
            packet = near.recv(65536) if ready is near else os.read(tun, 65536)
            if not packet or packet[0] >> 4 != 4 or packet[9] != 6:
                continue
            seen.append(("runnel" if ready is near else "kernel", packet[33] & 0x3F))
            if len(syns) < 2 and is_syn(packet):
                syns.setdefault(ready is near, packet)
                if ready is near:
                    kernel.connect_ex((world.RUNNEL4, struct.unpack("!H", packet[20:22])[0]))  # in progress
                if len(syns) == 2:
                    near.send(syns[False])
                    answer = near.recv(65536)  # Runnel's SYN-ACK, before the kernel's can come
                    seen.append(("runnel", answer[33] & 0x3F))
                    os.write(tun, syns[True])
                    os.write(tun, answer)
                continue
            os.write(tun, packet) if ready is near else near.send(packet)
        if len(syns) == 2 and not connected and select.select([], [kernel], [], 0)[1]:
            equal(kernel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0, "the kernel's connect")
            connected = True
            kernel.send(b"from the kernel")
            client.stdin.write(b"from runnel")
            client.stdin.close()
        if connected and select.select([kernel], [], [], 0)[0]:
            try:
                piece = kernel.recv(100)
            except OSError as error:
                check(error.errno == errno.EAGAIN, f"the kernel's recv: {error}")
                continue
            if piece:
                equal(piece, b"from runnel", "what the kernel got")
            elif not closed:
                kernel.shutdown(socket.SHUT_WR)
                closed = True
        if client.poll() is not None:
            break
    check(connected, f"no connection; segments: {seen}, {client.stderr.read1()}")
    equal(client.wait(20), 0, "exit code of nc")
    equal(client.stdout.read(), b"from the kernel", "what runnel got")
    check(("runnel", 0x12) in seen and ("kernel", 0x12) in seen, f"both answer SYN with SYN-ACK: {seen}")
    kernel.close()
    os.close(tun)


world.enter()
world.main(simultaneous_open, half_closed_peer_gets_all, killed_peer_is_noticed, runnel_closes_its_window,
           window_closed_for_a_minute)  # fmt: skip
