#!/usr/bin/env python3
"""`runnel explain` as a command: exit codes, strictness, standard input, filters, JSON, what it says of captures that
are cut short, damaged or hold nothing."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

RUNNEL = os.environ["RUNNEL"]
CAPTURES = pathlib.Path(os.environ["RUNNEL_SOURCE"]) / "tests/data/captures"
CLEAN = CAPTURES / "explain/server_closes.pcap"


def explain(*arguments, code=0, **options):
    done = subprocess.run([RUNNEL, "explain", *map(str, arguments)], capture_output=True, timeout=60, **options)
    assert done.returncode == code, f"explain {arguments}: exit {done.returncode}, wanted {code}: {done.stderr}"
    return done.stdout.decode(), done.stderr.decode()


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def syn(options):
    """A pcap of one SYN, raw IP."""
    tcp = struct.pack(">HHIIHHHH", 5000, 80, 1, 0, (5 + len(options) // 4) << 12 | 2, 1000, 0, 0) + options
    ends = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    tcp = tcp[:16] + struct.pack(">H", checksum(ends + struct.pack(">II", 6, len(tcp))[0:8] + tcp)) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0) + ends
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    packet = head + tcp
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + struct.pack(
        "<IIII", 1, 0, len(packet), len(packet)) + packet  # fmt: skip


def main():
    text, said = explain("--strict-unusual", CLEAN)
    assert "Nothing that a conforming TCP would not do." in text and not said, (text, said)
    assert "FIN-WAIT-2" in text and "RFC 9293" in text and "\x1b" not in text
    assert explain("-", stdin=open(CLEAN, "rb"))[0] == text
    assert "TIME-WAIT" in explain("--summary", CLEAN)[0] and "seq 0" not in explain("-s", CLEAN)[0]
    assert explain("--ascii", "-a", CLEAN)[0].isascii()
    rows = [json.loads(line) for line in explain("--json", CLEAN)[0].splitlines()]
    assert rows[-1]["summary"] and rows[-1]["counts"]["violates"] == 0, rows[-1]
    assert {finding["verdict"] for finding in rows[0]["findings"]} == {"syn"}, rows[0]

    text, said = explain(CLEAN, ":9", code=1)
    assert not text and "no conversation fits" in said, said
    explain(code=2)
    explain(CLEAN, "10.9.1.1:x", code=2)
    assert "can't open" in explain("/no/such/file", code=1)[1]

    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "file"
        # Window scale 15: RFC 7323 §2.3 has 14 as the most.
        path.write_bytes(syn(bytes([3, 3, 15, 0])))
        text, _ = explain(path)
        assert "!! violates: window scale 15; 14 is the most (RFC 7323 §2.3)" in text, text
        explain("--strict", path, code=1)
        path.write_bytes(syn(bytes([3, 3, 14, 0])))
        explain("--strict-unusual", path)
        whole = CLEAN.read_bytes()
        path.write_bytes(whole[:-5])
        text, said = explain(path)
        assert "cut short" in said and "Verdict" in text, said
        path.write_bytes(whole[:200] + b"\xff" * 16 + whole[200:])
        assert "damage" in explain(path, code=1)[1]
        path.write_bytes(b"no capture")
        assert "no capture that Runnel can read" in explain(path, code=1)[1]
    print("ok")


sys.exit(main())
