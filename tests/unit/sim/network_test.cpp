// Where packets go between hosts: shortest paths, routers' errors, fragments, queues.
#include "runnel/sim/network.hpp"

#include <gtest/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::sim {
namespace {

/// Hosts 0 and 1 behind routers 20 and 21, and a way round over 22.
Scenario detour() {
    Scenario scenario;
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.routers = {{.id = 20}, {.id = 21}, {.id = 22}};
    scenario.links = {{.id = 0, .a = 0, .b = 20},
                      {.id = 1, .a = 20, .b = 22},
                      {.id = 2, .a = 22, .b = 21},
                      {.id = 3, .a = 20, .b = 21},
                      {.id = 4, .a = 21, .b = 1}};
    return scenario;
}

struct Net {
    explicit Net(const Scenario& s)
        : scenario(s),
          faults(s.faults.begin(), s.faults.end()),
          network(scenario, schedule, pool, faults) {}
    ~Net() {
        network.give_back_queued();
        for (const Happening& waiting : schedule.waiting()) {
            if (waiting.packet != nullptr) {
                pool.give_back(waiting.packet);
            }
        }
        EXPECT_EQ(pool.in_use(), 0u);
    }
    Net(const Net&) = delete;
    Net& operator=(const Net&) = delete;

    Packet* segment(std::size_t size, Family family = Family::ipv4) {
        const FourTuple tuple{{node_address(0, family), 40'000}, {node_address(1, family), 5'000}};
        TcpHeader header;
        header.flags.bits = TcpFlags::kAck;
        const std::vector<std::byte> payload(size, std::byte{0x55});
        Packet* packet = pool.take();
        make_segment(*packet, tuple, header, payload);
        return packet;
    }
    /// Lets everything travel until it reaches a host; those that did, in order.
    std::vector<Packet*> travel() {
        std::vector<Packet*> arrived;
        while (!schedule.empty()) {
            const Happening next = schedule.pop();
            now = next.at;
            if (next.kind == HappeningKind::departure) {
                network.on_departure(next.way, now);
            } else if (network.is_router(next.node)) {
                network.forward(next.node, next.packet, now);
            } else {
                arrived.push_back(next.packet);
                last_host = next.node;
            }
        }
        return arrived;
    }
    void give_back(const std::vector<Packet*>& packets) {
        for (Packet* packet : packets) {
            pool.give_back(packet);
        }
    }

    Scenario scenario;
    Schedule schedule;
    PacketPool pool;
    std::vector<FaultState> faults;
    Network network;
    Instant now = {};
    NodeId last_host = kNoNode;
};

TEST(Network, TakesTheShortestPath) {
    Net net(detour());
    EXPECT_EQ(net.network.towards(0, 1), 0);
    EXPECT_EQ(net.network.towards(20, 1), 3);
    EXPECT_TRUE(net.network.passes(0, 1, 3));
    EXPECT_FALSE(net.network.passes(0, 1, 1));
    net.network.send(0, 0, net.segment(100), {});
    const auto arrived = net.travel();
    ASSERT_EQ(arrived.size(), 1u);
    EXPECT_EQ(net.last_host, 1);
    EXPECT_EQ(arrived[0]->hops, 2);
    EXPECT_FALSE(parse_ipv4(arrived[0]->bytes).error);
    EXPECT_EQ(parse_ipv4(arrived[0]->bytes).header.ttl, 62);
    EXPECT_EQ(net.now, Instant{} + milliseconds(3));
    net.give_back(arrived);
}

TEST(Network, WithoutALinkTakesTheDetour) {
    Scenario scenario = detour();
    scenario.links.erase(scenario.links.begin() + 3);
    Net net(scenario);
    EXPECT_TRUE(net.network.passes(0, 1, 1));
    EXPECT_TRUE(net.network.passes(0, 1, 2));
    scenario.links.erase(scenario.links.begin() + 1);
    Net cut(scenario);
    EXPECT_EQ(cut.network.towards(0, 1), Network::kNoLink);
}

TEST(Network, ARouterSaysWhatIsTooBig) {
    Scenario scenario = detour();
    scenario.links[3].mtu = 1'280;
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        Net net(scenario);
        net.network.send(0, 0, net.segment(1'400, family), {});
        const auto arrived = net.travel();
        ASSERT_EQ(arrived.size(), 1u);
        EXPECT_EQ(net.last_host, 0);
        const Bytes bytes(arrived[0]->bytes);
        if (family == Family::ipv4) {
            const Icmpv4Parse parse = parse_icmpv4(bytes.subspan(kIpv4HeaderSize));
            ASSERT_FALSE(parse.error);
            EXPECT_EQ(parse.message.next_hop_mtu(), 1'280);
        } else {
            const Icmpv6Parse parse = parse_icmpv6(
                bytes.subspan(kIpv6HeaderSize), node_address(20, family), node_address(0, family));
            ASSERT_FALSE(parse.error);
            EXPECT_EQ(parse.message.mtu(), 1'280u);
        }
        EXPECT_EQ(net.network.lost().size(), 1u);
        EXPECT_EQ(net.network.lost()[0].loss, Loss::too_big);
        EXPECT_EQ(net.network.counters().icmp_sent, 1u);
        net.give_back(arrived);
    }
}

/// What a fault has made beside a packet waits while the router complains about that packet: each copy goes
/// its own way once.
TEST(Network, ACopyOfWhatIsTooBigIsTooBigOnce) {
    Scenario scenario = detour();
    scenario.faults = {{.kind = FaultKind::duplicate, .where = 4, .intensity = 1'000'000, .a = 1},
                       {.kind = FaultKind::mtu_change, .where = 4, .a = 1'280}};
    Net net(scenario);
    net.network.begin_fault(0);
    net.network.begin_fault(1);
    net.network.send(0, 0, net.segment(1'400), {});
    const auto arrived = net.travel();
    EXPECT_EQ(arrived.size(), 2u);
    EXPECT_EQ(net.last_host, 0);
    EXPECT_EQ(net.network.counters().icmp_sent, 2u);
    EXPECT_EQ(net.network.lost().size(), 2u);
    net.give_back(arrived);
}

TEST(Network, ASilentRouterDoesNot) {
    Scenario scenario = detour();
    scenario.links[3].mtu = 1'280;
    scenario.routers[0].silent = true;
    Net net(scenario);
    net.network.send(0, 0, net.segment(1'400), {});
    EXPECT_TRUE(net.travel().empty());
    EXPECT_EQ(net.network.lost().size(), 1u);
}

TEST(Network, WhatMayBeCutUpIsCutUp) {
    Scenario scenario = detour();
    scenario.links[3].mtu = 700;
    Net net(scenario);
    Packet* packet = net.segment(1'400);
    packet->bytes[6] = std::byte{0};  // without Don't Fragment
    packet->bytes[10] = packet->bytes[11] = std::byte{0};
    const std::uint16_t sum = internet_checksum(Bytes(packet->bytes).first(kIpv4HeaderSize));
    packet->bytes[10] = static_cast<std::byte>(sum >> 8);
    packet->bytes[11] = static_cast<std::byte>(sum & 0xff);
    const std::vector<std::byte> whole(packet->bytes.begin() + kIpv4HeaderSize,
                                       packet->bytes.end());
    net.network.send(0, 0, packet, {});
    const auto arrived = net.travel();
    ASSERT_EQ(arrived.size(), 3u);
    std::vector<std::byte> joined;
    for (const Packet* piece : arrived) {
        const Ipv4Parse parse = parse_ipv4(piece->bytes);
        ASSERT_FALSE(parse.error);
        EXPECT_EQ(parse.header.fragment_offset, joined.size());
        EXPECT_EQ(parse.header.more_fragments, piece != arrived.back());
        EXPECT_LE(piece->bytes.size(), 700u);
        joined.insert(joined.end(), piece->bytes.begin() + kIpv4HeaderSize, piece->bytes.end());
    }
    EXPECT_EQ(joined, whole);
    EXPECT_EQ(net.network.counters().fragmented, 1u);
    net.give_back(arrived);
}

TEST(Network, HopsRunOut) {
    Net net(detour());
    Packet* packet = net.segment(10);
    packet->bytes[8] = std::byte{2};
    net.network.send(0, 0, packet, {});
    EXPECT_TRUE(net.travel().empty());
    ASSERT_EQ(net.network.lost().size(), 1u);
    EXPECT_EQ(net.network.lost()[0].loss, Loss::hop_limit);
}

TEST(Network, ALineTakesItsTimeAndAFullQueueDrops) {
    Scenario scenario = detour();
    scenario.links[0].way[0].rate = 100'000;
    scenario.links[0].way[0].queue_bytes = 2'000;
    Net net(scenario);
    for (int i = 0; i < 5; ++i) {
        net.network.send(0, 0, net.segment(960), {});  // 1,000 bytes: 10 ms each
    }
    EXPECT_EQ(net.network.lost().size(), 2u);
    EXPECT_EQ(net.network.lost()[0].loss, Loss::queue);
    const auto arrived = net.travel();
    EXPECT_EQ(arrived.size(), 3u);
    EXPECT_EQ(net.now, Instant{} + milliseconds(30 + 3));
    net.give_back(arrived);
}

TEST(Network, JitterKeepsTheOrder) {
    Scenario scenario = detour();
    scenario.links[0].way[0].jitter = milliseconds(20);
    Net net(scenario);
    for (std::uint64_t i = 1; i <= 50; ++i) {
        Packet* packet = net.segment(10);
        packet->number = i;
        net.network.send(0, 0, packet, Instant{} + microseconds(static_cast<std::int64_t>(i)));
    }
    const auto arrived = net.travel();
    ASSERT_EQ(arrived.size(), 50u);
    for (std::size_t i = 0; i < arrived.size(); ++i) {
        EXPECT_EQ(arrived[i]->number, i + 1);
    }
    net.give_back(arrived);
}

/// RFC 8289 §4 and RFC 3168 §5: what stands in the queue too long is marked where it can be.
TEST(Network, CodelMarksWhatUnderstandsMarks) {
    Scenario scenario = detour();
    WaySpec& way = scenario.links[0].way[0];
    way.rate = 100'000;
    way.queue = QueueKind::codel;
    way.ecn = true;
    for (const std::uint8_t ecn : {std::uint8_t{0}, std::uint8_t{2}}) {
        Net net(scenario);
        for (int i = 0; i < 100; ++i) {
            Packet* packet = net.segment(960);
            set_ecn(*packet, ecn);
            net.network.send(0, 0, packet, {});
        }
        const auto arrived = net.travel();
        std::uint64_t marked = 0;
        for (const Packet* packet : arrived) {
            marked += parse_ipv4(packet->bytes).header.ecn() == 3 ? 1U : 0U;
        }
        EXPECT_EQ(marked, net.network.counters().ecn_marks);
        EXPECT_EQ(marked > 3, ecn == 2);
        EXPECT_EQ(net.network.counters().aqm_drops > 3, ecn == 0);
        EXPECT_EQ(arrived.size() + net.network.lost().size(), 100u);
        net.give_back(arrived);
    }
}

TEST(Codel, LeavesAShortQueueAlone) {
    Codel codel;
    for (int i = 0; i < 1'000; ++i) {
        const Instant now = Instant{} + milliseconds(i);
        EXPECT_FALSE(codel.on_dequeue(now, milliseconds(4), 50'000, 1'500));
        EXPECT_FALSE(codel.on_dequeue(now, milliseconds(50), 1'000, 1'500));
    }
}

TEST(Codel, DropsAtAGrowingPaceWhileTheQueueStands) {
    Codel codel;
    std::vector<int> drops;
    for (int i = 1; i < 2'000; ++i) {
        if (codel.on_dequeue(Instant{} + milliseconds(i), milliseconds(20), 50'000, 1'500)) {
            drops.push_back(i);
        }
    }
    ASSERT_GT(drops.size(), 10u);
    EXPECT_NEAR(drops[0], 101, 1);  // an interval above the target
    EXPECT_GT(drops[1] - drops[0], drops[10] - drops[9]);
    EXPECT_NEAR(drops[4] - drops[3], 50, 2);  // 100 ms / sqrt(4)
}

}  // namespace
}  // namespace runnel::sim
