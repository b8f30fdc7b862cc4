// Who answers for an address and a port, and who may not listen beside whom; and what a listener has room for.
#include "runnel/tcp/open/listener.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

const IpAddress kV4 = IpAddress::v4(0x0a000001);
const IpAddress kOther4 = IpAddress::v4(0x0a000002);
const IpAddress kAny4 = IpAddress::any(Family::ipv4);
const IpAddress kAny6 = IpAddress::any(Family::ipv6);
const IpAddress kV6 = *parse_ip_address("fd00::1");

TEST(Listeners, TheMostExactAddressAnswers) {
    ListenerTable table(10);
    const auto exact = table.insert({kV4, 80}, false, 1, {});
    const auto any4 = table.insert({kAny4, 80}, false, 1, {});
    const auto any6 = table.insert({kAny6, 80}, true, 1, {});
    const auto other_port = table.insert({kAny6, 81}, true, 1, {});
    EXPECT_EQ(table.size(), 4U);
    EXPECT_EQ(table.lookup({kV4, 80}), exact);
    EXPECT_EQ(table.lookup({kOther4, 80}), any4);
    EXPECT_EQ(table.lookup({kV6, 80}), any6);
    EXPECT_EQ(table.lookup({kV4, 81}), other_port) << "both families";
    EXPECT_TRUE(table.lookup({kV4, 79}).is_none());
    EXPECT_TRUE(table.lookup({kV4, 82}).is_none());
    table.erase(exact);
    EXPECT_EQ(table.lookup({kV4, 80}), any4);
    table.erase(any4);
    EXPECT_EQ(table.lookup({kV4, 80}), any6);
    table.erase(any6);
    EXPECT_TRUE(table.lookup({kV4, 80}).is_none());
    EXPECT_EQ(table.lookup({kV6, 81}), other_port);
    EXPECT_EQ(table.find(exact), nullptr);
}

TEST(Listeners, OneOfOneFamilyLeavesTheOtherAlone) {
    ListenerTable table(10);
    (void)table.insert({kAny6, 80}, false, 1, {});
    EXPECT_TRUE(table.lookup({kV4, 80}).is_none());
    EXPECT_FALSE(table.lookup({kV6, 80}).is_none());
    EXPECT_FALSE(table.conflicts({kAny4, 80}, false));
    EXPECT_FALSE(table.conflicts({kV4, 80}, false));
}

// RFC 9293 §3.9.1.1, MUST-41 and MUST-42: only another listener for the same address and port hinders one.
TEST(Listeners, ConflictOnlyWhereBothWouldAnswer) {
    ListenerTable table(10);
    EXPECT_FALSE(table.conflicts({kAny6, 80}, true));
    (void)table.insert({kV4, 80}, false, 1, {});
    EXPECT_TRUE(table.conflicts({kV4, 80}, false));
    EXPECT_FALSE(table.conflicts({kOther4, 80}, false));
    EXPECT_FALSE(table.conflicts({kV4, 81}, false));
    EXPECT_TRUE(table.conflicts({kAny4, 80}, false));
    EXPECT_TRUE(table.conflicts({kAny6, 80}, true));
    EXPECT_FALSE(table.conflicts({kAny6, 80}, false));
    EXPECT_FALSE(table.conflicts({kV6, 80}, true));
    (void)table.insert({kAny6, 90}, true, 1, {});
    EXPECT_TRUE(table.conflicts({kV4, 90}, false));
    EXPECT_TRUE(table.conflicts({kAny4, 90}, false));
    EXPECT_TRUE(table.conflicts({kV6, 90}, false));
    (void)table.insert({kAny6, 95}, false, 1, {});
    EXPECT_TRUE(table.conflicts({kV6, 95}, false));
    EXPECT_FALSE(table.conflicts({kV4, 95}, false));
}

TEST(Listeners, AreAsManyAsTheTableHolds) {
    ListenerTable table(2);
    EXPECT_FALSE(table.insert({kV4, 1}, false, 1, {}).is_none());
    const auto second = table.insert({kV4, 2}, false, 1, {});
    EXPECT_TRUE(table.insert({kV4, 3}, false, 1, {}).is_none());
    EXPECT_TRUE(table.lookup({kV4, 3}).is_none());
    EXPECT_EQ(table.lookup({kV4, 2}), second);
    table.erase(second);
    EXPECT_FALSE(table.insert({kV4, 3}, false, 1, {}).is_none());
}

TEST(Listeners, KeepWhatTheyWereMadeWith) {
    ListenerTable table(2);
    ConnectionOptions options;
    options.no_delay = true;
    const auto handle = table.insert({kAny6, 80}, true, 7, options);
    const Listener* listener = table.find(handle);
    ASSERT_NE(listener, nullptr);
    EXPECT_EQ(listener->local, (Endpoint{kAny6, 80}));
    EXPECT_TRUE(listener->dual_stack);
    EXPECT_EQ(listener->backlog, 7U);
    EXPECT_EQ(listener->options, options);
    EXPECT_EQ(listener->embryos, 0U);
    EXPECT_EQ(listener->fast_open_pending, 0U);
    EXPECT_FALSE(listener->event_queued);
}

// Linux: a backlog of n holds n + 1 connections, and as many embryos, within the host's limit.
TEST(Listeners, ABacklogHoldsOneMoreThanItSays) {
    Listener listener;
    listener.backlog = 1;
    EXPECT_FALSE(listener.full());
    listener.accept_queue.push_back(1);
    EXPECT_FALSE(listener.full());
    listener.accept_queue.push_back(2);
    EXPECT_TRUE(listener.full());
    listener.embryos = 1;
    EXPECT_FALSE(listener.backlog_full(10));
    EXPECT_TRUE(listener.backlog_full(1));
    listener.embryos = 2;
    EXPECT_TRUE(listener.backlog_full(10));
}

TEST(Listeners, TheKeyWithTheLongestPrefixSigns) {
    Listener listener;
    EXPECT_EQ(listener.md5_key(kV4), nullptr);
    for (const std::uint8_t prefix : {std::uint8_t{8}, std::uint8_t{32}, std::uint8_t{24}}) {
        Md5Key key;
        key.peer = kV4;
        key.prefix = prefix;
        listener.md5_keys.push_back(key);
    }
    ASSERT_NE(listener.md5_key(kV4), nullptr);
    EXPECT_EQ(listener.md5_key(kV4)->prefix, 32);
    EXPECT_EQ(listener.md5_key(kOther4)->prefix, 24);
    EXPECT_EQ(listener.md5_key(IpAddress::v4(0x0a010101))->prefix, 8);
    EXPECT_EQ(listener.md5_key(IpAddress::v4(0x0b000001)), nullptr);
    EXPECT_EQ(listener.md5_key(kV6), nullptr);
}

}  // namespace
}  // namespace runnel::tcp
