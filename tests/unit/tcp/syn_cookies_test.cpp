// SYN cookies as numbers: what goes in comes out, for so long, for this tuple, and for nobody who guesses.
#include "runnel/tcp/open/syn_cookies.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel::tcp {
namespace {

constexpr SipKey kKey{7, 11};
constexpr Instant kNow{seconds(10'000).ns};
constexpr SeqNum kIrs{0x1234'5678};
const FourTuple kTuple{{IpAddress::v4(0x0a00'0001), 80}, {IpAddress::v4(0x0a00'0002), 40'000}};

FourTuple version_six() {
    return {{*parse_ip_address("fd00::1"), 80}, {*parse_ip_address("fd00::2"), 40'000}};
}

TEST(SynCookies, CarryTheNextSmallerOfFourSizes) {
    const SynCookies cookies(kKey);
    const std::pair<int, int> v4[] = {{536, 536},   {1299, 536},  {1300, 1300},  {1439, 1300},
                                      {1440, 1440}, {1460, 1460}, {65'535, 1460}};
    for (const auto& [asked, got] : v4) {
        const auto cookie = cookies.make(kTuple, kIrs, static_cast<std::uint16_t>(asked), kNow);
        ASSERT_TRUE(cookie.has_value());
        EXPECT_EQ(cookie->mss, got);
        EXPECT_EQ(cookies.check(kTuple, kIrs, cookie->isn, kNow), got);
    }
    const std::pair<int, int> v6[] = {{1220, 1220}, {1419, 1220}, {1440, 1440}, {9000, 8940}};
    for (const auto& [asked, got] : v6) {
        const auto cookie =
            cookies.make(version_six(), kIrs, static_cast<std::uint16_t>(asked), kNow);
        ASSERT_TRUE(cookie.has_value());
        EXPECT_EQ(cookies.check(version_six(), kIrs, cookie->isn, kNow), got);
    }
}

TEST(SynCookies, NeverStandForMoreThanThePeerTakes) {
    const SynCookies cookies(kKey);
    EXPECT_FALSE(cookies.make(kTuple, kIrs, 535, kNow).has_value());
    EXPECT_FALSE(cookies.make(version_six(), kIrs, 1219, kNow).has_value());
}

TEST(SynCookies, AreGoodInTheStepTheyWereMadeInAndTheNext) {
    const SynCookies cookies(kKey);
    const Instant begin{SynCookies::kStep.ns * 100};
    const SeqNum isn = cookies.make(kTuple, kIrs, 1460, begin)->isn;
    const Duration step = SynCookies::kStep;
    EXPECT_TRUE(cookies.check(kTuple, kIrs, isn, begin + step - nanoseconds(1)).has_value());
    EXPECT_TRUE(cookies.check(kTuple, kIrs, isn, begin + step * 2 - nanoseconds(1)).has_value());
    EXPECT_FALSE(cookies.check(kTuple, kIrs, isn, begin + step * 2).has_value());
    EXPECT_FALSE(cookies.check(kTuple, kIrs, isn, begin - nanoseconds(1)).has_value());
    EXPECT_FALSE(cookies.check(kTuple, kIrs, isn, begin + step * 256).has_value())
        << "the counter's low bits are the same again, its hash is not";
}

TEST(SynCookies, AreForOneSynOfOneTupleUnderOneKey) {
    const SynCookies cookies(kKey);
    const SeqNum isn = cookies.make(kTuple, kIrs, 1460, kNow)->isn;
    FourTuple port = kTuple;
    port.remote.port = 40'001;
    FourTuple address = kTuple;
    address.remote.address = IpAddress::v4(0x0a00'0003);
    FourTuple service = kTuple;
    service.local.port = 81;
    EXPECT_FALSE(cookies.check(port, kIrs, isn, kNow).has_value());
    EXPECT_FALSE(cookies.check(address, kIrs, isn, kNow).has_value());
    EXPECT_FALSE(cookies.check(service, kIrs, isn, kNow).has_value());
    EXPECT_FALSE(cookies.check(kTuple, kIrs + 1, isn, kNow).has_value());
    EXPECT_FALSE(SynCookies({7, 12}).check(kTuple, kIrs, isn, kNow).has_value());
}

TEST(SynCookies, AreNotGuessed) {
    const SynCookies cookies(kKey);
    const SeqNum isn = cookies.make(kTuple, kIrs, 1460, kNow)->isn;
    int taken = 0;
    for (std::uint32_t i = 1; i <= 100'000; ++i) {
        taken += cookies.check(kTuple, kIrs, isn + i * 40'503, kNow).has_value() ? 1 : 0;
    }
    EXPECT_LE(taken, 1) << "2 steps of 256, 4 sizes of 2^24: one guess in 2^29";
}

RC_GTEST_PROP(SynCookies, ATimestampCarriesTheOptionsAndIsNeverAhead, ()) {
    CookieOptions options;
    if (*rc::gen::arbitrary<bool>()) {
        options.window_scale = *rc::gen::inRange<std::uint8_t>(0, 15);
    }
    options.sack = *rc::gen::arbitrary<bool>();
    options.ecn = *rc::gen::arbitrary<bool>();
    const auto clock = *rc::gen::arbitrary<std::uint32_t>();
    const std::uint32_t stamp = put_cookie_options(clock, options);
    RC_ASSERT(take_cookie_options(stamp) == options);
    RC_ASSERT(clock - stamp < 64U);
}

}  // namespace
}  // namespace runnel::tcp
