#!/usr/bin/env python3
"""Each exit code of the manual page, brought about in each command that can have it; --json is JSON wherever it is
offered; --color and NO_COLOR mean what they say."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import _world as world
from _world import check, equal

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time
CAPTURE = pathlib.Path(os.environ["RUNNEL_SOURCE"]) / "tests/data/captures/runnel_serves_kernel.pcapng"
TUN = ("--link", "tun")


def code(wanted, *arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    done = world.runnel(*arguments, text=True, **options)
    equal(done.returncode, wanted, f"exit code of runnel {' '.join(arguments)} ({done.stderr.strip()})")
    if wanted not in (0, 2):
        check(done.stderr.strip(), f"runnel {' '.join(arguments)} says nothing")
    return done


def ok_0():
    for arguments in (["--help"], ["--version"], ["man"], ["doctor"], ["ladder", str(CAPTURE)], ["completion", "bash"],
                      ["get", "--link", "wire", "http://10.9.0.1/"], ["nc", "-z", "--link", "wire", "10.9.0.1", "7"],
                      ["serve", "--link", "wire", "--listen", "80", "."]):  # fmt: skip
        code(0, *arguments)


def failed_1():
    with world.KernelServer(lambda peer: (peer.recv(4096), peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))) as server:
        code(1, "get", *TUN, world.url(world.KERNEL4, server.port))
    with world.KernelServer(lambda peer: (peer.recv(4096), peer.sendall(b"this is not HTTP\r\n\r\n"))) as server:
        code(1, "get", *TUN, world.url(world.KERNEL4, server.port))
    code(1, "get", *TUN, "http://no-such-name.invalid/")
    code(1, "get", "--link", "wire", "-o", "/no/such/directory/file", "http://10.9.0.1/")
    code(1, "nc", *TUN, "no-such-name.invalid", "80")
    code(1, "ladder", "/no/such/file")
    code(1, "nc", "--link", "packet:nosuch0", "--address", "10.9.0.2/24", "10.9.0.1", "7")


def usage_2():
    for arguments in ([], ["get", "--no-such-option"], ["get", "--link", "wire", "ftp://10.9.0.1/"],
                      ["get", "http://10.9.0.1/"], ["nc", "--link", "wire", "10.9.0.1", "0"],
                      ["nc", "-z", "--link", "wire", "10.9.0.1", "9-7"], ["serve", "--listen", "80", "--link", "wire"],
                      ["serve", "--listen", "80", "--link", "wire", "/no/such/directory"],
                      ["serve", "--listen", "99999", "--link", "wire", "."], ["ladder", str(CAPTURE), "nonsense"],
                      ["serve", "-q", "-v", "--listen", "80", "--link", "wire", "."], ["completion", "tcsh"],
                      ["get", "--link", "wire", "--max-time", "0", "http://10.9.0.1/"], ["doctor", "--color", "red"],
                      ["get", "--link", "wire", "--set", "tcp_sack=maybe", "http://10.9.0.1/"]):  # fmt: skip
        equal(code(2, *arguments).stdout, "", f"stdout of {arguments}")


def refused_7():
    code(7, "get", *TUN, world.url(world.KERNEL4, 9))
    code(7, "nc", *TUN, world.KERNEL6, "9")
    code(7, "nc", "-z", *TUN, world.KERNEL4, "9")


def http_error_22():
    code(22, "get", "--link", "wire", "http://10.9.0.1/missing")
    code(22, "get", "-I", "--link", "wire", "http://10.9.0.1/missing")


def timed_out_28():
    code(28, "get", "--connect-timeout", "0.3", *TUN, "http://10.9.0.77/")
    code(28, "nc", "-W", "1", *TUN, "10.9.0.77", "80")
    with world.KernelServer(lambda peer: time.sleep(4)) as server:
        code(28, "get", "--max-time", "0.3", *TUN, world.url(world.KERNEL4, server.port))
        code(28, "get", "--idle", "1", *TUN, world.url(world.KERNEL4, server.port))


def reset_56():
    def serve(peer):
        peer.recv(4096)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    with world.KernelServer(serve) as server:
        code(56, "get", *TUN, world.url(world.KERNEL4, server.port))
        code(56, "nc", *TUN, world.KERNEL4, str(server.port), stdin=None, input="x")


def no_permission_77():
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return print("   left out: only root can become somebody without any capability")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
              "--inh-caps=-all", "--ambient-caps=-all", world.RUNNEL]  # fmt: skip
    for arguments in (["get", *TUN, "http://10.9.0.1/"], ["nc", *TUN, "10.9.0.1", "7"],
                      ["get", "--link", "packet:lo", "--address", "10.9.0.2/24", "http://10.9.0.1/"],
                      ["serve", *TUN, "--listen", "80", "."]):  # fmt: skip
        done = subprocess.run([*nobody, *arguments], capture_output=True, text=True, timeout=60, cwd="/")
        equal(done.returncode, 77, f"exit code of {arguments} ({done.stderr.strip()})")
        check(done.stderr.startswith("runnel: "), f"{arguments} says {done.stderr!r}")


def signals():
    child = world.start(world.RUNNEL, "nc", "-l", *TUN, "9000", stderr=subprocess.PIPE, text=True)
    child.stderr.readline()
    child.send_signal(signal.SIGTERM)
    equal(child.wait(world.PATIENCE), 128 + signal.SIGTERM, "exit code after SIGTERM")


def json_output():
    told = json.loads(code(0, "get", "--json", "-o", "/dev/null", "--link", "wire", "http://10.9.0.1/").stdout)
    equal((told["status"], told["file"], told["redirects"]), (200, "/dev/null", 0), "get --json")
    for line in code(0, "ladder", "--json", str(CAPTURE)).stdout.splitlines():
        check("flags" in json.loads(line), f"ladder --json: {line}")
    told = json.loads(code(0, "doctor", "--json").stdout)
    check({"version", "findings", "links"} <= set(told), f"doctor --json: {told}")
    equal(json.loads(code(0, "nc", "-z", "--json", "--link", "wire", "10.9.0.1", "7").stdout)["open"], True, "nc -z")
    told = json.loads(code(0, "demo", "--json", "--link", "wire", "--size", "1", "-w", "/dev/null").stdout)
    check(told, "demo --json")


def colors():
    escape = re.compile("\x1b")
    with_no_color = {**os.environ, "NO_COLOR": "1"}
    for command in (["ladder", str(CAPTURE)], ["doctor"]):
        check(not escape.search(code(0, *command).stdout), f"{command} colours a pipe")
        check(escape.search(code(0, *command, "--color", "always").stdout), f"{command} --color always")
        check(not escape.search(code(0, *command, "--color", "never").stdout), f"{command} --color never")
        check(escape.search(code(0, *command, "--color", "always", env=with_no_color).stdout), f"{command} always wins")
        for environment, wanted in ((os.environ, True), (with_no_color, False)):
            shown = on_terminal(command, {**environment, "TERM": "xterm"})
            equal(b"\x1b[" in shown, wanted, f"colours of {command} on a terminal, NO_COLOR {not wanted}")


def on_terminal(command, environment):
    master, terminal = os.openpty()
    child = world.start(world.RUNNEL, *command, stdout=terminal, stderr=subprocess.DEVNULL, env=environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    child.wait(world.PATIENCE)
    return shown


world.enter()
if not world.tun_opens():
    world.skip("no access to /dev/net/tun")
world.main(ok_0, failed_1, usage_2, refused_7, http_error_22, timed_out_28, reset_56, no_permission_77, signals,
           json_output, colors)  # fmt: skip
