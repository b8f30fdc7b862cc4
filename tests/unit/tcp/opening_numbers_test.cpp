// The numbers a connection starts with: sequence numbers (RFC 6528), timestamp offsets (RFC 7323
// §5.4) and ephemeral ports (RFC 6056 §3.3.4).
#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/tcp/open/ephemeral_ports.hpp"
#include "runnel/tcp/open/isn.hpp"

namespace runnel::tcp {
namespace {

constexpr SipKey kKey{1, 2};
const IpAddress kLocal = IpAddress::v4(0x0a09'0002);
const IpAddress kServer = IpAddress::v4(0xc000'0201);
const FourTuple kTuple{{kLocal, 40'000}, {kServer, 80}};

constexpr auto kAlways = [](std::uint16_t) { return true; };

// Proves: MUST-8
TEST(InitialSequence, CountsEveryFourMicroseconds) {
    // RFC 9293 §3.4.1, MUST-8.
    const Instant start{1'000'000'000'000};
    const SeqNum first = initial_sequence(kKey, kTuple, start);
    EXPECT_EQ(initial_sequence(kKey, kTuple, start + microseconds(3)), first);
    EXPECT_EQ(initial_sequence(kKey, kTuple, start + microseconds(4)), first + 1);
    EXPECT_EQ(initial_sequence(kKey, kTuple, start + seconds(1)), first + 250'000);
    const Duration cycle = microseconds(4) * (std::int64_t{1} << 32);
    EXPECT_EQ(cycle.seconds(), 17'179) << "4.77 hours, RFC 9293 §3.4.1";
    EXPECT_EQ(initial_sequence(kKey, kTuple, start + cycle), first);
}

// Proves: SHLD-1, MUST-9, 6528-M1
TEST(InitialSequence, OfAnotherTupleOrKeyCanNotBeGuessed) {
    // RFC 6528 §3: M is the same, F differs.
    FourTuple other = kTuple;
    other.local.port = 40'001;
    EXPECT_NE(initial_sequence(kKey, kTuple, {}), initial_sequence(kKey, other, {}));
    other = kTuple;
    std::swap(other.local, other.remote);
    EXPECT_NE(initial_sequence(kKey, kTuple, {}), initial_sequence(kKey, other, {}));
    EXPECT_NE(initial_sequence(kKey, kTuple, {}), initial_sequence({1, 3}, kTuple, {}));
}

TEST(TimestampOffset, IsOneOfAPairOfAddresses) {
    FourTuple other = kTuple;
    other.local.port = 1;
    other.remote.port = 2;
    EXPECT_EQ(timestamp_offset(kKey, kTuple), timestamp_offset(kKey, other));
    other.remote.address = IpAddress::v4(0xc000'0202);
    EXPECT_NE(timestamp_offset(kKey, kTuple), timestamp_offset(kKey, other));
}

TEST(EphemeralPorts, ADestinationsPortsFollowEachOtherAndRepeatLast) {
    EphemeralPorts ports(kKey);
    const PortRange range{50'000, 50'099};
    std::vector<std::uint16_t> chosen;
    for (int i = 0; i < 200; ++i) {
        chosen.push_back(*ports.choose(range, kLocal, {kServer, 80}, kAlways));
    }
    EXPECT_EQ(std::set<std::uint16_t>(chosen.begin(), chosen.begin() + 100).size(), 100U);
    EXPECT_TRUE(std::equal(chosen.begin(), chosen.begin() + 100, chosen.begin() + 100));
    for (std::size_t i = 1; i < 100; ++i) {
        EXPECT_EQ((chosen[i] - chosen[i - 1] + 100) % 100, 1);
    }
    EXPECT_GE(*std::min_element(chosen.begin(), chosen.end()), range.low);
    EXPECT_LE(*std::max_element(chosen.begin(), chosen.end()), range.high);
}

TEST(EphemeralPorts, DestinationsDoNotShowEachOthersPorts) {
    // RFC 6056 §3.3.4: what one server sees tells nothing of what another gets.
    EphemeralPorts ports(kKey);
    const PortRange range{};
    std::set<int> distances;
    for (std::uint16_t server = 1; server <= 64; ++server) {
        const int a = *ports.choose(range, kLocal, {kServer, server}, kAlways);
        const int b = *ports.choose(range, kLocal,
                                    {kServer, static_cast<std::uint16_t>(server + 100)}, kAlways);
        distances.insert(b - a);
    }
    EXPECT_GT(distances.size(), 60U);
    EphemeralPorts others(SipKey{1, 3});
    int equal = 0;
    for (std::uint16_t server = 1; server <= 64; ++server) {
        equal += EphemeralPorts(kKey).choose(range, kLocal, {kServer, server}, kAlways) ==
                         others.choose(range, kLocal, {kServer, server}, kAlways)
                     ? 1
                     : 0;
    }
    EXPECT_LE(equal, 2);
}

TEST(EphemeralPorts, TakesTheOneThatIsFreeOrNone) {
    EphemeralPorts ports(kKey);
    const PortRange range{1'024, 65'535};
    int asked = 0;
    const auto only = [&](std::uint16_t port) {
        ++asked;
        return port == 65'535;
    };
    EXPECT_EQ(ports.choose(range, kLocal, {kServer, 80}, only), 65'535);
    EXPECT_LE(asked, 64'512);
    asked = 0;
    std::set<std::uint16_t> tried;
    const auto none = [&](std::uint16_t port) {
        ++asked;
        tried.insert(port);
        return false;
    };
    EXPECT_EQ(ports.choose(range, kLocal, {kServer, 80}, none), std::nullopt);
    EXPECT_EQ(asked, 64'512) << "each once";
    EXPECT_EQ(tried.size(), 64'512U);
}

RC_GTEST_PROP(EphemeralPorts, AlwaysInRange,
              (std::uint16_t a, std::uint16_t b, std::uint64_t key)) {
    EphemeralPorts ports(SipKey{key, 0});
    const PortRange range{std::min(a, b), std::max(a, b)};
    for (int i = 0; i < 20; ++i) {
        const auto port = ports.choose(range, kLocal, {}, kAlways);
        RC_ASSERT(port.has_value());
        RC_ASSERT(*port >= range.low);
        RC_ASSERT(*port <= range.high);
    }
}

}  // namespace
}  // namespace runnel::tcp
