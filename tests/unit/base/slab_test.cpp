// The slab: handles that die with their object, and memory that goes when the objects have gone.
#include "runnel/base/slab.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>

namespace runnel {
namespace {

using Names = Slab<std::string>;

std::vector<Names::HandleType> fill(Names& slab, std::uint32_t count) {
    std::vector<Names::HandleType> handles;
    for (std::uint32_t i = 0; i < count; ++i) {
        handles.push_back(slab.emplace(std::to_string(i)));
    }
    return handles;
}

TEST(Slab, AHandleDiesWithItsObjectAndStaysDead) {
    Names slab(10);
    const auto first = slab.emplace("first");
    ASSERT_NE(slab.find(first), nullptr);
    slab.erase(first);
    EXPECT_EQ(slab.find(first), nullptr);
    const auto second = slab.emplace("second");
    EXPECT_EQ(second.index, first.index) << "the place has a new tenant";
    EXPECT_EQ(slab.find(first), nullptr);
    EXPECT_EQ(*slab.find(second), "second");
    EXPECT_EQ(slab.find(Names::HandleType{}), nullptr);
}

TEST(Slab, RefusesMoreThanItsLimit) {
    Names slab(300);
    const auto handles = fill(slab, 300);
    EXPECT_TRUE(slab.emplace("one more").is_none());
    slab.erase(handles[7]);
    EXPECT_EQ(slab.emplace("instead").index, handles[7].index);
}

TEST(Slab, GivesMemoryBackWhenItsObjectsHaveGone) {
    Names slab(100'000);
    const auto one = slab.emplace("one");
    const std::size_t small = slab.bytes_held();
    auto handles = fill(slab, 50'000);
    EXPECT_GT(slab.bytes_held(), 50'000 * sizeof(std::string));
    for (const auto& handle : handles) {
        slab.erase(handle);
    }
    EXPECT_LE(slab.bytes_held(), 2 * small) << "its block and a spare one";
    EXPECT_EQ(*slab.find(one), "one");
    // The blocks come again; the handles of before name nobody in them.
    const auto again = fill(slab, 50'000);
    for (const auto& handle : handles) {
        EXPECT_EQ(slab.find(handle), nullptr);
    }
    for (const auto& handle : again) {
        EXPECT_NE(slab.find(handle), nullptr);
    }
}

TEST(Slab, ASwingingPopulationKeepsItsBlock) {
    Names slab(10);
    slab.erase(slab.emplace("one"));
    const std::size_t held = slab.bytes_held();
    for (int i = 0; i < 10; ++i) {
        slab.erase(slab.emplace("another"));
        EXPECT_EQ(slab.bytes_held(), held);
    }
}

RC_GTEST_PROP(Slab, HoldsWhatAMapHolds, ()) {
    Names slab(5'000);
    std::map<std::uint64_t, std::string> expected;
    std::vector<Names::HandleType> dead;
    for (int round = 0; round < 10; ++round) {
        const auto wanted = *rc::gen::inRange<std::size_t>(0, 1'500);
        while (expected.size() < wanted) {
            const std::string text = std::to_string(expected.size() + dead.size());
            expected.emplace(slab.emplace(text).packed(), text);
        }
        const bool from_front = *rc::gen::arbitrary<bool>();
        while (expected.size() > wanted) {
            const auto victim = from_front ? expected.begin() : std::prev(expected.end());
            dead.push_back(Names::HandleType::from_packed(victim->first));
            slab.erase(dead.back());
            expected.erase(victim);
        }
        RC_ASSERT(slab.size() == expected.size());
        std::size_t seen = 0;
        slab.for_each([&](Names::HandleType handle, std::string& text) {
            RC_ASSERT(expected.at(handle.packed()) == text);
            ++seen;
        });
        RC_ASSERT(seen == expected.size());
        for (const auto& handle : dead) {
            RC_ASSERT(slab.find(handle) == nullptr);
        }
    }
}

}  // namespace
}  // namespace runnel
