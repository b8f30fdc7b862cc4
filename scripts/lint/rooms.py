"""The order of the rooms: DESIGN §3's table, its last column as what a room includes directly; what
those include is allowed too. An arrow the other way, or sideways, is a finding."""

import pathlib
import re

from source import CPP_SUFFIXES, ROOT, line_of, relative, text_of, without_literals

# From the ground up, as in DESIGN §3 and in CMakeLists.txt.
INCLUDES = {
    "base": [],
    "wire": ["base"],
    "observe": ["base", "wire"],
    "ip": ["wire", "observe"],
    "tcp": ["wire", "observe"],
    "udp": ["wire", "observe"],
    "host": ["base", "wire", "observe", "ip", "tcp", "udp"],
    "socket": ["host"],
    "report": ["host"],
    "model": ["base", "wire"],
    "analyse": ["model", "observe", "report"],
    "sim": ["model", "socket", "report"],
    "drill": ["sim", "socket"],
    "lab": ["sim"],
    "link": ["base", "wire"],
    "asio": ["socket", "link"],
    "posix": ["asio"],
    "cli": [
        "base", "wire", "observe", "ip", "tcp", "udp", "host", "socket", "report", "model",
        "analyse", "sim", "drill", "lab", "link", "asio", "posix",
    ],
}  # fmt: skip

# The rooms that do no I/O (law 1); their archives' symbols are read too.
ENGINE = ["base", "wire", "observe", "ip", "tcp", "udp", "host", "socket", "model", "sim", "drill", "lab"]

# Header -> the rooms that may include it; in other rooms it is a finding.
_ABOVE_ASIO = {"asio", "posix", "cli"}
_OUTSIDE_ENGINE = set(INCLUDES) - set(ENGINE)
RESTRICTED = [
    (r"boost/asio|boost/beast", _ABOVE_ASIO, "Asio and Beast stay out of what lies below `asio`"),
    (r"pcap", {"analyse", "cli"}, "libpcap belongs to `analyse`"),
    (r"(iostream|fstream|thread|mutex|condition_variable|future|random|filesystem)>",
     _OUTSIDE_ENGINE, "the engine does no I/O, has no threads and draws no chance (law 1)"),
    (r"(format|print)>", set(), "g++ 12 has no <format> and <print>: use {fmt}"),
]  # fmt: skip

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def allowed(room: str) -> set[str]:
    found = set()
    todo = list(INCLUDES[room])
    while todo:
        below = todo.pop()
        if below not in found:
            found.add(below)
            todo.extend(INCLUDES[below])
    return found


def _findings_of(path: pathlib.Path, room: str, root: pathlib.Path) -> list[str]:
    findings = []
    text = text_of(path)
    code = without_literals(text)
    may = allowed(room) | {room}
    for match in _INCLUDE.finditer(text):
        if code[match.start() : match.start() + 1] != text[match.start() : match.start() + 1]:
            continue  # in a comment
        where = f"{relative(path, root)}:{line_of(text, match.start())}"
        kind, header = match.groups()
        if not re.search(r"#[ \t]*include", code[match.start() : match.end()]):
            continue  # in a comment
        if header.startswith("runnel/"):
            target = header.split("/")[1]
            if target not in INCLUDES:
                findings.append(f"{where}: includes {header}, and there is no room `{target}`")
            elif target not in may:
                findings.append(
                    f"{where}: room `{room}` includes `{target}` ({header}); DESIGN §3 allows it "
                    f"{', '.join(name for name in INCLUDES if name in allowed(room)) or 'none'}"
                )
            continue
        if kind == '"':
            findings.append(f'{where}: write it from the root: "runnel/{room}/..." not "{header}"')
            continue
        for pattern, rooms, why in RESTRICTED:
            if re.match(pattern, header + ">") and room not in rooms:
                findings.append(f"{where}: <{header}> in room `{room}`: {why}")
    return findings


def check(_arguments=None, root: pathlib.Path = ROOT) -> list[str]:
    findings = []
    home = root / "src" / "runnel"
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if not folder.is_dir():
            continue
        if folder.name not in INCLUDES:
            findings.append(f"{relative(folder, root)}: not a room of DESIGN §3")
            continue
        for path in sorted(folder.rglob("*")):
            # .def files are included texts, and include nothing that counts elsewhere.
            if path.suffix in CPP_SUFFIXES + (".def", ".inc"):
                findings += _findings_of(path, folder.name, root)
    return findings
