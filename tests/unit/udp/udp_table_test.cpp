// UDP sockets: binding, sending, receiving, checksums, bounds and errors.
#include "runnel/udp/udp_table.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel {
namespace {

Endpoint endpoint(std::string_view address, std::uint16_t port) {
    return {*parse_ip_address(address), port};
}

struct Udp : testing::Test {
    BufferPool pool{8u << 20};
    FlightRecorder recorder{256};
    UdpTable table{pool, recorder, UdpConfig{}, SipKey{1, 2}};
    Instant now{seconds(1).ns};

    /// A datagram with a right checksum, as the network layer delivers it.
    UdpArrival arrival(const Endpoint& from, const Endpoint& to, std::string_view data,
                       bool with_checksum = true) {
        const auto length = static_cast<std::uint16_t>(kUdpHeaderSize + data.size());
        std::vector<std::byte> bytes(kUdpHeaderSize);
        emit_udp({from.port, to.port, length, 0}, bytes);
        bytes.insert(bytes.end(), as_bytes(data).begin(), as_bytes(data).end());
        if (with_checksum) {
            ChecksumAccumulator sum(pseudo_header_sum(from.address, to.address, 17, length));
            sum.add(bytes);
            ByteWriter(MutableBytes(bytes).subspan(6, 2)).u16(udp_checksum_field(sum.finish()));
        }
        UdpArrival made;
        made.source = from.address;
        made.destination = to.address;
        made.payload_size = static_cast<std::uint32_t>(bytes.size());
        made.payload.push_back(pool.copy(bytes));
        return made;
    }
    static std::string text(const UdpMessage& message) {
        std::string all;
        for (const Slice& slice : message.payload) {
            for (const std::byte b : slice.bytes()) {
                all.push_back(static_cast<char>(b));
            }
        }
        return all;
    }
    const Endpoint local = endpoint("10.0.0.1", 53);
    const Endpoint remote = endpoint("10.0.0.9", 5353);
};

TEST_F(Udp, ADatagramGoesToItsSocket) {
    const UdpHandle socket = table.bind(local).value();
    EXPECT_FALSE(table.readable(socket));
    EXPECT_EQ(table.receive(socket).error(), Errc::would_block);
    EXPECT_EQ(table.on_datagram(arrival(remote, local, "hello"), now), Decision::udp_accept);
    std::vector<UdpHandle> ready;
    table.take_readable(ready);
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0], socket);
    EXPECT_TRUE(table.readable(socket));
    {
        const auto message = table.receive(socket);
        ASSERT_TRUE(message.has_value());
        EXPECT_EQ(text(*message), "hello");
        EXPECT_EQ(message->source, remote);
        EXPECT_EQ(message->destination, local);
    }
    EXPECT_FALSE(table.readable(socket));
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST_F(Udp, EmptyDatagramsAreDatagrams) {
    const UdpHandle socket = table.bind(local).value();
    EXPECT_EQ(table.on_datagram(arrival(remote, local, ""), now), Decision::udp_accept);
    EXPECT_EQ(table.receive(socket)->size, 0U);
}

TEST_F(Udp, TheMostParticularSocketWins) {
    const UdpHandle any = table.bind(endpoint("0.0.0.0", 7)).value();
    const UdpHandle bound = table.bind(local).value();
    table.on_datagram(arrival(remote, local, "a"), now);
    table.on_datagram(arrival(remote, endpoint("10.0.0.2", 7), "b"), now);
    EXPECT_EQ(text(*table.receive(bound)), "a");
    EXPECT_EQ(text(*table.receive(any)), "b");
    ASSERT_TRUE(table.connect(any, remote));
    table.on_datagram(arrival(remote, endpoint("10.0.0.2", 7), "c"), now);
    EXPECT_EQ(text(*table.receive(any)), "c");
    EXPECT_EQ(
        table.on_datagram(arrival(endpoint("10.0.0.8", 1), endpoint("10.0.0.2", 7), "d"), now),
        Decision::udp_drop_no_socket)
        << "a connected socket hears one peer only";
}

TEST_F(Udp, WhatNobodyWaitsForIsNamedSoThatTheHostCanAnswer) {
    EXPECT_EQ(table.on_datagram(arrival(remote, local, "x"), now), Decision::udp_drop_no_socket);
    EXPECT_EQ(recorder.count(Decision::udp_drop_no_socket), 1U);
    const UdpHandle socket = table.bind(endpoint("::", 53)).value();
    EXPECT_EQ(table.on_datagram(arrival(remote, local, "x"), now), Decision::udp_drop_no_socket)
        << "families don't mix";
    EXPECT_FALSE(table.readable(socket));
}

TEST_F(Udp, ChecksumsAreCheckedAndMayBeMissingOverIpv4Only) {
    const UdpHandle socket = table.bind(local).value();
    UdpArrival damaged = arrival(remote, local, "hello");
    damaged.payload[0].mutable_bytes()[9] ^= std::byte{1};
    EXPECT_EQ(table.on_datagram(std::move(damaged), now), Decision::udp_drop_bad_checksum);
    EXPECT_EQ(table.on_datagram(arrival(remote, local, "none", false), now), Decision::udp_accept);
    const Endpoint v6 = endpoint("fd00::1", 53);
    ASSERT_TRUE(table.bind(v6));
    EXPECT_EQ(table.on_datagram(arrival(endpoint("fd00::9", 1), v6, "none", false), now),
              Decision::udp_drop_no_checksum);  // RFC 8200 §8.1
    EXPECT_EQ(table.on_datagram(arrival(endpoint("fd00::9", 1), v6, "some"), now),
              Decision::udp_accept);
    UdpArrival trusted = arrival(endpoint("fd00::9", 1), v6, "none", false);
    trusted.checksum_trusted = true;
    EXPECT_EQ(table.on_datagram(std::move(trusted), now), Decision::udp_accept);
    EXPECT_EQ(text(*table.receive(socket)), "none");
}

TEST_F(Udp, LengthsAreChecked) {
    ASSERT_TRUE(table.bind(local));
    const auto with_length = [&](std::uint16_t length) {
        UdpArrival made = arrival(remote, local, "hello", false);
        ByteWriter(made.payload[0].mutable_bytes().subspan(4, 2)).u16(length);
        return table.on_datagram(std::move(made), now);
    };
    EXPECT_EQ(with_length(7), Decision::udp_drop_truncated);
    EXPECT_EQ(with_length(14), Decision::udp_drop_truncated);
    EXPECT_EQ(with_length(13), Decision::udp_accept);
    UdpArrival cut;
    EXPECT_EQ(table.on_datagram(std::move(cut), now), Decision::udp_drop_truncated);
    UdpArrival to_zero = arrival(remote, endpoint("10.0.0.1", 0), "x");
    EXPECT_EQ(table.on_datagram(std::move(to_zero), now), Decision::udp_drop_zero_port);
}

TEST_F(Udp, BytesBehindTheUdpLengthAreCutOff) {
    const UdpHandle socket = table.bind(local).value();
    UdpArrival made = arrival(remote, local, "hello", false);
    ByteWriter(made.payload[0].mutable_bytes().subspan(4, 2)).u16(8 + 4);
    table.on_datagram(std::move(made), now);
    EXPECT_EQ(text(*table.receive(socket)), "hell");
}

TEST_F(Udp, TheReceiveQueueIsBounded) {
    const UdpHandle socket = table.bind(local).value();
    int accepted = 0;
    for (int i = 0; i < 300; ++i) {
        accepted += table.on_datagram(arrival(remote, local, "x"), now) == Decision::udp_accept;
    }
    EXPECT_EQ(accepted, 52) << "212,992 bytes of chunks of 4 KiB";
    EXPECT_EQ(recorder.count(Decision::udp_drop_queue_full), 248U);
    ASSERT_TRUE(table.receive(socket));
    EXPECT_EQ(table.on_datagram(arrival(remote, local, "x"), now), Decision::udp_accept);
    ASSERT_TRUE(table.close(socket));
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST_F(Udp, SendWritesTheHeaderAndLeavesTheChecksumToTheNetworkLayer) {
    const UdpHandle socket = table.bind(local).value();
    ASSERT_TRUE(table.send(socket, as_bytes("question"), remote));
    ASSERT_TRUE(table.has_transmit());
    const auto sent = table.poll_transmit();
    ASSERT_TRUE(sent.has_value());
    EXPECT_EQ(sent->source, local.address);
    EXPECT_EQ(sent->destination, remote.address);
    const Bytes head = sent->frame.head();
    ASSERT_EQ(head.size(), kUdpHeaderSize);
    ByteReader reader(head);
    EXPECT_EQ(reader.u16(), 53);
    EXPECT_EQ(reader.u16(), 5353);
    EXPECT_EQ(reader.u16(), 16);
    EXPECT_EQ(reader.u16(), 0);
    EXPECT_EQ(sent->frame.body_size(), 8U);
    EXPECT_FALSE(table.poll_transmit().has_value());
}

TEST_F(Udp, SendFailsWithTheNamesOfErrno) {
    const UdpHandle socket = table.bind(local).value();
    EXPECT_EQ(table.send(socket, as_bytes("x")).error(), Errc::destination_address_required);
    EXPECT_EQ(table.send(socket, as_bytes("x"), endpoint("fd00::9", 1)).error(),
              Errc::address_family_not_supported);
    const std::vector<std::byte> huge(65'508);
    EXPECT_EQ(table.send(socket, Bytes(huge), remote).error(), Errc::message_too_long);
    EXPECT_TRUE(table.send(socket, Bytes(huge).first(65'507), remote));
    while (table.writable()) {
        ASSERT_TRUE(table.send(socket, Bytes{}, remote));
    }
    EXPECT_EQ(table.send(socket, as_bytes("x"), remote).error(), Errc::would_block);
    ASSERT_TRUE(table.close(socket));
    EXPECT_EQ(table.send(socket, as_bytes("x"), remote).error(), Errc::bad_descriptor);
    while (table.poll_transmit()) {
    }
}

TEST_F(Udp, PortsAreTakenOnceAndEphemeralOnesDiffer) {
    ASSERT_TRUE(table.bind(local));
    EXPECT_EQ(table.bind(local).error(), Errc::address_in_use);
    EXPECT_EQ(table.bind(endpoint("0.0.0.0", 53)).error(), Errc::address_in_use);
    EXPECT_TRUE(table.bind(endpoint("::", 53)));
    std::set<std::uint16_t> ports;
    bool in_order = true;
    std::uint16_t last = 0;
    for (int i = 0; i < 50; ++i) {
        const auto socket = table.bind(endpoint("0.0.0.0", 0));
        const std::uint16_t port = table.local_endpoint(*socket)->port;
        EXPECT_GE(port, 32768);
        EXPECT_LE(port, 60999);
        in_order = in_order && port > last;
        last = port;
        ports.insert(port);
    }
    EXPECT_EQ(ports.size(), 50U);
    EXPECT_FALSE(in_order) << "RFC 6056: not to be guessed";
}

TEST_F(Udp, AnErrorReachesOnlyTheConnectedSocketItIsAbout) {
    const UdpHandle socket = table.bind(local).value();
    std::vector<std::byte> quote(8);
    emit_udp({53, 5353, 12, 0}, quote);
    const UdpQuote error{local.address, remote.address, quote};
    EXPECT_EQ(table.on_error(error, Errc::connection_refused, now),
              Decision::udp_drop_error_unknown)
        << "not connected (RFC 1122 §4.1.3.3 leaves it to the user's choice)";
    ASSERT_TRUE(table.connect(socket, remote));
    EXPECT_EQ(table.on_error(error, Errc::connection_refused, now), Decision::udp_accept_error);
    EXPECT_TRUE(table.readable(socket));
    EXPECT_EQ(table.receive(socket).error(), Errc::connection_refused);
    EXPECT_EQ(table.receive(socket).error(), Errc::would_block) << "reported once";
    const UdpQuote cut{local.address, remote.address, Bytes(quote).first(3)};
    EXPECT_EQ(table.on_error(cut, Errc::connection_refused, now), Decision::udp_drop_error_unknown);
}

}  // namespace
}  // namespace runnel
