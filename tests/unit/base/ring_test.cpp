// The ring against std::deque, with elements that can't be copied and that a sanitizer would miss.
#include "runnel/base/ring.hpp"

#include <deque>
#include <memory>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel {
namespace {

using Owned = std::unique_ptr<int>;

std::vector<int> contents(const Ring<Owned>& ring) {
    std::vector<int> values;
    for (std::size_t i = 0; i < ring.size(); ++i) {
        values.push_back(*ring[i]);
    }
    return values;
}

TEST(Ring, EmptyItOwnsNothing) {
    Ring<Owned> ring;
    static_assert(sizeof(ring) <= 24);
    EXPECT_EQ(ring.capacity(), 0U);
    ring.push_back(std::make_unique<int>(1));
    EXPECT_GT(ring.capacity(), 0U);
    ring.clear();
    EXPECT_TRUE(ring.empty());
    EXPECT_GT(ring.capacity(), 0U) << "clear keeps the block";
    ring.release();
    EXPECT_EQ(ring.capacity(), 0U);
    ring.push_front(std::make_unique<int>(2));
    EXPECT_EQ(contents(ring), std::vector<int>{2}) << "and it can be used again";
}

TEST(Ring, MovesWithItsElements) {
    Ring<Owned> ring;
    for (int i = 0; i < 5; ++i) {
        ring.push_back(std::make_unique<int>(i));
    }
    Ring<Owned> other(std::move(ring));
    EXPECT_EQ(contents(other), (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_TRUE(ring.empty());  // NOLINT(bugprone-use-after-move): moved from is empty
    ring.push_back(std::make_unique<int>(9));
    other = std::move(ring);
    EXPECT_EQ(contents(other), std::vector<int>{9});
}

TEST(Ring, AFixedSizeQueueNeverGrows) {
    Ring<Owned> ring;
    for (int i = 0; i < 4; ++i) {
        ring.push_back(std::make_unique<int>(i));
    }
    const std::size_t capacity = ring.capacity();
    for (int i = 4; i < 1000; ++i) {
        EXPECT_EQ(*ring.front(), i - 4);
        ring.pop_front();
        ring.push_back(std::make_unique<int>(i));
    }
    EXPECT_EQ(ring.capacity(), capacity);
}

RC_GTEST_PROP(Ring, DoesWhatADequeDoes,
              (const std::vector<std::tuple<unsigned char, unsigned>>& steps)) {
    Ring<Owned> ring;
    std::deque<int> model;
    int next = 0;
    for (const auto& [step, argument] : steps) {
        const std::size_t place = model.empty() ? 0 : argument % model.size();
        switch (step % 8) {
            case 0:
            case 1:
                ring.push_back(std::make_unique<int>(next));
                model.push_back(next++);
                break;
            case 2:
                ring.push_front(std::make_unique<int>(next));
                model.push_front(next++);
                break;
            case 3:
            case 4:
                ring.insert(place, std::make_unique<int>(next));
                model.insert(model.begin() + static_cast<std::ptrdiff_t>(place), next++);
                break;
            case 5: {
                const std::size_t count = model.empty() ? 0 : argument % (model.size() - place + 1);
                const auto from = model.begin() + static_cast<std::ptrdiff_t>(place);
                ring.erase(place, count);
                model.erase(from, from + static_cast<std::ptrdiff_t>(count));
                break;
            }
            case 6:
                if (!model.empty()) {
                    ring.pop_front();
                    model.pop_front();
                }
                break;
            default:
                if (!model.empty()) {
                    ring.pop_back();
                    model.pop_back();
                }
        }
        RC_ASSERT(contents(ring) == std::vector<int>(model.begin(), model.end()));
    }
}

}  // namespace
}  // namespace runnel
