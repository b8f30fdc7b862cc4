// MD5 against the test suite of RFC 1321, appendix A.5, and across block borders.
#include <gtest/gtest.h>

#include <string>

#include "runnel/base/md5.hpp"

namespace runnel {
namespace {

std::string hex(const Md5Digest& digest) {
    std::string text;
    for (const std::byte byte : digest) {
        const auto value = std::to_integer<unsigned>(byte);
        text += "0123456789abcdef"[value >> 4];
        text += "0123456789abcdef"[value & 15];
    }
    return text;
}
std::string md5(std::string_view text) {
    Md5 hash;
    hash.update(as_bytes(text));
    return hex(hash.finish());
}

TEST(Md5, TestSuiteOfTheRfc) {
    EXPECT_EQ(md5(""), "d41d8cd98f00b204e9800998ecf8427e");
    EXPECT_EQ(md5("a"), "0cc175b9c0f1b6a831c399e269772661");
    EXPECT_EQ(md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
    EXPECT_EQ(md5("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    EXPECT_EQ(md5("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
    EXPECT_EQ(md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
              "d174ab98d277d9f5a5611c2c9f419d9f");
    EXPECT_EQ(md5("1234567890123456789012345678901234567890"
                  "1234567890123456789012345678901234567890"),
              "57edf4a22be3c955ac49da2e2107b67a");
}

TEST(Md5, PiecesMakeNoDifference) {
    std::string text;
    for (int i = 0; i < 300; ++i) {
        text += static_cast<char>('a' + i % 26);
    }
    for (const std::size_t length : {55u, 56u, 57u, 63u, 64u, 65u, 119u, 120u, 128u, 300u}) {
        const std::string_view whole = std::string_view(text).substr(0, length);
        for (const std::size_t first : {1u, 7u, 55u}) {
            Md5 hash;
            hash.update(as_bytes(whole.substr(0, first)));
            hash.update(as_bytes(whole.substr(first)));
            EXPECT_EQ(hex(hash.finish()), md5(whole)) << length << ' ' << first;
        }
    }
}

}  // namespace
}  // namespace runnel
