"""What two subjects did with one script, brought to a normal form and compared; each difference is a set of
attributes, which the classes of differences.toml are written in.

Normal form: numbers relative to each side's initial ones (the runner sees to that); consecutive segments of
data that differ in nothing but where they are cut are one; a window counts as zero or not; options are a set;
a time is one when it lies within a tolerance of the other's."""

import difflib
import re

MERGE_US = 3_000
TOLERANCE_US = 22_000  # two jiffies of 4 ms at HZ=250, and a busy machine
TOLERANCE_PART = 0.15  # of the time since the last stimulus: a timeout's value, not its shape


def tolerance(since_step_us, stalled_us):
    return TOLERANCE_US + TOLERANCE_PART * max(since_step_us, 0) + stalled_us


def merge(packets):
    """Consecutive data of one burst as one segment."""
    out = []
    for packet in packets:
        p = dict(packet)
        last = out[-1] if out else None
        if (last and p["len"] and last["len"] and p["t"] - last["t"] <= MERGE_US
                and p["seq"] == last["seq"] + last["len"] and p.get("ack") == last.get("ack")
                and not set("SRF") & set(last["flags"]) and not set("SRU") & set(p["flags"])
                and "U" not in last["flags"] and p.get("sack") in (None, last.get("sack"))):
            last["len"] += p["len"]
            last["flags"] = "".join(f for f in "FSRPAUEC" if f in last["flags"] + p["flags"])
            last["win"] = p["win"]
            last["pieces"] = last.get("pieces", 1) + 1
        else:
            out.append(p)
    return out


def kind_of(packet):
    flags = packet["flags"]
    for letter, name in (("R", "rst"), ("S", "syn"), ("F", "fin")):
        if letter in flags:
            return name
    return "data" if packet["len"] else "ack"


def key(packet):
    return (kind_of(packet), packet["seq"], packet["len"], packet.get("ack"))


def show(p):
    text = f"{p['flags'] or '-'} seq={p['seq']} len={p['len']}"
    if "ack" in p:
        text += f" ack={p['ack']}"
    text += f" win={p['win']}"
    for name in ("urg", "mss", "ws", "sackok", "tsval", "tsecr", "sack", "wrong_text", "pieces"):
        if p.get(name):
            text += f" {name}={p[name]}"
    return text


def in_words(text):
    """The fields of an `in` line."""
    words = text.split()
    fields = {"flags": words[1].strip("-")}
    for word in words[2:]:
        name, _, value = word.partition("=")
        fields[name] = value or True
    return fields


def where(value, low, high, names):
    if value < low:
        return names[0]
    if value == low:
        return names[1]
    if value < high:
        return names[2]
    return names[3] if value == high else names[4]


def situation(script, k, r, i):
    """Attributes of step i that differences in it have in common."""
    line = script[i]
    words = line.split()
    before_k = k["steps"][i - 1]["status"] if i else {}
    before_r = r["steps"][i - 1]["status"] if i else {}
    a = {"step": words[0], "line": line, "sack": int(k.get("sack", 0)),
         "state": before_k.get("state", "NONE"), "rstate": before_r.get("state", "NONE"),
         "ca": before_k.get("ca", ""), "rca": before_r.get("ca", ""),
         "timer": before_k.get("timer", "none"), "rtimer": before_r.get("timer", "none"),
         "poll": before_k.get("poll", "-"),
         "state_after": k["steps"][i]["status"].get("state", "NONE"),
         "rstate_after": r["steps"][i]["status"].get("state", "NONE"),
         "unacked": before_k.get("unacked", 0), "retrans": before_k.get("retrans", 0),
         "backoff": before_k.get("backoff", 0), "index": i,
         "history": " ; ".join(script[:i])}
    stimulus = k["steps"][i].get("in")
    if words[0] == "in" and stimulus:
        f = in_words(line)
        flags = f["flags"]
        length = int(f.get("len", 0))
        seg = length + ("S" in flags) + ("F" in flags)
        a.update({
            "in": flags, "inlen": length, "ints": f.get("ts", "auto"), "insack": int("sack" in f),
            "opt": f.get("opt", ""), "other": int("other" in f), "inwin": stimulus["win"],
            "mss_in": f.get("mss", ""), "inurg": f.get("urg", "0"),
            "seqpos": where(stimulus["seq"], stimulus["rnxt"], stimulus["edge"],
                            ("old", "next", "window", "edge", "beyond")),
            "endpos": where(stimulus["seq"] + seg, stimulus["rnxt"], stimulus["edge"],
                            ("old", "next", "window", "edge", "beyond")),
            "ackpos": where(stimulus["ack"], stimulus["una"], stimulus["nxt"],
                            ("old", "una", "partial", "nxt", "unsent")) if "A" in flags else "none"})
        if stimulus["una"] == stimulus["nxt"] == stimulus["ack"]:
            a["ackpos"] = "nxt" if "A" in flags else "none"
        same = r["steps"][i].get("in") or {}
        a["rin"] = "same" if same == stimulus else "other"
    return a


class Differ:
    def __init__(self, script, k, r):
        self.script, self.k, self.r = script, k, r
        self.found = []
        self.stalled = k.get("stalled", 0)
        # Whether both ends have agreed on SACK, as the packets say.
        syns = [p for step in k["steps"] for p in step["packets"] if "S" in p["flags"]]
        k["sack"] = any(p.get("sackok") for p in syns) and "sackok" in " ".join(script)
        self.shifts = {0}  # how far apart stimuli relative to what the sides had said have been

    def add(self, i, kind, **more):
        a = situation(self.script, self.k, self.r, i)
        a["kind"] = kind
        # Each side answers what is not acceptable twice a second at most: an answer that only one of them has
        # given counts against it alone.
        now = self.k["steps"][i]["at"]
        for side, other in (("rlimited", "extra"), ("klimited", "missing")):
            a[side] = int(any(d["kind"] == other and d["packet"] == "ack" and d["index"] < i
                              and now - self.k["steps"][d["index"]]["at"] < 520_000 for d in self.found))
        for side, outcome in (("kanswered", self.k), ("ranswered", self.r)):
            a[side] = int(any(
                now - step["at"] < 520_000 and line.startswith("in ")
                and any(p["flags"] == "A" and not p["len"] for p in step["packets"])
                for line, step in zip(self.script[:i], outcome["steps"][:i])))
        a["answered_embryo"] = int(any(
            step["status"].get("state") == "SYN-RECEIVED" and any(p["flags"] == "A" for p in step["packets"])
            for step in self.k["steps"][:i]))
        a.update(more)
        self.found.append(a)

    def compare(self):
        edges = {"k": None, "r": None}
        for i in range(len(self.script)):
            ks, rs = self.k["steps"][i], self.r["steps"][i]
            if ks.get("in") and rs.get("in"):
                self.shifts.add(ks["in"]["seq"] - rs["in"]["seq"])
            if ks["result"] != rs["result"]:
                sizes = [x.partition(":")[0] for x in (ks["result"], rs["result"])]
                self.add(i, "call", k=ks["result"], r=rs["result"], content=int(sizes[0] == sizes[1]))
            self.packets(i, merge(ks["packets"]), merge(rs["packets"]), edges)
            for field in ("state", "poll", "inq", "timer", "sacked", "ca", "backoff"):
                a, b = ks["status"].get(field), rs["status"].get(field)
                if field == "timer" and ks["status"].get("state") == "FIN-WAIT-2" and a == "time-wait":
                    a = "keepalive"  # the kernel keeps an orphan in its TIME-WAIT table: the same timer
                if field == "ca" and ks["status"].get("state") in ("SYN-SENT", "SYN-RECEIVED"):
                    continue  # the kernel counts a lost SYN as a loss
                if field == "sacked" and not self.k["sack"]:
                    continue  # the kernel counts duplicate ACKs there
                if a is not None and b is not None and a != b:
                    more = {"only": "".join(sorted(set(a) ^ set(b)))} if field == "poll" else {}
                    self.add(i, "status", field=field, k=a, r=b, **more)
            self.segment_size(i, ks["status"], rs["status"])
        self.settle_borders()
        return self.found

    def segment_size(self, i, ks, rs):
        """Once, when the handshake is over; later the lengths of segments tell."""
        before = self.k["steps"][i - 1]["status"].get("state") if i else None
        if (ks.get("state") == rs.get("state") == "ESTABLISHED" and before != "ESTABLISHED"
                and "len=" not in self.script[i] and ks.get("mss") != rs.get("mss")):
            self.add(i, "status", field="mss", k=ks.get("mss"), r=rs.get("mss"))

    def packets(self, i, ks, rs, edges):
        at = self.k["steps"][i]["at"]
        matcher = difflib.SequenceMatcher(None, [key(p) for p in ks], [key(p) for p in rs], autojunk=False)
        for what, a, b, c, d in matcher.get_opcodes():
            left, right = ks[a:b], rs[c:d]
            pairs = min(len(left), len(right)) if what != "insert" and what != "delete" else 0
            if what == "replace" and [kind_of(p) for p in left[:pairs]] != [kind_of(p) for p in right[:pairs]]:
                pairs = 0
            for p, q in zip(left[:pairs], right[:pairs]):
                self.pair(i, p, q, at, edges)
            for p in left[pairs:] if pairs or what in ("delete", "replace") else []:
                self.single(i, "missing", p, at)
            for q in right[pairs:] if pairs or what in ("insert", "replace") else []:
                self.single(i, "extra", q, at)

    def single(self, i, kind, p, at):
        self.add(i, kind, packet=kind_of(p), flags=p["flags"], plen=p["len"], pseq=p["seq"], pack=p.get("ack"),
                 after_us=p["t"] - at, t=p["t"], shown=show(p), zero=int(p["win"] == 0), sackn=len(p.get("sack", [])),
                 waited=self.waited(i, p, at), fills=self.fills(i, p), merged=int(self.merged(i, "r" if kind == "missing" else "k", p)),
                 news=int(not self.known(i - 1, "k" if kind == "missing" else "r", p)),
                 known=int(self.known(i, "r" if kind == "missing" else "k", p)))

    def merged(self, i, side, p):
        """Whether the other side said it in this step with something else."""
        steps = (self.k if side == "k" else self.r)["steps"][i:i + 1]
        return any(q.get("ack", -1) == p.get("ack") and (q["len"] or "F" in q["flags"]) for s in steps
                   for q in s["packets"])

    def known(self, i, side, p):
        """Whether the other side has said what this packet says: acknowledged as much, by the end of the step."""
        steps = (self.k if side == "k" else self.r)["steps"][:i + 1]
        return any(q.get("ack", -1) >= p.get("ack", 1 << 40) for step in steps for q in step["packets"]
                   if "S" not in q["flags"] and "R" not in q["flags"])

    def fills(self, i, p):
        """Whether the segment ends with the peer's window, as its latest segment said."""
        for step in reversed(self.k["steps"][:i + 1]):
            if step.get("in"):
                return int(p["seq"] + p["len"] == step["in"]["ack"] + step["in"]["win"])
        return 0

    def pair(self, i, p, q, at, edges):
        common = {"fills": self.fills(i, p), "packet": kind_of(p), "flags": p["flags"], "plen": p["len"], "after_us": p["t"] - at,
                  "kshown": show(p), "rshown": show(q)}
        for field in ("flags", "seq", "len", "ack", "mss", "ws", "sackok", "tsecr", "sack", "wrong_text"):
            if p.get(field) != q.get(field) and not self.shifted(field, p.get(field), q.get(field)):
                only = "".join(sorted(set(p["flags"]) ^ set(q["flags"])))
                how = self.sack_difference(p.get("sack"), q.get("sack")) if field == "sack" else ""
                self.add(i, "packet", field=field, k=p.get(field), r=q.get(field), only=only, how=how,
                         less="k" if field == "len" and p["len"] < q["len"] else "r", **common)
        if ("tsval" in p) != ("tsval" in q):
            self.add(i, "packet", field="tsval", k=p.get("tsval"), r=q.get("tsval"), **common)
        if "U" in p["flags"] + q["flags"] and p.get("urg") != q.get("urg"):
            self.add(i, "packet", field="urg", k=p.get("urg"), r=q.get("urg"), **common)
        if "R" not in p["flags"]:
            if (p["win"] == 0) != (q["win"] == 0):
                self.add(i, "packet", field="window", k=p["win"], r=q["win"], **common)
            self.retreat(i, p, q, edges, common)
        if abs(p["t"] - q["t"]) > tolerance(self.waited(i, p, at), self.stalled):
            self.add(i, "time", k=p["t"] - at, r=q["t"] - at, t=p["t"], **common)

    @staticmethod
    def sack_difference(a, b):
        """"fin": the same blocks but for one number that a FIN has, which one side counts in."""
        a, b = a or [], b or []
        if len(a) == len(b) and all(x[0] == y[0] and x[1] - y[1] in (0, 1) for x, y in zip(a, b)):
            return "fin"
        if b[1:] == a or a[1:] == b:
            return "kernel-duplicate" if len(a) > len(b) else "runnel-duplicate"
        rest = [x for x in a if x not in b and [x[0], x[1] - 1] not in b]
        return "fin" if all(x[1] - x[0] == 1 for x in rest) and len(a) - len(b) == len(rest) else "other"

    def shifted(self, field, a, b):
        """The same but for the distance of the two windows' edges, to which the script had put something."""
        if field in ("ack", "seq") and a is not None and b is not None:
            return a - b in self.shifts
        if field == "sack" and a and b and len(a) == len(b):
            return all(x - y in self.shifts for c, d in zip(a, b) for x, y in zip(c, d))
        return False

    def waited(self, i, p, at):
        """Since the stimulus, or since the first of a row of timeouts: the kernel's ticks add up over their backoff."""
        first = at
        if kind_of(p) != "ack" or self.k["steps"][i - 1]["status"].get("timer") in ("persist", "keepalive"):
            first = min([at] + [q["t"] for step in self.k["steps"][:i + 1] for q in step["packets"]
                                if q["seq"] == p["seq"] and kind_of(q) == kind_of(p)])
        return p["t"] - first

    def retreat(self, i, p, q, edges, common):
        """A right edge that moves back (RFC 9293 SHLD-14)."""
        backwards = {}
        for side, packet in (("k", p), ("r", q)):
            if "S" in packet["flags"]:
                edges[side] = None
            if "ack" not in packet or "S" in packet["flags"]:
                continue
            edge = packet["ack"] + packet["win"]
            backwards[side] = edges[side] is not None and edge < edges[side]
            edges[side] = max(edge, edges[side] or edge)
        if backwards.get("k") != backwards.get("r"):
            self.add(i, "packet", field="retreat", k=backwards.get("k"), r=backwards.get("r"), **common)

    def settle_borders(self):
        """One packet, seen on either side of a step by a hair: the same."""
        for a in [d for d in self.found if d["kind"] == "missing"]:
            for b in [d for d in self.found if d["kind"] == "extra"]:
                same = (a["packet"], a["flags"], a["plen"], a["pseq"], a["pack"]) == (
                    b["packet"], b["flags"], b["plen"], b["pseq"], b["pack"])
                early = min(a, b, key=lambda d: d["index"])
                timed = early["step"] == "wait" and early["after_us"] > 8000
                if same and timed and abs(a["index"] - b["index"]) <= 4 and abs(a["t"] - b["t"]) <= tolerance(
                        max(a["after_us"], b["after_us"], a["waited"]), self.stalled):
                    self.found = [d for d in self.found if d is not a and d is not b]
                    break


def compare(script, kernel, runnel):
    """The differences, in the order of the script's steps."""
    return Differ(script, kernel, runnel).compare()


# --- classes ---------------------------------------------------------------------------------------------------

CONDITION = re.compile(r"^\s*([a-z_]+)\s*(!=|=|<=|>=|!~|~)\s*(.*?)\s*$")


class Class:
    def __init__(self, row):
        self.row = row
        self.id = row["id"]
        self.stops = row.get("stops", False)
        # `when` holds one list of conditions that must all be met, or several such lists.
        cases = row["when"] if isinstance(row["when"][0], list) else [row["when"]]
        self.cases = [[self.parse(text) for text in case] for case in cases]

    def parse(self, text):
        match = CONDITION.match(text)
        if not match:
            raise ValueError(f"{self.id}: not a condition: {text}")
        return match.groups()

    def holds(self, difference):
        return any(all(self.one(difference, *c) for c in case) for case in self.cases)

    @staticmethod
    def one(difference, name, operator, value):
        have = difference.get(name)
        if have is None and name not in difference:
            return False
        if value.startswith("$"):  # the value of another attribute
            value = str(difference.get(value[1:]))
        if operator in ("=", "!="):
            return (str(have) in value.split("|")) == (operator == "=")
        if operator in ("~", "!~"):
            return bool(re.search(value, str(have))) == (operator == "~")
        return float(have or 0) <= float(value) if operator == "<=" else float(have or 0) >= float(value)


def classify(differences, classes):
    """[(difference, class or None)], up to the first whose class says that what follows is its consequence."""
    out = []
    for difference in differences:
        found = next((c for c in classes if c.holds(difference)), None)
        out.append((difference, found))
        if found is None or found.stops:
            break
    return out
