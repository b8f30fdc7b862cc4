#!/usr/bin/env python3
# runnel-test: timeout=300
"""scripts/mutate itself: what it changes and what it leaves alone, that a seed gives the same mutants each
time, that the list of planted defects fits the sources, that the four outcomes are told apart, and that
nothing is left behind when it is killed."""
import itertools
import signal
import subprocess
import time
import unittest

import _mutate
from mutation import operators, planted, random_mutants
from mutation.scratch import Failure, Scratch
from mutation.trial import Bench

SOURCE = """// a comment: if (a < b) return 1 + 2;
#include <vector>
static_assert(sizeof(int) == 4 && 1 < 2);
enum class Colour { red = 1, green };
struct Part { bool flag : 1 = true; std::vector<int> list; };
/* true && false */
bool less(int a, int b) {
    RUNNEL_CHECK(a >= 0);
    const char* text = "x == y";
    if (int d = b - a; d > 10) {
        note(a);
        return true;
    }
    return a < b && !text;
}
"""


def mutants_of(text: str) -> list[operators.Mutant]:
    return operators.mutants("x.cpp", text, {"Colour": [["red", "green"]]})


class Operators(unittest.TestCase):
    def setUp(self):
        self.changed = {(m.line, SOURCE[m.start : m.end], m.new.strip()) for m in mutants_of(SOURCE)}

    def test_what_is_changed(self):
        for wanted in [
            (14, "<", "<="), (14, "<", ">="), (14, "&&", "||"), (14, "!", ""), (12, "true", "false"), (5, "true", "false"),
            (10, "-", "+"), (10, ">", ">="), (10, "10", "11"), (10, "10", "9"), (10, "d > 10", "!(d > 10)"),
            (10, "d > 10", "false"), (10, "d > 10", "true"), (11, "note(a);", ";"), (7, "", "return true;"),
            (14, "a < b && !text", "!(a < b && !text)"),
        ]:  # fmt: skip
            self.assertIn(wanted, self.changed)

    def test_what_is_left_alone(self):
        lines = {line for line, _, _ in self.changed}
        self.assertEqual(lines, {5, 7, 10, 11, 12, 14})
        self.assertNotIn((5, "1", "2"), self.changed)  # the width of a bit-field

    def test_enumerators_and_lines(self):
        text = "int f(Colour c) {\n    return c ==\n        Colour::red;\n}\n"
        found = mutants_of(text)
        self.assertIn("return c ==\n        Colour::green;", "".join(m.apply(text) for m in found))
        for mutant in found:
            self.assertEqual(mutant.apply(text).count("\n"), text.count("\n"), mutant.name)


class Seeds(unittest.TestCase):
    def test_a_seed_says_it_all(self):
        room = random_mutants.Room(_mutate.ROOT)
        self.assertGreater(room.count(), 5000)
        first, again, other = (
            [m.name for m in itertools.islice(room.stream(seed), 60)] for seed in (7, 7, 8)
        )
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual(len(set(first)), 60)


class Planted(unittest.TestCase):
    def test_the_list_fits_the_sources(self):
        self.assertGreaterEqual(len(planted.load(_mutate.ROOT)), 40)
        self.assertIsNone(planted.stale(_mutate.ROOT))

    def test_blanks_do_not_matter_and_words_do(self):
        edit = ("seq64.hpp", "struct   Seq64{", "class Seq64 {")
        good = planted.Defect("x", "", "", [edit])
        self.assertIn("class Seq64 {", good.files(_mutate.ROOT)["src/runnel/tcp/seq64.hpp"])
        for old in ("struct Seq65 {", "value"):
            with self.assertRaises(Failure):
                planted.Defect("x", "", "", [("seq64.hpp", old, "")]).files(_mutate.ROOT)
        with self.assertRaises(Failure):
            planted.Defect("x", "", "", [("gone.hpp", "a", "")]).files(_mutate.ROOT)


class Trials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _mutate.need_plain_build()
        cls.scratch = Scratch(_mutate.ROOT, _mutate.BUILD, ("unit_tcp",))
        cls.bench = Bench(cls.scratch)
        cls.file = "src/runnel/tcp/open/isn.cpp"
        cls.text = (_mutate.ROOT / cls.file).read_text()

    @classmethod
    def tearDownClass(cls):
        path = cls.scratch.path
        cls.scratch.close()
        assert not path.exists()

    def outcome(self, old: str, new: str) -> str:
        self.assertEqual(self.text.count(old), 1)
        return self.bench.trial("selftest", {self.file: self.text.replace(old, new)}).status

    def test_the_four_outcomes(self):
        self.assertEqual(self.outcome("4'000", "2'000"), "killed")
        self.assertEqual(self.outcome("4'000", "4'000 + 0"), "equivalent")
        self.assertEqual(self.outcome("4'000", "4'000 +"), "invalid")
        # More code, but none that a test could tell.
        self.assertEqual(self.outcome("const auto clock", "static volatile int n; n = n + 1;\n    const auto clock"),
                         "survived")  # fmt: skip

    def test_a_hang_is_a_kill(self):
        bench = Bench(self.scratch)
        bench.limit = lambda _program: 1
        changed = self.text.replace("const auto clock", "for (volatile int n = 0; n >= 0;) { n = 1; }\n    const auto clock")
        outcome = bench.trial("hang", {self.file: changed})
        self.assertEqual((outcome.status, outcome.how), ("killed", "timeout"))


class Killed(unittest.TestCase):
    def left(self, child: subprocess.Popen) -> list:
        """What is there of its; other tests have copies there, too."""
        return [p for p in (_mutate.BUILD.parent / "mutate").glob(f"scratch.{child.pid}.*") if (p / "tree").exists()]

    def begin(self) -> subprocess.Popen:
        child = subprocess.Popen(_mutate.command("--seed", "1", "--count", "1"), stderr=subprocess.DEVNULL)
        while not self.left(child):
            self.assertIsNone(child.poll())
            time.sleep(0.05)
        return child

    def test_nothing_is_left_behind(self):
        _mutate.need_plain_build()
        child = self.begin()
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        self.assertEqual(self.left(child), [])
        # Nobody can tidy up after SIGKILL, but the next one does.
        child = self.begin()
        child.kill()
        child.wait(60)
        Scratch(_mutate.ROOT, _mutate.BUILD, ("unit_tcp",)).close()
        self.assertEqual(self.left(child), [])


if __name__ == "__main__":
    unittest.main()
