// What a D-SACK can be about (RFC 3708 §3).
#include <gtest/gtest.h>

#include "runnel/tcp/recovery/recovery.hpp"

namespace runnel::tcp {
namespace {

TEST(SentAgain, KnowsWhatWas) {
    SentAgain again;
    EXPECT_EQ(again.of({0}, {1000}), 0u);
    again.add({1000}, {2000}, {1000});
    again.add({5000}, {6000}, {1000});
    EXPECT_EQ(again.of({1000}, {2000}), 1000u);
    EXPECT_EQ(again.of({0}, {10'000}), 2000u) << "a block wider than what was sent again";
    EXPECT_EQ(again.of({2000}, {5000}), 0u);
    EXPECT_EQ(again.of({1500}, {5500}), 1000u);
}

TEST(SentAgain, ForgetsAnEarlierRepair) {
    SentAgain again;
    again.add({1000}, {2000}, {1000});
    again.forget_below({2000});
    EXPECT_EQ(again.of({1000}, {2000}), 0u);
}

TEST(SentAgain, WhatIsAcknowledgedGoesFirstWhenThereIsTooMuch) {
    SentAgain again;
    for (std::uint64_t i = 0; i < 1024; ++i) {
        again.add({2000 * i}, {2000 * i + 1000}, {0});
    }
    again.add({4'000'000}, {4'001'000}, {0});
    EXPECT_EQ(again.of({4'000'000}, {4'001'000}), 0u) << "full";
    again.add({4'000'000}, {4'001'000}, {10'000});
    EXPECT_EQ(again.of({4'000'000}, {4'001'000}), 1000u);
    EXPECT_EQ(again.of({0}, {10'000}), 0u);
}

}  // namespace
}  // namespace runnel::tcp
