// The oracle of contents: the same octets however they are asked for, and every wrong one found.
#include "runnel/sim/pattern.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace runnel::sim {
namespace {

std::vector<std::byte> filled(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
    std::vector<std::byte> octets(size);
    fill_pattern(seed, offset, octets);
    return octets;
}

TEST(Pattern, IsTheSameHoweverItIsCut) {
    const auto whole = filled(7, 0, 10'000);
    for (std::size_t offset : {0u, 1u, 7u, 8u, 9u, 4'089u, 4'096u, 4'097u, 8'190u}) {
        for (std::size_t size = 0; size < 40; ++size) {
            const auto part = filled(7, offset, size);
            EXPECT_TRUE(std::equal(part.begin(), part.end(),
                                   whole.begin() + static_cast<std::ptrdiff_t>(offset)))
                << offset << " " << size;
        }
    }
}

TEST(Pattern, DiffersByOffsetPageAndSeed) {
    const auto whole = filled(7, 0, 16'384);
    EXPECT_NE(whole, filled(8, 0, 16'384));
    for (const std::size_t shift : {1u, 8u, 4'096u, 8'192u}) {
        std::size_t same = 0;
        for (std::size_t i = 0; i + shift < whole.size(); ++i) {
            same += whole[i] == whole[i + shift] ? 1U : 0U;
        }
        // By chance one in 256; in another page one in eight as soon as one octet of the keys is the same.
        EXPECT_LT(same, whole.size() / 4) << shift;
    }
}

TEST(Pattern, FindsTheFirstWrongOctet) {
    for (const std::uint64_t offset : {0ULL, 3ULL, 4'090ULL, (1ULL << 40) + 5}) {
        auto octets = filled(3, offset, 9'001);
        EXPECT_EQ(compare_pattern(3, offset, octets), octets.size());
        EXPECT_LT(compare_pattern(3, offset + 1, octets), 16u);
        for (std::size_t at = 0; at < octets.size(); at += at < 32 || at > 8'980 ? 1 : 97) {
            octets[at] ^= std::byte{0x40};
            octets[octets.size() - 1] ^= std::byte{1};
            EXPECT_EQ(compare_pattern(3, offset, octets), at);
            octets[octets.size() - 1] ^= std::byte{1};
            octets[at] ^= std::byte{0x40};
        }
    }
}

}  // namespace
}  // namespace runnel::sim
