"""Stimulus scripts, drawn from a seed: the same seed gives the same scripts on every machine.

A script is a list of lines (README.md has the words). A draw is made of an opening, a body of steps of one
theme with a few of the others, and an ending; the writer knows only the peer's own stream, never the
subject's reaction, so that nonsense towards a connection that is long gone is drawn as well."""

MASK = (1 << 64) - 1


class Chance:
    """splitmix64: small, and ours, so that no library's change changes the scripts."""

    def __init__(self, seed):
        self.state = seed & MASK

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.bits() % n

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def one(self, *choices):
        return choices[self.below(len(choices))]

    def weighted(self, pairs):
        total = sum(weight for _, weight in pairs)
        at = self.below(total)
        for value, weight in pairs:
            if at < weight:
                return value
            at -= weight
        raise AssertionError

    def often(self, percent):
        return self.below(100) < percent


WAITS = (15, 70, 130, 330, 330, 710, 1300, 2700)


class Writer:
    def __init__(self, chance):
        self.chance = chance
        self.lines = []
        self.stream = 0  # octets of the peer's stream that it has sent in order
        self.ts = self.sack = False
        self.mss = 1460
        self.window = 65535
        self.has_connection = False  # a descriptor for calls
        self.closed = False
        self.fin_sent = False
        self.waited = 0

    def add(self, line):
        self.lines.append(line)

    def wait(self, most=2700):
        ms = self.chance.one(*[w for w in WAITS if w <= most])
        if self.waited + ms > 4500:
            ms = 15
        self.waited += ms
        self.add(f"wait {ms}")

    def segment(self, flags, seq, ack="nxt", **fields):
        words = [f"in {flags or '-'} seq={seq}"]
        if "A" in flags:
            words.append(f"ack={ack}")
        fields.setdefault("win", self.window)
        if "rawwin" in fields:
            fields.pop("win")
        for key, value in fields.items():
            if value is True:
                words.append(key)
            elif value is not None and value is not False:
                words.append(f"{key}={value}")
        self.add(" ".join(words))

    def here(self, offset=0):
        """The number of the peer's next octet, or one a little beside it."""
        return f"peer{self.stream + 1 + offset:+d}"

    # --- openings ------------------------------------------------------------------------------------------
    def syn_options(self):
        c = self.chance
        fields = {}
        if c.often(85):
            self.mss = c.one(1460, 1460, 1000, 536, 300, 100, 88, 48, 20, 9000)
            fields["mss"] = self.mss
        if c.often(70):
            fields["ws"] = c.one(0, 1, 7, 7, 10, 14, 15, 255)
        if c.often(65):
            fields["sackok"] = True
            self.sack = True
        if c.often(45):
            fields["ts"] = "forced"
            self.ts = True
        if c.often(12):
            fields["opt"] = c.one("00", "01010101", "0203", "020405", "fd04aabb", "0300", "0301",
                                  "1e03ff", "04020402", "0502", "080a00000001000000", "22", "ff", "ff00",
                                  "13120000000000000000000000000000000000", "0204ffff", "03030e")
        fields["win"] = c.one(65535, 65535, 65535, 8000, 1000, 100, 0, 1)
        return fields

    def socket_options(self):
        c = self.chance  # no SO_LINGER above 0: close() would then wait, on a non-blocking socket too
        if not c.often(35):
            return
        name, value = c.one(("nodelay", 1), ("nodelay", 1), ("cork", 1), ("quickack", 1), ("quickack", 0),
                            ("maxseg", 500), ("maxseg", 1000), ("maxseg", 88), ("linger", 0), ("linger", -1),
                            ("oobinline", 1), ("rcvbuf", 2500), ("rcvbuf", 8000), ("sndbuf", 5000),
                            ("keepalive", 1), ("usertimeout", 600), ("keepidle", 1), ("maxseg", 40),
                            ("keepidle", 0), ("keepcnt", 200))
        self.add(f"set {name} {value}")
        if name == "keepidle" and value:
            self.add("set keepintvl 1")
            self.add("set keepalive 1")

    def listen(self):
        self.add("listen 8")

    def passive(self, plain):
        c = self.chance
        self.socket_options()
        self.listen()
        if not plain:
            for _ in range(c.below(3)):
                self.stray_to_listener()
        fields = self.syn_options()
        if not plain and c.often(15):
            fields["len"] = c.one(1, 100, 600)
        flags = "S" if plain or c.often(75) else c.one("SP", "SU", "SF", "SFU", "SEC", "SE", "SR")
        if "U" in flags:
            fields["urg"] = c.one(1, 5)
        self.segment(flags, "peer", **fields)
        if not plain:
            for _ in range(c.below(4)):
                self.in_syn_received(fields)
        third = {"win": c.one(65535, 65535, 4000, 0)} if c.often(25) else {}
        self.window = third.get("win", self.window)
        if c.often(85):
            if c.often(15):
                length = c.one(1, 50, 500)
                self.segment("PA", self.here(), len=length, **third)
                self.stream += length
            else:
                self.segment("A", self.here(), **third)
        self.add("accept")
        self.has_connection = True

    def stray_to_listener(self):
        c = self.chance
        flags = c.one("A", "PA", "F", "FA", "R", "RA", "-", "SA", "U", "SRA", "SFRPAU", "SRF")
        self.segment(flags, c.one("peer", "peer+5", "peer-1000"), ack=c.one("+1", "+77777"),
                     len=c.one(0, 0, 10))

    def in_syn_received(self, fields):
        c = self.chance
        what = c.below(14)
        if what == 0:
            self.segment("S", "peer", **fields)
        elif what == 1:
            self.segment("S", c.one("peer+1", "peer+100", "peer-1", "peer+1000000"), **fields)
        elif what == 2:
            self.segment("R", c.one("peer+1", "peer", "peer+2", "edge", "edge+1", "peer-100"))
        elif what == 3:
            self.segment("A", "peer+1", ack=c.one("iss", "iss+2", "iss-1", "iss+1000", "iss-100000"))
        elif what == 4:
            self.segment("-", "peer+1", len=c.one(0, 10))
        elif what == 5:
            self.segment(c.one("SA", "SA", "SFA"), "peer", ack=c.one("nxt", "iss"), **fields)
        elif what == 6:
            self.wait(2700)
        elif what == 7:
            self.segment("FA", "peer+1")
            self.fin_sent = True
        elif what == 8:
            self.segment("RA", "peer+1", ack=c.one("nxt", "iss"))
        elif what == 9:
            self.segment("PA", c.one("peer+1", "peer+11"), len=10)
        elif what == 10:
            self.segment("F", "peer+1")
        elif what == 11:
            self.segment("A", c.one("peer", "peer-5", "edge+1", "edge"), win=c.one(0, 500, 65535))
        elif what == 12:
            self.add("closel") if c.often(30) else self.segment("A", "peer+1", ts=c.one("old", "none", "zero"))
        else:
            self.segment("SA", "peer+1")

    def active(self, plain):
        c = self.chance
        self.socket_options()
        self.add("connect")
        self.has_connection = True
        if not plain:
            for _ in range(c.below(4)):
                self.in_syn_sent()
        fields = self.syn_options()
        if not plain and c.often(15):
            fields["len"] = c.one(1, 100)
        if c.often(70) or plain:
            flags = "SA" if plain or c.often(80) else c.one("SFA", "SPA", "SUA", "SEA")
            if "U" in flags:
                fields["urg"] = c.one(1, 5)
            self.segment(flags, "peer", **fields)
            self.stream = fields.get("len", 0)
        else:
            self.segment("S", "peer", **fields)
            for _ in range(c.below(3)):
                self.in_syn_received(fields)
            fields.pop("len", None)
            if c.often(50):
                self.segment("SA", "peer", **fields)
            else:
                self.segment("A", self.here())
        if c.often(20):
            self.add("connect")
        if c.often(20):
            self.add("err")

    def in_syn_sent(self):
        c = self.chance
        what = c.below(10)
        if what == 0:
            self.segment(c.one("SA", "A", "PA", "FA"), "peer", ack=c.one("iss", "iss+2", "iss-5", "iss+100000"))
        elif what == 1:
            self.segment("R", c.one("peer", "0"))
        elif what == 2:
            self.segment("RA", c.one("peer", "0"), ack=c.one("iss", "iss+2", "iss-1"))
        elif what == 3:
            self.segment("RA", c.one("peer", "0"), ack="nxt")
        elif what == 4:
            self.segment("A", "peer", ack="nxt", len=c.one(0, 10))
        elif what == 5:
            self.segment(c.one("F", "-", "U", "P"), "peer", len=c.one(0, 10))
        elif what == 6:
            self.wait(2700)
        elif what == 7:
            self.add(c.one("send 100", "recv 10", "connect", "err", "shut wr", "shut rd", "shut rdwr"))
        elif what == 8:
            self.segment("SRA", "peer", ack=c.one("nxt", "iss"))
        else:
            self.segment("SA", "peer", ack="nxt", ts=c.one("none", "forced"), badsum=c.often(50),
                         off=c.one(None, 4, 3, 15))

    # --- what the peer sends -------------------------------------------------------------------------------
    def data_in(self):
        """In order, mostly."""
        c = self.chance
        length = c.one(1, 10, 100, 100, 536, 1000, 1448)
        self.segment(c.one("PA", "A", "PA"), self.here(), len=length)
        self.stream += length

    def data_around(self):
        c = self.chance
        what = c.below(9)
        n = c.one(1, 10, 100, 500)
        if what <= 2:  # a gap before it
            self.segment("A", self.here(c.one(1, 10, 100, 500, 1000)), len=n)
        elif what == 3:  # old, or partly
            self.segment("A", self.here(-c.one(1, 10, 100, 600)), len=n, other=c.often(30))
        elif what == 4:  # reaches over both sides
            self.segment("A", self.here(-10), len=10 + n, other=c.often(30))
            self.stream += n
        elif what == 5:  # at and beyond the edge
            self.segment("A", c.one("edge", "edge-1", "edge-10", "edge+1", "edge+100000"), len=c.one(1, 10, 20))
        elif what == 6:  # a burst with a hole, and then the hole
            for i in (c.one((1, 2, 0), (2, 1, 0), (3, 1, 2, 0), (2, 0, 1), (1, 3, 0, 2))):
                self.segment("A", self.here(i * n), len=n, other=c.often(8))
            self.stream += 3 * n
        elif what == 7:  # overlapping pieces above a hole
            self.segment("A", self.here(n), len=n)
            self.segment("A", self.here(c.one(n // 2, n + n // 2 + 1)), len=n, other=c.often(50))
            if c.often(60):
                self.segment("A", self.here(), len=2 * n, other=c.often(30))
                self.stream += 2 * n
        else:
            self.segment(c.one("-", "P", "F", "FP"), self.here(), len=c.one(0, n))

    def ack_in(self):
        c = self.chance
        what = c.below(10)
        if what <= 2:
            self.segment("A", self.here(), ack="nxt")
        elif what == 3:
            self.segment("A", self.here(), ack=c.one("una+1", "una+100", "una+536", "una+1000", "una+1460"))
        elif what == 4:
            for _ in range(c.between(1, 4)):
                self.segment("A", self.here(), ack="una")
        elif what == 5:
            self.segment("A", self.here(), ack=c.one("nxt+1", "nxt+100000", "una-1", "una-100000",
                                                     "una-2000000000", "nxt+2000000000"))
        elif what == 6:
            self.window = c.one(0, 0, 1, 100, 1000, 5000, 65535, 200000)
            self.segment("A", self.here(), ack=c.one("nxt", "una"))
        elif what == 7:
            self.segment("A", c.one(self.here(-1), self.here(-10), "edge", "edge+1", self.here(1)), ack="nxt")
        elif what == 8:
            left = c.one(1, 100, 536, 1000, 1448, 1460)
            right = left + c.one(1, 100, 536, 1460)
            blocks = f"una+{left}..una+{right}"
            if c.often(25):
                blocks = c.one("nxt-1..nxt", "nxt..nxt+100", "una-100..una", "una+50..una+20", "una-5..una+5",
                               "una..nxt", "una+1..nxt+1", "una-2000000000..una+10", "iss..iss+1")
            for _ in range(c.between(1, 3)):
                self.segment("A", self.here(), ack="una", sack=blocks)
        else:
            self.window = 65535
            self.segment("A", self.here(), ack="nxt", win=65535)

    def attack(self):
        c = self.chance
        what = c.below(8)
        seq = c.one("rnxt", "rnxt", "rnxt+1", "rnxt-1", "edge", "edge-1", "edge+1", "rnxt+100000000", self.here())
        if what <= 1:
            self.segment("R", seq, len=c.one(0, 0, 0, 10))
        elif what == 2:
            self.segment("RA", seq, ack=c.one("nxt", "una", "nxt+100", "una-100000"))
        elif what == 3:
            self.segment("S", seq, **({} if c.often(60) else {"mss": 1000}))
        elif what == 4:
            self.segment("SA", c.one("peer", seq), ack=c.one("nxt", "iss+1", "una"))
        elif what == 5:
            self.segment(c.one("SF", "SFA", "SRA", "SFRPAU", "RF", "FRA", "-", "UP"), seq, len=c.one(0, 7))
        elif what == 6:
            self.segment(c.one("A", "PA"), self.here(), len=c.one(0, 20), badsum=c.often(40),
                         off=c.one(None, 4, 0, 15),
                         opt=c.one(None, "ff00", "00", "fd04aabb", "080a0000", "0101050a", "05020101"))
        else:
            self.segment("A", self.here(), len=c.one(0, 30), ts=c.one("old", "ahead", "none", "zero", "bad", "forced"))

    def fin_in(self):
        c = self.chance
        what = c.below(8)
        length = c.one(0, 0, 10, 500)
        if what <= 3:
            self.segment("FA", self.here(), len=length)
            if not self.fin_sent:
                self.stream += length + 1
            self.fin_sent = True
        elif what == 4:
            self.segment("FA", self.here(c.one(1, 10, 100)), len=length)
        elif what == 5:
            self.segment("FA", self.here(-1), len=c.one(0, 1))
        elif what == 6:
            self.segment(c.one("FA", "FPA"), self.here(), ack=c.one("una", "nxt"), len=length)
            if not self.fin_sent:
                self.stream += length + 1
            self.fin_sent = True
        else:
            self.segment("FA", c.one("edge", "edge-1", "edge-10", "rnxt"), len=c.one(0, 10, 20))

    def urgent(self):
        c = self.chance
        what = c.below(6)
        if what <= 2:
            length = c.one(0, 1, 10, 100)
            self.segment(c.one("PAU", "AU"), self.here(), len=length, urg=c.one(0, 1, 5, 10, 11, 100, 65535))
            self.stream += length
        elif what == 3:
            self.segment("AU", self.here(c.one(10, 100)), len=10, urg=c.one(1, 10))
        elif self.calls_possible():
            self.add(c.one("recv 1 oob", "recv 1 oob", "mark", "send 1 oob", "send 50 oob", "recv 100",
                           "set oobinline 1", "recv 1 oob"))

    # --- what the user does ----------------------------------------------------------------------------------
    def calls_possible(self):
        return self.has_connection and not self.closed

    def send(self):
        if self.calls_possible():
            c = self.chance
            size = c.one(1, 10, 100, 536, 1000, 1460, 2000, 3000, 5000, 14000)
            self.add(f"send {size}{c.weighted((('', 10), (' more', 1)))}")

    def recv(self):
        if self.calls_possible():
            c = self.chance
            self.add(f"recv {c.one(1, 10, 100, 5000, 65536, 65536)}{c.weighted((('', 8), (' peek', 1)))}")

    def option(self):
        if self.calls_possible():
            c = self.chance
            self.add("set " + c.one("nodelay 1", "nodelay 0", "cork 1", "cork 0", "quickack 1", "quickack 0",
                                    "linger 0", "linger -1", "maxseg 300", "rcvbuf 3000", "sndbuf 6000",
                                    "oobinline 1", "keepalive 1"))

    def shut(self):
        if self.calls_possible():
            self.add("shut " + self.chance.one("wr", "wr", "rd", "rdwr"))

    def close(self):
        if self.calls_possible():
            self.add("close")
            self.closed = True

    def err(self):
        if self.calls_possible():
            self.add("err")

    # --- a whole -------------------------------------------------------------------------------------------
    def step(self, theme):
        table = {
            "receive": (("data_in", 30), ("data_around", 40), ("recv", 12), ("wait", 10), ("ack_in", 4),
                        ("fin_in", 3), ("option", 2), ("send", 3)),
            "send": (("send", 30), ("ack_in", 40), ("wait", 16), ("data_in", 6), ("option", 4), ("recv", 2),
                     ("fin_in", 1), ("shut", 1)),
            "close": (("fin_in", 20), ("shut", 12), ("close", 12), ("ack_in", 16), ("data_in", 8), ("send", 8),
                      ("recv", 6), ("wait", 10), ("attack", 6), ("err", 2), ("data_around", 3), ("option", 2)),
            "attack": (("attack", 50), ("data_in", 10), ("send", 8), ("ack_in", 8), ("recv", 6), ("wait", 8),
                       ("fin_in", 6), ("shut", 4), ("close", 3), ("err", 3), ("data_around", 6)),
            "urgent": (("urgent", 55), ("data_in", 10), ("recv", 12), ("data_around", 6), ("send", 6),
                       ("ack_in", 6), ("wait", 5)),
            "mix": (("data_in", 12), ("data_around", 12), ("ack_in", 14), ("attack", 10), ("fin_in", 6),
                    ("urgent", 5), ("send", 12), ("recv", 8), ("option", 5), ("shut", 4), ("close", 3),
                    ("err", 2), ("wait", 10)),
        }[theme]
        getattr(self, self.chance.weighted(table))()

    def body(self, theme):
        for _ in range(self.chance.between(3, 12)):
            self.step(theme)

    def ending(self):
        c = self.chance
        if c.often(40):
            self.err()
            self.recv()
        if c.often(45):
            self.close()
            if c.often(70):
                self.segment("A", self.here(), ack="nxt")
            if c.often(50):
                self.fin_in()
            if c.often(40):
                self.attack()
        self.wait()


def draw(seed, number):
    """Script `number` of a seed: its lines."""
    chance = Chance(seed * 1_000_003 + number)
    chance.bits()
    writer = Writer(chance)
    theme = chance.weighted((("receive", 20), ("send", 24), ("close", 20), ("attack", 14), ("urgent", 6),
                             ("mix", 16), ("open", 16)))
    plain = theme != "open"
    writer.passive(plain) if chance.often(60) else writer.active(plain)
    writer.body("mix" if theme == "open" else theme)
    writer.ending()
    return writer.lines


def text(number, lines, v6=False):
    return "\n".join([f"script {number} {'v6' if v6 else 'v4'}", *("  " + line for line in lines), "end", ""])
