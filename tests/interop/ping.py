#!/usr/bin/env python3
"""The kernel pings Runnel: IPv4 and IPv6, small packets and such that come in fragments, over each link."""

import os
import socket
import struct
import time

import _world as world
from _world import check, equal

SIZES = (0, 56, 1400, 4000, 20000)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(family, size, number):
    """One echo; the time to its reply in seconds."""
    payload = os.urandom(size)
    identifier = os.getpid() & 0xFFFF
    request, reply = (8, 0) if family == 4 else (128, 129)
    header = struct.pack("!BBHHH", request, 0, 0, identifier, number)
    if family == 4:
        header = struct.pack("!BBHHH", request, 0, checksum(header + payload), identifier, number)
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    else:
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.getprotobyname("ipv6-icmp"))
    with raw:
        raw.settimeout(5)
        begin = time.monotonic()
        raw.sendto(header + payload, (world.runnel_address(family), 0))
        while True:
            packet, _ = raw.recvfrom(65536)
            message = packet[(packet[0] & 15) * 4 :] if family == 4 else packet
            kind, code, _, got_identifier, got_number = struct.unpack("!BBHHH", message[:8])
            if (kind, got_identifier, got_number) == (reply, identifier, number):
                equal(code, 0, "code")
                check(message[8:] == payload, f"IPv{family}, {size} bytes: the payload came back changed")
                return time.monotonic() - begin


def main():
    world.enter()
    number = 0
    for link in world.links():
        with world.Serving(*world.prepare(link), "--listen", "7", "--echo", listeners=2):
            for family in world.FAMILIES:
                for size in SIZES:
                    number += 1
                    ping(family, size, number)
                print(f"ok IPv{family} over {link}", flush=True)


main()
