// Shell lines: what each piece wants.
#include "runnel/drill/commands.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace runnel::drill {
namespace {

/// "configure net.ipv4.tcp_x=1; counters": what a line is taken for.
std::string taken(std::string_view line) {
    std::string out;
    for (const ShellCommand& one : classify(line)) {
        out += fmt::format("{}{}", out.empty() ? "" : "; ", name_of(one.kind));
        for (const ShellCommand::Setting& setting : one.settings) {
            out += fmt::format(" {}={}", setting.name, setting.value);
        }
        if (one.duration != Duration{}) {
            out += fmt::format(" {}ns", one.duration.ns);
        }
    }
    return out;
}

TEST(DrillCommands, Sysctls) {
    EXPECT_EQ(taken("sysctl -q net.ipv4.tcp_sack=0"), "configure net.ipv4.tcp_sack=0");
    EXPECT_EQ(taken("sysctl -qw net/ipv4/tcp_rmem=\"4096 87380   6291456\" net.ipv4.tcp_x = 2"),
              "configure net.ipv4.tcp_rmem=4096 87380 6291456 net.ipv4.tcp_x=2");
    EXPECT_EQ(taken("/sbin/sysctl net.ipv4.tcp_sack"), "query");
    EXPECT_EQ(taken("sysctl -p /etc/x.conf"), "other");
    EXPECT_EQ(taken("echo 5 > /proc/sys/net/ipv4/tcp_reordering"),
              "configure net.ipv4.tcp_reordering=5");
    EXPECT_EQ(taken("echo -n \"1 2\" >/proc/sys/net/ipv4/tcp_wmem 2>/dev/null"),
              "configure net.ipv4.tcp_wmem=1 2");
    EXPECT_EQ(
        taken(
            "../../common/set_sysctls.py /proc/sys/net/ipv4/tcp_ecn=1 /proc/sys/net/ipv4/tcp_x=2"),
        "configure net.ipv4.tcp_ecn=1 net.ipv4.tcp_x=2");
    EXPECT_EQ(taken("set_sysctls.py"), "other");
}

TEST(DrillCommands, SeveralInALine) {
    EXPECT_EQ(taken("../common/defaults.sh\n sysctl -q a.b=1; nstat -n && true # x; y\n"),
              "defaults; configure a.b=1; counters; nothing");
    EXPECT_EQ(taken("sysctl -q a.b=1 \\\n  c.d=2"), "configure a.b=1 c.d=2");
    EXPECT_EQ(taken(""), "");
    EXPECT_EQ(taken("  \n ; "), "");
}

TEST(DrillCommands, EverythingElseByKind) {
    EXPECT_EQ(taken("./defaults.sh"), "defaults");
    EXPECT_EQ(taken("bash ../defaults.sh tcp_x=1"), "defaults tcp_x=1");
    EXPECT_EQ(taken("ip route replace 192.0.2.0/24 dev tun0 initcwnd 20 rto_min 5ms mtu lock 1400"),
              "route dev=tun0 initcwnd=20 rto_min=5ms mtu=1400");
    EXPECT_EQ(taken("tc qdisc replace dev tun0 root fq limit 10"),
              "traffic dev=tun0 qdisc=fq limit=10");
    EXPECT_EQ(taken("sleep 0.25"), "sleep 250000000ns");
    EXPECT_EQ(taken("sleep 2m"), "sleep 120000000000ns");
    EXPECT_EQ(taken("sleep soon"), "other");
    EXPECT_EQ(taken("nstat | grep TcpExtTCPLoss"), "other");
    EXPECT_EQ(taken("cat /proc/net/netstat"), "counters");
    EXPECT_EQ(taken("cat /etc/passwd"), "other");
    EXPECT_EQ(taken("echo hello"), "print");
    EXPECT_EQ(taken("echo 1 > /tmp/x"), "other");
    EXPECT_EQ(taken("iptables -A INPUT"), "other");
    EXPECT_EQ(taken("if true; then sysctl a=1; fi"), "other");
    EXPECT_EQ(taken("sysctl a=$(cat x)"), "other");
    EXPECT_EQ(taken("sysctl a='b"), "other");
    EXPECT_EQ(classify("  rm -rf x ")[0].text, "rm -rf x");
}

}  // namespace
}  // namespace runnel::drill
