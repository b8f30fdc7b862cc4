// Each thing that `explain` flags, planted in a capture made by hand; and beside it the nearest thing that is
// legal, which must not be flagged.
#include <algorithm>

#include <gtest/gtest.h>

#include "runnel/analyse/analysis.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "support/packet_builder.hpp"

namespace runnel::analyse {
namespace {

using namespace report::test;
using report::End;

using Names = std::vector<std::string>;

// The names of what is flagged (unusual or violating), in order.
Names flags(const report::Capture& capture) {
    const report::Conversations found = report::find_conversations(capture);
    Names names;
    const auto add = [&](const auto& findings) {
        for (const Finding& finding : findings) {
            EXPECT_FALSE(sentence(finding).empty());
            if (info(finding.verdict).level >= Level::unusual) {
                names.emplace_back(info(finding.verdict).name);
            }
        }
    };
    const report::Conversation* earlier = nullptr;
    for (const report::Conversation& conversation : found.list) {
        const Analysis analysis = analyse(conversation, earlier);
        for (const Findings& findings : analysis.segments) {
            add(findings);
        }
        add(analysis.ends[0]);
        add(analysis.ends[1]);
        earlier = &conversation;
    }
    return names;
}

Names flags(const Scene& scene) {
    return flags(scene.capture());
}

// Every name of the last segment, of any level.
Names last(const Scene& scene) {
    const report::Capture capture = scene.capture();
    const auto found = report::find_conversations(capture);
    const Analysis analysis = analyse(found.list.front());
    Names names;
    for (const Finding& finding : analysis.segments.back()) {
        names.emplace_back(info(finding.verdict).name);
    }
    return names;
}

TcpOptions modern(bool timestamps, std::uint32_t value = 1000, std::uint32_t echo = 0) {
    TcpOptions options;
    options.mss = 1460;
    options.sack_permitted = true;
    options.window_scale = 2;
    if (timestamps) {
        options.timestamps = TcpTimestamps{value, echo};
    }
    return options;
}
TcpOptions stamps(std::uint32_t value, std::uint32_t echo) {
    TcpOptions options;
    options.timestamps = TcpTimestamps{value, echo};
    return options;
}

// SYN, SYN,ACK, ACK with a round trip of 10 ms, seen next to the left end; and a little data, so that the
// round trip is known. Left's next number is 101.
Scene opened() {
    Scene scene;
    scene.left({.flags = "S", .window = 4000, .options = modern(false)}).after_us(10'000);
    scene.right({.flags = "SA", .ack = 1, .window = 4000, .options = modern(false)}).after_us(20);
    scene.left({.flags = "A", .seq = 1, .ack = 1}).after_us(20);
    scene.left({.flags = "PA", .seq = 1, .ack = 1, .length = 100}).after_us(10'000);
    scene.right({.flags = "A", .seq = 1, .ack = 101}).after_us(1000);
    return scene;
}
// The same with timestamps; left's latest is 1020, right's 2010.
Scene stamped() {
    Scene scene;
    scene.left({.flags = "S", .window = 4000, .options = modern(true)}).after_us(10'000);
    scene.right({.flags = "SA", .ack = 1, .window = 4000, .options = modern(true, 2000, 1000)});
    scene.after_us(20);
    scene.left({.flags = "A", .seq = 1, .ack = 1, .options = stamps(1010, 2000)}).after_us(20);
    scene.left({.flags = "PA", .seq = 1, .ack = 1, .length = 100, .options = stamps(1020, 2000)});
    scene.after_us(10'000);
    scene.right({.flags = "A", .seq = 1, .ack = 101, .options = stamps(2010, 1020)}).after_us(1000);
    return scene;
}
// Right sends; what it sends is the left end's to judge. Left's window is 4,000 bytes (1,000 times 4).
Say from_right(std::int64_t seq, std::uint32_t length) {
    return {.flags = "A", .seq = seq, .ack = 101, .length = length};
}
Say from_left(std::int64_t seq, std::uint32_t length) {
    return {.flags = "A", .seq = seq, .ack = 1, .length = length};
}

TEST(Flags, NothingInAnOrdinaryConnection) {
    Scene scene = opened();
    scene.left({.flags = "FA", .seq = 101, .ack = 1}).after_us(10'000);
    scene.right({.flags = "A", .seq = 1, .ack = 102}).right({.flags = "FA", .seq = 1, .ack = 102});
    scene.after_us(20).left({.flags = "A", .seq = 102, .ack = 2});
    EXPECT_EQ(flags(scene), Names());
    EXPECT_EQ(flags(stamped()), Names());
}

TEST(Flags, DataBeyondTheWindow) {
    // Right offers 1000 times 4 behind 101: up to 4101.
    Scene beyond = opened();
    beyond.left(from_left(101, 3000)).left(from_left(3101, 1100));
    EXPECT_EQ(flags(beyond), Names{"data_beyond_window"});
    Scene within = opened();
    within.left(from_left(101, 3000)).left(from_left(3101, 1000));
    EXPECT_EQ(flags(within), Names());
    Scene probe = opened();  // §3.8.6.1: one octet beyond a window
    probe.left(from_left(101, 4000)).after_us(10'000);
    probe.right({.flags = "A", .seq = 1, .ack = 4101, .window = 0}).after_us(300'000);
    probe.left(from_left(4101, 1));
    EXPECT_EQ(flags(probe), Names());
}

TEST(Flags, DataBeyondTheWindowInACaptureThatMissesSegmentsCantBeSaid) {
    Scene scene = opened();
    scene.right({.flags = "A", .seq = 501, .ack = 101}).after_us(20);
    scene.left({.flags = "A", .seq = 101, .ack = 501}).after_us(10'000);  // of what wasn't seen
    scene.right({.flags = "A", .seq = 501, .ack = 101});
    scene.left({.flags = "A", .seq = 101, .ack = 501, .length = 4500});
    EXPECT_EQ(flags(scene), Names());
    const Names names = last(scene);
    EXPECT_NE(std::find(names.begin(), names.end(), "maybe_beyond_window"), names.end());
}

TEST(Flags, AnAckOfWhatWasNeverSent) {
    Scene unsent = opened();
    unsent.right({.flags = "A", .seq = 1, .ack = 5001}).after_us(20'000);
    unsent.left(from_left(101, 100));  // its SND.NXT was 101
    EXPECT_EQ(flags(unsent), Names{"ack_of_unsent"});
    Scene missed = opened();  // the capture has lost it: the sender goes on behind it
    missed.right({.flags = "A", .seq = 1, .ack = 5001}).after_us(20'000);
    missed.left(from_left(5001, 100));
    EXPECT_EQ(flags(missed), Names());
    Scene unknown = opened();  // and nothing more is known
    unknown.right({.flags = "A", .seq = 1, .ack = 5001});
    EXPECT_EQ(flags(unknown), Names());
    EXPECT_EQ(last(unknown).front(), "ack_of_unseen");
}

TEST(Flags, AWindowThatShrinks) {
    Scene shrinks = opened();
    shrinks.after_us(50'000).right({.flags = "A", .seq = 1, .ack = 101, .window = 500});
    EXPECT_EQ(flags(shrinks), Names{"window_shrunk"});
    Scene slides = opened();  // 100 more acknowledged, 100 less offered
    slides.left(from_left(101, 100)).after_us(10'000);
    slides.right({.flags = "A", .seq = 1, .ack = 201, .window = 975});
    EXPECT_EQ(flags(slides), Names());
    Scene rounded = opened();  // by less than the unit that the scale gives
    rounded.left(from_left(101, 3)).after_us(10'000);
    rounded.right({.flags = "A", .seq = 1, .ack = 104, .window = 999});
    EXPECT_EQ(flags(rounded), Names());
}

TEST(Flags, AnAckThatRetreats) {
    Scene retreats = stamped();
    retreats.right({.flags = "A", .seq = 1, .ack = 51, .options = stamps(2030, 1020)});
    EXPECT_EQ(flags(retreats), Names{"ack_retreats"});
    Scene overtaken = stamped();  // an older one, which took longer
    overtaken.right({.flags = "A", .seq = 1, .ack = 51, .options = stamps(2005, 1020)});
    EXPECT_EQ(flags(overtaken), Names());
    Scene much_later = stamped();  // and if it took long
    much_later.after_us(100'000);
    much_later.right({.flags = "A", .seq = 1, .ack = 51, .options = stamps(2005, 1020)});
    EXPECT_EQ(flags(much_later), Names());
    Scene same_tick = stamped();  // sent at the same moment as the one that is already there
    same_tick.after_us(100'000);
    same_tick.right({.flags = "A", .seq = 1, .ack = 51, .options = stamps(2010, 1020)});
    EXPECT_EQ(flags(same_tick), Names());
    Scene unclear = opened();
    unclear.after_us(100'000).right({.flags = "A", .seq = 1, .ack = 51});
    EXPECT_EQ(flags(unclear), Names{"ack_seems_to_retreat"});
}

TEST(Flags, AFinThatMoves) {
    Scene moves = opened();
    moves.left({.flags = "FA", .seq = 101, .ack = 1}).after_us(300'000);
    moves.left({.flags = "FA", .seq = 151, .ack = 1});
    EXPECT_EQ(flags(moves), Names{"fin_moves"});
    Scene data = opened();
    data.left({.flags = "FA", .seq = 101, .ack = 1}).after_us(300'000).left(from_left(101, 50));
    EXPECT_EQ(flags(data), Names{"data_after_fin"});
    Scene before = opened();  // the data first
    before.left(from_left(101, 50)).after_us(300'000).left({.flags = "FA", .seq = 101, .ack = 1});
    EXPECT_EQ(flags(before), Names{"data_after_fin"});
    Scene lost = opened();  // the FIN was lost before the capture; the ACK behind it was not
    lost.left({.flags = "A", .seq = 102, .ack = 1}).after_us(300'000);
    lost.left({.flags = "FA", .seq = 101, .ack = 1});
    EXPECT_EQ(flags(lost), Names());
    Scene again = opened();  // with the data before it, in one segment
    again.left(from_left(101, 50)).left({.flags = "FA", .seq = 151, .ack = 1}).after_us(300'000);
    again.left({.flags = "FA", .seq = 101, .ack = 1, .length = 50});
    EXPECT_EQ(flags(again), Names());
}

TEST(Flags, ASynWithAnotherNumber) {
    Scene changes;
    changes.left({.flags = "S"}).after_us(1'000'000).left({.flags = "S", .seq = 777});
    EXPECT_EQ(flags(changes), Names{"other_iss"});
    Scene again;
    again.left({.flags = "S"}).after_us(1'000'000).left({.flags = "S"});
    EXPECT_EQ(flags(again), Names());
    Scene refused;  // and tried anew
    refused.left({.flags = "S"}).after_us(100).right({.flags = "RA", .ack = 1});
    refused.after_us(1'000'000).left({.flags = "S", .seq = 777});
    EXPECT_EQ(flags(refused), Names());
    Scene hasty;
    hasty.left({.flags = "S"}).after_us(300'000).left({.flags = "S"});
    EXPECT_EQ(flags(hasty), Names{"syn_too_soon"});
    Scene resolving;  // the first was held back until ARP had an answer
    resolving.left({.flags = "S"}).after_us(890'000).left({.flags = "S"});
    EXPECT_EQ(flags(resolving), Names());
}

TEST(Flags, ASynAckThatAcknowledgesSomethingElse) {
    Scene wrong;
    wrong.left({.flags = "S", .options = modern(false)}).after_us(100);
    wrong.right({.flags = "SA", .ack = 77, .options = modern(false)});
    EXPECT_EQ(flags(wrong), Names{"syn_ack_wrong"});
    Scene fast_open;  // RFC 7413: the data of the SYN too
    fast_open.left({.flags = "S", .length = 50, .options = modern(false)}).after_us(100);
    fast_open.right({.flags = "SA", .ack = 51, .options = modern(false)});
    EXPECT_EQ(flags(fast_open), Names());
}

TEST(Flags, OtherOctetsThanBefore) {
    Scene differs = opened();
    differs.left(from_left(101, 100)).after_us(300'000);
    differs.left({.flags = "A", .seq = 101, .ack = 1, .length = 100, .fill = 'y'});
    EXPECT_EQ(flags(differs), Names{"payload_differs"});
    Scene same = opened();
    same.left(from_left(101, 100)).left(from_left(201, 100)).after_us(300'000);
    same.left(from_left(151, 100));  // cut otherwise
    EXPECT_EQ(flags(same), Names());
    Scene keep_alive = opened();  // RFC 9293 §3.8.4: its octet is garbage
    keep_alive.after_us(1'000'000);
    keep_alive.left({.flags = "A", .seq = 100, .ack = 1, .length = 1, .fill = '?'});
    EXPECT_EQ(flags(keep_alive), Names());
}

TEST(Flags, OptionsThatBelongToASyn) {
    TcpOptions scale;
    scale.window_scale = 7;
    TcpOptions mss;
    mss.mss = 1460;
    TcpOptions permitted;
    permitted.sack_permitted = true;
    const std::pair<TcpOptions, const char*> cases[] = {{scale, "scale_without_syn"},
                                                        {mss, "mss_without_syn"},
                                                        {permitted, "sack_permitted_without_syn"}};
    for (const auto& [options, name] : cases) {
        Scene scene = opened();
        scene.left({.flags = "A", .seq = 101, .ack = 1, .options = options});
        EXPECT_EQ(flags(scene), Names{name});
    }
}

TEST(Flags, OptionsThatWereNotAgreedOn) {
    Scene unasked = opened();
    unasked.left({.flags = "A", .seq = 101, .ack = 1, .options = stamps(1, 2)});
    EXPECT_EQ(flags(unasked), Names{"timestamps_not_agreed"});
    Scene missing = stamped();
    missing.left({.flags = "A", .seq = 101, .ack = 1});
    EXPECT_EQ(flags(missing), Names{"timestamps_missing"});
    Scene reset = stamped();  // RFC 7323 §3.2: a reset needs none
    reset.left({.flags = "R", .seq = 101});
    EXPECT_EQ(flags(reset), Names());
    Scene answer;
    TcpOptions bare;
    bare.mss = 1460;
    answer.left({.flags = "S", .options = bare}).after_us(100);
    answer.right({.flags = "SA", .ack = 1, .options = modern(true)});
    EXPECT_EQ(flags(answer), (Names{"scale_not_offered", "timestamps_not_offered"}));
    Scene sack;
    sack.left({.flags = "S", .options = bare}).after_us(100);
    sack.right({.flags = "SA", .ack = 1, .options = bare}).after_us(100);
    sack.left({.flags = "A", .seq = 1, .ack = 1}).left(from_left(1, 100)).left(from_left(201, 100));
    TcpOptions blocks;
    blocks.sack.push_back({{kLeftIss + 201}, {kLeftIss + 301}});
    sack.right({.flags = "A", .seq = 1, .ack = 101, .options = blocks});
    EXPECT_EQ(flags(sack), Names{"sack_not_agreed"});
    Scene wide;
    TcpOptions fifteen = modern(false);
    fifteen.window_scale = 15;
    wide.left({.flags = "S", .options = fifteen});
    EXPECT_EQ(flags(wide), Names{"scale_too_large"});
}

TEST(Flags, SelectiveAcknowledgements) {
    const auto sack = [](std::uint32_t left, std::uint32_t right) {
        TcpOptions options;
        options.sack.push_back({{kLeftIss + left}, {kLeftIss + right}});
        return options;
    };
    Scene empty = opened();
    empty.left(from_left(101, 100)).left(from_left(301, 100)).after_us(10'000);
    empty.right({.flags = "A", .seq = 1, .ack = 201, .options = sack(401, 301)});
    EXPECT_EQ(flags(empty), Names{"empty_sack"});
    Scene gap = opened();
    gap.left(from_left(101, 100)).left(from_left(301, 100)).after_us(10'000);
    gap.right({.flags = "A", .seq = 1, .ack = 201, .options = sack(301, 401)});
    EXPECT_EQ(flags(gap), Names());
    Scene reneged = gap;
    reneged.after_us(50'000).right({.flags = "A", .seq = 1, .ack = 201});
    EXPECT_EQ(flags(reneged), Names{"sack_reneged"});
    Scene filled = gap;
    filled.left(from_left(201, 100)).after_us(50'000).right({.flags = "A", .seq = 1, .ack = 401});
    EXPECT_EQ(flags(filled), Names());
    Scene unseen = opened();
    unseen.right({.flags = "A", .seq = 1, .ack = 101, .options = sack(301, 401)});
    EXPECT_EQ(flags(unseen), Names());
    EXPECT_EQ(last(unseen).front(), "sack_of_unseen");
}

TEST(Flags, TimestampsThatRunBack) {
    Scene back = stamped();
    back.after_us(50'000);
    back.left({.flags = "A", .seq = 101, .ack = 1, .length = 50, .options = stamps(1005, 2010)});
    EXPECT_EQ(flags(back), Names{"timestamps_retreat"});
    Scene overtaken = stamped();  // old data with an old timestamp: PAWS is for these
    overtaken.left({.flags = "A", .seq = 1, .ack = 1, .length = 50, .options = stamps(1005, 2000)});
    EXPECT_EQ(flags(overtaken), Names());
    Scene wraps = stamped();
    wraps.left({.flags = "A",
                .seq = 101,
                .ack = 1,
                .length = 50,
                .options = stamps(1020 + 0x7000'0000, 2010)});
    EXPECT_EQ(flags(wraps), Names());
}

TEST(Flags, ARetransmissionBeforeARoundTripCouldPass) {
    Scene early = opened();  // the round trip takes 10 ms
    early.left(from_left(101, 100)).left(from_left(201, 100)).after_us(4000);
    early.left(from_left(101, 100));
    EXPECT_EQ(flags(early), Names{"too_early"});
    Scene timer = opened();
    timer.left(from_left(101, 100)).left(from_left(201, 100)).after_us(210'000);
    timer.left(from_left(101, 100));
    EXPECT_EQ(flags(timer), Names());
    EXPECT_EQ(last(timer).front(), "timeout_retransmission");
    Scene told = opened();  // duplicate ACKs of segments that were on their way before
    told.left(from_left(101, 100))
        .after_us(5000)
        .left(from_left(201, 100))
        .left(from_left(301, 100));
    told.left(from_left(401, 100)).after_us(10'000);
    for (int i = 0; i < 3; ++i) {
        told.right({.flags = "A", .seq = 1, .ack = 101});
    }
    told.left(from_left(101, 100));
    EXPECT_EQ(flags(told), Names());
    EXPECT_EQ(last(told).front(), "fast_retransmission");
    Scene twice = opened();
    twice.left(from_left(101, 100)).after_us(3).left(from_left(101, 100));
    EXPECT_EQ(flags(twice), Names{"sent_twice"}) << "next to its sender";
    Scene doubled = opened();
    doubled.right(from_right(1, 100)).after_us(10).left({.flags = "A", .seq = 101, .ack = 101});
    doubled.left({.flags = "A", .seq = 101, .ack = 101, .length = 10}).after_us(10'000);
    doubled.right(from_right(101, 100)).after_us(3);
    doubled.right(from_right(101, 100));
    EXPECT_EQ(flags(doubled), Names()) << "further away the network may have done it";
    Scene quick = opened();  // whose answers take less time than the copies lie apart
    quick.right(from_right(1, 100)).after_us(16).left({.flags = "A", .seq = 101, .ack = 101});
    quick.right(from_right(101, 100)).after_us(10).right(from_right(101, 100));
    EXPECT_EQ(flags(quick), Names());
}

TEST(Flags, AnAckThatComesTooLate) {
    Scene late = opened();
    late.right(from_right(1, 500)).after_us(700'000);
    late.left({.flags = "A", .seq = 101, .ack = 501});
    EXPECT_EQ(flags(late), Names{"ack_late"}) << "seen next to the one that acknowledges";
    Scene far = opened();
    far.left(from_left(101, 500)).after_us(700'000).right({.flags = "A", .seq = 1, .ack = 601});
    EXPECT_EQ(flags(far), Names{"ack_perhaps_late"}) << "seen from the other end";
    Scene delayed = opened();
    delayed.right(from_right(1, 500)).after_us(490'000);
    delayed.left({.flags = "A", .seq = 101, .ack = 501});
    EXPECT_EQ(flags(delayed), Names());
    Scene lost = opened();  // it was sent again in between
    lost.right(from_right(1, 500)).after_us(400'000).right(from_right(1, 500)).after_us(400'000);
    lost.left({.flags = "A", .seq = 101, .ack = 501});
    EXPECT_EQ(flags(lost), Names());
}

TEST(Flags, Resets) {
    Scene exact = opened();
    exact.right({.flags = "R", .seq = 1});
    EXPECT_EQ(flags(exact), Names());
    Scene blind = opened();
    blind.right({.flags = "R", .seq = 1'000'000});
    EXPECT_EQ(flags(blind), Names{"reset_outside"});
    Scene in_window = opened();
    in_window.right({.flags = "R", .seq = 700});
    EXPECT_EQ(flags(in_window), Names());
    EXPECT_EQ(last(in_window).front(), "reset_in_window");
    in_window.after_us(20).left({.flags = "A", .seq = 101, .ack = 1});
    EXPECT_EQ(last(in_window).front(), "challenge_ack");
    Scene answered = opened();
    answered.left({.flags = "R", .seq = 101}).after_us(10'000);
    answered.right({.flags = "RA", .seq = -std::int64_t{kRightIss}, .ack = 101});
    EXPECT_EQ(flags(answered), Names{"reset_answers_reset"});
}

TEST(Flags, ControlBits) {
    Scene none = opened();
    none.left({.flags = "P", .seq = 101, .length = 5});
    EXPECT_EQ(flags(none), Names{"no_ack_flag"});
    Scene stray = opened();
    stray.left({.flags = "S", .seq = 5000});
    const Names names = flags(stray);
    EXPECT_NE(std::find(names.begin(), names.end(), "stray_syn"), names.end());
    Scene pointer = opened();
    pointer.left({.flags = "A", .seq = 101, .ack = 1, .length = 5, .urgent_pointer = 3});
    EXPECT_EQ(flags(pointer), Names{"urgent_pointer_unused"});
    Scene urgent = opened();
    urgent.left({.flags = "AU", .seq = 101, .ack = 1, .length = 5, .urgent_pointer = 3});
    EXPECT_EQ(flags(urgent), Names());
}

TEST(Flags, ABrokenChecksum) {
    Scene once = opened();
    once.left(from_left(101, 100)).corrupt().after_us(300'000).left(from_left(101, 100));
    EXPECT_EQ(flags(once), Names{"damaged"});
    EXPECT_EQ(last(once).front(), "in_order_data") << "what was damaged teaches nothing";
}

TEST(Flags, AcksThatAreTooFew) {
    TcpOptions small;
    small.mss = 300;
    Scene scene;
    scene.left({.flags = "S", .window = 64000, .options = small}).after_us(10'000);
    scene.right({.flags = "SA", .ack = 1, .window = 64000, .options = small}).after_us(20);
    scene.left({.flags = "A", .seq = 1, .ack = 1, .window = 64000}).after_us(20);
    Scene batch = scene;
    for (const auto& [which, apart] : {std::pair(&scene, 10'000), std::pair(&batch, 100)}) {
        std::int64_t next = 1;
        for (int i = 0; i < 20; ++i) {
            for (int k = 0; k < 8; ++k) {
                which->right({.flags = "A", .seq = next, .ack = 1, .length = 300}).after_us(apart);
                next += 300;
            }
            which->left({.flags = "A", .seq = 1, .ack = next, .window = 64000}).after_us(100);
        }
    }
    EXPECT_EQ(flags(scene), Names{"stretched_acks"});
    EXPECT_EQ(flags(batch), Names()) << "MUST-59: all that wait are processed first";
}

TEST(Flags, MoreThanTheMss) {
    Scene large = opened();
    large.left(from_left(101, 2920));
    EXPECT_EQ(flags(large), Names()) << "it may be a super-segment";
    EXPECT_EQ(last(large).front(), "maybe_too_large");
}

// The latest packet with one octet of its TCP header changed, and the checksum right.
Octets patched(const Scene& scene, std::size_t at, int value) {
    Octets packet = scene.packets().back();
    const MutableBytes segment = MutableBytes(packet).subspan(20);
    segment[at] = static_cast<std::byte>(value);
    ByteWriter(segment.subspan(16)).u16(0);
    ChecksumAccumulator sum(pseudo_header_sum(IpAddress::from_bytes(Bytes(packet).subspan(12, 4)),
                                              IpAddress::from_bytes(Bytes(packet).subspan(16, 4)),
                                              kProtocolTcp,
                                              static_cast<std::uint32_t>(segment.size())));
    sum.add(segment);
    ByteWriter(segment.subspan(16)).u16(sum.finish());
    return packet;
}

TEST(Flags, ReservedBitsAndOptionsThatCantBeWalkedOver) {
    Scene scene = opened();
    scene.left({.flags = "A", .seq = 101, .ack = 1});
    scene.raw(patched(scene, 12, 0x5e));
    EXPECT_EQ(flags(scene), Names{"reserved_bits"});
    Scene options = stamped();
    options.left({.flags = "A", .seq = 101, .ack = 1, .options = stamps(1030, 2010)});
    options.raw(patched(options, 23, 1));  // NOP NOP TS with a length of 1
    EXPECT_EQ(flags(options), Names{"bad_options"});
}

TEST(Flags, SynsThatNobodySends) {
    Scene fin;
    fin.left({.flags = "SF"});
    EXPECT_EQ(flags(fin), Names{"syn_with_fin"});
    Scene reset;
    reset.left({.flags = "SR"});
    EXPECT_EQ(flags(reset), Names{"syn_with_rst"});
    Scene other;
    other.left({.flags = "S"}).after_us(100).right({.flags = "SA", .ack = 1}).after_us(1'000'000);
    Scene again = other;
    other.right({.flags = "SA", .seq = 500, .ack = 1});
    EXPECT_EQ(flags(other), Names{"syn_ack_other_iss"});
    again.right({.flags = "SA", .ack = 1});
    EXPECT_EQ(flags(again), Names());
}

TEST(Flags, AResetBehindTheEnd) {
    Scene closed = opened();
    closed.left({.flags = "FA", .seq = 101, .ack = 1}).after_us(10'000);
    closed.right({.flags = "FA", .seq = 1, .ack = 102}).after_us(20);
    closed.left({.flags = "A", .seq = 102, .ack = 2}).after_us(20);
    Scene needless = closed;
    needless.left({.flags = "R", .seq = 102});
    EXPECT_EQ(flags(needless), Names{"reset_needless"});
    Scene late = closed;  // the FIN once more, to an end that has forgotten it
    late.after_us(300'000).right({.flags = "FA", .seq = 1, .ack = 102});
    late.left({.flags = "R", .seq = 102});
    EXPECT_EQ(flags(late), Names());
    Scene two = closed;  // two late ACKs, and one reset for each of them
    two.after_us(10'000).right({.flags = "A", .seq = 2, .ack = 102}).after_us(20);
    two.right({.flags = "A", .seq = 2, .ack = 102}).after_us(20);
    two.left({.flags = "R", .seq = 102}).after_us(20).left({.flags = "R", .seq = 102});
    EXPECT_EQ(flags(two), Names());
    two.after_us(20).left({.flags = "R", .seq = 102});
    EXPECT_EQ(flags(two), Names{"reset_needless"});
}

TEST(Flags, CongestionMarksThatWereNotAgreedOn) {
    Scene scene = opened();
    scene.left(from_left(101, 10)).ecn_ce();
    EXPECT_EQ(flags(scene), Names{"ecn_not_agreed"});
}

TEST(Flags, TheCounterOfAccEcnIsNoEcho) {
    const auto said = [](std::string_view asks, std::string_view answers) {
        Scene scene;
        scene.left({.flags = asks, .options = modern(false)}).after_us(100);
        scene.right({.flags = answers, .ack = 1, .options = modern(false)}).after_us(100);
        scene.left({.flags = "A", .seq = 1, .ack = 1}).after_us(100);
        scene.right({.flags = "AEC", .seq = 1, .ack = 1, .length = 10});
        return last(scene);
    };
    const auto echoes = [](const Names& names) {
        return std::count(names.begin(), names.end(), "congestion_echo") +
               std::count(names.begin(), names.end(), "congestion_reduced");
    };
    EXPECT_EQ(echoes(said("SCE", "SAE")), 2) << "RFC 3168";
    EXPECT_EQ(echoes(said("SNCE", "SAE")), 2) << "asked for AccECN, answered with RFC 3168";
    EXPECT_EQ(echoes(said("SNCE", "SAC")), 0) << "RFC 9768 §3.1.2";
}

TEST(Flags, EveryChecksumOfAnEndWrong) {
    Scene scene;
    scene.left({.flags = "S", .options = modern(false)}).after_us(100);
    for (int i = 0; i < 4; ++i) {
        scene.right({.flags = "SA", .ack = 1, .options = modern(false)}).corrupt();
        scene.after_us(1'000'000);
    }
    EXPECT_EQ(flags(scene), (Names{"damaged", "damaged", "damaged", "damaged", "checksums_wrong"}));
}

TEST(Flags, MoreThanTheMssWhereNoDeviceCutsIt) {
    Scene scene = opened();
    scene.left(from_left(101, 2000));
    report::Capture capture = scene.capture();
    for (report::CapturedPacket& packet : capture.packets) {
        const bool from_left_end = packet.bytes[15] == std::byte{1};  // 10.9.0.1
        packet.direction =
            from_left_end ? report::PacketDirection::outbound : report::PacketDirection::inbound;
    }
    EXPECT_EQ(flags(capture), Names{"too_large"});
}

TEST(Flags, HasteThatCantBeProvenFromAfar) {
    Scene scene;  // half-way between both ends
    scene.left({.flags = "S", .window = 4000, .options = modern(false)}).after_us(10'000);
    scene.right({.flags = "SA", .ack = 1, .window = 4000, .options = modern(false)});
    scene.after_us(10'000).left({.flags = "A", .seq = 1, .ack = 1});
    scene.left(from_left(1, 100)).left(from_left(101, 100)).after_us(4000);
    scene.left(from_left(1, 100));
    EXPECT_EQ(flags(scene), Names{"maybe_too_early"});
}

}  // namespace
}  // namespace runnel::analyse
