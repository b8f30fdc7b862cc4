#!/usr/bin/env python3
"""`runnel get` as a client of kernel servers: several URLs, file names, resumption, redirections, headers, limits of
time, bodies that come short, the progress bar; and what happens to the file each time."""

import http.server
import json
import os
import pathlib
import pty
import select
import socket
import subprocess
import threading
import time

import _world as world
from _world import check, equal

BODY = bytes(range(256)) * 4096  # 1 MiB


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"", **fields):
        self.send_response(code)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        Handler.seen.append((self.path, dict(self.headers)))
        name = self.path.split("?")[0]
        if name == "/data":
            wanted = self.headers.get("Range")
            if not wanted:
                return self.answer(200, BODY)
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= len(BODY):
                return self.answer(416, Content_Range=f"bytes */{len(BODY)}")
            return self.answer(206, BODY[first:], Content_Range=f"bytes {first}-{len(BODY) - 1}/{len(BODY)}")
        if name == "/no-ranges":
            return self.answer(200, BODY)
        if name == "/wrong-range":
            return self.answer(206, BODY[7:], Content_Range=f"bytes 7-{len(BODY) - 1}/{len(BODY)}")
        if name == "/a/b/moved":
            return self.answer(302, b"not this", Location="../target?x=1")
        if name == "/a/target":
            return self.answer(200, b"arrived at " + self.path.encode())
        if name == "/round":
            return self.answer(307, Location="/round")
        if name == "/to-https":
            return self.answer(301, Location="https://example.org/")
        if name == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: t\r\n\r\n")
            return
        if name in ("/chunked-short", "/short"):
            self.send_response(200)
            if name == "/short":
                self.send_header("Content-Length", "1000")
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"a" * 100 if name == "/short" else b"64\r\n" + b"a" * 50)
            self.close_connection = True
            return
        if name == "/slow":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"a" * 1000)
                time.sleep(0.1)
            return
        self.answer(404, b"nothing here")

    do_HEAD = do_GET


class Server:
    def __enter__(self):
        class Both(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Both(("::", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return world.url(world.KERNEL4, self.port, path)


def get(*arguments, code=0, **options):
    done = world.runnel("get", "--link", "tun", *arguments, **options)
    equal(done.returncode, code, f"get {' '.join(arguments)}: {done.stderr.decode().strip()}; exit")
    return done


def several(server, directory):
    done = get("-o", "one", "-o", "two", server.url("/data"), server.url("/chunked"), server.url("/a/target"),
               cwd=directory)  # fmt: skip
    equal((directory / "one").read_bytes(), BODY, "the first")
    equal((directory / "two").read_bytes(), b"hello, world", "the second")
    equal(done.stdout, b"arrived at /a/target", "the third, on stdout")
    done = get("-O", server.url("/missing"), server.url("/data?x"), code=22, cwd=directory)
    check(b"/missing: the server answered 404" in done.stderr, done.stderr)
    check(not (directory / "missing").exists(), "an error makes no file")
    equal((directory / "data").read_bytes(), BODY, "the one after the error, by its own name")
    get("-O", server.url("/"), code=2)
    get("-O", "-o", "x", server.url("/data"), code=2)


def resumption(server, directory):
    file = directory / "resumed"
    for size in (0, 1, 300_000, len(BODY)):
        file.write_bytes(BODY[:size])
        done = get("-c", "--json", "-o", "resumed", server.url("/data"), cwd=directory)
        equal(file.read_bytes() == BODY, True, f"the file that had {size} bytes is whole")
        told = json.loads(done.stdout)
        equal((told["resumed_from"], told["bytes"]), (size, len(BODY) - size), "what it tells")
    file.write_bytes(BODY[:1000])
    done = get("-c", "-o", "resumed", server.url("/no-ranges"), cwd=directory)
    check(file.read_bytes() == BODY and b"beginning anew" in done.stderr, f"a server without ranges: {done.stderr}")
    file.write_bytes(b"mine")
    get("-c", "-o", "resumed", server.url("/wrong-range"), code=1, cwd=directory)
    equal(file.read_bytes(), b"mine", "a wrong range changes nothing")
    file.write_bytes(BODY + b"more")
    get("-c", "-o", "resumed", server.url("/data"), code=1, cwd=directory)
    get("-c", "-o", "resumed", server.url("/missing"), code=22, cwd=directory)
    equal(len(file.read_bytes()), len(BODY) + 4, "an error changes nothing")
    get("-c", server.url("/data"), code=2)


def redirections(server, _):
    equal(get("-L", server.url("/a/b/moved")).stdout, b"arrived at /a/target?x=1", "where it leads")
    equal(get(server.url("/a/b/moved")).stdout, b"not this", "without -L")
    done = get("-L", server.url("/round"), code=1)
    check(b"more than 20 redirections" in done.stderr, done.stderr)
    done = get("-L", server.url("/to-https"), code=1)
    check(b"https://example.org/" in done.stderr, done.stderr)


def headers(server, _):
    done = get("-I", server.url("/data"))
    check(done.stdout.startswith(b"HTTP/1.1 200 OK\r\n") and b"Content-Length: 1048576\r\n" in done.stdout, done.stdout)
    get("-I", server.url("/missing"), code=22)
    get("-H", "X-One: 1", "-H", "User-Agent: other", server.url("/a/target"))
    fields = Handler.seen[-1][1]
    equal((fields["X-One"], fields["User-Agent"]), ("1", "other"), "fields that arrived")
    get("-H", "nonsense", server.url("/data"), code=2)
    get("-H", "X: a\r\nY: b", server.url("/data"), code=2)


def short_bodies(server, directory):
    done = get("-o", "short", server.url("/short"), code=1, cwd=directory)
    check(b"100 of 1000" in done.stderr and b"get -c" in done.stderr, done.stderr)
    equal((directory / "short").read_bytes(), b"a" * 100, "what came is kept")
    get(server.url("/chunked-short"), code=1)


def limits(server, directory):
    begin = time.monotonic()
    done = get("--max-time", "0.5", "-o", "slow", server.url("/slow"), code=28, cwd=directory)
    check(0.4 < time.monotonic() - begin < 5, f"after {time.monotonic() - begin} s")
    check(b"timed out" in done.stderr, done.stderr)
    check(0 < (directory / "slow").stat().st_size < 100_000, "what came is kept")
    begin = time.monotonic()
    get("--connect-timeout", "0.5", world.url("10.9.0.77", 80), code=28)
    check(0.4 < time.monotonic() - begin < 5, f"after {time.monotonic() - begin} s")
    get("--connect-timeout", "5", server.url("/chunked"))


def on_a_terminal(server, directory):
    """The progress bar is there when stderr is a terminal, and gone at the end."""
    master, terminal = pty.openpty()
    child = world.start(world.RUNNEL, "get", "--link", "tun", "-o", str(directory / "slow"), "--max-time", "2",
                        server.url("/slow"), stderr=terminal, stdout=subprocess.DEVNULL)  # fmt: skip
    os.close(terminal)
    shown = b""
    while child.poll() is None or select.select([master], [], [], 0.2)[0]:
        if select.select([master], [], [], 0.2)[0]:
            try:
                shown += os.read(master, 4096)
            except OSError:
                break
    equal(child.wait(), 28, "exit code")
    check(b"% [" in shown and b" of 97.7 KiB" in shown and b"s left" in shown, f"the bar: {shown}")
    check(b"\r\x1b[Krunnel: " in shown, f"gone before the message: {shown}")
    quiet = get("-o", "/dev/null", server.url("/data"))
    equal(quiet.stderr, b"", "stderr that is no terminal")


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
for test in (several, resumption, redirections, headers, short_bodies, limits, on_a_terminal):
    with world.temporary() as name, Server() as one:
        started = time.monotonic()
        test(one, pathlib.Path(name))
        print(f"ok {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
