// The send buffer against a string, and what law 5 asks of it: nothing kept when idle, nothing
// copied twice, and what is on its way is never overwritten.
#include "runnel/tcp/send/send_buffer.hpp"

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
constexpr std::size_t kNoLimit = SendBuffer::kMaxSize;

std::size_t write(SendBuffer& buffer, BufferPool& pool, std::size_t size,
                  std::size_t limit = kNoLimit) {
    return buffer.append(pool, as_bytes(octets(buffer.end(), size)), limit);
}

std::string gathered(const SendBuffer& buffer, Seq64 from, std::size_t max) {
    SliceList slices;
    const std::size_t count = buffer.gather(from, max, slices);
    std::string text = text_of(slices);
    EXPECT_EQ(text.size(), count);
    return text;
}

TEST(SendBuffer, NumbersOctetsFromItsStart) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    const Seq64 first = first_seq({0xffff'fffe});
    buffer.start(first);
    EXPECT_EQ(write(buffer, pool, 5), 5U);
    EXPECT_EQ(buffer.begin(), first);
    EXPECT_EQ(buffer.end().wire(), SeqNum{3}) << "past the wrap";
    EXPECT_EQ(gathered(buffer, first + 1, 100), octets(first + 1, 4));
}

TEST(SendBuffer, TakesNoMoreThanItsLimit) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    EXPECT_EQ(write(buffer, pool, 1000, 600), 600U);
    EXPECT_EQ(write(buffer, pool, 1000, 600), 0U);
    EXPECT_EQ(write(buffer, pool, 1000, 500), 0U) << "a limit below the size";
    const Slice slice = slice_of(pool, octets(buffer.end(), 1000));
    EXPECT_EQ(buffer.append(std::span(&slice, 1), 700), 100U);
    EXPECT_EQ(gathered(buffer, buffer.begin(), 1000), octets(buffer.begin(), 700));
}

TEST(SendBuffer, SmallWritesShareAChunk) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    for (int i = 0; i < 100; ++i) {
        write(buffer, pool, 40);
    }
    EXPECT_EQ(pool.bytes_in_use(), kSmallChunk);
    EXPECT_EQ(buffer.slices(), 1U) << "and a slice, so that a segment is one too";
}

TEST(SendBuffer, BigWritesTakeLargeChunks) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    write(buffer, pool, 256 * 1024);
    EXPECT_EQ(buffer.slices(), 4U);
    SliceList slices;
    EXPECT_EQ(buffer.gather(buffer.begin(), 65'536, slices), 65'536U);
    EXPECT_EQ(slices.size(), 1U);
}

TEST(SendBuffer, AWriteOfMiddleSizePinsLittleMoreThanItself) {
    BufferPool pool(kPool);
    for (std::size_t size = 1; size < 70'000; size += 997) {
        SendBuffer buffer;
        write(buffer, pool, size);
        EXPECT_LE(pool.bytes_in_use(), std::max<std::size_t>(kSmallChunk, 5 * size)) << size;
    }
}

TEST(SendBuffer, AMessageAtATimeKeepsNothing) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    for (int i = 0; i < 10; ++i) {
        write(buffer, pool, 100);
        buffer.release_until(buffer.end());
        EXPECT_EQ(pool.bytes_in_use(), 0U);
        EXPECT_EQ(buffer.slices(), 0U);
    }
    EXPECT_EQ(buffer.begin(), Seq64{1000});
}

TEST(SendBuffer, AcknowledgmentsOfSynAndFinCountAsTheNearerEnd) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    const Seq64 iss = first_seq({0xffff'fff0});
    buffer.start(iss + 1);
    write(buffer, pool, 10);
    buffer.release_until(iss);
    EXPECT_EQ(buffer.size(), 10U);
    buffer.release_until(buffer.end() + 1);
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.end(), iss + 11) << "the FIN holds no octet";
}

TEST(SendBuffer, HasNothingOutsideOfItself) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    buffer.start({1000});
    SliceList slices;
    EXPECT_EQ(buffer.gather({1000}, 10, slices), 0U);
    write(buffer, pool, 10);
    EXPECT_EQ(buffer.gather({999}, 10, slices), 0U);
    EXPECT_EQ(buffer.gather({1010}, 10, slices), 0U);
    EXPECT_EQ(buffer.gather({1009}, 10, slices), 1U);
    EXPECT_EQ(slices.size(), 1U);
}

TEST(SendBuffer, GathersFromTheFirstOctetOfEverySlice) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    for (std::size_t i = 0; i < 17; ++i) {
        const Slice slice = slice_of(pool, octets(buffer.end(), 10 + i));
        EXPECT_EQ(buffer.append(std::span(&slice, 1), kNoLimit), 10 + i);
    }
    for (Seq64 at = buffer.begin(); at < buffer.end(); at += 1) {
        SliceList slices;
        EXPECT_EQ(buffer.gather(at, 1, slices), 1U);
        ASSERT_EQ(slices.size(), 1U);
        EXPECT_EQ(text_of(slices), octets(at, 1));
    }
}

TEST(SendBuffer, GathersWhatTheFrameHasRoomFor) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    for (int i = 0; i < 30; ++i) {
        const Slice slice = slice_of(pool, octets(buffer.end(), 10));
        EXPECT_EQ(buffer.append(std::span(&slice, 1), kNoLimit), 10U);
    }
    SliceList slices(3);
    EXPECT_EQ(buffer.gather({5}, 300, slices), (kMaxFrameSlices - 3) * 10 - 5);
    EXPECT_EQ(slices.size(), kMaxFrameSlices);
}

TEST(SendBuffer, KeepsTheUsersSlicesWithoutCopying) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    const Slice whole = slice_of(pool, octets({0}, 3000));
    const std::vector<Slice> halves = {whole.subslice(0, 1500), whole.subslice(1500, 1500)};
    EXPECT_EQ(buffer.append(halves, kNoLimit), 3000U);
    EXPECT_EQ(buffer.slices(), 1U) << "neighbours in a chunk are one slice again";
    SliceList slices;
    EXPECT_EQ(buffer.gather({0}, 3000, slices), 3000U);
    EXPECT_EQ(slices[0].data(), whole.data());
}

TEST(SendBuffer, WritesOnlyIntoChunksOfItsOwn) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    write(buffer, pool, 50);
    const Slice users = slice_of(pool, octets({50}, 100) + std::string(100, '.'));
    const Slice part = users.subslice(0, 100);
    EXPECT_EQ(buffer.append(std::span(&part, 1), kNoLimit), 100U);
    write(buffer, pool, 50);
    EXPECT_EQ(text_of(users), octets({50}, 100) + std::string(100, '.'));
    EXPECT_EQ(gathered(buffer, {0}, 1'000), octets({0}, 200));
}

TEST(SendBuffer, IsFullWhenItHoldsTooManySlices) {
    BufferPool pool(4 * kSmallChunk);
    SendBuffer buffer;
    const Slice slice = slice_of(pool, "x");
    std::size_t taken = 0;
    while (buffer.append(std::span(&slice, 1), kNoLimit) == 1) {
        ++taken;
    }
    EXPECT_EQ(taken, SendBuffer::kMaxSlices);
    EXPECT_EQ(buffer.append(pool, as_bytes("y"), kNoLimit), 0U);
    buffer.release_until({1});
    EXPECT_EQ(buffer.append(pool, as_bytes("y"), kNoLimit), 1U);
}

TEST(SendBuffer, TakesWhatThePoolHasAndSaysHowMuch) {
    BufferPool pool(40 * kSmallChunk);
    SendBuffer buffer;
    const std::size_t taken = write(buffer, pool, 1'000'000);
    EXPECT_LE(pool.bytes_in_use(), 30 * kSmallChunk) << "a quarter stays for what arrives";
    EXPECT_GT(pool.bytes_in_use(), 28 * kSmallChunk);
    EXPECT_EQ(write(buffer, pool, 1), 0U);
    EXPECT_EQ(buffer.size(), taken);
    std::string all;
    for (Seq64 at = buffer.begin(); at < buffer.end(); at = buffer.begin() + all.size()) {
        all += gathered(buffer, at, 65'536);
    }
    EXPECT_EQ(all, octets({0}, taken)) << "and nothing of it is lost";
    buffer.release_until({70'000});
    EXPECT_GT(write(buffer, pool, 1), 0U) << "acknowledged, it has room again";
}

TEST(SendBuffer, ClearForgetsEverything) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    write(buffer, pool, 200'000);
    buffer.release_until({100});
    buffer.clear();
    EXPECT_EQ(pool.bytes_in_use(), 0U);
    EXPECT_EQ(buffer.begin(), Seq64{100});
    EXPECT_EQ(buffer.end(), Seq64{100});
}

// A segment on its way: its slices, and the octets they must always show.
struct Sent {
    SliceList slices;
    std::string text;
};

RC_GTEST_PROP(SendBuffer, HoldsWhatAStringHolds,
              (bool near_wrap, std::uint32_t number,
               const std::vector<std::tuple<std::uint8_t, std::uint32_t, std::uint32_t>>& steps)) {
    BufferPool pool(kPool);
    SendBuffer buffer;
    const Seq64 first = test::start_of(near_wrap, number);
    buffer.start(first);
    Seq64 una = first;
    Seq64 end = first;
    std::vector<Sent> sent;
    for (const auto& [step, a, b] : steps) {
        switch (step % 4) {
            case 0: {
                const std::size_t size = b % 3 == 0 ? a % 90'000 : a % 3'000;
                const std::size_t limit = distance(una, end) + 50'000;
                const std::size_t taken = write(buffer, pool, size, limit);
                RC_ASSERT(taken == std::min<std::size_t>(size, 50'000));
                end += taken;
                break;
            }
            case 1: {
                std::vector<Slice> slices;
                std::size_t size = 0;
                for (std::uint32_t i = 0; i < a % 4; ++i) {
                    const std::size_t part = (b >> (8 * i)) % 2'000;
                    slices.push_back(slice_of(pool, octets(end + size, part), false, i * 7));
                    size += part;
                }
                RC_ASSERT(buffer.append(slices, distance(una, end) + 2'500) ==
                          std::min<std::size_t>(size, 2'500));
                end += std::min<std::size_t>(size, 2'500);
                break;
            }
            case 2:
                una += a % (distance(una, end) + 1);
                buffer.release_until(una);
                break;
            default:
                if (una < end) {
                    const Seq64 from = una + a % distance(una, end);
                    const std::size_t max = b % 70'000;
                    Sent segment;
                    const std::size_t count = buffer.gather(from, max, segment.slices);
                    RC_ASSERT(count == std::min<std::size_t>(max, distance(from, end)) ||
                              segment.slices.size() == kMaxFrameSlices);
                    for (const Slice& slice : segment.slices) {
                        RC_ASSERT(!slice.empty());
                    }
                    segment.text = octets(from, count);
                    sent.push_back(std::move(segment));
                }
        }
        RC_ASSERT(buffer.begin() == una);
        RC_ASSERT(buffer.end() == end);
        RC_ASSERT(buffer.size() == distance(una, end));
    }
    for (const Sent& segment : sent) {
        same(text_of(segment.slices), segment.text);
    }
    buffer.release_until(end);
    sent.clear();
    RC_ASSERT(pool.bytes_in_use() == 0U);
}

}  // namespace
}  // namespace runnel::tcp
