// A sequence number on the wire has no order: nothing below compiles into one.
#include "runnel/wire/seq_num.hpp"

#include <concepts>

#include <gtest/gtest.h>

namespace runnel {
namespace {

template <class T>
concept HasLess = requires(T a, T b) { a < b; };
template <class T>
concept HasGreater = requires(T a, T b) { a > b; };
template <class T>
concept HasLessOrEqual = requires(T a, T b) { a <= b; };
template <class T>
concept HasGreaterOrEqual = requires(T a, T b) { a >= b; };
template <class T>
concept HasDifference = requires(T a, T b) { a - b; };

static_assert(HasLess<int> && HasDifference<int>, "the concepts themselves");
static_assert(!HasLess<SeqNum> && !HasGreater<SeqNum>);
static_assert(!HasLessOrEqual<SeqNum> && !HasGreaterOrEqual<SeqNum>);
static_assert(!HasDifference<SeqNum>);
static_assert(!std::totally_ordered<SeqNum> && std::equality_comparable<SeqNum>);
static_assert(!std::convertible_to<SeqNum, std::uint32_t> &&
              !std::convertible_to<std::uint32_t, SeqNum>);

static_assert(SeqNum{0xffff'ffff} + 2 == SeqNum{1});
static_assert(SeqNum{1}.offset_from(SeqNum{0xffff'ffff}) == 2);
static_assert(SeqNum{0xffff'ffff}.offset_from(SeqNum{1}) == -2);

TEST(SeqNum, HalfTheCircleCountsAsBehind) {
    const SeqNum base{0x1234'5678};
    EXPECT_EQ((base + 0x7fff'ffff).offset_from(base), 0x7fff'ffff);
    EXPECT_LT((base + 0x8000'0000).offset_from(base), 0);
    EXPECT_EQ(base.offset_from(base), 0);
}

}  // namespace
}  // namespace runnel
