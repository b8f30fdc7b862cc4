#include "runnel/report/connection_filter.hpp"

#include <gtest/gtest.h>

#include <string>

namespace runnel::report {
namespace {

using tcp::ConnectionStatus;
using tcp::State;

ConnectionStatus connection(State state = State::established) {
    ConnectionStatus c;
    c.state = state;
    c.tuple = {{*parse_ip_address("10.9.0.2"), 80}, {*parse_ip_address("10.9.0.1"), 40000}};
    c.handle = 0x1'0000'0002;
    return c;
}

ConnectionStatus six() {
    ConnectionStatus c = connection();
    c.tuple = {{*parse_ip_address("fd09::2"), 8080}, {*parse_ip_address("fd09::1"), 9}};
    return c;
}

bool matches(std::string_view text, const ConnectionStatus& c = connection()) {
    const auto filter = ConnectionFilter::parse(text);
    EXPECT_TRUE(filter.has_value()) << text << ": " << (filter ? std::string() : filter.error());
    return filter && filter->matches(c);
}

std::string refusal(std::string_view text) {
    const auto filter = ConnectionFilter::parse(text);
    return filter ? "understood" : filter.error();
}

TEST(ConnectionFilter, EmptyTakesEverything) {
    EXPECT_TRUE(matches(""));
    EXPECT_TRUE(matches("  ", connection(State::listen)));
    EXPECT_FALSE(ConnectionFilter::parse("sport = 80")->names_states());
    EXPECT_TRUE(ConnectionFilter::parse("state listen")->names_states());
}

TEST(ConnectionFilter, States) {
    EXPECT_TRUE(matches("state established"));
    EXPECT_TRUE(matches("state ESTAB"));
    EXPECT_FALSE(matches("state listening"));
    EXPECT_FALSE(matches("exclude established"));
    EXPECT_TRUE(matches("state connected exclude time-wait"));
    EXPECT_TRUE(matches("state bucket", connection(State::syn_received)));
    EXPECT_TRUE(matches("state syn-recv", connection(State::syn_received)));
    EXPECT_FALSE(matches("state synchronized", connection(State::syn_sent)));
    EXPECT_FALSE(matches("state big", connection(State::time_wait)));
    EXPECT_TRUE(matches("state all", connection(State::closed)));
}

TEST(ConnectionFilter, Ports) {
    EXPECT_TRUE(matches("sport = :80"));
    EXPECT_TRUE(matches("sport=:80"));
    EXPECT_TRUE(matches("sport :80"));
    EXPECT_FALSE(matches("sport != 80"));
    EXPECT_TRUE(matches("sport<81"));
    EXPECT_FALSE(matches("sport lt 80"));
    EXPECT_TRUE(matches("sport le 80"));
    EXPECT_FALSE(matches("sport > 80"));
    EXPECT_TRUE(matches("dport >= 40000"));
    EXPECT_TRUE(matches("dport gt 39999"));
}

TEST(ConnectionFilter, Addresses) {
    EXPECT_TRUE(matches("src 10.9.0.2"));
    EXPECT_FALSE(matches("dst 10.9.0.2"));
    EXPECT_TRUE(matches("dst 10.0.0.0/8"));
    EXPECT_TRUE(matches("dst = 10.9.0.1:40000"));
    EXPECT_FALSE(matches("dst 10.9.0.1:4"));
    EXPECT_TRUE(matches("dst *:40000"));
    EXPECT_TRUE(matches("src :80"));
    EXPECT_TRUE(matches("src [fd09::2]:8080", six()));
    EXPECT_TRUE(matches("src fd09::/16", six()));
    EXPECT_FALSE(matches("src ::/0"));
    EXPECT_FALSE(matches("src 0.0.0.0/0", six()));
    EXPECT_TRUE(matches("family inet6", six()));
    EXPECT_FALSE(matches("family inet", six()));
}

TEST(ConnectionFilter, Connectives) {
    EXPECT_TRUE(matches("sport = 80 and dport = 40000"));
    EXPECT_FALSE(matches("sport = 80 dport = 1"));
    EXPECT_TRUE(matches("sport = 1 or dport = 40000"));
    EXPECT_TRUE(matches("sport = 1 and sport = 2 or sport = 80"));
    EXPECT_FALSE(matches("sport = 1 and (sport = 2 or sport = 80)"));
    EXPECT_TRUE(matches("not ( sport = 1 )"));
    EXPECT_TRUE(matches("!(sport=1)&&state established||state listen"));
    EXPECT_FALSE(matches("! ! sport = 1"));
}

TEST(ConnectionFilter, SaysWhatIsWrong) {
    EXPECT_EQ(refusal("state bogus"), "there is no state \"bogus\"");
    EXPECT_EQ(refusal("sport = 65536"), "sport: \"65536\" is no port from 0 to 65535");
    EXPECT_EQ(refusal("state"), "something must follow \"state\"");
    EXPECT_EQ(refusal("( sport = 80"), "a \")\" is missing");
    EXPECT_EQ(refusal("sport = 80 )"), "\")\" is one too many");
    EXPECT_NE(refusal("frobnicate").find("\"frobnicate\" is none of"), std::string::npos);
    EXPECT_NE(refusal("dst 1.2.3.4.5").find("write ADDRESS"), std::string::npos);
    EXPECT_NE(refusal(std::string(400, '(')).find("at most"), std::string::npos);
    EXPECT_NE(refusal(std::string(100, '(')).find("nested"), std::string::npos);
    EXPECT_NE(refusal("sport = 80 and"), "understood");
}

TEST(EndpointPattern, Forms) {
    EXPECT_TRUE(parse_endpoint_pattern("*")->matches({*parse_ip_address("::1"), 9}));
    EXPECT_TRUE(parse_endpoint_pattern("*:*")->matches({*parse_ip_address("::1"), 9}));
    EXPECT_TRUE(parse_endpoint_pattern("[::1]")->matches({*parse_ip_address("::1"), 9}));
    EXPECT_FALSE(parse_endpoint_pattern("[::1]:8")->matches({*parse_ip_address("::1"), 9}));
    EXPECT_TRUE(
        parse_endpoint_pattern("10.0.0.0/8:9")->matches({*parse_ip_address("10.1.1.1"), 9}));
    for (const char* bad :
         {"", "[::1", "[::1]9", "1.2.3", "1.2.3.4:x", "1.2.3.4:70000", "host:1", "10.0.0.0/33"}) {
        EXPECT_FALSE(parse_endpoint_pattern(bad)) << bad;
    }
}

bool named(std::string_view text, const ConnectionStatus& c = connection()) {
    const auto name = ConnectionName::parse(text);
    EXPECT_TRUE(name.has_value()) << text;
    return name && name->matches(c.tuple, c.handle);
}

TEST(ConnectionName, Forms) {
    EXPECT_TRUE(named("100000002"));
    EXPECT_FALSE(named("100000003"));
    EXPECT_TRUE(named("#2"));
    EXPECT_FALSE(named("#3"));
    EXPECT_TRUE(named("80"));
    EXPECT_TRUE(named(":40000"));
    EXPECT_FALSE(named("81"));
    EXPECT_TRUE(named("10.9.0.1"));
    EXPECT_TRUE(named("10.9.0.1:40000"));
    EXPECT_TRUE(named("10.9.0.2:80 10.9.0.1:40000"));
    EXPECT_FALSE(named("10.9.0.1:40000 10.9.0.2:80"));
    EXPECT_TRUE(named("[fd09::1]:9", six()));
    EXPECT_TRUE(named("fd09::1", six()));
    for (const char* bad :
         {"", "#", "#x", "bogus", "1.2.3.4 5.6.7.8 9.9.9.9", "1.2.3.4 nonsense"}) {
        EXPECT_FALSE(ConnectionName::parse(bad).has_value()) << bad;
    }
}

}  // namespace
}  // namespace runnel::report
