#!/usr/bin/env python3
# runnel-test: timeout=120
"""A SYN flood from raw sockets against `runnel serve` with a small backlog, while the kernel's curl fetches: with
SYN cookies it is served, options included, and without them it waits for a place."""

import ipaddress
import socket
import struct
import subprocess
import threading

import _world as world

PORT = 80
BACKLOG = 8
SIZE = 3 << 20


def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source, port, number):
    """A SYN from an address that nobody has, so that the SYN,ACK is answered by nobody."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(world.RUNNEL4).packed
    header = struct.pack("!HHIIBBHHHBBH", port, PORT, number, 0, 0x60, 2, 65535, 0, 0, 2, 4, 1460)
    total = checksum(ends + struct.pack("!BBH", 0, 6, len(header)) + header)
    header = header[:16] + struct.pack("!H", total) + header[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(header), 0, 0, 64, 6, 0) + ends + header


class Flood:
    """SYNs from ever new addresses and ports until the end of a `with`, the first hundred before it begins."""

    def __init__(self):
        self.sent = 0
        self.over = threading.Event()
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def one(self):
        self.sent += 1
        source = f"10.9.0.{100 + self.sent % 100}"
        self.raw.sendto(syn(source, 1024 + self.sent % 60_000, self.sent * 7919), (world.RUNNEL4, 0))

    def go_on(self):
        while not self.over.wait(0.002):
            try:
                self.one()
            except OSError:
                return  # the server has ended, and its device with it

    def __enter__(self):
        for _ in range(100):
            self.one()
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.raw.close()


def fetch(root, patience):
    into = f"{root}/got"
    address = world.url(world.RUNNEL4, PORT, "/file")
    done = subprocess.run(["curl", "-sSgf", "--max-time", str(patience), "-o", into, address], capture_output=True,
                          text=True, timeout=world.PATIENCE)  # fmt: skip
    return done.returncode, into


def serving(root, cookies):
    settings = ["--set", f"tcp_max_syn_backlog={BACKLOG}", "--set", f"tcp_syncookies={cookies}"]
    return world.Serving(root, *world.prepare("tun"), *settings, "--listen", str(PORT), "-q", "-w",
                         f"{root}/{cookies}.pcapng", listeners=2)  # fmt: skip


def said(root, cookies, words):
    """How many segments of the capture have a decision with these words."""
    return sum(words in " ".join(segment.get("comments", [])) for segment in
               world.segments(f"{root}/{cookies}.pcapng"))  # fmt: skip


def main():
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    world.need("curl")
    with world.temporary() as root:
        digest = world.make_file(f"{root}/file", SIZE)
        with serving(root, 0) as server, Flood():
            code, _ = fetch(root, 2)
            world.equal(code, 28, "curl without cookies: exit code (28: timed out)")
            world.equal(server.stop(), 0, "exit code")
        with serving(root, 1) as server, Flood() as flood:
            for _ in range(3):
                code, into = fetch(root, 20)
                world.equal(code, 0, "curl with cookies: exit code")
                world.equal(world.digest_of(into), digest, "SHA-256")
            world.equal(server.stop(), 0, "exit code")
        world.check(said(root, 1, "brings our SYN cookie back") >= 3, "curl did not come in by a cookie")
        world.equal(said(root, 0, "SYN cookie"), 0, "cookies without tcp_syncookies")
        print(f"three fetches of {SIZE} bytes exact beside {flood.sent} forged SYNs")


main()
