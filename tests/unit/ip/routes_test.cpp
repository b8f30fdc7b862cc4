// Routes, own addresses and the choice between them.
#include "runnel/ip/routes.hpp"

#include "bench.hpp"
#include "runnel/ip/addresses.hpp"
#include "runnel/ip/token_bucket.hpp"

namespace runnel::test {
namespace {

Route route(std::string_view destination, std::uint8_t interface, std::uint32_t metric = 0) {
    Route made;
    made.destination = cidr(destination);
    made.interface = interface;
    made.metric = metric;
    return made;
}

TEST(Routes, TheLongestPrefixWinsWhateverTheOrder) {
    RouteTable table;
    ASSERT_TRUE(table.add(route("0.0.0.0/0", 0)));
    ASSERT_TRUE(table.add(route("10.1.2.0/24", 2)));
    ASSERT_TRUE(table.add(route("10.0.0.0/8", 1)));
    EXPECT_EQ(table.find(ip("10.1.2.3"), kAnyInterface)->interface, 2);
    EXPECT_EQ(table.find(ip("10.1.3.3"), kAnyInterface)->interface, 1);
    EXPECT_EQ(table.find(ip("8.8.8.8"), kAnyInterface)->interface, 0);
    EXPECT_EQ(table.find(ip("10.1.2.3"), 1)->interface, 1) << "only over the asked interface";
    EXPECT_EQ(table.find(ip("fd00::1"), kAnyInterface), nullptr) << "families don't mix";
}

TEST(Routes, TheSmallerMetricWinsAmongEqualPrefixes) {
    RouteTable table;
    ASSERT_TRUE(table.add(route("10.0.0.0/8", 1, 20)));
    ASSERT_TRUE(table.add(route("10.0.0.0/8", 2, 10)));
    EXPECT_EQ(table.find(ip("10.1.1.1"), kAnyInterface)->interface, 2);
    ASSERT_TRUE(table.remove(route("10.0.0.0/8", 2)));
    EXPECT_EQ(table.find(ip("10.1.1.1"), kAnyInterface)->interface, 1);
}

TEST(Routes, RefusesWhatMakesNoSenseAndMoreThanItsLimit) {
    RouteTable table;
    Route mixed = route("10.0.0.0/8", 0);
    mixed.gateway = ip("fd00::1");
    EXPECT_EQ(table.add(mixed).error(), Errc::argument_invalid);
    Route long_prefix = route("10.0.0.0/8", 0);
    long_prefix.destination.prefix_length = 33;
    EXPECT_EQ(table.add(long_prefix).error(), Errc::argument_invalid);
    for (std::uint32_t i = 0; i < kMaxRoutes; ++i) {
        ASSERT_TRUE(table.add(route("::/0", 0, i)));
    }
    EXPECT_EQ(table.add(route("10.0.0.0/8", 0)).error(), Errc::too_many_open);
    EXPECT_EQ(table.remove(route("10.0.0.0/8", 0)).error(), Errc::address_not_available);
}

TEST(Routes, PrefixesAreCutToTheirNetworkAndHaveABroadcast) {
    EXPECT_EQ(network_of(cidr("10.1.2.3/20")), ip("10.1.0.0"));
    EXPECT_EQ(network_of(cidr("fd00:1:2:3::4/61")), ip("fd00:1:2::"));
    EXPECT_EQ(network_of(cidr("10.1.2.3/0")), ip("0.0.0.0"));
    EXPECT_EQ(directed_broadcast_of(cidr("10.1.2.3/20")), ip("10.1.15.255"));
}

AddressTable table_of(const std::vector<std::pair<std::string_view, std::uint8_t>>& addresses) {
    AddressTable table;
    for (const auto& [text, interface] : addresses) {
        LocalAddress address;
        address.cidr = cidr(text);
        address.interface = interface;
        EXPECT_TRUE(table.add(address));
    }
    return table;
}

// RFC 6724 §5, rule by rule.
TEST(SourceChoice, Rule1PrefersTheDestinationItself) {
    const auto table = table_of({{"fd00::1/64", 0}, {"fd00::2/64", 0}});
    EXPECT_EQ(table.choose_source(ip("fd00::2"), 0), ip("fd00::2"));
}
TEST(SourceChoice, Rule2PrefersTheScopeThatReaches) {
    const auto table = table_of({{"fe80::1/64", 0}, {"2001:db8::1/64", 0}});
    EXPECT_EQ(table.choose_source(ip("2001:db8:1::9"), 0), ip("2001:db8::1"));
    EXPECT_EQ(table.choose_source(ip("fe80::9"), 0), ip("fe80::1"));
    EXPECT_EQ(table.choose_source(ip("ff02::1"), 0), ip("fe80::1"));
}
TEST(SourceChoice, Rule3AvoidsAddressesThatAreStillChecked) {
    auto table = table_of({{"fd00::1/64", 0}, {"fd00::2/64", 0}});
    table.find(ip("fd00::1"))->state = AddressState::optimistic;
    EXPECT_EQ(table.choose_source(ip("fd00::9"), 0), ip("fd00::2"));
    table.find(ip("fd00::2"))->state = AddressState::duplicate;
    EXPECT_EQ(table.choose_source(ip("fd00::9"), 0), ip("fd00::1"));
    table.find(ip("fd00::1"))->state = AddressState::tentative;
    EXPECT_EQ(table.choose_source(ip("fd00::9"), 0), std::nullopt);
}
TEST(SourceChoice, Rule5PrefersTheOutgoingInterface) {
    const auto table = table_of({{"10.0.0.1/8", 0}, {"192.168.0.1/24", 1}});
    EXPECT_EQ(table.choose_source(ip("10.0.0.9"), 1), ip("192.168.0.1"));
}
TEST(SourceChoice, Rule8PrefersTheLongestCommonPrefix) {
    const auto table = table_of({{"2001:db8:1::1/48", 0}, {"2001:db8:2::1/48", 0}});
    EXPECT_EQ(table.choose_source(ip("2001:db8:2:9::9"), 0), ip("2001:db8:2::1"));
    EXPECT_EQ(table.choose_source(ip("2001:db8:1:9::9"), 0), ip("2001:db8:1::1"));
}
TEST(SourceChoice, ALinkLocalAddressOfAnotherLinkIsNoSource) {
    const auto table = table_of({{"fe80::1/64", 0}});
    EXPECT_EQ(table.choose_source(ip("fd00::9"), 1), std::nullopt);
}

TEST(Addresses, ASlash31HasNoBroadcastAddress) {  // RFC 3021
    const auto table = table_of({{"10.0.0.0/31", 0}, {"10.1.0.1/24", 0}});
    EXPECT_FALSE(table.is_directed_broadcast(ip("10.0.0.1")));
    EXPECT_TRUE(table.is_directed_broadcast(ip("10.1.0.255")));
}

TEST(TokenBucket, GivesABurstAndThenTheRate) {
    TokenBucket bucket(1000, 50);
    Instant now{seconds(5).ns};
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(bucket.take(now)) << i;
    }
    EXPECT_FALSE(bucket.take(now));
    now = now + microseconds(999);
    EXPECT_FALSE(bucket.take(now));
    now = now + microseconds(1);
    EXPECT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.take(now));
    now = now + seconds(10);
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(bucket.take(now)) << i;
    }
    EXPECT_FALSE(bucket.take(now)) << "no more than the burst is saved";
}

// --- through the layer -----------------------------------------------------------------------------------

TEST(RouteChoice, NamesInterfaceNextHopSourceAndMtu) {
    Bench bench;
    Route gateway = route("0.0.0.0/0", bench.interface);
    gateway.gateway = ip("10.0.0.254");
    gateway.mtu = 1400;
    ASSERT_TRUE(bench.layer.add_route(gateway));
    const RouteChoice far{bench.interface, ip("10.0.0.254"), ip("10.0.0.1"), 1400};
    EXPECT_EQ(bench.layer.route(ip("8.8.8.8")), far);
    const RouteChoice near{bench.interface, ip("10.0.0.7"), ip("10.0.0.1"), 1500};
    EXPECT_EQ(bench.layer.route(ip("10.0.0.7")), near);
    EXPECT_EQ(bench.layer.route(ip("2001:db8::1")), std::nullopt);
    EXPECT_EQ(bench.layer.route(ip("10.0.0.7"), ip("10.0.0.8")), std::nullopt)
        << "not from an address of somebody else";
    EXPECT_EQ(bench.layer.path_mtu(ip("8.8.8.8")), 1400U);
    EXPECT_EQ(bench.layer.path_mtu(ip("2001:db8::1")), 0U);
}

TEST(RouteChoice, OwnAddressesAndLoopbackAreReachedInside) {
    Bench bench;
    EXPECT_EQ(bench.layer.route(ip("10.0.0.1"))->interface, kLoopbackInterface);
    EXPECT_EQ(bench.layer.route(ip("127.0.0.1"))->source, ip("127.0.0.1"));
    EXPECT_EQ(bench.layer.route(ip("::1"))->mtu, kLoopbackMtu);
    EXPECT_TRUE(bench.layer.is_local(ip("fd00::1")));
    EXPECT_FALSE(bench.layer.is_local(ip("fd00::2")));
}

TEST(RouteChoice, ARemovedAddressTakesItsPrefixAlong) {
    Bench bench;
    ASSERT_TRUE(bench.layer.remove_address(bench.interface, ip("10.0.0.1")));
    EXPECT_EQ(bench.layer.route(ip("10.0.0.7")), std::nullopt);
    EXPECT_FALSE(bench.layer.is_local(ip("10.0.0.1")));
}

TEST(Configuration, RefusesAddressesThatNoHostCanHave) {
    Bench bench;
    for (const char* bad :
         {"224.0.0.1/4", "0.0.0.0/0", "127.0.0.1/8", "ff02::1/16", "::/0", "255.255.255.255/32"}) {
        EXPECT_EQ(bench.layer.add_address(0, cidr(bad), bench.now).error(), Errc::argument_invalid)
            << bad;
    }
    EXPECT_EQ(bench.layer.add_address(0, cidr("10.0.0.1/8"), bench.now).error(),
              Errc::address_in_use);
    EXPECT_EQ(bench.layer.add_address(7, cidr("10.0.0.9/8"), bench.now).error(),
              Errc::argument_invalid);
    Bench narrow(Bench::raw(1000), Bench::quiet(), {});
    EXPECT_EQ(narrow.layer.add_address(0, cidr("fd00::1/64"), narrow.now).error(),
              Errc::argument_invalid)
        << "RFC 8200 §5";
}

}  // namespace
}  // namespace runnel::test
