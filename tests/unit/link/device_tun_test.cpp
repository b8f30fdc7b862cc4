// A TUN device of the real kernel: frames in both directions, offloads, what is dropped and counted.
#include <linux/icmp.h>

#include "kernel_peer.hpp"

namespace runnel {
namespace {

using namespace testing;

void echo_request_arrives() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    const FileDescriptor socket(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    ASSERT_TRUE(socket.valid());
    Packet echo{ICMP_ECHO, 0, 0, 0, 0x12, 0x34, 0, 1, 'r', 'u', 'n', '!'};
    set16(echo, 2, ~sum(echo, 0, echo.size()) & 0xffff);
    const sockaddr_in to = ipv4_endpoint(kRunnel, 0);
    ASSERT_EQ(::sendto(socket.get(), echo.data(), echo.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
              static_cast<ssize_t>(echo.size()));
    HandPeer peer(*device, pool);
    const auto packet = peer.receive(1);
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(get32(*packet, 12), kKernel);
    EXPECT_EQ(get32(*packet, 16), kRunnel);
    EXPECT_EQ(Packet(packet->begin() + 20, packet->end()), echo);
    EXPECT_EQ(peer.offload(), Offload{}) << "the raw socket's bytes are complete";
}
TEST(Tun, EchoRequestOfTheKernelArrivesWhole) {
    IN_PRIVATE_NETWORK(true, echo_request_arrives);
}

void datagram_has_partial_checksum() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    kernel_sends_udp(socket.get(), "to runnel");
    HandPeer peer(*device, pool);
    const auto packet = peer.receive(17);
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(std::string(packet->begin() + 28, packet->end()), "to runnel");
    EXPECT_TRUE(peer.offload().needs_checksum);
    EXPECT_EQ(peer.offload().csum_start, 20);
    EXPECT_EQ(peer.offload().csum_offset, 6);
    EXPECT_EQ(get16(*packet, 26), pseudo_sum(*packet, 0, 8 + 9));
}
TEST(Tun, DatagramOfTheKernelComesWithAPartialChecksum) {
    IN_PRIVATE_NETWORK(true, datagram_has_partial_checksum);
}

void bulk_from_kernel() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(64 << 20);
    HandPeer peer(*device, pool);
    expect_bulk_from_kernel(peer, 1 << 20);
    EXPECT_GT(device->counters().super_frames_received, 10U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_no_buffer), 0U);
}
TEST(Tun, KernelTcpSendsSuperSegments) {
    IN_PRIVATE_NETWORK(true, bulk_from_kernel);
}

void super_segment_to_kernel() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(64 << 20);
    HandPeer peer(*device, pool);
    expect_super_segment_to_kernel(peer);
    EXPECT_EQ(device->counters().super_frames_sent, 1U);
}
TEST(Tun, KernelTakesASuperSegmentOf64K) {
    IN_PRIVATE_NETWORK(true, super_segment_to_kernel);
}

void checksums_towards_kernel() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    const Offload partial{Offload::Gso::none, false, true, false, 28, 0, 20, 6};
    auto datagram = [](std::string_view text, Checksum kind) {
        return udp4(kRunnel, kKernel, 7, 999, text, kind);
    };
    EXPECT_EQ(peer.send(datagram("partial", Checksum::partial), partial), 1U);
    EXPECT_EQ(kernel_receives(socket.get()), "partial");
    EXPECT_EQ(peer.send(datagram("full", Checksum::full)), 1U);
    EXPECT_EQ(kernel_receives(socket.get()), "full");
    // The control: without the mark the kernel does look.
    EXPECT_EQ(peer.send(datagram("wrong", Checksum::wrong)), 1U);
    EXPECT_EQ(peer.send(datagram("unmarked", Checksum::partial)), 1U);
    EXPECT_EQ(kernel_receives(socket.get(), 200), "");
}
TEST(Tun, KernelAcceptsPartialAndFullChecksumsOnly) {
    IN_PRIVATE_NETWORK(true, checksums_towards_kernel);
}

void capabilities_and_description() {
    TunOptions options;
    options.name = "rt7";
    options.mtu = 9000;
    options.queue_length = 2345;
    const auto device = Device::open_tun(options);
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->kind(), DeviceKind::tun);
    EXPECT_EQ(device->name(), "rt7");
    EXPECT_EQ(device->mac(), MacAddress{});
    const LinkCapabilities& can = device->capabilities();
    EXPECT_EQ(can.layer, LinkLayer::raw_ip);
    EXPECT_EQ(can.mtu, 9000U);
    EXPECT_TRUE(can.checksum_offload && can.tso4 && can.tso6);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    const auto info = netlink->find_interface("rt7");
    ASSERT_LINK_OK(info);
    EXPECT_EQ(info->index, device->interface_index());
    EXPECT_EQ(info->mtu, 9000U);
    EXPECT_EQ(info->transmit_queue_length, 2345U);
    EXPECT_EQ(info->kind, "tun");
    EXPECT_FALSE(info->up);

    TunOptions unnamed;
    unnamed.offloads = false;
    const auto plain = Device::open_tun(unnamed);
    ASSERT_LINK_OK(plain);
    EXPECT_EQ(plain->name().substr(0, 3), "tun");
    EXPECT_EQ(plain->capabilities().mtu, 1500U);
    EXPECT_FALSE(plain->capabilities().checksum_offload || plain->capabilities().tso4);
}
TEST(Tun, DescribesItself) {
    IN_PRIVATE_NETWORK(true, capabilities_and_description);
}

void without_offloads() {
    TunOptions options;
    options.offloads = false;
    auto device = open_test_tun(options);
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    kernel_sends_udp(socket.get(), "summed by the kernel");
    const auto packet = peer.receive(17);
    ASSERT_TRUE(packet.has_value());
    EXPECT_FALSE(peer.offload().needs_checksum);
    const auto length = static_cast<unsigned>(packet->size() - 20);
    EXPECT_EQ(sum(*packet, 20, packet->size(), pseudo_sum(*packet, 0, length)), 0xffffU);

    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "plain", Checksum::full)), 1U);
    EXPECT_EQ(kernel_receives(socket.get()), "plain");
    const Offload partial{Offload::Gso::none, false, true, false, 28, 0, 20, 6};
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "x", Checksum::partial), partial), 1U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::send_no_offload), 1U);
}
TEST(Tun, WithoutOffloadsCarriesPlainPackets) {
    IN_PRIVATE_NETWORK(true, without_offloads);
}

void small_frames_share_a_chunk() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    FrameBatch batch;
    for (int i = 0; i < 5; ++i) {
        kernel_sends_udp(socket.get(), std::string(1000, static_cast<char>('a' + i)));
    }
    EXPECT_EQ(device->receive(pool, batch, 2), 2U);
    EXPECT_FALSE(device->drained());
    EXPECT_EQ(device->receive(pool, batch, 100), 3U);
    EXPECT_TRUE(device->drained());
    ASSERT_EQ(batch.size(), 5U);
    EXPECT_TRUE(batch[0].body[0].chunk() == batch[1].body[0].chunk());
    EXPECT_FALSE(batch[0].body[0].chunk() == batch[4].body[0].chunk());
    for (std::size_t i = 0; i < 5; ++i) {
        const Bytes bytes = batch[i].body[0].bytes();
        ASSERT_EQ(bytes.size(), 1028U);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0U);
        EXPECT_EQ(bytes[28], static_cast<std::byte>('a' + static_cast<int>(i)));
        EXPECT_EQ(bytes[1027], bytes[28]);
    }
}
TEST(Tun, SmallFramesShareAChunkAndBatchesAreBounded) {
    IN_PRIVATE_NETWORK(true, small_frames_share_a_chunk);
}

void exhausted_pool() {
    TunOptions options;
    options.mtu = 65000;
    auto device = open_test_tun(options);
    ASSERT_LINK_OK(device);
    // Room for two small chunks and no large one.
    BufferPool pool(2 * kSmallChunk);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    FrameBatch batch;
    kernel_sends_udp(socket.get(), std::string(30000, 'L'));
    for (int i = 0; i < 4; ++i) {
        kernel_sends_udp(socket.get(), std::string(3000, static_cast<char>('a' + i)));
    }
    EXPECT_EQ(device->receive(pool, batch, 100), 2U);
    EXPECT_TRUE(device->drained()) << "what has no place is read all the same";
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_no_buffer), 3U);
    ASSERT_EQ(batch.size(), 2U);
    EXPECT_EQ(batch[1].body[0].bytes()[28], std::byte{'b'});
    batch.clear();
    kernel_sends_udp(socket.get(), std::string(30000, 'L'));
    kernel_sends_udp(socket.get(), "small");
    EXPECT_EQ(device->receive(pool, batch, 100), 1U) << "a small frame finds a place";
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_no_buffer), 4U);
}
TEST(Tun, WithoutBuffersDropsAndCounts) {
    IN_PRIVATE_NETWORK(true, exhausted_pool);
}

void interface_down_and_deleted() {
    auto device = open_test_tun();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_up("rt0", false));
    const Packet packet = udp4(kRunnel, kKernel, 7, 999, "x", Checksum::full);
    EXPECT_EQ(peer.send(packet), 1U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::send_interface_down), 1U);
    EXPECT_EQ(device->counters().last_error, EIO);
    EXPECT_FALSE(device->failure().has_value());
    ASSERT_LINK_OK(netlink->set_up("rt0", true));
    EXPECT_EQ(peer.send(packet), 1U);
    EXPECT_EQ(device->counters().frames_sent, 1U);

    // An impossible virtio_net_hdr is the kernel's to refuse.
    const Offload impossible{Offload::Gso::none, false, true, false, 9000, 0, 20, 6};
    EXPECT_EQ(peer.send(packet, impossible), 1U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::send_refused), 1U);

    ASSERT_LINK_OK(netlink->delete_interface("rt0"));
    FrameBatch batch;
    EXPECT_EQ(device->receive(pool, batch, 10), 0U);
    ASSERT_TRUE(device->failure().has_value());
    EXPECT_EQ(device->failure()->kind, LinkErrorKind::no_device);
    EXPECT_NE(device->failure()->what.find("rt0"), std::string::npos) << device->failure()->what;
}
TEST(Tun, InterfaceSwitchedOffOrDeletedHasANamedCount) {
    IN_PRIVATE_NETWORK(true, interface_down_and_deleted);
}

void refusals_of_open() {
    TunOptions options;
    options.name = "rt0";
    const auto first = Device::open_tun(options);
    ASSERT_LINK_OK(first);
    const auto second = Device::open_tun(options);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().kind, LinkErrorKind::busy);
    EXPECT_NE(second.error().what.find("\"rt0\""), std::string::npos) << second.error().what;
    const auto other_kind = Device::open_tap(options);
    ASSERT_FALSE(other_kind.has_value());
    EXPECT_EQ(other_kind.error().kind, LinkErrorKind::busy);
    options.name = "sixteen-letters-";
    const auto too_long = Device::open_tun(options);
    ASSERT_FALSE(too_long.has_value());
    EXPECT_NE(too_long.error().what.find("15"), std::string::npos);
    options.name = "rt9";
    options.mtu = 3;
    const auto bad_mtu = Device::open_tun(options);
    ASSERT_FALSE(bad_mtu.has_value());
    EXPECT_NE(bad_mtu.error().what.find("the kernel says"), std::string::npos)
        << bad_mtu.error().what;
}
TEST(Tun, RefusalsAreSentences) {
    IN_PRIVATE_NETWORK(true, refusals_of_open);
}

void several_queues() {
    TunOptions options;
    options.name = "rt0";
    options.multi_queue = true;
    const auto first = Device::open_tun(options);
    ASSERT_LINK_OK(first);
    const auto second = Device::open_tun(options);
    ASSERT_LINK_OK(second);
    EXPECT_EQ(second->interface_index(), first->interface_index());
}
TEST(Tun, HasSeveralQueuesWhenAsked) {
    IN_PRIVATE_NETWORK(true, several_queues);
}

TEST(Tun, AnOrdinaryUserIsToldWhatToTry) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can become an ordinary user";
    }
    EXPECT_TRUE(run_in_child([] {
        // In a namespace of its own first, so that success couldn't touch the machine's.
        ASSERT_LINK_OK(enter_private_network());
        ASSERT_TRUE(become_ordinary_user());
        const auto tun = Device::open_tun({});
        ASSERT_FALSE(tun.has_value());
        if (::access("/dev/net/tun", F_OK) == 0) {
            EXPECT_EQ(tun.error().kind, LinkErrorKind::no_permission) << tun.error().what;
            EXPECT_NE(tun.error().what.find("run as root"), std::string::npos) << tun.error().what;
        } else {
            EXPECT_EQ(tun.error().kind, LinkErrorKind::no_device);
        }
        PacketOptions packet;
        packet.name = "lo";
        const auto socket = Device::open_packet(packet);
        ASSERT_FALSE(socket.has_value());
        EXPECT_EQ(socket.error().kind, LinkErrorKind::no_permission);
        EXPECT_NE(socket.error().what.find("CAP_NET_RAW"), std::string::npos);
    }));
}

}  // namespace
}  // namespace runnel
