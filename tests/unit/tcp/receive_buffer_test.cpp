// The receive buffer against a string, and law 5: memory held stays near the octets held, and what
// can't be taken whole is not taken at all.
#include "runnel/tcp/receive/receive_buffer.hpp"

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "octets.hpp"

namespace runnel::tcp {
namespace {

using test::octets;
using test::same;
using test::slice_of;
using test::text_of;

constexpr std::size_t kPool = 16U << 20;

std::string read(ReceiveBuffer& buffer, std::size_t size) {
    std::string text(size, '?');
    text.resize(buffer.read(std::as_writable_bytes(std::span(text))));
    return text;
}
std::string peek(const ReceiveBuffer& buffer, std::size_t size, std::size_t offset) {
    std::string text(size, '?');
    text.resize(buffer.peek(std::as_writable_bytes(std::span(text)), offset));
    return text;
}

TEST(ReceiveBuffer, SmallPayloadsArePacked) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    std::string all;
    for (std::uint64_t i = 0; i < 3'000; ++i) {
        const std::string one = octets({i}, 1);
        EXPECT_TRUE(buffer.append(pool, slice_of(pool, one, true)));
        all += one;
    }
    EXPECT_EQ(pool.bytes_in_use(), kSmallChunk) << "not 3,000 chunks of 64 KB";
    EXPECT_EQ(buffer.pinned(), kSmallChunk);
    EXPECT_EQ(read(buffer, 5'000), all);
    EXPECT_EQ(pool.bytes_in_use(), 0U) << "idle, it keeps no chunk";
}

TEST(ReceiveBuffer, LargePayloadsAreNotCopied) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    const std::string text = octets({0}, 60'000);
    Slice slice = slice_of(pool, text, true, 54);
    const std::byte* place = slice.data();
    EXPECT_TRUE(buffer.append(pool, std::move(slice)));
    SliceList out;
    EXPECT_EQ(buffer.take(100'000, out), 60'000U);
    EXPECT_EQ(out[0].data(), place);
    EXPECT_EQ(text_of(out), text);
}

TEST(ReceiveBuffer, ASliceMayHoldFourTimesItsSizeAndNoMore) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets({0}, kLargeChunk / 4), true)));
    EXPECT_EQ(buffer.pinned(), kLargeChunk);
    buffer.clear();
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets({0}, kLargeChunk / 4 - 1), true)));
    EXPECT_EQ(buffer.pinned(), 5 * kSmallChunk);
}

TEST(ReceiveBuffer, NothingIsWrittenIntoAChunkThatIsNotItsOwn) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    const std::string text = octets({0}, 20'000);
    const Slice mine = slice_of(pool, text + std::string(100, '.'), true);
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, "first")));
    EXPECT_TRUE(buffer.append(pool, mine.subslice(0, 20'000)));
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, "last")));
    EXPECT_EQ(text_of(mine), text + std::string(100, '.'));
    EXPECT_EQ(read(buffer, 30'000), "first" + text + "last");
}

TEST(ReceiveBuffer, WithoutMemoryItTakesAllOrNothing) {
    BufferPool pool(3 * kSmallChunk);
    ReceiveBuffer buffer;
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets({0}, 4'000))));
    Slice other = slice_of(pool, octets({4'000}, 4'000));
    const Slice hog = slice_of(pool, "x");
    // 96 octets would still fit behind the first; none of the 4,000 is taken.
    EXPECT_FALSE(buffer.append(pool, std::move(other)));
    EXPECT_EQ(text_of(other), octets({4'000}, 4'000)) << "the caller still has it";  // NOLINT
    EXPECT_EQ(buffer.size(), 4'000U);
    EXPECT_TRUE(buffer.append(pool, other.subslice(0, 96))) << "what fits in place needs no memory";
    EXPECT_EQ(read(buffer, 9'000), octets({0}, 4'096));
}

TEST(ReceiveBuffer, PeekLeavesEverything) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets({0}, 20'000), true)));
    EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets({20'000}, 100))));
    EXPECT_EQ(peek(buffer, 200, 19'950), octets({19'950}, 150));
    EXPECT_EQ(peek(buffer, 10, 20'100), "");
    EXPECT_EQ(peek(buffer, 10, 99'999), "");
    EXPECT_EQ(buffer.size(), 20'100U);
}

TEST(ReceiveBuffer, TakeGivesAsManySlicesAsTheListHolds) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    for (std::uint64_t i = 0; i < 25; ++i) {
        const std::string text = octets({i * kSmallChunk}, kSmallChunk);
        EXPECT_TRUE(buffer.append(pool, slice_of(pool, text)));
    }
    SliceList out;
    EXPECT_EQ(buffer.take(1'000'000, out), kMaxFrameSlices * kSmallChunk);
    EXPECT_EQ(buffer.size(), 5 * kSmallChunk);
    EXPECT_EQ(buffer.pinned(), 5 * kSmallChunk);
    out.clear();
    EXPECT_EQ(buffer.take(10, out), 10U);
    EXPECT_EQ(buffer.take(0, out), 0U);
    EXPECT_EQ(text_of(out), octets({20 * kSmallChunk}, 10));
}

RC_GTEST_PROP(ReceiveBuffer, HoldsWhatAStringHolds,
              (bool near_wrap, std::uint32_t number,
               const std::vector<std::tuple<std::uint8_t, std::uint32_t, bool>>& steps)) {
    BufferPool pool(kPool);
    ReceiveBuffer buffer;
    Seq64 begin = test::start_of(near_wrap, number);
    Seq64 end = begin;
    struct Taken {
        SliceList slices;
        std::string text;
    };
    std::vector<Taken> taken;
    for (const auto& [step, a, flag] : steps) {
        switch (step % 8) {
            case 0:
            case 1:
            case 2: {
                const std::size_t size = a % (step % 2 == 0 ? 1'500 : 60'000);
                const std::size_t offset = flag ? a % 60 : 0;
                EXPECT_TRUE(buffer.append(pool, slice_of(pool, octets(end, size), flag, offset)));
                end += size;
                break;
            }
            case 3: {  // two cuts of one frame
                const Slice frame = slice_of(pool, octets(end, 50'000), true);
                const std::size_t cut = a % 50'000;
                EXPECT_TRUE(buffer.append(pool, frame.subslice(0, cut)));
                EXPECT_TRUE(buffer.append(pool, frame.subslice(cut, 50'000 - cut)));
                end += 50'000;
                break;
            }
            case 4: {
                const std::string text = read(buffer, a % 10'000);
                same(text, octets(begin, text.size()));
                RC_ASSERT(text.size() == std::min<std::size_t>(a % 10'000, distance(begin, end)));
                begin += text.size();
                break;
            }
            case 5: {
                const std::size_t offset = a % 30'000;
                const std::string text = peek(buffer, a % 5'000, offset);
                same(text, octets(begin + offset, text.size()));
                RC_ASSERT(text.size() ==
                          std::min<std::size_t>(a % 5'000, distance(begin + offset, end)));
                break;
            }
            case 6: {
                Taken piece;
                const std::size_t count = buffer.take(a % 80'000, piece.slices);
                piece.text = octets(begin, count);
                begin += count;
                taken.push_back(std::move(piece));
                break;
            }
            default: begin += buffer.discard(a % 3'000);
        }
        RC_ASSERT(buffer.size() == distance(begin, end));
        RC_ASSERT(buffer.pinned() >= buffer.size() || buffer.empty());
    }
    for (const Taken& piece : taken) {
        same(text_of(piece.slices), piece.text);
    }
    taken.clear();
    RC_ASSERT(pool.bytes_in_use() <= buffer.pinned());
    same(read(buffer, 10'000'000), octets(begin, distance(begin, end)));
    RC_ASSERT(buffer.pinned() == 0U);
    RC_ASSERT(pool.bytes_in_use() == 0U);
}

}  // namespace
}  // namespace runnel::tcp
