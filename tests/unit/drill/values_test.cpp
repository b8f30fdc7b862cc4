// Names to numbers and back, expressions to numbers and addresses, the options at a script's head.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "runnel/drill/evaluate.hpp"
#include "runnel/drill/settings.hpp"
#include "runnel/drill/symbols.hpp"
#include "unit/drill/drill_test.hpp"

namespace runnel::drill {
namespace {

using Group = SymbolGroup;

TEST(DrillSymbols, HaveTheValuesOfThisSystem) {
    const std::pair<const char*, std::int64_t> names[] = {
        {"AF_INET", AF_INET},
        {"AF_INET6", AF_INET6},
        {"SOCK_STREAM", SOCK_STREAM},
        {"SOCK_NONBLOCK", SOCK_NONBLOCK},
        {"IPPROTO_TCP", IPPROTO_TCP},
        {"SOL_SOCKET", SOL_SOCKET},
        {"SOL_TCP", 6},
        {"SO_REUSEADDR", SO_REUSEADDR},
        {"SO_ERROR", SO_ERROR},
        {"SO_LINGER", SO_LINGER},
        {"SO_SNDBUF", SO_SNDBUF},
        {"SO_ZEROCOPY", SO_ZEROCOPY},
        {"SO_TIMESTAMPING", SO_TIMESTAMPING},
        {"TCP_NODELAY", TCP_NODELAY},
        {"TCP_CORK", TCP_CORK},
        {"TCP_INFO", TCP_INFO},
        {"TCP_FASTOPEN", TCP_FASTOPEN},
        {"TCP_USER_TIMEOUT", TCP_USER_TIMEOUT},
        {"TCP_CM_INQ", 36},
        {"IP_TOS", IP_TOS},
        {"IP_RECVERR", IP_RECVERR},
        {"IPV6_V6ONLY", IPV6_V6ONLY},
        {"MSG_PEEK", MSG_PEEK},
        {"MSG_ZEROCOPY", MSG_ZEROCOPY},
        {"MSG_FASTOPEN", MSG_FASTOPEN},
        {"MSG_ERRQUEUE", MSG_ERRQUEUE},
        {"O_NONBLOCK", O_NONBLOCK},
        {"O_RDWR", O_RDWR},
        {"F_SETFL", F_SETFL},
        {"POLLIN", POLLIN},
        {"POLLRDHUP", 0x2000},
        {"EPOLLET", static_cast<std::int64_t>(EPOLLET)},
        {"EPOLL_CTL_ADD", EPOLL_CTL_ADD},
        {"SHUT_WR", SHUT_WR},
        {"FIONREAD", FIONREAD},
        {"SIOCINQ", FIONREAD},
        {"TCP_CA_Loss", TCP_CA_Loss},
        {"TCPI_OPT_SACK", TCPI_OPT_SACK},
        {"TCP_ESTABLISHED", TCP_ESTABLISHED},
        {"TCP_CLOSE_WAIT", TCP_CLOSE_WAIT},
        {"INADDR_LOOPBACK", INADDR_LOOPBACK},
        {"EAGAIN", EAGAIN},
        {"ECONNRESET", ECONNRESET},
    };
    for (const auto& [name, value] : names) {
        EXPECT_EQ(symbol_value(name), value) << name;
    }
    EXPECT_FALSE(symbol_value("AF_NOWHERE"));
    EXPECT_EQ(symbol_group("MSG_PEEK"), Group::message_flag);
}

TEST(DrillSymbols, TheWayBack) {
    EXPECT_EQ(symbol_name(Group::error, EAGAIN), "EAGAIN");
    EXPECT_EQ(symbol_name(Group::error, EOPNOTSUPP), "EOPNOTSUPP");
    EXPECT_EQ(symbol_name(Group::error, EDEADLK), "EDEADLK");
    EXPECT_EQ(symbol_name(Group::family, AF_INET), "AF_INET");
    EXPECT_EQ(symbol_name(Group::tcp_option, 9999), "9999");
    EXPECT_EQ(flags_text(Group::poll_event, POLLIN | POLLOUT), "POLLIN|POLLOUT");
    EXPECT_EQ(flags_text(Group::message_flag, MSG_PEEK | (1 << 30 | 1 << 23)),
              "MSG_PEEK|MSG_CMSG_CLOEXEC|0x800000");
    EXPECT_EQ(flags_text(Group::poll_event, 0), "0");
    EXPECT_EQ(flags_text(Group::open_flag, 0), "O_RDONLY");
    EXPECT_EQ(nearest_symbol("SOCK_STREM"), "SOCK_STREAM");
    EXPECT_EQ(nearest_symbol("NOTHING_LIKE_IT_AT_ALL"), "");
}

TEST(DrillSymbols, ErrnoSaysWhatTheSystemSays) {
    for (int number = 1; number < 134; ++number) {
        EXPECT_EQ(error_text(number), std::strerror(number));
    }
    EXPECT_EQ(error_text(0), "Success");
    EXPECT_EQ(errno_number("EPIPE"), EPIPE);
    EXPECT_FALSE(errno_number("AF_INET"));
}

TEST(DrillSymbols, IcmpByFamily) {
    EXPECT_EQ(icmp_numbers("unreachable", "frag_needed", false), (IcmpNumbers{3, 4}));
    EXPECT_EQ(icmp_numbers("unreachable", "port_unreachable", true), (IcmpNumbers{1, 4}));
    EXPECT_EQ(icmp_numbers("packet_too_big", "", true), (IcmpNumbers{2, 0}));
    EXPECT_EQ(icmp_numbers("type_200", "code_7", true), (IcmpNumbers{200, 7}));
    EXPECT_FALSE(icmp_numbers("packet_too_big", "", false));
    EXPECT_FALSE(icmp_numbers("type_256", "", false));
    EXPECT_FALSE(icmp_numbers("unreachable", "frag_needed", true));
    EXPECT_EQ(icmp_names({3, 3}, false),
              std::make_pair(std::string("unreachable"), std::string("port_unreachable")));
    EXPECT_EQ(icmp_names({8, 0}, false),
              std::make_pair(std::string("echo_request"), std::string()));
    EXPECT_EQ(icmp_names({77, 9}, true),
              std::make_pair(std::string("type_77"), std::string("code_9")));
}

/// The first argument of f(TEXT).
Expression argument(std::string_view text) {
    const Syscall call = call_of("f(" + std::string(text) + ") = 0");
    return call.arguments.empty() ? Expression{} : call.arguments.front();
}
std::string number(std::string_view text) {
    const auto value = integer_of(argument(text));
    return value ? std::to_string(*value) : value.error().text();
}

TEST(DrillEvaluate, Numbers) {
    EXPECT_EQ(number("MSG_PEEK|MSG_DONTWAIT|0x1000"), "4162");
    EXPECT_EQ(number("-5"), "-5");
    EXPECT_EQ(number("-EAGAIN"), "-11");
    EXPECT_EQ(number("htons(8080)"), "8080");
    EXPECT_EQ(number("htonl(INADDR_LOOPBACK)"), "2130706433");
    EXPECT_EQ(number("inet_addr(\"192.0.2.1\")"), "3221225985");
    EXPECT_EQ(number("htons(65536)"), "line 1:6: the argument of htons is from 0 to 65535");
    EXPECT_EQ(number("..."), "line 1:6: here a number is needed, not ...");
    EXPECT_EQ(number("MSG_PEK"),
              "line 1:6: nothing is known of the name MSG_PEK\n        did you mean MSG_PEEK?");
    const auto unknown = integer_of(argument("sizeof(x)"));
    ASSERT_FALSE(unknown);
    EXPECT_TRUE(unknown.error().unsupported());
}

TEST(DrillEvaluate, SocketAddresses) {
    const auto v4 = socket_name_of(argument(
        "{sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr(\"192.0.2.1\")}"));
    ASSERT_TRUE(v4) << v4.error().text();
    EXPECT_EQ(v4->family, AF_INET);
    EXPECT_EQ(v4->port, 8080);
    EXPECT_EQ(to_string(*v4->address), "192.0.2.1");
    const auto v6 = socket_name_of(
        argument("{sa_family=AF_INET6, sin6_port=htons(1), sin6_flowinfo=5, "
                 "inet_pton(AF_INET6, \"2001:db8::1\", &sin6_addr), sin6_scope_id=3}"));
    ASSERT_TRUE(v6) << v6.error().text();
    EXPECT_EQ(to_string(*v6->address), "2001:db8::1");
    EXPECT_EQ(v6->flow_info, 5u);
    EXPECT_EQ(v6->scope_id, 3u);
    EXPECT_EQ(*socket_name_of(argument("...")), SocketName{});
    EXPECT_EQ(socket_name_of(argument("{sin_len=16, sin_port=htons(5), sin_zero=...}"))->port, 5);
    EXPECT_EQ(*socket_name_of(argument("{sa_family=..., sin_port=..., sin_addr=...}")),
              SocketName{});
    EXPECT_FALSE(socket_name_of(argument("3")));
    EXPECT_EQ(socket_name_of(argument("{sin_prt=3}")).error().brief(),
              "line 1:15: a socket address has no field sin_prt");
    EXPECT_EQ(socket_name_of(argument("{sin_addr=inet_addr(\"2001:db8::1\")}")).error().brief(),
              "line 1:26: \"2001:db8::1\" is no IPv4 address");
}

Settings settings(std::string_view text) {
    const auto read = settings_of(parsed(text));
    EXPECT_TRUE(read) << read.error().text();
    return read ? *read : Settings{};
}
std::string settings_trouble(std::string_view text) {
    const auto read = settings_of(parsed(text));
    return read ? "no trouble"
                : (read.error().unsupported() ? "unsupported " : "") + read.error().brief();
}

TEST(DrillSettings, EveryOptionThatCounts) {
    const Settings all = settings(R"(
--ip_version=ipv6 --bind_port=80 --connect_port=81 --local_ip=fd00::1 --gateway_ip=fd00::2
--remote_ip=2001:db8::1/64 --mtu=1400 --mss=1000 --speed=10 --tolerance_usecs=500
--tolerance_percent=1.5 --tcp_ts_tick_usecs=1000 --ts_ecr_scaled --strict_segments=1
--non_fatal=packet,syscall --dry_run --verbose=0 --code_command=/usr/bin/python
)");
    EXPECT_EQ(all.ip_version, IpVersion::ipv6);
    EXPECT_EQ(all.bind_port, 80);
    EXPECT_EQ(all.connect_port, 81);
    EXPECT_EQ(to_string(*all.local_ip), "fd00::1");
    EXPECT_EQ(to_string(*all.gateway_ip), "fd00::2");
    EXPECT_EQ(to_string(*all.remote_ip), "2001:db8::1");
    EXPECT_EQ(all.prefix_length, 64);
    EXPECT_EQ(all.mtu, 1400u);
    EXPECT_EQ(all.mss, 1000u);
    EXPECT_EQ(all.speed_mbit, 10u);
    EXPECT_EQ(all.tolerance, microseconds(500));
    EXPECT_EQ(all.tolerance_percent, 1.5);
    EXPECT_EQ(all.timestamp_tick, milliseconds(1));
    EXPECT_TRUE(all.scale_timestamp_echo && all.strict_segments && all.dry_run && !all.verbose);
    EXPECT_TRUE(all.non_fatal.packet && all.non_fatal.syscall);
    EXPECT_EQ(all.ignored, std::vector<std::string>{"code_command"});
    EXPECT_EQ(settings("--netmask_ip=255.255.0.0").prefix_length, 16);
    EXPECT_EQ(settings("--ip_version=ipv4-mapped-ipv6").ip_version, IpVersion::ipv4_mapped_ipv6);
    EXPECT_EQ(settings("--mtu=1400\n--mtu=1300").mtu, 1300u);
}

TEST(DrillSettings, WhatIsWrongOrMissing) {
    EXPECT_EQ(settings_trouble("--mtu=0"),
              "t.pkt:1:1: --mtu wants a number from 68 to 65535, not \"0\"");
    EXPECT_EQ(settings_trouble("\n--ip_version=ipv5"),
              "t.pkt:2:1: there is no IP version \"ipv5\"");
    EXPECT_EQ(settings_trouble("--local_ip=x"),
              "t.pkt:1:1: --local_ip wants an address, not \"x\"");
    EXPECT_EQ(settings_trouble("--netmask_ip=255.0.255.0"),
              "t.pkt:1:1: --netmask_ip wants a mask, not \"255.0.255.0\"");
    EXPECT_EQ(settings_trouble("--non_fatal=x"), "t.pkt:1:1: --non_fatal does not know \"x\"");
    EXPECT_EQ(settings_trouble("--tolerance_percent=-1"),
              "t.pkt:1:1: --tolerance_percent wants 0 to 100, not \"-1\"");
    EXPECT_EQ(settings_trouble("--wire_client"), "unsupported t.pkt:1:1: the option --wire_client");
    EXPECT_EQ(settings_trouble("--so_filename=a.so"),
              "unsupported t.pkt:1:1: the option --so_filename");
    EXPECT_EQ(settings_trouble("--code_format=c"), "unsupported t.pkt:1:1: code sections in c");
    EXPECT_TRUE(first_unsupported(parsed("--wire_client")));
    EXPECT_TRUE(first_unsupported(parsed("0 %{ import os }%")));
    EXPECT_FALSE(
        first_unsupported(parsed("--mtu=1400\n0 %{ assert 1 }%\n+0 `ls`\n+0 close(3) = 0")));
}

}  // namespace
}  // namespace runnel::drill
