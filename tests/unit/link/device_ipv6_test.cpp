// Super-segments over IPv6 through a TUN, both ways: the other segmentation type of virtio_net_hdr.
#include "kernel_peer.hpp"

namespace runnel {
namespace {

using namespace testing;

constexpr std::size_t kIp = 40;

sockaddr_in6 ipv6_endpoint(unsigned last, unsigned port) {
    sockaddr_in6 endpoint{};
    endpoint.sin6_family = AF_INET6;
    endpoint.sin6_addr.s6_addr[0] = 0xfd;
    endpoint.sin6_addr.s6_addr[1] = 0x09;
    endpoint.sin6_addr.s6_addr[15] = static_cast<std::uint8_t>(last);
    endpoint.sin6_port = htons(static_cast<std::uint16_t>(port));
    return endpoint;
}

/// From fd09::2 to fd09::1, the checksum partial (RFC 8200 §8.1 gives the pseudo-header).
Packet tcp6(const TcpFields& fields, std::string_view payload) {
    const bool syn = (fields.flags & kSyn) != 0;
    const unsigned header = syn ? 24 : 20;
    const auto length = static_cast<unsigned>(header + payload.size());
    Packet p;
    put32(p, 0x60000000);
    put16(p, length);
    p.push_back(6);
    p.push_back(64);
    for (const unsigned last : {2U, 1U}) {
        Packet address(16);
        address[0] = 0xfd;
        address[1] = 9;
        address[15] = static_cast<std::uint8_t>(last);
        p.insert(p.end(), address.begin(), address.end());
    }
    put16(p, fields.source_port);
    put16(p, fields.destination_port);
    put32(p, fields.seq);
    put32(p, fields.ack);
    p.push_back(static_cast<std::uint8_t>(header / 4 << 4));
    p.push_back(static_cast<std::uint8_t>(fields.flags));
    put16(p, 0xffff);
    put32(p, 0);
    if (syn) {
        put32(p, 0x020405a0);  // MSS 1440
    }
    p.insert(p.end(), payload.begin(), payload.end());
    set16(p, kIp + 16, sum(p, 8, kIp, length + 6));
    return p;
}

constexpr Offload kPartial{Offload::Gso::none, false, true, false, 60, 0, 40, 16};

/// The next TCP segment over IPv6 in a frame.
std::optional<Frame> next_tcp6(Device& device, BufferPool& pool) {
    return await_frame(device, pool, [](const Frame& f) {
        const Bytes bytes = f.body[0].bytes();
        return bytes.size() >= 60 && (bytes[0] >> 4) == std::byte{6} && bytes[6] == std::byte{6};
    });
}

FileDescriptor tcp6_socket() {
    FileDescriptor socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_TRUE(socket.valid());
    return socket;
}

void from_kernel() {
    auto device = open_test_tun({}, "fd09::1/64");
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    const FileDescriptor client = tcp6_socket();
    const sockaddr_in6 to = ipv6_endpoint(2, 80);
    (void)::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    const auto syn = next_tcp6(*device, pool);
    ASSERT_TRUE(syn.has_value());
    const Packet asked = to_packet(syn->body[0].bytes());
    const TcpFields fields{80, get16(asked, kIp), 9000, get32(asked, kIp + 4) + 1, kSyn | kAck};
    ASSERT_EQ(peer.send(tcp6(fields, ""), kPartial), 1U);
    const std::string data(5 * 1440, 'd');
    for (int i = 0; i < 100; ++i) {
        if (::send(client.get(), data.data(), data.size(), 0) ==
            static_cast<ssize_t>(data.size())) {
            break;
        }
        pollfd writable{client.get(), POLLOUT, 0};
        (void)::poll(&writable, 1, 20);
    }
    for (int i = 0; i < 20; ++i) {
        const auto frame = next_tcp6(*device, pool);
        ASSERT_TRUE(frame.has_value()) << "no super-segment came";
        if (frame->offload.gso == Offload::Gso::none) {
            continue;
        }
        EXPECT_EQ(frame->offload.gso, Offload::Gso::tcp_ipv6);
        EXPECT_EQ(frame->offload.gso_size, 1440);
        EXPECT_EQ(frame->offload.csum_start, 40);
        EXPECT_EQ(frame->offload.header_length, 60);
        EXPECT_GT(frame->size(), 1500U);
        return;
    }
    FAIL() << "only ordinary segments came";
}
TEST(TunIpv6, KernelTcpSendsSuperSegments) {
    IN_PRIVATE_NETWORK(true, from_kernel);
}

void to_kernel() {
    auto device = open_test_tun({}, "fd09::1/64");
    ASSERT_LINK_OK(device);
    BufferPool pool(16 << 20);
    HandPeer peer(*device, pool);
    const FileDescriptor listener = tcp6_socket();
    const sockaddr_in6 local = ipv6_endpoint(1, 8080);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)), 0)
        << std::strerror(errno);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    TcpFields fields{4000, 8080, 100, 0, kSyn};
    ASSERT_EQ(peer.send(tcp6(fields, ""), kPartial), 1U);
    const auto answer = next_tcp6(*device, pool);
    ASSERT_TRUE(answer.has_value());
    const Packet said = to_packet(answer->body[0].bytes());
    fields = {4000, 8080, 101, get32(said, kIp + 4) + 1, kAck};
    ASSERT_EQ(peer.send(tcp6(fields, ""), kPartial), 1U);
    ASSERT_TRUE(readable(listener.get()));
    const FileDescriptor socket(::accept(listener.get(), nullptr, nullptr));
    std::string data(44 * 1440, '\0');
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<char>(i * 11 + i / 257);
    }
    Offload offload = kPartial;
    offload.gso = Offload::Gso::tcp_ipv6;
    offload.gso_size = 1440;
    ASSERT_EQ(peer.send(tcp6(fields, data), offload), 1U);
    std::string got;
    while (got.size() < data.size()) {
        const std::string more = kernel_receives(socket.get());
        ASSERT_FALSE(more.empty()) << "the kernel took only " << got.size();
        got += more;
    }
    EXPECT_EQ(got, data);
}
TEST(TunIpv6, KernelTakesASuperSegment) {
    IN_PRIVATE_NETWORK(true, to_kernel);
}

}  // namespace
}  // namespace runnel
