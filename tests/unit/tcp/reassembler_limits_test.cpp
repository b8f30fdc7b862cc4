// How much the reassembler holds: the window of a long fat path, whatever is lost of it and in whatever order it
// comes, with little work for each segment; and little of what comes in tiny segments.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "reassembling.hpp"
#include "runnel/base/random.hpp"
#include "runnel/base/work.hpp"

namespace runnel::tcp {
namespace {

using test::blocks;
using test::Blocks;
using test::extract;
using test::insert;
using test::kPool;
using test::octets;
using test::slice_of;

TEST(Reassembler, HalfOfThePinnedMemoryIsOctetsAtLeast) {
    // Super-segments too short for their 64 KB chunks, each second one lost: kept by reference they would pin
    // nearly four times their octets, and a window's half would not find room in kMaxPinned.
    BufferPool pool(kPool);
    for (const std::size_t size : {17'000U, 33'000U, 34'000U}) {
        Reassembler reassembler;
        for (std::uint64_t i = 0; i < 100; ++i) {
            ASSERT_EQ(insert(reassembler, pool, {1'000 + i * 2 * size}, size, true),
                      InsertResult::inserted);
        }
        EXPECT_EQ(reassembler.bytes(), 100 * size);
        EXPECT_LE(reassembler.pinned(), 2 * reassembler.bytes());
        EXPECT_EQ(pool.bytes_in_use(), reassembler.pinned());
    }
}

TEST(Reassembler, TinySegmentsWithGapsShareChunks) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (std::uint64_t i = 0; i < Reassembler::kMaxShortRanges; ++i) {
        ASSERT_EQ(insert(reassembler, pool, {1000 + 2 * i}, 1, true), InsertResult::inserted);
    }
    EXPECT_EQ(reassembler.pinned(), kSmallChunk);
    EXPECT_EQ(pool.bytes_in_use(), kSmallChunk);
    EXPECT_EQ(insert(reassembler, pool, {100'000}, 1, true), InsertResult::no_room);
}

TEST(Reassembler, HasALimitOnShortRangesThatFillingGapsDoesNotMeet) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (std::uint64_t i = 0; i < Reassembler::kMaxShortRanges; ++i) {
        ASSERT_EQ(insert(reassembler, pool, {1000 + 10 * i}, 5), InsertResult::inserted);
    }
    EXPECT_EQ(insert(reassembler, pool, {900'000}, Reassembler::kShort - 1), InsertResult::no_room);
    EXPECT_EQ(insert(reassembler, pool, {1007}, 1), InsertResult::no_room) << "it touches none";
    EXPECT_EQ(reassembler.ranges(), Reassembler::kMaxShortRanges);
    EXPECT_EQ(insert(reassembler, pool, {800'000}, Reassembler::kShort), InsertResult::inserted)
        << "it brings its worth";
    EXPECT_EQ(insert(reassembler, pool, {1005}, 1), InsertResult::inserted);
    EXPECT_EQ(insert(reassembler, pool, {1006}, 4), InsertResult::inserted) << "joins two";
    EXPECT_EQ(insert(reassembler, pool, {700'000}, 5), InsertResult::inserted);
    EXPECT_EQ(insert(reassembler, pool, {900'000}, 5), InsertResult::no_room);
    // One segment over all of them: the most work a segment can make.
    const Work before = work;
    EXPECT_EQ(insert(reassembler, pool, {900}, 60'000, true), InsertResult::inserted);
    EXPECT_LE(work.nodes - before.nodes, 3 * Reassembler::kMaxTouched);
    EXPECT_EQ(reassembler.ranges(), 3U);
    Seq64 next{900};
    EXPECT_EQ(extract(reassembler, next), octets({900}, 60'000));
}

TEST(Reassembler, HasALimitOnRanges) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    constexpr std::size_t kSize = Reassembler::kShort;
    for (std::uint64_t i = 0; i < Reassembler::kMaxRanges; ++i) {
        ASSERT_EQ(insert(reassembler, pool, {1000 + 2 * kSize * i}, kSize), InsertResult::inserted);
    }
    const std::uint64_t above = 1000 + 2 * kSize * Reassembler::kMaxRanges;
    EXPECT_EQ(insert(reassembler, pool, {above}, 1000), InsertResult::no_room);
    EXPECT_EQ(insert(reassembler, pool, {1000 + kSize}, kSize), InsertResult::inserted);
    EXPECT_EQ(reassembler.ranges(), Reassembler::kMaxRanges - 1);
    EXPECT_EQ(insert(reassembler, pool, {above}, 1000), InsertResult::inserted);
}

TEST(Reassembler, HasALimitOnPieces) {
    // Each second segment first, then those between: no two neighbours lie in one chunk's row.
    for (const std::size_t size : {std::size_t{3}, Reassembler::kShort + 100}) {
        const std::size_t limit =
            size < Reassembler::kShort ? Reassembler::kMaxShortPieces : Reassembler::kMaxPieces;
        BufferPool pool(kPool);
        Reassembler reassembler;
        std::size_t held = 0;
        std::size_t blocks_tried = 0;
        for (std::uint64_t block = 0; block < limit / 512 + 8; ++block, ++blocks_tried) {
            for (const std::uint64_t odd : {1U, 0U}) {
                for (std::uint64_t i = 0; i < 256; ++i) {
                    const Seq64 seq{1'000 + (block * 512 + 2 * i + odd) * size};
                    const InsertResult result = insert(reassembler, pool, seq, size);
                    ASSERT_NE(result, InsertResult::duplicate);
                    held += result == InsertResult::inserted ? size : 0U;
                }
            }
        }
        // At the end of a chunk a segment is two pieces.
        EXPECT_LE(held, limit * size);
        EXPECT_GE(held, limit * size - size * (10 + held / kLargeChunk));
        EXPECT_EQ(reassembler.bytes(), held);
        Seq64 next{1'000};
        const std::string text = extract(reassembler, next);
        EXPECT_TRUE(text == octets({1'000}, text.size()));
        EXPECT_GE(text.size(), held - 256 * size);
    }
}

TEST(Reassembler, ShortOnesThatAreGoneMakeRoom) {
    // Many rounds, with a range far above that keeps the counts alive: they would run out if one were missed.
    BufferPool pool(kPool);
    Reassembler reassembler;
    ASSERT_EQ(insert(reassembler, pool, {100'000'000}, 1000), InsertResult::inserted);
    Seq64 next{1'000};
    for (int round = 0; round < 60; ++round) {
        const Seq64 start = next + 1;
        for (std::uint64_t i = 0; i < Reassembler::kMaxShortRanges; ++i) {
            ASSERT_EQ(insert(reassembler, pool, start + i * 300, 200), InsertResult::inserted);
        }
        ASSERT_EQ(insert(reassembler, pool, start + 200'000, 1), InsertResult::no_room);
        switch (round % 4) {
            case 0:  // gaps filled one by one: first what lengthens a short one, then what joins two
                for (std::uint64_t i = 0; i < 100; ++i) {
                    ASSERT_EQ(insert(reassembler, pool, start + i * 300 + 200, 70),
                              InsertResult::inserted);
                    ASSERT_EQ(insert(reassembler, pool, start + i * 300 + 270, 30),
                              InsertResult::inserted);
                }
                break;
            case 1:  // a part of each is overtaken
                for (std::uint64_t i = 0; i < 100; ++i) {
                    next = start + i * 300 + 50;
                    EXPECT_EQ(extract(reassembler, next), octets(start + i * 300 + 50, 150));
                }
                break;
            case 2:
                ASSERT_EQ(insert(reassembler, pool, start, 60'000, true), InsertResult::inserted);
                break;
            default: break;
        }
        next = start + 160'000;
        EXPECT_EQ(extract(reassembler, next), "");
        EXPECT_EQ(reassembler.ranges(), 1U);
        EXPECT_EQ(reassembler.bytes(), 1'000U);
    }
    EXPECT_LE(reassembler.pinned(), 2 * kLargeChunk);
}

// A long fat path: 300 ms at 1 Gbit/s. Whatever is thrown away here has to be sent again, and looks like
// congestion to the sender.
class LongFatPath {
public:
    static constexpr std::size_t kSize = 1448;
    static constexpr std::size_t kSegments = Reassembler::kMaxPinned / kSize;
    static constexpr std::uint64_t kFirst = std::uint64_t{1} << 32;

    [[nodiscard]] static char stamp(std::uint64_t segment) {
        return static_cast<char>(segment % 251);
    }
    void arrives(std::uint64_t segment) {
        SliceList list;
        list.push_back(slice_of(pool_, std::string(kSize, stamp(segment))));
        const Work before = work;
        ASSERT_EQ(reassembler_.insert(pool_, {kFirst + segment * kSize}, std::move(list)),
                  InsertResult::inserted);
        Reassembler::SackBlocks out;
        reassembler_.sack_blocks(out, 4);
        most_work_ = std::max(most_work_, work.nodes - before.nodes);
    }
    void arrive(const std::vector<std::uint64_t>& segments) {
        for (const std::uint64_t segment : segments) {
            arrives(segment);
            if (testing::Test::HasFatalFailure()) {
                return;
            }
        }
    }
    /// All that can be had from `segment` on; counts whole octets and looks at the ends of each segment.
    std::uint64_t extracted(std::uint64_t segment) {
        std::uint64_t at = kFirst + segment * kSize;
        reassembler_.extract(Seq64{at}, [&](Slice&& slice) {
            const Slice taken = std::move(slice);
            for (std::size_t i = 0; i < taken.size(); ++i, ++at) {
                if (i == 0 || i + 1 == taken.size() || (at - kFirst) % kSize == 0) {
                    wrong_ += static_cast<char>(taken.data()[i]) != stamp((at - kFirst) / kSize);
                }
            }
        });
        return at - kFirst - segment * kSize;
    }

    BufferPool pool_{256U << 20};
    Reassembler reassembler_;
    std::uint64_t most_work_ = 0;
    std::uint64_t wrong_ = 0;
};

/// The segments of one window with this remainder modulo two, in an order.
std::vector<std::uint64_t> each_second(std::uint64_t odd, int order, Random& random) {
    std::vector<std::uint64_t> segments;
    for (std::uint64_t i = odd; i < LongFatPath::kSegments - 50; i += 2) {
        segments.push_back(i);
    }
    if (order == 1) {
        std::reverse(segments.begin(), segments.end());
    } else if (order == 2) {
        for (std::size_t i = segments.size(); i > 1; --i) {
            std::swap(segments[i - 1], segments[random.below(i)]);
        }
    }
    return segments;
}

TEST(Reassembler, HoldsAWindowOfWhichEachSecondSegmentWasLost) {
    Random random(1);
    for (const int order : {0, 1, 2}) {
        SCOPED_TRACE(order);
        LongFatPath path;
        const auto held = each_second(1, order, random);
        path.arrive(held);
        ASSERT_FALSE(HasFatalFailure());
        EXPECT_EQ(path.reassembler_.ranges(), held.size());
        EXPECT_GT(held.size(), 23'000U);
        EXPECT_LE(path.reassembler_.pinned(), path.reassembler_.bytes() + 8 * kLargeChunk);
        // Twice the depth of a tree of 32,768 for the worst red-black one, two neighbours, three passes, blocks.
        EXPECT_LE(path.most_work_, 48U);
        // All but the first gap are filled: nothing can go to the reader before.
        auto fills = each_second(0, order, random);
        std::erase(fills, std::uint64_t{0});
        path.arrive(fills);
        ASSERT_FALSE(HasFatalFailure());
        EXPECT_LE(path.most_work_, 48U);
        EXPECT_EQ(path.reassembler_.ranges(), 1U);
        EXPECT_EQ(path.extracted(1), (held.size() + fills.size()) * LongFatPath::kSize);
        EXPECT_EQ(path.wrong_, 0U);
        EXPECT_EQ(path.pool_.bytes_in_use(), 0U);
    }
}

TEST(Reassembler, NobodyLooksAtMoreRangesThanConcernHim) {
    LongFatPath path;
    Random random(2);
    path.arrive(each_second(1, 2, random));
    ASSERT_FALSE(HasFatalFailure());
    const Work before = work;
    Reassembler::SackBlocks out;
    path.reassembler_.sack_blocks(out, 4);
    EXPECT_EQ(out.size(), 4U);
    EXPECT_EQ(work.nodes - before.nodes, 4U);
    const Seq64 middle{LongFatPath::kFirst + 20'000 * LongFatPath::kSize};
    EXPECT_EQ(path.reassembler_.first_held(middle, middle + 9'999).begin,
              middle + LongFatPath::kSize);
    EXPECT_LE(work.nodes - before.nodes, 4U + 32U);
}

// Held, ranges and blocks against a set of segments all of one size, with thousands of ranges.
TEST(Reassembler, HoldsWhatASetHoldsOfThousandsOfSegments) {
    constexpr std::uint64_t kSize = 300;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        BufferPool pool(kPool);
        Reassembler reassembler;
        Random random(seed);
        std::set<std::uint64_t> held;
        std::vector<std::uint64_t> arrived;
        std::uint64_t next = 0;
        std::size_t ranges = 0;
        std::size_t most = 0;
        const auto has = [&](std::uint64_t i) { return held.contains(i) ? 1U : 0U; };
        const auto block_of = [&](std::uint64_t i) {
            std::uint64_t begin = i;
            while (begin > 0 && has(begin - 1) != 0) {
                --begin;
            }
            while (has(i) != 0) {
                ++i;
            }
            return std::pair(static_cast<std::uint32_t>(begin * kSize),
                             static_cast<std::uint32_t>(i * kSize));
        };
        for (int step = 0; step < 30'000; ++step) {
            if (random.chance(1, 500)) {
                // What comes in order overtakes some, and takes along what follows it.
                next += random.below(100);
                std::erase_if(held, [&](std::uint64_t i) { return i < next; });
                while (has(next) != 0) {
                    held.erase(next++);
                }
                ranges = 0;
                for (const std::uint64_t i : held) {
                    ranges += 1 - has(i - 1);
                }
                (void)reassembler.extract(Seq64{(next - 1) * kSize + kSize}, [](Slice&&) {});
            } else {
                const std::uint64_t i = next + 1 + random.below(8'000);
                const bool fresh = held.insert(i).second;
                ranges += fresh ? 1 : 0;
                ranges -= fresh ? has(i - 1) + has(i + 1) : 0;
                arrived.push_back(i);
                ASSERT_EQ(insert(reassembler, pool, {i * kSize}, kSize),
                          fresh ? InsertResult::inserted : InsertResult::duplicate);
            }
            most = std::max(most, ranges);
            ASSERT_EQ(reassembler.bytes(), held.size() * kSize);
            ASSERT_EQ(reassembler.ranges(), ranges);
            if (step % 16 == 0) {
                Blocks expected;
                for (auto i = arrived.rbegin(); i != arrived.rend() && expected.size() < 4; ++i) {
                    if (has(*i) != 0 &&
                        std::ranges::find(expected, block_of(*i)) == expected.end()) {
                        expected.push_back(block_of(*i));
                    }
                }
                ASSERT_EQ(blocks(reassembler), expected) << "step " << step;
            }
        }
        EXPECT_GT(most, 1'900U);
    }
}

}  // namespace
}  // namespace runnel::tcp
