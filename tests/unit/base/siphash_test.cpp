// SipHash-2-4 against the vectors its authors published (key 00 01 … 0f, message 00 01 …).
#include "runnel/base/siphash.hpp"

#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace runnel {
namespace {

constexpr SipKey kKey{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};

std::vector<std::byte> counting(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i);
    }
    return bytes;
}

TEST(SipHash, KnownVectors) {
    EXPECT_EQ(siphash(kKey, counting(0)), 0x726f'db47'dd0e'0e31U);
    EXPECT_EQ(siphash(kKey, counting(1)), 0x74f8'39c5'93dc'67fdU);
    EXPECT_EQ(siphash(kKey, counting(8)), 0x93f5'f579'9a93'2462U);
    EXPECT_EQ(siphash(kKey, counting(15)), 0xa129'ca61'49be'45e5U);
}

TEST(SipHash, EachUseHasItsOwnKey) {
    const SipKey a = derive_key(kKey, 1);
    const SipKey b = derive_key(kKey, 2);
    EXPECT_NE(a.k0, b.k0);
    EXPECT_NE(a.k1, b.k1);
    EXPECT_NE(a.k0, a.k1);
}

}  // namespace
}  // namespace runnel
