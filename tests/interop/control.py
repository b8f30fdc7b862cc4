#!/usr/bin/env python3
"""The control socket and `runnel ss` of running processes: states, queues, filters, several processes, and
everything that can be wrong with a socket: another user's, a dead one's, one that lies or falls silent."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import _world as world
from _world import RUNNEL4, RUNNEL6, check, equal, runnel

DIRECTORY = pathlib.Path(tempfile.mkdtemp(prefix="runnel-control-"))
NOBODY = 65534


def ss(*arguments, code=0, notes=None):
    done = runnel("ss", *arguments, text=True)
    equal(done.returncode, code, f"runnel ss {' '.join(arguments)}: {done.stderr}")
    if notes is not None:
        check(notes in done.stderr, f"{notes!r} is not in {done.stderr!r}")
    return done.stdout


def rows(*arguments, **options):
    return json.loads(ss("--json", *arguments, **options))


def eventually(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.02)


def serving(*arguments, link="tun", address=f"{RUNNEL4}/24", listen="7"):
    return world.Serving("--link", link, "--address", address, "--address", f"{RUNNEL6}/64", "--listen", listen,
                         "-q", *arguments, listeners=2)  # fmt: skip


def ask(path, request, patience=10):
    """What a client of its own gets: the lines, parsed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(patience)
        client.connect(str(path))
        client.sendall(request)
        text = b""
        while piece := client.recv(65536):
            text += piece
    return [json.loads(line) for line in text.splitlines()]


def only_socket():
    names = list(DIRECTORY.glob("*.sock"))
    equal(len(names), 1, f"sockets: {names}")
    return names[0]


def connections_as_ss_shows_them():
    with serving("--echo") as server:
        equal(only_socket().name, f"{server.child.pid}.sock", "the socket's name")
        equal(os.stat(DIRECTORY).st_mode & 0o777, 0o700, "the directory's mode")
        with socket.create_connection((RUNNEL4, 7)) as four, socket.create_connection((RUNNEL6, 7)) as six:
            for client in (four, six):
                client.sendall(b"x" * 1000)
                check(client.recv(2000), "no echo")
            table = ss("-tna").splitlines()
            equal(table[0].split()[:3], ["State", "Recv-Q", "Send-Q"], "header")
            equal([line.split()[0] for line in table[1:]], ["LISTEN", "LISTEN", "ESTABLISHED", "ESTABLISHED"], "states")
            mine = four.getsockname()[1]
            found = rows("-n", f"dport = :{mine}")
            equal(len(found), 1, "by port")
            row = found[0]
            equal((row["pid"], row["command"], row["state"]), (server.child.pid, "serve", "ESTABLISHED"), "row")
            equal((row["local"], row["remote"]), (f"{RUNNEL4}:7", f"10.9.0.1:{mine}"), "ends")
            equal((row["bytes_received"], row["bytes_acked"]), (1000, 1000), "bytes")
            equal(row["plan"], "tcp_hold_nothing_to_send", "plan")
            equal(len(rows("-4")), 1, "IPv4 only")
            equal(len(rows("-6")), 1, "IPv6 only")
            equal(len(rows("-l")), 2, "listeners")
            equal(len(rows("-a", "(", "dst", "fd09::/64", "or", "state", "listen", ")")), 3, "or")
            line = [text for text in ss("-tnpo", "-H").splitlines() if f":{mine}" in text][0]
            check(f'users:(("runnel serve",pid={server.child.pid}))' in line, line)
            info = ss("-tnie", f"dport = :{mine}")
            for word in ("wscale:", "rto:", "rtt:", "cwnd:", "bytes_acked:1000", "segs_out:", "handle:", "mem:(r0,",
                         "limited-by:application"):  # fmt: skip
                check(word in info, f"{word} is not in {info}")
        # The peer closed first, so nothing stays here.
        eventually(lambda: not rows("exclude", "listen"), "connections that stay")
        ss("state", "bogus", code=2, notes='there is no state "bogus"')
    eventually(lambda: server.child.poll() is not None, "it runs on")


def queues_and_time_wait():
    with serving("--discard") as server:
        os.kill(server.child.pid, signal.SIGCONT)
    with tempfile.TemporaryDirectory() as directory:
        world.make_file(f"{directory}/big", 8 << 20)
        with world.Serving(directory, "--link", "tun", "--address", f"{RUNNEL4}/24", "--listen", "80", "-q") as server:
            with socket.create_connection((RUNNEL4, 80)) as client:
                client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
                # The client doesn't read: its window closes, the server's queue fills.
                eventually(lambda: any(row["limited_by"] == "receive window" for row in rows()), "never blocked")
                eventually(lambda: rows()[0]["timer"] == "persist", "no persist timer")
                row = rows()[0]
                check(row["send_queue"] > 0 and row["unsent"] > 0, f"queues: {row}")
                check("timer:(persist," in ss("-o"), "-o")
            with socket.create_connection((RUNNEL4, 80)) as client:
                client.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                while client.recv(65536):
                    pass
            eventually(lambda: len(rows("state", "time-wait")) == 1, "no TIME-WAIT")
            check("timer:(time-wait," in ss("-ao"), "TIME-WAIT's timer")
            equal(server.stop(), 0, "exit code")
    check(not list(DIRECTORY.glob("*")), f"left: {list(DIRECTORY.glob('*'))}")


def several_processes():
    with serving("--echo") as one, serving("--echo", link="tun:other", address="10.8.0.2/24", listen="9") as two:
        pids = {row["pid"] for row in rows("-l")}
        equal(pids, {one.child.pid, two.child.pid}, "processes")
        equal({row["pid"] for row in rows("-l", "--pid", str(two.child.pid))}, {two.child.pid}, "--pid")
        ss("--pid", "1", code=1, notes="process 1 is no running runnel process")
        # Killed, it leaves its socket, which the next one who looks removes.
        stale = DIRECTORY / f"{two.child.pid}.sock"
        two.child.kill()
        two.child.wait()
        check(stale.exists(), "SIGKILL removed a file")
        equal({row["pid"] for row in rows("-l")}, {one.child.pid}, "after a kill")
        check(not stale.exists(), "the stale socket stays")
        # And so does the next one who starts.
        with serving("--echo", link="tun:other", address="10.8.0.2/24", listen="9") as three:
            three.child.kill()
            three.child.wait()
            check((DIRECTORY / f"{three.child.pid}.sock").exists(), "SIGKILL removed a file")
        with serving("--echo", link="tun:other", address="10.8.0.2/24", listen="9"):
            check(not (DIRECTORY / f"{three.child.pid}.sock").exists(), "the stale socket stays")
        with serving("--echo", "--no-control", link="tun:o", address="10.7.0.2/24", listen="9") as hidden:
            check(hidden.child.pid not in {row["pid"] for row in rows("-l")}, "--no-control is seen")
    equal(rows(notes="no running runnel process"), [], "nobody")


def on_the_wire_both_ends_are_seen():
    done = world.start(world.RUNNEL, "nc", "--link", "wire", "10.9.0.1", "7", stdin=subprocess.PIPE)
    try:
        eventually(lambda: len(rows("state", "established")) == 2, "not both ends")
        equal(sorted(row["host"] for row in rows("state", "established")), ["far end", "runnel"], "hosts")
        check('host="far end"' in ss("-p"), "host in -p")
    finally:
        done.terminate()
        done.wait(world.PATIENCE)


class Liar(threading.Thread):
    """A socket of ours that is no runnel: it says `text` and then closes, or stays open."""

    def __init__(self, text, close=True):
        super().__init__(daemon=True)
        # The number of a process that lives, so that nobody takes the socket for a dead one's.
        self.path = DIRECTORY / f"{os.getpid()}.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.text, self.close, self.taken = text, close, []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.recv(4096)
            client.sendall(self.text)
            if self.close:
                client.close()
            else:
                self.taken.append(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink(missing_ok=True)


HEADER = b'{"runnel":1,"pid":1,"command":"liar","unix_epoch_ns":0,"hosts":["x"]}\n'
ROW = b'{"connection":{"host":"x","state":"ESTABLISHED","local":"1.2.3.4:5","remote":"6.7.8.9:10","handle":"1"}}\n'


def a_process_that_breaks_off_or_lies():
    with serving("--echo"):
        for text, note in ((HEADER + ROW, "in the middle of its answer"), (HEADER + ROW[:-20], "in the middle"),
                           (b"", "it ended"), (b"\x1b[2J\n", "makes no sense"), (b"[1]\n", "makes no sense"),
                           (HEADER + b"x" * 100000, "makes no sense"), (b'{"error":"no \\u001b[2J"}\n', "no  [2J"),
                           (HEADER + b'{"connection":[]}\n{"connection":{"state":7,"local":[]}}\n', "in the middle")):  # fmt: skip
            with Liar(text):
                table = ss("-tna", code=1, notes=note)
                check("\x1b" not in table, "an escape sequence")
                check("LISTEN" in table, f"the honest one is missing: {table}")
        with Liar(HEADER + ROW + b'{"end":{"connections":1}}\n'):
            check("1.2.3.4:5" in ss("-tn"), "a row")
        begin = time.monotonic()
        with Liar(HEADER, close=False):
            check("LISTEN" in ss("-tna", code=1, notes="does not answer"), "the honest one is missing")
        check(time.monotonic() - begin < 20, "it waits too long")


def killed_in_the_middle():
    with serving("--echo") as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(only_socket()))
            client.sendall(b"runnel/1 trace\n")
            check(client.recv(4096).startswith(b'{"runnel":1'), "header")
            server.child.kill()
            while client.recv(4096):
                pass


def requests_are_bounded():
    with serving("--echo") as server:
        path = only_socket()
        lines = ask(path, b"runnel/1 connections state listen\n")
        equal((lines[0]["runnel"], lines[0]["pid"], lines[0]["command"]), (1, server.child.pid, "serve"), "header")
        equal(lines[-1], {"end": {"connections": 2}}, "end")
        equal(ask(path, b"runnel/1 hello\r\n")[-1], {"end": {"lines": 0}}, "hello")
        for bad in (b"\n", b"runnel/2 hello\n", b"hello\n", b"runnel/1\n", b"runnel/1 counters some\n",
                    b"runnel/1 why x :80\n", b"runnel/1 why 5\n", b"runnel/1 trace bogus\n", b"runnel/1 \xff\xfe\x00\n",
                    b"runnel/1 connections " + b"( " * 1000 + b"\n", b"x" * 5000 + b"\n"):  # fmt: skip
            equal(list(ask(path, bad)[0]), ["error"], f"{bad[:40]}")
        ask(path, b"runnel/1 connections state listen\nand more")  # what follows the line is ignored
        # Silent clients hold their places, and no more of them; the server serves on.
        silent = []
        for _ in range(24):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            silent.append(client)
        ss(code=1, notes="16 others are asking already")
        with socket.create_connection((RUNNEL4, 7)) as echo:
            echo.sendall(b"still here")
            equal(echo.recv(100), b"still here", "echo")
        for client in silent:
            client.close()
        eventually(lambda: runnel("ss").returncode == 0, "places are not given back")


def as_nobody(*command, **options):
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command],
                          capture_output=True, text=True, timeout=world.PATIENCE, **options)  # fmt: skip


def other_users_are_refused():
    if os.geteuid() != 0 or shutil.which("setpriv") is None or as_nobody("true").returncode != 0:
        print("left out: other users (not root, or no setpriv)")
        return
    # The refusal may come before the question has been put.
    ask_it = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
              "s.send(b'runnel/1 connections\\n', socket.MSG_NOSIGNAL) if len(sys.argv) > 2 else 0;"
              "print(s.recv(65536))")  # fmt: skip
    with serving("--echo"):
        path = only_socket()
        done = as_nobody("python3", "-c", ask_it, str(path))
        check("PermissionError" in done.stderr, f"another user comes in: {done}")
        os.chmod(path, 0o777)
        os.chmod(DIRECTORY, 0o755)  # the door is open: the guard behind it asks who comes
        done = as_nobody("python3", "-c", ask_it, str(path))
        check("only the user" in done.stdout and "LISTEN" not in done.stdout, f"another user is answered: {done}")
        done = runnel("ss", text=True)
        check("is open to others" in done.stderr, f"an open directory is trusted: {done.stderr}")
        os.chmod(DIRECTORY, 0o700)
    # A directory that somebody else has put there is not used; the server works without.
    with tempfile.TemporaryDirectory() as theirs:
        os.chmod(theirs, 0o700)
        os.chown(theirs, NOBODY, NOBODY)
        os.environ["RUNNEL_CONTROL_DIR"] = theirs
        try:
            with serving("--echo") as server, socket.create_connection((RUNNEL4, 7)) as echo:
                echo.sendall(b"x")
                equal(echo.recv(9), b"x", "echo")
            check(any("belongs to somebody else" in line for line in server.messages), f"{server.messages}")
            equal(os.listdir(theirs), [], "files in another's directory")
        finally:
            os.environ["RUNNEL_CONTROL_DIR"] = str(DIRECTORY)
    # Nor is a symbolic link.
    with tempfile.TemporaryDirectory() as place:
        os.symlink(DIRECTORY, f"{place}/link")
        os.environ["RUNNEL_CONTROL_DIR"] = f"{place}/link"
        try:
            with serving("--echo") as server:
                pass
            check(any("can't open" in line for line in server.messages), f"{server.messages}")
        finally:
            os.environ["RUNNEL_CONTROL_DIR"] = str(DIRECTORY)


if __name__ == "__main__":
    world.enter()
    if not world.tun_opens():
        world.skip("no access to /dev/net/tun")
    os.environ["RUNNEL_CONTROL_DIR"] = str(DIRECTORY)
    try:
        world.main(
            connections_as_ss_shows_them, queues_and_time_wait, several_processes, on_the_wire_both_ends_are_seen,
            a_process_that_breaks_off_or_lies, killed_in_the_middle, requests_are_bounded, other_users_are_refused,
        )  # fmt: skip
    finally:
        shutil.rmtree(DIRECTORY)
    sys.exit(0)
