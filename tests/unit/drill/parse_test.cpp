// Scripts as text become values: times, packets with all they may say, calls, commands, code, options.
#include <gtest/gtest.h>

#include <string>

#include "unit/drill/drill_test.hpp"

namespace runnel::drill {
namespace {

using Kind = Expression::Kind;

TEST(DrillTimes, AllForms) {
    const Script script = parsed(R"(
0.25      > . 1:1(0) ack 1
+.1       > . 1:1(0) ack 1
*         > . 1:1(0) ack 1
1.0~1.5   > . 1:1(0) ack 1
+0.1~+0.3 > . 1:1(0) ack 1
2...2.5   accept(3, ..., ...) = 4
+0...+.2  read(4, ..., 10) = 10
+0...0.2  read(4, ..., 10) = 10
)");
    using T = EventTime::Kind;
    ASSERT_EQ(script.events.size(), 8u);
    const auto time = [&](std::size_t i) { return script.events[i].time; };
    EXPECT_EQ(time(0).kind, T::absolute);
    EXPECT_EQ(time(0).start, milliseconds(250));
    EXPECT_EQ(time(0).end, milliseconds(250));
    EXPECT_EQ(time(1).kind, T::relative);
    EXPECT_EQ(time(1).start, milliseconds(100));
    EXPECT_EQ(time(2).kind, T::any);
    EXPECT_EQ(time(3).kind, T::absolute_range);
    EXPECT_EQ(time(3).end, milliseconds(1500));
    EXPECT_EQ(time(4).kind, T::relative_range);
    EXPECT_EQ(time(4).end, milliseconds(300));
    EXPECT_EQ(time(5).kind, T::absolute);
    EXPECT_EQ(time(5).blocks_until, milliseconds(2500));
    EXPECT_EQ(time(6).kind, T::relative);
    EXPECT_EQ(time(6).blocks_until, milliseconds(200));
    EXPECT_EQ(time(7).blocks_until, milliseconds(200));
}

TEST(DrillTimes, ANanosecondIsKept) {
    EXPECT_EQ(parsed("0.000000001 close(3) = 0").events[0].time.start, nanoseconds(1));
}

TEST(DrillTimes, EventsKnowTheirPlaceAndWords) {
    const Script script =
        parsed("// one\n\n  +0 close(3) = 0  // two\n+1\n  < . 1:1(0)\n  ack 1 win 5\n");
    EXPECT_EQ(script.events[0].at.line, 3u);
    EXPECT_EQ(script.events[0].at.column, 3u);
    EXPECT_EQ(script.events[0].written.text, "+0 close(3) = 0");
    EXPECT_EQ(script.events[1].at.line, 4u);
    EXPECT_EQ(script.events[1].written.text, "+1 < . 1:1(0) ack 1 win 5");
}

TEST(DrillSegments, EverythingASegmentMaySay) {
    const Packet packet = packet_of(
        "< [ect0, ttl 3] 5000 > 80 FP.UEW 1:1001(1000) ack 5 win 257 urg 3 <mss 1460,sackOK,"
        "TS val 100 ecr 7,nop,wscale 8,eol>");
    EXPECT_EQ(packet.direction, Direction::inbound);
    EXPECT_EQ(packet.marks.ecn, EcnMark::ect0);
    EXPECT_EQ(packet.marks.ttl, 3);
    ASSERT_TRUE(packet.ports);
    EXPECT_EQ(packet.ports->source, 5000);
    EXPECT_EQ(packet.ports->destination, 80);
    const auto& tcp = std::get<TcpPacket>(packet.what);
    EXPECT_EQ(tcp.flags.bits, TcpFlags::kFin | TcpFlags::kPsh | TcpFlags::kAck | TcpFlags::kUrg |
                                  TcpFlags::kEce | TcpFlags::kCwr);
    EXPECT_EQ(tcp.sequence, (SequenceRange{1, 1001, 1000}));
    EXPECT_EQ(tcp.ack, 5u);
    EXPECT_EQ(tcp.window, 257);
    EXPECT_EQ(tcp.urgent, 3);
    ASSERT_EQ(tcp.options.size(), 6u);
    EXPECT_EQ(tcp.options_are, TcpPacket::Options::list);
    EXPECT_EQ(tcp.options[0].value, 1460u);
    EXPECT_EQ(tcp.options[1].kind, TcpOption::Kind::sack_permitted);
    EXPECT_EQ(tcp.options[2].value, 100u);
    EXPECT_EQ(tcp.options[2].echo, 7u);
    EXPECT_EQ(tcp.options[3].kind, TcpOption::Kind::nop);
    EXPECT_EQ(tcp.options[4].value, 8u);
    EXPECT_EQ(tcp.options[5].kind, TcpOption::Kind::eol);
}

TEST(DrillSegments, WhatIsNotWrittenIsAbsent) {
    const TcpPacket tcp = std::get<TcpPacket>(packet_of("> R 1:1(0)").what);
    EXPECT_FALSE(tcp.ack || tcp.window || tcp.urgent);
    EXPECT_EQ(tcp.options_are, TcpPacket::Options::none);
    EXPECT_EQ(std::get<TcpPacket>(packet_of("> S 0:0(0) <...>").what).options_are,
              TcpPacket::Options::any);
    const TcpPacket empty = std::get<TcpPacket>(packet_of("> S 0:0(0) <>").what);
    EXPECT_EQ(empty.options_are, TcpPacket::Options::list);
    EXPECT_TRUE(empty.options.empty());
    EXPECT_EQ(std::get<TcpPacket>(packet_of("> - 1:1(0)").what).flags.bits, 0);
}

TEST(DrillSegments, TheAceCounterIsThreeFlags) {
    const TcpPacket tcp = std::get<TcpPacket>(packet_of("> .5 1:1(0)").what);
    EXPECT_EQ(tcp.ace, 5);
    EXPECT_EQ(tcp.flags.bits, TcpFlags::kAck | TcpFlags::kAe | TcpFlags::kEce);
    EXPECT_EQ(std::get<TcpPacket>(packet_of("> SEWA 0:0(0)").what).flags.bits,
              TcpFlags::kSyn | TcpFlags::kEce | TcpFlags::kCwr | TcpFlags::kAe);
}

TEST(DrillSegments, RarerOptions) {
    const TcpPacket tcp = std::get<TcpPacket>(
        packet_of("> . 1:1(0) ack 1 <sack 1001:2001 3001:4001,FO 0102abCD,FOEXP,md5,"
                  "ECN e1b 1 ceb 2 e0b 3,TS val * ecr 5,opt 253 f989,opt 69>")
            .what);
    ASSERT_EQ(tcp.options.size(), 8u);
    EXPECT_EQ(tcp.options[0].blocks, (std::vector<SackRange>{{1001, 2001}, {3001, 4001}}));
    EXPECT_EQ(tcp.options[1].bytes, (std::vector<std::uint8_t>{1, 2, 0xab, 0xcd}));
    EXPECT_EQ(tcp.options[2].kind, TcpOption::Kind::fast_open_exp);
    EXPECT_TRUE(tcp.options[2].bytes.empty());
    EXPECT_EQ(tcp.options[3].kind, TcpOption::Kind::md5);
    ASSERT_EQ(tcp.options[4].counters.size(), 3u);
    EXPECT_EQ(tcp.options[4].counters[0].name, TcpOption::Counter::Name::e1b);
    EXPECT_EQ(tcp.options[4].counters[2].value, 3u);
    EXPECT_FALSE(tcp.options[5].value);
    EXPECT_EQ(tcp.options[5].echo, 5u);
    EXPECT_EQ(tcp.options[6].value, 253u);
    EXPECT_EQ(tcp.options[7].value, 69u);
}

TEST(DrillSegments, IpMarks) {
    EXPECT_EQ(packet_of("> [noecn] . 1:1(0)").marks.ecn, EcnMark::noecn);
    EXPECT_EQ(packet_of("> [ect01] . 1:1(0)").marks.ecn, EcnMark::ect01);
    EXPECT_EQ(packet_of("< (ce) . 1:1(0) win 1").marks.ecn, EcnMark::ce);
    EXPECT_EQ(packet_of("< [tos 0x1b] . 1:1(0) win 1").marks.tos, 0x1b);
    EXPECT_EQ(packet_of("< (flowlabel 0x12345) . 1:1(0) win 1").marks.flow_label, 0x12345u);
}

TEST(DrillPackets, UdpAndIcmp) {
    EXPECT_EQ(std::get<UdpPacket>(packet_of("< udp (1000)").what).length, 1000u);
    const IcmpPacket icmp = std::get<IcmpPacket>(
        packet_of("< [1:1461(1460)] icmp unreachable frag_needed mtu 1200").what);
    EXPECT_EQ(icmp.type, "unreachable");
    EXPECT_EQ(icmp.code, "frag_needed");
    EXPECT_EQ(icmp.mtu, 1200u);
    EXPECT_EQ(std::get<SequenceRange>(icmp.quoted), (SequenceRange{1, 1461, 1460}));
    const IcmpPacket after =
        std::get<IcmpPacket>(packet_of("< icmp packet_too_big mtu 1280 [1:11(10)]").what);
    EXPECT_EQ(std::get<SequenceRange>(after.quoted).length, 10u);
    const IcmpPacket udp = std::get<IcmpPacket>(packet_of("< [udp (5)] icmp type_3 code_3").what);
    EXPECT_EQ(std::get<UdpPacket>(udp.quoted).length, 5u);
}

TEST(DrillPackets, WhatRunnelDoesNotPlayIsKeptWithItsReason) {
    const Script script = parsed(
        "0 < ipv4 1.1.1.1 > 2.2.2.2: gre: S 0:0(0) win 1\n"
        "+0 > S. 0:0(0) ack 1 <mss 1460,mp_capable 1 2 3>\n+0 close(3) = 0\n");
    ASSERT_EQ(script.events.size(), 3u);
    const auto& first = std::get<Packet>(script.events[0].what);
    EXPECT_EQ(
        std::get<UnsupportedPacket>(first.what),
        (UnsupportedPacket{"ipv4 1.1.1.1 > 2.2.2.2: gre: S 0:0(0) win 1", "IPv4 encapsulation"}));
    const auto& second = std::get<Packet>(script.events[1].what);
    EXPECT_EQ(std::get<UnsupportedPacket>(second.what).reason, "the TCP option mp_capable");
    const auto why = first_unsupported(script);
    ASSERT_TRUE(why);
    EXPECT_TRUE(why->unsupported());
    EXPECT_EQ(why->brief(), "t.pkt:1:1: IPv4 encapsulation");
}

TEST(DrillCalls, ArgumentsResultErrnoAndNote) {
    const Syscall call = call_of(
        R"(sendto(3, "a\n\x41\0", 10, MSG_PEEK|MSG_DONTWAIT, {sa_family = AF_INET, sin_port = htons(8080),
            sin_addr = inet_addr("192.0.2.1")}, ...) = -1 EAGAIN (Resource (temporarily) unavailable))");
    EXPECT_EQ(call.name, "sendto");
    ASSERT_EQ(call.arguments.size(), 6u);
    EXPECT_EQ(call.arguments[0], Expression::number(3));
    EXPECT_EQ(call.arguments[1].text, std::string("a\nA\0", 4));
    EXPECT_TRUE(call.arguments[3].is(Kind::either));
    EXPECT_EQ(call.arguments[3].parts[1].text, "MSG_DONTWAIT");
    ASSERT_TRUE(call.arguments[4].is(Kind::structure));
    ASSERT_NE(call.arguments[4].field("sin_port"), nullptr);
    EXPECT_EQ(call.arguments[4].field("sin_port")->text, "htons");
    EXPECT_EQ(call.arguments[4].field("absent"), nullptr);
    EXPECT_TRUE(call.arguments[5].is(Kind::ellipsis));
    EXPECT_EQ(call.result, Expression::number(-1));
    EXPECT_EQ(call.error, "EAGAIN");
    EXPECT_EQ(call.note, "Resource (temporarily) unavailable");
}

TEST(DrillCalls, MessagesWithCountsAndPositionalFields) {
    const Syscall call = call_of(
        "recvmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 1000}, {..., 0x10}], msg_flags=MSG_TRUNC,\n"
        "  msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=10}]}, 0) = 1000");
    const Expression& message = call.arguments[1];
    ASSERT_EQ(message.fields.size(), 4u);
    EXPECT_EQ(message.fields[0].name, "msg_name");
    ASSERT_TRUE(message.fields[0].count);
    EXPECT_TRUE(message.fields[0].count->is(Kind::ellipsis));
    EXPECT_EQ(message.fields[1].count, Expression::number(2));
    const Expression* iov = message.field("msg_iov");
    ASSERT_EQ(iov->parts.size(), 2u);
    EXPECT_TRUE(iov->parts[0].fields[0].name.empty());
    EXPECT_EQ(iov->parts[1].fields[1].value.integer, 16);
    EXPECT_EQ(iov->parts[1].fields[1].value.radix, 16);
}

TEST(DrillCalls, Literals) {
    const Syscall call =
        call_of("f(0, 017, 0xff, -1, 0xffffffffffffffff, 1.5, 'c', &x, -(A), [], {}, 5UL) = ?");
    const auto& a = call.arguments;
    EXPECT_EQ(a[1].integer, 15);
    EXPECT_EQ(a[2].integer, 255);
    EXPECT_EQ(a[3].integer, -1);
    EXPECT_EQ(a[4].integer, -1);
    EXPECT_EQ(a[5].text, "1.5");
    EXPECT_EQ(a[6].integer, 'c');
    EXPECT_TRUE(a[7].is(Kind::address_of));
    EXPECT_TRUE(a[8].is(Kind::negative));
    EXPECT_TRUE(a[9].is(Kind::array));
    EXPECT_TRUE(a[10].is(Kind::structure));
    EXPECT_EQ(a[11].integer, 5);
    EXPECT_TRUE(call.result.is(Kind::ellipsis));
}

TEST(DrillScripts, OptionsCommandsAndCode) {
    const Script script = parsed(R"(#!/usr/bin/packetdrill
--mtu=1400
--ip_version=ipv6
`../common/defaults.sh
sysctl -q net.ipv4.tcp_x=1`
0 `echo "// no comment" # either`
+0 "nstat -n"
+0 %{ assert tcpi_snd_cwnd == 10, "a // b" }%
)");
    ASSERT_EQ(script.options.size(), 2u);
    EXPECT_EQ(script.options[0].name, "mtu");
    EXPECT_EQ(script.options[0].value, "1400");
    ASSERT_EQ(script.init.size(), 1u);
    EXPECT_EQ(script.init[0].text, "../common/defaults.sh\nsysctl -q net.ipv4.tcp_x=1");
    EXPECT_EQ(std::get<Command>(script.events[0].what).text, "echo \"// no comment\" # either");
    EXPECT_EQ(std::get<Command>(script.events[1].what).text, "nstat -n");
    EXPECT_EQ(std::get<Code>(script.events[2].what).text,
              " assert tcpi_snd_cwnd == 10, \"a // b\" ");
}

TEST(DrillScripts, AHashIsARemarkOnlyBetweenBlanks) {
    const Script script = parsed("# a\n0 f(1) = -1 EIO (Unknown error #5)  # b\n#c\n");
    EXPECT_EQ(std::get<Syscall>(script.events[0].what).note, "Unknown error #5");
}

TEST(DrillDefines, AreSubstitutedAsWordsAndDecideIfdefs) {
    const Script script = parsed(R"(--define=MSS=1000
-D LIMIT=MSS
#ifdef FAST
0 close(1) = 0
#else
0 close(LIMIT) = 0 /* MSS */
#endif
#ifndef FAST
+0 f("MSS", XMSS, 0xMSS) = 0
#endif
)",
                                 {{"UNUSED", "2"}}, false);
    EXPECT_TRUE(script.events.empty());  // 0xMSS is no number
    const Script good = parsed("#define N 5\n#ifdef N\n0 f(\"N\", XN, N) = N\n#else\n?\n#endif\n");
    ASSERT_EQ(good.events.size(), 1u);
    const auto& call = std::get<Syscall>(good.events[0].what);
    EXPECT_EQ(call.arguments[0].text, "N");
    EXPECT_EQ(call.arguments[1].text, "XN");
    EXPECT_EQ(call.arguments[2].integer, 5);
    EXPECT_EQ(call.result.integer, 5);
    const Script outer = parsed("0 < S 0:0(0) win W\n", {{"W", "V"}, {"V", "77"}});
    EXPECT_EQ(std::get<TcpPacket>(std::get<Packet>(outer.events[0].what).what).window, 77);
}

}  // namespace
}  // namespace runnel::drill
