// Law 5: after start-up no segment allocates. Two hosts exchange data frame by frame while every call of
// operator new in this program is counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "runnel/host/host.hpp"
#include "runnel/socket/socket_layer.hpp"

/// Calls of operator new in this program so far (counting_new.cpp).
std::size_t allocation_count();

namespace runnel {
namespace {

/// A host, its sockets and what it has sent.
struct End {
    Host host;
    SocketLayer sockets{host};
    FrameBatch out;
    FrameBatch in;
    std::vector<ReadyEvent> ready;

    End(const char* address, bool offload) : host(HostConfig{}) {
        InterfaceConfig interface;
        interface.name = "test0";
        interface.capabilities.layer = LinkLayer::raw_ip;
        interface.capabilities.mtu = 1500;
        interface.capabilities.checksum_offload = offload;
        interface.capabilities.tso4 = offload;
        interface.capabilities.tso6 = offload;
        host.add_interface(interface);
        EXPECT_TRUE(host.add_address(0, *parse_cidr(address), Instant{}).has_value());
        out.reserve(256);
        in.reserve(256);
    }
    /// Copies what this end has sent into the other end's own memory, as a device would.
    void hand_over(End& other, Instant now) {
        bool more = true;
        while (more) {
            more = host.poll_transmit(now, out, 64);
            if (out.empty()) {
                break;
            }
            for (const Frame& frame : out) {
                Frame arrived;
                ChunkRef chunk = other.host.pool().allocate(frame.size());
                std::byte* at = std::copy(frame.head().begin(), frame.head().end(), chunk.data());
                for (const Slice& slice : frame.body) {
                    at = std::copy(slice.bytes().begin(), slice.bytes().end(), at);
                }
                arrived.offload = frame.offload;
                arrived.body.push_back(
                    {std::move(chunk), 0, static_cast<std::uint32_t>(frame.size())});
                other.in.push_back(std::move(arrived));
            }
            out.clear();
            other.host.on_frames(0, other.in, now);
        }
    }
};

class Allocation : public ::testing::TestWithParam<bool> {};

TEST_P(Allocation, NoneForASegmentInSteadyState) {
    End client("10.1.0.1/24", GetParam());
    End server("10.1.0.2/24", GetParam());
    Instant now{seconds(1).ns};
    const Endpoint at{*parse_ip_address("10.1.0.2"), 80};
    const SocketId listener = *server.sockets.open(Family::ipv4, SocketType::stream);
    ASSERT_TRUE(server.sockets.bind(listener, at, now).has_value());
    ASSERT_TRUE(server.sockets.listen(listener, 4, now).has_value());
    const SocketId writer = *client.sockets.open(Family::ipv4, SocketType::stream);
    (void)client.sockets.connect(writer, at, now);
    const auto exchange = [&] {
        now = now + microseconds(50);
        client.hand_over(server, now);
        server.hand_over(client, now);
        client.sockets.take_ready(client.ready);
        server.sockets.take_ready(server.ready);
    };
    exchange();
    exchange();
    const auto accepted = server.sockets.accept(listener, now);
    ASSERT_TRUE(accepted.has_value());
    const std::vector<std::byte> block(256 * 1024);
    std::vector<std::byte> into(1024 * 1024);
    std::uint64_t received = 0;
    const auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            (void)client.sockets.send(writer, block, {}, now);
            exchange();
            received += server.sockets.receive(*accepted, into, {}, now).value_or(0);
            exchange();
        }
    };
    rounds(200);
    const std::uint64_t warm = received;
    const std::size_t before = allocation_count();
    rounds(200);
    EXPECT_EQ(allocation_count() - before, 0u);
    EXPECT_GT(received - warm, 20u << 20);
}

INSTANTIATE_TEST_SUITE_P(Links, Allocation, ::testing::Values(false, true),
                         [](const auto& param) { return param.param ? "offload" : "plain"; });

}  // namespace
}  // namespace runnel
