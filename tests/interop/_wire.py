"""Two kernels with a wire in user space between them: two network namespaces, a TAP device in each, and a relay
that forwards frames, or drops, delays, doubles or swaps those that a test chooses. `tcpdump` captures at either
end, and `ss` tells the kernels' own states."""

import ctypes
import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import threading
import time

import _world as world

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
ADDRESSES = {"a": ("10.9.1.1", "fd09:1::1"), "b": ("10.9.1.2", "fd09:1::2")}
libc = ctypes.CDLL(None, use_errno=True)

# ss's names of the states in the RFC's words.
STATES = {"ESTAB": "ESTABLISHED", "SYN-RECV": "SYN-RECEIVED", "UNCONN": "CLOSED"}


class Segment:
    """What a test needs to know of a frame to choose it."""

    def __init__(self, frame):
        self.tcp = False
        kind = struct.unpack("!H", frame[12:14])[0]
        if kind == 0x0800 and frame[23] == 6:
            size = (frame[14] & 15) * 4
            total = struct.unpack("!H", frame[16:18])[0] - size
        elif kind == 0x86DD and frame[20] == 6:
            size, total = 40, struct.unpack("!H", frame[18:20])[0]
        else:
            return
        tcp = frame[14 + size :]
        self.source, self.port, self.seq, self.ack, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
        self.tcp = True
        self.fin, self.syn, self.rst = bool(flags & 1), bool(flags & 2), bool(flags & 4)
        self.has_ack = bool(flags & 16)
        self.length = total - (offset >> 4) * 4
        self.pure_ack = self.has_ack and not (self.fin or self.syn or self.rst or self.length)


class Wire:
    """`plan(side, segment)` is asked for each TCP segment that side "a" or "b" sends. It answers None (forward),
    "drop", "double", or seconds to hold it back."""

    def __init__(self, mtu=1500):
        self.plan = lambda side, segment: None
        self.delay = 0.0
        self.namespace = {"a": os.open("/proc/thread-self/ns/net", os.O_RDONLY)}
        self.tap = {}
        self._make("a", mtu)
        if libc.unshare(CLONE_NEWNET) != 0:
            world.skip("no further network namespace here")
        self.namespace["b"] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        world.run("ip", "link", "set", "lo", "up")
        self._make("b", mtu)
        self.enter("a")
        self.running = True
        self.thread = threading.Thread(target=self._relay, daemon=True)
        self.thread.start()

    def enter(self, side):
        """The calling thread, and what it starts from now on, is on that side."""
        if libc.setns(self.namespace[side], CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def _make(self, side, mtu):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"wire0", IFF_TAP | IFF_NO_PI))
        four, six = ADDRESSES[side]
        world.run("ip", "link", "set", "wire0", "addrgenmode", "none")
        world.run("ip", "addr", "add", f"{four}/24", "dev", "wire0")
        world.run("ip", "-6", "addr", "add", f"{six}/64", "dev", "wire0", "nodad")
        world.run("ip", "link", "set", "wire0", "mtu", str(mtu), "up")
        self.tap[side] = tap

    def _relay(self):
        other = {"a": "b", "b": "a"}
        side_of = {self.tap[side]: side for side in "ab"}
        held, number = [], 0
        while self.running:
            now = time.monotonic()
            while held and held[0][0] <= now:
                _, _, to, frame = heapq.heappop(held)
                self._write(to, frame)
            wait = min(0.05, held[0][0] - now) if held else 0.05
            ready, _, _ = select.select(list(side_of), [], [], max(wait, 0))
            for tap in ready:
                for _ in range(64):
                    try:
                        frame = os.read(tap, 70000)
                    except OSError:
                        break
                    side = side_of[tap]
                    segment = Segment(frame)
                    fate = self.plan(side, segment) if segment.tcp else None
                    if fate == "drop":
                        continue
                    hold = self.delay + (fate if isinstance(fate, float) else 0.0)
                    for _ in range(2 if fate == "double" else 1):
                        if hold:
                            number += 1
                            heapq.heappush(held, (time.monotonic() + hold, number, other[side], frame))
                        else:
                            self._write(other[side], frame)

    def _write(self, side, frame):
        try:
            os.write(self.tap[side], frame)
        except OSError:
            pass

    # --- sockets -------------------------------------------------------------------------------------------

    def socket(self, side, port=0, family=4):
        """A socket of that side's, bound to its address; the thread stays on side a."""
        self.enter(side)
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        made = socket.socket(kind, socket.SOCK_STREAM)
        self.enter("a")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ADDRESSES[side][0 if family == 4 else 1], port))
        return made

    def listen(self, side="b", port=8080, family=4):
        listener = self.socket(side, port, family)
        listener.listen(8)
        return listener

    def address(self, side, family=4):
        return ADDRESSES[side][0 if family == 4 else 1]

    def connect(self, listener, family=4):
        """An established pair: (client on a, server on b)."""
        client = self.socket("a", 0, family)
        client.settimeout(20)
        client.connect((self.address("b", family), listener.getsockname()[1]))
        listener.settimeout(20)
        server, _ = listener.accept()
        server.settimeout(20)
        return client, server

    # --- what the kernels say ------------------------------------------------------------------------------

    def state(self, side, port, listens=False):
        """The state on that side of the connection with that port at either end. Without one, CLOSED; or
        LISTEN where `listens` asks for a listener and there is one."""
        self.enter(side)
        out = world.run("ss", "-Htan")
        self.enter("a")
        names = set()
        for line in out.splitlines():
            name, _, _, local, peer = line.split()[:5]
            names.add(name)
            if local.endswith(f":{port}") or peer.endswith(f":{port}"):
                return STATES.get(name, name)
        return "LISTEN" if listens and "LISTEN" in names else "CLOSED"

    def states(self, port, wanted):
        return tuple(self.state(side, port, wanted[i] == "LISTEN") for i, side in enumerate("ab"))

    def wait_for(self, port, wanted, patience=20):
        deadline = time.monotonic() + patience
        while (found := self.states(port, wanted)) != wanted:
            world.check(time.monotonic() < deadline, f"the kernels are {found}, waited for {wanted}")
            time.sleep(0.01)

    def close(self):
        self.running = False
        self.thread.join(5)
        for number in [*self.tap.values(), *self.namespace.values()]:
            os.close(number)


class Capture:
    """tcpdump on one side, until `end_captures`."""

    def __init__(self, wire, side, path, *options, interface="wire0"):
        # Each slot of its ring has room for a whole snap length: with the default there are only a few.
        options = ("-B", "16384", *(options or ("-s", "2000")))
        self.path = path
        wire.enter(side)
        self.child = world.start("tcpdump", "-i", interface, "-U", "-n", "--immediate-mode", "-w", str(path),
                                 *options, "tcp or udp port 9", stderr=subprocess.PIPE, text=True)  # fmt: skip
        wire.enter("a")
        line = self.child.stderr.readline()
        while line and "listening on" not in line:
            line = self.child.stderr.readline()
        world.check(line, "tcpdump did not start")

    def end(self, deadline):
        """Ends it when it has written what passed before the marker."""
        while MARKER not in self.path.read_bytes()[-4096:]:
            world.check(time.monotonic() < deadline, f"tcpdump does not write to the end of {self.path}")
            time.sleep(0.01)
        self.child.terminate()
        self.child.wait(10)


MARKER = b"here the capture may end"


def end_captures(wire, captures, through=None):
    """A datagram goes over the wire, and each tcpdump ends when it has written that, and all before it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as marker:
        marker.sendto(MARKER, (through or wire.address("b"), 9))
    deadline = time.monotonic() + 20
    for capture in captures:
        capture.end(deadline)
