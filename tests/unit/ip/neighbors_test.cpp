// Ethernet: which frames are taken, and how neighbours are found and lost (ARP, NDP, RFC 4861 §7.3).
#include <gtest/gtest.h>

#include "bench.hpp"
#include "runnel/ip/neighbor_cache.hpp"

namespace runnel::test {
namespace {

const auto kRequest = ArpPacket::Operation::request;
const auto kReply = ArpPacket::Operation::reply;

/// A frame's Ethernet header and payload.
struct Sent {
    EthernetHeader ethernet;
    Packet packet;
};
Sent sent_frame(const Packet& frame) {
    const auto header = parse_ethernet(frame);
    EXPECT_TRUE(header.has_value());
    return {*header, part(frame, 14, frame.size() - 14)};
}

struct EthernetBench : Bench {
    explicit EthernetBench(const IpConfig& config = quiet(),
                           std::vector<std::string_view> addresses = {"10.0.0.1/24", "fd00::1/64",
                                                                      "fe80::1/64"})
        : Bench(ethernet_link(), config, std::move(addresses)) {}

    Decision send(std::string_view destination, unsigned mark = 0) {
        OutgoingPacket packet;
        packet.destination = ip(destination);
        packet.source = packet.destination.is_v4() ? ip("10.0.0.1") : ip("fd00::1");
        packet.protocol = kProtocolUdp;
        return output(packet, udp("10.0.0.1", "10.0.0.9", pattern(10, mark)));
    }
    std::vector<Sent> take_frames() {
        std::vector<Sent> frames;
        for (const Packet& packet : take()) {
            frames.push_back(sent_frame(packet));
        }
        return frames;
    }
    void arp_reply(std::string_view sender, std::uint8_t mac_byte) {
        input(ethernet(mac(1), mac(mac_byte), kEtherTypeArp,
                       arp(kReply, mac(mac_byte), sender, mac(1), "10.0.0.1")));
    }
    void advertise(std::string_view target, std::uint8_t mac_byte, bool solicited = true,
                   bool override_mac = true, bool router = false) {
        NeighborAdvertisement advertisement;
        advertisement.target = ip(target);
        advertisement.target_mac = mac(mac_byte);
        advertisement.solicited = solicited;
        advertisement.override = override_mac;
        advertisement.router = router;
        input_ethernet(ndp(advertisement, target, solicited ? "fd00::1" : "ff02::1"));
    }
    std::optional<NeighborStatus> neighbor(std::string_view address) {
        for (const NeighborStatus& row : layer.neighbors(now)) {
            if (row.address == ip(address)) {
                return row;
            }
        }
        return std::nullopt;
    }
};

// --- frames ----------------------------------------------------------------------------------------------

TEST(Ethernet, TakesWhatIsForUsAndForGroups) {
    EthernetBench bench;
    const Packet packet = ipv4("10.0.0.9", "10.0.0.1", kProtocolTcp, pattern(20));
    InputResult result = bench.input_ethernet(packet + Packet(6));
    EXPECT_TRUE(std::get<Datagram>(result).to_unicast);
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), pattern(20));
    result = bench.input_ethernet(packet, MacAddress::broadcast());
    EXPECT_FALSE(std::get<Datagram>(result).to_unicast)
        << "RFC 1122 §3.3.6: not by its link-layer destination";
}

TEST(Ethernet, DropsTheRestByName) {
    EthernetBench bench;
    const Packet packet = ipv4("10.0.0.9", "10.0.0.1", kProtocolTcp, pattern(20));
    const auto decide = [&](const Packet& frame) {
        EXPECT_TRUE(nothing(bench.input(frame)));
        return bench.decision();
    };
    EXPECT_EQ(decide({}), Decision::eth_drop_truncated);
    EXPECT_EQ(decide(Packet(13)), Decision::eth_drop_truncated);
    EXPECT_EQ(decide(ethernet(mac(2), mac(9), kEtherTypeIpv4, packet)),
              Decision::eth_drop_not_for_us);
    EXPECT_EQ(decide(ethernet(mac(1), mac(1), kEtherTypeIpv4, packet)),
              Decision::eth_drop_own_frame);
    EXPECT_EQ(decide(ethernet(mac(1), mac(9), 0x88cc, packet)), Decision::eth_drop_unknown_type);
    EXPECT_EQ(decide(ethernet(mac(1), mac(9), kEtherTypeIpv6, packet)),
              Decision::ip_drop_bad_version);
    EXPECT_EQ(decide(ethernet(mac(1), mac(9), kEtherTypeIpv4, {})), Decision::ip_drop_truncated);
}

TEST(Ethernet, VlansAreNotOursButAPriorityTagIsNone) {
    EthernetBench bench;
    const Packet packet = ipv4("10.0.0.9", "10.0.0.1", kProtocolTcp, pattern(20));
    const auto tagged = [&](std::uint16_t control) {
        EthernetHeader header;
        header.destination = mac(1);
        header.source = mac(9);
        header.ether_type = kEtherTypeIpv4;
        header.tags.push_back({kEtherTypeVlan, control});
        Packet bytes(18);
        emit_ethernet(header, bytes);
        return bench.input(bytes + packet);
    };
    EXPECT_TRUE(nothing(tagged(0x2005)));
    EXPECT_EQ(bench.decision(), Decision::eth_drop_vlan);
    EXPECT_TRUE(std::holds_alternative<Datagram>(tagged(0x2000)));
}

TEST(Ethernet, OffloadOffsetsMoveWithTheHeader) {
    LinkCapabilities link = Bench::ethernet_link();
    link.checksum_offload = link.tso4 = true;
    Bench bench(link);
    bench.input_arp(arp(kRequest, mac(9), "10.0.0.9", {}, "10.0.0.1"));
    bench.forget();
    OutgoingPacket packet;
    packet.source = ip("10.0.0.1");
    packet.destination = ip("10.0.0.9");
    packet.protocol = kProtocolTcp;
    packet.checksum_offset = 16;
    packet.gso_size = 1000;
    EXPECT_EQ(bench.output(packet, pattern(20), pattern(5000)), Decision::ip_transmit);
    const Offload& offload = bench.layer.pending().at(0).offload;
    EXPECT_EQ(offload.csum_start, 34);
    EXPECT_EQ(offload.header_length, 54);
    // And back: as another host would get it.
    Frame frame =
        bench.frame_of(ethernet(mac(1), mac(9), kEtherTypeIpv4,
                                ipv4("10.0.0.9", "10.0.0.1", kProtocolTcp, pattern(3000))),
                       offload);
    const InputResult result = bench.layer.input(std::move(frame), bench.now);
    EXPECT_EQ(std::get<Datagram>(result).offload.csum_start, 0);
    EXPECT_EQ(std::get<Datagram>(result).offload.header_length, 20);
}

// --- ARP -------------------------------------------------------------------------------------------------

TEST(Arp, APacketWaitsForTheAnswerAndThenGoes) {
    EthernetBench bench;
    EXPECT_EQ(bench.send("10.0.0.9", 1), Decision::ip_hold_resolution);
    EXPECT_EQ(bench.send("10.0.0.9", 2), Decision::ip_hold_resolution);
    auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U) << "one question for both";
    EXPECT_EQ(frames[0].ethernet.destination, MacAddress::broadcast());
    EXPECT_EQ(frames[0].ethernet.source, mac(1));
    EXPECT_EQ(frames[0].ethernet.ether_type, kEtherTypeArp);
    EXPECT_EQ(frames[0].packet, arp(kRequest, mac(1), "10.0.0.1", {}, "10.0.0.9"));
    EXPECT_EQ(bench.neighbor("10.0.0.9")->queued, 2);

    bench.arp_reply("10.0.0.9", 9);
    frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 2U);
    for (unsigned i = 0; i < 2; ++i) {
        EXPECT_EQ(frames[i].ethernet.destination, mac(9));
        EXPECT_EQ(frames[i].ethernet.ether_type, kEtherTypeIpv4);
        EXPECT_EQ(part(frames[i].packet, 28, 10), pattern(10, i + 1)) << "in order";
    }
    EXPECT_EQ(bench.neighbor("10.0.0.9")->state, NeighborState::reachable);
    EXPECT_EQ(bench.send("10.0.0.9"), Decision::ip_transmit);
    EXPECT_EQ(bench.take_frames().size(), 1U);
}

TEST(Arp, AGatewayIsResolvedNotTheDestination) {
    EthernetBench bench;
    Route route;
    route.destination = cidr("0.0.0.0/0");
    route.gateway = ip("10.0.0.254");
    ASSERT_TRUE(bench.layer.add_route(route));
    bench.send("8.8.8.8");
    EXPECT_EQ(bench.take_frames().at(0).packet,
              arp(kRequest, mac(1), "10.0.0.1", {}, "10.0.0.254"));
}

TEST(Arp, ASilentNeighbourIsGivenUpAfterThreeQuestionsAndTheSenderTold) {
    EthernetBench bench;
    const Instant start = bench.now;
    bench.send("10.0.0.9");
    EXPECT_EQ(bench.take().size(), 1U);
    bench.run_to(start + milliseconds(2999));
    EXPECT_EQ(bench.take().size(), 2U);
    EXPECT_FALSE(bench.layer.has_local());
    bench.run_to(start + seconds(3));
    EXPECT_TRUE(bench.take().empty());
    ASSERT_TRUE(bench.layer.has_local());
    const InputResult result = bench.layer.poll_local(bench.now);
    const IcmpError& error = std::get<IcmpError>(result);
    EXPECT_EQ(error.kind, IcmpError::Kind::host_unreachable);
    EXPECT_EQ(error.quoted_destination, ip("10.0.0.9"));
    EXPECT_EQ(error.transport_size, 18);
    EXPECT_TRUE(bench.decided(Decision::ip_drop_neighbor_unreachable));
    EXPECT_FALSE(bench.neighbor("10.0.0.9").has_value());
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never());
    EXPECT_EQ(bench.pool.bytes_in_use(), 0U);
}

TEST(Arp, TheQueueBehindAResolutionIsBoundedAndLosesItsOldest) {
    EthernetBench bench;
    for (unsigned i = 0; i < 70; ++i) {
        bench.send("10.0.0.9", i);
    }
    EXPECT_EQ(bench.recorder.count(Decision::ip_drop_neighbor_queue), 6U);
    bench.take();
    bench.arp_reply("10.0.0.9", 9);
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 64U);
    EXPECT_EQ(part(frames[0].packet, 28, 10), pattern(10, 6));
    EXPECT_EQ(part(frames[63].packet, 28, 10), pattern(10, 69));
}

TEST(Arp, AllQueuesTogetherAreBounded) {
    EthernetBench bench(Bench::quiet(), {"10.0.0.1/8"});
    for (std::uint32_t i = 0; i < 1200; ++i) {
        bench.send(to_string(IpAddress::v4(0x0a010000 + i)));
        bench.take();
    }
    EXPECT_TRUE(bench.decided(Decision::ip_drop_neighbor_table));
    std::size_t queued = 0;
    for (const NeighborStatus& row : bench.layer.neighbors(bench.now)) {
        queued += row.queued;
    }
    EXPECT_EQ(queued, 512U);
    EXPECT_LE(bench.layer.neighbors(bench.now).size(), 1024U);
}

TEST(Arp, RequestsForUsAreAnsweredAndTeach) {
    EthernetBench bench;
    bench.input_arp(arp(kRequest, mac(9), "10.0.0.9", {}, "10.0.0.1"));
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9));
    EXPECT_EQ(frames[0].packet, arp(kReply, mac(1), "10.0.0.1", mac(9), "10.0.0.9"));
    EXPECT_EQ(bench.decision(), Decision::arp_transmit_reply);
    EXPECT_EQ(bench.neighbor("10.0.0.9")->state, NeighborState::stale);
    EXPECT_EQ(bench.send("10.0.0.9"), Decision::ip_transmit) << "no question needed";
}

TEST(Arp, AProbeForUsIsAnsweredButTeachesNothing) {
    EthernetBench bench;
    bench.input_arp(arp(kRequest, mac(9), "0.0.0.0", {}, "10.0.0.1"));
    EXPECT_EQ(bench.take_frames().size(), 1U);
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty());
}

TEST(Arp, OthersBusinessOnlyUpdatesWhomWeKnow) {
    EthernetBench bench;
    bench.input_arp(arp(kRequest, mac(9), "10.0.0.9", {}, "10.0.0.8"));
    EXPECT_EQ(bench.decision(), Decision::arp_drop_not_for_us);
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty());
    bench.input_arp(arp(kRequest, mac(9), "10.0.0.9", {}, "10.0.0.1"));
    bench.forget();
    bench.input_arp(arp(kRequest, mac(7), "10.0.0.9", {}, "10.0.0.9"), mac(7));
    EXPECT_EQ(bench.decision(), Decision::arp_accept_update);
    EXPECT_EQ(bench.neighbor("10.0.0.9")->mac, mac(7)) << "an announcement";
    EXPECT_TRUE(bench.take().empty());
}

TEST(Arp, DamageAndNonsenseAreDroppedByName) {
    EthernetBench bench;
    const auto decide = [&](const Packet& packet) {
        bench.input_arp(packet);
        return bench.decision();
    };
    EXPECT_EQ(decide(Packet(27)), Decision::arp_drop_malformed);
    EXPECT_EQ(decide(Packet(28)), Decision::arp_drop_malformed);
    EXPECT_EQ(decide(arp(kRequest, MacAddress::broadcast(), "10.0.0.9", {}, "10.0.0.1")),
              Decision::arp_drop_bad_sender);
    EXPECT_EQ(decide(arp(kRequest, mac(9), "224.0.0.1", {}, "10.0.0.1")),
              Decision::arp_drop_bad_sender);
    EXPECT_EQ(decide(arp(kReply, mac(9), "10.0.0.77", mac(1), "10.0.0.1")),
              Decision::arp_drop_unsolicited);
    EXPECT_TRUE(bench.take().empty());
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty());
}

// --- NDP -------------------------------------------------------------------------------------------------

TEST(Ndp, APacketWaitsForTheAnswerAndThenGoes) {
    EthernetBench bench;
    EXPECT_EQ(bench.send("fd00::9"), Decision::ip_hold_resolution);
    auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, group_mac(ip("ff02::1:ff00:9")));
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::9");
    solicitation.source_mac = mac(1);
    EXPECT_EQ(frames[0].packet, ndp(solicitation, "fd00::1", "ff02::1:ff00:9"));

    bench.advertise("fd00::9", 9);
    EXPECT_EQ(bench.decisions().back(), Decision::ndp_accept_advertisement);
    frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9));
    EXPECT_EQ(frames[0].ethernet.ether_type, kEtherTypeIpv6);
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::reachable);
}

TEST(Ndp, SolicitationsForUsAreAnsweredAndTeach) {
    EthernetBench bench;
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    bench.input_ethernet(ndp(solicitation, "fd00::9", "ff02::1:ff00:1"),
                         group_mac(ip("ff02::1:ff00:1")));
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9));
    NeighborAdvertisement answer;
    answer.target = ip("fd00::1");
    answer.target_mac = mac(1);
    answer.solicited = answer.override = true;
    EXPECT_EQ(frames[0].packet, ndp(answer, "fd00::1", "fd00::9"));
    EXPECT_EQ(bench.neighbor("fd00::9")->mac, mac(9));
}

TEST(Ndp, ADuplicateCheckOfAnotherIsAnsweredToAll) {  // RFC 4861 §7.2.4
    EthernetBench bench;
    NeighborSolicitation check;
    check.target = ip("fd00::1");
    bench.input_ethernet(ndp(check, "::", "ff02::1:ff00:1"), group_mac(ip("ff02::1:ff00:1")));
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    NeighborAdvertisement answer;
    answer.target = ip("fd00::1");
    answer.target_mac = mac(1);
    answer.override = true;
    EXPECT_EQ(frames[0].packet, ndp(answer, "fd00::1", "ff02::1"));
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty());
}

TEST(Ndp, MessagesThatBreakARuleAreDroppedByName) {
    EthernetBench bench;
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    const auto decide = [&](const Packet& packet) {
        bench.input_ethernet(packet);
        return bench.decision();
    };
    EXPECT_EQ(decide(ndp(solicitation, "fd00::9", "fd00::1", 254)), Decision::ndp_drop_hop_limit);
    EXPECT_EQ(decide(ndp(solicitation, "::", "ff02::1:ff00:1")), Decision::ndp_drop_malformed)
        << "a check for duplicates has no source link-layer address";
    NeighborSolicitation check;
    check.target = ip("fd00::1");
    EXPECT_EQ(decide(ndp(check, "::", "ff02::1")), Decision::ndp_drop_malformed)
        << "and goes to the solicited-node group";
    solicitation.source_mac = MacAddress::broadcast();
    EXPECT_EQ(decide(ndp(solicitation, "fd00::9", "fd00::1")), Decision::ndp_drop_malformed);
    solicitation.source_mac = mac(9);
    solicitation.target = ip("fd00::2");
    EXPECT_EQ(decide(ndp(solicitation, "fd00::9", "ff02::1:ff00:1")),
              Decision::ndp_drop_not_for_us);
    NeighborAdvertisement advertisement;
    advertisement.target = ip("fd00::9");
    advertisement.target_mac = mac(9);
    EXPECT_EQ(decide(ndp(advertisement, "fd00::9", "ff02::1")), Decision::ndp_drop_unsolicited);
    advertisement.solicited = true;
    EXPECT_EQ(decide(ndp(advertisement, "fd00::9", "ff02::1")), Decision::ndp_drop_malformed);
    EXPECT_EQ(decide(ndp(Redirect{ip("fe80::9"), ip("fd00::9"), {}}, "fe80::9", "fd00::1")),
              Decision::ndp_drop_redirect);
    EXPECT_EQ(decide(ndp(RouterSolicitation{}, "fe80::9", "ff02::1")),
              Decision::ndp_drop_router_solicitation);
    EXPECT_TRUE(bench.take().empty());
    EXPECT_TRUE(bench.layer.neighbors(bench.now).empty());
}

TEST(Ndp, FragmentsAreNotTrusted) {  // RFC 6980 §5
    EthernetBench bench;
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    const Packet whole = ndp(solicitation, "fd00::9", "fd00::1");
    Packet field(kIpv6FragmentHeaderSize);
    Ipv6Fragment atomic;
    atomic.next_header = kProtocolIcmpv6;
    emit_ipv6_fragment(atomic, field);
    bench.input_ethernet(ipv6("fd00::9", "fd00::1", kProtocolFragment,
                              field + part(whole, 40, whole.size() - 40), 255));
    EXPECT_EQ(bench.decisions().back(), Decision::ndp_drop_fragmented);
    EXPECT_TRUE(bench.take().empty());
}

TEST(Ndp, AnAnnouncementOfOurAddressByAnotherIsNoted) {
    EthernetBench bench;
    bench.advertise("fd00::1", 9, false);
    EXPECT_EQ(bench.decision(), Decision::ndp_note_conflict);
    EXPECT_TRUE(bench.layer.is_local(ip("fd00::1")));
}

// --- reachability, RFC 4861 §7.3.2 -----------------------------------------------------------------------

TEST(Reachability, GoesThroughStaleDelayAndProbeToGone) {
    EthernetBench bench;
    bench.send("fd00::9");
    bench.advertise("fd00::9", 9);
    bench.take();
    // Reachable between 15 and 45 seconds.
    bench.run_to(bench.now + seconds(14));
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::reachable);
    bench.run_to(bench.now + seconds(32));
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::stale);
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never()) << "idle neighbours need no timer";

    const Instant sent_at = bench.now;
    EXPECT_EQ(bench.send("fd00::9"), Decision::ip_transmit) << "a stale address is used";
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::delay);
    EXPECT_EQ(bench.layer.next_timeout(), sent_at + seconds(5));
    bench.take();
    bench.run_to(sent_at + seconds(5));
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::probe);
    auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9)) << "probes are unicast";
    NeighborSolicitation probe;
    probe.target = ip("fd00::9");
    probe.source_mac = mac(1);
    EXPECT_EQ(frames[0].packet, ndp(probe, "fd00::1", "fd00::9"));
    EXPECT_EQ(bench.send("fd00::9"), Decision::ip_transmit);
    bench.take();
    bench.run_to(sent_at + seconds(7));
    EXPECT_EQ(bench.take().size(), 2U);
    bench.run_to(sent_at + seconds(8));
    EXPECT_FALSE(bench.neighbor("fd00::9").has_value());
    EXPECT_EQ(bench.send("fd00::9"), Decision::ip_hold_resolution) << "it is asked for again";
}

TEST(Reachability, AnAnswerToAProbeConfirms) {
    EthernetBench bench;
    bench.send("10.0.0.9");
    bench.arp_reply("10.0.0.9", 9);
    bench.now = bench.now + seconds(46);
    bench.send("10.0.0.9");
    bench.take();
    bench.run_to(bench.now + seconds(5));
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9));
    EXPECT_EQ(frames[0].packet, arp(kRequest, mac(1), "10.0.0.1", {}, "10.0.0.9"));
    bench.arp_reply("10.0.0.9", 9);
    EXPECT_EQ(bench.neighbor("10.0.0.9")->state, NeighborState::reachable);
}

TEST(Reachability, ATransportThatHearsBackNeedsNoProbe) {  // RFC 4861 §7.3.1
    EthernetBench bench;
    bench.send("10.0.0.9");
    bench.arp_reply("10.0.0.9", 9);
    bench.take();
    for (int i = 0; i < 100; ++i) {
        bench.now = bench.now + seconds(10);
        bench.send("10.0.0.9");
        bench.layer.confirm_neighbor(ip("10.0.0.9"), bench.now);
        bench.layer.on_timeout(bench.now);
        EXPECT_EQ(bench.neighbor("10.0.0.9")->state, NeighborState::reachable);
        EXPECT_EQ(bench.take().size(), 1U) << "nothing but the packet itself";
    }
}

// Proves: MUST-20
TEST(Reachability, ASuspectIsAskedAtOnceAndForgottenWhenSilent) {  // RFC 1122 §3.3.1.4
    EthernetBench bench;
    bench.send("10.0.0.9");
    bench.arp_reply("10.0.0.9", 9);
    bench.take();
    bench.layer.suspect_neighbor(ip("10.0.0.9"), bench.now);
    bench.layer.suspect_neighbor(ip("10.0.0.77"), bench.now);  // unknown: nothing to ask
    bench.run_to(bench.now);
    const auto frames = bench.take_frames();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].ethernet.destination, mac(9)) << "no broadcast: only whether it is there";
    bench.arp_reply("10.0.0.9", 9);
    EXPECT_EQ(bench.neighbor("10.0.0.9")->state, NeighborState::reachable);
    // And when nobody answers, the next packet looks for whoever has the address now.
    bench.layer.suspect_neighbor(ip("10.0.0.9"), bench.now);
    bench.run_to(bench.now + seconds(5));
    EXPECT_FALSE(bench.neighbor("10.0.0.9").has_value());
    EXPECT_EQ(bench.send("10.0.0.9"), Decision::ip_hold_resolution);
}

TEST(Reachability, AdvertisementsFollowTheTableOfRfc4861) {  // §7.2.5
    struct Row {
        bool solicited, override_mac, same_mac;
        NeighborState expected;
        std::uint8_t expected_mac;
    };
    const Row rows[] = {
        {true, true, true, NeighborState::reachable, 9},
        {true, true, false, NeighborState::reachable, 7},
        {true, false, true, NeighborState::reachable, 9},
        {true, false, false, NeighborState::stale, 9},
        {false, true, true, NeighborState::reachable, 9},
        {false, true, false, NeighborState::stale, 7},
        {false, false, true, NeighborState::reachable, 9},
        {false, false, false, NeighborState::stale, 9},
    };
    for (const Row& row : rows) {
        EthernetBench bench;
        bench.send("fd00::9");
        bench.advertise("fd00::9", 9);
        bench.advertise("fd00::9", row.same_mac ? 9 : 7, row.solicited, row.override_mac);
        EXPECT_EQ(bench.neighbor("fd00::9")->state, row.expected);
        EXPECT_EQ(bench.neighbor("fd00::9")->mac, mac(row.expected_mac));
    }
    // Onto a STALE entry, without override and with another address: no effect at all.
    EthernetBench bench;
    bench.send("fd00::9");
    bench.advertise("fd00::9", 9);
    bench.now = bench.now + seconds(46);
    bench.advertise("fd00::9", 7, true, false);
    EXPECT_EQ(bench.neighbor("fd00::9")->state, NeighborState::stale);
    EXPECT_EQ(bench.neighbor("fd00::9")->mac, mac(9));
}

TEST(Reachability, ANewMacAddressIsUsedAtOnce) {
    EthernetBench bench;
    bench.send("10.0.0.9");
    bench.arp_reply("10.0.0.9", 9);
    bench.send("10.0.0.9");
    bench.arp_reply("10.0.0.9", 7);
    bench.take();
    bench.send("10.0.0.9");
    EXPECT_EQ(bench.take_frames().at(0).ethernet.destination, mac(7));
}

TEST(NeighborCache, AFullCacheForgetsWhoIsIdleNotWhoIsAskedFor) {
    NeighborCache cache(Bench::quiet(), SipKey{3, 4});
    Instant now{seconds(1).ns};
    for (std::uint32_t i = 0; i < 5000; ++i) {
        now = now + milliseconds(1);
        cache.learn(0, IpAddress::v4(0x0a000000 + i), mac(9), now);
    }
    EXPECT_EQ(cache.status(now).size(), NeighborCache::kCapacity);
    EXPECT_NE(cache.find(0, IpAddress::v4(0x0a000000 + 4999)), nullptr) << "the newest is there";
    EXPECT_EQ(cache.find(0, IpAddress::v4(0x0a000000)), nullptr);
    // One in use with a frame behind it survives a flood.
    const auto wanted = cache.use(0, ip("10.9.9.9"), now);
    Frame frame;
    EXPECT_EQ(cache.hold(wanted.ref, std::move(frame)), NeighborCache::Held::kept);
    for (std::uint32_t i = 0; i < 5000; ++i) {
        now = now + milliseconds(1);
        cache.learn(0, IpAddress::v4(0x0b000000 + i), mac(9), now);
    }
    EXPECT_NE(cache.find(wanted.ref), nullptr);
}

TEST(NeighborCache, AnOldReferenceFindsNothing) {
    NeighborCache cache(Bench::quiet(), SipKey{3, 4});
    const Instant now{seconds(1).ns};
    cache.learn(0, ip("10.0.0.9"), mac(9), now);
    const auto ref = cache.ref_of(0, ip("10.0.0.9"));
    ASSERT_NE(cache.find(ref), nullptr);
    cache.remove(ref);
    EXPECT_EQ(cache.find(ref), nullptr);
    cache.learn(0, ip("10.0.0.8"), mac(8), now);
    EXPECT_EQ(cache.find(ref), nullptr) << "the place has a new tenant";
    EXPECT_FALSE(cache.take_held(ref).has_value());
}

}  // namespace
}  // namespace runnel::test
