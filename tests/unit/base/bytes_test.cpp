// The cursors over untrusted bytes, and the seeded generator: their promises, at compile time where they can be.
#include "runnel/base/bytes.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/base/random.hpp"

namespace runnel {
namespace {

constexpr std::array<std::byte, 8> kCounting = {std::byte{1}, std::byte{2}, std::byte{3},
                                                std::byte{4}, std::byte{5}, std::byte{6},
                                                std::byte{7}, std::byte{8}};

static_assert(ByteReader(kCounting).u8() == 0x01);
static_assert(ByteReader(kCounting).u16() == 0x0102);
static_assert(ByteReader(kCounting).u32() == 0x0102'0304);
static_assert(ByteReader(kCounting).u64() == 0x0102'0304'0506'0708);

TEST(ByteReader, ReadsNetworkOrder) {
    const std::vector<std::byte> bytes(kCounting.begin(), kCounting.end());
    ByteReader reader(bytes);
    EXPECT_EQ(reader.u8(), 0x01);
    EXPECT_EQ(reader.u16(), 0x0203);
    EXPECT_EQ(reader.u32(), 0x0405'0607U);
    EXPECT_EQ(reader.remaining(), 1U);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(ByteReader(bytes).u64(), 0x0102'0304'0506'0708U);
}

TEST(ByteReader, FailsForGoodPastTheEnd) {
    const std::vector<std::byte> bytes(kCounting.begin(), kCounting.begin() + 3);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.u16(), 0x0102);
    EXPECT_EQ(reader.u32(), 0U);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.u8(), 0U) << "one byte is left, but the cursor has failed";
    EXPECT_TRUE(reader.take(1).empty());
}

TEST(ByteReader, TakesNoMoreThanThereIs) {
    const std::vector<std::byte> bytes(kCounting.begin(), kCounting.end());
    ByteReader reader(bytes);
    reader.skip(6);
    EXPECT_EQ(reader.rest().size(), 2U);
    EXPECT_EQ(reader.take(2).size(), 2U);
    EXPECT_TRUE(reader.ok());
    EXPECT_TRUE(reader.take(static_cast<std::size_t>(-1)).empty());
    EXPECT_FALSE(reader.ok());
}

TEST(ByteWriter, WritesNetworkOrderAndPatches) {
    std::array<std::byte, 8> out{};
    ByteWriter writer(out);
    writer.u16(0);
    writer.u8(3);
    writer.u32(0x0405'0607);
    writer.put(Bytes(kCounting).last(1));
    writer.patch_u16(0, 0x0102);
    EXPECT_TRUE(writer.ok());
    EXPECT_EQ(out, kCounting);
}

TEST(ByteWriter, RefusesWhatDoesNotFit) {
    std::array<std::byte, 3> out{};
    ByteWriter writer(out);
    writer.u16(0x0102);
    writer.u16(0x0304);
    EXPECT_FALSE(writer.ok());
    EXPECT_EQ(writer.position(), 2U);
    EXPECT_EQ(out[2], std::byte{0});
}

TEST(ByteWriter, DoesNotPatchWhatIsNotWritten) {
    std::array<std::byte, 4> out{};
    ByteWriter writer(out);
    writer.u16(0x0102);
    writer.patch_u16(1, 0xffff);
    EXPECT_FALSE(writer.ok());
    EXPECT_EQ(out[1], std::byte{2});
}

TEST(Random, SameSeedSameRun) {
    Random a(7);
    Random b(7);
    Random c(8);
    bool differs = false;
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t value = a.next();
        EXPECT_EQ(value, b.next());
        differs = differs || value != c.next();
    }
    EXPECT_TRUE(differs);
}

TEST(Random, StaysBelowItsBound) {
    Random random(1);
    std::array<int, 5> seen{};
    for (int i = 0; i < 1000; ++i) {
        ++seen.at(random.below(5));
    }
    for (const int count : seen) {
        EXPECT_GT(count, 100);
    }
    EXPECT_EQ(random.below(0), 0U);
    EXPECT_FALSE(random.chance(0, 10));
    EXPECT_TRUE(random.chance(10, 10));
}

}  // namespace
}  // namespace runnel
