// What is wrong with a script, by its whole text: the place, the line, the caret, what was expected, a hint.
#include "runnel/drill/trouble.hpp"

#include <gtest/gtest.h>

#include "unit/drill/drill_test.hpp"

namespace runnel::drill {
namespace {

TEST(DrillTrouble, ShowsTheLineAndWhereInIt) {
    EXPECT_EQ(trouble_of("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                         "+0 < S 0:1(0) win 1000\n"),
              "t.pkt:2:8: from 0 to 1 there are 1 bytes, not 0\n"
              "    2 | +0 < S 0:1(0) win 1000\n"
              "      |        ^\n"
              "        write 0:0(0): SYN and FIN don't count here");
    EXPECT_EQ(trouble_of("\t0 < S 0:0(0)\n"),
              "t.pkt:1:6: an inbound segment says its window\n"
              "    1 |  0 < S 0:0(0)\n"
              "      |      ^\n"
              "        as in: < S 0:0(0) win 1000");
}

struct Case {
    const char* script;
    const char* place_and_message;
    const char* hint;  ///< a part of it; empty: there is none
};

TEST(DrillTrouble, EachMistakeIsNamed) {
    const Case cases[] = {
        {"close(3) = 0", "1:1: expected a time in seconds, but here is \"close\"", "0.1, +0.1"},
        {"1.5s close(3) = 0", "1:4: \"s\" does not belong in a time", ""},
        {"0.1234567891 close(3) = 0", "1:12: a time's resolution is a nanosecond", ""},
        {"+0~1 > . 1:1(0)", "1:3: both ends of a time are absolute, or both relative", "1.0~1.2"},
        {"+2~+1 > . 1:1(0)", "1:3: this time ends before it begins", ""},
        {"* close(3) = 0", "1:1: only an outbound packet (>) has a range of times or *", "+0.1"},
        {"0...1 > . 1:1(0)", "1:1: only a call has an end (T1...T2)", "T1~T2"},
        {"0 close 3", "1:9: expected ( after the call close, but here is \"3\"", "< or >"},
        {"0 close(3", "1:8: the call's arguments never end: ) is missing", ""},
        {"0 close(3)\n+1 x() = 0", "2:1: expected = and the call's result, but here is \"+\"",
         "as in: close(3) = 0"},
        {"0 close(3) = 0 (oops", "1:16: this note is not closed", ""},
        {"0 close(3) = -1 WRONG", "1:17: expected an errno such as EAGAIN", ""},
        {"0 f([1, 2) = 0", "1:10: expected , or ], but here is \")\"", ""},
        {"0 f(\"abc) = 0", "1:5: this string is not closed on its line", ""},
        {"0 f(\"\\q\") = 0", "1:6: a string does not know this escape", "\\n"},
        {"0 f(0x) = 0", "1:7: \")\" does not belong in a number", ""},
        {"0 f(089) = 0", "1:6: \"89\" does not belong in a number", ""},
        {"0 f(18446744073709551616) = 0", "1:5: a number has at most 64 bits", ""},
        {"0 f({1=2}) = 0", "1:7: what stands before = is a field's name", "{events=POLLIN}"},
        {"0 f(!) = 0", "1:5: expected a value, but here is \"!\"", "a NAME"},
        {"0 < SX 0:0(0) win 1", "1:5: \"SX\" are no TCP flags", "S F R P . (ACK)"},
        {"0 < S.5E 0:0(0) win 1", "1:5: flags are either E, W, A or a digit", ""},
        {"0 < S 0-0(0) win 1", "1:8: expected : in a segment's range FIRST:LAST(LENGTH)", ""},
        {"0 < S 0:0(0) win 70000", "1:18: win is at most 65535", ""},
        {"0 < S 0:0(0) wim 7", "1:14: expected ack, win, urg, <options> or the next event", ""},
        {"0 > . 1:1(0) ack 4294967296", "1:18: ack is at most 4294967295", ""},
        {"0 < S 0:0(0) win 1 <...>", "1:20: <...> is for what the host sends", ""},
        {"0 < S 0:0(0) win 1 <mss>", "1:24: expected mss, a number, but here is \">\"", ""},
        {"0 < S 0:0(0) win 1 <sackok>", "1:21: expected a TCP option, but here is \"sackok\"",
         "did you mean sackOK?"},
        {"0 < S 0:0(0) win 1 <zzzzzz>", "1:21: expected a TCP option", "wscale N"},
        {"0 < S 0:0(0) win 1 <FO 123>", "1:24: what follows FO is bytes in hexadecimal", ""},
        {"0 < S 0:0(0) win 1 <mss 1 nop>", "1:27: expected , or > after a TCP option", ""},
        {"0 < . 0:0(0) win 1 <TS val 1>", "1:29: expected ecr in TS val N ecr N", ""},
        {"0 < [ect2] . 1:1(0) win 1", "1:6: expected an IP mark, but here is \"ect2\"", "ttl N"},
        {"0 < [ttl 256] . 1:1(0) win 1", "1:10: ttl is at most 255", ""},
        {"0 < [1:1(0)] . 1:1(0) win 1", "1:14: after a quoted packet in [] comes icmp", ""},
        {"0 < icmp unreached", "1:10: expected an ICMP type, but here is \"unreached\"", "type_3"},
        {"0 < icmp unreachable no_way", "1:22: \"no_way\" is no code of icmp unreachable",
         "code_N"},
        {"0 < udp 5", "1:9: expected ( and the payload's length after udp", ""},
        {"0 `ls", "1:3: this command is never closed", "`"},
        {"0 %{ assert 1", "1:3: this code section is never closed", "}%"},
        {"0 ?", "1:3: after its time an event is a packet (<, >), a call", ""},
        {"/* x", "1:1: this comment is never closed", "*/"},
        {"--mtuu=3", "1:1: there is no option --mtuu", "did you mean --mtu?"},
        {"0 close(3) = 0\n--mtu=3", "2:1: options stand at the head of a script", ""},
        {"#ifdef X\n0 close(3) = 0\n", "1:1: this #ifdef has no #endif", ""},
        {"#endif\n", "1:1: this #endif has no #ifdef", ""},
        {"#else\n", "1:1: this #else has no #ifdef", ""},
        {"#if X\n#endif\n", "1:1: Runnel does not know the directive #if", "#ifdef"},
        {"#ifdef\n#endif\n", "1:1: #ifdef wants a name", "IPV6"},
        {"--define=3\n", "1:1: a define is NAME=VALUE", "-D MSS=1000"},
    };
    for (const Case& one : cases) {
        const auto script = parse_script("", one.script);
        ASSERT_FALSE(script) << one.script;
        const std::string brief = "line " + std::string(one.place_and_message);
        EXPECT_EQ(script.error().brief().substr(0, brief.size()), brief) << one.script;
        EXPECT_EQ(script.error().hint.empty(), *one.hint == '\0') << script.error().text();
        EXPECT_NE(script.error().hint.find(one.hint), std::string::npos) << script.error().text();
        EXPECT_EQ(script.error().kind, Trouble::Kind::wrong);
    }
}

TEST(DrillTrouble, ASubstitutedWordIsShownWhereItStands) {
    EXPECT_EQ(trouble_of("#define WIN 70000\n0 < S 0:0(0) win WIN\n"),
              "t.pkt:2:18: win is at most 65535\n"
              "    2 | 0 < S 0:0(0) win WIN\n"
              "      |                  ^");
}

TEST(DrillTrouble, ALongLineIsShownAroundTheCaret) {
    const std::string text = trouble_of("0 f(" + std::string(500, '1') + "z) = 0");
    EXPECT_NE(text.find("1:505: \"z\" does not belong"), std::string::npos) << text;
    EXPECT_LT(text.size(), 400u);
    EXPECT_NE(text.find("z) = 0"), std::string::npos);
}

TEST(DrillTrouble, SizesAndDepthsAreBounded) {
    const std::string deep = std::string(100, '[') + std::string(100, ']');
    EXPECT_NE(trouble_of("0 f(" + deep + ") = 0").find("nested more than 32 deep"),
              std::string::npos);
    EXPECT_NE(trouble_of("0 f(" + std::string(100, '-') + "a) = 0").find("expected a value"),
              std::string::npos);
    EXPECT_NE(trouble_of(std::string(kMaxScriptBytes + 1, ' ')).find("more than"),
              std::string::npos);
    EXPECT_NE(trouble_of(std::string("0 f(\0) = 0", 10)).find("a byte 0"), std::string::npos);
    std::string wide = "0 f(1";
    for (std::size_t i = 0; i < kMaxElements; ++i) {
        wide += ",1";
    }
    EXPECT_NE(trouble_of(wide + ") = 0").find("more than 4096 elements"), std::string::npos);
    std::string grows = "#define A0 x x\n";
    for (int i = 1; i < 40; ++i) {
        grows += "#define A" + std::to_string(i) + " A" + std::to_string(i - 1) + " A" +
                 std::to_string(i - 1) + "\n";
    }
    EXPECT_NE(trouble_of(grows + "0 f(A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16) = 0")
                  .find("grows without end"),
              std::string::npos);
}

}  // namespace
}  // namespace runnel::drill
