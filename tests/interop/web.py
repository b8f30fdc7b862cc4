#!/usr/bin/env python3
"""`runnel serve` as a web server for the kernel's curl and for raw sockets: ranges, validators, listings, statuses,
nothing outside the directory, pipelining, slow clients, limits, many clients at once, a clean stop."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import _world as world
from _world import check, equal

LONG = os.environ.get("RUNNEL_LONG") == "1"
HERE = f"http://{world.RUNNEL4}"


def curl(*arguments, code=0):
    done = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "30", "--path-as-is", *arguments],
                          capture_output=True, timeout=world.PATIENCE)  # fmt: skip
    equal(done.returncode, code, f"curl {' '.join(arguments)}: {done.stderr.decode().strip()}; exit")
    return done.stdout


def status(*arguments):
    return int(curl("-o", "/dev/null", "-w", "%{http_code}", *arguments))


def raw(request, timeout=20):
    """Everything the server says to these bytes."""
    with socket.create_connection((world.RUNNEL4, 80), timeout=timeout) as client:
        client.sendall(request)
        data = b""
        while piece := client.recv(65536):
            data += piece
    return data


class Site:
    """A directory with something of everything, served."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.temporary = world.temporary()
        base = pathlib.Path(self.temporary.name)
        (base / "secret.txt").write_text("not to be served\n")
        self.root = base / "site"
        (self.root / "sub").mkdir(parents=True)
        self.digest = world.make_file(self.root / "data.bin", 1 << 20)
        self.data = (self.root / "data.bin").read_bytes()
        (self.root / "page.html").write_text("<p>hello</p>\n")
        (self.root / "sub" / "index.html").write_text("index\n")
        (self.root / "<b>&\"'.txt").write_text("awkward\n")
        (self.root / "out").symlink_to("../secret.txt")
        (self.root / "out.d").symlink_to("..")
        (self.root / "in").symlink_to("page.html")
        os.mkfifo(self.root / "pipe")
        self.server = world.Serving(*world.prepare("tun"), "--listen", "80", *self.options, str(self.root),
                                    listeners=2)  # fmt: skip
        return self

    def __exit__(self, *details):
        self.server.__exit__(*details)
        self.temporary.cleanup()


def ranges(site):
    for field, wanted in (("0-99", site.data[:100]), ("1000000-", site.data[1000000:]), ("-7", site.data[-7:])):
        equal(curl("-r", field, f"{HERE}/data.bin"), wanted, f"range {field}")
    equal(status("-r", "9000000-", f"{HERE}/data.bin"), 416, "status beyond the end")
    answer = curl("-i", "-r", "0-1,-2", f"{HERE}/data.bin")
    check(b"206 Partial Content" in answer and b"multipart/byteranges" in answer, answer[:300])
    check(site.data[:2] in answer and site.data[-2:] in answer, "both parts")
    half = site.root / "half"
    half.write_bytes(site.data[:300_000])
    curl("-C", "-", "-o", str(half), f"{HERE}/data.bin")
    equal(world.digest_of(half), site.digest, "what curl resumed")
    half.unlink()


def validators(site):
    head = curl("-I", f"{HERE}/page.html").decode()
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    equal(status("-H", f"If-None-Match: {fields['ETag']}", f"{HERE}/page.html"), 304, "status for the same tag")
    equal(status("-z", fields["Last-Modified"], f"{HERE}/page.html"), 304, "status for the same date")
    equal(status("-H", 'If-Match: "x"', f"{HERE}/page.html"), 412, "status for another tag")
    equal(fields["Content-Type"], "text/html; charset=utf-8", "type")
    equal(fields["Content-Length"], "13", "length")
    (site.root / "page.html").write_text("<p>other</p>\n")
    equal(status("-H", f"If-None-Match: {fields['ETag']}", f"{HERE}/page.html"), 200, "status of a changed file")


def listings(site):
    page = curl(f"{HERE}/").decode()
    check("&lt;b&gt;&amp;&quot;&#39;.txt" in page and "<b>" not in page, f"escaping: {page}")
    check('href="/%3Cb%3E%26%22%27.txt"' in page, f"links: {page}")
    equal(curl(f"{HERE}/%3Cb%3E%26%22%27.txt"), b"awkward\n", "behind that link")
    for listing in (curl(f"{HERE}/?json"), curl("-H", "Accept: application/json", f"{HERE}/")):
        entries = {entry["name"]: entry for entry in json.loads(listing)["entries"]}
        equal(entries["data.bin"]["size"], 1 << 20, "size in JSON")
        equal(entries["sub"]["type"], "directory", "type in JSON")
        check("<b>&\"'.txt" in entries and "in" in entries, f"names in JSON: {sorted(entries)}")
        check(not {"out", "out.d", "pipe"} & set(entries), "what isn't served is not listed")
    equal(curl("-L", f"{HERE}/sub"), b"index\n", "a directory's index, by its redirection")


def nothing_outside(site):
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/sub/../../secret.txt",
                 "/%2e%2e%2fsecret.txt", "/out", "/out.d/secret.txt", "/pipe", "//etc/passwd",
                 "/sub/..%5c..%5csecret.txt", "/....//secret.txt"):  # fmt: skip
        answer = raw(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        check(answer.split()[1] in (b"403", b"404"), f"{path}: {answer[:40]}")
        check(b"not to be served" not in answer, f"{path} gave the secret")
    equal(status(f"{HERE}/in"), 200, "status of a link that stays inside")


def statuses(site):
    equal(status(f"{HERE}/missing"), 404, "missing")
    equal(status("-X", "DELETE", f"{HERE}/page.html"), 405, "DELETE")
    check(b"Allow: GET, HEAD" in curl("-i", "-X", "DELETE", f"{HERE}/page.html"), "Allow of 405")
    equal(status("-X", "BREW", f"{HERE}/page.html"), 501, "BREW")
    equal(status("--http1.0", f"{HERE}/page.html"), 200, "HTTP/1.0")
    equal(status(f"{HERE}/{'a' * 9000}"), 414, "long target")
    equal(status("-H", f"X: {'a' * 20000}", f"{HERE}/page.html"), 431, "long header")
    equal(raw(b"nonsense\r\n\r\n")[:12], b"HTTP/1.1 400", "nonsense")
    equal(raw(b"GET / HTTP/1.1\r\n\r\n")[:12], b"HTTP/1.1 400", "without Host")
    equal(raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n")[:12], b"HTTP/1.1 400", "a TLS hello")


def pipelining(site):
    requests = b"".join(b"GET /data.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-%d\r\n\r\n" % (i * 10, i * 10 + 9)
                        for i in range(500))  # fmt: skip
    answer = raw(requests + b"HEAD /page.html HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    equal(answer.count(b"HTTP/1.1 206"), 500, "answers to 500 requests in a row")
    bodies = b"".join(part.split(b"\r\n\r\n", 1)[1][:10] for part in answer.split(b"HTTP/1.1 206")[1:])
    equal(bodies, site.data[:5000], "their bodies in order")


def many_at_once(site):
    """200 curls at the same time, and requests over kept connections besides."""
    clients = [subprocess.Popen(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "60", f"{HERE}/data.bin"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(200)]  # fmt: skip
    for number, client in enumerate(clients):
        out, error = client.communicate(timeout=world.PATIENCE)
        equal(client.returncode, 0, f"exit code of client {number} ({error})")
        check(hashlib.sha256(out).hexdigest() == site.digest, f"client {number} got other bytes")


def load(site):
    if shutil.which("wrk") is None:
        return print("   left out: wrk is not installed")
    seconds = 20 if LONG else 2
    for path in ("page.html", "data.bin"):
        done = world.run("wrk", "-t2", "-c100", f"-d{seconds}s", f"{HERE}/{path}")
        check("Socket errors" not in done and "Non-2xx" not in done, done)
        rate = [line for line in done.splitlines() if line.startswith("Requests/sec")]
        print(f"   /{path}: {rate[0]}")


def a_clean_stop(site):
    """SIGTERM: idle connections are closed, a busy one gets its answer, and it ends well and soon."""
    idle = socket.create_connection((world.RUNNEL4, 80), timeout=10)
    busy = socket.create_connection((world.RUNNEL4, 80), timeout=10)
    busy.sendall(b"GET /data.bin HTTP/1.1\r\nHost: h\r\n\r\n")
    head = busy.recv(1000)
    begin = time.monotonic()
    site.server.child.send_signal(signal.SIGTERM)
    equal(idle.recv(100), b"", "what the idle one gets")
    got = len(head.split(b"\r\n\r\n", 1)[1])
    while piece := busy.recv(65536):
        got += len(piece)
    equal(got, 1 << 20, "bytes of the busy one")
    idle.close()
    busy.close()
    equal(site.server.wait(), 0, "exit code")
    check(time.monotonic() - begin < 5, "it took long to stop")


def slow_and_many():
    """Four places only: slow headers lose theirs after a second (408), idle ones after two, others then get in."""
    with Site("--max-connections", "4", "--header-time", "1", "--idle", "2", "-v") as site:
        slow = [socket.create_connection((world.RUNNEL4, 80), timeout=10) for _ in range(4)]
        for client in slow[:2]:
            client.sendall(b"GET /pa")
        begin = time.monotonic()
        equal(status(f"{HERE}/page.html"), 200, "status of the fifth")
        check(time.monotonic() - begin > 0.5, "it did not wait")
        for client in slow[:2]:
            check(client.recv(100).startswith(b"HTTP/1.1 408"), "a slow header's answer")
        for client in slow[2:]:
            equal(client.recv(100), b"", "what an idle one gets")
        for client in slow:
            client.close()
        equal(site.server.stop(), 0, "exit code")
        log = "".join(site.server.messages)
        check("has connected" in log and "has gone after 1 request\n" in log, f"-v says: {log}")


def quiet_and_json():
    with Site("-q") as site:
        equal(status(f"{HERE}/page.html"), 200, "status")
        equal(site.server.stop(), 0, "exit code")
        equal(len(site.server.messages), 2, "lines of a quiet server")
    with Site("--json") as site:
        equal(status("-r", "0-4", f"{HERE}/page.html"), 206, "status")
        line = json.loads(site.server.child.stdout.readline())
        equal((line["method"], line["target"], line["status"], line["bytes_sent"]), ("GET", "/page.html", 206, 5),
              "the request in JSON")  # fmt: skip
        equal(site.server.stop(), 0, "exit code")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.need("curl")
with Site() as everything:
    for test in (ranges, validators, listings, nothing_outside, statuses, pipelining, many_at_once, load, a_clean_stop):
        started = time.monotonic()
        test(everything)
        print(f"ok {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
world.main(slow_and_many, quiet_and_json)
