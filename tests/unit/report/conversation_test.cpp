#include "runnel/report/conversation.hpp"

#include <gtest/gtest.h>

#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

TEST(Conversation, NumbersCountFromTheIssAndOnPastTheWrap) {
    Scene scene;
    scene.handshake();
    scene.right({.flags = "A", .seq = 1, .ack = 1, .length = 40});  // over 2^32: ISS is 2^32 - 16
    scene.left({.flags = "A", .seq = 1, .ack = 41});
    scene.right({.flags = "FA", .seq = 41, .ack = 1});
    const Conversation c = scene.conversation();
    EXPECT_EQ(to_string(c.left), "10.9.0.1:40000");
    ASSERT_EQ(c.segments.size(), 6U);
    EXPECT_EQ(c.segments[0].seq, 0);
    EXPECT_EQ(c.segments[1].seq, 0);
    EXPECT_EQ(c.segments[1].ack, 1);
    EXPECT_EQ(c.segments[3].end(), 41);
    EXPECT_EQ(c.segments[4].ack, 41);
    EXPECT_EQ(c.segments[5].end(), 42) << "a FIN takes a number";
    EXPECT_EQ(c.iss[0]->value, kLeftIss);
    EXPECT_EQ(c.iss[1]->value, kRightIss);
}

TEST(Conversation, NumbersGrowBeyond32Bits) {
    Scene scene;
    scene.handshake();
    std::int64_t seq = 1;
    for (int i = 0; i < 5; ++i) {
        scene.left({.flags = "A", .seq = seq, .ack = 1, .length = 1});
        seq += 1'000'000'000;
    }
    EXPECT_EQ(scene.conversation().segments.back().seq, 4'000'000'001);
    scene.left({.flags = "A", .seq = seq, .ack = 1, .length = 1});
    EXPECT_EQ(scene.conversation().segments.back().seq, 5'000'000'001);
}

TEST(Conversation, WindowsAreScaledWhenBothSynsAgreed) {
    Scene scene;
    scene.handshake().left({.flags = "A", .seq = 1, .ack = 1, .window = 1000});
    Conversation c = scene.conversation();
    EXPECT_TRUE(c.scales_known);
    EXPECT_EQ(c.segments[0].window, 64000U) << "never in a SYN";
    EXPECT_EQ(c.segments[3].window, 4000U);

    TcpOptions scale;
    scale.window_scale = 3;
    Scene one_sided;
    one_sided.left({.flags = "S", .options = scale}).right({.flags = "SA", .ack = 1});
    one_sided.left({.flags = "A", .seq = 1, .ack = 1, .window = 9});
    EXPECT_EQ(one_sided.conversation().segments[2].window, 9U);

    Scene greedy;
    scale.window_scale = 200;  // counts as 14 (RFC 7323 §2.3)
    greedy.left({.flags = "S", .options = scale})
        .right({.flags = "SA", .ack = 1, .options = scale});
    greedy.left({.flags = "A", .seq = 1, .ack = 1, .window = 1});
    EXPECT_EQ(greedy.conversation().segments[2].window, 16384U);
}

TEST(Conversation, AForgedSynLeavesTheScaleAlone) {
    Scene scene;
    scene.handshake().left({.flags = "S", .seq = 5000, .window = 7});
    scene.left({.flags = "A", .seq = 1, .ack = 1, .window = 1000});
    const Conversation conversation = scene.conversation();
    EXPECT_EQ(conversation.segments[4].window, 4000U);  // the handshake's scale is 2
}

TEST(Conversation, LeftIsWhoSentTheFirstSyn) {
    Scene late;  // the capture begins with the answer
    late.right({.flags = "SA", .ack = 1}).left({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_EQ(to_string(late.conversation().left), "10.9.0.1:40000");
    EXPECT_EQ(late.conversation().segments[0].from, End::right);
    Scene middle;
    middle.right({.flags = "A", .seq = 500, .ack = 700, .length = 10});
    middle.left({.flags = "A", .seq = 700, .ack = 510});
    const Conversation c = middle.conversation();
    EXPECT_EQ(to_string(c.left), "10.9.0.2:80");
    EXPECT_EQ(c.segments[0].seq, 1) << "the first octet seen is number 1";
    EXPECT_EQ(c.segments[0].ack, 1);
    EXPECT_EQ(c.segments[1].seq, 1);
    EXPECT_EQ(c.segments[1].ack, 11);
    EXPECT_FALSE(c.scales_known);
}

// The segments of each conversation that a scene holds.
std::vector<std::size_t> sizes(const Scene& scene) {
    std::vector<std::size_t> found;
    for (const Conversation& c : find_conversations(scene.capture()).list) {
        found.push_back(c.segments.size());
    }
    return found;
}

TEST(Conversation, ASynWithANewIssOpensAnotherOneOnlyWhenTheLastIsOver) {
    Scene closed;
    closed.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    closed.right({.flags = "FA", .seq = 1, .ack = 2}).left({.flags = "A", .seq = 2, .ack = 2});
    closed.left({.flags = "S", .seq = 70'000});
    EXPECT_EQ(sizes(closed), (std::vector<std::size_t>{6, 1}));

    Scene reset;
    reset.handshake().right({.flags = "R", .seq = 1}).left({.flags = "S", .seq = 70'000});
    EXPECT_EQ(sizes(reset), (std::vector<std::size_t>{4, 1}));

    Scene given_up;
    given_up.left({.flags = "S"}).left({.flags = "S"}).left({.flags = "S", .seq = 70'000});
    EXPECT_EQ(sizes(given_up), (std::vector<std::size_t>{2, 1}));

    Scene challenged;  // a SYN into a live connection is a segment of it (RFC 5961 §4)
    challenged.handshake().left({.flags = "S", .seq = 70'000});
    challenged.right({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_EQ(sizes(challenged), (std::vector<std::size_t>{5}));
    EXPECT_EQ(challenged.conversation().segments[4].seq, 1) << "its number leads nobody astray";

    Scene simultaneous;
    simultaneous.left({.flags = "S"}).right({.flags = "S"});
    EXPECT_EQ(sizes(simultaneous), (std::vector<std::size_t>{2}));

    Scene answered_by_reset;
    answered_by_reset.left({.flags = "S"}).right({.flags = "RA", .ack = 1});
    answered_by_reset.right({.flags = "S"});
    EXPECT_EQ(sizes(answered_by_reset), (std::vector<std::size_t>{2, 1}));
}

TEST(Conversation, APacketSeenOnTwoInterfacesCountsOnce) {
    Scene scene;
    scene.left({.flags = "S"});
    scene.left({.flags = "S"}).interface(1);
    scene.right({.flags = "SA", .ack = 1}).interface(1);
    scene.right({.flags = "SA", .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1});
    const Conversation c = scene.conversation();
    EXPECT_EQ(c.segments.size(), 3U);
    EXPECT_EQ(c.seen_elsewhere, 2U);
}

TEST(Conversation, AnIcmpErrorBelongsToWhatItQuotes) {
    Scene scene;
    scene.handshake().left({.flags = "A", .seq = 1001, .ack = 1, .length = 5}).after_us(1);
    scene.icmp_error(IpAddress::v4(0x0a0000fe), 3, 1, 0, 3);
    scene.icmp_error(IpAddress::v4(0x0a0000fe), 3, 1, 0, 1);
    const Conversation c = scene.conversation();
    ASSERT_EQ(c.icmp_errors.size(), 2U);
    EXPECT_EQ(c.icmp_errors[0].meaning, "host unreachable");
    EXPECT_EQ(c.icmp_errors[0].seq, 1001);
    EXPECT_EQ(c.icmp_errors[0].about, End::left);
    EXPECT_EQ(c.icmp_errors[1].about, End::right);
    EXPECT_EQ(c.icmp_errors[1].seq, 0);
}

TEST(Conversation, ABrokenSegmentMovesNoNumbers) {
    Scene scene;
    scene.handshake();
    scene.left({.flags = "A", .seq = 2'000'000'000, .ack = 1, .length = 1}).corrupt();
    scene.left({.flags = "A", .seq = 1, .ack = 1, .length = 1});
    scene.left({.flags = "A", .seq = 2'200'000'000, .ack = 1, .length = 1}).corrupt();
    const Conversation c = scene.conversation();
    EXPECT_EQ(c.segments[3].checksum, ChecksumState::wrong);
    EXPECT_EQ(c.segments[4].seq, 1);
    EXPECT_EQ(c.segments[5].seq, 2'200'000'000 - (std::int64_t{1} << 32))
        << "nearest to what is known";
}

}  // namespace
}  // namespace runnel::report
