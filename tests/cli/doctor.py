#!/usr/bin/env python3
"""`runnel doctor` tells what is true here: its verdicts are held against trying the same from outside, with and
without privilege; JSON, colours, exit codes."""

import json
import os
import subprocess
import sys

RUNNEL = os.environ["RUNNEL"]


def doctor(*arguments, before=(), **options):
    return subprocess.run([*before, RUNNEL, "doctor", *arguments], capture_output=True, text=True, timeout=60, **options)


def works(*command):
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def equal(got, wanted, what):
    assert got == wanted, f"{what}: {got!r}, wanted {wanted!r}"


done = doctor("--json")
told = json.loads(done.stdout)
findings = {finding["id"]: finding for finding in told["findings"]}
tun_file = os.access("/dev/net/tun", os.R_OK | os.W_OK)
private = works("unshare", "-n" if os.geteuid() == 0 else "-rn", "true")
equal(findings["namespaces"]["works"], private, "private networks")
equal(findings["tun_file"]["works"], tun_file, "/dev/net/tun")
equal(findings["tun"]["works"], tun_file and private, "TUN device")
equal(told["links"]["wire"], "directly", "--link wire")
equal(done.returncode, 0 if private else 77, "exit code")
for finding in findings.values():
    assert finding["works"] or finding.get("remedy") or finding["id"] in ("rmem_max",), f"no remedy: {finding}"
print("ok verdicts")

if private:
    # The way it names is a way that works.
    tun = told["links"]["tun"]
    get = [RUNNEL, "nc", "-z", "--link", "tun", "10.9.0.1", "1"]
    inside = ["unshare", "-n" if os.geteuid() == 0 else "-rn", *get]
    equal(subprocess.run(inside, capture_output=True, timeout=60).returncode, 7 if tun != "no" else 77, "exit code over a TUN")
    print("ok the way that it names")

if os.geteuid() == 0 and works("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "true"):
    # Without any capability, and no user namespace to get some from.
    done = doctor("--json", before=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                    "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"])  # fmt: skip
    told = json.loads(done.stdout)
    findings = {finding["id"]: finding for finding in told["findings"]}
    equal(findings["net_admin"]["works"], False, "CAP_NET_ADMIN of nobody")
    equal(findings["packet_socket"]["works"], False, "AF_PACKET of nobody")
    assert "setcap" in findings["net_admin"]["remedy"], findings["net_admin"]
    assert told["links"]["tun"] in ("private", "no"), told["links"]
    equal(done.returncode, 77 if told["links"]["tun"] == told["links"]["packet"] == "no" else 0, "exit code")
    print("ok without privilege")

plain = doctor()
assert "\x1b" not in plain.stdout and "--link tun" in plain.stdout, plain.stdout
assert "\x1b[32myes" in doctor("--color", "always").stdout, "--color always"
assert "\x1b" not in doctor("--color", "never").stdout, "--color never"
equal(doctor("--color", "purple").returncode, 2, "exit code of a wrong colour")
print("ok output")
sys.exit(0)
