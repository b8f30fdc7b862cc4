// The interval set against a plain set of numbers, and the limit on its ranges.
#include "runnel/base/interval_set.hpp"

#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel {
namespace {

template <class Set>
std::vector<Interval> ranges(const Set& set) {
    return {set.begin(), set.end()};
}

TEST(IntervalSet, MergesWhatOverlapsOrTouches) {
    IntervalSet<8> set;
    EXPECT_EQ(set.insert(10, 20), 10U);
    EXPECT_EQ(set.insert(30, 40), 10U);
    EXPECT_EQ(set.insert(10, 20), 0U) << "nothing new";
    EXPECT_EQ(set.insert(20, 25), 5U) << "touches the first";
    EXPECT_EQ(ranges(set), (std::vector<Interval>{{10, 25}, {30, 40}}));
    EXPECT_EQ(set.insert(5, 50), 20U) << "swallows both";
    EXPECT_EQ(ranges(set), (std::vector<Interval>{{5, 50}}));
    EXPECT_EQ(set.insert(7, 7), 0U) << "an empty range";
    EXPECT_EQ(set.covered(), 45U);
}

TEST(IntervalSet, RefusesOneRangeTooMany) {
    IntervalSet<2> set;
    EXPECT_TRUE(set.insert(10, 11));
    EXPECT_TRUE(set.insert(20, 21));
    EXPECT_FALSE(set.insert(30, 31));
    EXPECT_EQ(ranges(set), (std::vector<Interval>{{10, 11}, {20, 21}}));
    EXPECT_EQ(set.covered(), 2U);
    EXPECT_EQ(set.insert(11, 20), 9U) << "what joins two needs no place";
    EXPECT_TRUE(set.insert(30, 31));
}

TEST(IntervalSet, FindsGaps) {
    IntervalSet<8> set;
    set.insert(10, 20);
    set.insert(30, 40);
    EXPECT_EQ(set.first_gap(5), 5U);
    EXPECT_EQ(set.first_gap(10), 20U);
    EXPECT_EQ(set.first_gap(20), 20U);
    EXPECT_EQ(set.gap(0), (Interval{0, 10}));
    EXPECT_EQ(set.gap(15), (Interval{20, 30}));
    EXPECT_EQ(set.gap(35), std::nullopt);
    EXPECT_TRUE(set.covers(12, 20));
    EXPECT_FALSE(set.covers(12, 21));
    EXPECT_TRUE(set.covers(25, 25));
    EXPECT_TRUE(set.overlaps(0, 11));
    EXPECT_FALSE(set.overlaps(20, 30));
}

TEST(IntervalSet, ReachesTheGreatestNumber) {
    constexpr std::uint64_t kMax = ~std::uint64_t{0};
    IntervalSet<4> set;
    EXPECT_EQ(set.insert(kMax - 5, kMax), 5U);
    EXPECT_TRUE(set.contains(kMax - 1));
    EXPECT_FALSE(set.contains(kMax));
    set.erase_below(kMax - 1);
    EXPECT_EQ(set.covered(), 1U);
}

using Step = std::tuple<int, int, int>;

void apply(IntervalSet<5, 2>& set, std::set<std::uint64_t>& model, const Step& step) {
    const auto [kind, where, length] = step;
    const auto begin = static_cast<std::uint64_t>(where);
    const std::uint64_t end = begin + static_cast<std::uint64_t>(length);
    if (kind < 6) {
        std::set<std::uint64_t> grown = model;
        for (std::uint64_t x = begin; x < end; ++x) {
            grown.insert(x);
        }
        std::size_t needed = 0;
        for (const std::uint64_t x : grown) {
            needed += grown.contains(x - 1) ? 0U : 1U;
        }
        const auto added = set.insert(begin, end);
        RC_ASSERT(added.has_value() == (needed <= 5));
        if (added) {
            RC_ASSERT(*added == grown.size() - model.size());
            model = grown;
        }
    } else if (kind == 6) {
        set.erase_below(begin);
        model.erase(model.begin(), model.lower_bound(begin));
    } else {
        set.erase_from(begin);
        model.erase(model.lower_bound(begin), model.end());
    }
}

void compare(const IntervalSet<5, 2>& set, const std::set<std::uint64_t>& model) {
    RC_ASSERT(set.covered() == model.size());
    RC_ASSERT(set.size() <= set.capacity());
    std::uint64_t last_end = 0;
    for (const Interval& range : set) {
        RC_ASSERT(range.begin < range.end);
        RC_ASSERT(last_end == 0 || last_end < range.begin);
        last_end = range.end;
    }
    for (std::uint64_t x = 1; x < 90; ++x) {
        RC_ASSERT(set.contains(x) == model.contains(x));
        std::uint64_t gap = x;
        while (model.contains(gap)) {
            ++gap;
        }
        RC_ASSERT(set.first_gap(x) == gap);
        bool all = true;
        bool any = false;
        for (std::uint64_t y = x; y < x + 7; ++y) {
            all = all && model.contains(y);
            any = any || model.contains(y);
        }
        RC_ASSERT(set.covers(x, x + 7) == all);
        RC_ASSERT(set.overlaps(x, x + 7) == any);
    }
}

RC_GTEST_PROP(IntervalSet, IsASetOfNumbers, ()) {
    const auto steps = *rc::gen::container<std::vector<Step>>(
        rc::gen::tuple(rc::gen::inRange(0, 8), rc::gen::inRange(1, 80), rc::gen::inRange(0, 12)));
    IntervalSet<5, 2> set;
    std::set<std::uint64_t> model;
    for (const Step& step : steps) {
        apply(set, model, step);
        compare(set, model);
    }
}

}  // namespace
}  // namespace runnel
