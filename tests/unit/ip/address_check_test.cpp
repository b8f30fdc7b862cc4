// New addresses on Ethernet: the check for duplicates, announcements, listener reports; routers.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace runnel::test {
namespace {

const auto kRequest = ArpPacket::Operation::request;

IpConfig checking() {
    IpConfig config = Bench::quiet();
    config.dad_transmits = 1;
    config.arp_probes = 1;
    config.arp_announcements = 2;
    return config;
}

struct CheckBench : Bench {
    explicit CheckBench(const IpConfig& config = checking()) : Bench(ethernet_link(), config, {}) {}

    std::vector<Packet> take_packets(std::uint16_t ether_type) {
        std::vector<Packet> packets;
        for (const Packet& frame : take()) {
            if (parse_ethernet(frame)->ether_type == ether_type) {
                packets.push_back(part(frame, 14, frame.size() - 14));
            }
        }
        return packets;
    }
    AddressState state(std::string_view address) {
        const std::vector<InterfaceStatus> rows = layer.interfaces();
        for (const AddressStatus& row : rows.at(interface).addresses) {
            if (row.cidr.address == ip(address)) {
                return row.state;
            }
        }
        ADD_FAILURE() << "no such address";
        return AddressState::tentative;
    }
    void check_by_another(std::string_view target) {
        NeighborSolicitation check;
        check.target = ip(target);
        const IpAddress group = solicited_node_multicast(ip(target));
        input_ethernet(ndp(check, "::", to_string(group)), group_mac(group));
    }
};

Packet duplicate_check(std::string_view target) {
    NeighborSolicitation check;
    check.target = ip(target);
    return ndp(check, "::", to_string(solicited_node_multicast(ip(target))));
}

TEST(DuplicateCheck, AsksOnceAndIsUsedMeanwhile) {  // RFC 4862 §5.4.2, RFC 4429
    CheckBench bench;
    bench.add_address("fd00::1/64");
    const auto packets = bench.take_packets(kEtherTypeIpv6);
    ASSERT_EQ(packets.size(), 2U);
    EXPECT_EQ(packets[1], duplicate_check("fd00::1"));
    EXPECT_EQ(bench.state("fd00::1"), AddressState::optimistic);
    EXPECT_TRUE(bench.layer.is_local(ip("fd00::1")));
    EXPECT_EQ(bench.layer.next_timeout(), bench.now + seconds(1));
    bench.run_to(bench.now + seconds(1));
    EXPECT_EQ(bench.state("fd00::1"), AddressState::preferred);
    EXPECT_TRUE(bench.decided(Decision::ndp_note_unique));
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never());
}

TEST(DuplicateCheck, WithoutOptimismTheAddressWaits) {
    IpConfig config = checking();
    config.optimistic_dad = false;
    CheckBench bench(config);
    bench.add_address("fd00::1/64");
    bench.add_address("10.0.0.1/24");
    EXPECT_EQ(bench.state("fd00::1"), AddressState::tentative);
    EXPECT_FALSE(bench.layer.is_local(ip("fd00::1")));
    EXPECT_FALSE(bench.layer.is_local(ip("10.0.0.1")));
    EXPECT_EQ(bench.layer.route(ip("fd00::9")), std::nullopt);
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    bench.take();
    bench.input_ethernet(ndp(solicitation, "fd00::9", "ff02::1:ff00:1"));
    EXPECT_TRUE(bench.take().empty()) << "RFC 4862 §5.4.3: silently ignored";
    bench.run_to(bench.now + seconds(1));
    EXPECT_TRUE(bench.layer.is_local(ip("fd00::1")));
    EXPECT_TRUE(bench.layer.is_local(ip("10.0.0.1")));
}

TEST(DuplicateCheck, AnOptimisticAddressDoesntDisturbOthersCaches) {  // RFC 4429 §3.3
    CheckBench bench;
    bench.add_address("fd00::1/64");
    bench.take();
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    bench.input_ethernet(ndp(solicitation, "fd00::9", "ff02::1:ff00:1"));
    NeighborAdvertisement answer;
    answer.target = ip("fd00::1");
    answer.target_mac = mac(1);
    answer.solicited = true;
    answer.override = false;
    EXPECT_EQ(bench.take_packets(kEtherTypeIpv6).at(0), ndp(answer, "fd00::1", "fd00::9"));

    OutgoingPacket packet;
    packet.source = ip("fd00::1");
    packet.destination = ip("fd00::8");
    packet.protocol = kProtocolUdp;
    bench.output(packet, pattern(8));
    NeighborSolicitation question;
    question.target = ip("fd00::8");
    EXPECT_EQ(bench.take_packets(kEtherTypeIpv6).at(0), ndp(question, "fd00::1", "ff02::1:ff00:8"))
        << "without its link-layer address";
}

TEST(DuplicateCheck, AnAnswerDisablesTheAddress) {  // RFC 4862 §5.4.4
    CheckBench bench;
    bench.add_address("fd00::1/64");
    NeighborAdvertisement answer;
    answer.target = ip("fd00::1");
    answer.target_mac = mac(9);
    answer.override = true;
    bench.input_ethernet(ndp(answer, "fd00::1", "ff02::1"), group_mac(ip("ff02::1")));
    EXPECT_TRUE(bench.decided(Decision::ndp_note_duplicate));
    EXPECT_EQ(bench.state("fd00::1"), AddressState::duplicate);
    EXPECT_FALSE(bench.layer.is_local(ip("fd00::1")));
    bench.run_to(bench.now + seconds(10));
    EXPECT_EQ(bench.state("fd00::1"), AddressState::duplicate) << "for good";
    bench.take();
    bench.check_by_another("fd00::1");
    EXPECT_TRUE(bench.take().empty()) << "it isn't ours to defend";
}

TEST(DuplicateCheck, TwoThatCheckAtOnceBothGiveUp) {  // RFC 4862 §5.4.3
    CheckBench bench;
    bench.add_address("fd00::1/64");
    bench.check_by_another("fd00::1");
    EXPECT_EQ(bench.state("fd00::1"), AddressState::duplicate);
}

TEST(DuplicateCheck, OurOwnFrameThatComesBackIsNoDuplicate) {  // RFC 7527 §1
    CheckBench bench;
    bench.add_address("fd00::1/64");
    for (const Packet& frame : bench.take()) {
        bench.input(frame);
    }
    EXPECT_EQ(bench.state("fd00::1"), AddressState::optimistic);
    EXPECT_TRUE(bench.decided(Decision::eth_drop_own_frame));
}

TEST(DuplicateCheck, RawIpLinksHaveNone) {
    Bench bench(Bench::raw(), checking(), {});
    bench.add_address("fd00::1/64");
    bench.add_address("10.0.0.1/24");
    EXPECT_TRUE(bench.take().empty());
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never());
}

// --- IPv4, RFC 5227 --------------------------------------------------------------------------------------

TEST(ArpCheck, ProbesThenAnnouncesTwice) {
    CheckBench bench;
    const Instant start = bench.now;
    bench.add_address("10.0.0.1/24");
    EXPECT_EQ(bench.take_packets(kEtherTypeArp),
              (std::vector<Packet>{arp(kRequest, mac(1), "0.0.0.0", {}, "10.0.0.1")}));
    EXPECT_TRUE(bench.layer.is_local(ip("10.0.0.1")));
    const std::vector<Packet> announcement = {arp(kRequest, mac(1), "10.0.0.1", {}, "10.0.0.1")};
    bench.run_to(start + seconds(1));
    EXPECT_EQ(bench.take_packets(kEtherTypeArp), announcement);
    bench.run_to(start + seconds(3));
    EXPECT_EQ(bench.take_packets(kEtherTypeArp), announcement);
    bench.run_to(start + seconds(30));
    EXPECT_TRUE(bench.take().empty());
    EXPECT_EQ(bench.state("10.0.0.1"), AddressState::preferred);
}

TEST(ArpCheck, AConflictWhileProbingDisablesTheAddress) {
    for (const Packet& conflict :
         {arp(kRequest, mac(9), "10.0.0.1", {}, "10.0.0.1"),
          arp(ArpPacket::Operation::reply, mac(9), "10.0.0.1", mac(1), "0.0.0.0"),
          arp(kRequest, mac(9), "0.0.0.0", {}, "10.0.0.1")}) {
        CheckBench bench;
        bench.add_address("10.0.0.1/24");
        bench.input_arp(conflict);
        EXPECT_EQ(bench.state("10.0.0.1"), AddressState::duplicate);
        EXPECT_TRUE(bench.decided(Decision::arp_note_duplicate));
        bench.take();
        bench.input_arp(arp(kRequest, mac(8), "10.0.0.8", {}, "10.0.0.1"));
        EXPECT_TRUE(bench.take().empty()) << "it isn't ours to answer for";
    }
}

TEST(ArpCheck, AnEstablishedAddressIsDefendedButNotInAFrenzy) {  // RFC 5227 §2.4 (c)
    CheckBench bench;
    bench.add_address("10.0.0.1/24");
    bench.run_to(bench.now + seconds(30));
    bench.take();
    const Packet conflict = arp(kRequest, mac(9), "10.0.0.1", {}, "10.0.0.7");
    bench.input_arp(conflict);
    EXPECT_EQ(bench.take_packets(kEtherTypeArp),
              (std::vector<Packet>{arp(kRequest, mac(1), "10.0.0.1", {}, "10.0.0.1")}));
    bench.input_arp(conflict);
    EXPECT_TRUE(bench.take().empty());
    EXPECT_TRUE(bench.decided(Decision::arp_note_conflict));
    bench.now = bench.now + seconds(10);
    bench.input_arp(conflict);
    EXPECT_EQ(bench.take().size(), 1U);
    EXPECT_EQ(bench.state("10.0.0.1"), AddressState::preferred);
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty()) << "we are not our own neighbour";
}

// --- listener reports ------------------------------------------------------------------------------------

TEST(ListenerReport, SaysWhichGroupANewAddressListensTo) {  // RFC 3810 §5.2
    CheckBench bench;
    bench.add_address("fe80::1/64");
    const Packet report = bench.take_packets(kEtherTypeIpv6).at(0);
    const auto header = parse_ipv6(report).header;
    EXPECT_EQ(header.hop_limit, 1);
    EXPECT_EQ(header.destination, ip("ff02::16"));
    EXPECT_TRUE(header.source.is_unspecified()) << "RFC 3590: no checked address yet";
    EXPECT_EQ(header.next_header, kProtocolHopByHop);
    EXPECT_EQ(part(report, 40, 8),
              (Packet{std::byte{58}, std::byte{0}, std::byte{5}, std::byte{2}, std::byte{0},
                      std::byte{0}, std::byte{1}, std::byte{0}}));
    const auto message = parse_icmpv6(Bytes(report).subspan(48), header.source, header.destination);
    ASSERT_FALSE(message.error);
    EXPECT_EQ(static_cast<int>(message.message.type), 143);
    EXPECT_EQ(message.message.rest, 1U) << "one record";
    const Bytes record = message.message.body;
    EXPECT_EQ(record[0], std::byte{4}) << "change to exclude: join";
    EXPECT_EQ(IpAddress::from_bytes(record.subspan(4, 16)), ip("ff02::1:ff00:1"));
}

TEST(ListenerReport, AnswersQueriesButNotMoreThanOnceASecond) {
    CheckBench bench;
    for (int i = 1; i <= 6; ++i) {
        bench.add_address("fd00::" + std::to_string(i) + "/64");
    }
    bench.run_to(bench.now + seconds(2));
    bench.take();
    const auto query = [&] {
        bench.input_ethernet(ipv6(
            "fe80::9", "ff02::1", kProtocolIcmpv6,
            icmpv6(static_cast<Icmpv6Message::Type>(130), 0, 0, Packet(20), "fe80::9", "ff02::1"),
            1));
        return bench.take_packets(kEtherTypeIpv6);
    };
    const auto reports = query();
    ASSERT_EQ(reports.size(), 2U) << "four groups and two";
    EXPECT_EQ(reports[0].size(), 40U + 8 + 8 + 4 * 20);
    EXPECT_EQ(reports[1].size(), 40U + 8 + 8 + 2 * 20);
    EXPECT_TRUE(query().empty());
    bench.now = bench.now + seconds(1);
    EXPECT_EQ(query().size(), 2U);
}

// --- routers ---------------------------------------------------------------------------------------------

struct RouterBench : CheckBench {
    RouterBench() : CheckBench(with_solicitations()) { add_address("fe80::1/64"); }
    static IpConfig with_solicitations() {
        IpConfig config = Bench::quiet();
        config.router_solicitations = 3;
        return config;
    }
    static RouterAdvertisement advertisement() {
        RouterAdvertisement value;
        value.router_lifetime = 1800;
        value.source_mac = mac(9);
        value.mtu = 1400;
        PrefixInformation prefix;
        prefix.prefix = ip("2001:db8:5::");
        prefix.prefix_length = 64;
        prefix.on_link = true;
        prefix.valid_lifetime = 3600;
        value.prefixes.push_back(prefix);
        return value;
    }
    void hear(const RouterAdvertisement& value, std::string_view from = "fe80::9") {
        input_ethernet(ndp(value, from, "ff02::1"), group_mac(ip("ff02::1")));
    }
};

TEST(Routers, AreAskedForThreeTimes) {  // RFC 4861 §6.3.7
    RouterBench bench;
    const Instant start = bench.now;
    bench.take();
    bench.run_to(start);
    RouterSolicitation question;
    question.source_mac = mac(1);
    EXPECT_EQ(bench.take_packets(kEtherTypeIpv6),
              (std::vector<Packet>{ndp(question, "fe80::1", "ff02::2")}));
    bench.run_to(start + seconds(60));
    EXPECT_EQ(bench.take().size(), 2U);
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never());
}

TEST(Routers, TeachRoutesPrefixesAndMtu) {
    RouterBench bench;
    bench.add_address("2001:db8::1/64");
    bench.hear(RouterBench::advertisement());
    EXPECT_TRUE(bench.decided(Decision::ndp_accept_router_advertisement));
    const RouteChoice far{bench.interface, ip("fe80::9"), ip("2001:db8::1"), 1400};
    EXPECT_EQ(bench.layer.route(ip("2001:db8:9::9")), far);
    EXPECT_EQ(bench.layer.route(ip("2001:db8:5::9"))->next_hop, ip("2001:db8:5::9"));
    EXPECT_EQ(bench.layer.interfaces().at(0).mtu_v6, 1400U);
    ASSERT_EQ(bench.layer.neighbors(bench.now).size(), 1U);
    EXPECT_TRUE(bench.layer.neighbors(bench.now)[0].is_router);
    bench.take();
    bench.run_to(bench.now + seconds(60));
    EXPECT_TRUE(bench.take().empty()) << "no more need to ask";
    bench.run_to(bench.now + seconds(1740));
    EXPECT_EQ(bench.layer.route(ip("2001:db8:9::9")), std::nullopt) << "its lifetime is over";
    EXPECT_TRUE(bench.decided(Decision::ndp_note_router_expired));
    EXPECT_TRUE(bench.layer.route(ip("2001:db8:5::9")).has_value());
    bench.run_to(bench.now + seconds(1800));
    EXPECT_EQ(bench.layer.route(ip("2001:db8:5::9")), std::nullopt);
}

TEST(Routers, CanResignInTwoWays) {
    RouterBench bench;
    bench.add_address("2001:db8::1/64");
    bench.hear(RouterBench::advertisement());
    RouterAdvertisement last = RouterBench::advertisement();
    last.router_lifetime = 0;
    bench.hear(last);
    EXPECT_EQ(bench.layer.route(ip("2001:db8:9::9")), std::nullopt);
    bench.hear(RouterBench::advertisement());
    EXPECT_TRUE(bench.layer.route(ip("2001:db8:9::9")).has_value());
    NeighborAdvertisement host;  // RFC 4861 §7.2.5: the router flag is gone
    host.target = ip("fe80::9");
    host.target_mac = mac(9);
    host.solicited = host.override = true;
    bench.input_ethernet(ndp(host, "fe80::9", "fe80::1"));
    EXPECT_EQ(bench.layer.route(ip("2001:db8:9::9")), std::nullopt);
}

TEST(Routers, AreOnlyBelievedFromTheirLink) {
    RouterBench bench;
    bench.hear(RouterBench::advertisement(), "fd00::9");
    EXPECT_TRUE(bench.decided(Decision::ndp_drop_bad_source));
    bench.input_ethernet(ndp(RouterBench::advertisement(), "fe80::9", "ff02::1", 254));
    EXPECT_TRUE(bench.decided(Decision::ndp_drop_hop_limit));
    RouterAdvertisement silly = RouterBench::advertisement();
    silly.mtu = 1279;
    bench.hear(silly);
    EXPECT_EQ(bench.layer.interfaces().at(0).mtu_v6, 1500U) << "below IPv6's minimum";
    silly.mtu = 9000;
    bench.hear(silly);
    EXPECT_EQ(bench.layer.interfaces().at(0).mtu_v6, 1500U) << "above the link's own";
}

TEST(Routers, AreKeptInABoundedNumber) {
    RouterBench bench;
    for (int i = 16; i < 64; ++i) {
        RouterAdvertisement value = RouterBench::advertisement();
        value.prefixes[0].prefix = ip("2001:db8:" + std::to_string(i) + "::");
        bench.hear(value, "fe80::" + std::to_string(i));
    }
    std::size_t defaults = 0;
    std::size_t prefixes = 0;
    for (const Route& route : bench.layer.routes()) {
        defaults += route.gateway ? 1U : 0U;
        prefixes += route.metric == 256 ? 1U : 0U;
    }
    EXPECT_EQ(defaults, 8U);
    EXPECT_EQ(prefixes, 32U);
}

TEST(Routers, CanBeIgnored) {
    IpConfig config = Bench::quiet();
    config.accept_router_advertisements = false;
    CheckBench bench(config);
    bench.add_address("fe80::1/64");
    bench.input_ethernet(ndp(RouterBench::advertisement(), "fe80::9", "ff02::1"));
    EXPECT_TRUE(bench.decided(Decision::ndp_drop_router_advertisement));
    EXPECT_EQ(bench.layer.routes().size(), 1U);
}

}  // namespace
}  // namespace runnel::test
