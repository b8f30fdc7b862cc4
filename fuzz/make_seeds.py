#!/usr/bin/env python3
"""Writes seeds of the fuzz targets to FOLDER/<target>/seed-*: one good example of everything a target
understands. fuzz/corpus holds the most telling of them and of what fuzzing has learnt since, as chosen by
fuzz/minimise.py."""

import pathlib
import struct
import sys

PEER4, HOST4 = bytes([10, 0, 0, 9]), bytes([10, 0, 0, 1])
PEER6 = bytes.fromhex("fd00" + "00" * 13 + "09")
HOST6 = bytes.fromhex("fd00" + "00" * 13 + "01")
ALL_NODES = bytes.fromhex("ff02" + "00" * 13 + "01")
ROUTER = bytes.fromhex("fe80" + "00" * 13 + "09")
PEER_MAC, HOST_MAC = bytes.fromhex("020000000009"), bytes.fromhex("020000000001")
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
TCP, UDP, ICMP4, ICMP6 = 6, 17, 1, 58
CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP4: 2, ICMP6: 2}


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def seal(src: bytes, dst: bytes, protocol: int, body: bytes) -> bytes:
    """The transport with its checksum."""
    at = CHECKSUM_AT.get(protocol)
    if at is None:
        return body
    pseudo = b"" if protocol == ICMP4 else src + dst + struct.pack(">II", protocol, len(body))
    body = body[:at] + b"\0\0" + body[at + 2 :]
    return body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2 :]


def ip4(protocol, body, src=PEER4, dst=HOST4, fragment=0x4000, options=b"", whole=None):
    body = body if whole is False else seal(src, dst, protocol, body)
    length = 20 + len(options)
    head = struct.pack(">BBHHHBBH", 0x40 | length // 4, 0, length + len(body), 7, fragment, 64, protocol, 0)
    head += src + dst + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def ip6(protocol, body, src=PEER6, dst=HOST6, hops=64, chain=b"", first=None):
    body = chain + (seal(src, dst, protocol, body) if protocol in CHECKSUM_AT else body)
    return struct.pack(">IHBB", 6 << 28, len(body), first or protocol, hops) + src + dst + body


def tcp(flags, seq=0, ack=0, data=b"", options=b"", source=5000, port=80, window=65535, urgent=0):
    options += b"\1" * (-len(options) % 4)
    head = struct.pack(">HHIIHHHH", source, port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       (5 + len(options) // 4) << 12 | flags, window, 0, urgent)
    return head + options + data


def udp(data=b"hello", source=5000, port=53):
    return struct.pack(">HHHH", source, port, 8 + len(data), 0) + data


def icmp(kind, code, rest, body=b""):
    return struct.pack(">BBHI", kind, code, 0, rest) + body


SYN_OPTIONS = bytes.fromhex("020405b40402080a00000001000000000103030a")
STAMP = bytes.fromhex("0101080a0000000200000001")
SACK = bytes.fromhex("0101051200000001000000100000002000000030")
QUOTED4 = ip4(TCP, tcp(ACK, source=80, port=5000), HOST4, PEER4)
QUOTED6 = ip6(TCP, tcp(ACK, source=80, port=5000), HOST6, PEER6)
SOURCE_MAC, TARGET_MAC = b"\1\1" + PEER_MAC, b"\2\1" + PEER_MAC
PREFIX = struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + HOST6[:8] + bytes(8)

TRANSPORTS = {
    "syn": tcp(SYN, options=SYN_OPTIONS, source=6000),
    "syn-closed": tcp(SYN, options=SYN_OPTIONS, port=81),
    "syn-data": tcp(SYN, options=SYN_OPTIONS, source=6001, data=b"early"),
    "ack-nobody": tcp(ACK, 5, 5, source=6002),
    "rst": tcp(RST, 1, 0, source=6002),
}
LIVE = {
    "data": tcp(ACK | PSH, data=b"GET / HTTP/1.0\r\n\r\n"),
    "data-timestamps": tcp(ACK | PSH, data=b"x" * 30, options=STAMP),
    "out-of-order": tcp(ACK, 100, data=b"later"),
    "sack": tcp(ACK, options=SACK),
    "urgent": tcp(ACK | URG, data=b"abcdef", urgent=3),
    "fin": tcp(ACK | FIN, data=b"bye"),
    "reset": tcp(RST),
    "zero-window": tcp(ACK, window=0),
    "syn-again": tcp(SYN | ACK, options=SYN_OPTIONS),
}
FRAGMENT_FIELD = struct.pack(">BBHI", UDP, 0, 1, 77)
CHAINS = {
    "hop-by-hop": (0, bytes([UDP, 0, 1, 4, 0, 0, 0, 0])),
    "destination": (60, bytes([UDP, 0, 5, 2, 0, 0, 1, 0])),
    "unknown-option": (60, bytes([UDP, 0, 0xC5, 2, 0, 0, 1, 0])),
    "routing": (43, bytes([UDP, 0, 0, 1, 0, 0, 0, 0])),
    "fragment": (44, FRAGMENT_FIELD),
    "three": (0, bytes([60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 4, 0, 0, 0, 0, 0])),
}
NEIGHBORS = {
    "router-solicitation": (icmp(133, 0, 0, SOURCE_MAC), ROUTER, ALL_NODES),
    "router-advertisement": (icmp(134, 0, 0x40000708, bytes(8) + SOURCE_MAC + b"\5\1\0\0\0\0\5\x78" + PREFIX),
                             ROUTER, ALL_NODES),
    "neighbor-solicitation": (icmp(135, 0, 0, HOST6 + SOURCE_MAC), PEER6, HOST6),
    "neighbor-advertisement": (icmp(136, 0, 0x60000000, PEER6 + TARGET_MAC), PEER6, HOST6),
    "redirect": (icmp(137, 0, 0, PEER6 + PEER6 + TARGET_MAC), ROUTER, HOST6),
    "duplicate": (icmp(135, 0, 0, HOST6), bytes(16), bytes.fromhex("ff02" + "00" * 9 + "01ff000001")),
}


def packets():
    """name -> bare IP packet"""
    found = {}
    for name, body in TRANSPORTS.items():
        found[name + "-4"] = ip4(TCP, body)
        found[name + "-6"] = ip6(TCP, body)
    found["land"] = ip4(TCP, tcp(SYN, source=80), HOST4, HOST4)
    found["syn-broadcast"] = ip4(TCP, TRANSPORTS["syn"], dst=bytes([10, 0, 0, 255]))
    found["udp-4"], found["udp-6"] = ip4(UDP, udp()), ip6(UDP, udp())
    found["udp-closed-4"], found["udp-closed-6"] = ip4(UDP, udp(port=54)), ip6(UDP, udp(port=54))
    found["echo-4"] = ip4(ICMP4, icmp(8, 0, 0x12340001, b"abcdefgh"))
    found["echo-6"] = ip6(ICMP6, icmp(128, 0, 0x12340001, b"abcdefgh"))
    found["unreachable-4"] = ip4(ICMP4, icmp(3, 3, 0, QUOTED4))
    found["too-big-4"] = ip4(ICMP4, icmp(3, 4, 600, QUOTED4))
    found["unreachable-6"] = ip6(ICMP6, icmp(1, 4, 0, QUOTED6))
    found["too-big-6"] = ip6(ICMP6, icmp(2, 0, 1280, QUOTED6))
    datagram = seal(PEER4, HOST4, UDP, udp(b"f" * 56))
    found["fragment-a-4"] = ip4(UDP, datagram[:32], fragment=0x2000, whole=False)
    found["fragment-b-4"] = ip4(UDP, datagram[32:], fragment=4, whole=False)
    found["options-4"] = ip4(UDP, udp(), options=bytes([7, 7, 4, 0, 0, 0, 0, 1]))
    found["source-route-4"] = ip4(UDP, udp(), options=bytes([131, 7, 4, 10, 0, 0, 2, 0]))
    found["protocol-4"], found["protocol-6"] = ip4(99, b"what"), ip6(99, b"what")
    for name, (first, chain) in CHAINS.items():
        found[name + "-6"] = ip6(UDP, udp(b"f" * 16), chain=chain, first=first)
    for name, (body, src, dst) in NEIGHBORS.items():
        found[name] = ip6(ICMP6, body, src, dst, hops=255)
    return found


def ethernet(packet: bytes, tag=b"") -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return HOST_MAC + PEER_MAC + tag + kind + packet


def arp(operation=1) -> bytes:
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + PEER_MAC + PEER4 + bytes(6) + HOST4
    return HOST_MAC + PEER_MAC + b"\x08\x06" + body


def step(frame: bytes, options=0) -> bytes:
    return bytes([options]) + (bytes(4) if options & 32 else b"") + struct.pack("<H", len(frame)) + frame


LIVE_BIT, SPLIT, OFFLOAD = 8, 16, 32
ETHERNET, CHECKSUM_OFFLOAD, SEGMENTATION, SMALL, CAPTURE, SCARCE = 1, 2, 4, 8, 16, 32


def host_seeds():
    plain = list(packets().items())
    live4 = {name: ip4(TCP, body) for name, body in LIVE.items()}
    live6 = {name: ip6(TCP, body) for name, body in LIVE.items()}
    wait, timeout = bytes([4, 100]), bytes([4, 0x81])
    for at in range(0, len(plain), 6):
        some = [frame for _, frame in plain[at : at + 6]]
        yield f"raw-{at:02}", bytes([0]) + b"".join(step(f) for f in some) + wait
        yield f"ethernet-{at:02}", bytes([ETHERNET]) + b"".join(step(ethernet(f)) for f in some) + timeout
    yield "arp", bytes([ETHERNET]) + step(arp()) + step(arp(2)) + step(ethernet(packets()["echo-4"], b"\x81\0\0\1"))
    for setup, name, live in ((0, "4", live4), (SMALL | CAPTURE, "6", live6)):
        for which, frame in live.items():
            yield f"live-{which}-{name}", bytes([setup]) + step(frame, LIVE_BIT) + bytes([5, 2, 5, 3]) + wait
    yield "split", bytes([SCARCE]) + step(live4["data"], LIVE_BIT | SPLIT) + bytes([6, 0, 5, 4])
    yield "send-all", bytes([CHECKSUM_OFFLOAD | SEGMENTATION]) + bytes([5, 2, 5, 18, 4, 0x83]) + step(live4["sack"], 8)
    yield "send-software", bytes([ETHERNET]) + bytes([5, 2, 5, 18, 5, 8, 5, 9, 4, 0x83])
    yield "offload", bytes([CHECKSUM_OFFLOAD]) + step(live4["data"], LIVE_BIT | OFFLOAD) + bytes([7, 9])
    yield "connect", bytes([0, 5, 11, 5, 12, 4, 0x87, 5, 5, 5, 6, 5, 0x16, 7, 20])


def wire_seeds():
    for name, body in {**TRANSPORTS, **LIVE}.items():
        yield f"tcp-{name}", b"\0" + body
    for name, packet in packets().items():
        yield f"{'ipv4' if packet[0] >> 4 == 4 else 'ipv6'}-{name}", bytes([1 if packet[0] >> 4 == 4 else 2]) + packet
    yield "icmpv4", b"\3" + icmp(3, 3, 0, QUOTED4)
    for name, (body, _, _) in NEIGHBORS.items():
        yield f"icmpv6-{name}", b"\4" + body
    yield "arp", b"\5" + arp()[14:]
    yield "udp", b"\6" + udp()
    yield "ethernet", b"\7" + ethernet(packets()["udp-4"], b"\x88\xa8\0\1\x81\0\0\2")
    yield "virtio", b"\x08" + struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16)
    yield "quoted-4", b"\t" + QUOTED4
    yield "quoted-6", b"\t" + QUOTED6


ADDRESSES = ["10.9.0.2", "255.255.255.255", "::", "::1", "fd00::1", "1:2:3:4:5:6:7:8", "fe80::1:0:0:1",
             "::ffff:1.2.3.4", "1::8", "10.0.0.0/8", "fd00::/64", "::/0", "0.0.0.0/0", "2001:db8::a.b.c.d"]  # fmt: skip
SETTINGS = ["\0tcp_syn_retries=3\ntcp_timestamps=0\nmsl_ms=0", "\1net.ipv4.tcp_rmem=4096 87380 6291456\ntcp_wmem=4096",
            "\2tcp_rto_min_us=1\ntcp_rto_max_ms=1000\ninitial_rto_ms=1", "\0ip_local_port_range=1024-2000",
            "\0tcp_congestion_control=fixed\ntcp_init_cwnd=1000", "\0delayed_ack_min_ms=499\ndelayed_ack_max_ms=1",
            "\0tcp_retries2=255\nuser_timeout_ms=2147483647\ntcp_keepalive_time=1", "\0max_connections=1\ntcp_sack=0",
            "\1tcp_orphan_retries=0\ntcp_fin_timeout=0\ntcp_tw_reuse=0", "\0tcp_min_snd_mss=65535\nquick_acks=0"]  # fmt: skip


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def conversation():
    back4 = lambda body: ip4(TCP, body, HOST4, PEER4)  # noqa: E731
    return [
        ip4(TCP, tcp(SYN, 100, 0, options=SYN_OPTIONS)),
        back4(tcp(SYN | ACK, 900, 101, options=SYN_OPTIONS, source=80, port=5000)),
        ip4(TCP, tcp(ACK, 101, 901, options=STAMP)),
        ip4(TCP, tcp(ACK | PSH, 101, 901, data=b"hello", options=STAMP)),
        back4(tcp(ACK, 901, 106, options=STAMP + SACK, source=80, port=5000)),
        ip4(ICMP4, icmp(3, 4, 600, QUOTED4)),
        ip4(TCP, tcp(FIN | ACK, 106, 901, options=STAMP)),
        back4(tcp(RST, 901, 0, source=80, port=5000)),
    ]


def capture_seeds():
    frames = conversation()
    for order, name in (("<", "little"), (">", "big")):
        section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + option(4, b"seed", order), order)
        interface = block(1, struct.pack(order + "HHI", 101, 0, 0) + option(2, b"tun0", order) +
                          option(9, b"\x09", order) + option(0, b"", order), order)
        data = section + interface
        for i, frame in enumerate(frames):
            body = struct.pack(order + "IIIII", 0, 0, i * 1000, len(frame), len(frame)) + frame
            body += bytes(-len(frame) % 4) + option(1, b"sent: a reason", order) + option(2, b"\1\0\0\0", order)
            data += block(6, body, order)
        data += block(3, struct.pack(order + "I", len(frames[0])) + frames[0], order)
        yield f"pcapng-{name}", data
        pcap = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        for i, frame in enumerate(frames):
            frame = ethernet(frame)
            pcap += struct.pack(order + "IIII", 1, i, len(frame), len(frame)) + frame
        yield f"pcap-{name}", pcap
    written = b"".join(bytes([2 | (i % 3) << 3]) + struct.pack("<HB", i * 50, len(f)) + f for i, f in enumerate(frames))
    yield "written", b"w" + written
    links = {4: b"", 0: b"\2\0\0\0", 5: b"\0\0\0\2", 7: bytes(14) + b"\x08\0", 9: b"\x08\0" + bytes(18)}
    for link, head in links.items():
        data = b"".join(bytes([link]) + struct.pack("<HB", 9, len(head + f)) + head + f for f in frames[:6])
        yield f"link-{link}", b"p" + data
    far = bytes([4 | 0x40]) + struct.pack("<qB", -(1 << 63), len(frames[0])) + frames[0]
    far += bytes([4 | 0x40]) + struct.pack("<qB", (1 << 63) - 1, len(frames[1])) + frames[1]
    yield "far-apart", b"p" + far


def analyse_seeds():
    """Captures, and talks of eight bytes a segment as fuzz/analyse.cpp reads them."""
    yield from ((name, data) for name, data in capture_seeds() if name.startswith("pcap"))
    ack, psh, syn, syn_ack, fin, rst, rst_ack, none = range(8)

    def say(end, flags, payload=0, options=0, off=0, window=200, stamp=1, time=20, extra=0):
        return struct.pack("<BBBBBBH", end | flags << 1 | extra, options, payload, off, window, stamp, time)

    for stamps, kind in ((0, ""), (1, "-stamps")):
        o = dict(options=stamps)
        opened = say(0, syn, options=0x2A | stamps) + say(1, syn_ack, options=0x2A | stamps) + say(0, ack, **o)
        data = say(0, psh, 100, **o) + say(1, ack, **o)
        close = say(0, fin, **o) + say(1, ack, **o) + say(1, fin, **o) + say(0, ack, **o)
        middle = {
            "clean": b"",
            "resent": say(0, ack, 100, off=5, time=9000, **o) + say(0, ack, 100, off=5, time=1, extra=0x20, **o),
            "beyond": say(0, ack, 200, off=7, **o) + say(1, ack, off=7 << 3, **o) + say(1, ack, off=5 << 3, **o),
            "lost": say(0, ack, 200, off=6, **o) + say(1, ack, options=4 | stamps) * 4 + say(0, ack, 100, off=0x80, **o),
            "closed": say(1, ack, window=0, **o) + say(0, ack, off=3, time=9000, **o) + say(1, ack, window=0, **o) +
            say(1, ack, **o),
            "options": say(0, ack, options=2, off=0x80) + say(1, ack, options=4) + say(0, none, 5, extra=0xC0),
            "resets": say(1, rst, off=6) + say(0, ack, **o) + say(1, syn, off=6) + say(0, rst) + say(1, rst_ack),
            "fins": say(0, fin, **o) + say(0, fin, 50, off=6, **o) + say(0, ack, 50, **o) + say(1, ack, time=60000, **o),
        }  # fmt: skip
        for name, program in middle.items():
            yield name + kind, b"t" + opened + data + program + close


def stateful_seeds():
    """Programs in the letters of fuzz/stateful.cpp: what follows a letter are its arguments."""
    opening = bytes([0])
    for name, program in {
        "nobody": b"n\2R\0\0\0\0A\0\0\0\0X\0\0\0\0\0\0F\0\0\0\5S\0\0\x80\0U\0\0\0\1\1X\x14\0\0\0\0\0",
        "listener-strays": b"R\0\0\0\0A\0\0\0\0F\0\0\0\0B\0\0\0\0S\0\0\x80\0",
        "time-wait": b"cB\0\0\0\0hA\0\0\0\0F\0\0\0\0R\0\0\0\0F\x41\0\0\0S\0\0\0\0S\x20\0\1\0\7A\0\0\0\0",
        "open-passive": b"S\0\0\0\0A\0\0\0\0a",
        "open-active": b"cB\0\0\0\0w\x20t",
        "transfer": b"cB\0\0\0\0D\0\0\0\x40r\x40w\xffA\0\0\0\0ttt",
        "timestamps-sack": b"cB\0\0\1\0\7w\xffA\0\1\5\0\0\0\x20\x30w\xffttt",
        "out-of-order": b"cB\0\0\0\0D\4\0\0\x20D\0\0\0\x40r\xff",
        "close": b"cB\0\0\0\0w\x20hA\0\0\0\0F\0\0\0\0ttt",
        "peer-closes": b"cB\0\0\0\0F\0\0\0\x10r\xffkA\0\0\0\0t",
        "abort": b"cB\0\0\0\0w\xffxo\x12c",
        "simultaneous-open": b"cS\0\0\0\0A\0\0\0\0w\x10",
        "simultaneous-close": b"cB\0\0\0\0hF\0\1\0\0A\0\0\0\0t",
        "reset": b"cB\0\0\0\0w\x10R\0\0\0\0e",
        "zero-window": b"cB\0\0\0\0w\xffA\0\0\x08\0tttA\0\0\0\0Y",
        "listener": b"S\0\0\0\0A\0\0\0\0an\1S\0\0\0\0n\2S\0\0\0\0A\0\0\0\0atttttt",
        "urgent": b"cB\0\0\0\0U\0\0\0\x10\5r\xffw\x0aw\x15t",
        "icmp": b"cB\0\0\0\0w\xffi\x7e\0w\xffi\1\0e",
        "challenge": b"cB\0\0\0\0R\3\0\0\0S\0\0\0\0A\0\xa0\0\0D\x43\0\0\x10X\xff\1\0\0\0\0",
    }.items():
        yield name, opening + program


def http_seeds():
    paths = [b"/", b"/a/b%20c/?json", b"/%2e%2e/x", b"/a//b", b"http://host/a%00", b"*", b"/%c3%a4<'>&"]
    ranges = [b"bytes=0-499", b"bytes=-5,0-1,7-", b"bytes=9999999999999999999999-", b"bytes 42-1233/1234", b"bytes */7"]
    dates = [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"]
    conditions = [b'"16f0-2a"\nW/"x", "16f0-2a"\nSun, 06 Nov 1994 08:49:37 GMT\n' + dates[1],
                  b'*\ntext/html;q=0.8, application/json;q=0.9\n\n']  # fmt: skip
    urls = [b"http://[fd00::1]:8080/a?b", b"../g?y/../x", b"//host:1/x", b"10.9.0.1:80", b"?y", b"mailto:x"]
    kinds = [b"\0", b"\1" + struct.pack("<Q", 10_000), b"\2", b"\3", b"\4"]
    for kind, texts in zip(kinds, (paths, ranges, dates, conditions, urls)):
        for number, text in enumerate(texts):
            yield f"{kind[0]}{number}", kind + text


SCRIPT = """// A passive open, data, and the close.
--tolerance_usecs=10000 --mtu=1400
`../common/defaults.sh; sysctl -q net.ipv4.tcp_sack=0`
0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("0.0.0.0")}, ...) = 0
+0 listen(3, 1) = 0
+0.1 < S 0:0(0) win 1000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > [ect0, ttl 64] S. 0:0(0) ack 1 <...>
+.1~+.2 > SEW 0:0(0) ack 1 <mss 1460,TS val * ecr 7,FO 0102,md5,ECN e0b 1 ceb 0 e1b 1,opt 253 0a0b>
* < 5000 > 80 FP. 1:1001(1000) ack 1 win 257 urg 5 <sack 1:2 3:4,eol>
"""
CALLS = """0...0.5 recvmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 1000}, {..., 0x10}], msg_flags=MSG_TRUNC,
  msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=10}]}, -1) = -1 EAGAIN (Try (again))
+0 f("a\\n\\x41\\0", 'c', 017, -(5), -EINTR, &x, (A|B)|C, 1.5, [], {}, inet_pton(AF_INET6, "::1", &a)) = ?
+0 < [1:1461(1460)] icmp unreachable frag_needed mtu 1200 id 7
+0 < udp (1000)
+0 > ipv4 1.1.1.1 > 2.2.2.2: gre: S 0:0(0)
+0 %{ assert tcpi_snd_cwnd == 10, "cwnd %d" % tcpi_snd_cwnd }%
/* two
lines */ +0 `nstat -n && sleep 0.5`
"""
CODE = """a = 5; a += 2 ** 3 // 2
if a == 9 and not tcpi_rtt < 3 <= 7:
    print "x", a & ~1, abs(-1.5), min(1, 2) if a else None
elif a in (1, 2): pass
else:
    assert tcpi_options & TCPI_OPT_SACK | 1 << 3, 'no' + str(a)
"""
DEFINES = """#define MSS 1000
--define=WIN=MSS
-D FAST
#ifdef FAST
0 < S 0:0(0) win WIN <mss MSS>
#else
0 close(3) = 0
#endif
#ifndef FAST
oops
#endif
"""


def drill_seeds():
    yield from (("script", SCRIPT.encode()), ("calls", CALLS.encode()), ("code", CODE.encode()),
                ("defines", DEFINES.encode()))  # fmt: skip
    shell = "sysctl -qw a.b=1 c/d = 2; echo -n \"1 2\" > /proc/sys/net/x 2>&1 && ip route add x initcwnd 9 mtu lock 5\n"
    yield "shell", (shell + "tc qdisc add dev t root fq limit 5 # x\nsleep 1.5m; if true; then x; fi").encode()


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: fuzz/make_seeds.py FOLDER   (FOLDER/<target>/seed-* are written)")
    targets = {"host": host_seeds(), "wire": wire_seeds(), "capture_reader": capture_seeds(),
               "analyse": analyse_seeds(),
               "stateful": stateful_seeds(), "http": http_seeds(), "drill": drill_seeds(),
               "address": ((f"{i:02}", text.encode()) for i, text in enumerate(ADDRESSES)),
               "config": ((f"{i:02}", text.encode()) for i, text in enumerate(SETTINGS))}  # fmt: skip
    for target, seeds in targets.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        for name, data in seeds:
            assert len(data) < 2048, (target, name, len(data))
            (folder / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    main()
