#!/usr/bin/env python3
# runnel-test: timeout=120
"""The kernel as a TCP Fast Open client (RFC 7413) of `runnel serve`: it asks for a cookie, shows it with data in the
SYN, and is answered at once; a key that has changed since is noticed."""

import pathlib
import socket

import _world as world

PORT = 80
CLIENT, SERVER, EVERY_LISTENER = 1, 2, 0x400
REQUEST = b"GET /page HTTP/1.0\r\n\r\n"
PAGE = b"hello, fast world\n"
OLD, NEW = "00000001-00000002-00000003-00000004", "00000005-00000006-00000007-00000008"
NAMES = ("TCPFastOpenActive", "TCPFastOpenActiveFail", "TCPFastOpenCookieReqd")


def fetch(family):
    """One request, in the SYN where the kernel has a cookie; how the counters of Fast Open moved."""
    before = world.counters()
    address = (world.runnel_address(family), PORT)
    with socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6) as client:
        # Blocking for the call: without a cookie it waits for the handshake.
        sent = client.sendto(REQUEST, socket.MSG_FASTOPEN, address)
        client.settimeout(world.PATIENCE)
        world.equal(sent, len(REQUEST), "octets taken")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    world.check(answer.endswith(PAGE), f"the answer: {answer!r}")
    after = world.counters()
    return [after.get(f"TcpExt{name}", 0) - before.get(f"TcpExt{name}", 0) for name in NAMES]


def serving(root, keys, capture):
    settings = ["--set", f"tcp_fastopen={CLIENT | SERVER | EVERY_LISTENER}", "--set", f"tcp_fastopen_key={keys}"]
    return world.Serving(root, *world.prepare("tun"), *settings, "--listen", str(PORT), "-q", "-w",
                         f"{root}/{capture}.pcapng", listeners=2)  # fmt: skip


def main():
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    setting = pathlib.Path("/proc/sys/net/ipv4/tcp_fastopen")
    if not setting.exists() or int(setting.read_text()) & CLIENT == 0:
        world.skip("the kernel is no Fast Open client")
    with world.temporary() as root:
        pathlib.Path(f"{root}/page").write_bytes(PAGE)
        with serving(root, OLD, "first") as server:
            for family in world.FAMILIES:
                world.equal(fetch(family), [0, 0, 0], f"IPv{family}, without a cookie: {NAMES}")
                for _ in range(2):
                    world.equal(fetch(family), [1, 0, 0], f"IPv{family}, with one: {NAMES}")
            world.equal(server.stop(), 0, "exit code")
        with serving(root, f"{NEW},{OLD}", "second") as server:
            for _ in range(2):
                world.equal(fetch(4), [1, 0, 0], f"the key before is still good: {NAMES}")
            world.equal(server.stop(), 0, "exit code")
        with serving(root, "0000000a-0000000b-0000000c-0000000d", "third") as server:
            world.equal(fetch(4), [0, 1, 0], f"a cookie of no key: {NAMES}")
            world.equal(fetch(4), [1, 0, 0], f"and a new one: {NAMES}")
            world.equal(server.stop(), 0, "exit code")
        taken = sum("Fast Open cookie of ours" in " ".join(segment.get("comments", []))
                    for segment in world.segments(f"{root}/first.pcapng"))  # fmt: skip
        world.equal(taken, 4, "SYNs whose data was taken")
    print("the kernel's data came in with the SYN, over both families and a change of keys")


main()
