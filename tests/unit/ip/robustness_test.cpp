// Whatever arrives, the layer neither crashes nor keeps memory, and says why it dropped it: random bytes,
// and good packets with single bytes changed or cut short.
#include <gtest/gtest.h>

#include "bench.hpp"
#include "runnel/base/random.hpp"

namespace runnel::test {
namespace {

/// Good packets of every kind that the layer knows.
std::vector<Packet> samples() {
    std::vector<Packet> list;
    list.push_back(ipv4("10.0.0.9", "10.0.0.1", kProtocolTcp, pattern(60)));
    list.push_back(ipv4("10.0.0.9", "10.0.0.1", 1,
                        icmpv4(Icmpv4Message::Type::echo_request, 0, 1, pattern(40))));
    list.push_back(ipv4("10.0.0.9", "10.0.0.1", 1,
                        icmpv4(Icmpv4Message::Type::destination_unreachable, 4, 1400,
                               ipv4("10.0.0.1", "10.0.0.9", kProtocolTcp, pattern(20)))));
    Ipv4Header fragment;
    fragment.source = ip("10.0.0.9");
    fragment.destination = ip("10.0.0.1");
    fragment.protocol = kProtocolUdp;
    fragment.more_fragments = true;
    list.push_back(ipv4(fragment, pattern(64)));
    list.push_back(ipv6("fd00::9", "fd00::1", kProtocolTcp, pattern(60)));
    list.push_back(
        ipv6("fd00::9", "fd00::1", kProtocolIcmpv6,
             icmpv6(Icmpv6Message::Type::packet_too_big, 0, 1400,
                    ipv6("fd00::1", "fd00::9", kProtocolTcp, pattern(20)), "fd00::9", "fd00::1")));
    NeighborSolicitation solicitation;
    solicitation.target = ip("fd00::1");
    solicitation.source_mac = mac(9);
    list.push_back(ndp(solicitation, "fd00::9", "fd00::1"));
    RouterAdvertisement router;
    router.router_lifetime = 100;
    router.mtu = 1400;
    router.prefixes.push_back({ip("fd01::"), 64, true, false, 100, 100});
    list.push_back(ndp(router, "fe80::9", "ff02::1"));
    Packet field = {std::byte{44}, std::byte{0}, std::byte{1}, std::byte{4}};
    field.resize(8);
    Packet fragment_header(8);
    emit_ipv6_fragment({7, 0, true, kProtocolUdp, 0, 0}, fragment_header);
    list.push_back(ipv6("fd00::9", "fd00::1", kProtocolDestinationOptions,
                        field + fragment_header + pattern(64)));
    return list;
}

void expect_survival(bool raw, std::uint64_t seed) {
    Bench bench(raw ? Bench::raw() : Bench::ethernet_link(), IpConfig{});
    Random random(seed);
    const std::vector<Packet> good = samples();
    for (int i = 0; i < 20'000; ++i) {
        Packet packet;
        if (random.chance(1, 8)) {
            packet = Packet(random.below(200));
            for (std::byte& byte : packet) {
                byte = static_cast<std::byte>(random.below(256));
            }
        } else {
            packet = good[random.below(good.size())];
            const std::uint64_t changes = random.below(4);
            for (std::uint64_t c = 0; c < changes; ++c) {
                packet[random.below(packet.size())] = static_cast<std::byte>(random.below(256));
            }
            if (random.chance(1, 4)) {
                packet.resize(random.below(packet.size() + 1));
            }
        }
        if (!raw) {
            const std::uint16_t type = random.chance(1, 8)   ? kEtherTypeArp
                                       : random.chance(1, 2) ? kEtherTypeIpv6
                                                             : kEtherTypeIpv4;
            packet = ethernet(random.chance(1, 4) ? MacAddress::broadcast() : mac(1), mac(9), type,
                              packet);
        }
        Offload offload;
        offload.needs_checksum = random.chance(1, 2);
        offload.csum_start = static_cast<std::uint16_t>(random.below(100));
        const std::uint64_t before = bench.recorder.next_number();
        InputResult result;
        if (packet.size() > 3 && random.chance(1, 2)) {
            result = bench.input_in_slices(packet, {1 + random.below(packet.size() - 2)});
        } else {
            result = bench.input(packet, offload);
        }
        if (nothing(result)) {
            EXPECT_GT(bench.recorder.next_number(), before) << "a drop without a name";
        } else if (auto* datagram = std::get_if<Datagram>(&result)) {
            EXPECT_EQ(bytes_of(datagram->payload).size(), datagram->payload_size);
            bench.layer.send_icmp_error(IcmpError::Kind::protocol_unreachable, *datagram,
                                        bench.now);
        } else {
            const IcmpError& error = std::get<IcmpError>(result);
            bench.layer.update_path_mtu(error.quoted_destination, error.mtu, bench.now);
        }
        bench.layer.pending().clear();
        if (random.chance(1, 16)) {
            bench.now = bench.now + milliseconds(static_cast<std::int64_t>(random.below(500)));
            bench.layer.on_timeout(bench.now);
        }
    }
    bench.run_to(bench.now + seconds(4000));
    bench.layer.pending().clear();
    while (bench.layer.has_local()) {
        bench.layer.poll_local(bench.now);
    }
    EXPECT_EQ(bench.pool.bytes_in_use(), 0U) << "nothing is kept for ever";
}

TEST(Robustness, AnythingOnARawLink) {
    expect_survival(true, 1);
}
TEST(Robustness, AnythingOnEthernet) {
    expect_survival(false, 2);
}

TEST(Robustness, WithoutBuffersEverythingIsRefusedByName) {
    Bench bench;
    Frame fragmented = bench.frame_of(ipv4("10.0.0.9", "10.0.0.1", 17, pattern(64)));
    std::vector<ChunkRef> hoard;
    while (ChunkRef chunk = bench.pool.allocate(kSmallChunk)) {
        hoard.push_back(chunk);
    }
    const InputResult result = bench.layer.input(std::move(fragmented), bench.now);
    EXPECT_EQ(bench.layer.send_icmp_error(IcmpError::Kind::port_unreachable,
                                          std::get<Datagram>(result), bench.now),
              Decision::icmp_hold_not_sendable);
    OutgoingPacket packet;
    packet.source = packet.destination = ip("10.0.0.1");
    packet.protocol = kProtocolUdp;
    bench.output(packet, pattern(8));
    EXPECT_TRUE(nothing(bench.layer.poll_local(bench.now)));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_no_buffer);
}

}  // namespace
}  // namespace runnel::test
