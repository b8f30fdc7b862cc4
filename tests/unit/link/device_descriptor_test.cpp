// A Device over a descriptor that somebody else opened: sockets that keep frames apart, and TUN, TAP and
// packet descriptors as another program would hand them over.
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "kernel_peer.hpp"

namespace runnel {
namespace {

using namespace testing;

struct Pair {
    FileDescriptor ours;
    FileDescriptor theirs;
};

Pair socket_pair(int type) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

LinkResult<Device> adopt(Pair& pair, bool vnet_hdr) {
    return Device::from_fd(pair.ours.release(), LinkLayer::raw_ip, vnet_hdr, 1400);
}

Frame frame_with(std::string_view head, BufferPool& pool, std::initializer_list<std::string> body) {
    Frame frame;
    std::memcpy(frame.head_space().data(), head.data(), head.size());
    frame.set_head_size(head.size());
    for (const std::string& piece : body) {
        frame.body.push_back(pool.copy(as_bytes(piece)));
    }
    return frame;
}

TEST(Descriptor, AFrameIsAMessageOfItsHeadAndSlices) {
    Pair pair = socket_pair(SOCK_SEQPACKET);
    auto device = adopt(pair, false);
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->kind(), DeviceKind::descriptor);
    EXPECT_EQ(device->capabilities().mtu, 1400U);
    EXPECT_FALSE(device->capabilities().tso4);
    BufferPool pool(1 << 20);
    std::vector<Frame> frames(3);
    frames[0] = frame_with("head", pool, {" and ", "body"});
    frames[1] = frame_with("", pool, {"only body"});
    frames[2] = frame_with("only head", pool, {});
    EXPECT_EQ(device->send(frames), 3U);
    EXPECT_EQ(device->counters().frames_sent, 3U);
    EXPECT_EQ(device->counters().bytes_sent, 13U + 9U + 9U);
    EXPECT_EQ(kernel_receives(pair.theirs.get()), "head and body");
    EXPECT_EQ(kernel_receives(pair.theirs.get()), "only body");
    EXPECT_EQ(kernel_receives(pair.theirs.get()), "only head");
}

TEST(Descriptor, HeaderCarriesTheOffloadBothWays) {
    Pair pair = socket_pair(SOCK_SEQPACKET);
    auto device = adopt(pair, true);
    ASSERT_LINK_OK(device);
    EXPECT_TRUE(device->capabilities().tso6);
    BufferPool pool(1 << 20);
    Frame frame = frame_with("x", pool, {});
    frame.offload = {Offload::Gso::tcp_ipv6, true, true, false, 60, 1440, 40, 16};
    EXPECT_EQ(device->send({&frame, 1}), 1U);
    const std::string message = kernel_receives(pair.theirs.get());
    ASSERT_EQ(message.size(), 11U);
    // virtio 1.2 §5.1.6: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
    EXPECT_EQ(message[0], 1);
    EXPECT_EQ(message[1], static_cast<char>(0x84));
    ASSERT_EQ(::send(pair.theirs.get(), message.data(), message.size(), 0), 11);
    FrameBatch batch;
    EXPECT_EQ(device->receive(pool, batch, 5), 1U);
    EXPECT_EQ(batch.at(0).offload, frame.offload);
    EXPECT_EQ(device->counters().super_frames_received, 1U);

    std::string udp_gso = message;
    udp_gso[1] = 5;
    for (const std::string& bad : {udp_gso, message.substr(0, 10), message.substr(0, 3)}) {
        ASSERT_EQ(::send(pair.theirs.get(), bad.data(), bad.size(), 0),
                  static_cast<ssize_t>(bad.size()));
    }
    EXPECT_EQ(device->receive(pool, batch, 5), 0U);
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_bad_header), 3U);
}

TEST(Descriptor, FullDeviceTakesTheFirstAndKeepsTheOrder) {
    Pair pair = socket_pair(SOCK_SEQPACKET);
    auto device = adopt(pair, false);
    ASSERT_LINK_OK(device);
    BufferPool pool(1 << 20);
    std::vector<Frame> frames(2000);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        frames[i] = frame_with(std::to_string(i), pool, {});
    }
    std::size_t sent = device->send(frames);
    ASSERT_LT(sent, frames.size());
    EXPECT_EQ(device->counters().send_would_block, 1U);
    EXPECT_EQ(device->counters().frames_sent, sent);
    std::size_t read = 0;
    while (read < frames.size()) {
        ASSERT_EQ(kernel_receives(pair.theirs.get()), std::to_string(read));
        ++read;
        sent += device->send(std::span<const Frame>(frames).subspan(sent));
    }
    for (std::size_t i = 0; i < kLinkDrops; ++i) {
        EXPECT_EQ(device->counters().drops[i], 0U) << name(static_cast<LinkDrop>(i));
    }
}

TEST(Descriptor, ReadsNoMoreThanAskedAndNothingWhenThereIsNothing) {
    Pair pair = socket_pair(SOCK_DGRAM);
    auto device = adopt(pair, false);
    ASSERT_LINK_OK(device);
    BufferPool pool(1 << 20);
    FrameBatch batch;
    EXPECT_EQ(device->receive(pool, batch, 5), 0U);
    EXPECT_TRUE(device->drained());
    for (const char* text : {"one", "two", "three"}) {
        ASSERT_GT(::send(pair.theirs.get(), text, std::strlen(text), 0), 0);
    }
    EXPECT_EQ(device->receive(pool, batch, 2), 2U);
    EXPECT_FALSE(device->drained());
    EXPECT_EQ(device->receive(pool, batch, 2), 1U);
    EXPECT_EQ(batch.size(), 3U) << "frames are appended";
    batch.clear();
    EXPECT_EQ(pool.bytes_in_use(), 0U) << "nothing of the pool is kept";
}

TEST(Descriptor, LongestFramePassesAndALongerOneIsDropped) {
    Pair pair = socket_pair(SOCK_SEQPACKET);
    const int room = 1 << 20;
    (void)::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    auto device = adopt(pair, false);
    ASSERT_LINK_OK(device);
    BufferPool pool(1 << 20);
    const std::string longest(65535 + 18, 'l');
    const std::string too_long(70000, 't');
    ASSERT_GT(::send(pair.theirs.get(), too_long.data(), too_long.size(), 0), 0);
    ASSERT_GT(::send(pair.theirs.get(), longest.data(), longest.size(), 0), 0);
    FrameBatch batch;
    EXPECT_EQ(device->receive(pool, batch, 5), 1U);
    EXPECT_EQ(batch.at(0).size(), longest.size());
    EXPECT_EQ(device->counters().dropped(LinkDrop::receive_truncated), 1U);
}

TEST(Descriptor, OtherEndClosingIsAFailureWithASentence) {
    Pair pair = socket_pair(SOCK_SEQPACKET);
    auto device = adopt(pair, false);
    ASSERT_LINK_OK(device);
    pair.theirs.reset();
    BufferPool pool(1 << 20);
    FrameBatch batch;
    EXPECT_EQ(device->receive(pool, batch, 5), 0U);
    ASSERT_TRUE(device->failure().has_value());
    EXPECT_EQ(device->failure()->kind, LinkErrorKind::no_device);
    EXPECT_EQ(device->receive(pool, batch, 5), 0U);
    EXPECT_TRUE(device->drained());
}

TEST(Descriptor, WhatCarriesNoFramesIsRefusedAndStaysOpen) {
    Pair stream = socket_pair(SOCK_STREAM);
    const auto refused = Device::from_fd(stream.ours.get(), LinkLayer::raw_ip, false, 1500);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, LinkErrorKind::not_supported);
    EXPECT_GE(::fcntl(stream.ours.get(), F_GETFD), 0) << "still the caller's";

    const FileDescriptor file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const auto no_device = Device::from_fd(file.get(), LinkLayer::raw_ip, false, 1500);
    ASSERT_FALSE(no_device.has_value());
    EXPECT_EQ(no_device.error().kind, LinkErrorKind::not_supported);
    EXPECT_GE(::fcntl(file.get(), F_GETFD), 0);

    const auto closed = Device::from_fd(987, LinkLayer::raw_ip, false, 1500);
    ASSERT_FALSE(closed.has_value());
    EXPECT_EQ(closed.error().kind, LinkErrorKind::no_device);
}

/// A TUN as another program opens it.
FileDescriptor foreign_tun(int flags) {
    FileDescriptor fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    std::strcpy(request.ifr_name, "rt0");
    request.ifr_flags = static_cast<short>(flags);
    EXPECT_EQ(::ioctl(fd.get(), TUNSETIFF, &request), 0) << std::strerror(errno);
    return fd;
}

void adopted_tun_with_long_header() {
    FileDescriptor fd = foreign_tun(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
    const int size = 12;
    ASSERT_EQ(::ioctl(fd.get(), TUNSETVNETHDRSZ, &size), 0);
    const unsigned long can = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    ASSERT_EQ(::ioctl(fd.get(), TUNSETOFFLOAD, can), 0);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_mtu("rt0", 1490));
    auto device = Device::from_fd(fd.release(), LinkLayer::raw_ip, true, 0);
    ASSERT_LINK_OK(device);
    EXPECT_EQ(device->kind(), DeviceKind::tun);
    EXPECT_EQ(device->name(), "rt0");
    EXPECT_EQ(device->capabilities().mtu, 1490U);
    ASSERT_LINK_OK(netlink->set_mtu("rt0", 1500));
    ASSERT_LINK_OK(netlink->add_address("rt0", parse_cidr("10.9.0.1/24").value()));
    ASSERT_LINK_OK(netlink->set_up("rt0"));
    BufferPool pool(64 << 20);
    HandPeer peer(*device, pool);
    expect_bulk_from_kernel(peer, 1 << 18);
    expect_super_segment_to_kernel(peer);
}
TEST(Descriptor, AdoptsATunWithATwelveByteHeader) {
    IN_PRIVATE_NETWORK(true, adopted_tun_with_long_header);
}

void mismatched_tun() {
    const FileDescriptor fd = foreign_tun(IFF_TUN | IFF_NO_PI);
    const auto as_tap = Device::from_fd(fd.get(), LinkLayer::ethernet, false, 1500);
    ASSERT_FALSE(as_tap.has_value());
    EXPECT_NE(as_tap.error().what.find("rt0"), std::string::npos) << as_tap.error().what;
    const auto with_header = Device::from_fd(fd.get(), LinkLayer::raw_ip, true, 1500);
    ASSERT_FALSE(with_header.has_value());
    EXPECT_EQ(with_header.error().kind, LinkErrorKind::not_supported);
    const auto right = Device::from_fd(::dup(fd.get()), LinkLayer::raw_ip, false, 1500);
    EXPECT_TRUE(right.has_value());
}
TEST(Descriptor, ATunThatIsNotWhatWasSaidIsRefused) {
    IN_PRIVATE_NETWORK(true, mismatched_tun);
}

void adopted_packet_socket() {
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->create_veth({.name = "a", .peer_name = "b"}));
    ASSERT_LINK_OK(netlink->set_up("a"));
    ASSERT_LINK_OK(netlink->set_up("b"));
    PacketOptions options;
    options.name = "a";
    const auto original = Device::open_packet(options);
    ASSERT_LINK_OK(original);
    const FileDescriptor copy(::dup(original->native_handle()));
    const auto without = Device::from_fd(copy.get(), LinkLayer::ethernet, false, 1500);
    ASSERT_FALSE(without.has_value());
    EXPECT_NE(without.error().what.find("with PACKET_VNET_HDR"), std::string::npos);
    EXPECT_FALSE(Device::from_fd(copy.get(), LinkLayer::raw_ip, true, 1500).has_value());
    const auto adopted = Device::from_fd(::dup(copy.get()), LinkLayer::ethernet, true, 1500);
    ASSERT_LINK_OK(adopted);
    EXPECT_EQ(adopted->kind(), DeviceKind::packet);
    EXPECT_EQ(adopted->name(), "a");
    EXPECT_EQ(adopted->mac(), original->mac());
    EXPECT_EQ(adopted->interface_index(), original->interface_index());
}
TEST(Descriptor, AdoptsAPacketSocketWithItsInterface) {
    IN_PRIVATE_NETWORK(false, adopted_packet_socket);
}

TEST(LinkDrop, EachHasANameAndASentence) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kLinkDrops; ++i) {
        names.emplace_back(name(static_cast<LinkDrop>(i)));
        EXPECT_EQ(std::string(sentence(static_cast<LinkDrop>(i))).back(), '.');
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace runnel
