// Records of what is in flight: how they merge, split, and are counted as acknowledged, sacked, lost and
// sent again (RFC 6675, RFC 6582, RFC 6298 §3, RFC 2018 §8).
#include "runnel/tcp/send/retransmission_queue.hpp"

#include <gtest/gtest.h>

#include "runnel/base/work.hpp"

namespace runnel::tcp {
namespace {

constexpr Instant kStart{1'000'000'000};

class Queue : public ::testing::Test {
protected:
    /// Segments of 100 octets from `begin` on.
    void send(std::uint64_t begin, std::uint64_t end, Instant at, bool fin = false) {
        SentRecord record{{begin}, {end}, at, at};
        record.segment_size = 100;
        record.fin = fin;
        queue.sent(record);
    }
    AckSummary acknowledge(std::uint64_t una, Instant now) {
        AckSummary summary;
        queue.acknowledge({una}, now, summary);
        return summary;
    }
    AckSummary sack(std::uint64_t left, std::uint64_t right, Instant now) {
        AckSummary summary;
        queue.mark_sacked({left}, {right}, summary, now);
        return summary;
    }
    void counts(std::uint32_t out, std::uint32_t sacked, std::uint32_t lost, std::uint32_t again) {
        EXPECT_EQ(queue.segments_out(), out);
        EXPECT_EQ(queue.segments_sacked(), sacked);
        EXPECT_EQ(queue.segments_lost(), lost);
        EXPECT_EQ(queue.segments_retransmitted(), again);
        EXPECT_EQ(queue.in_flight(), out - sacked - lost + again);
    }
    /// The first record to send again, as [begin, end).
    std::pair<std::uint64_t, std::uint64_t> first_lost() {
        const SentRecord* record = queue.first_lost();
        return record == nullptr ? std::pair<std::uint64_t, std::uint64_t>{}
                                 : std::pair{record->begin.value, record->end.value};
    }
    using Range = std::pair<std::uint64_t, std::uint64_t>;

    RetransmissionQueue queue;
};

TEST_F(Queue, CountsSegmentsWholeAndBegun) {
    send(1000, 1250, kStart);
    counts(3, 0, 0, 0);
    send(1250, 1300, kStart);
    counts(4, 0, 0, 0);
}

TEST_F(Queue, WhatWasSentAtOneTimeIsOneRecord) {
    send(1000, 1200, kStart);
    send(1200, 1300, kStart);
    EXPECT_EQ(queue.front().end.value, 1300u);
    send(1300, 1400, kStart + milliseconds(1));
    EXPECT_EQ(queue.front().end.value, 1300u) << "another time";
    counts(4, 0, 0, 0);
    send(1400, 1401, kStart + milliseconds(1), true);
    send(1401, 1501, kStart + milliseconds(1));
    (void)queue.mark_all_lost();
    EXPECT_EQ(first_lost(), Range(1000, 1300));
}

TEST_F(Queue, AnAckTakesWholeSegmentsAndSplitsOne) {
    send(1000, 1300, kStart);
    send(1300, 1400, kStart + milliseconds(5));
    const AckSummary half = acknowledge(1050, kStart + milliseconds(10));
    EXPECT_EQ(half.octets_acked, 50u);
    EXPECT_EQ(half.segments_acked, 0u) << "RFC 3465: not yet whole";
    EXPECT_EQ(half.rtt, milliseconds(10));
    counts(4, 0, 0, 0);
    const AckSummary rest = acknowledge(1400, kStart + milliseconds(20));
    EXPECT_EQ(rest.octets_acked, 350u);
    EXPECT_EQ(rest.segments_acked, 4u);
    EXPECT_EQ(rest.rtt, milliseconds(15)) << "from the newest that was acknowledged";
    EXPECT_TRUE(queue.empty());
    counts(0, 0, 0, 0);
    EXPECT_EQ(acknowledge(1400, kStart).rtt.ns, 0);
}

TEST_F(Queue, SynAndFinAreNoOctets) {
    SentRecord syn{{999}, {1000}, kStart, kStart};
    syn.segment_size = 1;
    syn.syn = true;
    queue.sent(syn);
    send(1000, 1101, kStart, true);
    const AckSummary first = acknowledge(1000, kStart + milliseconds(1));
    EXPECT_TRUE(first.syn_acked);
    EXPECT_EQ(first.octets_acked, 0u);
    EXPECT_EQ(first.segments_acked, 1u);
    const AckSummary text = acknowledge(1100, kStart + milliseconds(1));
    EXPECT_FALSE(text.syn_acked);
    EXPECT_EQ(text.octets_acked, 100u);
    EXPECT_EQ(acknowledge(1101, kStart + milliseconds(1)).octets_acked, 0u);
}

TEST_F(Queue, KarnsRule) {
    send(1000, 1100, kStart);
    send(1100, 1200, kStart + milliseconds(1));
    EXPECT_EQ(queue.mark_first_lost().segments, 1u);
    (void)queue.retransmitted(100, 100, kStart + milliseconds(50), {});
    const AckSummary both = acknowledge(1200, kStart + milliseconds(60));
    EXPECT_TRUE(both.retransmitted_acked);
    EXPECT_EQ(both.rtt.ns, 0) << "a part of it was sent twice: whose answer is this?";
}

TEST_F(Queue, SackSplitsAndMeasures) {
    send(1000, 1500, kStart);
    const AckSummary news = sack(1150, 1350, kStart + milliseconds(7));
    EXPECT_EQ(news.rtt, milliseconds(7));
    counts(6, 2, 0, 0);
    EXPECT_EQ(sack(1150, 1350, kStart + milliseconds(9)).rtt.ns, 0) << "no news";
    counts(6, 2, 0, 0);
    (void)sack(1100, 1150, kStart + milliseconds(9));
    counts(6, 3, 0, 0);
    EXPECT_EQ(acknowledge(1350, kStart + milliseconds(20)).octets_acked, 350u);
    counts(2, 0, 0, 0);
}

TEST_F(Queue, LostIsWhatHasThreeSackedAbove) {
    send(1000, 2000, kStart);
    (void)sack(1300, 1400, kStart);
    (void)sack(1500, 1600, kStart);
    EXPECT_EQ(queue.mark_lost_below_sacked(3).segments, 0u);
    (void)sack(1700, 1800, kStart);
    EXPECT_EQ(queue.mark_lost_below_sacked(3).segments, 3u) << "[1000, 1300)";
    EXPECT_EQ(queue.mark_lost_below_sacked(3).segments, 0u) << "and no more";
    counts(10, 3, 3, 0);
    EXPECT_EQ(first_lost(), Range(1000, 1300));
    (void)queue.retransmitted(100, 100, kStart + milliseconds(3), {});
    counts(10, 3, 3, 1);
    EXPECT_EQ(first_lost(), Range(1100, 1300));
    (void)queue.retransmitted(200, 100, kStart + milliseconds(3), {});
    counts(10, 3, 3, 3);
    EXPECT_EQ(queue.first_lost(), nullptr);
    EXPECT_EQ(queue.mark_lost_below_sacked(3).segments, 0u) << "on its way a second time";
    (void)sack(1000, 1100, kStart + milliseconds(4));
    counts(10, 4, 2, 2);
}

TEST_F(Queue, TheFirstUnsackedOneIsLostOnce) {
    send(1000, 1500, kStart);
    (void)sack(1000, 1100, kStart);
    EXPECT_EQ(queue.mark_first_lost().segments, 1u);
    EXPECT_EQ(first_lost(), Range(1100, 1200));
    EXPECT_EQ(queue.mark_first_lost().segments, 0u);
    (void)queue.retransmitted(100, 100, kStart, {});
    EXPECT_EQ(queue.mark_first_lost().segments, 0u) << "its retransmission is out";
    counts(5, 1, 1, 1);
}

TEST_F(Queue, ATimeoutLosesAllButWhatIsSacked) {
    send(1000, 1500, kStart);
    (void)sack(1200, 1300, kStart);
    EXPECT_EQ(queue.mark_first_lost().segments, 1u);
    (void)queue.retransmitted(100, 100, kStart, {});
    (void)queue.mark_all_lost();
    counts(5, 1, 4, 0);
    EXPECT_EQ(first_lost(), Range(1000, 1100));
    queue.forget_sacked();
    counts(5, 0, 4, 0);
    (void)queue.mark_all_lost();
    counts(5, 0, 5, 0);
}

TEST_F(Queue, ASmallerPathLosesTheLargeOnes) {
    send(1000, 1300, kStart);
    SentRecord small{{1300}, {1350}, kStart, kStart};
    small.segment_size = 50;
    queue.sent(small);
    (void)sack(1200, 1300, kStart);
    queue.mark_oversized_lost(100);
    counts(4, 1, 0, 0);
    queue.mark_oversized_lost(99);
    counts(4, 1, 2, 0);
    EXPECT_EQ(first_lost(), Range(1000, 1200));
    (void)queue.retransmitted(200, 50, kStart, {});
    EXPECT_EQ(queue.segments_out(), 6u) << "four of 50 octets now";
}

TEST_F(Queue, ItsStorageGoesOnlyWhenEmpty) {
    send(1000, 1100, kStart);
    EXPECT_FALSE(queue.holds_idle_storage());
    queue.release_idle_storage();
    counts(1, 0, 0, 0);
    (void)acknowledge(1100, kStart);
    EXPECT_TRUE(queue.holds_idle_storage());
    queue.release_idle_storage();
    EXPECT_FALSE(queue.holds_idle_storage());
    send(1100, 1200, kStart);
    queue.clear();
    EXPECT_TRUE(queue.empty());
    counts(0, 0, 0, 0);
}

/// A loss that was none costs a look at each record, not one at all that were put back before (law 5).
TEST_F(Queue, TakesManyLossesBackInOnePass) {
    constexpr std::uint64_t kMany = 1000;
    for (std::uint64_t i = 0; i < kMany; ++i) {
        send(i * 100, i * 100 + 50, kStart + microseconds(static_cast<std::int64_t>(i)));
        send(i * 100 + 50, i * 100 + 100, kStart + microseconds(static_cast<std::int64_t>(i)));
    }
    (void)queue.mark_all_lost();
    const std::uint64_t before = work.nodes;
    queue.forget_lost();
    EXPECT_LT(work.nodes - before, 4 * kMany + 16);
    EXPECT_EQ(queue.segments_lost(), 0u);
    // In the order of sending again: all but the last are overtaken by it.
    const Instant last = kStart + microseconds(static_cast<std::int64_t>(kMany - 1));
    EXPECT_EQ(queue.mark_overtaken(last, {kMany * 100}, {}, last).segments, 2 * kMany - 1);
}

}  // namespace
}  // namespace runnel::tcp
