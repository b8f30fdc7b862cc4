// A transport's segment on its way out: headers, checksums whole and partial, super-segments handed over or
// split, loopback, and what can't be sent.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "bench.hpp"

namespace runnel::test {
namespace {

constexpr std::uint16_t kTcpChecksum = 16;

Packet tcp_head(std::uint16_t flags = TcpFlags::kAck, std::uint32_t seq = 1000,
                std::size_t size = 20) {
    Packet head(size);
    ByteWriter writer(head);
    writer.u16(80);
    writer.u16(4000);
    writer.u32(seq);
    writer.u32(77);
    writer.u16(static_cast<std::uint16_t>(size / 4 << 12 | flags));
    writer.u16(512);
    for (std::size_t i = 20; i < size; ++i) {
        head[i] = std::byte{1};
    }
    return head;
}
OutgoingPacket tcp_packet(bool v4 = true, std::uint16_t gso_size = 0) {
    OutgoingPacket packet;
    packet.source = v4 ? ip("10.0.0.1") : ip("fd00::1");
    packet.destination = v4 ? ip("10.0.0.9") : ip("fd00::9");
    packet.protocol = kProtocolTcp;
    packet.checksum_offset = kTcpChecksum;
    packet.gso_size = gso_size;
    return packet;
}
LinkCapabilities offloading(LinkLayer layer = LinkLayer::raw_ip) {
    LinkCapabilities link;
    link.layer = layer;
    link.checksum_offload = link.tso4 = link.tso6 = true;
    return link;
}
/// True when the transport checksum of a packet made for `packet` is right.
bool checksum_is_right(const OutgoingPacket& packet, const Packet& bytes) {
    const std::size_t header = packet.destination.is_v4() ? 20 : 40;
    const Bytes transport = Bytes(bytes).subspan(header);
    return complete_checksum(pseudo_header_sum(packet.source, packet.destination, packet.protocol,
                                               static_cast<std::uint32_t>(transport.size())),
                             transport, {}) == 0;
}

// Proves: MUST-2
TEST(Output, PutsTheHeaderAndTheChecksumOn) {
    for (const bool v4 : {true, false}) {
        Bench bench;
        OutgoingPacket packet = tcp_packet(v4);
        packet.hop_limit = 33;
        packet.traffic_class = 0x2a;
        EXPECT_EQ(bench.output(packet, tcp_head(), pattern(101)), Decision::ip_transmit);
        ASSERT_EQ(bench.layer.pending().size(), 1U);
        EXPECT_EQ(bench.layer.pending()[0].interface, bench.interface);
        EXPECT_EQ(bench.layer.pending()[0].offload, Offload{});
        const Packet sent = bench.take()[0];
        EXPECT_TRUE(checksum_is_right(packet, sent));
        if (v4) {
            const auto parse = parse_ipv4(sent);
            ASSERT_FALSE(parse.error);
            EXPECT_EQ(parse.header.ttl, 33);
            EXPECT_EQ(parse.header.traffic_class, 0x2a);
            EXPECT_TRUE(parse.header.dont_fragment);
            EXPECT_EQ(parse.header.protocol, kProtocolTcp);
            EXPECT_EQ(parse.header.source, packet.source);
            EXPECT_EQ(parse.header.destination, packet.destination);
        } else {
            const auto parse = parse_ipv6(sent);
            ASSERT_FALSE(parse.error);
            EXPECT_EQ(parse.header.hop_limit, 33);
            EXPECT_EQ(parse.header.traffic_class, 0x2a);
            EXPECT_EQ(parse.header.next_header, kProtocolTcp);
            EXPECT_EQ(parse.header.payload_length, 121);
        }
        EXPECT_TRUE(bench.decisions().empty()) << "the transport records its transmissions";
    }
}

TEST(Output, LeavesTheChecksumPartialWhereTheLinkCompletesIt) {
    for (const bool v4 : {true, false}) {
        Bench bench(offloading());
        const OutgoingPacket packet = tcp_packet(v4);
        bench.output(packet, tcp_head(), pattern(100));
        const Frame& frame = bench.layer.pending().at(0);
        const std::size_t header = v4 ? 20 : 40;
        EXPECT_TRUE(frame.offload.needs_checksum);
        EXPECT_EQ(frame.offload.csum_start, header);
        EXPECT_EQ(frame.offload.csum_offset, kTcpChecksum);
        // The device sums from csum_start on, the field included, and stores the complement.
        Packet sent = bytes_of(frame);
        const std::uint16_t completed = complete_checksum(0, Bytes(sent).subspan(header), {});
        ByteWriter(MutableBytes(sent).subspan(header + kTcpChecksum, 2)).u16(completed);
        EXPECT_TRUE(checksum_is_right(packet, sent));
    }
}

TEST(Output, HandsASuperSegmentOverWhole) {
    Bench bench(offloading());
    Frame frame;
    const Packet head = tcp_head(TcpFlags::kAck | TcpFlags::kPsh, 1, 32);
    std::copy(head.begin(), head.end(), frame.head_space().begin());
    frame.set_head_size(head.size());
    const Slice payload = bench.pool.copy(pattern(60'000));
    frame.body.push_back(payload);
    frame.reason = 5;
    EXPECT_EQ(bench.layer.output(std::move(frame), tcp_packet(true, 1448), bench.now),
              Decision::ip_transmit);
    ASSERT_EQ(bench.layer.pending().size(), 1U);
    const Frame& sent = bench.layer.pending()[0];
    EXPECT_EQ(sent.offload.gso, Offload::Gso::tcp_ipv4);
    EXPECT_EQ(sent.offload.gso_size, 1448);
    EXPECT_EQ(sent.offload.header_length, 52);
    EXPECT_TRUE(sent.offload.needs_checksum);
    EXPECT_FALSE(sent.offload.ecn);
    EXPECT_EQ(sent.reason, 5);
    EXPECT_EQ(sent.body[0].data(), payload.data()) << "the payload isn't copied";
    const auto first = parse_ipv4(bytes_of(sent)).header.identification;
    bench.layer.pending().clear();
    bench.output(tcp_packet(), tcp_head());
    EXPECT_EQ(parse_ipv4(bench.take().at(0)).header.identification,
              static_cast<std::uint16_t>(first + 42))
        << "each piece has an identification of its own (RFC 6864)";
}

TEST(Output, MarksACongestionWindowReducedSuperSegment) {
    Bench bench(offloading());
    bench.output(tcp_packet(false, 1000), tcp_head(TcpFlags::kAck | TcpFlags::kCwr), pattern(5000));
    EXPECT_TRUE(bench.layer.pending().at(0).offload.ecn);
    EXPECT_EQ(bench.layer.pending().at(0).offload.gso, Offload::Gso::tcp_ipv6);
}

/// Checks that `sent` are the pieces of one super-segment; returns nothing when they are.
std::string wrong_pieces(const OutgoingPacket& packet, const std::vector<Packet>& sent,
                         const Packet& head, const Packet& body, std::uint16_t flags) {
    const std::size_t header = packet.destination.is_v4() ? 20 : 40;
    const std::uint32_t first_seq = ByteReader(Bytes(head).subspan(4, 4)).u32();
    Packet collected;
    std::vector<std::uint16_t> identifications;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const Packet& bytes = sent[i];
        if (!checksum_is_right(packet, bytes)) {
            return "checksum";
        }
        const Bytes transport = Bytes(bytes).subspan(header);
        const TcpParse tcp = parse_tcp(transport);
        if (tcp.error) {
            return "header";
        }
        if (tcp.header.seq.value != static_cast<std::uint32_t>(first_seq + collected.size())) {
            return "sequence number";
        }
        const bool last = i + 1 == sent.size();
        std::uint16_t expected = flags;
        if (!last) {
            expected &= static_cast<std::uint16_t>(~(TcpFlags::kFin | TcpFlags::kPsh));
        }
        if (i > 0) {
            expected &= static_cast<std::uint16_t>(~TcpFlags::kCwr);
        }
        if (tcp.header.flags.bits != expected) {
            return "flags";
        }
        if (tcp.header.header_length != head.size()) {
            return "options";
        }
        const Bytes payload = transport.subspan(head.size());
        if (!last && payload.size() != packet.gso_size) {
            return "size";
        }
        if (payload.empty() || payload.size() > packet.gso_size) {
            return "size of the last";
        }
        collected.insert(collected.end(), payload.begin(), payload.end());
        if (packet.destination.is_v4()) {
            identifications.push_back(parse_ipv4(bytes).header.identification);
        }
    }
    if (collected != body) {
        return "content";
    }
    for (std::size_t i = 1; i < identifications.size(); ++i) {
        if (identifications[i] == identifications[i - 1]) {
            return "identification";
        }
    }
    return "";
}

TEST(Output, SplitsASuperSegmentForALinkThatCant) {
    constexpr std::uint16_t kFlags =
        TcpFlags::kAck | TcpFlags::kPsh | TcpFlags::kFin | TcpFlags::kCwr;
    for (const bool v4 : {true, false}) {
        Bench bench;
        const OutgoingPacket packet = tcp_packet(v4, 1400);
        const Packet head = tcp_head(kFlags, 0xffff'f000, 32);  // across the wrap
        const Packet body = pattern(10'001);
        EXPECT_EQ(bench.output(packet, head, body), Decision::ip_transmit);
        const auto sent = bench.take();
        EXPECT_EQ(sent.size(), 8U);
        EXPECT_EQ(wrong_pieces(packet, sent, head, body, kFlags), "");
    }
}

RC_GTEST_PROP(OutputProperties, PiecesOfAnySlicesAreRight, (bool v4, bool offload)) {
    LinkCapabilities link = Bench::raw();
    link.checksum_offload = false;
    link.tso4 = link.tso6 = offload;  // of no use without checksum offload
    Bench bench(link);
    const auto gso = *rc::gen::inRange<std::uint16_t>(1, 1400);
    const auto count = *rc::gen::inRange<std::size_t>(1, kMaxFrameSlices + 1);
    constexpr std::uint16_t kFlags = TcpFlags::kAck | TcpFlags::kPsh | TcpFlags::kCwr;
    const Packet head = tcp_head(kFlags, *rc::gen::arbitrary<std::uint32_t>());
    Frame frame;
    std::copy(head.begin(), head.end(), frame.head_space().begin());
    frame.set_head_size(head.size());
    Packet body;
    for (std::size_t i = 0; i < count; ++i) {
        const Packet slice =
            pattern(*rc::gen::inRange<std::size_t>(1, 400), static_cast<unsigned>(i));
        frame.body.push_back(bench.pool.copy(slice));
        body = body + slice;
    }
    const OutgoingPacket packet = tcp_packet(v4, gso);
    RC_ASSERT(bench.layer.output(std::move(frame), packet, bench.now) == Decision::ip_transmit);
    RC_ASSERT(wrong_pieces(packet, bench.take(), head, body, kFlags) == "");
}

TEST(Output, OnlyAddressesOfThisHostAreSources) {
    Bench bench;
    OutgoingPacket packet = tcp_packet();
    packet.source = ip("10.0.0.2");
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_drop_bad_source);
    packet.source = ip("fd00::1");
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_drop_bad_source);
    packet = tcp_packet();
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_transmit);
    ASSERT_TRUE(bench.layer.remove_address(bench.interface, ip("10.0.0.1")));
    bench.add_address("10.0.0.3/24");
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_drop_bad_source)
        << "what was right before isn't remembered for ever";
}

TEST(Output, WithoutARouteSaysSo) {
    Bench bench;
    OutgoingPacket packet = tcp_packet();
    packet.destination = ip("8.8.8.8");
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_drop_no_route);
    EXPECT_EQ(bench.decision(), Decision::ip_drop_no_route);
    Route route;
    route.destination = cidr("0.0.0.0/0");
    route.gateway = ip("10.0.0.254");
    ASSERT_TRUE(bench.layer.add_route(route));
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_transmit) << "routes count at once";
}

TEST(Output, ASuperSegmentWithoutATcpHeaderIsRefused) {
    Bench bench;
    EXPECT_EQ(bench.output(tcp_packet(true, 10), pattern(19), pattern(100)),
              Decision::ip_drop_malformed_output);
}

TEST(Output, PiecesLargerThanThePathAreRefusedAndTold) {
    Bench bench(offloading());
    EXPECT_EQ(bench.output(tcp_packet(true, 1461), tcp_head(), pattern(9000)),
              Decision::ip_drop_too_big);
    ASSERT_TRUE(bench.layer.has_local());
    EXPECT_EQ(std::get<IcmpError>(bench.layer.poll_local(bench.now)).mtu, 1500U);
    EXPECT_EQ(bench.output(tcp_packet(true, 1460), tcp_head(), pattern(9000)),
              Decision::ip_transmit);
}

TEST(Output, AZeroUdpChecksumIsSentAsAllOnes) {
    Bench bench;
    OutgoingPacket packet = tcp_packet();
    packet.protocol = kProtocolUdp;
    packet.checksum_offset = 6;
    Packet head(8);
    ByteWriter writer(head);
    writer.u16(1);
    writer.u16(2);
    writer.u16(10);
    // Two bytes of data that make the sum all ones.
    const std::uint16_t without =
        complete_checksum(pseudo_header_sum(packet.source, packet.destination, 17, 10), head, {});
    Packet body(2);
    ByteWriter(body).u16(without);
    bench.output(packet, head, body);
    const Packet sent = bench.take().at(0);
    EXPECT_EQ(ByteReader(Bytes(sent).subspan(26, 2)).u16(), 0xffff);
}

TEST(Output, PendingIsBounded) {
    Bench bench;
    Decision last = Decision::ip_transmit;
    std::size_t sent = 0;
    for (int i = 0; i < 20'000 && last == Decision::ip_transmit; ++i) {
        last = bench.output(tcp_packet(), tcp_head());
        sent += last == Decision::ip_transmit ? 1U : 0U;
    }
    EXPECT_EQ(last, Decision::ip_drop_pending_full);
    EXPECT_EQ(sent, bench.layer.pending().size());
}

// --- to ourselves ----------------------------------------------------------------------------------------

TEST(Loopback, APacketToAnOwnAddressComesBack) {
    for (const char* address : {"10.0.0.1", "fd00::1", "127.0.0.1", "::1"}) {
        Bench bench;
        OutgoingPacket packet = tcp_packet();
        packet.source = packet.destination = ip(address);
        const Packet head = tcp_head();
        EXPECT_EQ(bench.output(packet, head, pattern(500)), Decision::ip_transmit_loopback);
        EXPECT_TRUE(bench.layer.pending().empty());
        ASSERT_TRUE(bench.layer.has_local());
        const InputResult result = bench.layer.poll_local(bench.now);
        EXPECT_FALSE(bench.layer.has_local());
        ASSERT_TRUE(std::holds_alternative<Datagram>(result)) << address;
        const Datagram& datagram = std::get<Datagram>(result);
        EXPECT_EQ(datagram.interface, kLoopbackInterface);
        EXPECT_EQ(datagram.source, ip(address));
        EXPECT_EQ(datagram.payload_size, 520U);
        EXPECT_TRUE(verify_transport_checksum(datagram));
        EXPECT_EQ(part(bytes_of(datagram.payload), 20, 500), pattern(500));
        EXPECT_TRUE(datagram.to_unicast);
    }
}

TEST(Loopback, ASuperSegmentStaysOne) {
    Bench bench;
    OutgoingPacket packet = tcp_packet(true, 1460);
    packet.destination = packet.source;
    bench.output(packet, tcp_head(), pattern(60'000));
    const InputResult result = bench.layer.poll_local(bench.now);
    EXPECT_EQ(std::get<Datagram>(result).payload_size, 60'020U);
    EXPECT_EQ(std::get<Datagram>(result).offload.gso_size, 1460);
}

TEST(Loopback, AFrameFullOfSlicesStillFits) {
    Bench bench;
    OutgoingPacket packet = tcp_packet(true, 1460);
    packet.destination = packet.source;
    Frame frame;
    const Packet head = tcp_head();
    std::copy(head.begin(), head.end(), frame.head_space().begin());
    frame.set_head_size(head.size());
    Packet body;
    for (unsigned i = 0; i < kMaxFrameSlices; ++i) {
        frame.body.push_back(bench.pool.copy(pattern(100, i)));
        body = body + pattern(100, i);
    }
    bench.layer.output(std::move(frame), packet, bench.now);
    const InputResult result = bench.layer.poll_local(bench.now);
    const Packet arrived = bytes_of(std::get<Datagram>(result).payload);
    EXPECT_EQ(part(arrived, 0, 16), part(head, 0, 16));
    EXPECT_EQ(part(arrived, 20, arrived.size() - 20), body);
}

TEST(Loopback, EchoToOurselvesIsAnsweredToOurselves) {
    Bench bench;
    OutgoingPacket packet;
    packet.source = packet.destination = ip("127.0.0.1");
    packet.protocol = kProtocolIcmpv4;
    bench.output(packet, icmpv4(Icmpv4Message::Type::echo_request, 0, 1, pattern(20)));
    EXPECT_TRUE(nothing(bench.layer.poll_local(bench.now)));
    EXPECT_TRUE(bench.decided(Decision::icmp_transmit_echo_reply));
    EXPECT_TRUE(nothing(bench.layer.poll_local(bench.now)));
    EXPECT_TRUE(bench.decided(Decision::icmp_drop_echo_reply));
    EXPECT_FALSE(bench.layer.has_local());
}

TEST(Loopback, IsBounded) {
    Bench bench;
    OutgoingPacket packet = tcp_packet();
    packet.destination = packet.source;
    Decision last = Decision::ip_transmit_loopback;
    int sent = 0;
    for (; sent < 5000 && last == Decision::ip_transmit_loopback; ++sent) {
        last = bench.output(packet, tcp_head());
    }
    EXPECT_EQ(last, Decision::ip_drop_loopback_full);
    EXPECT_EQ(sent, 1025);
    while (bench.layer.has_local()) {
        bench.layer.poll_local(bench.now);
    }
    EXPECT_EQ(bench.output(packet, tcp_head()), Decision::ip_transmit_loopback);
}

}  // namespace
}  // namespace runnel::test
