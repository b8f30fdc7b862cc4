"""A private network for one interop test: the kernel's TCP on one side, runnel on the other. A test calls
`enter()` first; it then runs in a network namespace of its own, which goes with its last process."""

import atexit
import ctypes
import hashlib
import http.server
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

RUNNEL = os.environ.get("RUNNEL", "")
KERNEL4, RUNNEL4 = "10.9.0.1", "10.9.0.2"
KERNEL6, RUNNEL6 = "fd09::1", "fd09::2"
LINKS = ("tun", "tap", "packet")
FAMILIES = (4, 6)
PATIENCE = 60  # seconds that anything may take before it counts as hung

_children = []


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def fail(message):
    raise AssertionError(message)


def check(condition, message):
    if not condition:
        fail(message)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")


def need(program):
    if shutil.which(program) is None:
        skip(f"{program} is not installed")


def enter():
    """Goes on in a new network namespace; exits 77 where that is not permitted."""
    if not os.access(RUNNEL, os.X_OK):
        skip("RUNNEL does not name the program")
    if os.environ.get("RUNNEL_INSIDE") != "1":
        need("unshare")
        flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
        tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            skip(f"no network namespaces here: {tried.stderr.strip()}")
        os.environ["RUNNEL_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
    need("ip")
    run("ip", "link", "set", "lo", "up")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    atexit.register(_end_children)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _end_children():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()


def run(*command, **options):
    """A command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)
    if done.returncode != 0:
        fail(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def start(*command, **options):
    child = subprocess.Popen(command, preexec_fn=_die_with_parent, **options)
    _children.append(child)
    return child


def tun_opens():
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
        return True
    except OSError:
        return False


def links():
    """Those of LINKS that this machine permits; what is left out is said."""
    found = []
    for link in LINKS:
        if link != "packet" and not tun_opens():
            print(f"left out: {link} (no access to /dev/net/tun)")
        else:
            found.append(link)
    return found


def prepare(link):
    """Makes what runnel does not make itself, and returns its options for that link."""
    addresses = ["--address", f"{RUNNEL4}/24", "--address", f"{RUNNEL6}/64"]
    if link != "packet":
        return ["--link", link, *addresses]
    if not pathlib.Path("/sys/class/net/veth0").exists() and "veth0" not in run("ip", "-o", "link"):
        run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        run("ip", "link", "set", "veth1", "addrgenmode", "none")
        run("ip", "addr", "add", f"{KERNEL4}/24", "dev", "veth0")
        run("ip", "-6", "addr", "add", f"{KERNEL6}/64", "dev", "veth0", "nodad")
        run("ip", "link", "set", "veth0", "up")
        run("ip", "link", "set", "veth1", "up")
    return ["--link", "packet:veth1", *addresses]


def runnel_address(family):
    return RUNNEL4 if family == 4 else RUNNEL6


def kernel_address(family):
    return KERNEL4 if family == 4 else KERNEL6


def url(host, port, path="/"):
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}{path}"


def runnel(*arguments, timeout=PATIENCE, **options):
    """Runs it to its end; the caller looks at the exit code."""
    options.setdefault("capture_output", True)
    return subprocess.run([RUNNEL, *arguments], timeout=timeout, **options)


class Serving:
    """`runnel serve` (or `nc -l`) until the end of a `with`; ready when it says that it listens."""

    def __init__(self, *arguments, command="serve", listeners=1, **options):
        options.setdefault("stdout", subprocess.PIPE)
        self.child = start(RUNNEL, command, *arguments, stderr=subprocess.PIPE, text=True, **options)
        self.messages = []
        seen = 0
        while seen < listeners:
            line = self.child.stderr.readline()
            if not line:
                fail(f"runnel {command} did not start: {''.join(self.messages)}")
            self.messages.append(line)
            seen += line.startswith("listening on")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stderr:
            self.messages.append(line)

    def wait(self):
        code = self.child.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def stop(self):
        """As Ctrl-C; its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class KernelServer:
    """A kernel socket that listens in both families and hands each connection to `serve(connection)`."""

    def __init__(self, serve):
        self.socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.socket.getsockname()[1]
        self.errors = []
        self.serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        try:
            with connection:
                self.serve(connection)
        except OSError as error:
            self.errors.append(error)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class FileServer:
    """Python's own HTTP server over a directory, in both families."""

    def __init__(self, directory):
        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=directory)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
            daemon_threads = True

        self.server = Server(("::", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Nginx:
    """nginx over a directory, in both families."""

    def __init__(self, directory, state):
        self.port = 8001
        config = pathlib.Path(state) / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(
            f"daemon off; master_process off; worker_processes 1; pid {state}/pid; error_log {state}/error;\n"
            f"{user} events {{}}\n"
            f"http {{ access_log off; sendfile on; client_body_temp_path {state}/body;\n"
            f"  proxy_temp_path {state}/p; fastcgi_temp_path {state}/f; uwsgi_temp_path {state}/u;\n"
            f"  scgi_temp_path {state}/s;\n"
            f"  server {{ listen {self.port}; listen [::]:{self.port}; root {directory}; }} }}\n"
        )
        self.child = start("nginx", "-e", f"{state}/error", "-c", str(config))
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                check(self.child.poll() is None and time.monotonic() < deadline, "nginx does not start")
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def make_file(path, size):
    """Bytes without a pattern, the same in every run; their SHA-256."""
    digest = hashlib.sha256()
    block = hashlib.shake_256(b"runnel").digest(1 << 20)
    with open(path, "wb") as file:
        left, number = size, 0
        while left > 0:
            piece = number.to_bytes(8, "big") + block[8:]
            piece = piece[:left]
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
            number += 1
    return digest.hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def counters():
    """The kernel's TCP counters of this namespace (/proc/net/snmp, netstat)."""
    values = {}
    for name in ("snmp", "netstat"):
        lines = pathlib.Path(f"/proc/net/{name}").read_text().splitlines()
        for keys, numbers in zip(lines[::2], lines[1::2]):
            prefix = keys.split(":")[0]
            for key, number in zip(keys.split()[1:], numbers.split()[1:]):
                values[prefix + key] = int(number)
    return values


class NoResets:
    """Within it no connection of the kernel's was reset, by either side. One RST of the kernel's is no sign of that:
    where this machine stalls, the kernel's tail loss probe repeats its FIN; the ACK of the first closes its socket,
    and that of the second, which TIME-WAIT owes, finds nobody."""

    NAMES = ("TcpOutRsts", "TcpEstabResets", "TcpAttemptFails", "TcpInErrs", "TcpExtTCPAbortOnData",
             "TcpExtTCPAbortOnClose", "TcpExtTCPAbortOnTimeout")  # fmt: skip

    def __enter__(self):
        self.before = counters()

    def __exit__(self, kind, *_):
        if kind is None:
            after = counters()
            news = {name: after.get(name, 0) - self.before.get(name, 0) for name in (*self.NAMES, "TcpRetransSegs")}
            if 0 < news["TcpOutRsts"] <= news["TcpRetransSegs"]:
                news["TcpOutRsts"] = 0
            changed = {name: value - self.before.get(name, 0) for name, value in after.items()
                       if name.startswith("Tcp") and value != self.before.get(name, 0)}  # fmt: skip
            for name in self.NAMES:
                equal(news[name], 0, f"{name} (all that changed: {changed})")


STATES = ("", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
          "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING")  # fmt: skip


def kernel_states():
    """The states of the kernel's TCP sockets here, listeners left out."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            state = STATES[int(line.split()[3], 16)]
            if state != "LISTEN":
                found.append(state)
    return found


def closed_cleanly():
    """Waits until the kernel's connections have all ended (TIME-WAIT is an end)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [state for state in kernel_states() if state != "TIME-WAIT"]
        if not left:
            return
        time.sleep(0.05)
    fail(f"connections that did not close: {left}")


def segments(capture):
    """The segments of a capture, as `runnel ladder --json` tells them."""
    done = runnel("ladder", "--json", str(capture), text=True)
    equal(done.returncode, 0, f"runnel ladder {capture}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def temporary():
    return tempfile.TemporaryDirectory(prefix="runnel-interop-")


def main(*tests):
    """Runs functions, each a test with its name printed."""
    for test in tests:
        begin = time.monotonic()
        test()
        print(f"ok {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
