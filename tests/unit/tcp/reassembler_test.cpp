// The reassembler against a map from number to octet: what is held, what comes out, which SACK
// blocks tell of it (RFC 2018 §4), and that every limit holds without losing anything silently.
#include "runnel/tcp/receive/reassembler.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "reassembling.hpp"
#include "runnel/base/random.hpp"
#include "runnel/tcp/receive/receive_buffer.hpp"

namespace runnel::tcp {
namespace {

using test::blocks;
using test::Blocks;
using test::extract;
using test::insert;
using test::kPool;
using test::octets;
using test::payload;
using test::same;
using test::slice_of;
using test::text_of;

TEST(Reassembler, IdleItIsAPointer) {
    Reassembler reassembler;
    EXPECT_TRUE(reassembler.empty());
    EXPECT_EQ(reassembler.ranges(), 0U);
    EXPECT_EQ(reassembler.highest(), Seq64{0});
    EXPECT_TRUE(blocks(reassembler).empty());
    Seq64 next{7};
    EXPECT_EQ(extract(reassembler, next), "");
    EXPECT_EQ(next, Seq64{7});
    EXPECT_EQ(reassembler.prune(0), 0U);
}

TEST(Reassembler, HoldsWhatLiesBeyondAGapUntilItCloses) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    Seq64 next{(std::uint64_t{1} << 33) - 150};  // the second segment lies across the wrap
    EXPECT_EQ(insert(reassembler, pool, next + 100, 100), InsertResult::inserted);
    EXPECT_EQ(extract(reassembler, next), "");
    EXPECT_EQ(blocks(reassembler), (Blocks{{0xffff'ffceU, 50}}));
    next += 100;  // the first segment has come
    const std::string text = extract(reassembler, next);
    EXPECT_EQ(text, octets(next - 100, 100));
    EXPECT_EQ(next.wire(), SeqNum{50});
    EXPECT_TRUE(reassembler.empty());
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST(Reassembler, SaysWhatWasADuplicate) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    EXPECT_EQ(insert(reassembler, pool, {1000}, 100), InsertResult::inserted);
    EXPECT_EQ(insert(reassembler, pool, {1000}, 100), InsertResult::duplicate);
    EXPECT_EQ(insert(reassembler, pool, {1099}, 1), InsertResult::duplicate);
    EXPECT_EQ(insert(reassembler, pool, {1050}, 100), InsertResult::inserted) << "half of it new";
    EXPECT_EQ(insert(reassembler, pool, {5000}, 0), InsertResult::duplicate);
    EXPECT_EQ(reassembler.bytes(), 150U);
    EXPECT_EQ(reassembler.ranges(), 1U);
    EXPECT_EQ(reassembler.highest(), Seq64{1150});
}

TEST(Reassembler, TellsTheFirstPartHeldForDsack) {
    // RFC 2883 §4.2.2: of a partial duplicate, the first contiguous part that came twice.
    BufferPool pool(kPool);
    Reassembler reassembler;
    insert(reassembler, pool, {1000}, 100);
    insert(reassembler, pool, {2000}, 100);
    const auto part = [&](std::uint64_t begin, std::uint64_t end) {
        const auto held = reassembler.first_held({begin}, {end});
        return std::pair(held.begin.value, held.end.value);
    };
    using P = std::pair<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(part(900, 2500), (P{1000, 1100}));
    EXPECT_EQ(part(1050, 1080), (P{1050, 1080}));
    EXPECT_EQ(part(1100, 2001), (P{2000, 2001}));
    EXPECT_TRUE(reassembler.first_held({1100}, {2000}).empty());
    EXPECT_TRUE(reassembler.first_held({2100}, {9000}).empty());
    EXPECT_TRUE(Reassembler().first_held({0}, {9}).empty());
}

// Proves: 2018-M3
TEST(Reassembler, ReportsTheBlockHeardOfLastFirst) {
    // RFC 2018 §4: the first block holds the segment that triggered the ACK, the rest repeat the
    // most recently reported ones.
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (const std::uint64_t seq : {1000U, 3000U, 2000U, 5000U, 4000U}) {
        insert(reassembler, pool, {seq}, 100);
    }
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{4000, 4100}, {5000, 5100}, {2000, 2100}}));
    EXPECT_EQ(blocks(reassembler, 4).size(), 4U);
    insert(reassembler, pool, {3100}, 50);
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{3000, 3150}, {4000, 4100}, {5000, 5100}}));
    // A duplicate is a segment received too.
    insert(reassembler, pool, {1010}, 20);
    EXPECT_EQ(blocks(reassembler, 2), (Blocks{{1000, 1100}, {3000, 3150}}));
}

TEST(Reassembler, TheExamplesOfRfc2018) {
    // RFC 2018 §7: eight segments of 500 octets, the left edge at 5000; the first is lost …
    BufferPool pool(kPool);
    {
        Reassembler reassembler;
        for (std::uint64_t seq = 5500; seq <= 8500; seq += 500) {
            insert(reassembler, pool, {seq}, 500);
            EXPECT_EQ(blocks(reassembler, 3),
                      (Blocks{{5500, static_cast<std::uint32_t>(seq + 500)}}));
        }
    }
    // … or the second, fourth, sixth and eighth are.
    Reassembler reassembler;
    insert(reassembler, pool, {6000}, 500);
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{6000, 6500}}));
    insert(reassembler, pool, {7000}, 500);
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{7000, 7500}, {6000, 6500}}));
    insert(reassembler, pool, {8000}, 500);
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{8000, 8500}, {7000, 7500}, {6000, 6500}}));
    insert(reassembler, pool, {6500}, 500);
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{6000, 7500}, {8000, 8500}}));
    Seq64 next{6000};  // the second has come
    EXPECT_EQ(extract(reassembler, next).size(), 1500U);
    EXPECT_EQ(next, Seq64{7500});
    EXPECT_EQ(blocks(reassembler, 3), (Blocks{{8000, 8500}}));
}

TEST(Reassembler, PutsItsBlocksBehindTheCallersDsack) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (const std::uint64_t seq : {1000U, 2000U, 3000U, 4000U}) {
        insert(reassembler, pool, {seq}, 100);
    }
    Reassembler::SackBlocks out;
    out.push_back({{500}, {600}});
    reassembler.sack_blocks(out, 3);
    ASSERT_EQ(out.size(), 3U);
    EXPECT_EQ(out[0], (SackBlock{{500}, {600}}));
    EXPECT_EQ(out[1], (SackBlock{{4000}, {4100}}));
    reassembler.sack_blocks(out, 2);
    EXPECT_EQ(out.size(), 3U) << "never fewer than there were";
    reassembler.sack_blocks(out, 99);
    EXPECT_EQ(out.size(), 4U) << "nor more than the option holds";
}

TEST(Reassembler, OfOctetsThatComeTwiceTheFirstAreKept) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    reassembler.insert(pool, {1010}, payload(pool, {1010}, 10, false, 1));
    reassembler.insert(pool, {1030}, payload(pool, {1030}, 10, false, 2));
    reassembler.insert(pool, {1000}, payload(pool, {1000}, 60, false, 3));
    Seq64 next{1000};
    EXPECT_EQ(extract(reassembler, next), octets({1000}, 10, 3) + octets({1010}, 10, 1) +
                                              octets({1020}, 10, 3) + octets({1030}, 10, 2) +
                                              octets({1040}, 20, 3));
}

TEST(Reassembler, ForgetsWhatHasComeInOrderMeanwhile) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    insert(reassembler, pool, {1000}, 100);
    insert(reassembler, pool, {1200}, 100);
    insert(reassembler, pool, {1400}, 100);
    Seq64 next{1250};  // a large segment came in order
    EXPECT_EQ(extract(reassembler, next), octets({1250}, 50));
    EXPECT_EQ(next, Seq64{1300});
    EXPECT_EQ(blocks(reassembler), (Blocks{{1400, 1500}}));
    next = {1500};
    EXPECT_EQ(extract(reassembler, next), "");
    EXPECT_TRUE(reassembler.empty());
}

TEST(Reassembler, ASliceThatNobodyTakesStays) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    insert(reassembler, pool, {1000}, 40'000, true);
    insert(reassembler, pool, {41'000}, 40'000, true);
    int room = 1;
    const auto deliver = [&](Slice&& slice) {
        if (room == 0) {
            return false;
        }
        --room;
        const Slice taken = std::move(slice);
        return !taken.empty();
    };
    EXPECT_EQ(reassembler.extract({1000}, deliver), Seq64{41'000});
    EXPECT_EQ(reassembler.bytes(), 40'000U);
    EXPECT_EQ(blocks(reassembler), (Blocks{{41'000, 81'000}}));
    Seq64 next{41'000};
    EXPECT_EQ(extract(reassembler, next), octets({41'000}, 40'000));
}

TEST(Reassembler, LargePayloadsAreNotCopied) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    SliceList list = payload(pool, {1000}, 60'000, true);
    const std::byte* place = list[0].data();
    EXPECT_EQ(reassembler.insert(pool, {1000}, std::move(list)), InsertResult::inserted);
    reassembler.extract({1000}, [&](Slice&& slice) { EXPECT_EQ(slice.data(), place); });
}

TEST(Reassembler, ABulkBehindALossIsPacked) {
    // Segments of 1,448 octets, each in a 64 KB chunk of the link's: 45 times their size.
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (std::uint64_t i = 1; i <= 2'000; ++i) {
        ASSERT_EQ(insert(reassembler, pool, {i * 1448}, 1448, true), InsertResult::inserted);
    }
    EXPECT_EQ(reassembler.bytes(), 2'000U * 1448);
    EXPECT_LE(reassembler.pinned(), reassembler.bytes() + kLargeChunk);
    EXPECT_EQ(pool.bytes_in_use(), reassembler.pinned());
    // What comes out is in large slices, which the receive buffer takes without copying again.
    std::size_t slices = 0;
    reassembler.extract({1448}, [&](Slice&&) { ++slices; });
    EXPECT_LE(slices, 60U);
}

TEST(Reassembler, SmallSegmentsTakeSmallChunksUntilThereAreMany) {
    BufferPool pool(kPool);
    for (const std::uint64_t first : {2048U, 2047U}) {
        Reassembler reassembler;
        Seq64 seq{5000};
        std::size_t held = 0;
        const auto add = [&](std::uint64_t size) {
            ASSERT_EQ(insert(reassembler, pool, seq, size), InsertResult::inserted);
            seq += size;
            held += size;
        };
        for (int i = 0; i < 15; ++i) {
            add(2048);
        }
        EXPECT_EQ(reassembler.pinned(), 8U * kSmallChunk);
        add(first);
        EXPECT_EQ(reassembler.bytes(), held);
        EXPECT_EQ(reassembler.pinned(), 8U * kSmallChunk);
        add(2048);
        // From 32 KB held on a chunk is a large one.
        EXPECT_EQ(reassembler.pinned(),
                  8U * kSmallChunk + (held - 2048 >= 32'768 ? kLargeChunk : kSmallChunk));
    }
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST(Reassembler, RefusesASegmentWholeWhenMemoryEnds) {
    BufferPool pool(32 * kSmallChunk);
    Reassembler reassembler;
    ASSERT_EQ(insert(reassembler, pool, {2'000}, 1'000), InsertResult::inserted);
    const Blocks before = blocks(reassembler);
    // Its first gap could be held in the chunk at hand, its second could not.
    SliceList list = payload(pool, {1'000}, 8'000, true);
    EXPECT_EQ(reassembler.insert(pool, {1'000}, std::move(list), kSmallChunk),
              InsertResult::no_room);
    EXPECT_EQ(blocks(reassembler), before);
    EXPECT_EQ(reassembler.bytes(), 1'000U);
    EXPECT_EQ(reassembler.pinned(), kSmallChunk);
    list.clear();
    {
        // Nothing of it is left behind in the chunk: with its last range the chunk goes too.
        insert(reassembler, pool, {50'000}, 40'000, true);
        Seq64 next{2'000};
        EXPECT_EQ(extract(reassembler, next), octets({2'000}, 1'000));
        EXPECT_EQ(reassembler.pinned(), kLargeChunk);
        EXPECT_EQ(pool.bytes_in_use(), kLargeChunk);
        reassembler.clear();
        ASSERT_EQ(insert(reassembler, pool, {2'000}, 1'000), InsertResult::inserted);
    }
    // And the same when the pool runs out instead.
    std::vector<Slice> hogs;
    while (pool.limit() - pool.bytes_in_use() > 3 * kSmallChunk) {
        hogs.push_back(slice_of(pool, "x"));
    }
    EXPECT_EQ(insert(reassembler, pool, {1'000}, 3'000), InsertResult::no_room)
        << "the last eighth of the pool is for octets in order";
    hogs.clear();
    EXPECT_EQ(insert(reassembler, pool, {1'000}, 3'000), InsertResult::inserted);
    Seq64 next{1'000};
    EXPECT_EQ(extract(reassembler, next), octets({1'000}, 3'000));
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

TEST(Reassembler, ARefusedFirstSegmentLeavesNothing) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    EXPECT_EQ(reassembler.insert(pool, {1'000}, payload(pool, {1'000}, 100), 0),
              InsertResult::no_room);
    EXPECT_TRUE(reassembler.empty());
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

// Proves: 2018-M6
TEST(Reassembler, PrunesFromTheTop) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    for (std::uint64_t i = 0; i < 10; ++i) {
        insert(reassembler, pool, {1'000 + i * 100'000}, 60'000, true);
    }
    EXPECT_EQ(reassembler.pinned(), 10 * kLargeChunk);
    EXPECT_EQ(reassembler.prune(10 * kLargeChunk), 0U);
    EXPECT_EQ(reassembler.prune(4 * kLargeChunk), 6 * 60'000U);
    EXPECT_EQ(reassembler.highest(), Seq64{361'000});
    EXPECT_EQ(reassembler.ranges(), 4U);
    EXPECT_EQ(reassembler.bytes(), 4 * 60'000U);
    EXPECT_EQ(pool.bytes_in_use(), 4 * kLargeChunk);
    Seq64 next{1'000};
    EXPECT_EQ(extract(reassembler, next), octets({1'000}, 60'000));
    EXPECT_EQ(reassembler.prune(0), 180'000U);
    EXPECT_TRUE(reassembler.empty());
    EXPECT_EQ(pool.bytes_in_use(), 0U);
}

// The model: the first octet that came for each number, and every segment in the order of arrival.
struct Model {
    std::map<std::uint64_t, char> held;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> segments;

    bool insert(Seq64 seq, const std::string& text) {
        bool fresh = false;
        for (std::size_t i = 0; i < text.size(); ++i) {
            fresh |= held.emplace(seq.value + i, text[i]).second;
        }
        if (!text.empty()) {
            segments.emplace_back(seq.value, seq.value + text.size());
        }
        return fresh;
    }
    std::string extract(Seq64& next) {
        std::string text;
        held.erase(held.begin(), held.lower_bound(next.value));
        while (!held.empty() && held.begin()->first == next.value) {
            text += held.begin()->second;
            held.erase(held.begin());
            next += 1;
        }
        return text;
    }
    [[nodiscard]] Blocks blocks(std::size_t max) const {
        struct Block {
            std::size_t heard;
            std::uint64_t begin;
            std::uint64_t end;
        };
        std::vector<Block> all;
        for (const auto& [number, ignored] : held) {
            if (all.empty() || all.back().end != number) {
                all.push_back({0, number, number});
            }
            ++all.back().end;
        }
        for (Block& block : all) {
            for (std::size_t i = 0; i < segments.size(); ++i) {
                if (segments[i].first < block.end && segments[i].second > block.begin) {
                    block.heard = i;
                }
            }
        }
        std::sort(all.begin(), all.end(),
                  [](const Block& a, const Block& b) { return a.heard > b.heard; });
        all.resize(std::min(all.size(), max));
        Blocks pairs;
        for (const Block& block : all) {
            pairs.emplace_back(Seq64{block.begin}.wire().value, Seq64{block.end}.wire().value);
        }
        return pairs;
    }
};

using Steps = std::vector<std::tuple<std::uint8_t, std::uint16_t, std::uint16_t>>;

void compare_with_map(Seq64 next, const Steps& steps, std::size_t unit) {
    BufferPool pool(kPool);
    Reassembler reassembler;
    Model model;
    std::uint64_t stream = 0;
    for (const auto& [step, a, b] : steps) {
        if (step % 5 == 4) {
            next += a % (4 * unit);
            const Seq64 from = next;
            Seq64 model_next = next;
            const std::string text = extract(reassembler, next);
            same(text, model.extract(model_next));
            RC_ASSERT(next == model_next);
            RC_ASSERT(next - from == static_cast<std::int64_t>(text.size()));
        } else {
            // A payload of up to three slices, each of its own stream of octets.
            const Seq64 seq = next + 1 + a % (12 * unit);
            SliceList list;
            std::string text;
            for (std::uint32_t i = 0; i <= step % 3; ++i) {
                const std::size_t size = b % unit + i;
                const std::string part = octets(seq + text.size(), size, ++stream);
                if (size > 0) {
                    list.push_back(slice_of(pool, part, (step & 16) != 0, i * 30));
                }
                text += part;
            }
            const bool fresh = model.insert(seq, text);
            const InsertResult expected = fresh ? InsertResult::inserted : InsertResult::duplicate;
            RC_ASSERT(reassembler.insert(pool, seq, std::move(list)) == expected);
        }
        RC_ASSERT(reassembler.bytes() == model.held.size());
        RC_ASSERT(reassembler.empty() == model.held.empty());
        RC_ASSERT(blocks(reassembler, 3) == model.blocks(3));
        RC_ASSERT(reassembler.pinned() >= reassembler.bytes());
        RC_ASSERT(pool.bytes_in_use() <= reassembler.pinned());
    }
    reassembler.clear();
    RC_ASSERT(pool.bytes_in_use() == 0U);
}

RC_GTEST_PROP(Reassembler, HoldsWhatAMapHoldsOfSmallSegments,
              (bool near_wrap, std::uint32_t number, const Steps& steps)) {
    compare_with_map(test::start_of(near_wrap, number), steps, 20);
}

RC_GTEST_PROP(Reassembler, HoldsWhatAMapHoldsOfLargeSegments,
              (bool near_wrap, std::uint32_t number)) {
    const auto steps = *rc::gen::resize(30, rc::gen::arbitrary<Steps>());
    compare_with_map(test::start_of(near_wrap, number), steps, 6'000);
}

// Whatever is refused on the way for want of memory, a sender that repeats it gets everything
// across.
RC_GTEST_PROP(Reassembler, WithTooLittleMemoryNothingIsLostSilently,
              (bool near_wrap, std::uint32_t number, std::uint64_t seed)) {
    constexpr std::size_t kSegments = 60;
    BufferPool pool(24 * kSmallChunk + 2 * kLargeChunk);
    Reassembler reassembler;
    ReceiveBuffer reader;
    const Seq64 first = test::start_of(near_wrap, number);
    Seq64 next = first;
    std::string got;
    Random random(seed);
    for (int round = 0; round < 20'000 && got.size() < kSegments * 1'000; ++round) {
        const Seq64 seq = first + random.below(kSegments) * 1'000;
        const auto deliver = [&](Slice&& slice) { return reader.append(pool, std::move(slice)); };
        const std::size_t old = distance(seq, next);  // a refusal may fall inside a segment
        if (seq <= next && old < 1'000) {
            SliceList list = payload(pool, next, 1'000 - old, random.chance(1, 7));
            if (!list.empty() && deliver(std::move(list[0]))) {
                next = reassembler.extract(seq + 1'000, deliver);
            }
        } else if (seq > next) {
            SliceList list = payload(pool, seq, 1'000, random.chance(1, 7));
            (void)reassembler.insert(pool, seq, std::move(list), random.below(40 * kSmallChunk));
        }
        if (random.chance(1, 5)) {
            (void)reassembler.prune(2 * kSmallChunk);
        }
        if (random.chance(1, 3)) {
            std::string text(1'500, '?');
            text.resize(reader.read(std::as_writable_bytes(std::span(text))));
            got += text;
        }
    }
    same(got, octets(first, kSegments * 1'000));
    reassembler.clear();
    RC_ASSERT(pool.bytes_in_use() == 0U);
}

}  // namespace
}  // namespace runnel::tcp
