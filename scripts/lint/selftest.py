"""A defect planted for each check, which the check must catch, and its innocent neighbour, which it must
leave alone (DESIGN §9.8)."""

import pathlib
import tempfile

import coroutines
import rooms
import sizes
import symbols
from source import run, without_literals

FORBIDDEN_CODE = {
    "clock_gettime": "#include <ctime>\nlong f() { timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec; }",
    "time": "#include <ctime>\nlong f() { return time(nullptr); }",
    "now()": "#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }",
    "socket": "#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }",
    "fopen": "#include <cstdio>\nvoid* f() { return fopen(\"x\", \"r\"); }",
    "write": "#include <unistd.h>\nlong f() { return write(1, \"\", 0); }",
    "thread": "#include <thread>\nvoid f() { std::thread([] {}).join(); }",
    "rand": "#include <cstdlib>\nint f() { return rand(); }",
    "random_device": "#include <random>\nunsigned f() { return std::random_device{}(); }",
    "printf": "#include <cstdio>\nvoid f(int x) { printf(\"%d\", x); }",
    "cout": "#include <iostream>\nvoid f(int x) { std::cout << x; }",
    "fmt": "#include <fmt/format.h>\nstd::string f(double x) { return fmt::format(\"{}\", x); }",
    "snprintf": "#include <cstdio>\nint f(char* s, int x) { return snprintf(s, 9, \"%d\", x); }",
}
ALLOWED_CODE = """
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>
std::string f(std::vector<int> v, const char* s, double d) {
    std::sort(v.begin(), v.end());
    std::map<int, std::string> m; m[v.at(0)] = s; std::unordered_map<std::string, int> u; u[s] = 1;
    char b[32]; auto end = std::to_chars(b, b + 32, std::lround(std::sqrt(d) * std::pow(d, 3)));
    return m[1] + std::to_string(v.size()) + std::string(b, end.ptr) + std::string(std::strlen(s), 'x');
}
"""


def _symbols() -> list[str]:
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)

        def archive(name: str, code: str) -> pathlib.Path:
            source = directory / "planted.cpp"
            source.write_text(code)
            made = directory / f"librunnel_{name}.a"
            compiled = run(["g++", "-std=c++23", "-O2", "-c", str(source), "-o", str(directory / "planted.o")])
            if compiled.returncode:
                findings.append(f"selftest: the planted code does not compile: {compiled.stderr}")
            run(["ar", "rcs", str(made), str(directory / "planted.o")])
            return made

        for what, code in FORBIDDEN_CODE.items():
            made = archive("tcp", code)
            if not symbols.check_archives({"tcp": made}):
                findings.append(f"selftest: symbols does not see {what} in an archive")
            made.unlink()
        for found in symbols.check_archives({"tcp": archive("tcp", ALLOWED_CODE)}):
            findings.append(f"selftest: symbols complains of innocent code: {found}")
    return findings


def _rooms() -> list[str]:
    cases = [
        ("tcp", '#include "runnel/ip/route.hpp"', True),
        ("tcp", '#include "runnel/host/host.hpp"', True),
        ("ip", '#include "runnel/tcp/tcb.hpp"', True),
        ("host", '#include "runnel/socket/socket.hpp"', True),
        ("link", '#include "runnel/observe/ring.hpp"', True),
        ("tcp", '#include "seq.hpp"', True),
        ("tcp", '#include "runnel/nowhere/x.hpp"', True),
        ("report", "#include <boost/asio.hpp>", True),
        ("base", "#include <random>", True),
        ("tcp", '#include "runnel/base/time.hpp"\n#include "runnel/tcp/tcb.hpp"', False),
        ("host", '#include "runnel/tcp/tcb.hpp"', False),
        ("sim", '#include "runnel/host/host.hpp"\n#include "runnel/report/ladder.hpp"', False),
        ("asio", "#include <boost/asio.hpp>\n#include <thread>", False),
        ("tcp", '// #include "runnel/ip/route.hpp"\n/*\n#include "runnel/ip/x.hpp"\n*/', False),
    ]
    findings = []
    for room, code, caught in cases:
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder) / "src" / "runnel" / room
            home.mkdir(parents=True)
            (home / "planted.hpp").write_text(code + "\n")
            if bool(rooms.check(root=pathlib.Path(folder))) != caught:
                findings.append(f"selftest: rooms: {room} with {code!r} should {'' if caught else 'not '}be found")
    return findings


SIZED = """
#define MACRO(x) { \\
    x
namespace a::b { struct S : T<int> {
    S(int x, int y) : x_(x), y_{y}, z_{1,
        2} { call(); }
    template <class T> requires(sizeof(T) > 1)
    [[nodiscard]] auto get() const noexcept(true) -> T<int> { return {1}; }
    bool operator==(const S&) const = default;
    bool operator()(int x) { return x == '{'; }
    int table[2] = {1, 2};
    enum class E { a, b };
    std::array<int, 2> q{1, 2};
 private:
    int v_ = 3;
};
constexpr auto k = [] { return 1; }();
const char* s = "}{";  // }
int digits = 1'000'000;
extern "C" { int cfun(int a) { if (a) { return 1; } return 2; } }
template <typename T>
    requires std::integral<T>
T tee(T a,
      T b) {
    auto f = [&](int x) { return x; };
    switch (a) { case 1: { break; } }
    return f(b);
}
TEST(Suite, name) { EXPECT_EQ(1, 1); }
struct R make() { return {}; }
S::S() : x_{0}, y_(1) { go(); }
}  // namespace
"""
SIZED_NAMES = ["S", "get", "operator()", "cfun", "tee", "Suite.name", "make", "S"]


def _sizes() -> list[str]:
    findings = []
    found = sizes.functions(SIZED)
    if [name for name, _, _ in found] != SIZED_NAMES:
        findings.append(f"selftest: sizes finds the functions {found}, not {SIZED_NAMES}")
    if [length for name, _, length in found if name == "tee"] != [8]:
        findings.append(f"selftest: sizes measures `tee` wrongly: {found}")
    for lines, caught in ((68, False), (69, True)):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder) / "src"
            home.mkdir()
            (home / "planted.cpp").write_text("int f() {\n" + "    x();\n" * lines + "}\n")
            if bool(sizes.check(root=pathlib.Path(folder))) != caught:
                findings.append(f"selftest: sizes: a function of {lines + 2} lines")
            (home / "planted.cpp").write_text("int x;\n" * (lines + 532))
            if bool(sizes.check(root=pathlib.Path(folder))) != caught:
                findings.append(f"selftest: sizes: a file of {lines + 532} lines")
    return findings


COROUTINES = [
    ("auto x = a ? co_await f() : g();", True),
    ("bool x = a && co_await f();", True),
    ("if (a || co_await f()) { b(); }", True),
    ("g(co_await f(), std::string(\"x\"));", True),
    ("g(make(1), co_await f());", True),
    ("g(\"text\", co_await f());", True),
    ("auto n = h(T{1}, k(co_await f()));", True),
    ("auto x = co_await f(a, b);", False),
    ("auto&& x = co_await f(a, std::string(\"x\"));", False),
    ("if (auto x = co_await f(); !x) { y = a && b; }", False),
    ("if (a && b) { co_await f(); }", False),
    ("if (a && b) co_await f();", False),
    ("use(co_await f());", False),
    ("g(a, co_await f(), 3);", False),
    ("x = a ? b : c; co_await f(); y = a && b;", False),
    ("for (;;) { auto n = co_await f(buffer(data), token); if (n || m) { return; } }", False),
    ("co_return co_await f();", False),
    ("auto x = co_await f(a ? b : c, d && e);", False),
    ("auto x = g(a) ? h(co_await f()) : 0;", True),
    ("if ((co_await f()).ok && b) { c(); }", True),
    ("// a ? co_await f() : b", False),
    ("co_spawn(io, [&]() -> task { co_await f(); }, detached());", False),
    ("co_spawn(io, run(a ? b : c), [](int x) { if (x && y) { z(); } });", False),
]


def _coroutines() -> list[str]:
    findings = []
    for code, caught in COROUTINES:
        found = coroutines.findings_in("task f() {\n    " + code + "\n}\n")
        if bool(found) != caught:
            findings.append(f"selftest: coroutines: {code!r} should {'' if caught else 'not '}be found")
    return findings


def _literals() -> list[str]:
    text = "a = \"// {\"; /* \" */ b = 'x'; c = 1'000; d = R\"(\n\"{)\"; // '\ne = '\\'';\n"
    code = without_literals(text)
    if len(code) != len(text) or "{" in code or "b =" not in code or "e =" not in code or "1'000" not in code:
        return [f"selftest: without_literals turns {text!r} into {code!r}"]
    return []


def check(_arguments=None) -> list[str]:
    return _literals() + _rooms() + _sizes() + _coroutines() + _symbols()
