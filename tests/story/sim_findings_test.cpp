// What the simulated world's checkers found in the engine, as stories.
#include "story.hpp"

namespace runnel::story {
namespace {

class SimFindings : public Story {};

// The peer has run ahead (7), then sends again what was lost (1): its segment with the lower number is the
// later one, for it acknowledges more. SND.WND is an offset from SND.UNA: the old window behind the new
// acknowledgement would reach beyond every right edge that was ever offered.
// Proves: SHLD-15, SHLD-16
TEST_F(SimFindings, AnAdvancingAckBringsItsWindowWhateverItsNumber) {
    established(syn_ack(1).mss(1000).win(3000));
    writes(std::string(10'000, 'x'));
    (void)sent();
    arrives(ack(7, 1).win(3000).text("world"));
    (void)sent();
    arrives(ack(1, 3001).win(500).text("hello "));
    std::uint32_t highest = 0;
    for (const Sent& s : wait(milliseconds(100))) {
        highest = std::max(highest, s.seq + s.length);
    }
    EXPECT_LE(highest, 3501u);
    EXPECT_EQ(status().snd_wnd, 500u);
    EXPECT_EQ(reads(), "hello world");
}

// An octet before the peer's first has never been sent: it is answered, but not reported as a duplicate.
TEST_F(SimFindings, NothingFromBeforeTheSynIsADuplicate) {  // RFC 2883 §4
    established(syn_ack(1).mss(1000).sack_ok());
    arrives(ack(1, 1).text("abcdef"));
    (void)sent();
    Seg forged = ack(0, 1).text("wxyz");
    forged.seq = 0U - 1'000'000U;
    arrives(forged);
    pass(seconds(2));
    Sent answer = sent_one();
    EXPECT_EQ(answer.ack, 7u);
    EXPECT_TRUE(answer.options.sack.empty());
    pass(seconds(2));
    forged = ack(0, 1).text("wxyz");
    forged.seq =
        0U - 2U;  // two octets before the SYN, the SYN's own number, and one that was delivered
    arrives(forged);
    answer = sent_one();
    ASSERT_EQ(answer.options.sack.size(), 1u);
    EXPECT_EQ(answer.options.sack[0].left.value - kPeerIss, 1u);
    EXPECT_EQ(answer.options.sack[0].right.value - kPeerIss, 2u);
}

}  // namespace
}  // namespace runnel::story
