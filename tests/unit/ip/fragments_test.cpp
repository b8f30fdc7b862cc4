// Fragments in and out, both families: reassembly in any order, its limits, and what is sent when the rest
// doesn't come.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

#include "bench.hpp"
#include "runnel/base/checksum.hpp"

namespace runnel::test {
namespace {

struct Piece {
    std::size_t offset = 0;
    std::size_t size = 0;
    bool more = false;
};

/// One fragment of `payload`, as an IP packet from fd00::9 or 10.0.0.9.
Packet fragment(bool v4, const Packet& payload, const Piece& piece, std::uint32_t id = 77,
                std::uint8_t traffic_class = 0, std::string_view source = {}) {
    const Packet data = part(payload, piece.offset, piece.size);
    if (v4) {
        Ipv4Header header;
        header.source = ip(source.empty() ? "10.0.0.9" : source);
        header.destination = ip("10.0.0.1");
        header.protocol = kProtocolUdp;
        header.identification = static_cast<std::uint16_t>(id);
        header.fragment_offset = static_cast<std::uint16_t>(piece.offset);
        header.more_fragments = piece.more;
        header.traffic_class = traffic_class;
        return ipv4(header, data);
    }
    Packet field(kIpv6FragmentHeaderSize);
    Ipv6Fragment value;
    value.identification = id;
    value.fragment_offset = static_cast<std::uint16_t>(piece.offset);
    value.more_fragments = piece.more;
    value.next_header = kProtocolUdp;
    emit_ipv6_fragment(value, field);
    Ipv6Header header;
    header.source = ip(source.empty() ? "fd00::9" : source);
    header.destination = ip("fd00::1");
    header.next_header = kProtocolFragment;
    header.traffic_class = traffic_class;
    return ipv6(header, field + data);
}

Packet datagram_of(bool v4, std::size_t data_size) {
    return v4 ? udp("10.0.0.9", "10.0.0.1", pattern(data_size))
              : udp("fd00::9", "fd00::1", pattern(data_size));
}

class Fragments : public testing::TestWithParam<bool> {
protected:
    bool v4() const { return GetParam(); }
    Packet one(const Piece& piece, std::uint32_t id = 77, std::uint8_t traffic_class = 0) const {
        return fragment(v4(), payload, piece, id, traffic_class);
    }
    Bench bench;
    Packet payload = datagram_of(GetParam(), 2992);  // 3000 bytes
};
INSTANTIATE_TEST_SUITE_P(Family, Fragments, testing::Bool(),
                         [](const auto& family) { return family.param ? "ipv4" : "ipv6"; });

TEST_P(Fragments, InAnyOrderMakeTheDatagram) {
    const std::vector<Piece> pieces = {{0, 1000, true}, {1000, 800, true}, {1800, 1200, false}};
    std::vector<std::size_t> order = {0, 1, 2};
    std::uint32_t id = 1;
    do {
        for (std::size_t i = 0; i < 2; ++i) {
            EXPECT_TRUE(nothing(bench.input(one(pieces[order[i]], id))));
            EXPECT_EQ(bench.decision(), Decision::ip_hold_fragment);
        }
        const InputResult result = bench.input(one(pieces[order[2]], id));
        EXPECT_EQ(bench.decision(), Decision::ip_accept_reassembled);
        const Datagram& datagram = std::get<Datagram>(result);
        EXPECT_EQ(bytes_of(datagram.payload), payload);
        EXPECT_EQ(datagram.protocol, kProtocolUdp);
        EXPECT_TRUE(datagram.to_unicast);
        EXPECT_TRUE(verify_transport_checksum(datagram));
        ++id;
    } while (std::next_permutation(order.begin(), order.end()));
    EXPECT_LT(bench.layer.next_timeout(), Instant::never());
    bench.run_to(bench.now + seconds(100));
    EXPECT_EQ(bench.layer.next_timeout(), Instant::never()) << "nothing is left behind";
}

TEST_P(Fragments, OfDifferentNamesDontMix) {
    EXPECT_TRUE(nothing(bench.input(one({0, 1000, true}, 1))));
    EXPECT_TRUE(nothing(bench.input(one({1000, 2000, false}, 2))));
    const char* other = v4() ? "10.0.0.8" : "fd00::8";
    EXPECT_TRUE(nothing(bench.input(fragment(v4(), payload, {1000, 2000, false}, 1, 0, other))));
    EXPECT_TRUE(std::holds_alternative<Datagram>(bench.input(one({1000, 2000, false}, 1))));
}

TEST_P(Fragments, ExactDuplicatesAreIgnored) {
    bench.input(one({0, 1000, true}));
    bench.input(one({0, 1000, true}));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_duplicate);
    EXPECT_TRUE(std::holds_alternative<Datagram>(bench.input(one({1000, 2000, false}))));
}

TEST_P(Fragments, AnOverlapGivesTheWholeDatagramUp) {  // RFC 5722 §4
    const std::vector<Piece> overlaps = {
        {0, 1008, true}, {8, 992, true}, {992, 16, true}, {0, 8, true}, {992, 2008, false}};
    std::uint32_t id = 1;
    for (const Piece& overlap : overlaps) {
        bench.input(one({0, 1000, true}, id));
        EXPECT_TRUE(nothing(bench.input(one(overlap, id))));
        EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_overlap);
        EXPECT_TRUE(nothing(bench.input(one({1000, 2000, false}, id))));
        EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_of_dropped);
        EXPECT_TRUE(nothing(bench.input(one({0, 1000, true}, id))));
        EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_of_dropped);
        ++id;
    }
    bench.run_to(bench.now + seconds(100));
    EXPECT_TRUE(bench.take().empty()) << "no time exceeded about what was given up";
}

TEST_P(Fragments, AnOverlapWithWhatComesLaterCountsToo) {
    bench.input(one({1000, 1000, true}));
    EXPECT_TRUE(nothing(bench.input(one({0, 1008, true}))));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_overlap);
    EXPECT_TRUE(nothing(bench.input(one({2000, 1000, false}))));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_of_dropped);
}

TEST_P(Fragments, DisagreementAboutTheEndGivesItUp) {
    bench.input(one({1800, 1200, false}, 1));
    bench.input(one({1000, 104, false}, 1));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_inconsistent);
    bench.input(one({1000, 104, false}, 2));
    bench.input(one({1800, 1192, true}, 2));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_inconsistent);
    bench.input(one({1800, 1192, true}, 3));
    bench.input(one({1000, 104, false}, 3));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_inconsistent);
}

TEST_P(Fragments, AreKeptForALimitedTimeAndItsSenderTold) {
    bench.input(one({0, 1000, true}));
    const Duration time = v4() ? seconds(30) : seconds(60);
    EXPECT_EQ(bench.layer.next_timeout(), bench.now + time);
    bench.run_to(bench.now + time - nanoseconds(1));
    EXPECT_TRUE(bench.take().empty());
    bench.run_to(bench.now + nanoseconds(1));
    EXPECT_TRUE(bench.decided(Decision::ip_drop_fragment_timeout));
    const auto sent = bench.take();
    ASSERT_EQ(sent.size(), 1U);
    if (v4()) {
        const auto told = parse_icmpv4(Bytes(sent[0]).subspan(20));
        EXPECT_EQ(told.message.type, Icmpv4Message::Type::time_exceeded);
        EXPECT_EQ(told.message.code, Icmpv4Message::reassembly_exceeded);
        EXPECT_EQ(sent[0].size(), 576U) << "as much as fits";
        EXPECT_EQ(Packet(told.message.body.begin(), told.message.body.end()),
                  part(one({0, 1000, true}), 0, 576 - 28));
    } else {
        const auto told = parse_icmpv6(Bytes(sent[0]).subspan(40), ip("fd00::1"), ip("fd00::9"));
        EXPECT_FALSE(told.error);
        EXPECT_EQ(told.message.type, Icmpv6Message::Type::time_exceeded);
        EXPECT_EQ(told.message.code, Icmpv6Message::reassembly_exceeded);
        EXPECT_EQ(Packet(told.message.body.begin(), told.message.body.end()), one({0, 1000, true}));
    }
    EXPECT_TRUE(nothing(bench.input(one({1000, 2000, false})))) << "the first is forgotten";
}

TEST_P(Fragments, WithoutTheFirstNobodyIsTold) {  // RFC 1122 §3.3.2, RFC 8200 §4.5
    bench.input(one({1000, 800, true}));
    bench.run_to(bench.now + seconds(61));
    EXPECT_TRUE(bench.decided(Decision::ip_drop_fragment_timeout));
    EXPECT_TRUE(bench.take().empty());
}

TEST_P(Fragments, OfNoBytesAreRefused) {
    bench.input(one({8, 0, true}));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_empty);
}

TEST_P(Fragments, InManyPiecesAreRefused) {
    payload = datagram_of(v4(), 2992);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < 200; ++i) {
        bench.input(one({i * 8, 8, true}));
        kept += bench.decision() == Decision::ip_hold_fragment ? 1U : 0U;
    }
    EXPECT_EQ(kept, 128U);
    EXPECT_TRUE(bench.decided(Decision::ip_drop_fragment_too_many));
}

TEST_P(Fragments, CongestionMarksSurviveAndContradictionsDont) {  // RFC 3168 §5.3
    bench.input(one({0, 1000, true}, 1, 2));
    const InputResult marked = bench.input(one({1000, 2000, false}, 1, 3));
    EXPECT_EQ(std::get<Datagram>(marked).ecn(), 3);
    bench.input(one({0, 1000, true}, 2, 0));
    EXPECT_TRUE(nothing(bench.input(one({1000, 2000, false}, 2, 3))));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_ecn);
    bench.input(one({0, 1000, true}, 3, 0xb8));
    const InputResult plain = bench.input(one({1000, 2000, false}, 3, 0xb8));
    EXPECT_EQ(std::get<Datagram>(plain).traffic_class, 0xb8);
}

TEST_P(Fragments, MemoryIsBoundedForOneSourceAndForAll) {
    IpConfig config = Bench::quiet();
    config.reassembly_bytes = 64 * 1024;
    config.reassembly_bytes_per_source = 32 * 1024;
    Bench small(Bench::raw(), config);
    for (std::uint32_t id = 0; id < 100; ++id) {
        small.input(one({0, 1000, true}, id));
    }
    EXPECT_TRUE(small.decided(Decision::ip_drop_fragment_memory));
    EXPECT_LE(small.pool.bytes_in_use(), 32U * 1024);
    for (int i = 0; i < 60; ++i) {
        const std::string source = (v4() ? "10.0.0." : "fd00::") + std::to_string(i + 10);
        small.input(fragment(v4(), payload, {0, 1000, true}, 5, 0, source));
    }
    EXPECT_TRUE(small.decided(Decision::ip_drop_fragment_evicted)) << "the oldest make room";
    EXPECT_LE(small.pool.bytes_in_use(), 64U * 1024);
    const std::string last = v4() ? "10.0.0.69" : "fd00::69";
    EXPECT_TRUE(std::holds_alternative<Datagram>(
        small.input(fragment(v4(), payload, {1000, 2000, false}, 5, 0, last))))
        << "the newest is still there";
}

TEST_P(Fragments, ManyDatagramsAtOnceAreBounded) {
    for (std::uint32_t id = 0; id < 400; ++id) {
        const std::string source = (v4() ? "10.0.0." : "fd00::") + std::to_string(id % 200 + 10);
        bench.input(fragment(v4(), payload, {0, 8, true}, id, 0, source));
    }
    EXPECT_EQ(bench.recorder.count(Decision::ip_drop_fragment_evicted), 400U - 256U);
}

TEST_P(Fragments, ASmallPieceOfALargeChunkIsCopiedOut) {
    Frame frame;
    frame.interface = bench.interface;
    const Packet bytes = one({0, 1000, true});
    ChunkRef large = bench.pool.allocate(60'000);
    std::copy(bytes.begin(), bytes.end(), large.data());
    frame.body.push_back(Slice(std::move(large), 0, static_cast<std::uint32_t>(bytes.size())));
    bench.layer.input(std::move(frame), bench.now);
    EXPECT_EQ(bench.pool.bytes_in_use(), kSmallChunk);
}

TEST_P(Fragments, ToTheEdgeOfTheLengthFieldAreTakenAndNotBeyond) {
    const std::size_t greatest = v4() ? 65'535 - 20 : 65'535;
    payload = pattern(66'000);
    std::size_t offset = 0;
    for (; offset + 1400 < 65'000; offset += 1400) {
        EXPECT_TRUE(nothing(bench.input(one({offset, 1400, true}))));
    }
    const InputResult result = bench.input(one({offset, greatest - offset, false}));
    ASSERT_TRUE(std::holds_alternative<Datagram>(result));
    EXPECT_EQ(std::get<Datagram>(result).payload_size, greatest);
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), part(payload, 0, greatest));
    bench.forget();
    bench.input(one({65'000, greatest - 65'000 + 1, false}, 78));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_bad_fragment) << "the ping of death";
}

TEST_P(Fragments, OutAndInAgain) {
    Bench sender(Bench::raw(1280), Bench::quiet(), {"10.0.0.9/24", "fd00::9/64"});
    OutgoingPacket packet;
    packet.source = v4() ? ip("10.0.0.9") : ip("fd00::9");
    packet.destination = v4() ? ip("10.0.0.1") : ip("fd00::1");
    packet.protocol = kProtocolUdp;
    packet.checksum_offset = 6;
    packet.dont_fragment = false;
    packet.traffic_class = 0x10;
    Packet head = part(payload, 0, 8);
    head[6] = head[7] = std::byte{0};
    EXPECT_EQ(sender.output(packet, head, part(payload, 8, payload.size() - 8)),
              Decision::ip_transmit_fragments);
    const auto sent = sender.take();
    ASSERT_EQ(sent.size(), 3U);
    InputResult result;
    for (const Packet& piece : sent) {
        EXPECT_LE(piece.size(), 1280U);
        EXPECT_TRUE(nothing(result));
        result = bench.input(piece);
    }
    const Datagram& datagram = std::get<Datagram>(result);
    EXPECT_EQ(bytes_of(datagram.payload), payload) << "checksum included";
    EXPECT_EQ(datagram.traffic_class, 0x10);
}

TEST_P(Fragments, AreNotSentWhereTheTransportForbidsThem) {
    OutgoingPacket packet;
    packet.source = v4() ? ip("10.0.0.1") : ip("fd00::1");
    packet.destination = v4() ? ip("10.0.0.9") : ip("fd00::9");
    packet.protocol = kProtocolTcp;
    packet.checksum_offset = 16;
    const Packet head = pattern(20);
    EXPECT_EQ(bench.output(packet, head, pattern(1500)), Decision::ip_drop_too_big);
    EXPECT_TRUE(bench.take().empty());
    ASSERT_TRUE(bench.layer.has_local()) << "the transport hears of it";
    const InputResult local = bench.layer.poll_local(bench.now);
    const IcmpError& error = std::get<IcmpError>(local);
    EXPECT_EQ(error.kind, IcmpError::Kind::packet_too_big);
    EXPECT_EQ(error.mtu, 1500U);
    EXPECT_EQ(error.quoted_source, packet.source);
    EXPECT_EQ(error.quoted_destination, packet.destination);
    EXPECT_EQ(error.protocol, kProtocolTcp);
    EXPECT_EQ(Packet(error.transport_bytes().begin(), error.transport_bytes().end()), head);
}

// --- one family only -------------------------------------------------------------------------------------

TEST(Ipv4Fragments, OfOneDatagramShareAnIdentificationAndOthersDiffer) {
    Bench bench(Bench::raw(600), Bench::quiet(), {"10.0.0.1/24"});
    OutgoingPacket packet;
    packet.source = ip("10.0.0.1");
    packet.destination = ip("10.0.0.9");
    packet.protocol = kProtocolUdp;
    packet.checksum_offset = 6;
    packet.dont_fragment = false;
    std::vector<std::uint16_t> identifications;
    for (int i = 0; i < 3; ++i) {
        bench.output(packet, Packet(8), pattern(1000));
        const auto sent = bench.take();
        ASSERT_EQ(sent.size(), 2U);
        const auto first = parse_ipv4(sent[0]).header;
        EXPECT_EQ(first.identification, parse_ipv4(sent[1]).header.identification);
        EXPECT_FALSE(first.dont_fragment);
        identifications.push_back(first.identification);
    }
    EXPECT_NE(identifications[0], identifications[1]);
    EXPECT_NE(identifications[1], identifications[2]);
}

TEST(Ipv4Fragments, ThatCutTheTcpHeaderAreRefused) {  // RFC 1858, RFC 3128
    Bench bench;
    Ipv4Header header;
    header.source = ip("10.0.0.9");
    header.destination = ip("10.0.0.1");
    header.protocol = kProtocolTcp;
    header.more_fragments = true;
    bench.input(ipv4(header, pattern(16)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_tiny);
    header.more_fragments = false;
    header.fragment_offset = 8;
    bench.input(ipv4(header, pattern(100)));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_fragment_tiny);
}

TEST(Ipv4Fragments, InnerOnesAreMultiplesOfEight) {
    Bench bench;
    bench.input(fragment(true, pattern(100), {0, 99, true}));
    EXPECT_EQ(bench.decision(), Decision::ip_drop_bad_fragment);
}

TEST(Ipv4Fragments, AHeaderWithOptionsMakesNoPacketTooLongForItsField) {
    Bench bench;
    const Packet payload = pattern(65'515);
    Packet first = fragment(true, payload, {0, 1400, true});
    first.insert(first.begin() + 20, 40, std::byte{1});
    first[0] = std::byte{0x4f};
    ByteWriter(MutableBytes(first).subspan(2, 2)).u16(static_cast<std::uint16_t>(first.size()));
    ByteWriter(MutableBytes(first).subspan(10, 2)).u16(0);
    ByteWriter(MutableBytes(first).subspan(10, 2)).u16(internet_checksum(Bytes(first).first(60)));
    bench.input(first);
    std::size_t offset = 1400;
    for (; offset + 1400 < payload.size(); offset += 1400) {
        bench.input(fragment(true, payload, {offset, 1400, true}));
    }
    EXPECT_TRUE(
        nothing(bench.input(fragment(true, payload, {offset, payload.size() - offset, false}))));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_bad_fragment);
}

TEST(Ipv6Fragments, AtomicOnesAreTakenByThemselves) {  // RFC 6946 §4
    Bench bench;
    const Packet payload = datagram_of(false, 100);
    bench.input(fragment(false, payload, {0, 56, true}, 5));
    const InputResult result = bench.input(fragment(false, payload, {0, payload.size(), false}, 5));
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), payload);
    EXPECT_EQ(bench.decisions().back(), Decision::ip_accept_atomic_fragment);
    EXPECT_TRUE(std::holds_alternative<Datagram>(
        bench.input(fragment(false, payload, {56, payload.size() - 56, false}, 5))))
        << "the real fragments of that identification weren't touched";
}

TEST(Ipv6Fragments, ErrorsAreToldAsRfc8200Says) {
    Bench bench;
    const auto told = [&] {
        const auto sent = bench.take();
        EXPECT_EQ(sent.size(), 1U);
        return parse_icmpv6(Bytes(sent.at(0)).subspan(40), ip("fd00::1"), ip("fd00::9")).message;
    };
    bench.input(fragment(false, pattern(200), {0, 99, true}));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_bad_fragment);
    Icmpv6Message message = told();
    EXPECT_EQ(message.code, 0);
    EXPECT_EQ(message.pointer(), 4U) << "the payload length";
    bench.input(fragment(false, pattern(66'000), {65'528, 8, false}));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_bad_fragment);
    message = told();
    EXPECT_EQ(message.code, 0);
    EXPECT_EQ(message.pointer(), 42U) << "the fragment offset";
    bench.input(fragment(false, pattern(200), {0, 0, true}));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_tiny);
    message = told();
    EXPECT_EQ(message.code, Icmpv6Message::incomplete_first_fragment);  // RFC 7112 §5
}

TEST(Ipv6Fragments, InsideReassembledPacketsAreRefused) {
    Bench bench;
    Packet inner(kIpv6FragmentHeaderSize);
    Ipv6Fragment field;
    field.more_fragments = true;
    field.next_header = kProtocolUdp;
    emit_ipv6_fragment(field, inner);
    const Packet payload = inner + pattern(200);
    // The outer fragment header says that a fragment header follows.
    const auto outer = [&](const Piece& piece) {
        Packet packet = fragment(false, payload, piece);
        packet[40] = std::byte{kProtocolFragment};
        return packet;
    };
    bench.input(outer({0, 104, true}));
    EXPECT_TRUE(nothing(bench.input(outer({104, 104, false}))));
    EXPECT_EQ(bench.decisions().back(), Decision::ip_drop_fragment_nested);
}

TEST(Ipv6Fragments, HeadersBeforeTheFragmentHeaderStay) {
    Bench bench;
    const Packet payload = datagram_of(false, 192);
    const auto with_options = [&](const Piece& piece) {
        const Packet plain = fragment(false, payload, piece);
        Packet options = {std::byte{kProtocolFragment}, std::byte{0}, std::byte{1}, std::byte{4}};
        options.resize(8);
        Packet packet = part(plain, 0, 40) + options + part(plain, 40, plain.size() - 40);
        packet[6] = std::byte{kProtocolDestinationOptions};
        ByteWriter(MutableBytes(packet).subspan(4, 2))
            .u16(static_cast<std::uint16_t>(packet.size() - 40));
        return packet;
    };
    bench.input(with_options({104, 96, false}));
    const InputResult result = bench.input(with_options({0, 104, true}));
    ASSERT_TRUE(std::holds_alternative<Datagram>(result));
    EXPECT_EQ(bytes_of(std::get<Datagram>(result).payload), payload);
    EXPECT_EQ(std::get<Datagram>(result).network_header_size, 48);
}

RC_GTEST_PROP(FragmentProperties, AnySplitInAnyOrderMakesTheDatagram, (bool v4)) {
    Bench bench;
    const auto size = *rc::gen::inRange<std::size_t>(64, 20'000);
    const Packet payload = pattern(size);
    std::vector<Piece> pieces;
    for (std::size_t offset = 0; offset < size;) {
        const auto units = *rc::gen::inRange<std::size_t>(24, 200);
        const std::size_t piece = std::min(units * 8, size - offset);
        pieces.push_back({offset, piece, offset + piece < size});
        offset += piece;
    }
    std::vector<std::size_t> order(pieces.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    std::size_t whole = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const InputResult result = bench.input(fragment(v4, payload, pieces[order[i]]));
        if (i + 1 == order.size()) {
            RC_ASSERT(std::holds_alternative<Datagram>(result));
            RC_ASSERT(bytes_of(std::get<Datagram>(result).payload) == payload);
            ++whole;
        } else {
            RC_ASSERT(nothing(result));
        }
    }
    RC_ASSERT(whole == 1U);
}

}  // namespace
}  // namespace runnel::test
