#!/usr/bin/env python3
# runnel-test: timeout=400 labels=long serial
"""100,000 connections opened and closed in a row, from the kernel to `runnel serve` over TUN, half of them closed by
Runnel first (its TIME-WAIT, RFC 9293 §3.6.1) and half by the kernel. After 2 MSL all is as it was: the memory too."""

import json
import os
import socket
import tempfile
import threading
import time

import _world as world

CONNECTIONS = int(os.environ.get("RUNNEL_CONNECTIONS", "100000"))
WORKERS = 16
ADDRESSES = [f"10.9.0.{n}" for n in range(2, 10)]
KERNEL_ADDRESSES = [f"10.9.0.{n}" for n in range(100, 108)]
PORT = 80
BODY = b"hello, world\n"


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def gauges(pid):
    """What its pools and tables hold now (`runnel stat`); what only ever grows is left out."""
    rows = json.loads(world.runnel("stat", "--json", "--zeros", "--pid", str(pid), text=True).stdout)
    return {row["name"]: row["value"] for row in rows if row["kind"] == "gauge" and not row["counter"]}


def one(local, remote, server_closes):
    with socket.socket() as client:
        client.settimeout(world.PATIENCE)
        client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        client.bind((local, 0))
        client.connect((remote, PORT))
        version = b"1.0" if server_closes else b"1.1"
        client.sendall(b"GET /hello HTTP/" + version + b"\r\nHost: x\r\n\r\n")
        got = b""
        while piece := client.recv(4096):
            got += piece
            if not server_closes and got.endswith(BODY):
                break
        world.check(got.startswith(b"HTTP/1.") and b" 200 " in got[:20] and got.endswith(BODY), f"answer {got!r}")


def rush(count):
    """Every second one ends in a TIME-WAIT of Runnel's, the others in one of the kernel's."""
    errors = []

    def work(worker):
        try:
            for i in range(worker, count, WORKERS):
                one(KERNEL_ADDRESSES[i // 16 % 8], ADDRESSES[i // 2 % 8], i // 128 % 2 == 0)
        except Exception as error:  # told below, from the main thread
            errors.append(f"connection {i}: {error!r}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.check(not errors, f"{len(errors)} workers failed: {errors[:3]}")


def main():
    world.enter()
    options = world.prepare("tun")[:2]
    for address in ADDRESSES:
        options += ["--address", f"{address}/24"]
    root = tempfile.TemporaryDirectory()
    with open(f"{root.name}/hello", "wb") as file:
        file.write(BODY)
    listen = [text for address in ADDRESSES for text in ("--listen", f"{address}:{PORT}")]
    with world.Serving(root.name, *listen, "-q", *options, listeners=len(ADDRESSES)) as serving:
        for address in KERNEL_ADDRESSES:
            world.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        pid = serving.child.pid
        rush(500)
        time.sleep(3)
        world.check(gauges(pid)["tcp_time_wait"] > 0, "no TIME-WAIT is counted")
        before, held = resident(pid), gauges(pid)
        began = time.monotonic()
        rush(CONNECTIONS)
        seconds = time.monotonic() - began
        at_once = resident(pid)
        time.sleep(65)
        after = resident(pid)
        world.equal(gauges(pid), held | {"tcp_time_wait": 0}, "pools and tables after 2 MSL, and before")
        print(f"{CONNECTIONS} connections in {seconds:.1f} s; resident {before >> 10} KiB before, "
              f"{at_once >> 10} right after, {after >> 10} after 2 MSL: drift {(after - before) >> 10} KiB")
        world.equal(serving.stop(), 0, "exit code")
        world.check(after - before < 1 << 20, "memory grew by more than 1 MiB")


main()
