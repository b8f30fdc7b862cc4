#!/usr/bin/env python3
"""`runnel sim` as a command: the same seed gives the same run, whatever watches it; many seeds add up to the same on
any number of threads; scenario files are read, refused with line and column, and written back to the last bit; a run
that fails says how to see it again; captures, qlog and pictures are what they claim to be."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import xml.dom.minidom

RUNNEL = os.environ["RUNNEL"]
EXAMPLES = pathlib.Path(os.environ["RUNNEL_SOURCE"]) / "examples/sim"
TEMP = pathlib.Path(tempfile.mkdtemp(prefix="runnel-sim-"))


def sim(*arguments, code=0, text=None):
    done = subprocess.run([RUNNEL, "sim", *map(str, arguments)], capture_output=True, timeout=120,
                          input=text.encode() if text is not None else b"")  # fmt: skip
    assert done.returncode == code, f"sim {arguments}: exit {done.returncode}, wanted {code}: {done.stdout}{done.stderr}"
    return done.stdout.decode(), done.stderr.decode()


def data(*arguments, **options):
    return json.loads(sim(*arguments, "--json", **options)[0])


def test_a_seed_is_a_run():
    first = data("--seed", 7)
    assert first["ok"] and first == data("--seed", 7)
    assert first["digest"] != data("--seed", 8)["digest"]
    assert first["segments_delivered"] > 0 and first["replay"] == "runnel sim --seed 7"
    text, _ = sim("--seed", 7)
    assert first["digest"] in text and text.rstrip().endswith("ok"), text
    assert all(f"flow {flow['id']}" in text for flow in first["flows"])


def test_many_seeds_add_up():
    one = data("--seeds", 40, "--from", 100, "--jobs", 1)
    three = data("--seeds", 40, "--from", 100, "--jobs", 3)
    assert one["ok"] and one["scenarios"] == 40
    for field in ("digest", "events", "faults", "median_segments", "median_fault_kinds", "outcomes"):
        assert one[field] == three[field], field
    assert one["digest"] != data("--seeds", 40, "--from", 101)["digest"]
    assert one["events"] == sum(data("--seed", seed)["events"] for seed in range(100, 140))
    text, _ = sim("--seeds", 20)
    assert "scenarios a second" in text and "events a second" in text and "median scenario" in text
    assert "of fault" in text and "drop_bursts" in text


def test_time_ends_it():
    assert data("--time", "300ms", "--jobs", 1)["scenarios"] > 0


def test_files():
    for seed in list(range(1, 25)) + [2**64 - 1]:
        written, _ = sim("--seed", seed, "--print")
        tomllib.loads(written)
        again, _ = sim("-", "--print", text=written)
        strip = lambda text: text.split("\n", 1)[1]  # the comment says where it came from
        assert strip(written) == strip(again), seed
        if seed < 8:
            drawn, read = data("--seed", seed), data("-", text=written)
            assert drawn["digest"] == read["digest"], seed


def test_examples():
    files = sorted(EXAMPLES.glob("*.toml"))
    assert len(files) >= 5, files
    runs = {path.stem: data(path) for path in files}
    for name, run in runs.items():
        assert run["ok"], (name, run["failure"])
        assert run["outcome"] == "rest", (name, run["outcome"])
    assert runs["lossy_line"]["faults"]["drop"] > 10
    assert runs["lossy_line"]["flows"][0]["octets_up"] == 4_000_000
    assert runs["lossy_line"]["flows"][0]["retransmissions"] >= runs["lossy_line"]["faults"]["drop"] - 2
    assert 9 < runs["partition_heals"]["flows"][0]["seconds"] < 30
    assert runs["partition_heals"]["flows"][0]["octets_up"] == 3_000_000
    assert all(flow["octets_up"] == 2_000_000 and flow["over"] for flow in runs["narrow_line"]["flows"])
    for kind in ("rewrite_sequence", "strip_window_scale", "split_segments", "thin_acks"):
        assert runs["middleboxes"]["faults"].get(kind), kind
    assert runs["middleboxes"]["flows"][0]["octets_down"] == 1_000_000
    assert runs["server_forgets"]["flows"][0]["client_error"] in ("ECONNRESET", "EPIPE"), runs["server_forgets"]


def test_mistakes_in_files():
    head = "[[host]]\nid = 0\n[[host]]\nid = 1\n[[link]]\nid = 0\na = 0\nb = 1\n"
    for text, line, said in [
        ("[[host]]\nid = 99\n", 2, "ids of hosts"),
        ("[[host]]\nid = 0\n[[host]]\nid = 0\n", 4, "already"),
        ("[[host]]\nid = 0\ncolour = 'red'\n", 3, "no key colour"),
        ("[[host]]\n", 1, "needs id"),
        ("[[host]]\nid = 0\nset = { tcp_sack = 7 }\n", 3, "can't be 7"),
        ("[[host]]\nid = 0\nset = { nonsense = 7 }\n", 3, "no setting"),
        (head + "rate = '12 parsecs'\n", 9, "a rate such as"),
        (head + "delay = '-'\n", 9, "a time such as"),
        (head + "queue = 'red'\n", 9, '"drop_tail"'),
        (head + "[[fault]]\nkind = 'bad_luck'\nlink = 0\n", 10, "no such kind of fault"),
        (head + "[[fault]]\nkind = 'drop'\nhost = 0\n", 9, "needs link"),
        (head + "[[fault]]\nkind = 'drop'\nlink = 0\nintensity = '101%'\n", 12, "a share"),
        (head + "[[fault]]\nkind = 'drop'\nlink = 3\n", 11, "no link 3"),
        (head + "[[flow]]\nid = 0\nclient = 0\nserver = 5\n", 12, "no host"),
        (head + "[[flow]]\nid = 0\nclient = 0\nserver = 1\nup = -3\n", 13, "octets"),
        ("seed = \n", 1, ""),
        ("host = 3\n", 1, "[[host]]"),
    ]:
        _, error = sim("-", code=2, text=text)
        assert error.startswith(f"runnel: -:{line}:") and said in error, (text, error)
    assert "megabyte" in sim("-", code=2, text="# " + "x" * 1_100_000)[1]
    assert "can't read" in sim(TEMP / "nowhere.toml", code=1)[1]
    sim("-", code=2, text="[" * 5_000)


def test_flags():
    run = data("--rate", "10mbit", "--rtt", "40ms", "--loss", "1%", "--flows", 3, "--duration", "5s")
    assert run["ok"] and run["outcome"] == "limit" and abs(run["virtual_seconds"] - 5) < 1e-6
    assert len(run["flows"]) == 3 and run["faults"]["drop"] > 0
    total = sum(flow["goodput_bits_per_second"] for flow in run["flows"])
    assert 2e6 < total < 10e6, total
    clean = data("--rate", "10mbit", "--rtt", "40ms", "--size", "1mb")
    flow = clean["flows"][0]
    assert clean["outcome"] == "rest" and flow["over"] and flow["octets_up"] == 1_000_000
    assert 8e6 * 0.6 < flow["goodput_bits_per_second"] < 10e6, flow
    assert flow["rtt_min_ns"] >= 40_000_000
    bloat = data("--rate", "5mbit", "--rtt", "20ms", "--queue", "10bdp", "--duration", "10s")
    codel = data("--rate", "5mbit", "--rtt", "20ms", "--queue", "10bdp", "--duration", "10s", "--codel")
    assert bloat["flows"][0]["rtt_ns"] > 2 * codel["flows"][0]["rtt_ns"], (bloat["flows"], codel["flows"])
    v6, _ = sim("--ipv6", "--duration", "1s", "--mtu", 1280, "--set", "tcp_sack=0", "--profile", "rfc")
    assert "IPv6" in v6 and "tcp_sack=0" in v6 and "rfc" in v6
    for arguments, said in [
        (("--cc", "vegas,bbr"), "no congestion control vegas"),
        (("--rate", "fast"), "--rate wants"),
        (("--rtt", "-5ms"), "--rtt can't"),
        (("--loss", "150%"), "--loss wants"),
        (("--queue", "1bdpp"), "--queue wants"),
        (("--set", "tcp_sack"), "--set wants"),
        (("--ipv6", "--mtu", "1000"), "1280"),
        (("--seed", 1, "--seeds", 2), "which?"),
        (("--seeds", 2, "--rate", "1mbit"), "--seeds draws"),
        (("--seeds", 2, "--events"), "--seeds draws"),
        (("--from", "here", "--seeds", 1), "--from wants"),
        (("--time", "soon"), "--time wants"),
        ((EXAMPLES / "lossy_line.toml", "--seed", 1), "says all"),
        (("--svg", TEMP / "x.svg", "--flow", 200), "no flow 200"),
        (("-w", TEMP / "x.pcapng", "--host", 30), "no host 30"),
    ]:
        assert said in sim(*arguments, code=2)[1], (arguments, sim(*arguments, code=2))


def test_a_failure_says_how_to_see_it_again():
    text, _ = sim("--seed", 7, "--most-events", 200, code=1)
    assert "FAILED seed 7: completion" in text and "events and no end" in text, text
    again = re.search(r"again: runnel (.*)", text).group(1).split()
    assert again == ["sim", "--seed", "7", "--most-events", "200"], again
    assert sim(*again[1:], code=1)[0] == text
    many = data("--seeds", 3, "--most-events", 30, code=1)
    assert not many["ok"] and many["failed"] == 3 and len(many["failures"]) == 3
    assert many["failures"][0]["replay"] == "runnel sim --seed 1 --most-events 30"
    assert many["failures"][0]["failure"]["checker"] == "completion"
    # A great number of failures ends it.
    assert data("--seeds", 1000, "--most-events", 30, "--jobs", 1, code=1)["scenarios"] == 10


def test_shrinking():
    written, _ = sim("--seed", 7, "--most-events", 60, "--shrink", code=1)
    small = tomllib.loads(written)
    assert len(small["flow"]) == 1 and "fault" not in small and len(small["host"]) == 2, written
    assert "completion" in written.split("\n")[1], written
    # It fails as a file too, and is as small as it gets.
    path = TEMP / "small.toml"
    path.write_text(written)
    assert "events and no end" in sim(path, "--most-events", 60, code=1)[0]
    again, _ = sim(path, "--most-events", 60, "--shrink", code=1)
    assert tomllib.loads(again) == small
    assert "nothing to shrink" in sim("--seed", 7, "--shrink")[1]


def test_outputs_change_nothing():
    plain = data("--seed", 9)
    capture, qlog, svg = TEMP / "c.pcapng", TEMP / "q.sqlog", TEMP / "p.svg"
    lines, summary = sim("--seed", 9, "--json", "--events", "-w", capture, "--qlog", qlog, "--svg", svg)
    assert json.loads(summary) == plain

    lines = lines.splitlines()
    assert len(lines) == plain["events"]
    kinds = {"send", "take", "lose", "timer", "call", "fault", "heal", "rest"}
    for line in lines:
        assert re.match(r"\d+\.\d{9} (\w+) ((host \d+)|(link \d+ [<>])|-)", line), line
        assert line.split()[1] in kinds, line
    assert lines[-1].split()[1] == "rest"
    assert sum(" send " in line for line in lines) == plain["packets_sent"]

    host = plain["flows"][0]["client"]
    crossed = sum(f" send host {host} " in line or f" take host {host} " in line for line in lines)
    shown = subprocess.run(["tcpdump", "-nr", capture], capture_output=True, text=True, timeout=60)
    assert len(shown.stdout.splitlines()) == crossed, shown.stderr
    ladder = subprocess.run([RUNNEL, "ladder", capture, "1"], capture_output=True, text=True, timeout=60)
    assert ladder.returncode == 0 and "RFC" in ladder.stdout, ladder.stderr

    records = qlog.read_text().split("\x1e")
    assert records[0] == "" and all(record.endswith("\n") for record in records[1:])
    head, *events = map(json.loads, records[1:])
    assert head["qlog_format"] == "JSON-SEQ" and head["qlog_version"] == "0.3"
    names = {event["name"] for event in events}
    assert {"transport:packet_sent", "transport:packet_received", "recovery:metrics_updated",
            "connectivity:connection_state_updated"} <= names, names  # fmt: skip
    metrics = [event["data"] for event in events if event["name"] == "recovery:metrics_updated"]
    assert all("reordering_threshold" in data for data in metrics)
    assert all(a["time"] <= b["time"] for a, b in zip(events, events[1:]))
    packets = [event for event in events if event["name"] in ("transport:packet_sent", "transport:packet_received")]
    assert len(packets) == crossed

    drawing = xml.dom.minidom.parse(str(svg)).documentElement
    assert drawing.tagName == "svg"
    said = " ".join(node.firstChild.data for node in drawing.getElementsByTagName("text"))
    for word in ("Sequence", "Congestion window", "Loss recovery", "Pacing rate", "Round trip", "virtual time", "lost"):
        assert word in said, word
    assert "prefers-color-scheme:dark" in svg.read_text()


def is_paced(scenario):
    """Whether the first flow's client spreads what it sends: a script's microseconds are too coarse for that."""
    flow = scenario["flow"][0]
    host = next(one for one in scenario["host"] if one["id"] == flow["client"])
    default = 1 if host.get("profile", "modern") == "modern" else 0
    return flow.get("cc") == "bbr" or host.get("set", {}).get("pacing", default) == 1


def drilled(*arguments):
    """The script of a run, which `runnel drill` finds to be true."""
    path = TEMP / "run.pkt"
    sim(*arguments, "--pkt", path)
    done = subprocess.run([RUNNEL, "drill", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{arguments}: {done.stdout}"
    return path.read_text()


def test_a_run_as_a_script():
    bad = ("--rate", "10mbit", "--rtt", "40ms", "--loss", "2%", "--reorder", "1%", "--duplicate", "1%",
           "--size", "200kb", "--set", "pacing=0")  # fmt: skip; a script's microseconds are too coarse for a pace
    client = drilled(*bad)
    assert "> S 0:0(0)" in client and "connect(3, ..., ...) = -1 EINPROGRESS" in client and "sack " in client
    server = drilled(*bad, "--host", 1)
    assert "> S. 0:0(0) ack 1" in server and "accept(3, ..., ...) = 4" in server
    assert "--ip_version=ipv6" in drilled(*bad, "--ipv6")
    assert '"fixed"' in drilled(*bad, "--cc", "fixed", "--profile", "linux", "--set", "tcp_sack=0")
    # What is drawn: nearly all of it, save where a fault befell the host itself, and without a pace.
    unpaced = [seed for seed in range(1, 161) if not is_paced(tomllib.loads(sim("--seed", seed, "--print")[0]))][:40]
    assert len(unpaced) == 40
    for seed in unpaced:
        sim("--seed", seed, "--pkt", TEMP / f"drawn{seed}.pkt")
    done = subprocess.run([RUNNEL, "drill", TEMP, "--json"], capture_output=True, text=True, timeout=60)
    said = json.loads(done.stdout)
    assert said["passed"] >= 32 and said["skipped"] == 0, done.stdout
    # The smallest that fails, as a script too.
    path = TEMP / "small.pkt"
    sim("--seed", 7, "--most-events", 60, "--shrink", "--pkt", path, code=1)
    assert "It fails in completion" in path.read_text() or "What is left of" in path.read_text()


def test_lists():
    text, _ = sim("--list")
    for word in ("many_short", "drop_bursts", "Gilbert", "completion", "content"):
        assert word in text, word


def test_files_that_cant_be_written():
    for flag in ("-w", "--qlog", "--svg", "--pkt"):
        assert "can't write" in sim("--seed", 1, flag, TEMP / "no/such/folder", code=1)[1]


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"ok {name}")


if __name__ == "__main__":
    sys.exit(main())
