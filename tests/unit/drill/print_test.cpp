// The printer: fixed texts, and scripts drawn from a seed that must come back as they were.
#include "runnel/drill/print.hpp"

#include <gtest/gtest.h>

#include "unit/drill/drawn_script.hpp"
#include "unit/drill/drill_test.hpp"

namespace runnel::drill {
namespace {

TEST(DrillPrint, WritesWhatPeopleWrite) {
    const std::string text =
        "--mtu=1400\n"
        "--ip_version=ipv6\n"
        "`sysctl -q net.ipv4.tcp_x=1`\n"
        "0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3\n"
        "+0 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"0.0.0.0\")}, ...) = 0\n"
        "0.1 < [ect0] S 0:0(0) win 1000 <mss 1000,sackOK,nop,nop,nop,wscale 7>\n"
        "+0 > [ect0, tos 0x2, ttl 64, flowlabel 0x12345] S. 0:0(0) ack 1 <...>\n"
        "+0.25 < 5000 > 80 FP.E 1:1001(1000) ack 1 win 257 urg 5 <TS val 1 ecr 2,sack 1:2 3:4>\n"
        "+0.1~+0.3 > .5 1:1(0) ack 1 <TS val * ecr 7,ECN e0b 1 ceb 0 e1b 1,FO 0102,FOEXP,md5,opt 253 0a0b>\n"
        "* > - 1:1(0) <>\n"
        "1~2 > R 1:1(0)\n"
        "+0...+0.2 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0x10}], msg_flags=-1}, 010) = -1 EAGAIN (Resource temporarily unavailable)\n"
        "+0 < [1:1461(1460)] icmp unreachable frag_needed mtu 1200 id 7\n"
        "+0 > udp (1000)\n"
        "+0 `echo \"$x\" # y`\n"
        "+0 %{ assert tcpi_snd_cwnd == 10 }%\n"
        "+0 f(\"a\\n\\x01\\\"\\\\\", -(5), -E, &x, &(A|B), 1.5, [], {}, (A|B)|C) = ...\n"
        "+0 < gre: S 0:0(0) win 1\n";
    EXPECT_EQ(print(parsed(text)), text);
    EXPECT_TRUE(is_printable(parsed(text)));
}

TEST(DrillPrint, QuotesWhatWouldEndACommand) {
    Script script;
    script.events.resize(1);
    script.events[0].what = Command{"echo `date` \"x\" \\ \n", {}};
    EXPECT_EQ(print(script), "+0 \"echo `date` \\\"x\\\" \\\\ \\n\"\n");
    EXPECT_TRUE(is_printable(script));
}

TEST(DrillPrint, KnowsWhatTheLanguageCannotSay) {
    Script script;
    script.events.resize(1);
    Packet packet;  // injected, without a window
    script.events[0].what = packet;
    EXPECT_FALSE(is_printable(script));
    std::get<TcpPacket>(packet.what).window = 5;
    script.events[0].what = packet;
    EXPECT_TRUE(is_printable(script));
    script.events[0].what = Code{"}%", {}};
    EXPECT_FALSE(is_printable(script));
}

TEST(DrillPrint, DrawnScriptsComeBack) {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        const Script script = drawn_script(seed);
        const std::string text = print(script);
        const auto again = parse_script("drawn", text);
        ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().text();
        ASSERT_TRUE(*again == script) << "seed " << seed << ":\n"
                                      << text << "became\n"
                                      << print(*again);
        ASSERT_EQ(print(*again), text) << "seed " << seed;
    }
}

TEST(DrillPrint, EqualityIsAboutWhatAScriptMeans) {
    EXPECT_EQ(parsed("0 f(16) = 0"), parsed("\n\n0.0  f( 0x10 )=0 // x"));
    EXPECT_FALSE(parsed("0 f(16) = 0") == parsed("0 f(17) = 0"));
    EXPECT_FALSE(parsed("0 > . 1:1(0)") == parsed("0 > . 1:1(0) <>"));
    EXPECT_FALSE(parsed("0 > . 1:1(0)") == parsed("+0 > . 1:1(0)"));
    EXPECT_FALSE(parsed("0 f({a=1}) = 0") == parsed("0 f({a(1)=1}) = 0"));
}

}  // namespace
}  // namespace runnel::drill
