// A D-SACK that is owed and the octets that it tells of: some may be let go of before it leaves.
#include <gtest/gtest.h>

#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {
namespace {

struct DuplicateSack : testing::Test {
    DuplicateSack() { tcb.rcv.nxt = first_seq(SeqNum{0xffff'fff0}); }

    void hold(std::uint64_t from, const char* octets) {
        SliceList payload;
        payload.push_back(pool.copy(as_bytes(octets)));
        ASSERT_EQ(tcb.reassembler.insert(pool, tcb.rcv.nxt + from, std::move(payload)),
                  InsertResult::inserted);
    }
    /// What is told of [begin, end), counted from `zero`, the first RCV.NXT.
    std::string told(std::int64_t begin, std::int64_t end) {
        tcb.duplicate = {number(begin), number(end)};
        tcb.duplicate_pending = true;
        const auto block = tcb.duplicate_to_tell();
        if (!block) {
            return "nothing";
        }
        return std::to_string(block->left.offset_from(zero)) + "-" +
               std::to_string(block->right.offset_from(zero));
    }
    SeqNum number(std::int64_t offset) const {
        return SeqNum{zero.value + static_cast<std::uint32_t>(offset)};
    }

    const TcpConfig config;
    BufferPool pool{1U << 20};
    Tcb tcb{config};
    const SeqNum zero{0xffff'fff0};
};

TEST_F(DuplicateSack, TellsOfWhatHasBeenDelivered) {
    EXPECT_EQ(told(-20, -10), "-20--10");
    EXPECT_EQ(told(-20, 0), "-20-0");
}

TEST_F(DuplicateSack, EndsWhereDeliveryHasEnded) {
    EXPECT_EQ(told(-20, 30), "-20-0");
    hold(10, "0123456789");
    EXPECT_EQ(told(-20, 30), "-20-0");
}

TEST_F(DuplicateSack, TellsOfWhatIsHeldAcrossTheWrap) {
    hold(10, "0123456789");
    EXPECT_EQ(told(10, 20), "10-20");
    EXPECT_EQ(told(5, 15), "10-15");
    EXPECT_EQ(told(15, 30), "15-20");
}

TEST_F(DuplicateSack, SaysNothingOfWhatWasLetGo) {
    EXPECT_EQ(told(10, 20), "nothing");
    hold(10, "0123456789");
    EXPECT_EQ(told(20, 30), "nothing");
    tcb.reassembler.prune(0);
    EXPECT_EQ(told(10, 20), "nothing");
}

TEST_F(DuplicateSack, OwesNothingUntilSomethingCameTwice) {
    hold(10, "0123456789");
    EXPECT_FALSE(tcb.duplicate_to_tell());
}

}  // namespace
}  // namespace runnel::tcp
