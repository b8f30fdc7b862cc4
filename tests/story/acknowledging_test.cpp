// Stories of a receiver who acknowledges: once for a batch, at least every second segment where they come one by one
// (RFC 9293 §3.8.6.3, RFC 5681 §4.2), and what SACK and D-SACK say when several come at once (RFC 2018, RFC 2883).
#include "story.hpp"

namespace runnel::story {
namespace {

class Acknowledging : public Story {
protected:
    Acknowledging() { config.quick_acks = 0; }
    void comes(std::uint32_t from, std::uint32_t length) {
        arrives(ack(from, 1).text(std::string(length, 'x')));
    }
    static std::pair<std::uint32_t, std::uint32_t> block(const Sent& s, std::size_t i) {
        const SackBlock& b = s.options.sack[i];
        return {b.left.value - kPeerIss, b.right.value - kPeerIss};
    }
};

using Block = std::pair<std::uint32_t, std::uint32_t>;

TEST_F(Acknowledging, ABatchIsAcknowledgedOnce) {
    established();
    for (std::uint32_t i = 0; i < 20; ++i) {
        comes(1 + i * 1460, 1460);
    }
    EXPECT_EQ(sent_one().ack, 29'201u);
}

TEST_F(Acknowledging, OneByOneEverySecondIsAcknowledgedAtOnce) {
    established();
    comes(1, 1460);
    comes(1461, 1460);
    (void)sent();
    for (std::uint32_t i = 2; i < 22; i += 2) {
        comes(1 + i * 1460, 1460);
        sends_nothing();
        comes(1 + (i + 1) * 1460, 1460);
        EXPECT_EQ(sent_one().ack, 1 + (i + 2) * 1460);
    }
}

TEST_F(Acknowledging, EverySecondSegmentOfAPathThatHasBecomeNarrowerToo) {
    established();
    comes(1, 1460);
    comes(1461, 1460);
    (void)sent();
    EXPECT_EQ(status().rcv_mss, 1460u);
    // The peer's segments are 600 octets now. Two of them show it; from there on each second one counts.
    std::uint32_t next = 2921;
    comes(next, 600);
    comes(next + 600, 600);
    EXPECT_EQ(status().rcv_mss, 600u);
    comes(next + 1200, 600);
    (void)sent();
    next += 1800;
    for (int i = 0; i < 5; ++i, next += 1200) {
        comes(next, 600);
        sends_nothing();
        comes(next + 600, 600);
        EXPECT_EQ(sent_one().ack, next + 1200);
    }
    comes(next, 1460);
    EXPECT_EQ(status().rcv_mss, 1460u) << "a longer one counts at once";
}

TEST_F(Acknowledging, ShortSegmentsThatArePushedSayNothingAboutThePath) {
    established();
    comes(1, 1460);
    for (std::uint32_t i = 0; i < 5; ++i) {
        Seg s = ack(1461 + i * 300, 1).text(std::string(300, 'x'));
        s.flags |= TcpFlags::kPsh;
        arrives(s);
    }
    EXPECT_EQ(status().rcv_mss, 1460u);
}

TEST_F(Acknowledging, ABatchBeyondAGapIsAnsweredOftenEnoughToCountAndNoOftener) {
    established(syn_ack(1).mss(1000).sack_ok());
    for (std::uint32_t i = 0; i < 20; ++i) {
        comes(1001 + i * 1000, 1000);
    }
    const auto answers = sent();
    ASSERT_EQ(answers.size(), 3u) << "RFC 5681 §3.2: three duplicates";
    for (const Sent& s : answers) {
        EXPECT_EQ(s.ack, 1u);
        ASSERT_EQ(s.options.sack.size(), 1u);
        EXPECT_EQ(block(s, 0), Block(1001, 21'001));
    }
    comes(21'001, 1000);
    EXPECT_EQ(sent_one().ack, 1u) << "and one by one each is answered";
    comes(22'001, 1000);
    EXPECT_EQ(sent_one().ack, 1u);
}

TEST_F(Acknowledging, WithoutSackEachSegmentBeyondAGapCounts) {
    established();
    for (std::uint32_t i = 0; i < 20; ++i) {
        comes(1001 + i * 1000, 1000);
    }
    EXPECT_EQ(sent().size(), 20u);
}

TEST_F(Acknowledging, DuplicatesThatJoinAreToldAsOne) {
    established(syn_ack(1).mss(1000).sack_ok());
    comes(1, 5000);
    (void)sent();
    // All of it comes again, in segments, before anything is answered.
    for (std::uint32_t i = 0; i < 5; ++i) {
        comes(1 + i * 1000, 1000);
    }
    const auto answers = sent();
    ASSERT_FALSE(answers.empty());
    ASSERT_EQ(answers[0].options.sack.size(), 1u);
    EXPECT_EQ(block(answers[0], 0), Block(1, 5001));
    for (std::size_t i = 1; i < answers.size(); ++i) {
        EXPECT_TRUE(answers[i].options.sack.empty()) << "RFC 2883 §4: each is told once";
    }
}

TEST_F(Acknowledging, OfDuplicatesThatDontJoinTheLastIsTold) {
    established(syn_ack(1).mss(1000).sack_ok());
    comes(1, 5000);
    (void)sent();
    comes(1, 1000);
    comes(3001, 1000);
    EXPECT_EQ(block(sent()[0], 0), Block(3001, 4001));
}

// RFC 2883 §4 (3): a duplicate of what is held beyond a gap is told first, and behind it the block that it lies in.
TEST_F(Acknowledging, ADuplicateInsideABlockIsFollowedByTheBlock) {
    established(syn_ack(1).mss(1000).sack_ok());
    comes(2001, 3000);
    comes(7001, 1000);
    (void)sent();
    comes(3001, 1000);
    const auto answers = sent();
    ASSERT_EQ(answers.size(), 1u);
    ASSERT_EQ(answers[0].options.sack.size(), 3u);
    EXPECT_EQ(block(answers[0], 0), Block(3001, 4001));
    EXPECT_EQ(block(answers[0], 1), Block(2001, 5001)) << "though another was heard of later";
    EXPECT_EQ(block(answers[0], 2), Block(7001, 8001));
}

}  // namespace
}  // namespace runnel::story
