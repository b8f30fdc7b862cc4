// Code sections: what Python says of them, what a failed assert tells, and that anything else is unsupported.
#include "runnel/drill/code.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace runnel::drill {
namespace {

Code code_of(std::string_view text) {
    Code code;
    code.text = text;
    code.at = {3, 6};
    return code;
}

CodeContext with_fields() {
    CodeContext context;
    context.lookup = [](std::string_view name) -> std::optional<CodeValue> {
        if (name == "tcpi_snd_cwnd") {
            return std::int64_t{9};
        }
        if (name == "tcpi_rtt") {
            return std::int64_t{100'200};
        }
        if (name == "tcpi_options") {
            return std::int64_t{3};
        }
        if (name == "tcpi_pacing_rate") {
            return code_number(std::numeric_limits<std::uint64_t>::max());
        }
        return std::nullopt;
    };
    return context;
}

/// "" when the section runs, else what is wrong; what it printed stands in `context`.
std::string ran(std::string_view text, CodeContext& context) {
    const auto program = parse_code("t.pkt", code_of(text));
    if (!program) {
        return (program.error().unsupported() ? "unsupported " : "") + program.error().text();
    }
    const auto done = run_code(*program, context);
    return done ? "" : (done.error().unsupported() ? "unsupported " : "") + done.error().text();
}
std::string ran(std::string_view text) {
    CodeContext context = with_fields();
    return ran(text, context);
}
std::string printed(std::string_view text) {
    CodeContext context = with_fields();
    const std::string trouble = ran(text, context);
    return trouble.empty() ? context.printed : trouble;
}

TEST(DrillCode, AssertsThatHoldSayNothing) {
    for (
        const char* text : {
            "assert tcpi_snd_cwnd == 9",
            "assert 9 <= tcpi_snd_cwnd <= 9 and 9 >= 9 and not 9 < 9 and not 9 > 9 and .5 <= .5",
            " assert tcpi_snd_cwnd == 9, tcpi_snd_cwnd ",
            "assert 1 < 2 < 3 and not 2 > 3",
            "assert 90000 <= tcpi_rtt < 110000; assert tcpi_snd_cwnd != 10",
            "assert (tcpi_options & TCPI_OPT_SACK) != 0",
            "assert tcpi_snd_cwnd in (9, 10), 'no'",
            "assert tcpi_snd_cwnd not in [1, 2]",
            "assert tcpi_pacing_rate == 18446744073709551615",
            "assert None is None and 0 is not None",
            "assert 7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2 and 7 / 2 == 3.5 and 2 ** 10 == 1024",
            "assert 1 << 4 | 1 == 17",
            "assert (1 << 4 | 1) == 17 and ~0 == -1 and 6 ^ 3 == 5",
            "assert abs(-3) == 3 and min(3, 1, 2) == 1 and max(1, 2.5) == 2.5 and int(2.9) == 2",
            "assert round(2.5) == 2 and round(3.5) == 4 and float(2) == 2",
            "assert 'a' + 'b' == \"ab\" and 'b' in 'abc' and str(5) == '5'",
            "assert (5 if tcpi_snd_cwnd > 5 else 1) == 5",
            "assert 0x10 == 16 and 1e3 == 1000 and .5 == 0.5",
            "assert True and not False",
            "assert (1 +\n  2) == 3",
            "assert 1 == 1 and \\\n  2 == 2",
            "# a remark\n\nassert 1 # another\n",
            "pass",
        }) {
        EXPECT_EQ(ran(text), "") << text;
    }
}

TEST(DrillCode, AFailedAssertTellsTheValues) {
    EXPECT_EQ(ran(" assert tcpi_snd_cwnd == 10"),
              "t.pkt:3:7: the assertion fails: tcpi_snd_cwnd == 10, but tcpi_snd_cwnd is 9");
    EXPECT_EQ(ran("\n  assert tcpi_snd_cwnd > 5 and tcpi_rtt < TCP_CA_Loss, 'rtt %d' % tcpi_rtt"),
              "t.pkt:4:3: the assertion fails: tcpi_snd_cwnd > 5 and tcpi_rtt < TCP_CA_Loss, but "
              "tcpi_snd_cwnd is 9, tcpi_rtt is 100200\n        rtt 100200");
    EXPECT_EQ(ran("assert 0"), "t.pkt:3:6: the assertion fails: 0");
}

TEST(DrillCode, Prints) {
    EXPECT_EQ(printed("print(tcpi_snd_cwnd, 0.5, 2.0, None, 'x')"), "9 0.5 2.0 None x\n");
    EXPECT_EQ(printed("print 'cwnd', tcpi_snd_cwnd"), "cwnd 9\n");
    EXPECT_EQ(printed("print('%d %s %x %f %%' % (1, 'a', 255, 0.25))"), "1 a ff 0.250000 %\n");
    EXPECT_EQ(printed("print()\nprint"), "\n\n");
}

TEST(DrillCode, VariablesLiveOnAndIfsNest) {
    CodeContext context = with_fields();
    EXPECT_EQ(ran("a = 5\na += 2; b = a * 2", context), "");
    EXPECT_EQ(ran(R"(
    if a == 7:
        if b == 13:
            print 'no'
        elif b == 14:
            print 'yes'
            print 'indeed'
        else:
            print 'never'
    else: print 'no'
    if not a: print 'no'
    print 'end')",
                  context),
              "");
    EXPECT_EQ(context.printed, "yes\nindeed\nend\n");
}

TEST(DrillCode, TheFirstLineMayStandApart) {
    EXPECT_EQ(printed(" print 1\n      print 2\n      if 1:\n        print 3\n      print 4\n"),
              "1\n2\n3\n4\n");
    EXPECT_EQ(
        printed("if 1:\n  print 1\n  if 0:\n    print 2\n  else:\n    print 3\n\n # x\n print 4\n"),
        "1\n3\n4\n");
    EXPECT_EQ(printed("if 0:\n  print 1\nelse:\n  print 2\n"), "2\n");
}

TEST(DrillCode, WhatIsNotKnownIsUnsupportedNeverPassed) {
    for (const char* text : {
             "for i in (1, 2): pass",
             "import os",
             "assert tcpi_unknown == 3",
             "f(3)",
             "assert len('a') == 1",
             "x = y = 3",
             "lambda: 1",
             "a[0]",
             "a.b",
             "assert f'x'",
             "print('a', end='')",
             "[1, 2]",
             "def f():\n  pass",
             "{1: 2}",
             "@x",
             "'''a'''",
             "assert 9223372036854775807 + 1 > 0",
             "assert 2 ** 64 > 0",
             "x = [i for i in (1, 2)]",
             "assert 1 << 70 > 0",
             "print 'a' if 1 else 'b', file(3)",
             "'%5d' % 3",
         }) {
        EXPECT_EQ(ran(text).substr(0, 12), "unsupported ") << text << ": " << ran(text);
    }
    EXPECT_EQ(ran("assert tcpi_snd_cwnd == TCP_CA_Los"),
              "unsupported t.pkt:3:30: nothing is known of the name TCP_CA_Los\n"
              "        did you mean TCP_CA_Loss?");
}

TEST(DrillCode, WhatIsWrongIsSaidWithItsPlace) {
    EXPECT_EQ(ran("assert (1"), "t.pkt:3:15: expected , or ), but here is the line's end");
    EXPECT_EQ(ran("assert"), "t.pkt:3:12: expected a value, but here is the line's end");
    EXPECT_EQ(ran("assert 1 2"), "t.pkt:3:15: expected the statement's end, but here is 2");
    EXPECT_EQ(ran("print 1 / 0"), "t.pkt:3:14: a division by zero");
    EXPECT_EQ(ran("print 'a"), "t.pkt:3:14: this string is not closed on its line");
    EXPECT_EQ(ran("print 1 + 'a'"), "t.pkt:3:14: + does not take 1 and a");
    EXPECT_EQ(ran("print 1 < 'a'"), "t.pkt:3:16: 1 and a have no order");
    EXPECT_EQ(ran("\nif 1: print 1\n    print 2"),
              "t.pkt:5:5: this line is indented, and nothing above begins a block");
    EXPECT_EQ(ran("print 1\n  if 1:\n    print 2\n   print 3"),
              "t.pkt:6:4: this line's indentation fits no line above");
}

TEST(DrillCode, DepthAndSizeAreBounded) {
    EXPECT_NE(ran("print " + std::string(200, '(') + "1" + std::string(200, ')')).find("nested"),
              std::string::npos);
    EXPECT_NE(ran("print " + std::string(200, '-') + "1").find("nested"), std::string::npos);
    std::string sum = "print 1";
    for (int i = 0; i < 5000; ++i) {
        sum += "+1";
    }
    EXPECT_NE(ran(sum).find("at most 1000 operators"), std::string::npos);
    std::string twice = "a = 'x'\n";
    for (int i = 0; i < 40; ++i) {
        twice += "a = a + a\n";
    }
    EXPECT_NE(ran(twice).find("a string has at most"), std::string::npos);
    EXPECT_NE(ran(std::string(kMaxCodeBytes + 1, ' ')).find("at most"), std::string::npos);
}

TEST(DrillCode, NamesThatTheCallerMustKnow) {
    const auto program = parse_code(
        "t", code_of("a = tcpi_rtt\nif a > 3: b = tcpi_rtt + tcpi_lost\nassert b + TCP_CA_Open"));
    ASSERT_TRUE(program);
    EXPECT_EQ(free_names(*program), (std::vector<std::string>{"tcpi_rtt", "tcpi_lost"}));
}

}  // namespace
}  // namespace runnel::drill
