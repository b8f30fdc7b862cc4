#!/usr/bin/env python3
"""`runnel drill` as a command: its lines, its exit codes, its JSON, its capture."""
# runnel-test: timeout=60
import json
import os
import pathlib
import subprocess
import tempfile

RUNNEL = os.environ.get("RUNNEL", "build/release/runnel")
GOOD = "0 socket(..., SOCK_STREAM, 0) = 3\n+0...+.1 connect(3, ..., ...) = 0\n+0 > S 0:0(0) <...>\n"
GOOD += "+.1 < S. 0:0(0) ack 1 win 65535 <mss 1000>\n+0 > . 1:1(0) ack 1\n"
BAD = GOOD.replace("ack 1\n", "ack 2\n")
UNKNOWN = "0 socket(..., SOCK_STREAM, 0) = 3\n+0 setsockopt(3, SOL_TCP, TCP_REPAIR, [1], 4) = 0\n"


def drill(*arguments):
    return subprocess.run([RUNNEL, "drill", *map(str, arguments)], capture_output=True, text=True, timeout=30)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "deeper").mkdir()
        good = folder / "b_good.pkt"
        good.write_text(GOOD)
        (folder / "a_unknown.pkt").write_text(UNKNOWN)
        (folder / "not_a_script.txt").write_text("nonsense")
        done = drill(folder)
        lines = done.stdout.splitlines()
        assert done.returncode == 0, done
        assert lines[0].startswith(f"skipped {folder}/a_unknown.pkt:2: the socket option TCP_REPAIR"), lines
        assert lines[1:] == [f"ok {good}", "1 passed, 0 failed, 1 skipped"], lines

        (folder / "deeper" / "bad.pkt").write_text(BAD)
        done = drill(folder)
        assert done.returncode == 1, done
        assert f"not ok {folder}/deeper/bad.pkt:5: the host's packet differs: ack: expected 2, seen 1" in done.stdout
        assert done.stdout.splitlines()[-1] == "1 passed, 1 failed, 1 skipped"
        assert done.stdout == drill(folder).stdout

        data = json.loads(drill("--json", folder).stdout)
        assert [one["outcome"] for one in data["scripts"]] == ["skipped", "ok", "not ok"], data
        assert (data["passed"], data["failed"], data["skipped"]) == (1, 1, 1)
        assert data["scripts"][1]["decisions"]["tcp_transmit_syn"] == 1

        capture = folder / "c.pcapng"
        assert drill("-w", capture, good).returncode == 0
        ladder = subprocess.run([RUNNEL, "ladder", str(capture)], capture_output=True, text=True, timeout=30)
        assert ladder.returncode == 0 and "SYN,ACK" in ladder.stdout, ladder

        defined = folder / "d.pkt"
        defined.write_text(GOOD.replace("1000", "SEGMENT"))
        assert drill("-D", "SEGMENT=1000", defined).returncode == 0
        assert drill(defined).returncode == 1

        words = folder / "words.pkt"
        words.write_text(
            "0 socket(..., SOCK_STREAM, 0) = 3\n+0...+.1 connect(3, ..., ...) = 0\n+0 > S 0:0(0) <...>\n"
            "+.1 < S. 0:0(0) ack 1 win 65535 <mss 1000,FO TFO_COOKIE>\n+0 > . 1:1(0) ack 1\n"
            "+.01 setsockopt(3, CMSG_LEVEL_IP, CMSG_TYPE_RECVERR, [1], 4) = 0\n"
        )
        for version in ("ipv4", "ipv6", "ipv4-mapped-ipv6"):
            done = drill(f"--ip_version={version}", "--tolerance_usecs", "10000", words)
            assert done.returncode == 0 and "1 passed" in done.stdout, (version, done)
        assert drill("--ip_version=ipv5", words).returncode == 2
        assert drill("--mtu=no", words).returncode == 2

        assert drill(folder / "missing.pkt").returncode == 2
        (folder / "empty").mkdir()
        assert drill(folder / "empty").returncode == 2
        assert drill("-w", capture, good, good).returncode == 2


if __name__ == "__main__":
    main()
