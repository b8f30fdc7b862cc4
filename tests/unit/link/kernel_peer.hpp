// The kernel's end of a link in a test (plain sockets) and Runnel's end played by hand: just enough of
// IPv4 and TCP to make the kernel send and take super-segments over any device.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "packets.hpp"
#include "private_network.hpp"
#include "runnel/link/file_descriptor.hpp"

namespace runnel::testing {

inline constexpr std::uint32_t kKernel = 0x0a090001;  // 10.9.0.1
inline constexpr std::uint32_t kRunnel = 0x0a090002;  // 10.9.0.2

inline sockaddr_in ipv4_endpoint(std::uint32_t address, unsigned port) {
    sockaddr_in endpoint{};
    endpoint.sin_family = AF_INET;
    endpoint.sin_addr.s_addr = htonl(address);
    endpoint.sin_port = htons(static_cast<std::uint16_t>(port));
    return endpoint;
}

inline FileDescriptor kernel_socket(int type, unsigned port) {
    FileDescriptor socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const timeval patience{2, 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const sockaddr_in local = ipv4_endpoint(kKernel, port);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)), 0)
        << std::strerror(errno);
    return socket;
}

inline void kernel_sends_udp(int socket, std::string_view text, unsigned port = 7) {
    const sockaddr_in to = ipv4_endpoint(kRunnel, port);
    EXPECT_EQ(::sendto(socket, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                       sizeof(to)),
              static_cast<ssize_t>(text.size()))
        << std::strerror(errno);
}

/// What arrives at a kernel socket within `milliseconds`; empty if nothing.
inline std::string kernel_receives(int socket, int milliseconds = 1000) {
    if (!readable(socket, milliseconds)) {
        return {};
    }
    std::string text(70000, '\0');
    const ssize_t size = ::recv(socket, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
}

/// Runnel's end, by hand. IP packets in and out whatever the link's layer.
class HandPeer {
public:
    HandPeer(Device& device, BufferPool& pool, std::string kernel_mac = {})
        : device_(device), pool_(pool), kernel_mac_(std::move(kernel_mac)) {
        for (const std::byte b : device.mac().bytes) {
            own_mac_.push_back(static_cast<char>(b));
        }
    }

    [[nodiscard]] std::size_t link_header() const {
        return device_.capabilities().layer == LinkLayer::ethernet ? 14 : 0;
    }

    /// The frame of an IP packet: the first 40 bytes in the head, the rest in slices of 20,000.
    [[nodiscard]] Frame frame_of(const Packet& ip, Offload offload = {}) {
        Packet whole = ip;
        if (link_header() != 0) {
            whole = ethernet(kernel_mac_, own_mac_, 0x0800, ip);
            offload.csum_start = static_cast<std::uint16_t>(offload.csum_start + 14);
            offload.header_length = static_cast<std::uint16_t>(offload.header_length + 14);
        }
        Frame frame;
        frame.offload = offload;
        const Bytes bytes = std::as_bytes(std::span(whole));
        const std::size_t head = std::min<std::size_t>(40 + link_header(), bytes.size());
        std::memcpy(frame.head_space().data(), bytes.data(), head);
        frame.set_head_size(head);
        for (std::size_t at = head; at < bytes.size(); at += 20000) {
            const std::size_t size = std::min<std::size_t>(20000, bytes.size() - at);
            frame.body.push_back(pool_.copy(bytes.subspan(at, size)));
        }
        return frame;
    }
    /// How many of the one frame the device took.
    std::size_t send(const Packet& ip, const Offload& offload = {}) {
        const Frame frame = frame_of(ip, offload);
        return device_.send({&frame, 1});
    }

    /// The next IPv4 packet of that protocol, and its frame's offload in `offload()`.
    std::optional<Packet> receive(unsigned protocol) {
        const std::size_t skip = link_header();
        auto frame = await_frame(device_, pool_, [&](const Frame& f) {
            const Bytes bytes = f.body[0].bytes();
            if (bytes.size() < skip + 20) {
                return false;
            }
            if (skip != 0 && (bytes[12] != std::byte{8} || bytes[13] != std::byte{0})) {
                return false;
            }
            return bytes[skip] == std::byte{0x45} &&
                   bytes[skip + 9] == static_cast<std::byte>(protocol);
        });
        if (!frame) {
            return std::nullopt;
        }
        offload_ = frame->offload;
        return to_packet(frame->body[0].bytes().subspan(skip));
    }
    /// The next TCP segment to that port; those of earlier connections are skipped.
    std::optional<Packet> receive_tcp(unsigned port) {
        for (int tries = 0; tries < 1000; ++tries) {
            auto packet = receive(6);
            if (!packet || (packet->size() >= 40 && get16(*packet, 22) == port)) {
                return packet;
            }
        }
        return std::nullopt;
    }
    [[nodiscard]] const Offload& offload() const { return offload_; }

    /// Answers the kernel's ARP requests until one for Runnel's address has been answered.
    bool answer_arp() {
        const auto request = await_frame(device_, pool_, [](const Frame& f) {
            const Packet p = to_packet(f.body[0].bytes());
            return p.size() >= 42 && get16(p, 12) == 0x0806 && get16(p, 20) == 1 &&
                   get32(p, 38) == kRunnel;
        });
        if (!request) {
            return false;
        }
        const Packet asked = to_packet(request->body[0].bytes());
        kernel_mac_.assign(asked.begin() + 22, asked.begin() + 28);
        Packet answer{0, 1, 8, 0, 6, 4, 0, 2};
        answer.insert(answer.end(), own_mac_.begin(), own_mac_.end());
        put32(answer, kRunnel);
        answer.insert(answer.end(), asked.begin() + 22, asked.begin() + 32);
        const Packet whole = ethernet(kernel_mac_, own_mac_, 0x0806, answer);
        Frame frame;
        std::memcpy(frame.head_space().data(), whole.data(), whole.size());
        frame.set_head_size(whole.size());
        return device_.send({&frame, 1}) == 1;
    }

private:
    Device& device_;
    BufferPool& pool_;
    std::string kernel_mac_;
    std::string own_mac_;
    Offload offload_;
};

inline constexpr unsigned kFin = 1, kSyn = 2, kPsh = 8, kAck = 16;

/// The kernel connects to Runnel's port 80 and sends `size` bytes; Runnel's end acknowledges by hand.
/// Fails unless super-segments came, each with a right partial checksum, and the bytes were right.
inline void expect_bulk_from_kernel(HandPeer& peer, std::size_t size) {
    const FileDescriptor client = kernel_socket(SOCK_STREAM | SOCK_NONBLOCK, 0);
    const sockaddr_in to = ipv4_endpoint(kRunnel, 80);
    (void)::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    const auto syn = peer.receive_tcp(80);
    ASSERT_TRUE(syn.has_value()) << "no SYN came";
    const unsigned port = get16(*syn, 20);
    const std::uint32_t first = get32(*syn, 24) + 1;
    TcpFields fields{80, port, 5000, first, kSyn | kAck};
    ASSERT_EQ(peer.send(tcp4(kRunnel, kKernel, fields, "", Checksum::full)), 1U);
    fields.seq = 5001;
    fields.flags = kAck;

    std::string sent(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        sent[i] = static_cast<char>(i * 7 + i / 251);
    }
    std::string got;
    std::size_t written = 0;
    std::size_t largest = 0;
    while (got.size() < size) {
        if (written < size) {
            const ssize_t n =
                ::send(client.get(), sent.data() + written, size - written, MSG_DONTWAIT);
            written += n > 0 ? static_cast<std::size_t>(n) : 0;
        }
        const auto packet = peer.receive_tcp(80);
        ASSERT_TRUE(packet.has_value()) << "the flow stopped at " << got.size();
        const std::size_t header = 20U + (packet->at(32) >> 4) * 4U;
        const std::size_t length = packet->size() - header;
        if (length == 0 || get32(*packet, 24) != fields.ack) {
            continue;
        }
        largest = std::max(largest, packet->size());
        EXPECT_EQ(get16(*packet, 2), packet->size());
        EXPECT_TRUE(peer.offload().needs_checksum);
        EXPECT_EQ(peer.offload().csum_start, 20 + peer.link_header());
        EXPECT_EQ(peer.offload().csum_offset, 16);
        const auto tcp_length = static_cast<unsigned>(packet->size() - 20);
        EXPECT_EQ(get16(*packet, 36), pseudo_sum(*packet, 0, tcp_length));
        if (packet->size() > 1500) {
            EXPECT_EQ(peer.offload().gso, Offload::Gso::tcp_ipv4);
            EXPECT_EQ(peer.offload().gso_size, 1460);
            EXPECT_EQ(peer.offload().header_length, header + peer.link_header());
        } else {
            EXPECT_EQ(peer.offload().gso, Offload::Gso::none);
        }
        got.append(packet->begin() + static_cast<std::ptrdiff_t>(header), packet->end());
        fields.ack += static_cast<std::uint32_t>(length);
        ASSERT_EQ(peer.send(tcp4(kRunnel, kKernel, fields, "", Checksum::full)), 1U);
    }
    EXPECT_EQ(got, sent);
    EXPECT_GT(largest, 30000U) << "super-segments should grow towards 64 KB";
}

/// Runnel connects to a kernel listener by hand and sends one super-segment; the kernel must read it all.
inline void expect_super_segment_to_kernel(HandPeer& peer) {
    const FileDescriptor listener = kernel_socket(SOCK_STREAM, 8080);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    TcpFields fields{4000, 8080, 0xffff0000, 0, kSyn};
    ASSERT_EQ(peer.send(tcp4(kRunnel, kKernel, fields, "", Checksum::full)), 1U);
    const auto answer = peer.receive_tcp(4000);
    ASSERT_TRUE(answer.has_value()) << "no SYN-ACK came";
    ASSERT_EQ(answer->at(33), kSyn | kAck);
    fields = {4000, 8080, 0xffff0001, get32(*answer, 24) + 1, kAck};
    ASSERT_EQ(peer.send(tcp4(kRunnel, kKernel, fields, "", Checksum::full)), 1U);
    const FileDescriptor socket(::accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(socket.valid());

    std::string data(44 * 1460, '\0');  // 64,240 bytes, the most that whole segments fill
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<char>(i * 13 + i / 509);
    }
    const Packet packet = tcp4(kRunnel, kKernel, fields, data, Checksum::partial);
    const Offload offload{Offload::Gso::tcp_ipv4, false, true, false, 40, 1460, 20, 16};
    ASSERT_EQ(peer.send(packet, offload), 1U);
    std::string got;
    while (got.size() < data.size()) {
        const std::string more = kernel_receives(socket.get());
        ASSERT_FALSE(more.empty()) << "the kernel took only " << got.size();
        got += more;
    }
    EXPECT_EQ(got, data);
}

}  // namespace runnel::testing
