"""Law 1, read from the archives: the engine's undefined symbols (`nm -C -u`) name no clock, socket,
file, thread, chance or printing. C functions are allowed by name; of C++'s library the rest is
allowed, and what does I/O is forbidden by name. {fmt} (to strings) is for `report` and later."""

import pathlib
import re

import rooms
from source import ROOT, run

# C's functions, and the compilers' own, that neither see nor touch the world.
ALLOWED_C = re.compile(
    r"""mem(cpy|move|set|cmp|chr|rchr|mem)|__mem(cpy|move|set)_chk|bcmp
      | str(len|nlen|cmp|ncmp|chr|rchr|str|pbrk|spn|cspn)
      | malloc|free|calloc|realloc|aligned_alloc|posix_memalign
      | abort|__assert_fail
      | (div|udiv|mod|umod|mul)[sdt]i[34]|__(u?div|u?mod|mul)[sdt]i[34]|__udivmodti4|__clz\w*|__ctz\w*|__popcount\w*
      | (sqrt|cbrt|pow|exp|exp2|log|log2|log10|floor|ceil|round|lround|fmod|ldexp|frexp|trunc)[fl]?
      | isnan|isinf|__isnan|__isinf
      | _?_?cpu_(indicator_)?(model|init|features2)|__cpu_model|__cpu_indicator_init|__cpu_features2
      | _GLOBAL_OFFSET_TABLE_|_DYNAMIC|__dso_handle|__TMC_END__
      | __stack_chk_fail|__tls_get_addr|__cxa_\w+|_Unwind_\w+|__gxx_personality_v0|__gcc_personality_v0
      | __dynamic_cast
      | __(asan|ubsan|tsan|gcov|llvm|sanitizer)_\w+
    """,
    re.VERBOSE,
)

# C++'s library: what does touch the world.
FORBIDDEN_CXX = [
    (r"std::chrono::.*(::now\(|clock)", "reads a clock"),
    (r"std::random_device|std::shuffle|std::rand", "draws chance"),
    (r"std::(thread|jthread|this_thread|mutex|recursive_mutex|condition_variable|__future_base|"
     r"call_once|__once|counting_semaphore|__condvar|__atomic_futex)", "uses threads"),
    (r"std::(cout|cerr|clog|cin|wcout|wcerr|ios_base::Init)", "prints"),
    (r"std::(basic_)?(filebuf|ifstream|ofstream|fstream)|std::__basic_file|std::filesystem", "uses files"),
    (r"std::(locale|use_facet|has_facet)|std::.*_facet<", "depends on the locale"),
    (r"fmt::.*\b(v?print|vprint_mojibake|output_redirect|file|ostream)\b", "prints"),
    (r"(boost::asio|boost::beast|boost::filesystem|pcap_)", "does I/O"),
]  # fmt: skip
_FMT_ROOMS = {"sim", "drill", "lab"}  # above `report`, so {fmt} to strings is theirs

# C functions by what they do, for a finding that explains itself.
WHY_C = [
    (r"clock_\w+|gettimeofday|time|localtime\w*|gmtime\w*|mktime|nanosleep|usleep|sleep", "reads a clock"),
    (r"socket|connect|accept4?|bind|listen|send\w*|recv\w*|shutdown|[gs]etsockopt|poll|select|epoll_\w+",
     "uses a socket"),
    (r"f?open(64|at)?|close|f?read|f?write|readv|writev|ioctl|fcntl(64)?|lseek|stat|unlink|mmap(64)?|munmap",
     "uses files"),
    (r"pthread_\w+|thrd_\w+|mtx_\w+|sem_\w+", "uses threads"),
    (r"s?rand(48|om)?\w*|getrandom|getentropy|arc4random\w*", "draws chance"),
    (r"(v|f|s|sn|vsn|vf|vs|d)?printf|__\w*printf_chk|f?puts|f?putc|putchar|perror|std(out|err|in)", "prints"),
    (r"getenv|setlocale|localeconv|strto\w+|isalpha|isdigit|isspace|toupper|tolower|__ctype\w+",
     "depends on the environment or the locale"),
    (r"__errno_location", "reads errno"),
]  # fmt: skip


def forbidden(symbol: str, room: str) -> str | None:
    """Why the engine may not use this demangled symbol, or None when it may."""
    name = symbol.split("@")[0]
    if re.fullmatch(r"[\w.]+", name):
        if ALLOWED_C.fullmatch(name):
            return None
        for pattern, why in WHY_C:
            if re.fullmatch(pattern, name):
                return why
        return "is no function the engine is known to need (scripts/lint/symbols.py, ALLOWED_C)"
    # What stands before the first parenthesis is the name itself; arguments may mention anything.
    for pattern, why in FORBIDDEN_CXX:
        if re.search(pattern, name):
            return why
    if re.match(r"(\w+ )*fmt::", name) and room not in _FMT_ROOMS:
        return "formats with {fmt}, which is for `report` and later"
    return None


def _symbols(archive: pathlib.Path, *options: str) -> list[tuple[str, str]]:
    """(member, demangled symbol) of an archive."""
    found, member = [], ""
    for line in run(["nm", "-C", *options, str(archive)]).stdout.splitlines():
        if line.endswith(".o:"):
            member = line[:-3]
            continue
        match = re.match(r"\s*[0-9a-f]*\s+([A-Za-z?-]) (.+)$", line)
        if match:
            found.append((member, match[2]))
    return found


def check_archives(archives: dict[str, pathlib.Path]) -> list[str]:
    """The findings of these rooms' archives, and a complaint about an empty set."""
    ours = set()
    for archive in archives.values():
        ours.update(symbol for _, symbol in _symbols(archive, "--defined-only"))
    findings = []
    for room, archive in archives.items():
        for member, symbol in _symbols(archive, "-u"):
            # `runnel::` is checked where it is defined.
            if symbol in ours or re.match(r"(\w+ (for|to) )*runnel::", symbol):
                continue
            why = forbidden(symbol, room)
            if why:
                findings.append(f"{archive.name}({member}): {symbol} {why}: law 1 forbids it here")
    return sorted(set(findings))


def check(_arguments=None) -> list[str]:
    archives = {}
    directory = ROOT / "build" / "release"
    for room in rooms.ENGINE:
        archive = directory / f"librunnel_{room}.a"
        sources = list((ROOT / "src" / "runnel" / room).rglob("*.cpp"))
        if not sources:
            continue
        if not archive.exists():
            return [f"{archive.name} was not built, so its symbols cannot be read"]
        archives[room] = archive
    return check_archives(archives)
