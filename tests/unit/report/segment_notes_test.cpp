#include "runnel/report/segment_notes.hpp"

#include <gtest/gtest.h>

#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

// The notes of the segments behind the handshake's three, one text each.
std::vector<std::string> notes(const Scene& scene) {
    std::vector<std::string> texts;
    const auto all = note_segments(scene.conversation());
    for (std::size_t i = 3; i < all.size(); ++i) {
        std::string text;
        for (const Note& note : all[i]) {
            text += (text.empty() ? "" : ", ") + note_text(note);
        }
        texts.push_back(text);
    }
    return texts;
}
using Texts = std::vector<std::string>;

constexpr std::uint32_t kSize = 1000;
Say data(std::int64_t number, std::int64_t ack = 1) {
    return {.flags = "A", .seq = 1 + number * kSize, .ack = ack, .length = kSize};
}
Say ack(std::int64_t number, std::uint16_t window = 1000) {
    return {.flags = "A", .seq = 1, .ack = 1 + number * kSize, .window = window};
}

TEST(SegmentNotes, AnUndisturbedTransferHasNone) {
    Scene scene;
    scene.handshake().left(data(0)).left(data(1)).right(ack(2)).left(data(2)).right(ack(3));
    EXPECT_EQ(notes(scene), Texts(5));
}

TEST(SegmentNotes, FastRetransmission) {
    Scene scene;  // at the sender: the second of five is lost behind the capture
    scene.handshake().left(data(0)).left(data(1)).left(data(2)).left(data(3)).left(data(4));
    scene.after_us(20'000).right(ack(1)).right(ack(1)).right(ack(1)).right(ack(1)).left(data(1));
    scene.after_us(20'000).right(ack(5));
    EXPECT_EQ(notes(scene), (Texts{"", "", "", "", "", "", "duplicate ACK 1", "duplicate ACK 2",
                                   "duplicate ACK 3", "retransmission after 20.0 ms", ""}));
}

TEST(SegmentNotes, AForgedSynOnALivingConnectionHasNoneAndMovesNothing) {
    Scene scene;
    scene.handshake().left(data(0)).right(ack(1));
    scene.left({.flags = "S", .seq = 5000}).left(data(1)).right(ack(2));
    EXPECT_EQ(notes(scene), Texts(5));
}

TEST(SegmentNotes, SackMakesADuplicateAckWhateverTheWindow) {
    Scene scene;
    Say sack = ack(0, 900);
    sack.options.sack.push_back({{kLeftIss + 1 + kSize}, {kLeftIss + 1 + 2 * kSize}});
    scene.handshake().left(data(0)).left(data(1)).right(ack(0)).right(sack).right(ack(0, 800));
    EXPECT_EQ(notes(scene)[3], "duplicate ACK 1");
    EXPECT_EQ(notes(scene)[4], "") << "a smaller window without SACK is neither";
}

TEST(SegmentNotes, ARetransmissionTimesOutAgainAndAgain) {
    Scene scene;
    scene.handshake().left(data(0)).after_us(200'000).left(data(0)).after_us(400'000).left(data(0));
    EXPECT_EQ(notes(scene),
              (Texts{"", "retransmission after 200 ms", "retransmission after 400 ms"}));
}

TEST(SegmentNotes, ANeedlessRetransmission) {
    Scene scene;
    scene.handshake().left(data(0)).right(ack(1)).left(data(0));
    EXPECT_EQ(notes(scene)[2], "needless retransmission: already acknowledged");
    Say dsack = ack(1);
    dsack.options.sack.push_back({{kLeftIss + 1}, {kLeftIss + 1 + kSize}});
    scene.right(dsack);
    EXPECT_EQ(notes(scene)[3], "D-SACK: 1000 B received twice");
}

TEST(SegmentNotes, DSackAboveTheAckLiesWithinTheSecondBlock) {
    Scene scene;
    Say dsack = ack(0);
    dsack.options.sack.push_back({{kLeftIss + 2001}, {kLeftIss + 2501}});
    dsack.options.sack.push_back({{kLeftIss + 2001}, {kLeftIss + 3001}});
    scene.handshake().left(data(0)).left(data(2)).right(dsack);
    EXPECT_EQ(notes(scene)[2], "D-SACK: 500 B received twice, duplicate ACK 1");
}

TEST(SegmentNotes, AGapAndWhatFillsIt) {
    Scene reordered;  // at the receiver
    reordered.handshake().left(data(0)).left(data(2)).after_us(400).left(data(1));
    EXPECT_EQ(notes(reordered),
              (Texts{"", "1000 B before it not seen", "out of order: overtaken 400 µs ago"}));
    Scene lost;
    lost.handshake().left(data(0)).left(data(2)).after_us(40'000).left(data(1));
    EXPECT_EQ(notes(lost)[2], "retransmission after 40.0 ms") << "since what it follows was sent";
    Scene repacked;
    repacked.handshake().left(data(0)).left({.flags = "A", .seq = 501, .ack = 1, .length = kSize});
    EXPECT_EQ(notes(repacked)[1], "partial retransmission, 500 B new");
}

TEST(SegmentNotes, AClosedWindowIsProbedAndOpens) {
    Scene scene;
    scene.handshake().left(data(0)).right(ack(1, 0)).after_us(200'000);
    scene.left({.flags = "A", .seq = kSize, .ack = 1});  // Linux's way: an old number
    scene.right(ack(1, 0)).after_us(400'000);
    scene.left({.flags = "A", .seq = 1 + kSize, .ack = 1, .length = 1});  // the next octet
    scene.right(ack(1, 0)).after_us(1000).right(ack(1, 500));
    EXPECT_EQ(notes(scene), (Texts{"", "zero window", "window probe", "probe answer, zero window",
                                   "window probe", "probe answer, zero window", "window opened"}));
}

TEST(SegmentNotes, WindowUpdateAndWindowFilled) {
    Scene scene;
    scene.handshake().left(data(0)).right(ack(1, 500)).right(ack(1, 800));  // scaled by four
    scene.left({.flags = "A", .seq = 1 + kSize, .ack = 1, .length = 3200});
    EXPECT_EQ(notes(scene), (Texts{"", "", "window update", "fills the peer's window"}));
}

TEST(SegmentNotes, KeepAliveAndItsAnswer) {
    Scene scene;
    scene.handshake().left(data(0)).right(ack(1)).after_us(7'200'000'000);
    scene.left({.flags = "A", .seq = kSize, .ack = 1}).right(ack(1));
    scene.left({.flags = "A", .seq = kSize, .ack = 1, .length = 1}).right(ack(1));  // with an octet
    EXPECT_EQ(notes(scene),
              (Texts{"", "", "keep-alive", "probe answer", "keep-alive", "probe answer"}));
}

TEST(SegmentNotes, ARetransmittedSyn) {
    Scene scene;
    scene.left({.flags = "S"}).after_us(1'000'000).left({.flags = "S"}).after_us(2'000'000);
    scene.left({.flags = "S"});
    const auto all = note_segments(scene.conversation());
    EXPECT_EQ(note_text(all[1][0]), "retransmission after 1.00 s");
    EXPECT_EQ(note_text(all[2][0]), "retransmission after 2.00 s");
}

TEST(SegmentNotes, ABrokenSegmentTeachesNothing) {
    Scene scene;
    scene.handshake().left(data(0)).corrupt().left(data(0));
    EXPECT_EQ(notes(scene), (Texts{"bad checksum", ""}));
}

TEST(SegmentNotes, ACongestionMark) {
    Scene scene;
    scene.handshake().left(data(0)).ecn_ce();
    EXPECT_EQ(notes(scene)[0], "congestion experienced (CE)");
    EXPECT_FALSE(is_event({NoteKind::congestion_experienced, 0}));
}

}  // namespace
}  // namespace runnel::report
