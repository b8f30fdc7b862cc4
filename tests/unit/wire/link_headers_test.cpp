// Ethernet with its tags, ARP, and virtio_net_hdr.
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/virtio_net.hpp"
#include "wire_test.hpp"

namespace runnel {
namespace {

TEST(Ethernet, PlainHeader) {
    const auto frame = hex(kernel_frame::kArpReply);
    const auto header = parse_ethernet(frame);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->destination, mac("02000000000a"));
    EXPECT_EQ(header->source, mac("02000000000b"));
    EXPECT_EQ(header->ether_type, kEtherTypeArp);
    EXPECT_EQ(header->size(), 14U);
    for (std::size_t size = 0; size < 14; ++size) {
        EXPECT_FALSE(parse_ethernet(exact_copy(Bytes(frame).first(size)))) << size;
    }
}

TEST(Ethernet, SkipsUpToTwoTags) {
    const auto one = hex("02000000000a 02000000000b 8100 a064 0800 45");
    ASSERT_TRUE(parse_ethernet(one));
    EXPECT_EQ(parse_ethernet(one)->ether_type, kEtherTypeIpv4);
    EXPECT_EQ(parse_ethernet(one)->size(), 18U);
    EXPECT_EQ(parse_ethernet(one)->tags[0].vlan(), 100);

    const auto two = hex("02000000000a 02000000000b 88a8 0001 8100 0002 86dd 60");
    ASSERT_TRUE(parse_ethernet(two));
    EXPECT_EQ(parse_ethernet(two)->ether_type, kEtherTypeIpv6);
    EXPECT_EQ(parse_ethernet(two)->size(), 22U);
    for (std::size_t size = 0; size < 22; ++size) {
        EXPECT_FALSE(parse_ethernet(exact_copy(Bytes(two).first(size)))) << size;
    }

    const auto three = hex("02000000000a 02000000000b 88a8 0001 8100 0002 8100 0003 0800");
    ASSERT_TRUE(parse_ethernet(three));
    EXPECT_EQ(parse_ethernet(three)->ether_type, kEtherTypeVlan) << "the third stays in place";
}

TEST(Ethernet, WritesWhatItRead) {
    for (const std::string_view text :
         {"02000000000a 02000000000b 0800", "02000000000a 02000000000b 8100 a064 0800",
          "02000000000a 02000000000b 88a8 0001 8100 0002 86dd"}) {
        const auto frame = hex(text);
        const auto header = parse_ethernet(frame);
        ASSERT_TRUE(header);
        std::vector<std::byte> out(frame.size());
        EXPECT_EQ(emit_ethernet(*header, out), frame.size());
        EXPECT_EQ(out, frame);
        EXPECT_EQ(emit_ethernet(*header, MutableBytes(out).first(frame.size() - 1)), 0U);
    }
}

TEST(Ethernet, GroupAddresses) {
    EXPECT_EQ(group_mac(ip("255.255.255.255")), MacAddress::broadcast());
    EXPECT_EQ(group_mac(ip("224.0.0.1")), mac("01005e000001"));
    EXPECT_EQ(group_mac(ip("239.255.1.2")), mac("01005e7f0102")) << "23 bits only";
    EXPECT_EQ(group_mac(ip("ff02::1:ff00:a")), mac("3333ff00000a"));
}

TEST(Arp, ReadsAKernels) {
    const auto request = parse_arp(packet_of(kernel_frame::kArpRequest));
    ASSERT_TRUE(request);
    EXPECT_EQ(request->operation, ArpPacket::Operation::request);
    EXPECT_EQ(request->sender_mac, mac("02000000000a"));
    EXPECT_EQ(request->sender_ip, ip("10.9.0.1"));
    EXPECT_EQ(request->target_mac, MacAddress{});
    EXPECT_EQ(request->target_ip, ip("10.9.0.2"));
    const auto bytes = packet_of(kernel_frame::kArpReply);
    const auto reply = parse_arp(bytes);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->operation, ArpPacket::Operation::reply);
    std::vector<std::byte> out(kArpPacketSize);
    EXPECT_EQ(emit_arp(*reply, out), kArpPacketSize);
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(emit_arp(*reply, MutableBytes(out).first(27)), 0U);
}

TEST(Arp, RefusesOtherKindsAndTruncations) {
    const auto good = packet_of(kernel_frame::kArpReply);
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(parse_arp(exact_copy(Bytes(good).first(size)))) << size;
    }
    // Hardware type, protocol type, their lengths, operation.
    for (const std::size_t at : {1U, 2U, 4U, 5U, 6U, 7U}) {
        auto bad = good;
        bad[at] ^= std::byte{0x10};
        EXPECT_FALSE(parse_arp(bad)) << at;
    }
}

TEST(VirtioNet, KnownLayout) {
    // NEEDS_CSUM, TCPV4 with ECN, header 66 bytes, pieces of 1448, checksum of TCP behind Ethernet and IPv4.
    const auto bytes = hex("01 81 4200 a805 2200 1000");
    const auto offload = parse_virtio_net(bytes, VirtioNetOrder::little);
    ASSERT_TRUE(offload);
    const Offload expected{Offload::Gso::tcp_ipv4, true, true, false, 66, 1448, 34, 16};
    EXPECT_EQ(*offload, expected);
    std::vector<std::byte> out(kVirtioNetHeaderSize);
    EXPECT_EQ(emit_virtio_net(*offload, out, VirtioNetOrder::little), kVirtioNetHeaderSize);
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(emit_virtio_net(*offload, MutableBytes(out).first(9)), 0U);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_virtio_net(exact_copy(Bytes(bytes).first(size)))) << size;
    }
}

TEST(VirtioNet, PlainFramesAndVerifiedChecksums) {
    EXPECT_EQ(parse_virtio_net(hex("00 00 0000 0000 0000 0000")), Offload{});
    const auto verified = parse_virtio_net(hex("02 00 0000 0000 0000 0000"));
    ASSERT_TRUE(verified);
    EXPECT_TRUE(verified->checksum_valid);
    EXPECT_FALSE(verified->needs_checksum);
}

TEST(VirtioNet, RefusesSegmentationItDoesNotKnow) {
    for (const std::string_view text :
         {"00 03 0000 0001 0000 0000", "00 05 0000 0001 0000 0000", "00 02 0000 0001 0000 0000",
          "00 7f 0000 0001 0000 0000", "00 01 0000 0000 0000 0000", "01 84 4200 0000 2200 1000"}) {
        EXPECT_FALSE(parse_virtio_net(hex(text))) << text;
    }
}

RC_GTEST_PROP(VirtioNet, RoundTrip,
              (std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d)) {
    Offload offload;
    offload.gso =
        *rc::gen::element(Offload::Gso::none, Offload::Gso::tcp_ipv4, Offload::Gso::tcp_ipv6);
    offload.needs_checksum = *rc::gen::arbitrary<bool>();
    offload.checksum_valid = *rc::gen::arbitrary<bool>();
    if (offload.gso != Offload::Gso::none) {
        offload.ecn = *rc::gen::arbitrary<bool>();
        offload.header_length = a;
        offload.gso_size = static_cast<std::uint16_t>(b | 1);
    }
    if (offload.needs_checksum) {
        offload.csum_start = c;
        offload.csum_offset = d;
    }
    const auto order = *rc::gen::element(VirtioNetOrder::native, VirtioNetOrder::little);
    std::vector<std::byte> out(kVirtioNetHeaderSize);
    emit_virtio_net(offload, out, order);
    RC_ASSERT(parse_virtio_net(out, order) == offload);
}

}  // namespace
}  // namespace runnel
