// What a sender is told of its octets on their way: stamps, zero-copy completions and the ends of records, in order and
// bounded.
#include "runnel/tcp/send/send_notices.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

using Origin = QueuedError::Origin;
using Stamp = QueuedError::Stamp;

constexpr std::uint32_t kAllStamps = Timestamping::kTxSched | Timestamping::kTxSoftware |
                                     Timestamping::kTxAck | Timestamping::kOptId;
const SendFlags kZerocopy{.zerocopy = true, .by_reference = true};
const SendFlags kRecord{.end_of_record = true};

Stamp stamp_of(const QueuedError& error) {
    return static_cast<Stamp>(error.info);
}

TEST(SendNotices, AStampIsTakenWhenTheLastOctetHasGoneItsWay) {
    SendNotices notices;
    EXPECT_TRUE(notices.idle());
    notices.start_keys(Seq64{100});
    notices.mark(Seq64{110}, {}, kAllStamps);
    EXPECT_FALSE(notices.idle());
    notices.sent(Seq64{109}, Instant{1});
    EXPECT_FALSE(notices.waiting());
    notices.sent(Seq64{110}, Instant{2});
    notices.sent(Seq64{110}, Instant{3});
    notices.acknowledged(Seq64{109}, Instant{4});
    notices.acknowledged(Seq64{110}, Instant{5});
    const Stamp order[] = {Stamp::scheduled, Stamp::sent, Stamp::acknowledged};
    const std::int64_t times[] = {2, 2, 5};
    for (int i = 0; i < 3; ++i) {
        const auto entry = notices.take();
        ASSERT_TRUE(entry.has_value());
        EXPECT_EQ(entry->origin, Origin::timestamping);
        EXPECT_EQ(stamp_of(*entry), order[i]);
        EXPECT_EQ(entry->time, Instant{times[i]});
        EXPECT_EQ(entry->data, 9U) << "the key is the number of the last octet";
    }
    EXPECT_FALSE(notices.take().has_value());
    EXPECT_TRUE(notices.idle());
}

TEST(SendNotices, EachStampIsOnlyForWhomAsked) {
    for (const auto& [bit, stamp] : {std::pair{Timestamping::kTxSched, Stamp::scheduled},
                                     {Timestamping::kTxSoftware, Stamp::sent},
                                     {Timestamping::kTxAck, Stamp::acknowledged}}) {
        SendNotices notices;
        notices.mark(Seq64{10}, {}, bit);
        notices.sent(Seq64{10}, Instant{1});
        notices.acknowledged(Seq64{10}, Instant{1});
        const auto entry = notices.take();
        ASSERT_TRUE(entry.has_value());
        EXPECT_EQ(stamp_of(*entry), stamp);
        EXPECT_EQ(entry->data, 0U) << "without OPT_ID there is no key";
        EXPECT_TRUE(notices.idle());
    }
    SendNotices nothing;
    nothing.mark(Seq64{10}, {}, Timestamping::kOptId);
    EXPECT_TRUE(nothing.idle());
}

TEST(SendNotices, ZerocopyIsToldInRangesOfNeighboursOfOneKind) {
    SendNotices notices;
    SendFlags copied = kZerocopy;
    copied.by_reference = false;
    notices.mark(Seq64{10}, kZerocopy, 0);
    notices.mark(Seq64{20}, kZerocopy, 0);
    notices.mark(Seq64{30}, copied, 0);
    notices.mark(Seq64{40}, kZerocopy, Timestamping::kTxAck);
    notices.acknowledged(Seq64{40}, Instant{1});
    auto entry = notices.take();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->origin, Origin::zerocopy);
    EXPECT_EQ(entry->info, 0U);
    EXPECT_EQ(entry->data, 1U);
    EXPECT_EQ(entry->code, 0U);
    entry = notices.take();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->info, 2U);
    EXPECT_EQ(entry->data, 2U);
    EXPECT_EQ(entry->code, QueuedError::kCopied);
    entry = notices.take();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(stamp_of(*entry), Stamp::acknowledged);
    entry = notices.take();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->info, 3U);
    EXPECT_EQ(entry->data, 3U);
}

TEST(SendNotices, WhatWasLentComesBackWhenTheConnectionEnds) {
    SendNotices notices;
    notices.mark(Seq64{10}, kZerocopy, Timestamping::kTxAck);
    notices.mark(Seq64{20}, kRecord, 0);
    notices.sent(Seq64{10}, Instant{1});
    notices.give_up();
    const auto entry = notices.take();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->origin, Origin::zerocopy) << "nothing was acknowledged";
    EXPECT_TRUE(notices.idle());
    EXPECT_EQ(notices.record_end(Seq64{0}), std::nullopt);
    notices.mark(Seq64{30}, {}, Timestamping::kTxSoftware);
    notices.sent(Seq64{30}, Instant{2});
    EXPECT_TRUE(notices.waiting());
}

TEST(SendNotices, RecordsEndWhereTheyWereSaidTo) {
    SendNotices notices;
    for (const std::uint64_t end : {10U, 20U, 20U, 30U, 40U, 50U}) {
        notices.mark(Seq64{end}, kRecord, 0);
    }
    EXPECT_EQ(notices.record_end(Seq64{0}), Seq64{10});
    EXPECT_EQ(notices.record_end(Seq64{9}), Seq64{10});
    EXPECT_EQ(notices.record_end(Seq64{10}), Seq64{20});
    EXPECT_EQ(notices.record_end(Seq64{29}), Seq64{30});
    EXPECT_EQ(notices.record_end(Seq64{49}), Seq64{50});
    EXPECT_EQ(notices.record_end(Seq64{50}), std::nullopt);
    notices.acknowledged(Seq64{29}, Instant{1});
    EXPECT_EQ(notices.record_end(Seq64{0}), Seq64{30});
    notices.acknowledged(Seq64{30}, Instant{1});
    EXPECT_EQ(notices.record_end(Seq64{0}), Seq64{40});
    notices.acknowledged(Seq64{50}, Instant{1});
    EXPECT_TRUE(notices.idle()) << "the end that was said twice was kept once";
}

TEST(SendNotices, KeepsAsManyMarksAndEntriesAsItsLimitsSay) {
    EXPECT_EQ(SendNotices::kMaxMarks, 4096U);
    EXPECT_EQ(SendNotices::kMaxQueued, 1024U);
    SendNotices notices;
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < SendNotices::kMaxMarks; ++i) {
        EXPECT_TRUE(notices.has_room());
        notices.mark(Seq64{++end}, {}, Timestamping::kTxAck);
    }
    EXPECT_FALSE(notices.has_room());
    notices.mark(Seq64{++end}, {}, Timestamping::kTxAck);
    notices.acknowledged(Seq64{end}, Instant{1});
    EXPECT_TRUE(notices.has_room());
    std::size_t taken = 0;
    while (notices.take()) {
        ++taken;
    }
    EXPECT_EQ(taken, SendNotices::kMaxQueued);
    EXPECT_TRUE(notices.idle());
}

}  // namespace
}  // namespace runnel::tcp
