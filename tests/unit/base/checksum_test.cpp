// The internet checksum: RFC 1071's and RFC 1624's own examples, and every way of making a sum against
// the two-bytes-at-a-time definition.
#include "runnel/base/checksum.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/random.hpp"

namespace runnel {
namespace {

std::uint16_t naive_sum(Bytes bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto byte = std::to_integer<std::uint32_t>(bytes[i]);
        sum += i % 2 == 0 ? byte << 8 : byte;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
    Random random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(random.below(256));
    }
    return bytes;
}

// RFC 1071 §3.
constexpr std::array<std::byte, 8> kRfc1071 = {std::byte{0x00}, std::byte{0x01}, std::byte{0xf2},
                                               std::byte{0x03}, std::byte{0xf4}, std::byte{0xf5},
                                               std::byte{0xf6}, std::byte{0xf7}};

TEST(Checksum, Rfc1071Example) {
    EXPECT_EQ(ones_complement_sum(kRfc1071), 0xddf2);
    EXPECT_EQ(internet_checksum(kRfc1071), 0x220d);
    // The odd example of the same table: 00 01 f2 in byte order.
    EXPECT_EQ(ones_complement_sum(Bytes(kRfc1071).first(3)), 0xf201);
}

TEST(Checksum, NothingSumsToZeroAndOnesToOnes) {
    EXPECT_EQ(ones_complement_sum({}), 0);
    EXPECT_EQ(internet_checksum({}), 0xffff);
    const std::vector<std::byte> zeros(777);
    EXPECT_EQ(ones_complement_sum(zeros), 0);
    const std::vector<std::byte> ones(70'000, std::byte{0xff});
    EXPECT_EQ(ones_complement_sum(ones), 0xffff);
}

TEST(Checksum, Rfc1624Example) {
    // RFC 1624 §4: a header with checksum 0xdd2f, whose word 0x5555 becomes 0x3285, has 0x0000 afterwards
    // (and not 0xffff, which RFC 1141's formula would give).
    EXPECT_EQ(update_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
}

TEST(Checksum, EveryLengthAndAlignment) {
    const std::vector<std::byte> bytes = random_bytes(700, 1);
    for (std::size_t begin = 0; begin < 33; ++begin) {
        for (std::size_t size = 0; begin + size <= bytes.size(); ++size) {
            const Bytes part = Bytes(bytes).subspan(begin, size);
            ASSERT_EQ(ones_complement_sum(part), naive_sum(part)) << begin << " " << size;
        }
    }
}

TEST(Checksum, LargeBuffersOfOnesDoNotOverflow) {
    for (const std::size_t size : {65'535U, 65'536U, 1'000'003U}) {
        std::vector<std::byte> bytes(size, std::byte{0xff});
        bytes[size / 2] = std::byte{0x12};
        EXPECT_EQ(ones_complement_sum(bytes), naive_sum(bytes)) << size;
    }
}

TEST(Checksum, CopyAndSumCopiesAndSums) {
    const std::vector<std::byte> source = random_bytes(1500, 2);
    for (const std::size_t begin : {0U, 1U, 3U, 8U}) {
        for (std::size_t size = 0; begin + size <= source.size(); size += size < 300 ? 1 : 37) {
            const Bytes part = Bytes(source).subspan(begin, size);
            std::vector<std::byte> target(size + 2, std::byte{0xa5});
            ASSERT_EQ(copy_and_sum(MutableBytes(target).subspan(1), part), naive_sum(part)) << size;
            ASSERT_TRUE(std::equal(part.begin(), part.end(), target.begin() + 1)) << size;
            ASSERT_EQ(target.front(), std::byte{0xa5});
            ASSERT_EQ(target.back(), std::byte{0xa5}) << "wrote past the end at " << size;
        }
    }
}

TEST(ChecksumDeathTest, CopyNeedsRoom) {
    std::array<std::byte, 4> target{};
    EXPECT_DEATH(copy_and_sum(target, kRfc1071), "");
}

RC_GTEST_PROP(Checksum, PiecesSumAsTheWhole, ()) {
    const auto pieces = *rc::gen::container<std::vector<std::vector<std::uint8_t>>>(
        rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>()));
    std::vector<std::byte> whole;
    ChecksumAccumulator sum;
    for (const auto& piece : pieces) {
        const Bytes bytes = std::as_bytes(std::span(piece));
        whole.insert(whole.end(), bytes.begin(), bytes.end());
        sum.add(bytes);
    }
    RC_ASSERT(sum.folded() == naive_sum(whole));
    RC_ASSERT(sum.finish() == internet_checksum(whole));
}

RC_GTEST_PROP(Checksum, FieldsMayFollowAnOddPiece,
              (const std::vector<std::uint8_t>& piece, std::uint16_t a, std::uint32_t b)) {
    const Bytes bytes = std::as_bytes(std::span(piece));
    ChecksumAccumulator sum;
    sum.add(bytes);
    sum.add_u16(a);
    sum.add_u32(b);
    std::vector<std::byte> whole(piece.size() + 6);
    ByteWriter writer(whole);
    writer.put(bytes);
    writer.u16(a);
    writer.u32(b);
    RC_ASSERT(sum.folded() == naive_sum(whole));
}

RC_GTEST_PROP(Checksum, UpdatingIsAsSummingAnew,
              (std::vector<std::uint8_t> raw, std::uint32_t after, std::uint16_t at)) {
    raw.resize(20 + raw.size() % 40);
    raw[0] |=
        1;  // a header is never all zeros, for which the two zeros of one's complement would differ
    std::vector<std::byte> header(raw.size());
    std::copy_n(std::as_bytes(std::span(raw)).begin(), raw.size(), header.begin());
    const std::size_t offset = 4U + at % (header.size() - 8) / 2 * 2;
    const std::uint16_t checksum = internet_checksum(header);
    ByteReader reader(Bytes(header).subspan(offset));
    const std::uint32_t before = reader.u32();
    ByteWriter writer(MutableBytes(header).subspan(offset));
    writer.u32(after);
    RC_ASSERT(update_checksum_u32(checksum, before, after) == internet_checksum(header));
}

RC_GTEST_PROP(Checksum, OneFlippedBitNeverPasses,
              (std::vector<std::uint8_t> raw, std::uint32_t where)) {
    raw.resize(raw.size() / 2 * 2 + 2);
    std::vector<std::byte> packet(raw.size() + 2);
    std::copy_n(std::as_bytes(std::span(raw)).begin(), raw.size(), packet.begin());
    ByteWriter writer(MutableBytes(packet).last(2));
    writer.u16(internet_checksum(Bytes(packet).first(raw.size())));
    RC_ASSERT(internet_checksum(packet) == 0);
    const std::size_t bit = where % (packet.size() * 8);
    packet[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    RC_ASSERT(internet_checksum(packet) != 0);
}

}  // namespace
}  // namespace runnel
