// TAP devices and packet sockets on a veth pair, against the real kernel: whole Ethernet frames with
// the same offloads as a TUN, and what an address of Runnel's own changes.
#include "kernel_peer.hpp"

namespace runnel {
namespace {

using namespace testing;

/// Address 10.9.0.1/24 on the kernel's end of the link, switched on; IPv6 quiet.
void set_up_kernel_end(std::string_view interface) {
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_ipv6_link_local(interface, false));
    ASSERT_LINK_OK(netlink->add_address(interface, parse_cidr("10.9.0.1/24").value()));
    ASSERT_LINK_OK(netlink->set_up(interface));
}

/// A veth pair: "kernel" with an address, "runnel" with none.
void make_veth() {
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    VethOptions options;
    options.name = "kernel";
    options.peer_name = "runnel";
    ASSERT_LINK_OK(netlink->create_veth(options));
    ASSERT_LINK_OK(netlink->set_ipv6_link_local("runnel", false));
    ASSERT_LINK_OK(netlink->set_up("runnel"));
    set_up_kernel_end("kernel");
}

LinkResult<Device> open_test_tap() {
    TunOptions options;
    options.name = "rt0";
    auto device = Device::open_tap(options);
    if (device) {
        set_up_kernel_end("rt0");
    }
    return device;
}

LinkResult<Device> open_test_packet(std::optional<MacAddress> mac = {}) {
    PacketOptions options;
    options.name = "runnel";
    options.mac = mac;
    return Device::open_packet(options);
}

/// ARP, a datagram each way with partial checksums, bulk each way.
void expect_all_works(Device& device) {
    BufferPool pool(64 << 20);
    HandPeer peer(device, pool);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    kernel_sends_udp(socket.get(), "over ethernet");
    ASSERT_TRUE(peer.answer_arp());
    const auto packet = peer.receive(17);
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(std::string(packet->begin() + 28, packet->end()), "over ethernet");
    EXPECT_TRUE(peer.offload().needs_checksum);
    EXPECT_EQ(peer.offload().csum_start, 34);

    const Offload partial{Offload::Gso::none, false, true, false, 28, 0, 20, 6};
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "partial", Checksum::partial), partial), 1U);
    EXPECT_EQ(kernel_receives(socket.get()), "partial");
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "wrong", Checksum::wrong)), 1U);
    EXPECT_EQ(kernel_receives(socket.get(), 200), "");

    expect_bulk_from_kernel(peer, 1 << 20);
    expect_super_segment_to_kernel(peer);
    EXPECT_FALSE(device.failure().has_value());
}

void tap() {
    auto device = open_test_tap();
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->kind(), DeviceKind::tap);
    EXPECT_EQ(device->capabilities().layer, LinkLayer::ethernet);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    const auto info = netlink->find_interface("rt0");
    ASSERT_LINK_OK(info);
    EXPECT_NE(device->mac(), info->mac) << "the interface's address is the kernel's";
    EXPECT_FALSE(device->mac().is_group());
    expect_all_works(*device);
}
TEST(Tap, CarriesEthernetWithOffloads) {
    IN_PRIVATE_NETWORK(true, tap);
}

void alignment() {
    auto device = open_test_tap();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    kernel_sends_udp(socket.get(), "who has 10.9.0.2?");
    const auto frame = await_frame(*device, pool, [](const Frame&) { return true; });
    ASSERT_TRUE(frame.has_value());
    const Bytes bytes = frame->body[0].bytes();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data() + 14) % 16, 0U)
        << "the network header is aligned";
}
TEST(Tap, AlignsTheNetworkHeader) {
    IN_PRIVATE_NETWORK(true, alignment);
}

void packet() {
    make_veth();
    auto device = open_test_packet();
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->kind(), DeviceKind::packet);
    EXPECT_EQ(device->name(), "runnel");
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    const auto info = netlink->find_interface("runnel");
    ASSERT_LINK_OK(info);
    EXPECT_EQ(device->mac(), info->mac);
    EXPECT_EQ(device->interface_index(), info->index);
    EXPECT_TRUE(device->capabilities().tso4 && device->capabilities().checksum_offload);
    expect_all_works(*device);
    device->update_kernel_drops();
    EXPECT_EQ(device->counters().dropped(LinkDrop::kernel_queue_full), 0U);
}
TEST(PacketSocket, CarriesEthernetWithOffloads) {
    IN_PRIVATE_NETWORK(false, packet);
}

MacAddress strangers_mac() {
    MacAddress mac;
    mac.bytes = {std::byte{2},   std::byte{0},   std::byte{'r'},
                 std::byte{'n'}, std::byte{'l'}, std::byte{9}};
    return mac;
}

void packet_with_own_mac() {
    make_veth();
    // The kernel at this end forwards: were the frames its own, it would answer or pass them on.
    ASSERT_LINK_OK(write_sysctl("net.ipv4.ip_forward", "1"));
    auto device = open_test_packet(strangers_mac());
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->mac(), strangers_mac());
    expect_all_works(*device);
}
TEST(PacketSocket, MayHaveAnAddressOfItsOwn) {
    IN_PRIVATE_NETWORK(false, packet_with_own_mac);
}

/// Sends a raw Ethernet frame out of the interface "kernel", so that it comes in at "runnel".
void inject(const Packet& frame) {
    PacketOptions options;
    options.name = "kernel";
    auto other = Device::open_packet(options);
    ASSERT_LINK_OK(other);
    Frame f;
    std::memcpy(f.head_space().data(), frame.data(), frame.size());
    f.set_head_size(frame.size());
    ASSERT_EQ(other->send({&f, 1}), 1U);
    ASSERT_EQ(other->counters().frames_sent, 1U);
}

void packet_filter() {
    make_veth();
    auto device = open_test_packet(strangers_mac());
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    const std::string mine("\x02\0rnl\x09", 6);
    const std::string nearly_mine("\x02\0rnl\x08", 6);
    const std::string other_vendor("\x06\0rnl\x09", 6);
    const std::string broadcast(6, '\xff');
    const std::string multicast("\x01\x00\x5e\x00\x00\x01", 6);
    auto frame = [](const std::string& to, unsigned type, std::string_view text) {
        return ethernet(to, std::string("\x02zzzzz", 6), type, Packet(text.begin(), text.end()));
    };
    // 0x88b5 is for local experiments (IEEE 802). A tag's four bytes are its TCI and the inner type.
    inject(frame(mine, 0x8100, std::string("\x00\x05\x88\xb5vlan 5", 10)));
    inject(frame(nearly_mine, 0x88b5, "not mine"));
    inject(frame(other_vendor, 0x88b5, "not mine either"));
    inject(frame(mine, 0x88b5, "mine"));
    inject(frame(broadcast, 0x88b5, "for all"));
    inject(frame(multicast, 0x88b5, "for a group"));
    inject(frame(mine, 0x8100, std::string("\xe0\x00\x88\xb5priority", 12)));
    std::vector<std::string> texts;
    while (readable(device->native_handle(), 200)) {
        FrameBatch batch;
        (void)device->receive(pool, batch, 16);
        for (const Frame& f : batch) {
            const Packet p = to_packet(f.body[0].bytes());
            if (get16(p, 12) == 0x88b5) {
                texts.emplace_back(p.begin() + 14, p.end());
            }
        }
    }
    EXPECT_EQ(texts, (std::vector<std::string>{"mine", "for all", "for a group", "priority"}));
}
TEST(PacketSocket, TakesWhatACardWithItsAddressWouldAndNoVlan) {
    IN_PRIVATE_NETWORK(false, packet_filter);
}

void packet_ignores_own() {
    make_veth();
    auto device = open_test_packet();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool, std::string(6, '\xff'));
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "x", Checksum::full)), 1U);
    EXPECT_FALSE(readable(device->native_handle(), 200)) << "our own frame came back";

    // Longer than the interface takes, and not a super-segment.
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, std::string(5000, 'x'), Checksum::full)),
              1U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::send_too_long), 1U);
}
TEST(PacketSocket, DoesNotReadItsOwnFrames) {
    IN_PRIVATE_NETWORK(false, packet_ignores_own);
}

void packet_interface_goes() {
    make_veth();
    auto device = open_test_packet();
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    FrameBatch batch;
    ASSERT_LINK_OK(netlink->set_up("runnel", false));
    EXPECT_EQ(device->receive(pool, batch, 16), 0U);
    EXPECT_FALSE(device->failure().has_value());
    HandPeer peer(*device, pool, std::string(6, '\xff'));
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "x", Checksum::full)), 1U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::send_interface_down), 1U);
    ASSERT_LINK_OK(netlink->set_up("runnel", true));
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "x", Checksum::full)), 1U);
    EXPECT_EQ(device->counters().frames_sent, 1U);
    ASSERT_LINK_OK(netlink->delete_interface("runnel"));
    EXPECT_EQ(device->receive(pool, batch, 16), 0U);
    ASSERT_TRUE(device->failure().has_value());
    EXPECT_EQ(device->failure()->kind, LinkErrorKind::no_device);
}
TEST(PacketSocket, InterfaceSwitchedOffOrDeletedHasANamedCount) {
    IN_PRIVATE_NETWORK(false, packet_interface_goes);
}

void packet_with_ring() {
    make_veth();
    PacketOptions options;
    options.name = "runnel";
    options.ring = true;
    options.receive_buffer = 1 << 20;  // 15 slots: a megabyte of bulk goes round
    auto device = Device::open_packet(options);
    ASSERT_LINK_OK(device);
    expect_all_works(*device);
    EXPECT_GT(device->counters().frames_received, 15U);

    // More than there are slots, and then less.
    BufferPool pool(64 << 20);
    FrameBatch batch;
    const FileDescriptor socket = kernel_socket(SOCK_DGRAM, 999);
    (void)device->receive(pool, batch, 100);
    batch.clear();
    for (int i = 0; i < 40; ++i) {
        kernel_sends_udp(socket.get(), std::string(1000, static_cast<char>('A' + i)));
    }
    EXPECT_EQ(device->receive(pool, batch, 10), 10U);
    EXPECT_FALSE(device->drained());
    EXPECT_EQ(device->receive(pool, batch, 100), 5U);
    EXPECT_TRUE(device->drained());
    for (std::size_t i = 0; i < batch.size(); ++i) {
        EXPECT_EQ(batch[i].body[0].bytes().back(), static_cast<std::byte>('A' + i));
    }
    device->update_kernel_drops();
    EXPECT_EQ(device->counters().dropped(LinkDrop::kernel_queue_full), 25U);
    kernel_sends_udp(socket.get(), "again");
    EXPECT_TRUE(readable(device->native_handle()));
    EXPECT_EQ(device->receive(pool, batch, 100), 1U);
    EXPECT_FALSE(readable(device->native_handle(), 100));

    BufferPool tiny(0);
    kernel_sends_udp(socket.get(), "no place");
    EXPECT_EQ(device->receive(tiny, batch, 100), 0U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_no_buffer), 1U);

    // An error wakes once, and not for ever.
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_up("runnel", false));
    pollfd entry{device->native_handle(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 1000), 1);
    EXPECT_EQ(device->receive(pool, batch, 100), 0U);
    EXPECT_EQ(::poll(&entry, 1, 0), 0);
    EXPECT_FALSE(device->failure().has_value());
    // Deleted while it is off it says nothing, but the next frame shows it.
    ASSERT_LINK_OK(netlink->delete_interface("runnel"));
    HandPeer peer(*device, pool, std::string(6, '\xff'));
    EXPECT_EQ(peer.send(udp4(kRunnel, kKernel, 7, 999, "x", Checksum::full)), 1U);
    EXPECT_TRUE(device->failure().has_value());
}
TEST(PacketSocket, ReceivesThroughARing) {
    IN_PRIVATE_NETWORK(false, packet_with_ring);
}

void packet_refusals() {
    make_veth();
    PacketOptions options;
    options.name = "ruunel";
    const auto misspelt = Device::open_packet(options);
    ASSERT_FALSE(misspelt.has_value());
    EXPECT_EQ(misspelt.error().kind, LinkErrorKind::no_device);
    EXPECT_NE(misspelt.error().what.find(" runnel"), std::string::npos) << misspelt.error().what;
    if (missing(true).empty()) {
        auto tun = open_test_tun({});
        ASSERT_LINK_OK(tun);
        options.name = "rt0";
        const auto no_ethernet = Device::open_packet(options);
        ASSERT_FALSE(no_ethernet.has_value());
        EXPECT_EQ(no_ethernet.error().kind, LinkErrorKind::not_supported);
    }
}
TEST(PacketSocket, RefusalsAreSentences) {
    IN_PRIVATE_NETWORK(false, packet_refusals);
}

TEST(PacketSocket, AnOrdinaryUserHasOneInHisUserNamespace) {
    EXPECT_TRUE(run_in_child([] {
        ASSERT_TRUE(become_ordinary_user());
        if (const auto possible = check_private_network(); !possible) {
            std::fprintf(stderr, "skipped: %s\n", possible.error().what.c_str());
            return;
        }
        ASSERT_LINK_OK(enter_private_network());
        make_veth();
        auto device = open_test_packet();
        ASSERT_LINK_OK(device);
        expect_all_works(*device);
    }));
}

}  // namespace
}  // namespace runnel
