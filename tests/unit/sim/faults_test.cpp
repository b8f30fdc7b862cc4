// What each fault of a link does to the packets that pass, and that it counts it.
#include "runnel/sim/fault_state.hpp"

#include <gtest/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::sim {
namespace {

constexpr std::uint32_t kAlways = 1'000'000;

Fault fault_of(FaultKind kind, std::uint32_t intensity = kAlways, std::int64_t a = 0,
               std::int64_t b = 0) {
    Fault fault;
    fault.kind = kind;
    fault.intensity = intensity;
    fault.a = a;
    fault.b = b;
    fault.seed = 7;
    return fault;
}

/// One fault with packets going past it.
struct Box {
    explicit Box(const Fault& fault) : spec(fault), state(spec) { state.active = true; }
    ~Box() {
        for (const HeldPacket& held : state.held) {
            pool.give_back(held.packet);
        }
    }
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;

    Packet* segment(unsigned way, std::uint32_t seq, std::uint32_t ack, std::uint16_t flags,
                    std::string_view payload = {}, TcpOptions options = {}) {
        FourTuple tuple{{node_address(0, Family::ipv4), 40'000},
                        {node_address(1, Family::ipv4), kFirstPort}};
        TcpHeader header;
        header.seq = SeqNum{seq};
        header.ack = SeqNum{ack};
        header.flags.bits = flags;
        header.window = 1'000;
        header.options = options;
        Packet* packet = pool.take();
        make_segment(*packet, way == 0 ? tuple : reversed(tuple), header, as_bytes(payload));
        return packet;
    }
    Verdict pass(Packet* packet, unsigned way = 0) {
        extras.clear();
        Passage passage{.packet = packet, .way = way, .now = {}, .pool = pool, .extras = extras};
        const Verdict verdict = pass_fault(state, passage);
        passed = passage.packet;
        later = passage.later;
        return verdict;
    }
    Verdict pass(unsigned way, std::uint32_t seq, std::uint32_t ack, std::uint16_t flags,
                 std::string_view payload = {}, TcpOptions options = {}) {
        return pass(segment(way, seq, ack, flags, payload, options), way);
    }

    Fault spec;
    FaultState state;
    PacketPool pool;
    std::vector<Extra> extras;
    Packet* passed = nullptr;
    Duration later = {};
};

constexpr std::uint16_t kSyn = TcpFlags::kSyn, kAck = TcpFlags::kAck, kFin = TcpFlags::kFin,
                        kPsh = TcpFlags::kPsh;

bool checksum_right(const Packet& packet) {
    const Bytes segment = Bytes(packet.bytes).subspan(packet.network_header);
    ChecksumAccumulator sum(pseudo_header_sum(packet.tuple.local.address,
                                              packet.tuple.remote.address, kProtocolTcp,
                                              static_cast<std::uint32_t>(segment.size())));
    sum.add(segment);
    return sum.folded() == 0xffff && !parse_ipv4(packet.bytes).error;
}

std::string_view text(const Packet& packet) {
    return {reinterpret_cast<const char*>(packet.payload().data()), packet.payload().size()};
}

TEST(Faults, DropLosesItsShare) {
    Box box(fault_of(FaultKind::drop, 250'000));
    for (int i = 0; i < 4'000; ++i) {
        Packet* packet = box.segment(0, 1, 1, kAck);
        (void)box.pass(packet);
        box.pool.give_back(packet);
    }
    EXPECT_NEAR(static_cast<double>(box.state.times), 1'000.0, 100.0);
}

TEST(Faults, BurstsLoseNeighbours) {
    Box box(fault_of(FaultKind::drop_bursts, 10'000, 100'000, kAlways));
    int lost = 0, in_a_row = 0;
    bool last = false;
    for (int i = 0; i < 20'000; ++i) {
        Packet* packet = box.segment(0, 1, 1, kAck);
        const bool now = box.pass(packet) == Verdict::drop;
        box.pool.give_back(packet);
        lost += now ? 1 : 0;
        in_a_row += now && last ? 1 : 0;
        last = now;
    }
    EXPECT_GT(lost, 500);
    EXPECT_GT(in_a_row, lost * 7 / 10);  // ten in a row on average
}

TEST(Faults, AimedLossHitsItsAimAlone) {
    struct Case {
        FaultKind kind;
        std::uint16_t flags;
        std::string_view payload;
    };
    const Case cases[] = {{FaultKind::drop_syn, kSyn, ""},
                          {FaultKind::drop_fin, kFin | kAck, ""},
                          {FaultKind::drop_ack, kAck, ""},
                          {FaultKind::drop_last, kAck | kPsh, "x"}};
    for (const Case& aim : cases) {
        for (const Case& shot : cases) {
            Box box(fault_of(aim.kind));
            const bool hit = box.pass(0, 10, 1, shot.flags, shot.payload) == Verdict::drop;
            EXPECT_EQ(hit, aim.kind == shot.kind);
            EXPECT_EQ(box.state.times, hit ? 1u : 0u);
        }
    }
}

TEST(Faults, TheFirstDataIsThatBehindTheSyn) {
    Box box(fault_of(FaultKind::drop_first));
    EXPECT_EQ(box.pass(0, 100, 0, kSyn), Verdict::pass);
    EXPECT_EQ(box.pass(0, 101, 1, kAck), Verdict::pass);
    EXPECT_EQ(box.pass(0, 101, 1, kAck, "abc"), Verdict::drop);
    EXPECT_EQ(box.pass(0, 104, 1, kAck, "def"), Verdict::pass);
}

TEST(Faults, RetransmissionsAreWhatLiesBelowTheFurthest) {
    Box box(fault_of(FaultKind::drop_retransmission));
    EXPECT_EQ(box.pass(0, 0xffff'fffe, 1, kAck, "abcd"), Verdict::pass);
    EXPECT_EQ(box.pass(0, 2, 1, kAck, "ef"), Verdict::pass);
    EXPECT_EQ(box.pass(0, 0xffff'fffe, 1, kAck, "abcd"), Verdict::drop);
}

TEST(Faults, ADuplicateComesTwiceAndAReorderedOneLate) {
    Box twice(fault_of(FaultKind::duplicate, kAlways, 1'000));
    EXPECT_EQ(twice.pass(0, 1, 1, kAck, "abc"), Verdict::pass);
    ASSERT_EQ(twice.extras.size(), 1u);
    EXPECT_EQ(twice.extras[0].packet->bytes, twice.passed->bytes);
    EXPECT_LE(twice.extras[0].later.ns, 1'000);

    Box late(fault_of(FaultKind::reorder, kAlways, 1'000));
    EXPECT_EQ(late.pass(0, 1, 1, kAck, "abc"), Verdict::pass);
    EXPECT_GT(late.later.ns, 0);
    EXPECT_LE(late.later.ns, 1'000);

    Box step(fault_of(FaultKind::delay_step, 0, 5'000));
    EXPECT_EQ(step.pass(0, 1, 1, kAck), Verdict::pass);
    EXPECT_EQ(step.later.ns, 5'000);
}

TEST(Faults, DamageIsAlwaysSeen) {
    for (const FaultKind kind : {FaultKind::corrupt_bit, FaultKind::corrupt_burst}) {
        Box box(fault_of(kind));
        for (int i = 0; i < 2'000; ++i) {
            Packet* packet = box.segment(0, 1, 1, kAck, "payload");
            (void)box.pass(packet);
            EXPECT_TRUE(packet->damaged);
            EXPECT_FALSE(checksum_right(*packet));
            box.pool.give_back(packet);
        }
        EXPECT_EQ(box.state.times, 2'000u);
    }
    Box box(fault_of(FaultKind::truncate));
    EXPECT_EQ(box.pass(0, 1, 1, kAck, "payload"), Verdict::pass);
    EXPECT_LT(box.passed->bytes.size(), 47u);
}

TEST(Faults, APartitionLetsNothingPass) {
    Box box(fault_of(FaultKind::partition));
    EXPECT_EQ(box.pass(0, 1, 1, kAck), Verdict::drop);
    EXPECT_EQ(box.state.times, 1u);
}

TEST(Faults, StrippedOptionsBecomeNops) {
    TcpOptions options;
    options.mss = 1'400;
    options.window_scale = std::uint8_t{7};
    options.sack_permitted = true;
    options.timestamps = TcpTimestamps{5, 6};
    Box box(fault_of(FaultKind::strip_options, kAlways, 2 | 4));
    EXPECT_EQ(box.pass(0, 1, 0, kSyn, {}, options), Verdict::pass);
    EXPECT_TRUE(checksum_right(*box.passed));
    EXPECT_TRUE(box.passed->tcp.options.mss);
    EXPECT_TRUE(box.passed->tcp.options.window_scale);
    EXPECT_FALSE(box.passed->tcp.options.sack_permitted);
    EXPECT_FALSE(box.passed->tcp.options.timestamps);
    EXPECT_EQ(box.state.times, 1u);
    EXPECT_EQ(box.pass(1, 1, 2, kSyn | kAck, {}, options), Verdict::pass);
    EXPECT_TRUE(box.passed->tcp.options.sack_permitted);

    Box scale(fault_of(FaultKind::strip_window_scale));
    EXPECT_EQ(scale.pass(0, 1, 0, kSyn, {}, options), Verdict::pass);
    EXPECT_FALSE(scale.passed->tcp.options.window_scale);
    EXPECT_TRUE(scale.passed->tcp.options.mss);
}

TEST(Faults, RewrittenNumbersComeBackAsTheyWere) {
    Box box(fault_of(FaultKind::rewrite_sequence));
    EXPECT_EQ(box.pass(0, 100, 0, kSyn), Verdict::pass);
    const std::uint32_t shown = box.passed->tcp.seq.value;
    EXPECT_NE(shown, 100u);
    EXPECT_TRUE(checksum_right(*box.passed));
    TcpOptions options;
    options.sack.push_back({SeqNum{shown + 20}, SeqNum{shown + 30}});
    EXPECT_EQ(box.pass(1, 500, shown + 1, kAck, "data", options), Verdict::pass);
    EXPECT_NE(box.passed->tcp.seq.value, 500u);
    EXPECT_EQ(box.passed->tcp.ack.value, 101u);
    EXPECT_EQ(box.passed->tcp.options.sack[0].left.value, 120u);
    EXPECT_EQ(text(*box.passed), "data");
    // A connection that began before the box is left alone.
    Box other(fault_of(FaultKind::rewrite_sequence));
    EXPECT_EQ(other.pass(0, 100, 1, kAck), Verdict::pass);
    EXPECT_EQ(other.passed->tcp.seq.value, 100u);
}

TEST(Faults, ASplitSegmentIsTheSameInTwoPieces) {
    Box box(fault_of(FaultKind::split_segments));
    EXPECT_EQ(box.pass(0, 100, 1, kAck | kPsh | kFin, "abcdefgh"), Verdict::pass);
    ASSERT_EQ(box.extras.size(), 1u);
    const Packet& second = *box.extras[0].packet;
    EXPECT_EQ(std::string(text(*box.passed)) + std::string(text(second)), "abcdefgh");
    EXPECT_EQ(second.tcp.seq.value, 100u + box.passed->payload_size);
    EXPECT_FALSE(box.passed->tcp.flags.fin());
    EXPECT_TRUE(second.tcp.flags.fin());
    EXPECT_TRUE(checksum_right(*box.passed));
    EXPECT_TRUE(checksum_right(second));
}

TEST(Faults, NeighboursAreJoined) {
    Box box(fault_of(FaultKind::merge_segments, kAlways, 1'000'000));
    EXPECT_EQ(box.pass(0, 100, 1, kAck, "abc"), Verdict::held);
    EXPECT_EQ(box.pass(0, 103, 2, kAck | kPsh, "def"), Verdict::pass);
    EXPECT_EQ(text(*box.passed), "abcdef");
    EXPECT_EQ(box.passed->tcp.seq.value, 100u);
    EXPECT_EQ(box.passed->tcp.ack.value, 2u);
    EXPECT_TRUE(checksum_right(*box.passed));
    EXPECT_TRUE(box.state.held.empty());
    // Where something is missing between them they stay two, in their order.
    EXPECT_EQ(box.pass(0, 106, 2, kAck, "ghi"), Verdict::held);
    EXPECT_EQ(box.pass(0, 120, 2, kAck, "xyz"), Verdict::pass);
    EXPECT_EQ(text(*box.passed), "ghi");
    ASSERT_EQ(box.extras.size(), 1u);
    EXPECT_EQ(text(*box.extras[0].packet), "xyz");
}

TEST(Faults, AHeldPacketIsReleasedByItsToken) {
    Box box(fault_of(FaultKind::merge_segments, kAlways, 1'000'000));
    EXPECT_EQ(box.pass(0, 100, 1, kAck, "abc"), Verdict::held);
    const std::uint64_t token = box.state.held[0].token;
    EXPECT_EQ(release_held(box.state, token + 1), nullptr);
    EXPECT_EQ(text(*release_held(box.state, token)), "abc");
    EXPECT_EQ(release_held(box.state, token), nullptr);
}

TEST(Faults, ANewerAckReplacesTheOneHeld) {
    Box box(fault_of(FaultKind::thin_acks, kAlways, 1'000'000));
    EXPECT_EQ(box.pass(1, 1, 100, kAck), Verdict::held);
    EXPECT_EQ(box.pass(1, 1, 200, kAck), Verdict::drop);
    EXPECT_EQ(box.passed->tcp.ack.value, 100u);
    ASSERT_EQ(box.state.held.size(), 1u);
    EXPECT_EQ(box.state.held[0].packet->tcp.ack.value, 200u);
    EXPECT_EQ(box.state.times, 1u);
    // A duplicate one tells of a loss: both go.
    EXPECT_EQ(box.pass(1, 1, 200, kAck), Verdict::pass);
    EXPECT_EQ(box.extras.size(), 1u);
}

TEST(Faults, MarkingMarksOnlyWhatMayBeMarked) {
    Box box(fault_of(FaultKind::mark_ecn));
    for (std::uint8_t mark = 0; mark < 4; ++mark) {
        Packet* packet = box.segment(0, 1, 1, kAck, "x");
        set_ecn(*packet, mark);
        EXPECT_EQ(box.pass(packet), Verdict::pass);
        EXPECT_EQ(parse_ipv4(packet->bytes).header.ecn(), mark == 0 ? 0 : 3);
        EXPECT_TRUE(checksum_right(*packet));
    }
    EXPECT_EQ(box.state.times, 2u);
}

TEST(Faults, BleachingClearsTheEcnField) {
    Box box(fault_of(FaultKind::bleach_ecn));
    Packet* packet = box.segment(0, 1, 1, kAck, "x");
    set_ecn(*packet, 2);
    EXPECT_TRUE(checksum_right(*packet));
    EXPECT_EQ(box.pass(packet), Verdict::pass);
    EXPECT_EQ(parse_ipv4(packet->bytes).header.ecn(), 0);
    EXPECT_TRUE(checksum_right(*packet));
    EXPECT_EQ(box.state.times, 1u);
}

TEST(Faults, OptimisticAcksStopAtWhatHasPassed) {
    Box box(fault_of(FaultKind::optimistic_acks, kAlways, 1'000));
    EXPECT_EQ(box.pass(0, 100, 1, kAck, "abcdefgh"), Verdict::pass);
    EXPECT_EQ(box.pass(1, 1, 100, kAck), Verdict::pass);
    EXPECT_EQ(box.passed->tcp.ack.value, 108u);
    EXPECT_EQ(box.state.times, 1u);
    EXPECT_EQ(box.pass(1, 1, 108, kAck), Verdict::pass);
    EXPECT_EQ(box.state.times, 1u);
}

TEST(Faults, ADividedAckComesInParts) {
    Box box(fault_of(FaultKind::divided_acks, kAlways, 4));
    EXPECT_EQ(box.pass(1, 1, 100, kAck), Verdict::pass);
    EXPECT_EQ(box.pass(1, 1, 500, kAck), Verdict::pass);
    EXPECT_EQ(box.passed->tcp.ack.value, 200u);
    ASSERT_EQ(box.extras.size(), 3u);
    EXPECT_EQ(box.extras[0].packet->tcp.ack.value, 300u);
    EXPECT_EQ(box.extras[1].packet->tcp.ack.value, 400u);
    EXPECT_EQ(box.extras[2].packet->tcp.ack.value, 500u);
}

TEST(Faults, ShrunkWindowsAreSmallerOrClosed) {
    Box quarter(fault_of(FaultKind::shrunk_windows, kAlways, 4));
    EXPECT_EQ(quarter.pass(1, 1, 100, kAck), Verdict::pass);
    EXPECT_EQ(quarter.passed->tcp.window, 250);
    Box closed(fault_of(FaultKind::shrunk_windows, kAlways, 0));
    EXPECT_EQ(closed.pass(1, 1, 100, kAck), Verdict::pass);
    EXPECT_EQ(closed.passed->tcp.window, 0);
}

TEST(Faults, LyingSackClaimsWhatHasPassedOnly) {
    TcpOptions syn;
    syn.sack_permitted = true;
    Box box(fault_of(FaultKind::lying_sack));
    EXPECT_EQ(box.pass(0, 99, 0, kSyn, {}, syn), Verdict::pass);
    EXPECT_EQ(box.pass(1, 0, 100, kSyn | kAck, {}, syn), Verdict::pass);
    EXPECT_EQ(box.pass(0, 100, 1, kAck, "abcdefgh"), Verdict::pass);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(box.pass(1, 1, 100, kAck), Verdict::pass);
        ASSERT_EQ(box.passed->tcp.options.sack.size(), 1u);
        const SackBlock block = box.passed->tcp.options.sack[0];
        EXPECT_GT(block.left.value, 100u);
        EXPECT_LT(block.left.value, block.right.value);
        EXPECT_LE(block.right.value, 108u);
    }
}

TEST(Faults, ForgersKnowWhatTheirPlaceLetsThemKnow) {
    const FaultKind kinds[] = {FaultKind::blind_segments, FaultKind::off_path_segments,
                               FaultKind::on_path_segments};
    for (const FaultKind kind : kinds) {
        Box box(fault_of(kind, kAlways, 1));  // resets
        EXPECT_EQ(box.pass(0, 100, 1, kSyn), Verdict::pass);
        EXPECT_TRUE(box.extras.empty());  // not into a handshake
        EXPECT_EQ(box.pass(0, 100, 1, kAck, "abc"), Verdict::pass);
        ASSERT_EQ(box.extras.size(), 1u);
        const Packet& forged = *box.extras[0].packet;
        EXPECT_TRUE(forged.forged);
        EXPECT_TRUE(forged.tcp.flags.rst());
        EXPECT_TRUE(checksum_right(forged));
        EXPECT_EQ(forged.tcp.seq.value == 103, kind == FaultKind::on_path_segments);
    }
}

TEST(Faults, ForgedIcmpGoesBackAndQuotesWhatPassed) {
    Box box(fault_of(FaultKind::icmp_forged));
    EXPECT_EQ(box.pass(0, 100, 1, kAck, "abc"), Verdict::pass);
    ASSERT_EQ(box.extras.size(), 1u);
    EXPECT_TRUE(box.extras[0].backwards);
    const Packet& error = *box.extras[0].packet;
    EXPECT_EQ(error.destination, 0);
    const Icmpv4Parse parse = parse_icmpv4(Bytes(error.bytes).subspan(kIpv4HeaderSize));
    ASSERT_FALSE(parse.error);
    ByteReader quote(parse.message.body);
    quote.skip(kIpv4HeaderSize + 4);
    EXPECT_EQ(quote.u32(), 100u);
}

}  // namespace
}  // namespace runnel::sim
