// Cookies of Fast Open and the client's cache of them (RFC 7413 §4.1.2, §4.1.3).
#include "runnel/tcp/open/fast_open.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

constexpr SipKey kKey{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};
const FourTuple kTuple{{IpAddress::v4(0x0a00'0001), 80}, {IpAddress::v4(0x0a00'0002), 40'000}};

FastOpen asked(bool experimental, std::optional<FastOpenOption> answer) {
    FastOpen state;
    state.offered = FastOpenOption{};
    state.offered->experimental = experimental;
    state.answer = answer;
    return state;
}

TEST(FastOpenCookie, IsOfTheTwoAddressesAndTheKey) {
    const FastOpenOption cookie = fast_open_cookie(kKey, kTuple);
    EXPECT_EQ(cookie.size, 8);
    FourTuple ports = kTuple;
    ports.remote.port = 1;
    EXPECT_EQ(fast_open_cookie(kKey, ports), cookie) << "RFC 7413 §4.1.2: of the client's address";
    FourTuple other = kTuple;
    other.remote.address = IpAddress::v4(0x0a00'0003);
    EXPECT_NE(fast_open_cookie(kKey, other), cookie);
    EXPECT_NE(fast_open_cookie({1, 2}, kTuple), cookie);
}

TEST(FastOpenCookie, IsSipHashOfClientAndServerAsLinuxHasIt) {
    const std::array<std::byte, 8> message{std::byte{10}, {}, {}, std::byte{2},
                                           std::byte{10}, {}, {}, std::byte{1}};
    const std::uint64_t hash = siphash(kKey, message);
    const FastOpenOption cookie = fast_open_cookie(kKey, kTuple);
    for (unsigned i = 0; i < 8; ++i) {
        EXPECT_EQ(std::to_integer<unsigned>(cookie.octets[i]), (hash >> (8 * i)) & 0xff);
    }
}

TEST(FastOpenCookie, OfEitherKeyIsTaken) {
    const FastOpenKeys keys{kKey, SipKey{1, 2}};
    EXPECT_EQ(check_cookie(keys, kTuple, fast_open_cookie(kKey, kTuple)), CookieCheck::good);
    EXPECT_EQ(check_cookie(keys, kTuple, fast_open_cookie({1, 2}, kTuple)), CookieCheck::old_key);
    FastOpenOption cut = fast_open_cookie(kKey, kTuple);
    cut.size = 4;
    EXPECT_EQ(check_cookie(keys, kTuple, cut), CookieCheck::bad);
    FastOpenOption bent = fast_open_cookie(kKey, kTuple);
    bent.octets[7] ^= std::byte{1};
    EXPECT_EQ(check_cookie(keys, kTuple, bent), CookieCheck::bad);
    EXPECT_EQ(check_cookie({kKey, std::nullopt}, kTuple, fast_open_cookie({1, 2}, kTuple)),
              CookieCheck::bad);
}

TEST(FastOpenCache, IsBoundedAndForgetsWhoWasAskedForLongestAgo) {
    FastOpenCache cache;
    const auto path = [](std::uint32_t i) {
        return FastOpenCache::Path{IpAddress::v4(1), IpAddress::v4(1000 + i)};
    };
    const FastOpen state = asked(false, fast_open_cookie(kKey, kTuple));
    for (std::uint32_t i = 0; i < FastOpenCache::kMaxEntries; ++i) {
        cache.learn(path(i), 1460, state);
    }
    ASSERT_NE(cache.find(path(0)), nullptr);  // now asked for last
    cache.learn(path(5000), 1460, state);
    EXPECT_EQ(cache.size(), FastOpenCache::kMaxEntries);
    EXPECT_NE(cache.find(path(0)), nullptr);
    EXPECT_EQ(cache.find(path(1)), nullptr);
    EXPECT_NE(cache.find(path(5000)), nullptr);
}

TEST(FastOpenCache, KeepsTheCookieUntilAnotherComes) {
    FastOpenCache cache;
    const FastOpenCache::Path path{IpAddress::v4(1), IpAddress::v4(2)};
    const FastOpenOption first = fast_open_cookie(kKey, kTuple);
    cache.learn(path, 1000, asked(false, first));
    EXPECT_EQ(cache.find(path)->cookie, first);
    EXPECT_EQ(cache.find(path)->mss, 1000);
    FastOpen shown;
    shown.offered = first;
    cache.learn(path, 900, shown);
    EXPECT_EQ(cache.find(path)->cookie, first);
    EXPECT_EQ(cache.find(path)->mss, 900);
    shown.answer = fast_open_cookie({1, 2}, kTuple);
    cache.learn(path, 900, shown);
    EXPECT_EQ(cache.find(path)->cookie, shown.answer);
}

TEST(FastOpenCache, TriesTheOldFormOnce) {
    FastOpenCache cache;
    const FastOpenCache::Path path{IpAddress::v4(1), IpAddress::v4(2)};
    cache.learn(path, 1000, asked(false, std::nullopt));
    EXPECT_EQ(cache.find(path)->try_experimental, 1);
    cache.learn(path, 1000, asked(true, std::nullopt));
    EXPECT_EQ(cache.find(path)->try_experimental, 2);
    FastOpen repeated = asked(false, std::nullopt);
    repeated.repeated = true;
    FastOpenCache other;
    other.learn(path, 1000, repeated);
    EXPECT_EQ(other.find(path)->try_experimental, 0) << "the SYN that arrived had no option";
}

TEST(FastOpenCache, PausesGrowUntilItWorksAgain) {
    FastOpenCache cache;
    const Duration hour = seconds(3600);
    const Instant begin{seconds(1'000'000).ns};
    EXPECT_FALSE(cache.paused(hour, begin));
    cache.pause(begin);
    EXPECT_TRUE(cache.paused(hour, begin + hour - nanoseconds(1)));
    EXPECT_FALSE(cache.paused(hour, begin + hour));
    EXPECT_FALSE(cache.paused({}, begin)) << "0 turns it off";
    for (int i = 0; i < 20; ++i) {
        cache.pause(begin);
    }
    EXPECT_TRUE(cache.paused(hour, begin + hour * 64 - nanoseconds(1)));
    EXPECT_FALSE(cache.paused(hour, begin + hour * 64));
    cache.works();
    EXPECT_FALSE(cache.paused(hour, begin));
}

}  // namespace
}  // namespace runnel::tcp
